"""API and compute services on a real RabbitMQ, and without it at times."""

import functools
import json
import logging
from collections.abc import Callable

import pytest

from aggregates_ext import exception
from tests.integration import bus
from tests.integration import children
from tests.integration import processes
from tests.integration import proxy
from tests.integration import rabbitmq
from tests.integration import stories

MakeSite = Callable[..., processes.Site]
# Longer than anything is waited for: what happens was woken up.
NO_POLLING = {'poll_interval': 60}
LISTENS = 'Messages are listened to'
WOKEN = 'Woken up'
SIGNS = {'wake_up': WOKEN, 'check_host': 'Asked about host'}
UNSENT = 'No messages pass, work is found by polling: '
UNCHECKED = 'No check of host'
MANAGE = 'aggregates-ext-manage'
OUTAGES = ('killed', pytest.param('frozen', marks=pytest.mark.long))


@pytest.fixture
def make_bus_site(
    make_site: MakeSite, broker: rabbitmq.Broker
) -> Callable[..., processes.Site]:
    """Builds a site of three hosts on a vhost of its own."""

    def make(**compute: float) -> processes.Site:
        url = broker.url(broker.make_vhost())
        site = make_site(3, compute=compute, transport_url=url)
        site.set_up()
        return site

    return make


def begin(broker: rabbitmq.Broker, outage: str) -> None:
    if outage == 'killed':
        broker.kill()
    else:
        broker.freeze()


def start_listening(site: processes.Site) -> children.Child:
    """Start a compute service; it listens when this returns."""
    service = site.start_compute()
    processes.wait_for('it listens', lambda: LISTENS in service.text())
    return service


def await_checks(client: processes.Client, key: int, host: str) -> None:
    """Wait until compute services answer to the API again."""
    processes.wait_for(
        'a check is answered',
        lambda: client.check(key, host, 'add').status == 200,
        90,
    )


def await_message(
    site: processes.Site, sign: str, act: Callable[[], object]
) -> None:
    """Do something, and wait until a compute service gets a message by it.

    :param sign: what a service then logs.
    """

    def count() -> int:
        return sum(p.text().count(sign) for p in site.processes)

    before = count()
    act()
    processes.wait_for(f'somebody is {sign}', lambda: count() > before)


@pytest.mark.parametrize('services', [1, 2])
def test_request_wakes_a_service(
    make_bus_site: MakeSite, services: int
) -> None:
    """Joins, an eject and a rename are begun long before the next poll."""
    site = make_bus_site(**NO_POLLING)
    for _ in range(services):
        start_listening(site)
    client = site.start_api()
    key = client.make_pool('pool', ['xen1'])
    for host in ('xen2', 'xen3'):
        assert client.add(key, host).status == 200
        assert client.settle(key)['state'] == 'succeeded'
    assert client.remove(key, 'xen2').status == 200
    assert client.settle(key)['state'] == 'succeeded'
    client.done('PUT', f'/os-aggregates/{key}', {'aggregate': {'name': 'new'}})
    assert client.settle(key)['state'] == 'succeeded'
    processes.check_agreement(site, client, key)
    assert UNCHECKED not in site.processes[-1].text()


def test_unmet_requirements_are_told_before_acceptance(
    make_bus_site: MakeSite,
) -> None:
    """By refusals, by ``check_host`` and by ``host check``."""
    site = make_bus_site()
    start_listening(site)
    client = site.start_api()
    key = client.make_pool('pool', ['xen1'])
    site.sim.add_vm('xen2', 'web', power_state='Running')
    site.sim.add_vlan('xen2', 5)
    codes = [
        'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS',
        'POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS',
    ]
    report = client.check(key, 'xen2', 'add').body
    (report,) = report.values()
    assert [b['code'] for b in report['blockers']] == codes
    refused = client.add(key, 'xen2')
    assert refused.status == 409
    message = refused.body['conflictingRequest']['message']
    for blocker in report['blockers']:
        assert blocker['message'] in message
    assert len(client.operations(key)) == 1
    assert client.show(key)['hosts'] == ['xen1']

    assert client.add(key, 'xen3').status == 200
    assert client.settle(key)['state'] == 'succeeded'
    site.sim.add_sr('xen3', 'data', vdis=[{'name': 'customer'}])
    refused = client.remove(key, 'xen3')
    assert refused.status == 409
    assert 'customer' in refused.body['conflictingRequest']['message']
    assert client.show(key)['hosts'] == ['xen1', 'xen3']

    told = json.loads(site.run(MANAGE, 'host', 'check', 'xen2'))
    assert told['blockers'] == []
    site.sim.power_off('xen2')
    told = json.loads(site.run(MANAGE, 'host', 'check', 'xen2', code=1))
    # The proxy before it is there still, and takes the request.
    assert [b['code'] for b in told['blockers']] == ['ANSWER_LOST']


