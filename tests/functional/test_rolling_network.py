"""Guests of a restart of all hosts go over one network, away and home."""

from typing import Any

import pytest

from aggregates_ext.compute.maintenance import planning
from aggregates_ext.compute.xen import connections
from tests.functional import service
from tests.functional import test_networks as networks
from tests.functional import test_rolling as rolling

running = rolling.running
key = rolling.key


@pytest.fixture
def network(running: service.Service, key: int) -> networks.Network:
    return networks.Network(running, hosts=rolling.NAMES)


def test_all_moves_of_a_run(
    running: service.Service, key: int, network: networks.Network
) -> None:
    uuid = rolling.roll(running, key, network=network.uuid)
    assert rolling.finish(running, key, uuid).state == 'succeeded'
    assert rolling.at_home(running)
    took = network.took()
    assert all(took)
    # Each has left its host, and those who were away have come home.
    assert len(took) >= 5


def test_it_ends_where_the_network_is_lost_and_goes_on(
    running: service.Service, key: int, network: networks.Network
) -> None:
    """Guests take no other way, and a retry takes the same."""
    uuid = rolling.roll(running, key, network=network.uuid)
    for _ in range(300):
        rolling.go_on(running, key)
        if rolling.states(rolling.get(running, uuid)).get('xen2') != 'waiting':
            break
    network.set('xen4', currently_attached=False)
    ended = rolling.finish(running, key, uuid)
    assert ended.state == 'failed'
    assert (ended.error or {})['code'] == 'NETWORK_IP', ended.error
    assert 'xen4 with an interface' in (ended.error or {})['message']
    network.set('xen4', currently_attached=True)
    again = running.retries.retry(running.ctx, key, uuid, bool)
    assert rolling.finish(running, key, again.uuid).state == 'succeeded'
    assert rolling.at_home(running)
    assert all(network.took())


def test_a_run_is_given_up_without_its_network(
    running: service.Service, key: int, network: networks.Network
) -> None:
    """The present host takes guests again; who cannot come home is told."""
    asked = {'pause': 'before_reboot', 'hosts': ['xen2']}
    uuid = rolling.roll(running, key, network=network.uuid, **asked)
    for _ in range(100):
        rolling.go_on(running, key)
        if rolling.states(rolling.get(running, uuid)).get('xen2') == 'paused':
            break
    network.set('xen2', IP='')
    running.operations.cancel(running.ctx, key, uuid)
    ended = rolling.finish(running, key, uuid)
    assert ended.state == 'cancelled'
    assert 'xen2-0' in (ended.error or {})['message']
    assert running.hosts.get('xen2').maintenance is None
    assert not running.hosts.get('xen2').disabled
    assert network.took() == [True]


def test_its_plan_tells_who_is_not_on_it(
    running: service.Service, key: int, network: networks.Network
) -> None:
    network.set('xen3', IP='')

    def look(**asked: str) -> dict[str, Any]:
        return planning.look(
            connections.Connector(running.conf),
            running.hosts.get_all(),
            running.aggregates.get(key),
            {'restore': True, **asked},
        )

    [problem] = look(network=network.uuid)['blockers']
    assert problem['code'] == 'NETWORK_IP'
    assert problem['found'] == 'xen1, xen2, xen3, xen4: xen3 with no address'
    [problem] = look(network=networks.UNKNOWN)['blockers']
    assert problem['code'] == 'NETWORK_UNKNOWN'
    codes = {problem['code'] for problem in look()['warnings']}
    assert 'MIGRATION_NETWORK' not in codes
    network.is_of_the_pool()
    found = look()
    assert found['blockers'] == []
    told = {problem['code']: problem['found'] for problem in found['warnings']}
    assert told['MIGRATION_NETWORK'] == (
        f'xen1, xen2, xen3, xen4: "storage" ({network.uuid}); xen3 with no '
        'address'
    )
    network.is_of_the_pool(networks.UNKNOWN)
    told = {problem['code']: problem for problem in look()['warnings']}
    assert 'none of the pool' in told['MIGRATION_NETWORK']['found']
