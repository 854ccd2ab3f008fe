"""The registry refuses what cannot work, naming field and rule."""

from typing import Any

import pytest

from aggregates_ext import exception
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import hosts
from tests import counting

GOOD = {'name': 'xen1', 'url': 'https://10.0.0.11'}
SR = '11111111-1111-1111-1111-111111111111'


@pytest.fixture
def registry(database: engine.Database) -> hosts.Hosts:
    return hosts.Hosts(database)


def test_host_is_registered_with_defaults(registry: hosts.Hosts) -> None:
    registry.add([GOOD])
    host = registry.get('xen1')
    assert (host.credential, host.phase, host.uuid) == (
        'default',
        'free',
        None,
    )


def test_fingerprint_is_kept_in_one_form(registry: hosts.Hosts) -> None:
    registry.add([{**GOOD, 'fingerprint': ':'.join(['AB'] * 32)}])
    assert registry.get('xen1').fingerprint == 'ab' * 32


@pytest.mark.parametrize(
    ('values', 'field'),
    [
        ({'name': ''}, 'name'),
        ({'name': 'x' * 256}, 'name'),
        ({'name': 7}, 'name'),
        ({'name': 'xen 1'}, 'name'),
        ({'name': 'xen1\n'}, 'name'),
        ({'name': 'xén1'}, 'name'),
        ({'name': 'rack1/xen1'}, 'name'),
        ({'url': None}, 'url'),
        ({'url': '10.0.0.11'}, 'url'),
        ({'url': 'ftp://10.0.0.11'}, 'url'),
        ({'url': 'http://10.0.0.11'}, 'url'),
        ({'url': 'https://root:secret@10.0.0.11'}, 'url'),
        ({'availability_zone': 'a:b'}, 'availability_zone'),
        ({'availability_zone': ' az1'}, 'availability_zone'),
        ({'availability_zone': 'az1\n'}, 'availability_zone'),
        ({'availability_zone': 'a\u200db'}, 'availability_zone'),
        ({'credential': 7}, 'credential'),
        ({'fingerprint': 'abc'}, 'fingerprint'),
        ({'password': 'secret'}, 'password'),
    ],
)
def test_bad_registration_names_the_field(
    registry: hosts.Hosts, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(exception.Invalid, match=field) as refusal:
        registry.add([{**GOOD, **values}])
    assert 'secret' not in str(refusal.value)
    assert registry.get_all() == []


def test_clear_text_is_for_this_machine_alone(registry: hosts.Hosts) -> None:
    registry.add([{**GOOD, 'url': 'http://127.0.0.1:8080/'}])
    assert registry.get('xen1').url == 'http://127.0.0.1:8080'


def test_many_are_registered_all_or_none(registry: hosts.Hosts) -> None:
    with pytest.raises(exception.HostExists):
        registry.add([GOOD, {**GOOD, 'url': 'https://10.0.0.12'}])
    assert registry.get_all() == []
    with pytest.raises(exception.Invalid, match='mapping'):
        registry.add(['xen1'])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        ('https://10.0.0.11', 'https://10.0.0.11:443/'),
        ('https://[fd00::1]', 'https://[FD00:0:0::1]'),
        ('https://xen1.test', 'https://XEN1.test.'),
    ],
)
def test_a_url_is_registered_once_however_it_is_written(
    registry: hosts.Hosts, one: str, other: str
) -> None:
    second = {'name': 'xen2', 'url': other}
    with pytest.raises(exception.Conflict, match='host xen1 is registered'):
        registry.add([{'name': 'xen1', 'url': one}, second])
    registry.add([{'name': 'xen1', 'url': one}])
    with pytest.raises(exception.Conflict, match='host xen1 is registered'):
        registry.add([second])
    registry.add([{'name': 'xen2', 'url': 'https://10.0.0.99'}])
    with pytest.raises(exception.Conflict, match='host xen1 is registered'):
        registry.change('xen2', {'url': other})
    registry.change('xen1', {'url': other})


@pytest.mark.parametrize('url', ['https://[fd00::1', 'https://x:99999'])
def test_a_url_that_is_none_is_refused(
    registry: hosts.Hosts, url: str
) -> None:
    with pytest.raises(exception.Invalid, match='https://ADDRESS'):
        registry.add([{'name': 'xen1', 'url': url}])


def test_a_host_is_found_by_any_spelling_of_its_address(
    registry: hosts.Hosts, database: engine.Database
) -> None:
    registry.add([{'name': 'xen1', 'url': 'https://[FD00:0:0::1]:8443'}])
    registry.add([{'name': 'xen2', 'url': 'https://10.0.0.1'}])
    for address, name in (
        ('fd00::1', 'xen1'),
        ('fd00:0::0001', 'xen1'),
        ('10.0.0.1', 'xen2'),
        ('::ffff:10.0.0.1', 'xen2'),
    ):
        with database.reader() as connection:
            found = db_hosts.find(connection, addresses=[address, ''])
        assert [host.name for host in found] == [name], address


def test_unknown_host(registry: hosts.Hosts) -> None:
    registry.add([GOOD])
    with pytest.raises(exception.HostNotFound, match='XEN1'):
        registry.get('XEN1')
    with pytest.raises(exception.HostNotFound):
        registry.remove('xen2')
    with pytest.raises(exception.HostNotFound):
        registry.accept_data_loss('xen2', [SR], 'me')


def test_free_host_is_forgotten(registry: hosts.Hosts) -> None:
    registry.add([GOOD])
    registry.remove('xen1')
    assert registry.get_all() == []


def test_consent_names_uuids(registry: hosts.Hosts) -> None:
    registry.add([GOOD])
    with pytest.raises(exception.Invalid, match='uuid'):
        registry.accept_data_loss('xen1', ['Local storage'], 'me')
    registry.accept_data_loss('xen1', [SR], 'me')
    consent = registry.get('xen1').consent
    assert consent is not None
    assert (consent['srs'], consent['by']) == ([SR], 'me')


def test_many_are_registered_in_few_statements(
    registry: hosts.Hosts,
) -> None:
    many = [
        {'name': f'n{number}', 'url': f'https://n{number}.test'}
        for number in range(500)
    ]
    with counting.counting_statements() as statements:
        registry.add(many)
    assert len(statements) < 10
    assert len(registry.get_all()) == 500
    with pytest.raises(exception.HostExists, match='n7'):
        registry.add([{'name': 'other', 'url': 'https://other'}, many[7]])
    assert len(registry.get_all()) == 500
