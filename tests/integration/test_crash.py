"""Crashes at moments that no sweep meets: hosts that are slow, or die too."""

from collections.abc import Callable

import pytest

from tests.integration import processes
from tests.integration import proxy
from tests.integration import stories


@pytest.mark.every_database
def test_next_service_waits_while_a_joined_host_serves_as_before(
    make_site: Callable[..., processes.Site],
) -> None:
    """A second join would "succeed" in that time, and do harm.

    The fuse of the host is long enough to start a service meanwhile.
    """
    site = make_site(2, {'fuse_wait': 60}, times={'fuse': 400})
    site.set_up()
    client = site.start_api()
    service = site.start_compute()
    key = client.make_pool('pool', ['xen1'])
    rule = proxy.Rule(stories.JOIN, after=service.kill, lose='answer')
    site.traffic.plant(rule)
    assert client.add(key, 'xen2').status == 200
    assert rule.ended.wait(processes.DEADLINE)
    site.start_compute()
    step = 'joined, xapi of the host restarts soon'
    processes.wait_for(
        'it is seen that the host has joined',
        lambda: client.operations(key)[0]['step'] == step,
    )
    assert client.settle(key)['state'] == 'succeeded'
    assert site.arrivals('xen2', stories.JOIN) == 1
    processes.check_agreement(site, client, key)


@pytest.mark.parametrize('crash', [False, True], ids=['served', 'crashed'])
def test_unknown_outcome_is_told_and_resolved_by_evidence(
    make_site: Callable[..., processes.Site],
    crash: bool,
) -> None:
    """The host loses its power when it has joined, before it shows that.

    At the time limit the operation is unresolved, and says what is seen; it
    ends when the host is back and shows what became of it.
    """
    site = make_site(2, {'join_timeout': 2})
    site.set_up()
    client = site.start_api()
    service = site.start_compute()
    key = client.make_pool('pool', ['xen1'])

    def has_joined() -> bool:
        with site.sim.world.lock:
            rows = site.sim.host('xen2').database.rows('task')
            return [row['status'] for _, row in rows] == ['success']

    def cut() -> None:
        if crash:
            service.kill()
        processes.wait_for('xen2 has joined', has_joined)
        site.sim.power_off('xen2')

    rule = site.traffic.plant(proxy.Rule(stories.JOIN, host='xen2', after=cut))
    assert client.add(key, 'xen2').status == 200
    assert rule.ended.wait(processes.DEADLINE)
    if crash:
        site.start_compute()
    operation = client.settle(key)
    assert operation['state'] == 'unresolved'
    for words in ('The master of pool', 'the host itself'):
        assert words in operation['error']['message']
    assert client.show(key)['operational_state'] == 'error'
    assert client.show(key)['hosts'] == ['xen1', 'xen2']
    site.sim.power_on('xen2')
    processes.wait_for(
        'the evidence is seen',
        lambda: client.operations(key)[0]['state'] == 'succeeded',
    )
    assert site.arrivals('xen2', stories.JOIN) == 1
    processes.check_agreement(site, client, key)
