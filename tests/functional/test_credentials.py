"""Passwords and certificates: which serve, which are refused, and how often.

Hosts count failed logins and may lock the account (xapi#operator-fault-14).
"""

import hashlib
import pathlib
import shutil
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from aggregates_ext import conf as options
from aggregates_ext import exception
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import leases
from aggregates_ext.db.schema import models
from tests.functional import service

Make = Callable[..., service.Service]
LOGIN = 'session.login_with_password'
openssl = pytest.mark.skipif(
    shutil.which('openssl') is None, reason='no program openssl'
)


def set_password(running: service.Service, host: str, password: str) -> None:
    """Configure another password for the credential of a host."""
    credential = running.hosts.get(host).credential
    group = options.register_credential(running.conf, credential)
    running.conf.set_override('password', password, group)


def logins(running: service.Service, host: str) -> int:
    """How many logins have arrived at a host."""
    return sum(
        call.method == LOGIN and call.host == host
        for call in running.sim.calls
    )


def test_joined_host_is_worked_with_under_the_pools_account(
    make_service: Make,
) -> None:
    """Also after its eject, into another pool and out of it."""
    running = make_service(
        {
            'hosts': [
                {'name': 'xen1'},
                {'name': 'xen2', 'password': 'own'},
                {
                    'name': 'xen3',
                    'password': 'theirs',
                    'tls_verification_enabled': False,
                },
            ]
        }
    )
    first, second = running.create('xen1', 'xen2'), running.create(name='two')
    pools = running.hosts.get('xen1').credential
    assert running.hosts.get('xen2').credential == pools
    running.members.remove_host(running.ctx, first, 'xen2')
    running.work()
    running.watch(first, 600)
    assert running.hosts.get('xen2').phase == 'free'
    assert running.hosts.get('xen2').credential == pools

    running.members.add_host(running.ctx, second, 'xen3')
    running.members.add_host(running.ctx, second, 'xen2')
    running.work()
    found = running.hosts.get('xen2')
    assert found.phase == 'member', running.operation(second)
    assert found.credential == running.hosts.get('xen3').credential != pools
    running.members.remove_host(running.ctx, second, 'xen2')
    running.work()
    running.watch(second, 600)
    assert running.hosts.get('xen2').phase == 'free'


def test_wrong_password_of_a_pool_is_final_and_not_repeated(
    running: service.Service,
) -> None:
    """Each operation asks once; observations ask no more than one does."""
    key = running.create('xen1', 'xen2')
    set_password(running, 'xen1', 'wrong')
    before = logins(running, 'xen1')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    operation = running.operation(key)
    assert operation.state == 'failed'
    assert operation.error is not None
    assert operation.error['code'] == 'SESSION_AUTHENTICATION_FAILED'
    assert running.hosts.get('xen2').phase == 'member'
    assert logins(running, 'xen1') == before + 1
    for _ in range(5):
        running.manager.work_on(key)
    assert logins(running, 'xen1') == before + 1
    (drift,) = running.aggregates.get(key).drift
    assert 'password was not accepted' in drift.message
    assert 'wrong' not in drift.message


