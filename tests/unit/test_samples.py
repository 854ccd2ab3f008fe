"""The samples in etc/ tell the options and rules that there are.

The text around them is the generators' own and differs from one release of
them to the next, so what is compared is what we said: names, defaults,
bounds, choices, whether a reload changes them, and the words of help.
"""

import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from oslo_config import cfg
from oslo_config import generator as config_generator
from oslo_policy import generator as policy_generator

from aggregates_ext import conf as options
from aggregates_ext import policy

ETC = pathlib.Path(__file__).parents[2] / 'etc' / 'aggregates_ext'
OPTION = re.compile(r'#(\w+) =(.*)')
RULE = re.compile(r'#"([^"]+)": "([^"]*)"')
# What the generator adds to the help of an option begins with its type.
ADDED = re.compile(r' \((?:[a-z]+ )+value\)')
BOUND = re.compile(r'(Minimum|Maximum) value: (\S+)')
CHOICE = re.compile(r'(\S+) - <')
MUTABLE = 'This option can be changed without restarting.'

# What the generators themselves do is not ours to mend: older releases
# leave files open and call stevedore in a deprecated way.
pytestmark = [
    pytest.mark.filterwarnings('ignore::ResourceWarning'),
    pytest.mark.filterwarnings('ignore::DeprecationWarning'),
]


class Option(NamedTuple):
    """What a sample says of an option."""

    default: str
    help: str
    bounds: tuple[tuple[str, str], ...]
    choices: tuple[str, ...]
    mutable: bool


def entries(
    text: str, pattern: re.Pattern[str]
) -> Iterator[tuple[str, re.Match[str], str]]:
    """Every entry of a sample: group, match, the words of its comment."""
    group, comment = '', []
    for line in text.splitlines():
        found = pattern.fullmatch(line)
        if found:
            yield group, found, ' '.join(comment)
        if line.startswith('['):
            group = line.strip('[]')
        if line.startswith('# '):
            comment += line[2:].split()
        else:
            comment = []


def read_options(text: str) -> dict[tuple[str, str], Option]:
    found = {}
    for group, match, comment in entries(text, OPTION):
        added = ADDED.search(comment)
        assert added, f'no type of {match[1]} in: {comment}'
        rest = comment[added.end() :]
        found[group, match[1]] = Option(
            match[2].strip(),
            comment[: added.start()],
            tuple(BOUND.findall(rest)),
            tuple(CHOICE.findall(rest)),
            MUTABLE in rest,
        )
    return found


def read_rules(text: str) -> dict[str, tuple[str, str]]:
    return {
        match[1]: (match[2], comment)
        for _group, match, comment in entries(text, RULE)
    }


@pytest.fixture
def config_sample(tmp_path: pathlib.Path) -> str:
    """The sample of options as it would be generated now."""
    path = tmp_path / 'sample.conf'
    config_generator.main(
        ['--namespace', 'aggregates_ext', '--output-file', str(path)]
    )
    return path.read_text()


@pytest.fixture
def policy_sample(tmp_path: pathlib.Path) -> str:
    """The sample of rules as it would be generated now."""
    path = tmp_path / 'sample.yaml'
    policy_generator.generate_sample(
        ['--namespace', 'aggregates_ext', '--output-file', str(path)],
        conf=cfg.ConfigOpts(),
    )
    return path.read_text()


def test_sample_of_options_is_what_would_be_generated(
    config_sample: str,
) -> None:
    committed = (ETC / 'aggregates_ext.conf.sample').read_text()
    assert read_options(committed) == read_options(config_sample), (
        'run "tox -e genconfig"'
    )


def test_sample_has_every_option(config_sample: str) -> None:
    assert set(read_options(config_sample)) == {
        (group, option.name)
        for group, listed in options.list_opts()
        for option in listed
    }


def test_sample_tells_bounds_and_choices(config_sample: str) -> None:
    found = read_options(config_sample)
    assert found['api', 'threads'].bounds == (
        ('Minimum', '1'),
        ('Maximum', '256'),
    )
    assert found['api', 'auth_strategy'].choices == ('keystone', 'noauth')


def test_sample_of_rules_is_what_would_be_generated(
    policy_sample: str,
) -> None:
    committed = (ETC / 'policy.yaml.sample').read_text()
    assert read_rules(committed) == read_rules(policy_sample), (
        'run "tox -e genconfig"'
    )


def test_sample_has_every_rule(policy_sample: str) -> None:
    assert set(read_rules(policy_sample)) == {
        rule.name for rule in policy.list_rules()
    }
