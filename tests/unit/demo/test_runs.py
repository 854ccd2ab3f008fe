"""A restart of all hosts is shown as it goes, on a terminal and in a pipe."""

from typing import Any

import pytest

from aggregates_ext.demo import runs
from aggregates_ext.demo import screen as screens


def host(name: str, state: str, **known: Any) -> dict[str, Any]:
    nothing = {'moved': 0, 'began_at': None, 'ended_at': None}
    return {'host': name, 'state': state, **nothing, **known}


def operation(**known: Any) -> dict[str, Any]:
    return {
        'state': 'running',
        'step': 'host xen2: entering',
        'progress': 40,
        'seconds_left': 61,
        'finished_at': None,
        'hosts': [
            host(
                'xen1',
                'done',
                moved=3,
                began_at='2026-11-28T03:10:02.250000',
                ended_at='2026-11-28T03:10:22.500000',
            ),
            host('xen2', 'entering', began_at='2026-11-28T03:10:22.500000'),
            host('xen[/b]3', 'waiting'),
        ],
        'moves': [
            move('web', 'completed', 100),
            move('app', 'sent', 40),
            move('db', 'queued', None, to=None),
        ],
        **known,
    }


def move(name: str, state: str, progress: Any, to: Any = 'xen1') -> Any:
    return {
        'name': name,
        'from': 'xen2',
        'to': to,
        'state': state,
        'progress': progress,
    }


def show(capsys: pytest.CaptureFixture[str], *seen: Any) -> str:
    with runs.Display(screens.console()) as display:
        for one in seen:
            display.update(one)
    return capsys.readouterr().out


def test_a_pipe_has_a_line_for_each_change(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('FORCE_COLOR', '')
    queued = operation(state='queued', step=None, hosts=[], moves=[])
    home = operation(step='1 guest(s) to come home', seconds_left=0)
    first = move('web', 'sent', 0)
    again = operation(moves=[first, move('app', 'sent', 80)])
    ended = operation(state='succeeded', finished_at='now')
    said = show(capsys, queued, queued, operation(), again, home, ended)
    assert said.splitlines() == [
        '  rolling_reboot queued',
        '  rolling_reboot running',
        '  xen1 done, 20 s',
        '  xen2 entering',
        '  web from xen2 to xen1: completed',
        '  app from xen2 to xen1: sent',
        '  web from xen2 to xen1: sent',
        '  web from xen2 to xen1: completed',
        '  1 guest(s) to come home',
        '  rolling_reboot succeeded',
    ]


def test_a_terminal_has_bars_rows_and_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('COLUMNS', '80')
    monkeypatch.setenv('FORCE_COLOR', '1')
    monkeypatch.setenv('NO_COLOR', '1')
    before = operation(seconds_left=None, hosts=[], moves=[])
    ended = operation(state='succeeded', progress=97, finished_at='now')
    said = show(capsys, before, operation(), ended)
    assert '\x1b' in said
    for words in (
        'time left: not known yet',
        'time left: 1:01',
        '40%',
        'xen[/b]3',
        'waiting',
        'xen2 to xen1',
        '1 waiting',
        '100%',
        'succeeded',
    ):
        assert words in said
    assert 'db ' not in said
