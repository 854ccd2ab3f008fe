"""Watching answers change while time passes, and comparing with a table."""

STEP = 0.1
POLL = 0.25


def follow(clk, watches, seconds, actions=(), step=STEP):
    """The answers of watches in order, with the moment of each.

    :param actions: functions with the moment at which they are called
    """
    started = clk.time()
    due = sorted(actions, key=lambda action: action[0])
    seen = {name: [] for name in watches}
    while (now := clk.time() - started) < seconds:
        while due and due[0][0] <= now + step / 2:
            due.pop(0)[1]()
        for name, watch in watches.items():
            answer = watch()
            if not seen[name] or seen[name][-1][0] != answer:
                seen[name].append((answer, now))
        clk.advance(step)
    return seen


def compare(seen, expected, tolerance):
    """The same answers in the same order, at about the same moments.

    An answer without a moment may be missed, and one that lasts less than a
    poll took may be seen without being told.
    """
    for name, rows in expected.items():
        told = list(rows)
        for answer, moment, lasted in _lasting(seen[name]):
            while told and told[0][0] != answer and len(told[0]) == 1:
                told.pop(0)
            if lasted < POLL and (not told or told[0][0] != answer):
                continue
            assert told, (name, answer, seen[name])
            wanted, *at = told.pop(0)
            assert answer == wanted, (name, seen[name])
            late = abs(moment - at[0]) if at else 0.0
            assert late <= tolerance, (name, answer, moment, at)
        missed = [row for row in told if len(row) > 1]
        assert missed == [], (name, seen[name])


def _lasting(changes):
    """Each answer with its moment, and how long it lasted."""
    ends = [moment for _, moment in changes[1:]]
    for (answer, moment), end in zip(
        changes, [*ends, float('inf')], strict=True
    ):
        yield answer, moment, end - moment
