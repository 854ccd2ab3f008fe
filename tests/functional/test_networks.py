"""Guests move over a network that was asked for, or over that of the pool."""

from collections.abc import Sequence
from typing import Any

import pytest

from aggregates_ext import exception
from aggregates_ext.compute.moving import sending
from aggregates_ext.compute.rules import networks
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import records
from aggregates_ext.xensim.world import world as worlds
from tests.functional import maintaining
from tests.functional import service
from tests.functional import test_moving as moving

key = maintaining.key
running = maintaining.running
NAMES = ('xen1', 'xen2', 'xen3')
UNKNOWN = '11111111-2222-4333-8444-555555555555'
CALL = 'VM.pool_migrate'


class Network:
    """A network of a pool, on which hosts have interfaces."""

    def __init__(
        self,
        running: service.Service,
        name: str = 'storage',
        hosts: Sequence[str] = NAMES,
        subnet: str = '10.9.0',
    ) -> None:
        self.sim = running.sim
        self.db = running.sim.host('xen1').database
        self.subnet = subnet
        self.ref = self.sim.add_record(
            'xen1', 'network', name_label=name, managed=True
        )
        self.uuid = str(self.db.row('network', self.ref)['uuid'])
        self.pifs = {host: self._plug(host) for host in hosts}

    def _plug(self, host: str) -> str:
        return self.sim.add_record(
            'xen1',
            'PIF',
            network=self.ref,
            host=self.db.by_uuid('host', self.sim.host(host).uuid),
            device='eth5',
            IP=f'{self.subnet}.{host[-1]}',
            currently_attached=True,
            primary_address_type='IPv4',
        )

    def set(self, host: str, **values: Any) -> None:
        """Change the interface of a host."""
        self.sim.set_record('xen1', 'PIF', self.pifs[host], **values)

    def is_of_the_pool(self, told: str | None = None) -> None:
        """Let the pool name it, or something else, for moves."""
        self.sim.set_pool(
            'xen1', other_config={networks.KEY: told or self.uuid}
        )

    def took(self) -> list[bool]:
        """Of each move so far whether it went over this network."""
        found = []
        for sent in self.sim.streams:
            here = f'{self.subnet}.{sent.target[-1]}'
            assert sent.address in (here, self.sim.host(sent.target).address)
            found.append(sent.address == here)
        return found


@pytest.fixture
def network(running: service.Service, key: int) -> Network:
    return Network(running)


def enter(
    running: service.Service, key: int, **more: Any
) -> records.Operation:
    running.maintenance.enter(running.ctx, 'xen2', **more)
    return maintaining.finish(running, key)


def leave(
    running: service.Service, key: int, **more: Any
) -> records.Operation:
    running.maintenance.leave(running.ctx, 'xen2', **more)
    return maintaining.finish(running, key)


def refused(operation: records.Operation) -> tuple[str, str]:
    assert operation.state == 'failed', operation
    error = operation.error or {}
    return error['code'], error['message']


def moves(running: service.Service) -> list[records.Move]:
    with running.database.reader() as connection:
        found = db_moves.page(connection, db_moves.Wanted(), 100)
    assert found is not None
    return found


def test_away_and_home_over_the_network_that_is_asked_for(
    running: service.Service, key: int, network: Network
) -> None:
    assert enter(running, key, network=network.uuid).state == 'succeeded'
    assert network.took() == [True] * 3
    ended = leave(running, key, network=network.uuid.upper())
    assert ended.state == 'succeeded'
    assert network.took() == [True] * 6
    assert maintaining.places(running) == [['xen2']] * 3


def test_without_one_they_take_the_management(
    running: service.Service, key: int, network: Network
) -> None:
    assert enter(running, key, network=network.uuid).state == 'succeeded'
    assert leave(running, key).state == 'succeeded'
    assert network.took() == [True] * 3 + [False] * 3


def test_that_of_the_pool_is_taken_where_none_is_asked_for(
    running: service.Service, key: int, network: Network
) -> None:
    network.is_of_the_pool()
    running.watch(key, 0)
    asked = moving.ask(running, 'g0', 'xen3')
    [done] = moving.finish(running, key, asked)
    assert (done.state, done.target) == ('completed', 'xen3')
    assert enter(running, key).state == 'succeeded'
    assert leave(running, key).state == 'succeeded'
    assert network.took() == [True] * 5


