"""What is seen of a pool, and where it differs from the intent."""

import contextlib

from aggregates_ext.compute.observation import views
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import leases
from tests.functional import service


def test_observation_shows_the_pool(running: service.Service) -> None:
    key = running.create('xen1', 'xen2')
    aggregate = running.aggregates.get(key)
    assert aggregate.observation is not None
    assert aggregate.observation['name_label'] == 'pool'
    assert aggregate.observation['master'] == running.sim.host('xen1').uuid
    assert {h['uuid'] for h in aggregate.observation['hosts']} == {
        running.sim.host('xen1').uuid,
        running.sim.host('xen2').uuid,
    }
    assert aggregate.drift == ()


def test_label_follows_the_name(running: service.Service) -> None:
    key = running.create('xen1')
    change = running.aggregates.update(running.ctx, key, {'name': 'new'})
    assert change.operation is not None
    running.work()
    assert running.pool_of('xen1')['name_label'] == 'new'
    assert running.state(key) == 'active'


def test_label_changed_by_hand_is_drift(running: service.Service) -> None:
    key = running.create('xen1')
    running.sim.set_pool('xen1', name_label='by hand')
    running.watch(key, 0)
    assert 'by hand' in running.aggregates.get(key).drift[0].message
    assert running.state(key) == 'error'
    assert running.pool_of('xen1')['name_label'] == 'by hand'


def test_lost_mark_is_drift(running: service.Service) -> None:
    key = running.create('xen1')
    with contextlib.closing(running.login('xen1')) as session:
        (ref,) = session.call('pool.get_all')
        session.call('pool.remove_from_other_config', ref, views.MARK)
    running.watch(key, 0)
    assert running.aggregates.get(key).drift[0].code == 'MARK_LOST'


def test_dead_master_is_drift(running: service.Service) -> None:
    key = running.create('xen1')
    running.sim.power_off('xen1')
    running.watch(key, 0)
    (drift,) = running.aggregates.get(key).drift
    assert 'No host answers as the master' in drift.message
    running.sim.power_on('xen1')
    running.watch(key, 600)
    assert running.aggregates.get(key).drift == ()
    assert running.state(key) == 'active'


def test_failed_rename_shows_as_drift_and_heals(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    running.sim.plant(call='pool.set_name_label', action='fail')
    running.aggregates.update(running.ctx, key, {'name': 'new'})
    running.work()
    assert running.operation(key).state == 'failed'
    assert '"pool"' in running.aggregates.get(key).drift[0].message
    assert running.state(key) == 'error'
    running.sim.set_pool('xen1', name_label='new')
    running.watch(key, 0)
    assert running.state(key) == 'active'


def test_master_that_nobody_registered_is_named(
    running: service.Service,
) -> None:
    """A slave's address leads to registered hosts only, never to a URL."""
    key = running.create('xen1', 'xen2')
    with running.database.writer() as connection:
        db_hosts.update(connection, 'xen1', {'address': None})
        db_hosts.update(
            connection, 'xen1', {'url': running.sim.host('xen2').url}
        )
    running.watch(key, 0)
    (drift,) = running.aggregates.get(key).drift
    assert 'HOST_IS_SLAVE (10.0.0.11)' in drift.message
    assert 'no host of the aggregate has that address' in drift.message


def test_clock_of_the_database_that_is_set_back_ends_no_looks(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    with running.database.writer() as connection:
        connection.exec_driver_sql(
            'UPDATE aggregates SET observed_at = observed_at + 3600'
        )
        assert leases.candidates(connection, 60, 10) == [key]
        assert leases.candidates(connection, 7200, 10) == []


def test_pool_is_not_looked_at_for_what_waits_behind_a_resting_operation(
    running: service.Service,
) -> None:
    """Both are about no host, so the second one rests with the first."""
    running.conf.set_override('retry_interval', 60.0, 'compute')
    key = running.create('xen1')
    running.sim.power_off('xen1')
    running.pools.adopt(running.ctx, key)
    running.pools.reapply(running.ctx, key)
    running.work(1)
    with running.database.reader() as connection:
        assert leases.candidates(connection, 1e9, 10) == []