@pytest.mark.parametrize('outage', OUTAGES)
def test_outage_in_a_join_delays_nothing_but_checks(
    make_bus_site: MakeSite, broker: rabbitmq.Broker, outage: str
) -> None:
    """Requests are accepted, joins go on; then messages flow again."""
    site = make_bus_site()
    service = start_listening(site)
    client = site.start_api()
    api = site.processes[-1]
    key = client.make_pool('pool', ['xen1'])
    join = site.traffic.plant(proxy.Rule(stories.JOIN, host='xen2', hold=True))
    assert client.add(key, 'xen2').status == 200
    assert join.arrived.wait(processes.DEADLINE)
    begin(broker, outage)
    # Without a check, so that this is the first to be sent.
    body = {'aggregate': {'name': 'renamed'}}
    client.done('PUT', f'/os-aggregates/{key}', body)
    join.release()
    assert client.add(key, 'xen3').status == 200
    assert client.settle(key)['state'] == 'succeeded'
    assert client.check(key, 'xen2', 'remove').status == 503
    assert client.remove(key, 'xen3').status == 200
    assert client.settle(key)['state'] == 'succeeded'
    assert client.show(key)['hosts'] == ['xen1', 'xen2']
    if outage == 'killed':
        processes.wait_for('it is told', lambda: UNSENT in api.text())

    broker.recover()
    await_checks(client, key, 'xen3')
    assert api.text().count(UNSENT) <= 1
    body = {'aggregate': {'name': 'again'}}
    await_message(
        site, WOKEN, lambda: client.done('PUT', f'/os-aggregates/{key}', body)
    )
    assert client.settle(key)['state'] == 'succeeded'
    processes.check_agreement(site, client, key)
    assert service.terminate() == 0
    assert api.terminate() == 0


@pytest.mark.parametrize('outage', OUTAGES)
def test_broker_may_come_after_the_services(
    make_bus_site: MakeSite, broker: rabbitmq.Broker, outage: str
) -> None:
    """All works by polling; with the broker there, messages flow."""
    site = make_bus_site()
    begin(broker, outage)
    service = site.start_compute()
    client = site.start_api()
    key = client.make_pool('pool', ['xen1', 'xen2'])
    assert client.check(key, 'xen3', 'add').status == 503
    assert LISTENS not in service.text()
    broker.recover()
    await_checks(client, key, 'xen3')
    assert LISTENS in service.text()
    await_message(site, WOKEN, lambda: client.add(key, 'xen3'))
    assert client.settle(key)['state'] == 'succeeded'
    processes.check_agreement(site, client, key)


@pytest.mark.parametrize('outage', OUTAGES)
@pytest.mark.parametrize('listening', [True, False])
def test_sigterm_does_not_wait_for_a_broker(
    make_bus_site: MakeSite,
    broker: rabbitmq.Broker,
    outage: str,
    listening: bool,
) -> None:
    """Whether the service has ever met it or not."""
    site = make_bus_site(graceful_shutdown_timeout=60)
    if listening:
        service = start_listening(site)
        begin(broker, outage)
    else:
        begin(broker, outage)
        service = site.start_compute()
        processes.wait_for('it works', lambda: 'works' in service.text())
    assert service.terminate() == 0


def test_sigterm_ends_within_its_limit_whatever_is_in_flight(
    make_bus_site: MakeSite,
) -> None:
    """A host that does not answer, within a longer time for its calls."""
    site = make_bus_site(graceful_shutdown_timeout=1, call_timeout=60)
    service = start_listening(site)
    client = site.start_api()
    key = client.make_pool('pool', ['xen1'])
    join = site.traffic.plant(proxy.Rule(stories.JOIN, host='xen2', hold=True))
    assert client.add(key, 'xen2').status == 200
    assert join.arrived.wait(processes.DEADLINE)
    assert service.terminate() == 0
    assert 'The time for the stop is over' in service.text()
    join.release()
    site.start_compute()
    assert client.settle(key)['state'] == 'succeeded'
    assert site.arrivals('xen2', stories.JOIN) == 1
    processes.check_agreement(site, client, key)