def test_observation_asks_a_refusing_host_once_an_interval(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    set_password(running, 'xen1', 'wrong')
    before = logins(running, 'xen1')
    for _ in range(3):
        running.manager.work_on(key)
    assert logins(running, 'xen1') == before + 1
    running.conf.set_override('observe_interval', 0.1, 'compute')
    for _ in range(1000):
        running.manager.work_on(key)
        if logins(running, 'xen1') > before + 1:
            break
    assert logins(running, 'xen1') == before + 2


def test_another_password_is_tried_at_once(running: service.Service) -> None:
    key = running.create('xen1')
    right = running.sim.host('xen1').password
    set_password(running, 'xen1', 'wrong')
    running.manager.work_on(key)
    assert running.aggregates.get(key).drift != ()
    set_password(running, 'xen1', right)
    running.manager.work_on(key)
    assert running.aggregates.get(key).drift == ()


@pytest.mark.parametrize('lost', [False, True])
def test_a_join_that_was_sent_does_not_hammer_a_refusing_host(
    running: service.Service, lost: bool
) -> None:
    """Its password changes while it joins.

    The logins before: to look, to send, and where the answer was lost, to
    end the session of the call.
    """
    running.conf.set_override('retry_interval', 0.01, 'compute')
    key = running.create('xen1')
    if lost:
        running.sim.plant(
            call='Async.pool.join', host='xen2', action='drop_answer'
        )
    right = 3 if lost else 2
    running.sim.plant(
        call=LOGIN,
        host='xen2',
        action='fail',
        code='SESSION_AUTHENTICATION_FAILED',
        nth=right + 1,
        times=0,
    )
    running.members.add_host(running.ctx, key, 'xen2')
    for _ in range(1000):
        running.work()
        error = running.operation(key).error
        if error and error['code'] == 'SESSION_AUTHENTICATION_FAILED':
            break
    operation = running.operation(key)
    assert operation.state == 'running', operation
    assert operation.not_before is not None
    assert logins(running, 'xen2') == right + 1


def test_joining_host_is_not_asked_with_the_account_of_the_pool(
    make_service: Make,
) -> None:
    """The master is sought among those who can be it."""
    running = make_service(
        {'hosts': [{'name': 'xen1'}, {'name': 'xen2', 'password': 'own'}]}
    )
    key = running.create('xen1')
    running.sim.power_off('xen1')
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    operation = running.operation(key)
    assert operation.error is not None
    assert operation.error['code'] == 'NO_MASTER', operation.error
    assert 'xen2' not in str(running.aggregates.get(key).drift)


def tls_service(make_service: Make) -> service.Service:
    """Two hosts with certificates, which are pinned."""
    running = make_service(
        {'tls': True, 'hosts': [{'name': 'xen1'}, {'name': 'xen2'}]}
    )
    for name in ('xen1', 'xen2'):
        running.hosts.change(name, {'fingerprint': fingerprint(running, name)})
    return running


def candidates_later(running: service.Service, seconds: float) -> list[int]:
    """The aggregates that want work so long after their last look."""
    with running.database.writer() as connection:
        column = models.aggregates.c.observed_at
        connection.execute(
            sa.update(models.aggregates).values(observed_at=column - seconds)
        )
        return leases.candidates(connection, 60, 10)


@pytest.mark.parametrize(('alarm', 'often'), [(None, True), ('x', False)])
def test_returning_host_with_an_alarm_is_not_looked_at_more_often(
    running: service.Service, alarm: str | None, often: bool
) -> None:
    key = running.create('xen1', 'xen2')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    with running.database.writer() as connection:
        db_hosts.update(connection, 'xen2', {'alarm': alarm})
    assert candidates_later(running, 20) == ([key] if often else [])
    assert candidates_later(running, 60) == [key]


def fingerprint(running: service.Service, host: str) -> str:
    """The fingerprint of the certificate that a host shows now."""
    path = pathlib.Path(running.sim.host(host).spec.tls_certificate)
    der = ssl.PEM_cert_to_DER_cert(path.read_text())
    return hashlib.sha256(der).hexdigest()


@openssl
def test_ejected_host_comes_free_when_its_new_certificate_is_accepted(
    make_service: Make,
) -> None:
    running = tls_service(make_service)
    key = running.create('xen1', 'xen2')
    assert running.hosts.get('xen2').phase == 'member'
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    running.watch(key, 600)
    running.watch(key, 10)
    seen = fingerprint(running, 'xen2')
    found = running.hosts.get('xen2')
    assert found.phase == 'returning'
    assert found.fingerprint != seen
    assert found.alarm is not None
    assert f'host set xen2 --fingerprint {seen}' in found.alarm
    assert candidates_later(running, 20) == []
    running.hosts.change('xen2', {'fingerprint': seen})
    running.watch(key, 10)
    assert running.hosts.get('xen2').phase == 'free'
    assert running.hosts.get('xen2').alarm is None


@openssl
def test_certificate_changed_without_an_eject_is_told(
    make_service: Make,
) -> None:
    running = tls_service(make_service)
    key = running.create('xen1')
    running.hosts.change('xen1', {'fingerprint': '0' * 64})
    running.watch(key, 0)
    (drift,) = running.aggregates.get(key).drift
    seen = fingerprint(running, 'xen1')
    assert f'host set xen1 --fingerprint {seen}' in drift.message


@openssl
def test_join_of_a_host_with_another_certificate_fails_at_once(
    make_service: Make,
) -> None:
    running = tls_service(make_service)
    key = running.create('xen1')
    running.hosts.change('xen2', {'fingerprint': '0' * 64})
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    operation = running.operation(key)
    assert operation.state == 'failed'
    assert operation.error is not None
    assert operation.error['code'] == 'CERTIFICATE_CHANGED'
    assert operation.error['parameters'] == [fingerprint(running, 'xen2')]


def test_zone_of_a_bound_host_fits_its_aggregate(
    running: service.Service,
) -> None:
    key = running.aggregates.create('zoned', 'az1').id
    running.members.add_host(running.ctx, key, 'xen1')
    with pytest.raises(exception.HostZoneMismatch, match='az2'):
        running.hosts.change('xen1', {'availability_zone': 'az2'})
    changed = running.hosts.change('xen1', {'availability_zone': 'az1'})
    assert changed.availability_zone == 'az1'
    assert (
        running.hosts.change('xen1', {'availability_zone': None})
    ).availability_zone is None


def test_another_machine_at_a_new_url_is_noticed(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    url = running.sim.host('xen2').url
    running.hosts.remove('xen2')
    running.hosts.change('xen1', {'url': url})
    running.watch(key, 0)
    (drift,) = running.aggregates.get(key).drift
    assert 'xen1 is the master of pool' in drift.message


def test_credential_of_a_member_is_that_of_its_pool(
    running: service.Service,
) -> None:
    key = running.create('xen1', 'xen2')
    password = running.sim.host('xen1').password
    running.conf.set_override('credentials', ['a', 'new'], 'xenserver')
    group = options.register_credential(running.conf, 'new')
    running.conf.set_override('password', password, group)
    running.hosts.change('xen2', {'credential': 'new'})
    assert running.aggregates.get(key).credential == 'new'
    assert running.hosts.get('xen1').credential == 'new'
    assert running.hosts.get('xen3').credential == 'a'
    running.watch(key, 0)
    assert running.aggregates.get(key).drift == ()


@pytest.mark.parametrize(
    ('values', 'rule'),
    [
        ({'url': 'http://10.0.0.1'}, 'clear'),
        ({'fingerprint': 'abc'}, '64 hexadecimal'),
        ({'availability_zone': 'a:b'}, 'without ":"'),
        ({'credential': ' '}, 'credential'),
    ],
)
def test_change_is_checked_as_a_new_host(
    running: service.Service, values: dict[str, Any], rule: str
) -> None:
    before = running.hosts.get('xen1')
    with pytest.raises(exception.Invalid, match=rule):
        running.hosts.change('xen1', values)
    assert running.hosts.get('xen1') == before
