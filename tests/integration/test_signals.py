"""SIGTERM, SIGHUP and what systemd is told, on real processes."""

import contextlib
import functools
import http.client
import json
import pathlib
import sqlite3
import threading
import urllib.parse
from collections.abc import Callable
from collections.abc import Iterator

import pytest

from tests.integration import processes
from tests.integration import proxy
from tests.integration import systemd

MakeSite = Callable[..., processes.Site]
TAKEN_OVER = 'The configuration was read again; changed: '


@pytest.fixture
def make_site(make_site: MakeSite) -> MakeSite:
    """Sites whose commands start as a user starts them."""
    return functools.partial(make_site, forked=False)


@pytest.fixture
def manager(tmp_path: pathlib.Path) -> Iterator[systemd.Listener]:
    """What listens where systemd would."""
    with systemd.Listener(tmp_path) as listener:
        yield listener


def test_api_is_ready_when_it_serves(
    make_site: MakeSite, manager: systemd.Listener
) -> None:
    site = make_site(1)
    site.set_up()
    client = site.start_api(
        NOTIFY_SOCKET=manager.place, WATCHDOG_USEC='300000'
    )
    manager.await_count('READY=1')
    assert client.ask('GET', '/os-aggregates').status == 200
    manager.await_count('WATCHDOG=1', 2)
    assert manager.count('STOPPING=1') == 0
    place = urllib.parse.urlsplit(client.url).netloc
    kept = http.client.HTTPConnection(place, timeout=30)
    with contextlib.closing(kept):
        # A connection without a request does not hold it.
        kept.request('GET', '/v2.1/os-aggregates')
        assert json.load(kept.getresponse()) == {'aggregates': []}
        assert site.processes[0].terminate() == 0
    assert manager.count('STOPPING=1') == 1


def test_api_answers_what_is_in_flight_at_sigterm(
    make_site: MakeSite, manager: systemd.Listener
) -> None:
    """The answer comes, though a change has to wait for the database."""
    site = make_site(1)
    site.set_up()
    client = site.start_api(NOTIFY_SOCKET=manager.place)
    assert client.ask('GET', '/os-aggregates').status == 200
    answers: list[processes.Answer] = []
    body = {'aggregate': {'name': 'late'}}

    def create() -> None:
        answers.append(client.ask('POST', '/os-aggregates', body))

    file = site.connection.removeprefix('sqlite:///')
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute('BEGIN IMMEDIATE')
        request = threading.Thread(target=create)
        request.start()
        processes.wait_for(
            'the request is being worked on',
            lambda: client.ask('GET', '/os-aggregates').status == 200,
        )
        site.processes[0].ask_to_end()
        manager.await_count('STOPPING=1')
        assert site.processes[0].running
        assert not answers
        other.rollback()
    request.join()
    assert [answer.status for answer in answers] == [200]
    assert site.processes[0].await_end()
    assert site.processes[0].terminate() == 0


def test_api_takes_over_its_log_level(
    make_site: MakeSite, manager: systemd.Listener
) -> None:
    """SIGHUP; a file with a mistake changes nothing and ends nothing."""
    site = make_site(1)
    site.set_up()
    site.configure('debug = true', 'debug = false')
    client = site.start_api(NOTIFY_SOCKET=manager.place)
    process = site.processes[0]
    manager.await_count('READY=1')
    site.configure('debug = false', 'debug = true')
    site.configure('settle_wait = 1', 'settle_wait = soon')
    process.reload()
    manager.await_count('READY=1', 2)
    assert 'was not taken over' in process.text()
    assert 'soon' in process.text()
    assert client.ask('GET', '/os-aggregates').status == 200
    assert ' DEBUG ' not in process.text()
    site.configure('settle_wait = soon', 'settle_wait = 1')
    process.reload()
    manager.await_count('READY=1', 3)
    assert manager.count('RELOADING=1') == 2
    assert f'{TAKEN_OVER}[DEFAULT] debug' in process.text()
    assert ' DEBUG ' in process.text()


def test_compute_service_tells_how_it_goes(
    make_site: MakeSite, manager: systemd.Listener
) -> None:
    site = make_site(1)
    site.set_up()
    process = site.start_compute(
        NOTIFY_SOCKET=manager.place, WATCHDOG_USEC='300000'
    )
    manager.await_count('READY=1')
    manager.await_count('WATCHDOG=1', 2)
    assert process.terminate() == 0
    assert manager.count('STOPPING=1') == 1


def test_compute_service_takes_over_credentials(make_site: MakeSite) -> None:
    """What rests for want of a credential goes on after SIGHUP."""
    site = make_site(1)
    site.set_up()
    site.configure('credentials = default', 'credentials =')
    client = site.start_api()
    process = site.start_compute()
    key = client.create('pool')
    assert client.add(key, 'xen1').status == 200
    processes.wait_for(
        'the credential is missed',
        lambda: 'is not configured' in process.text(),
    )
    site.configure('credentials =', 'credentials = default')
    process.reload()
    processes.wait_for(
        'it is taken over',
        lambda: f'{TAKEN_OVER}[xenserver] credentials' in process.text(),
    )
    if client.settle(key)['state'] == 'failed':
        assert client.add(key, 'xen1').status == 200
    assert client.settle(key)['state'] == 'succeeded'


def test_sigterm_hands_pools_over_at_once(make_site: MakeSite) -> None:
    """Another service goes on long before the lease would have run out."""
    site = make_site(2, {'lease_ttl': 600})
    site.set_up()
    client = site.start_api()
    first = site.start_compute()
    key = client.make_pool('pool', ['xen1'])
    join = site.traffic.plant(proxy.Rule('Async.pool.join'))
    assert client.add(key, 'xen2').status == 200
    assert join.ended.wait(processes.DEADLINE)
    site.start_compute()
    assert first.terminate() == 0
    assert client.settle(key)['state'] == 'succeeded'
    assert site.arrivals('xen2', 'Async.pool.join') == 1