def test_service_that_stops_hands_its_work_over(
    make_bus_site: MakeSite,
) -> None:
    """Another one goes on with a join before its next poll."""
    site = make_bus_site(**NO_POLLING)
    first = start_listening(site)
    client = site.start_api()
    key = client.make_pool('pool', ['xen1'])
    hang = site.sim.plant(stories.JOIN, 'xen2', 'hang', step='S3')
    assert client.add(key, 'xen2').status == 200
    assert hang.hit.wait(processes.DEADLINE)
    start_listening(site)
    assert first.terminate() == 0
    assert client.operations(key)[0]['state'] == 'running'
    site.sim.clear_faults()
    assert client.settle(key)['state'] == 'succeeded'
    assert site.arrivals('xen2', stories.JOIN) == 1
    processes.check_agreement(site, client, key)


def test_message_to_a_service_that_dies_goes_to_another(
    make_bus_site: MakeSite,
) -> None:
    """What it had not taken yet is delivered again."""
    site = make_bus_site(**NO_POLLING)
    first = start_listening(site)
    client = site.start_api()
    key = client.create('pool')
    site.freeze(first)
    second = start_listening(site)
    # In turns: one of these is for the frozen one, and one for the other.
    asked = [client.add(key, host).status for host in ('xen1', 'xen2')]
    assert asked == [200, 200]
    processes.wait_for('one is woken', lambda: WOKEN in second.text())
    first.kill()
    # A slow broker may have given up on the frozen one before.
    processes.wait_for(
        'it is woken again', lambda: second.text().count(WOKEN) >= 2
    )
    assert client.settle(key)['state'] == 'succeeded'
    processes.check_agreement(site, client, key)


def test_messages_that_come_twice_do_no_harm(
    make_site: MakeSite, broker: rabbitmq.Broker
) -> None:
    """One join is sent for one request, by whichever of two services."""
    vhost = broker.make_vhost()
    site = make_site(2, compute=NO_POLLING, transport_url=broker.url(vhost))
    site.set_up()
    for _ in range(2):
        start_listening(site)
    client = site.start_api()
    key = client.make_pool('pool', ['xen1'])
    join = site.traffic.plant(proxy.Rule(stories.JOIN, host='xen2', hold=True))
    with bus.Tap(broker, vhost) as tap:
        assert client.add(key, 'xen2').status == 200
        assert join.arrived.wait(processes.DEADLINE)
        sent = processes.wait_for(
            'both are seen',
            lambda: tap.requests() if len(tap.requests()) == 2 else None,
        )
        for request in sent:
            act = functools.partial(tap.repeat, request)
            for _ in range(4):
                await_message(site, SIGNS[request.method], act)
        join.release()
        assert client.settle(key)['state'] == 'succeeded'
    assert site.arrivals('xen2', stories.JOIN) == 1
    assert len(client.operations(key)) == 2
    processes.check_agreement(site, client, key)


def test_check_that_comes_too_late_is_made_in_the_operation(
    make_bus_site: MakeSite,
) -> None:
    site = make_bus_site()
    service = start_listening(site)
    client = site.start_api()
    key = client.make_pool('pool', ['xen1'])
    site.sim.add_vm('xen2', 'web', power_state='Running')
    site.freeze(service)
    assert client.add(key, 'xen2').status == 200
    service.thaw()
    ended = client.settle(key)
    assert ended['state'] == 'failed'
    assert ended['error']['code'] == 'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS'
    assert site.arrivals('xen2', stories.JOIN) == 0
    assert client.show(key)['hosts'] == ['xen1']


@pytest.mark.parametrize(
    'error',
    [
        exception.HostNotFound(host='xen1'),
        exception.Unavailable(reason='no database'),
        KeyError('a builtin, which is raised as itself'),
        OSError('another'),
    ],
)
def test_errors_that_cross_the_wire_are_no_answer(
    broker: rabbitmq.Broker,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    """Of any class; only what is a bug has a traceback in the log."""
    caplog.set_level(logging.INFO)
    with bus.Service(broker, error) as service:
        assert service.client.check_host('xen1', None, 'contact') is None
    assert UNCHECKED in caplog.text
    expected = isinstance(error, exception.AggregatesError)
    assert ('Traceback' in caplog.text) is not expected


@pytest.mark.long
def test_broker_that_refuses_us_is_tried_again(
    make_site: MakeSite, broker: rabbitmq.Broker
) -> None:
    """Without messages meanwhile, and with one line in the log for a try."""
    vhost = broker.make_vhost()
    broker.control('clear_permissions', '-p', vhost, rabbitmq.USER)
    site = make_site(2, transport_url=broker.url(vhost))
    site.set_up()
    service = site.start_compute()
    client = site.start_api()
    key = client.make_pool('pool', ['xen1'])
    processes.wait_for(
        'it is told', lambda: 'the broker refuses us' in service.text()
    )
    broker.allow(vhost)
    processes.wait_for('it listens', lambda: LISTENS in service.text())
    await_checks(client, key, 'xen2')
