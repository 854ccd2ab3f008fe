"""Two at once: two requests, two services, two looks."""

import functools
import threading
from collections.abc import Callable
from collections.abc import Sequence

import pytest

from tests.integration import children
from tests.integration import processes
from tests.integration import proxy
from tests.integration import stories

ROUNDS = 20

MakeSite = Callable[..., processes.Site]


def at_once(actions: Sequence[Callable[[], object]]) -> None:
    """Do several things at the same moment, and wait for their ends."""
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], object]) -> None:
        barrier.wait()
        action()

    threads = [
        threading.Thread(target=run, args=(action,)) for action in actions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.every_database
def test_one_host_goes_to_one_of_two_aggregates(make_site: MakeSite) -> None:
    """Two API processes, no compute service: the database decides."""
    site = make_site(1)
    site.set_up()
    clients = [site.start_api(), site.start_api()]
    keys = [clients[0].create('one'), clients[0].create('two')]
    winners = set()
    for _round in range(ROUNDS):
        answers: dict[int, processes.Answer] = {}

        def ask(
            number: int, answers: dict[int, processes.Answer] = answers
        ) -> None:
            answers[number] = clients[number].add(keys[number], 'xen1')

        at_once([lambda: ask(0), lambda: ask(1)])
        statuses = sorted(answer.status for answer in answers.values())
        assert statuses == [200, 409], answers
        ((bound,),) = site.query('SELECT aggregate_id FROM hosts')
        (won,) = (n for n in answers if answers[n].status == 200)
        assert bound == keys[won]
        winners.add(won)
        removed = clients[1 - won].remove(keys[won], 'xen1')
        assert removed.status == 200
    queued = site.query("SELECT 1 FROM operations WHERE state = 'queued'")
    assert queued == []


def works(service: children.Child) -> bool:
    """Whether a compute service is ready."""
    return 'service works' in service.text()


def test_two_services_share_the_work(make_site: MakeSite) -> None:
    """Every call that changes a pool is sent by one of them, once."""
    site = make_site(5)
    site.set_up()
    client = site.start_api()
    plan = {'one': ['xen1', 'xen2', 'xen3'], 'two': ['xen4', 'xen5']}
    keys = {name: client.create(name) for name in plan}
    services = [site.start_compute(), site.start_compute()]
    for service in services:
        processes.wait_for(
            'both services work',
            functools.partial(works, service),
        )
    at_once(
        [
            functools.partial(client.add, keys[name], host)
            for name, hosts in plan.items()
            for host in hosts
        ]
    )
    for name, hosts in plan.items():
        client.settle(keys[name])
        assert client.show(keys[name])['hosts'] == hosts
        processes.check_agreement(site, client, keys[name])
        sent = [e.method for e in site.traffic.changing(hosts)]
        assert sorted(sent) == sorted(
            [stories.MARK, stories.NAME, *[stories.JOIN] * (len(hosts) - 1)]
        )


def test_half_join_between_two_looks_is_not_taken_for_a_failure(
    make_site: MakeSite,
) -> None:
    """A host comes free only when the pool does not list it any more.

    The answer of the master is delayed until the join has left its record
    there and failed.
    """
    site = make_site(2)
    site.set_up()
    client = site.start_api()
    site.start_compute()
    key = client.make_pool('pool', ['xen1'])
    site.sim.plant(stories.JOIN, 'xen2', 'fail', step='S8')

    def has_failed() -> bool:
        with site.sim.world.lock:
            rows = site.sim.host('xen2').database.rows('task')
            return [row['status'] for _, row in rows] == ['failure']

    def delay_the_next_look() -> None:
        site.traffic.plant(
            proxy.Rule(
                'host.get_all_records',
                host='xen1',
                after=lambda: processes.wait_for('it fails', has_failed),
            )
        )

    site.traffic.plant(
        proxy.Rule(stories.JOIN, host='xen2', after=delay_the_next_look)
    )
    assert client.add(key, 'xen2').status == 200
    assert client.settle(key)['state'] == 'failed'
    assert client.show(key)['hosts'] == ['xen1']
    assert site.arrivals('xen1', stories.DESTROY) == 1
    processes.check_agreement(site, client, key)


@pytest.mark.parametrize('step', ['S2', 'S6'])
def test_failed_join_can_be_asked_for_again(
    make_site: MakeSite, step: str
) -> None:
    """What an earlier attempt left in the task list is not this one's."""
    site = make_site(2)
    site.set_up()
    client = site.start_api()
    site.start_compute()
    key = client.make_pool('pool', ['xen1'])
    site.sim.plant(stories.JOIN, 'xen2', 'fail', step=step)
    assert client.add(key, 'xen2').status == 200
    assert client.settle(key)['error']['code'] == 'INTERNAL_ERROR'
    assert client.show(key)['operational_state'] == 'error'
    assert client.add(key, 'xen2').status == 200
    assert client.settle(key)['state'] == 'succeeded'
    processes.check_agreement(site, client, key)
