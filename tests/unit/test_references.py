"""What code and documents refer to is there.

``xapi#NAME`` is the label ``.. _NAME:`` below doc/source/xapi, and
``design#NAME`` is the label ``.. _design-NAME:`` of the document on the
design. Documents that are not in the repository cannot be referred to.
"""

import collections
import io
import pathlib
import re
import tokenize
from collections.abc import Collection
from collections.abc import Iterator
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).parents[2]
DOCUMENTS = ROOT / 'doc/source'
PLACES = (
    'aggregates_ext',
    'tests',
    'doc/source',
    'etc',
    '.ci',
    'releasenotes',
    'README.rst',
    'pyproject.toml',
    'setup.cfg',
    'tox.ini',
)
# Written by programs, or full of examples of what is wrong.
LEFT_OUT = ('openapi.yaml', pathlib.Path(__file__).name)

LABEL = re.compile(r'^ *(?:\* - )?\.\. _([^:`]+):$', re.M)
REFERENCE = re.compile(r'(?<![\w-])(xapi|design)#([a-z0-9-]*[a-z0-9])')
# A gap may be the end of a line, of a comment too.
GAP = r'\s+(?:#\s+)?'
ELSEWHERE = re.compile(
    rf'\bcontract{GAP}(?:section{GAP})?\d+(?:\.\d+)?'
    rf'|\bdesign{GAP}(?:section{GAP})?\d+(?:\.\d+)?'
    r'|\b(?:user-asks|essex-wire|nova-today|nova-test-checklist)\b'
    r'|\bxapi-observed\b'
    r'|(?<![\w/.-])(?:join|join_2|join_cases|slave|errors|eject|fencing)\.txt'
    r'|(?<![\w/.-])(?:records|datamodel|error_codes)\.json',
    re.I,
)
NUMBER = re.compile(rf'(?<=\w){GAP}(\([1-9]\d?\.\d(?:,{GAP}\d+)?\))')
PATH = re.compile(
    r'(?<![\w/.{}-])('
    r'doc/source/[\w./-]+\.(?:rst|inc)'
    r'|tests/[\w./-]+\.(?:py|yaml)'
    r'|aggregates_ext/[\w./-]+\.py'
    r')\b'
)
TEST = re.compile(r'(?<![\w/.-])test_\w+\.py\b')


class Known(NamedTuple):
    """What can be referred to.

    :ivar xapi: labels of what is known of xapi.
    :ivar design: labels of the document on the design, without its prefix.
    :ivar paths: all files, from the root.
    """

    xapi: Collection[str]
    design: Collection[str]
    paths: Collection[str]


class Mistake(NamedTuple):
    """A reference to nothing."""

    line: int
    text: str


def find_mistakes(name: str, text: str, known: Known) -> Iterator[Mistake]:
    """All references of one file that lead nowhere.

    :param name: of the file; only what is prose in a module is looked at for
        paths and numbers of sections.
    """
    for match in REFERENCE.finditer(text):
        if match[2] not in getattr(known, match[1]):
            yield _mistake(text, match)
    for match in ELSEWHERE.finditer(text):
        yield _mistake(text, match)
    prose = text
    if name.endswith('.py'):
        prose = _prose(text)
        for match in NUMBER.finditer(prose):
            yield _mistake(prose, match, 1)
    yield from _find_paths(name, prose, known)


def _find_paths(name: str, prose: str, known: Known) -> Iterator[Mistake]:
    """Files that are not there; documents name tests without their folder."""
    for match in PATH.finditer(prose):
        if match[1] not in known.paths:
            yield _mistake(prose, match)
    if name.endswith('.rst'):
        names = {path.rpartition('/')[2] for path in known.paths}
        for match in TEST.finditer(prose):
            if match[0] not in names:
                yield _mistake(prose, match)


def _mistake(text: str, match: re.Match[str], group: int = 0) -> Mistake:
    line = text.count('\n', 0, match.start(group)) + 1
    return Mistake(line, ' '.join(match[group].split()))


def _prose(text: str) -> str:
    """The comments and docstrings of a module, in their lines."""
    lines = [''] * (text.count('\n') + 2)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        docstring = token.type == tokenize.STRING and '"""' in token.string
        if docstring or token.type == tokenize.COMMENT:
            for number, line in enumerate(token.string.split('\n')):
                lines[token.start[0] - 1 + number] += line
    return '\n'.join(lines)


def find_labels(text: str) -> list[str]:
    """The labels of a document, without links to other places."""
    return LABEL.findall(text)


def find_duplicates(labels: Collection[str]) -> list[str]:
    """Labels are global: one that is there twice leads anywhere."""
    return [name for name, n in collections.Counter(labels).items() if n > 1]


def read_labels(pattern: str) -> list[str]:
    """All labels of the documents that a pattern names."""
    return [
        label
        for path in sorted(DOCUMENTS.glob(pattern))
        for label in find_labels(path.read_text(encoding='utf-8'))
    ]


def all_files() -> Iterator[pathlib.Path]:
    for place in PLACES:
        path = ROOT / place
        found = [path] if path.is_file() else sorted(path.rglob('*'))
        for file in found:
            if file.is_file() and '__pycache__' not in file.parts:
                yield file


