"""Many joins: into as many pools side by side, into one pool in order."""

import pathlib
from collections.abc import Callable

from tests.integration import processes
from tests.integration import proxy
from tests.integration import stage
from tests.integration import stories

POOLS = 24
QUEUE = 15
# Seconds until all joins are on their way, on a slow machine.
LIMIT = 100.0
# Nobody looks often, and nobody loses patience.
CALM = {
    'watch_interval': 1,
    'observe_interval': 60,
    'lease_ttl': 60,
    'call_timeout': 300,
}


def test_joins_into_different_pools_run_side_by_side(
    make_site: Callable[..., processes.Site],
) -> None:
    """No join is let through before all of them are on their way.

    One service with its default number of workers has them all in flight.
    """
    site = make_site(2 * POOLS, CALM, defaults=('workers',))
    site.set_up()
    client = site.start_api()
    site.start_compute()
    pairs = [site.take_hosts(2) for _ in range(POOLS)]
    keys = [client.create(site.new_name()) for _ in pairs]
    for key, (first, _second) in zip(keys, pairs, strict=True):
        assert client.add(key, first).status == 200
    for key in keys:
        assert client.settle(key)['state'] == 'succeeded'
    held = [
        site.traffic.plant(proxy.Rule(stories.JOIN, host=second, hold=True))
        for _first, second in pairs
    ]
    for key, (_first, second) in zip(keys, pairs, strict=True):
        assert client.add(key, second).status == 200
    for rule in held:
        assert rule.arrived.wait(LIMIT)
    assert not any(rule.exchange and rule.exchange.reached for rule in held)
    for rule in held:
        rule.release()
    for key, pair in zip(keys, pairs, strict=True):
        assert client.settle(key)['state'] == 'succeeded'
        assert client.show(key)['hosts'] == sorted(pair)
        assert site.arrivals(pair[1], stories.JOIN) == 1


def test_joins_into_one_pool_come_in_their_order(
    tmp_path: pathlib.Path,
) -> None:
    """All are accepted at once, and each is sent once."""
    with stage.Stage(tmp_path, hosts=QUEUE + 1) as theatre:
        theatre.restore()
        theatre.start()
        first, *others = theatre.site.take_hosts(QUEUE + 1)
        key = theatre.client.make_pool('pool', [first])
        # Not the order of their names.
        queued = others[::2] + others[1::2]
        for host in queued:
            assert theatre.client.add(key, host).status == 200
        theatre.client.settle(key)
        ended = theatre.client.operations(key)[:QUEUE]
        assert [o['host'] for o in reversed(ended)] == queued
        assert {o['state'] for o in ended} == {'succeeded'}
        sent = theatre.site.traffic.changing(queued)
        assert [e.host for e in sent if e.method == stories.JOIN] == queued
        processes.check_agreement(theatre.site, theatre.client, key)
