"""Each change is one line; on a terminal what goes on is a line that lives."""

import io
from typing import Any

import pytest

from aggregates_ext.client import progress
from tests.unit.client import scripted

MOVE = {
    'uuid': 'm',
    'name': 'web',
    'from': 'xen1',
    'to': 'xen2',
    'state': 'sent',
    'progress': 40,
    'error': None,
}
ROLLING: list[dict[str, Any]] = [
    scripted.operation('queued', kind='rolling_reboot', host=None),
    scripted.operation(
        'running',
        kind='rolling_reboot',
        host=None,
        hosts=[
            {'host': 'xen1', 'state': 'entering', 'moved': 0},
            {'host': 'xen2', 'state': 'waiting', 'moved': 0},
        ],
        moves=[MOVE],
    ),
    scripted.operation(
        'succeeded',
        kind='rolling_reboot',
        host=None,
        hosts=[
            {'host': 'xen1', 'state': 'done', 'moved': 1},
            {'host': 'xen2', 'state': 'skipped', 'moved': 0},
        ],
        moves=[{**MOVE, 'state': 'completed', 'progress': 100}],
        guests=[{'uuid': 'g', 'name': 'gpu', 'state': 'running'}],
    ),
]


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


def tell(stream: io.StringIO, operations: list[dict[str, Any]]) -> str:
    with progress.Progress(stream, lambda: 0.0) as teller:
        for operation in operations:
            # As often as it is looked at: nothing is told twice.
            teller.update(operation)
            teller.update(operation)
    return stream.getvalue()


LINES = [
    'rolling_reboot: queued',
    'rolling_reboot: running, checking',
    'host xen1: entering',
    'guest web from xen1 to xen2: sent',
    'rolling_reboot: succeeded',
    'host xen1: done, 1 guests moved',
    'host xen2: skipped',
    'guest web from xen1 to xen2: completed',
    'guest gpu: running',
]


def test_elsewhere_each_change_is_a_plain_line() -> None:
    assert tell(io.StringIO(), ROLLING).splitlines() == LINES


def test_a_guest_that_moves_away_and_home_is_told_twice_and_no_more() -> None:
    away = {**MOVE, 'state': 'completed'}
    home = {**MOVE, 'from': 'xen2', 'to': 'xen1'}
    looks = [
        scripted.operation('running', moves=[away, home]),
        scripted.operation('running', moves=[away, home]),
    ]
    told = tell(io.StringIO(), looks).splitlines()
    assert [line for line in told if line.startswith('guest')] == [
        'guest web from xen1 to xen2: completed',
        'guest web from xen2 to xen1: sent',
    ]


def test_a_terminal_has_a_live_line_below_what_has_happened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('COLUMNS', '60')
    told = tell(Terminal(), ROLLING)
    assert told.endswith(progress.CLEAR)
    drawn = told.split(progress.CLEAR)
    lines = [part[:-1] for part in drawn if part.endswith('\n')]
    assert lines == [
        line for line in LINES if not line.startswith('rolling_reboot')
    ]
    live = [part for part in drawn if part and not part.endswith('\n')]
    assert any(line.endswith('web 40 %') for line in live)
    assert all(len(line) < 60 for line in live)
    assert not any('\n' in line for line in live)


def test_a_terminal_that_can_nothing_gets_plain_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv('TERM', 'dumb')
    assert '\x1b' not in tell(Terminal(), ROLLING)


def test_the_live_line_stays_one_line_with_wide_signs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('COLUMNS', '40')
    told = tell(Terminal(), [scripted.operation('queued', host='主机' * 30)])
    for line in told.split(progress.CLEAR):
        assert progress.width(line) < 40


def test_each_host_of_a_list_is_told() -> None:
    change = {'host': 'xen3', 'change': 'add', 'state': 'queued', 'step': None}
    changes: list[dict[str, Any]] = [
        {'changes': [change]},
        {'changes': [{**change, 'state': 'running', 'step': 'joining'}]},
        {'changes': [{**change, 'state': 'failed'}]},
    ]
    told = tell(
        io.StringIO(),
        [
            scripted.operation('running', kind='set_hosts', host=None, **more)
            for more in changes
        ],
    )
    assert [line for line in told.splitlines() if line.startswith('host')] == [
        'host add xen3: running, joining',
        'host add xen3: failed',
    ]


def test_what_it_waits_for_is_told_once() -> None:
    error = {'code': 'HOST_NOT_LIVE', 'message': 'It is down.'}
    later = '2026-11-28T03:10:02'
    waits = scripted.operation('queued', error=error, retry_at=later)
    told = tell(io.StringIO(), [waits])
    line = f'waits: HOST_NOT_LIVE: It is down. Tried again at {later}.\n'
    assert told.count(line) == 1
    # How it has ended is told by the command.
    assert 'waits' not in tell(
        io.StringIO(), [scripted.operation('failed', error=error)]
    )