@pytest.fixture(scope='module')
def known() -> Known:
    prefix = 'design-'
    return Known(
        read_labels('xapi/*.rst'),
        [
            label.removeprefix(prefix)
            for label in read_labels('design.rst')
            if label.startswith(prefix)
        ],
        {file.relative_to(ROOT).as_posix() for file in all_files()},
    )


def test_every_reference_leads_somewhere(known: Known) -> None:
    found = []
    for file in all_files():
        if file.name in LEFT_OUT:
            continue
        try:
            text = file.read_text(encoding='utf-8')
        except UnicodeDecodeError:
            continue
        name = file.relative_to(ROOT).as_posix()
        found += [
            f'{name}:{mistake.line}: {mistake.text}'
            for mistake in find_mistakes(name, text, known)
        ]
    assert found == []


def test_no_label_is_there_twice() -> None:
    assert find_duplicates(read_labels('**/*.rst')) == []


EXAMPLE = Known(
    xapi=['join-checks', 'join'],
    design=['leases'],
    paths=['doc/source/design.rst', 'tests/unit/test_layers.py'],
)


@pytest.mark.parametrize(
    ('text', 'mistakes'),
    [
        ('"""As it is (xapi#join-checks)."""', []),
        ('"""As it is (xapi#join, design#leases)."""', []),
        ('"""As it is (xapi#leave)."""', ['xapi#leave']),
        ('"""As it is: design#join."""', ['design#join']),
        ('# See xapi#join-check-13.', ['xapi#join-check-13']),
        ('"""See xen-api#6056, and xapi#NAME."""', []),
        ('"""As it is (contract 4.2)."""', ['contract 4.2']),
        ('"""Contract 12, in its order."""', ['Contract 12']),
        ('"""So it is (contract\n2.5)."""', ['contract 2.5']),
        ('# So it is in contract\n# 11, 14.', ['contract # 11']),
        ('"""In contract section 10."""', ['contract section 10']),
        ('"""The published sample is the contract."""', []),
        ('"""One by one (design 5)."""', ['design 5']),
        ('"""As design 5 says."""', ['design 5']),
        ('"""By design, 5 of them."""', []),
        ('"""Asked for (user-asks B20)."""', ['user-asks']),
        ('"""See essex-wire, nova-today."""', ['essex-wire', 'nova-today']),
        ('"""See nova-test-checklist."""', ['nova-test-checklist']),
        ('"""Seen (``xapi-observed``)."""', ['xapi-observed']),
        ('"""Seen (join.txt)."""', ['join.txt']),
        (
            '"""join_2.txt, join_cases.txt."""',
            ['join_2.txt', 'join_cases.txt'],
        ),
        ('"""slave.txt, errors.txt."""', ['slave.txt', 'errors.txt']),
        ('"""eject.txt, fencing.txt."""', ['eject.txt', 'fencing.txt']),
        ('"""In form of records.json."""', ['records.json']),
        ('"""In datamodel.json."""', ['datamodel.json']),
        ('"""In error_codes.json."""', ['error_codes.json']),
        ('"""So it is (4.2)."""', ['(4.2)']),
        ('"""So it is (4.2, 13)."""', ['(4.2, 13)']),
        ('"""So it is\n(5.1)."""', ['(5.1)']),
        ('clock.advance(4.2)\nfound = (4.2, 13)', []),
        ('# In doc/source/design.rst.', []),
        ('# In doc/source/old.rst.', ['doc/source/old.rst']),
        ('# See tests/unit/test_layers.py.', []),
        ('# See tests/test_layers.py.', ['tests/test_layers.py']),
        ('# As aggregates_ext/old.py does.', ['aggregates_ext/old.py']),
        ('# In /etc/aggregates_ext/old.py.', []),
        ("run('tests/made.py')", []),
    ],
)
def test_what_is_found_in_a_module(text: str, mistakes: list[str]) -> None:
    found = find_mistakes('aggregates_ext/module.py', text + '\n', EXAMPLE)
    assert [mistake.text for mistake in found] == mistakes


@pytest.mark.parametrize(
    ('text', 'mistakes'),
    [
        ('See ``xapi#join`` and ``design#none``.', ['design#none']),
        ('Held by ``test_layers.py``.', []),
        ('Held by ``test_none.py``.', ['test_none.py']),
        ('See ``doc/source/none.rst``.', ['doc/source/none.rst']),
        ('XenServer (8.2) and later.', []),
    ],
)
def test_what_is_found_in_a_document(text: str, mistakes: list[str]) -> None:
    found = find_mistakes('doc/source/page.rst', text, EXAMPLE)
    assert [mistake.text for mistake in found] == mistakes


def test_a_mistake_has_its_line() -> None:
    text = '"""One.\n\nTwo (xapi#none).\n"""\n\n# Three (5.1).\n'
    found = list(find_mistakes('module.py', text, EXAMPLE))
    assert found == [(3, 'xapi#none'), (6, '(5.1)')]


def test_labels_are_found_and_counted() -> None:
    text = '.. _join:\n\nJoin\n====\n\n.. _site: https://example.org\n'
    assert find_labels(text) == ['join']
    assert find_duplicates(['a', 'b', 'a']) == ['a']
