"""Hosts in maintenance as services: why they are disabled, and after that."""

import pytest

from aggregates_ext.db import records
from tests.functional import maintaining
from tests.functional import service
from tests.functional import test_maintained
from tests.functional import test_servers as servers

key = maintaining.key
running = maintaining.running
settle = test_maintained.settle


@pytest.fixture
def api(running: service.Service, key: int) -> servers.Api:
    return servers.Api(running)


def told(api: servers.Api, microversion: str = '2.1') -> tuple[str, str]:
    """Status and reason of the service of xen2."""
    [found] = api('os-services?host=xen2', microversion)['services']
    return found['status'], found['disabled_reason']


def enter(running: service.Service, key: int, reason: str | None) -> str:
    """Take xen2 into maintenance; uuid of the operation."""
    found = running.maintenance.enter(running.ctx, 'xen2', reason=reason)
    assert maintaining.finish(running, key).state == 'succeeded'
    assert found is not None
    return found


def disable(running: service.Service, key: int) -> None:
    running.enabling.set_service(
        running.ctx, 'xen2', records.DISABLED, 'bad fan'
    )
    settle(running, key)


@pytest.mark.parametrize('microversion', ['2.1', '2.11', '2.53', '2.96'])
def test_reason_names_maintenance_and_request(
    running: service.Service, key: int, api: servers.Api, microversion: str
) -> None:
    asked = running.maintenance.enter(running.ctx, 'xen2', reason='memory')
    reason = f'maintenance: memory (operation {asked})'
    assert told(api, microversion) == (
        'disabled',
        f'{reason} (its pool has it enabled, as last seen)',
    )
    assert maintaining.finish(running, key).state == 'succeeded'
    assert told(api, microversion) == ('disabled', reason)
    shown = api('os-aggregates/1/pool')['pool']['hosts']
    [found] = [h for h in shown if h['name'] == 'xen2']
    assert found['disabled_reason'] == reason
    running.maintenance.leave(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    assert told(api, microversion) == ('enabled', None)


def test_without_a_reason(
    running: service.Service, key: int, api: servers.Api
) -> None:
    asked = enter(running, key, None)
    assert told(api)[1] == f'maintenance (operation {asked})'


def test_guests_of_a_host_in_maintenance(
    running: service.Service, key: int, api: servers.Api
) -> None:
    enter(running, key, None)
    running.sim.add_vm('xen2', 'late')
    running.watch(key, 0)
    [late] = api('servers?all_tenants=1&name=late')['servers']
    shown = api(f'servers/{late["id"]}', '2.16')['server']
    assert shown['host_status'] == 'MAINTENANCE'


def test_what_somebody_had_disabled_stays_so_with_his_reason(
    running: service.Service, key: int, api: servers.Api
) -> None:
    disable(running, key)
    assert told(api) == ('disabled', 'bad fan')
    asked = enter(running, key, 'memory')
    assert told(api)[1] == f'maintenance: memory (operation {asked})'
    running.maintenance.leave(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    assert told(api) == ('disabled', 'bad fan')
    assert maintaining.host(running).maintenance is None
    assert not maintaining.is_enabled(running)
    # It would take none of those back.
    assert ['xen2'] not in maintaining.places(running)
    running.enabling.set_service(running.ctx, 'xen2', records.ENABLED)
    settle(running, key)
    assert told(api) == ('enabled', None)


def test_disabled_in_maintenance_is_disabled_after_it(
    running: service.Service, key: int, api: servers.Api
) -> None:
    asked = enter(running, key, None)
    disable(running, key)
    assert told(api)[1] == f'maintenance (operation {asked})'
    running.maintenance.leave(running.ctx, 'xen2')
    assert maintaining.finish(running, key).state == 'succeeded'
    assert told(api) == ('disabled', 'bad fan')


def test_entry_that_fails_leaves_the_reason(
    running: service.Service, key: int, api: servers.Api
) -> None:
    disable(running, key)
    running.sim.add_vm('xen2', 'ghuge', memory=1 << 50)
    running.maintenance.enter(running.ctx, 'xen2', reason='memory')
    assert maintaining.finish(running, key).state == 'failed'
    assert told(api) == ('disabled', 'bad fan')
    assert not maintaining.is_enabled(running)


def test_to_disable_it_meanwhile_is_no_word_for_an_entry_that_fails(
    running: service.Service, key: int, api: servers.Api
) -> None:
    """It was left on its way for good."""
    running.sim.add_vm('xen2', 'ghuge', memory=1 << 50)
    running.maintenance.enter(running.ctx, 'xen2')
    running.enabling.set_service(
        running.ctx, 'xen2', records.DISABLED, 'bad fan'
    )
    settle(running, key)
    states = [o.state for o in running.operations.get_all(key)[:2]]
    assert states == ['succeeded', 'failed']
    assert maintaining.host(running).maintenance is None
    assert told(api) == ('disabled', 'bad fan')
    assert not maintaining.is_enabled(running)


def test_both_keys_of_a_host_enable_it(
    running: service.Service, key: int, api: servers.Api
) -> None:
    disable(running, key)
    enter(running, key, None)
    running.maintenance.leave(running.ctx, 'xen2', enable=True)
    assert maintaining.finish(running, key).state == 'succeeded'
    assert told(api) == ('enabled', None)
    assert maintaining.places(running) == [['xen2']] * 3
