"""A worker that was held between its lease and its call does no harm.

The proxy holds the request of a service, and the service is stopped until
its lease has run out. Another one takes over. When the request reaches the
host at last, the host refuses it: its session was ended.
"""

from collections.abc import Callable

import pytest

from tests.integration import children
from tests.integration import processes
from tests.integration import proxy
from tests.integration import stories

TAKEN_OVER = 'another service has taken over'


class Duel:
    """Two services, of which the first is held in the middle of a call."""

    def __init__(self, site: processes.Site) -> None:
        site.set_up()
        self.site = site
        self.client = site.start_api()
        self.first = site.start_compute()

    def hold(self, method: str, host: str, act: proxy.Hook) -> None:
        """Stop the first service in a call that has not arrived."""
        self._held = self.site.traffic.plant(
            proxy.Rule(method, host=host, hold=True)
        )
        act()
        assert self._held.arrived.wait(processes.DEADLINE)
        self.freeze()

    def freeze(self) -> None:
        """Stop the first service where it is."""
        self.site.freeze(self.first)

    def take_over(self, method: str = '', host: str = '') -> children.Child:
        """Start the second service.

        :param method: let the held request go right after this call of it.
        """
        if method:
            self.site.traffic.plant(
                proxy.Rule(method, host=host, after=self.deliver)
            )
        return self.site.start_compute()

    def deliver(self) -> None:
        """Let the held request go on to its host."""
        self._held.release()

    def check_refused(self) -> None:
        """The host refused what was held."""
        assert self._held.exchange is not None
        assert self._held.exchange.reached
        assert self._held.exchange.failure[:1] == ['SESSION_INVALID']

    def thaw(self) -> None:
        """Let the first service go on, and see that it is beaten."""
        self.first.thaw()
        processes.wait_for(
            'the first service gives up',
            lambda: TAKEN_OVER in self.first.text(),
        )

    def rename(self, key: int, name: str) -> None:
        """Rename an aggregate."""
        body = {'aggregate': {'name': name}}
        self.client.done('PUT', f'/os-aggregates/{key}', body)

    def check_peace(self, key: int) -> None:
        """Both services run on, and what they do together is right."""
        processes.check_agreement(self.site, self.client, key)
        self.rename(key, 'at-peace')
        assert self.client.settle(key)['state'] == 'succeeded'
        processes.check_agreement(self.site, self.client, key)
        self.site.check_logs()


@pytest.fixture
def duel(make_site: Callable[..., processes.Site]) -> Duel:
    """Two hosts, an API and the first service.

    TLS verification is off, as an eject leaves it, so that a host that came
    back can join again.
    """
    names = ('xen1', 'xen2')
    off = {'tls_verification_enabled': False}
    return Duel(make_site([{'name': name, **off} for name in names]))


def done(duel: Duel, method: str) -> int:
    """How many calls of a method had their effect."""
    hosts = ('xen1', 'xen2')
    return sum(
        exchange.succeeded
        for exchange in duel.site.traffic.changing(hosts)
        if exchange.method == method
    )


@pytest.mark.every_database
def test_held_join_is_refused_while_the_next_one_runs(duel: Duel) -> None:
    """Let through, it would "succeed" and leave interfaces twice."""
    key = duel.client.make_pool('pool', ['xen1'])
    duel.hold(stories.JOIN, 'xen2', lambda: duel.client.add(key, 'xen2'))
    duel.take_over(stories.JOIN, 'xen2')
    assert duel.client.settle(key)['state'] == 'succeeded'
    duel.check_refused()
    assert done(duel, stories.JOIN) == 1
    assert duel.site.duplicate_interfaces('xen1') == []
    duel.thaw()
    duel.check_peace(key)


def test_held_eject_is_refused_while_the_next_one_runs(duel: Duel) -> None:
    """The host is ejected once, by the service that holds the lease."""
    key = duel.client.make_pool('pool', ['xen1', 'xen2'])
    duel.hold(stories.EJECT, 'xen1', lambda: duel.client.remove(key, 'xen2'))
    duel.take_over(stories.EJECT, 'xen1')
    assert duel.client.settle(key)['state'] == 'succeeded'
    duel.check_refused()
    assert done(duel, stories.EJECT) == 1
    duel.thaw()
    duel.check_peace(key)


