"""Records, references and the sets which are computed."""

import pytest

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure


@pytest.fixture
def db():
    return database.Database()


def test_new_records_have_every_field(db):
    ref = db.create('SR', name_label='a')
    record = db.read('SR', ref)
    assert record['name_label'] == 'a'
    assert record['shared'] is False
    assert record['physical_size'] == 0
    assert record['introduced_by'] == 'OpaqueRef:NULL'
    assert record['sm_config'] == {}


def test_records_do_not_share_their_values(db):
    given = {'key': 'value'}
    first = db.create('SR', other_config=given)
    given['key'] = 'changed'
    db.row('SR', db.create('SR'))['tags'].append('tag')
    assert db.row('SR', first)['other_config'] == {'key': 'value'}
    assert db.row('SR', first)['tags'] == []
    db.read('SR', first)['other_config']['key'] = 'changed'
    assert db.row('SR', first)['other_config'] == {'key': 'value'}


def test_the_other_end_of_a_reference_is_computed(db):
    sr = db.create('SR')
    vdi = db.create('VDI', SR=sr)
    assert db.read('SR', sr)['VDIs'] == [vdi]
    db.delete('VDI', vdi)
    assert db.read('SR', sr)['VDIs'] == []


def test_unknown_refs_and_uuids(db):
    with pytest.raises(failure.Failure) as caught:
        db.read('SR', 'x')
    assert caught.value.description == ['HANDLE_INVALID', 'SR', 'x']
    with pytest.raises(failure.Failure) as caught:
        db.by_uuid('SR', 'x')
    assert caught.value.description == ['UUID_INVALID', 'SR', 'x']


def test_dates_are_whole_seconds_of_utc():
    date = database.date(0.9)
    assert date.isoformat() == '1970-01-01T00:00:00+00:00'