@pytest.mark.parametrize('told', ['uuid', 'reference'])
def test_one_that_is_asked_for_wins(
    running: service.Service, key: int, network: Network, told: str
) -> None:
    other = Network(running, 'other', subnet='10.8.0')
    other.is_of_the_pool(other.uuid if told == 'uuid' else other.ref)
    assert enter(running, key, network=network.uuid).state == 'succeeded'
    assert network.took() == [True] * 3
    assert leave(running, key).state == 'succeeded'
    addresses = [sent.address for sent in running.sim.streams[3:]]
    assert addresses == ['10.8.0.2'] * 3


OFF: list[dict[str, Any]] = [
    {'IP': ''},
    {'currently_attached': False},
    {'primary_address_type': 'IPv6', 'IPv6': ['fe80::1/64']},
    {'network': 'OpaqueRef:other'},
]


@pytest.mark.parametrize('host', ['xen2', 'xen3'])
@pytest.mark.parametrize('values', OFF)
def test_who_is_not_on_it_is_told_before_anything_is_done(
    running: service.Service,
    key: int,
    network: Network,
    host: str,
    values: dict[str, Any],
) -> None:
    network.set(host, **values)
    code, message = refused(enter(running, key, network=network.uuid))
    assert code == 'NETWORK_IP'
    assert f'{host} with ' in message
    assert running.arrivals('host.disable') == []
    assert maintaining.host(running).maintenance is None


def test_an_address_of_ipv6_will_do(
    running: service.Service, key: int, network: Network
) -> None:
    for host in NAMES:
        network.set(
            host,
            primary_address_type='IPv6',
            IPv6=['fe80::1/64', f'fd00::{host[-1]}/64'],
        )
    assert enter(running, key, network=network.uuid).state == 'succeeded'
    assert {sent.address[:6] for sent in running.sim.streams} == {'fd00::'}


def test_one_that_the_pool_has_not(
    running: service.Service, key: int, network: Network
) -> None:
    code, message = refused(enter(running, key, network=UNKNOWN))
    assert code == 'NETWORK_UNKNOWN'
    assert UNKNOWN in message
    assert running.arrivals('host.disable') == []
    assert enter(running, key).state == 'succeeded'
    code, message = refused(leave(running, key, network=UNKNOWN))
    assert code == 'NETWORK_UNKNOWN'
    assert running.arrivals('host.enable') == []
    assert maintaining.host(running).maintenance == 'on'
    network.set('xen2', IP='')
    code, message = refused(leave(running, key, network=network.uuid))
    assert (code, 'xen2 with no address' in message) == ('NETWORK_IP', True)
    # Nobody comes home, so nothing is asked of the network.
    ended = leave(running, key, network=network.uuid, restore=False)
    assert ended.state == 'succeeded'


@pytest.mark.parametrize('told', [UNKNOWN, 'what/ever', None])
def test_that_of_the_pool_stops_nothing(
    running: service.Service, key: int, network: Network, told: str | None
) -> None:
    """It names none, or one that no host is on any more."""
    network.is_of_the_pool(told)
    for host in NAMES:
        network.set(host, currently_attached=False)
    assert enter(running, key).state == 'succeeded'
    assert network.took() == [False] * 3


def test_that_of_the_pool_is_taken_by_those_who_are_on_it(
    running: service.Service, key: int, network: Network
) -> None:
    network.is_of_the_pool()
    network.set('xen3', IP='')
    assert enter(running, key).state == 'succeeded'
    ways = {(sent.target, sent.address) for sent in running.sim.streams}
    assert ways == {
        ('xen1', '10.9.0.1'),
        ('xen3', running.sim.host('xen3').address),
    }


def test_what_cannot_be_told_of_it(
    running: service.Service, key: int, network: Network
) -> None:
    """It keeps from going who asked for it, and nobody else."""
    for host in NAMES:
        network.set(host, currently_attached='perhaps')
    code, message = refused(enter(running, key, network=network.uuid))
    assert code == 'ODD_ANSWER'
    assert 'perhaps' in message
    network.is_of_the_pool()
    assert enter(running, key).state == 'succeeded'
    assert network.took() == [False] * 3