def test_held_eject_does_not_hit_a_host_that_came_back(duel: Duel) -> None:
    """Ejected, returned and added again: a late eject must not matter."""
    key = duel.client.make_pool('pool', ['xen1', 'xen2'])
    duel.hold(stories.EJECT, 'xen1', lambda: duel.client.remove(key, 'xen2'))
    duel.take_over()
    assert duel.client.settle(key)['state'] == 'succeeded'
    processes.wait_for(
        'xen2 is free', lambda: len(duel.client.pool(key)['hosts']) == 1
    )
    assert duel.client.add(key, 'xen2').status == 200
    assert duel.client.settle(key)['state'] == 'succeeded'
    disk = {'name': 'data'}
    duel.site.sim.add_sr('xen2', 'local', vdis=[disk])
    pool = duel.site.pool_of('xen2')
    duel.deliver()
    duel.check_refused()
    duel.thaw()
    assert duel.site.pool_of('xen2') == pool
    duel.check_peace(key)
    assert duel.client.show(key)['hosts'] == ['xen1', 'xen2']
    assert duel.site.sim.destroyed_vdis == []


def test_held_rename_does_not_bring_an_old_name_back(duel: Duel) -> None:
    """The label stays what the newest name says."""
    key = duel.client.make_pool('pool', ['xen1'])
    duel.hold(stories.NAME, 'xen1', lambda: duel.rename(key, 'old'))
    duel.take_over()
    assert duel.client.settle(key)['state'] == 'succeeded'
    duel.rename(key, 'new')
    assert duel.client.settle(key)['state'] == 'succeeded'
    duel.deliver()
    duel.check_refused()
    assert duel.site.pool_of('xen1')['name_label'] == 'new'
    duel.thaw()
    duel.check_peace(key)


@pytest.mark.every_database
def test_service_that_wakes_up_before_its_call_sends_nothing(
    duel: Duel,
) -> None:
    """It is stopped when it has its session and has not recorded the call.

    The next service knows nothing of that session, and cannot end it.
    """
    key = duel.client.make_pool('pool', ['xen1'])
    stop = duel.site.traffic.plant(
        proxy.Rule('session.get_uuid', host='xen2', after=duel.freeze)
    )
    duel.site.traffic.plant(
        proxy.Rule(stories.JOIN, host='xen2', after=duel.thaw)
    )
    assert duel.client.add(key, 'xen2').status == 200
    assert stop.ended.wait(processes.DEADLINE)
    duel.take_over()
    assert duel.client.settle(key)['state'] == 'succeeded'
    assert duel.site.arrivals('xen2', stories.JOIN) == 1
    assert duel.site.duplicate_interfaces('xen1') == []
    duel.check_peace(key)


def test_thawed_service_may_hold_the_aggregate_anew(duel: Duel) -> None:
    """Its old claim, which still waits for an answer, is not the new one."""
    key = duel.client.make_pool('pool', ['xen1'])
    duel.hold(stories.JOIN, 'xen2', lambda: duel.client.add(key, 'xen2'))
    second = duel.take_over()
    assert duel.client.settle(key)['state'] == 'succeeded'
    assert second.terminate() == 0
    ((before,),) = duel.site.query('SELECT lease_epoch FROM aggregates')

    def look() -> bool:
        ((epoch, owner),) = duel.site.query(
            'SELECT lease_epoch, lease_owner FROM aggregates'
        )
        return epoch > before and owner is None

    duel.first.thaw()
    processes.wait_for('the first service has looked again', look)
    duel.deliver()
    duel.check_refused()
    duel.thaw()
    duel.check_peace(key)


def test_nothing_is_concluded_while_a_call_may_still_begin(
    duel: Duel,
) -> None:
    """Where the session cannot be ended, the next service waits."""
    key = duel.client.make_pool('pool', ['xen1'])
    duel.hold(stories.JOIN, 'xen2', lambda: duel.client.add(key, 'xen2'))
    duel.site.sim.plant(host='xen2', action='refuse')
    duel.first.kill()
    duel.take_over()

    def look() -> bool:
        operation = duel.client.operations(key)[0]
        assert operation['state'] == 'running'
        error = operation['error'] or {}
        return 'may still take effect' in error.get('message', '')

    processes.wait_for('the next service waits', look)
    duel.site.sim.clear_faults()
    assert duel.client.settle(key)['state'] == 'succeeded'
    duel.deliver()
    assert done(duel, stories.JOIN) == 1
    processes.check_agreement(duel.site, duel.client, key)
