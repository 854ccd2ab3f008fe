"""Nothing in the documents of an operator goes untried.

Every literal block of README, installation and administration is taken from
there by a test that runs or loads it, or is named below with the reason why
none does. What stands between them is looked at here: commands are parsed,
options looked up, extras found.
"""

import argparse
import ast
import configparser
import importlib.metadata
import pathlib
import re
import shlex
from collections.abc import Iterator

import pytest
from keystoneauth1 import loading
from oslo_config import cfg

from aggregates_ext import conf as settings
from aggregates_ext.cmd import manage
from tests.integration import documents
from tests.integration import guide

OPERATORS = ('README.rst', 'install.rst', 'admin.rst', 'metrics.rst')
TESTS = pathlib.Path(__file__).parent
PICTURE = 'a picture'
CONSOLE = 'typed at the console of a host, which the simulator has not'
RUNS_THESE = 'it is what runs these tests'
EXCEPTIONS = {
    ('install.rst', 'clients ──HTTP──▶ API'): PICTURE,
    ('admin.rst', 'free ─▶ joining'): PICTURE,
    ('admin.rst', 'xe pool-emergency-transition-to-master'): CONSOLE,
    ('admin.rst', 'xe pool-recover-slaves'): CONSOLE,
    ('README.rst', '.venv/bin/tox -e integration'): RUNS_THESE,
    ('README.rst', 'python3 -m venv .venv && .venv/bin/pip install tox'): (
        RUNS_THESE
    ),
}
# Functions that take a block: document and start are told as they are.
TAKERS = {'block': '', 'blocks_from': '', 'commands': '', 'command': ' '}
COMMAND = re.compile(
    '``(?:aggregates-ext-manage )?((?:db|host|operation|policy|pool|upgrade)'
    ' [a-z-]+(?: [^`]*)?|status(?: [^`]*)?)``'
)
OPTION = re.compile(r'``\[([^\]`]+)\] (\w+)')
# What stands in a command for something of the operator's.
STANDS = {
    'member|free': 'free',
    'OUTCOME': 'free',
    'SR…': '1a4db38e-cbaf-53cd-a8d1-9e8907873579',
    'AGGREGATE': '1',
    'DAYS': '90',
    'URL': 'https://10.0.0.11',
    '…': '',
}


def taken() -> Iterator[tuple[str, str]]:
    """Document and start of each block that a test takes."""
    for file in TESTS.glob('*.py'):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or len(node.args) != 2:
                continue
            function = node.func
            name = getattr(function, 'attr', getattr(function, 'id', ''))
            told = [a.value for a in node.args if isinstance(a, ast.Constant)]
            if name in TAKERS and len(told) == 2:
                yield str(told[0]), f'{told[1]}{TAKERS[name]}'


@pytest.mark.parametrize('document', OPERATORS)
def test_every_block_is_tried(document: str) -> None:
    starts = [start for place, start in taken() if place == document]
    excepted = [start for place, start in EXCEPTIONS if place == document]
    for block in documents.blocks(document):
        tried = [start for start in starts if block.startswith(start)]
        reasons = [start for start in excepted if block.startswith(start)]
        assert bool(tried) != bool(reasons), f'{document}:\n{block}'
        excepted = [start for start in excepted if start not in reasons]
    assert excepted == []


@pytest.mark.parametrize('document', OPERATORS)
def test_every_block_names_its_language(document: str) -> None:
    for block in documents.all_blocks(document):
        named = any(block.text.startswith(s) for _, s in pictures(document))
        assert bool(block.language) != named, block.text


def pictures(document: str) -> list[tuple[str, str]]:
    return [
        place
        for place, reason in EXCEPTIONS.items()
        if reason == PICTURE and place[0] == document
    ]


@pytest.fixture(scope='module')
def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(exit_on_error=False)
    manage._add_groups(made.add_subparsers())
    return made


