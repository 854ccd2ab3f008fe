"""The compute service asked and woken through oslo.messaging (fake:/)."""

import threading
from collections.abc import Iterator

import pytest

from aggregates_ext import exception
from aggregates_ext import rpc
from aggregates_ext.compute import endpoint as compute_endpoint
from aggregates_ext.compute.xen import connections
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.domain import intent
from aggregates_ext.domain.membership import members
from tests.functional import service


class Bus:
    """A compute service on a bus of its own, and its client.

    :ivar woken: set by each wake-up.
    """

    def __init__(self, running: service.Service) -> None:
        running.conf.set_override('rpc_response_timeout', 20)
        transport = rpc.get_transport(running.conf)
        assert transport is not None
        self.woken = threading.Event()
        endpoint = compute_endpoint.Endpoint(
            running.database,
            connections.Connector(running.conf),
            self.woken.set,
        )
        self.server = compute_endpoint.get_server(transport, endpoint)
        self.client = rpc.ComputeAPI(transport, check_timeout=20)
        self.members = members.Members(
            intent.Intent(running.database, self.client, 0)
        )


@pytest.fixture
def bus(running: service.Service) -> Iterator[Bus]:
    """The service with a bus, whose server runs."""
    rpc.get_transport(running.conf)
    running.conf.set_override('transport_url', 'fake:/')
    bus = Bus(running)
    bus.server.start()
    yield bus
    bus.server.stop()
    bus.server.wait()


def test_accepted_request_wakes_the_service(
    running: service.Service, bus: Bus
) -> None:
    key = running.aggregates.create('a', None).id
    bus.members.add_host(running.ctx, key, 'xen1')
    assert bus.woken.wait(10)


def test_unmet_requirements_refuse_before_anything_is_written(
    running: service.Service, bus: Bus
) -> None:
    key = running.create('xen1')
    running.sim.add_vm('xen2', 'web', power_state='Running')
    running.sim.add_vlan('xen2', 5)
    with pytest.raises(exception.Refused) as refusal:
        bus.members.add_host(running.ctx, key, 'xen2')
    assert [problem.code for problem in refusal.value.problems] == [
        'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS',
        'POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS',
    ]
    assert 'web (Running, ' in str(refusal.value)
    assert running.hosts.get('xen2').phase == 'free'
    assert len(running.operations.get_all(key)) == 1


def test_a_second_host_is_checked_against_the_one_that_founds_the_pool(
    running: service.Service, bus: Bus
) -> None:
    """Its join would be refused after 200, where no client sees it."""
    key = running.aggregates.create('a', None).id
    bus.members.add_host(running.ctx, key, 'xen1')
    running.sim.add_vm('xen2', 'web', power_state='Running')
    with pytest.raises(exception.Refused) as refusal:
        bus.members.add_host(running.ctx, key, 'xen2')
    assert [problem.code for problem in refusal.value.problems] == [
        'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS'
    ]
    bus.members.add_host(running.ctx, key, 'xen3')
    # As the first one it may have machines.
    running.sim.power_off('xen1')
    bus.members.add_host(running.ctx, key, 'xen2')
    assert running.aggregates.get(key).hosts == ('xen1', 'xen2', 'xen3')


def test_data_loss_refuses_before_anything_is_written(
    running: service.Service, bus: Bus
) -> None:
    key = running.create('xen1', 'xen2')
    sr = running.sim.add_sr('xen2', 'data', vdis=[{'name': 'customer'}])
    with pytest.raises(exception.Refused, match='customer'):
        bus.members.remove_host(running.ctx, key, 'xen2')
    assert running.hosts.get('xen2').phase == 'member'
    # What was seen at the consent is stored: a later disk refuses.
    bus.members.remove_host(running.ctx, key, 'xen2', [sr])
    running.sim.add_sr('xen2', 'more', vdis=[{'name': 'new'}])
    running.work()
    assert running.operation(key).state == 'failed'
    assert running.sim.destroyed_vdis == []


def test_consent_by_command_counts_before_acceptance_too(
    running: service.Service, bus: Bus
) -> None:
    key = running.create('xen1', 'xen2')
    sr = running.sim.add_sr('xen2', 'data', vdis=[{'name': 'customer'}])
    with pytest.raises(exception.Refused):
        bus.members.remove_host(running.ctx, key, 'xen2')
    running.hosts.accept_data_loss('xen2', [sr], 'operator')
    bus.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    assert running.operation(key).state == 'succeeded'
    assert len(running.sim.destroyed_vdis) == 1


def test_host_that_is_bound_is_refused_before_it_is_asked(
    running: service.Service, bus: Bus
) -> None:
    key = running.create('xen1', 'xen2')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    with pytest.raises(exception.HostNotFree, match='returning'):
        bus.members.add_host(running.ctx, key, 'xen2')
    with pytest.raises(exception.AggregateHostExists):
        bus.members.add_host(running.ctx, key, 'xen1')


