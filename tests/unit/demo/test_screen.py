"""What is shown is shown as it is."""

import pytest

from aggregates_ext.demo import screen as screens

LONG = 'https://' + 'a' * 90
ODD = 'xen[/b] [fd00::11] :smile:'


@pytest.mark.parametrize('terminal', ['', '1'])
def test_nothing_is_eaten_and_no_word_is_broken(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    terminal: str,
) -> None:
    monkeypatch.setenv('COLUMNS', '80')
    monkeypatch.setenv('FORCE_COLOR', terminal)
    monkeypatch.setenv('NO_COLOR', '1')
    screen = screens.Screen(screens.console())
    screen.title(ODD)
    screen.step(1, 2, ODD)
    screen.say(ODD, f'word word {LONG} word')
    screen.proved(ODD)
    screen.phases({ODD: 'free'})
    with screens.Operations(screen.console) as operations:
        operations.update(
            {
                'uuid': '1',
                'state': 'running',
                'step': ODD,
                'kind': 'add_host',
                'host': ODD,
                'progress': 3,
                'finished_at': None,
            }
        )
    said = capsys.readouterr().out
    assert said.count('[fd00::11]') >= 6
    assert said.count('[/b]') >= 6
    assert LONG in said