@pytest.mark.parametrize(
    ('code', 'parameters'),
    [
        ('INTERFACE_HAS_NO_IP', ['OpaqueRef:pif']),
        ('INTERNAL_ERROR', ['Failure("Failed to connect to: https://…")']),
    ],
)
def test_that_of_the_pool_is_tried_once(
    running: service.Service,
    key: int,
    network: Network,
    code: str,
    parameters: list[str],
) -> None:
    """Then the guest goes to the same host, over the management."""
    network.is_of_the_pool()
    running.watch(key, 0)
    guest = moving.guest(running, 'g0').uuid
    running.sim.plant(
        CALL, action='fail', step=guest, code=code, parameters=parameters
    )
    asked = moving.ask(running, 'g0', 'xen3')
    [done] = moving.finish(running, key, asked)
    assert (done.state, done.target, done.attempts) == ('completed', 'xen3', 2)
    assert network.took() == [False]


def begin(
    running: service.Service, key: int, network: Network
) -> worlds.Stream:
    """The first of three guests is on its way, over a network."""
    running.conf.set_override('move_concurrency', 1, 'compute')
    running.maintenance.enter(running.ctx, 'xen2', network=network.uuid)
    maintaining.go_on(running, key, 0.1)
    [first] = running.sim.streams
    return first


def test_another_target_where_one_lost_its_address(
    running: service.Service, key: int, network: Network
) -> None:
    """After the check; all go to the other one, and over the network."""
    begin(running, key, network)
    network.set('xen3', IP='')
    assert maintaining.finish(running, key).state == 'succeeded'
    assert network.took() == [True] * 3
    targets = [sent.target for sent in running.sim.streams]
    assert targets[1:] == ['xen1', 'xen1']


def test_no_other_way_is_taken_than_the_one_that_was_asked_for(
    running: service.Service, key: int, network: Network
) -> None:
    first = begin(running, key, network)
    network.set('xen2', currently_attached=False)
    code, _message = refused(maintaining.finish(running, key))
    assert code == 'GUESTS_REMAIN'
    assert running.sim.streams == [first]
    for move in moves(running)[:-1]:
        error = move.error or {}
        assert error['code'] == sending.NO_TARGET
        assert (
            'the source has an interface that is not plugged on network '
            f'"storage" ({network.uuid})' in error['message']
        )


def test_a_retry_takes_the_same(
    running: service.Service, key: int, network: Network
) -> None:
    network.set('xen3', IP='')
    failed = enter(running, key, network=network.uuid)
    assert refused(failed)[0] == 'NETWORK_IP'
    network.set('xen3', IP='10.9.0.3')
    running.retries.retry(running.ctx, key, failed.uuid, bool)
    assert maintaining.finish(running, key).state == 'succeeded'
    assert network.took() == [True] * 3


def test_asked_twice_it_is_the_same_network(
    running: service.Service, key: int, network: Network
) -> None:
    first = running.maintenance.enter(
        running.ctx, 'xen2', network=network.uuid
    )
    assert running.maintenance.enter(running.ctx, 'xen2') == first
    with pytest.raises(exception.Conflict, match='over another network'):
        running.maintenance.enter(running.ctx, 'xen2', network=UNKNOWN)
    assert maintaining.finish(running, key).uuid == first


def test_old_hosts_take_no_notice(make_service: Any) -> None:
    """So it is refused, where it would be left out without a word."""
    old = {'hosts': [{'name': n, 'version': 'xcp-ng-8.2'} for n in NAMES]}
    running = make_service(old)
    running.conf.set_override('retry_interval', 0.01, 'compute')
    key = running.create(*NAMES)
    running.sim.add_vm('xen2', 'g0', memory=1 << 30)
    running.watch(key, 0)
    network = Network(running)
    code, message = refused(enter(running, key, network=network.uuid))
    assert code == 'NETWORK_IP'
    assert 'found xapi 1.249' in message
    network.is_of_the_pool()
    assert enter(running, key).state == 'succeeded'
    assert network.took() == [False]
