"""What an eject switches off, the next join switches on (xapi#tls-again)."""

from collections.abc import Callable

import pytest

from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.rules.joining import trust
from tests.functional import byhand
from tests.functional import service
from tests.functional import stage

CALL = 'pool.enable_tls_verification'
CODE = 'POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH'
JOIN = 'Async.pool.join'


def come_back(running: service.Service) -> int:
    """An aggregate of xen1, from which xen2 has been ejected."""
    key = running.create('xen1', 'xen2')
    running.members.remove_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'succeeded', running.error(key)
    running.watch(key, byhand.WHILE)
    assert running.hosts.get('xen2').phase == 'free'
    return key


def add(running: service.Service, key: int) -> str:
    running.members.add_host(running.ctx, key, 'xen2')
    return running.settle(key)


def verifies(running: service.Service, host: str) -> bool:
    return bool(running.sim.host(host).tls_verification_enabled)


def test_host_that_comes_back_joins_again(running: service.Service) -> None:
    key = come_back(running)
    assert not verifies(running, 'xen2')
    assert add(running, key) == 'succeeded', running.error(key)
    (at,) = running.arrivals(CALL)
    assert at <= running.arrivals(JOIN)[-1]
    (call,) = [c for c in running.sim.calls if c.method == CALL]
    assert call.host == 'xen2'
    assert verifies(running, 'xen2')
    parameters = running.operation(key).parameters
    assert parameters['tls_verification'] == 'enabled'


def test_it_is_not_called_where_it_is_on(running: service.Service) -> None:
    running.create('xen1', 'xen2')
    assert running.arrivals(CALL) == []


def test_by_option_such_a_host_is_refused(running: service.Service) -> None:
    running.conf.set_override('enable_tls_verification', False, 'compute')
    key = come_back(running)
    assert add(running, key) == 'failed'
    assert running.error(key)['code'] == CODE
    assert running.arrivals(CALL) == []


def test_pool_that_has_it_off_is_not_followed(
    running: service.Service,
) -> None:
    """Nothing is switched off, nor on in a pool of several."""
    running.sim.set_pool('xen1', tls_verification_enabled=False)
    key = running.create('xen1')
    assert add(running, key) == 'failed'
    assert running.error(key)['code'] == CODE
    assert running.arrivals(CALL) == []


def test_refusal_ends_the_join_before_it_is_sent(
    running: service.Service,
) -> None:
    key = come_back(running)
    before = len(running.arrivals(JOIN))
    running.sim.plant(call=CALL, host='xen2', action='fail', code='X')
    assert add(running, key) == 'failed'
    assert running.error(key)['code'] == 'X'
    assert len(running.arrivals(JOIN)) == before
    assert running.hosts.get('xen2').phase == 'free'
    assert add(running, key) == 'succeeded', running.error(key)


def test_lost_answer_is_looked_at_again(running: service.Service) -> None:
    key = come_back(running)
    running.sim.plant(call=CALL, host='xen2', action='drop_answer')
    assert add(running, key) == 'succeeded', running.error(key)
    assert len(running.arrivals(CALL)) == 1


# What is told before.


def off(found: stage.Stage) -> None:
    found.sim.set_pool('xen2', tls_verification_enabled=False)


def test_check_tells_it_as_a_note(
    make_stage: Callable[..., stage.Stage],
) -> None:
    found = make_stage()
    off(found)
    report = found.check_join(enables_tls=True)
    stage.assert_readable(report)
    assert report.blockers == ()
    (warning,) = report.warnings
    assert warning.code == 'TLS_VERIFICATION_OFF'
    assert warning.found == 'off on host xen2, on in the pool'
    # As strict as xapi, which the simulator is too, without the option.
    assert stage.codes(found.check_join().blockers) == [CODE]
    assert found.join() == CODE


def test_certificate_that_is_not_valid_keeps_it_off(
    make_stage: Callable[..., stage.Stage],
) -> None:
    found = make_stage()
    off(found)
    db = found.sim.host('xen2').database
    for _ref, row in db.rows('Certificate'):
        row['not_after'] = '20200101T00:00:00Z'
    report = found.check_join(enables_tls=True)
    assert stage.codes(report.blockers) == [CODE]
    assert 'CERTIFICATE_NOT_VALID' in stage.codes(report.warnings)


@pytest.mark.parametrize(
    ('permissions', 'due'),
    [
        (None, True),
        (frozenset({CALL, 'pool.join'}), True),
        (frozenset({'pool.join'}), False),
    ],
)
def test_it_takes_an_account_that_may(
    make_stage: Callable[..., stage.Stage],
    permissions: frozenset[str] | None,
    due: bool,
) -> None:
    found = make_stage()
    off(found)
    read, master = sides.read_sides(found.joiner, found.master)
    joiner = sides.Side(
        read.records, read.servertime, read.read_at, permissions
    )
    assert trust.is_tls_due(sides.Sides(joiner, master, True)) is due
