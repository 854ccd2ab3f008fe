"""Changes of records are noticed however they are made."""

import copy
import pickle
import threading

import pytest

from aggregates_ext.xensim.records import database


@pytest.fixture
def db():
    return database.Database()


@pytest.fixture
def ref(db):
    return db.create('pool', other_config={'a': '1'})


def changes(db, since=0):
    return [
        (change.operation, change.kind, change.ref)
        for change in db.journal.since(since)
    ]


@pytest.mark.parametrize(
    'change',
    [
        lambda row: row.update(name_label='x'),
        lambda row: row['other_config'].update(b='2'),
        lambda row: row['other_config'].pop('a'),
        lambda row: row['other_config'].setdefault('c', ''),
        lambda row: row['other_config'].clear(),
        lambda row: row['other_config'].__ior__({'d': ''}),
        lambda row: row.get('other_config').popitem(),
        lambda row: row['tags'].append('x'),
        lambda row: row['tags'].extend(['x', 'y']),
        lambda row: row['tags'].insert(0, 'x'),
        lambda row: row['tags'].__iadd__(['x']),
    ],
)
def test_every_way_to_change_a_record_is_told(db, ref, change):
    before = db.journal.generation
    change(db.row('pool', ref))
    assert changes(db, before) == [('mod', 'pool', ref)]


@pytest.mark.parametrize(
    'change',
    [
        lambda row: row.update(name_label=''),
        lambda row: row['other_config'].update(a='1'),
        lambda row: row['other_config'].pop('b', None),
        lambda row: row['tags'].extend([]),
        lambda row: dict(row)['tags'].append('x'),
    ],
)
def test_what_changes_nothing_is_not_told(db, ref, change):
    before = db.journal.generation
    change(db.row('pool', ref))
    assert changes(db, before) == []


def test_copies_are_plain(db, ref):
    row = db.row('pool', ref)
    assert row['other_config'] == {'a': '1'}
    for copied in (copy.deepcopy(row), pickle.loads(pickle.dumps(row))):  # noqa: S301
        assert type(copied) is dict
        assert type(copied['other_config']) is dict
        assert type(copied['tags']) is list


def test_both_ends_of_a_reference_change(db):
    host, other = db.create('host'), db.create('host')
    pif = db.create('PIF', host=host)
    before = db.journal.generation
    db.row('PIF', pif)['host'] = other
    assert changes(db, before) == [
        ('mod', 'host', other),
        ('mod', 'host', host),
        ('mod', 'PIF', pif),
    ]
    before = db.journal.generation
    db.delete('PIF', pif)
    assert set(changes(db, before)) == {
        ('del', 'PIF', pif),
        ('mod', 'host', other),
    }


def test_a_record_kept_in_hand_changes_nothing_once_deleted(db, ref):
    row = db.row('pool', ref)
    db.clear('pool')
    before = db.journal.generation
    row['name_label'] = 'late'
    assert changes(db, before) == []
    assert changes(db) == []


def test_a_watcher_is_set_by_each_change(db, ref):
    event = threading.Event()
    db.journal.watch(event)
    db.row('pool', ref)['name_label'] = 'x'
    assert event.is_set()
    event.clear()
    db.journal.forget(event)
    db.row('pool', ref)['name_label'] = 'y'
    assert not event.is_set()
