"""The manual pages tell of every command and option that there is."""

import argparse
import configparser
import pathlib
import re
import runpy
from collections.abc import Callable
from collections.abc import Iterator

import pytest

from aggregates_ext.cmd import demo
from aggregates_ext.cmd import manage
from aggregates_ext.xensim import main as xensim

ROOT = pathlib.Path(__file__).parents[2]
SOURCE = ROOT / 'doc' / 'source'
OPTION = re.compile(r'--[a-z][a-z-]+')


def page(command: str) -> str:
    return (SOURCE / 'man' / f'{command}.rst').read_text()


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command of aggregates-ext-manage, with its parser."""
    groups = argparse.ArgumentParser().add_subparsers()
    manage._add_groups(groups)
    for name, parser in groups.choices.items():
        verbs = [
            action
            for action in parser._actions
            if isinstance(action, argparse._SubParsersAction)
        ]
        if not verbs:
            yield name, parser
        for action in verbs:
            for verb, found in action.choices.items():
                yield f'{name} {verb}', found


def test_every_command_line_has_a_page() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    points = setup['options.entry_points']['console_scripts'].split('\n')
    scripts = {point.partition(' =')[0] for point in points if point}
    made = runpy.run_path(str(SOURCE / 'conf.py'))['man_pages']
    assert {name for _source, name, *_rest in made} == scripts
    for source, *_rest in made:
        assert (SOURCE / f'{source}.rst').exists()


def test_commands_of_the_operator_are_told() -> None:
    text = page('aggregates-ext-manage')
    entries = [line for line in text.splitlines() if line.startswith('``')]
    for command, parser in commands():
        told = [e for e in entries if re.search(rf'``{command}\b', e)]
        assert told, command
        wanted = set(OPTION.findall(parser.format_help())) - {'--help'}
        assert wanted <= set(OPTION.findall(' '.join(told))), command


def test_no_command_is_told_that_is_none() -> None:
    there = {command for command, _parser in commands()}
    groups = {command.split()[0] for command in there}
    alone = {command for command in there if ' ' not in command}
    text = page('aggregates-ext-manage')
    told = re.findall(r'``([a-z]+(?: [a-z-]+)?)[^`]*``', text)
    told = [t for t in told if ' ' in t or t in alone]
    assert {t for t in told if t.split()[0] in groups} == there


@pytest.mark.parametrize(
    ('command', 'main'),
    [
        ('aggregates-ext-demo', demo.main),
        ('aggregates-ext-xensim', xensim.main),
    ],
)
def test_options_are_told(
    command: str,
    main: Callable[[list[str]], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(['--help'])
    wanted = set(OPTION.findall(capsys.readouterr().out)) - {'--help'}
    assert wanted == set(OPTION.findall(page(command)))