@pytest.mark.parametrize('document', [*OPERATORS, 'filter.rst'])
def test_commands_in_the_text_can_be_typed(
    document: str, parser: argparse.ArgumentParser
) -> None:
    text = re.sub(r'\s+', ' ', documents.read(document))
    for command in COMMAND.findall(text):
        line = command
        for name, value in STANDS.items():
            line = line.replace(name, value)
        words = shlex.split(line)
        # The name of a command alone names it; any may be asked for help.
        try:
            parser.parse_args(words if len(words) > 2 else [*words, '--help'])
        except (SystemExit, argparse.ArgumentError) as exc:
            told = getattr(exc, 'code', exc)
            assert told == 0, f'{document}: {command}: {told}'


@pytest.fixture(scope='module')
def known() -> dict[str, set[str]]:
    """Every option by its group: ours, and those of libraries.

    The libraries are those that the document makes a sample of.
    """
    [words] = guide.commands('configuration.rst', 'oslo-config-generator')
    points = importlib.metadata.entry_points(group='oslo.config.opts')
    found: dict[str, set[str]] = {}
    listed = list(settings.list_opts())
    for name in set(words) & {point.name for point in points}:
        listed += points[name].load()()
    for group, options in listed:
        found.setdefault(str(group or 'DEFAULT'), set()).update(
            name for option in options for name in (option.name, option.dest)
        )
    found['keystone_authtoken'] |= {
        option.dest
        for option in loading.get_auth_plugin_conf_options('password')
    } | {'auth_type'}
    # Of oslo.config itself.
    found['DEFAULT'].add('config_source')
    return found


def exists(known: dict[str, set[str]], group: str, option: str) -> bool:
    account = group.startswith('xenserver:')
    return option in known['xenserver:default' if account else group]


@pytest.mark.parametrize(
    'document', [*OPERATORS, 'configuration.rst', 'notifications.rst']
)
def test_options_in_the_text_exist(
    document: str, known: dict[str, set[str]]
) -> None:
    text = re.sub(r'\s+', ' ', documents.read(document))
    for group, option in OPTION.findall(text):
        assert exists(known, group, option), f'{document}: [{group}] {option}'


@pytest.mark.parametrize(
    'text',
    [
        documents.block('README.rst', '[DEFAULT]\n'),
        documents.block('install.rst', '[DEFAULT]\n'),
        documents.block('install.rst', '[oslo_messaging_rabbit]\n'),
        documents.block('install.rst', '[oslo_middleware]\n'),
        documents.block('install.rst', '[xenserver:old]\n'),
        documents.block('notifications.rst', '[DEFAULT]\n'),
    ],
)
def test_samples_of_configuration_can_be_read(
    tmp_path: pathlib.Path, known: dict[str, set[str]], text: str
) -> None:
    file = tmp_path / 'aggregates_ext.conf'
    file.write_text(text)
    conf = cfg.ConfigOpts()
    settings.parse(conf, [], [str(file)])
    settings.validate(conf)
    read = configparser.ConfigParser(interpolation=None)
    read.read_string(text)
    # What all groups have is a group of its own.
    for option in read.defaults():
        assert exists(known, 'DEFAULT', option), option
    for group in read.sections():
        for option in set(read[group]) - set(read.defaults()):
            assert exists(known, group, option), f'[{group}] {option}'


def test_the_filter_of_the_readme_is_that_of_its_document() -> None:
    """Which a test puts into Nova's own pipelines."""
    section = documents.block('README.rst', '[filter:aggregates]')
    assert section == documents.block('filter.rst', '[filter:aggregates]')
    line = documents.block('README.rst', 'keystone = ')
    words = line.partition(' … ')[2]
    assert len(words.split()) == 4
    assert documents.blocks_from('filter.rst', 'keystone = ')[0].endswith(
        words
    )


def test_extras_in_the_text_exist() -> None:
    setup = configparser.ConfigParser()
    setup.read(documents.ROOT / 'setup.cfg')
    extras = set(setup['options.extras_require'])
    for document in OPERATORS:
        for named in re.findall(r'\.\[([a-z,]+)\]', documents.read(document)):
            assert set(named.split(',')) <= extras, named
    environments = configparser.ConfigParser(interpolation=None)
    environments.read(documents.ROOT / 'tox.ini')
    for name in re.findall(r'tox -e (\w+)', documents.read('install.rst')):
        assert f'testenv:{name}' in environments