def test_dry_run_reports_and_changes_nothing(
    running: service.Service, bus: Bus
) -> None:
    key = running.create('xen1')
    running.sim.add_vm('xen2', 'web', power_state='Running')
    report = bus.members.check_host(key, 'xen2', 'add')
    assert [b['code'] for b in report['blockers']] == [
        'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS'
    ]
    assert set(report['blockers'][0]) >= {'rule', 'found', 'remedy', 'message'}
    assert bus.members.check_host(key, 'xen3', 'add')['blockers'] == []
    assert running.hosts.get('xen2').phase == 'free'


def test_unreachable_host_is_an_answer_too(
    running: service.Service, bus: Bus
) -> None:
    key = running.create('xen1')
    running.sim.power_off('xen2')
    report = bus.members.check_host(key, 'xen2', 'add')
    assert report['blockers'][0]['code'] == 'HOST_UNREACHABLE'


def test_both_sides_that_cannot_be_read_are_told(
    running: service.Service, bus: Bus
) -> None:
    key = running.create('xen1')
    for name in ('xen1', 'xen2'):
        running.sim.power_off(name)
    report = bus.members.check_host(key, 'xen2', 'add')
    assert [b['code'] for b in report['blockers']] == [
        'HOST_UNREACHABLE',
        'NO_MASTER',
    ]


def test_what_passes_is_told_and_does_not_refuse(
    running: service.Service, bus: Bus
) -> None:
    key = running.create('xen1')
    running.sim.set_pool('xen1', is_psr_pending=True)
    (blocker,) = bus.members.check_host(key, 'xen2', 'add')['blockers']
    assert blocker['heals']
    bus.members.add_host(running.ctx, key, 'xen2')
    assert running.hosts.get('xen2').phase == 'joining'


def test_what_passes_is_named_beside_what_refuses(
    running: service.Service, bus: Bus
) -> None:
    key = running.create('xen1')
    running.sim.set_pool('xen1', is_psr_pending=True)
    running.sim.add_vm('xen2', 'web', power_state='Running')
    with pytest.raises(exception.Refused, match='ROTATION_PENDING'):
        bus.members.add_host(running.ctx, key, 'xen2')


def test_first_host_is_checked(running: service.Service, bus: Bus) -> None:
    key = running.aggregates.create('a', None).id
    running.sim.set_pool('xen1', ha_enabled=True, name_label='old')
    report = bus.members.check_host(key, 'xen1', 'add')
    assert report['blockers'] == []
    assert [w['code'] for w in report['warnings']] == [
        'POOL_HAS_A_NAME',
        'POOL_IS_CLOSED',
    ]
    running.sim.set_pool(
        'xen1', other_config={'aggregates-ext:aggregate': 'theirs'}
    )
    report = bus.members.check_host(key, 'xen1', 'add')
    assert report['blockers'][0]['code'] == 'POOL_IS_MARKED'


def test_what_the_aggregates_forbid_is_told_too(
    running: service.Service, bus: Bus
) -> None:
    key = running.create('xen1')
    zoned = running.aggregates.create('b', 'az2').id
    with running.database.writer() as connection:
        db_hosts.update(connection, 'xen2', {'availability_zone': 'az1'})
    for aggregate, host, purpose, code in (
        (key, 'xen2', 'remove', 'NOT_A_MEMBER'),
        (zoned, 'xen1', 'remove', 'NOT_A_MEMBER'),
        (zoned, 'xen1', 'add', 'HOST_NOT_FREE'),
        (zoned, 'xen2', 'add', 'ZONE_MISMATCH'),
    ):
        report = bus.members.check_host(aggregate, host, purpose)
        assert [b['code'] for b in report['blockers']] == [code]


def test_pool_that_is_marked_by_others_is_told(
    running: service.Service, bus: Bus
) -> None:
    key = running.create('xen1')
    running.sim.set_pool(
        'xen1', other_config={'aggregates-ext:aggregate': 'theirs'}
    )
    report = bus.members.check_host(key, 'xen2', 'add')
    assert report['blockers'][0]['code'] == 'FOREIGN_MARK'


def test_nobody_there_means_accepted(running: service.Service) -> None:
    rpc.get_transport(running.conf)
    running.conf.set_override('transport_url', 'fake:/')
    client = rpc.ComputeAPI(rpc.get_transport(running.conf), 0.1)
    lonely = members.Members(intent.Intent(running.database, client, 0))
    key = running.aggregates.create('a', None).id
    assert lonely.add_host(running.ctx, key, 'xen1').operation is not None
    with pytest.raises(exception.Unavailable, match='transport_url'):
        lonely.check_host(key, 'xen2', 'add')


def test_no_transport_url_means_no_messaging(
    running: service.Service,
) -> None:
    assert rpc.get_transport(running.conf) is None
