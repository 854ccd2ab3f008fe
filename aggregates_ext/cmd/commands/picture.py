"""How pools are, drawn as a tree: whole, literal, coloured on a terminal.

Names and messages come from users and hosts, so nothing in them is obeyed.
"""

from collections.abc import Iterator
from collections.abc import Sequence

from rich import console as consoles
from rich import text as texts
from rich import tree

from aggregates_ext.cmd.commands import health
from aggregates_ext.cmd.commands import tables
from aggregates_ext.db import records
from aggregates_ext.domain import overview

STYLES = ('green', 'yellow', 'bold red', 'bold magenta')
_STATES = {'error': 'red', 'changing': 'cyan', 'active': 'green'}
# Seconds, and what they are called; the largest that fits twice is taken.
_UNITS = ((86_400, 'd'), (3_600, 'h'), (60, 'min'), (1, 's'))
_GAP = '  '
_ENDLESS = 1_000_000


def console() -> consoles.Console:
    """Where nothing is taken for markup; in a pipe no line has an end."""
    made = consoles.Console(highlight=False, markup=False, emoji=False)
    if not made.is_terminal:
        made.width = _ENDLESS
    return made


def summary(report: health.Report) -> str:
    """How all pools are, in a line that monitoring can show.

    It has no text of users or hosts.
    """
    counts = [
        sum(checked.level == level for checked in report.pools)
        for level in (health.CRITICAL, health.WARNING)
    ]
    number = len(report.pools)
    line = (
        f'{health.LEVELS[report.level].upper()}: {number} '
        f'pool{"" if number == 1 else "s"}, '
        f'{counts[0]} critical, {counts[1]} with a warning'
    )
    found = [*report.findings]
    for checked in report.pools:
        found += checked.findings
    codes = dict.fromkeys(f.code for f in sorted(found, key=lambda f: -f[0]))
    return f'{line}: {", ".join(codes)}' if codes else line


def draw(report: health.Report) -> tree.Tree:
    """All pools, the worst first, each with what is to be said of it."""
    root = tree.Tree(_line((summary(report), STYLES[report.level])))
    for finding in report.findings:
        root.add(_finding(finding, None))
    if report.alive:
        root.add(_line(f'compute services: {_joined(report.alive)}'))
    if report.backlog is not None and report.backlog.number:
        waited = duration(report.backlog.age)
        root.add(
            _line(
                f'notifications: {report.backlog.number} to be told, the '
                f'oldest for {waited}'
            )
        )
    for checked in report.pools:
        branch = root.add(_title(checked))
        for line in _details(checked):
            branch.add(line)
    return root


def _title(checked: health.Checked) -> texts.Text:
    """A pool in one line."""
    pool, level = checked
    state = pool.state
    since = pool.wrong_since
    words = state if since is None else f'{state} for {_ago(pool, since)}'
    phases = ', '.join(f'{n} {p}' for p, n in pool.phases.items() if n)
    return _line(
        (health.LEVELS[checked.level].upper(), STYLES[checked.level]),
        (f'{_GAP}{pool.aggregate.name}', 'bold'),
        f' ({pool.aggregate.id}){_GAP}',
        (words, _STATES.get(state, '')),
        f'{_GAP}{phases or "no hosts"}',
        f'{_GAP}master {pool.master}' if pool.master else '',
        (f'{_GAP}{_looked(pool)}' if pool.hosts else '', 'dim'),
    )


def _looked(pool: overview.Pool) -> str:
    """How old it is what is shown."""
    if pool.age is None:
        return 'not looked at yet'
    looked = f'looked at {duration(pool.age)} ago'
    at = pool.seen.seen_at
    if at is None or not pool.seen.missed:
        return looked
    return f'{looked}, seen {_ago(pool, at)} ago'


def _unseen(pool: overview.Pool) -> bool:
    """Whether it is not known of any host how it is."""
    return pool.seen.missed or not pool.seen.recent


def _details(checked: health.Checked) -> Iterator[texts.Text]:
    pool = checked.pool
    for host in pool.hosts:
        remarks = list(_remarks(pool, host))
        if remarks:
            yield _line(
                (f'{host.name}{_GAP}', 'cyan'),
                ', '.join([host.phase, *remarks]),
            )
    for operation in pool.standing:
        if operation.state not in overview.WRONG:
            yield _operation(pool, operation)
    for finding in checked.findings:
        yield _finding(finding, pool)


def _remarks(pool: overview.Pool, host: records.Host) -> Iterator[str]:
    """What is not as of a host that is in the pool and takes machines."""
    live, enabled = pool.shown(host, 'live'), pool.shown(host, 'enabled')
    if live is False:
        yield 'not live'
    elif live is None and host.phase == 'member' and not _unseen(pool):
        yield 'not seen'
    if host.maintenance:
        yield f'maintenance {host.maintenance}'
    elif host.disabled:
        yield 'disabled'
    elif enabled is False and live:
        yield 'not enabled'
    if host.phase != 'member' and host.phase_since is not None:
        yield f'for {_ago(pool, host.phase_since)}'


def _operation(
    pool: overview.Pool, operation: records.Operation
) -> texts.Text:
    """What is under way, how far, and what it waits for."""
    reason = (operation.error or {}).get('message') or operation.step or ''
    since = overview.moment(operation)
    return _line(
        (operation.title, 'cyan'),
        f'{_GAP}{operation.state} for {_ago(pool, since)}, '
        f'{operation.progress} %',
        f'{_GAP}{_flat(reason)}' if reason else '',
    )


def _finding(
    finding: health.Finding, pool: overview.Pool | None
) -> texts.Text:
    since = ''
    if pool is not None and finding.since is not None:
        since = f' for {_ago(pool, finding.since)}'
    return _line(
        (finding.code, STYLES[finding.level]),
        f'{_GAP}{finding.host}' if finding.host else '',
        since,
        f'{_GAP}{_flat(finding.message)}',
    )


def _ago(pool: overview.Pool, at: float) -> str:
    return duration(pool.now - at)


def duration(seconds: float) -> str:
    """A time as one number: no more is of use at a glance."""
    for size, name in _UNITS:
        if seconds >= 2 * size:
            return f'{seconds // size:.0f} {name}'
    return f'{max(0.0, seconds):.0f} s'


def _joined(names: Sequence[str]) -> str:
    return ', '.join(dict.fromkeys(names))


def _flat(text: str) -> str:
    return ' '.join(text.split())


def _line(*parts: str | tuple[str, str]) -> texts.Text:
    """Parts of a line, each by itself or with its style."""
    line = texts.Text()
    for part in parts:
        text, style = (part, '') if isinstance(part, str) else part
        line.append(tables.harmless(text), style)
    return line
