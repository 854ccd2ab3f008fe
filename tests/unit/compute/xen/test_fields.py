"""The one reading of what hosts answer: whatever it is, it is told."""

import xmlrpc.client
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from aggregates_ext.compute.xen import classes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import values

# All that XML-RPC can carry, and what a client makes of it.
SCALARS = strategies.one_of(
    strategies.none(),
    strategies.booleans(),
    strategies.integers(),
    strategies.floats(),
    strategies.text(max_size=20),
    strategies.binary(max_size=5).map(xmlrpc.client.Binary),
    strategies.text(max_size=20).map(lambda t: _stamp(t)),
)
ANSWERS = strategies.recursive(
    SCALARS,
    lambda inner: strategies.one_of(
        strategies.lists(inner, max_size=3),
        strategies.dictionaries(strategies.text(max_size=5), inner),
    ),
    max_leaves=8,
)
TYPES: dict[str, type] = {
    'number': int,
    'real': float,
    'flag': bool,
    'items': list,
    'mapping': dict,
    'numbers': dict,
}


def _stamp(text: str) -> xmlrpc.client.DateTime:
    found = xmlrpc.client.DateTime()
    found.value = text
    return found


@hypothesis.given(
    strategies.sampled_from(sorted(classes.CLASSES)),
    strategies.data(),
)
def test_a_record_holds_what_it_is_to_hold_or_says_that_it_does_not(
    class_: str, data: strategies.DataObject
) -> None:
    kinds = classes.CLASSES[class_]
    answer = data.draw(
        strategies.one_of(
            strategies.dictionaries(
                strategies.sampled_from(sorted(kinds)), ANSWERS
            ),
            ANSWERS,
        )
    )
    record = fields.read_record('xen1', class_, answer)
    for field, kind in kinds.items():
        told = ''
        try:
            found = record[field]
        except failures.OddAnswer as exc:
            told = str(exc)
        if not told:
            assert isinstance(found, TYPES.get(kind, str))
            continue
        assert f'{field} of ' in told
        assert len(told) < 1000


@hypothesis.given(ANSWERS)
def test_a_table_that_is_none_is_told_to_whoever_looks(answer: Any) -> None:
    table = fields.read_records('xen1', 'VM', answer)
    if isinstance(answer, dict):
        assert set(table) == set(answer)
        return
    for look in (len, list, lambda t: t.values(), lambda t: t.get('x')):
        with pytest.raises(failures.OddAnswer, match='the records of VM'):
            look(table)


@pytest.mark.parametrize(
    ('spelled', 'read'),
    [
        ('20261123T10:11:12Z', '20261123T10:11:12Z'),
        ('2026-11-23T10:11:12Z', '20261123T10:11:12Z'),
        ('20261123T10:11:12', '20261123T10:11:12Z'),
        ('20261123T10:11:12.500Z', '20261123T10:11:12Z'),
        ('2026-11-23T10:11:12+02:00', '20261123T08:11:12Z'),
        ('20261123T10:11:12-0130', '20261123T11:41:12Z'),
        ('19700101T00:00:00Z', '19700101T00:00:00Z'),
    ],
)
def test_every_spelling_of_a_date_is_one(spelled: str, read: str) -> None:
    for value in (spelled, _stamp(spelled)):
        assert fields.read_value('x', 'call', 'date', value) == read


@pytest.mark.parametrize(
    ('kind', 'value'),
    [
        ('date', 'yesterday'),
        ('date', '20261323T10:11:12Z'),
        ('date', '00010101T00:00:00+23:00'),
        ('date', 1.0),
        ('number', 'abc'),
        ('number', ''),
        ('number', True),
        ('number', 1.5),
        ('number', '9' * 20),
        ('number', '٣'),
        ('real', 'nan'),
        ('real', float('nan')),
        ('real', float('inf')),
        ('real', 10**400),
        ('real', '1e5'),
        ('flag', 'true'),
        ('flag', 1),
        ('uuid', ''),
        ('uuid', 'a b'),
        ('uuid', 'x' * 37),
        ('address', 'x' * 256),
        ('address', '10.0.0.1\n'),
        ('text', 'x' * (values.LONGEST + 1)),
        ('text', None),
        ('items', 'abc'),
        ('items', [1]),
        ('items', ['x'] * (values.MOST_ITEMS + 1)),
        ('mapping', []),
        ('mapping', {'a': 1}),
        ('numbers', {'a': 'b'}),
    ],
)
def test_what_is_of_another_kind_is_not_known(kind: str, value: Any) -> None:
    with pytest.raises(failures.OddAnswer, match='the answer to call is'):
        fields.read_value('xen1', 'call', kind, value)


@pytest.mark.parametrize(
    ('kind', 'value', 'read'),
    [
        ('number', '-1', -1),
        ('number', 5, 5),
        ('real', '1795336195.', 1795336195.0),
        ('numbers', {'a': '2'}, {'a': 2}),
        ('address', '', ''),
    ],
)
def test_other_spellings_are_read(kind: str, value: Any, read: Any) -> None:
    assert fields.read_value('xen1', 'call', kind, value) == read


def test_what_a_release_may_lack_is_no_oddity_and_all_else_is() -> None:
    record = fields.read_record('xen1', 'SR', {'uuid': 'u'})
    assert record.get('is_tools_sr', 'default') == 'default'
    for look in (record.get, record.__getitem__):
        with pytest.raises(failures.OddAnswer, match='shared of SR u is miss'):
            look('shared')
    with pytest.raises(KeyError, match='not among CLASSES'):
        record.get('colour')


def test_secrets_that_come_back_are_not_told() -> None:
    record = fields.read_record(
        'xen1', 'VM', {'is_a_template': 'my secret'}, text.Words(['secret'])
    )
    with pytest.raises(failures.OddAnswer) as told:
        record['is_a_template']
    assert 'secret' not in str(told.value)


@pytest.mark.parametrize(
    ('said', 'kept'),
    [
        ('plain', 'plain'),
        ('thin\u2009space', 'thin\u2009space'),
        ('two\nlines', 'two lines'),
        ('\u202eturned', '\\u202eturned'),
        ('the long-secret!', 'the ***!'),
        ('abc', 'abc'),
    ],
)
def test_words_of_records_are_harmless(said: str, kept: str) -> None:
    """A short password stays: a name may have it by chance."""
    words = text.Words(['long-secret', 'abc'])
    answer = {'name_label': said, 'tags': [said], 'other_config': {said: said}}
    record = fields.read_record('xen1', 'pool', answer, words)
    assert record['name_label'] == kept
    assert record['tags'] == [kept]
    assert record['other_config'] == {kept: kept}


def test_a_session_is_never_named() -> None:
    record = fields.read_record('xen1', 'session', {'uuid': 'u-u'})
    with pytest.raises(failures.OddAnswer) as told:
        record['rbac_permissions']
    assert 'u-u' not in str(told.value)
