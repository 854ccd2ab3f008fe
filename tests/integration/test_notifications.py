"""Notifications from real processes by a real RabbitMQ to a real listener."""

import json
import pathlib
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from oslo_config import cfg

from aggregates_ext import rpc
from aggregates_ext.db.schema import models
from tests import hearing
from tests.integration import processes
from tests.integration import rabbitmq

TOPIC = 'versioned_notifications'
TABLE = models.notifications
LIMIT = 120.0
HOST = {'host': 'xen1', 'binary': 'nova-compute'}
# What Nova says of one of its payloads, and of the words of an event.
ASK = """
import json, sys
from nova.notifications.objects import aggregate, service
from nova.objects import fields
asked = json.load(sys.stdin)
told = []
for event, payload in asked:
    words = event.split('.')
    module = {'aggregate': aggregate, 'service': service}[words[0]]
    known = getattr(module, payload['nova_object.name'])
    data = payload['nova_object.data']
    for name, value in data.items():
        known.fields[name].coerce(None, name, value)
    fields.NotificationActionField().coerce(None, 'action', words[1])
    if len(words) > 2:
        fields.NotificationPhaseField().coerce(None, 'phase', words[2])
    told.append([
        known.OBJ_PROJECT_NAMESPACE, known.VERSION, sorted(known.fields)
    ])
json.dump(told, sys.stdout)
"""


class Bus:
    """A site that tells what it does, and who listens to it."""

    def __init__(self, site: processes.Site, conf: cfg.ConfigOpts) -> None:
        self.site = site
        self.conf = conf

    def listen(self) -> hearing.Listener:
        return hearing.Listener(self.conf, TOPIC)

    def execute(self, statement: Any) -> list[Any]:
        made = sa.create_engine(self.site.connection)
        with made.begin() as connection:
            found = connection.execute(statement)
            rows = list(found) if found.returns_rows else []
        made.dispose()
        return rows

    def waiting(self) -> list[str]:
        """The ids of the messages that are kept, in order."""
        return list(
            row.uuid
            for row in self.execute(sa.select(TABLE).order_by(TABLE.c.id))
        )


@pytest.fixture
def make_bus(
    make_site: Callable[..., processes.Site], broker: rabbitmq.Broker
) -> Callable[[int], Bus]:
    """Builds a site with notifications on a vhost of its own."""

    def make(hosts: int) -> Bus:
        url = broker.url(broker.make_vhost())
        site = make_site(hosts, transport_url=url)
        site.set_up()
        site.configure('[api]\n', '[notifications]\nenabled = true\n[api]\n')
        conf = cfg.ConfigOpts()
        conf([])
        rpc.get_transport(conf)
        conf.set_override('transport_url', url)
        return Bus(site, conf)

    return make


def metadata(client: processes.Client, key: int, number: int) -> None:
    body = {'set_metadata': {'metadata': {'number': str(number)}}}
    client.done('POST', f'/os-aggregates/{key}/action', body)


def numbers(heard: list[hearing.Heard], key: int) -> list[int]:
    """What was told of an aggregate, each message once, as it came."""
    seen = set()
    found = []
    for message in heard:
        number = (message.data['metadata'] or {}).get('number')
        is_end = message.event == 'aggregate.update_metadata.end'
        if is_end and message.data['id'] == key and message.id not in seen:
            found.append(int(str(number)))
        seen.add(message.id)
    return found


def test_a_life_is_told(make_bus: Callable[[int], Bus]) -> None:
    bus = make_bus(2)
    site = bus.site
    site.start_compute()
    client = site.start_api()
    with bus.listen() as listener:
        key = client.create('pool')
        for host in ('xen1', 'xen2'):
            assert client.add(key, host).status == 200
            assert client.settle(key)['state'] == 'succeeded'
        for host in ('xen2', 'xen1'):
            assert client.remove(key, host).status == 200
            assert client.settle(key)['state'] == 'succeeded'
        client.done('DELETE', f'/os-aggregates/{key}')
        heard = listener.wait(12, LIMIT)
    assert [
        (h.event.removeprefix('aggregate.'), h.data['hosts']) for h in heard
    ] == [
        ('create.start', None),
        ('create.end', []),
        ('add_host.start', []),
        ('add_host.end', ['xen1']),
        ('add_host.start', ['xen1']),
        ('add_host.end', ['xen1', 'xen2']),
        ('remove_host.start', ['xen1', 'xen2']),
        ('remove_host.end', ['xen1']),
        ('remove_host.start', ['xen1']),
        ('remove_host.end', []),
        ('delete.start', []),
        ('delete.end', []),
    ]
    assert len({h.id for h in heard}) == len(heard)
    processes.wait_for('all are forgotten', lambda: not bus.waiting())


def test_who_is_killed_between_is_repeated_with_the_same_ids(
    make_bus: Callable[[int], Bus], broker: rabbitmq.Broker
) -> None:
    """The broker has a message, and the database has it too."""
    bus = make_bus(1)
    client = bus.site.start_api()
    key = client.create('pool')
    for number in range(20):
        metadata(client, key, number)
    written = bus.waiting()
    assert len(written) == 42
    first = bus.site.start_compute()
    with bus.listen() as listener:
        listener.wait(1, LIMIT)
        broker.freeze()
        first.kill()
        broker.thaw()
        assert bus.waiting() == written
        # Who died has claimed them for a minute.
        bus.execute(sa.update(TABLE).values(claimed_until=1.0))
        bus.site.start_compute()
        processes.wait_for(
            'all are forgotten', lambda: not bus.waiting(), LIMIT
        )
        processes.wait_for(
            'all are heard',
            lambda: set(written) == {h.id for h in listener.heard},
            LIMIT,
        )
        heard = listener.heard
    ids = [message.id for message in heard]
    assert set(ids) == set(written)
    assert ids.count(written[0]) == 2
    assert list(dict.fromkeys(ids)) == written
    assert numbers(heard, key) == list(range(20))


def test_nothing_is_lost_while_the_broker_is_away(
    make_bus: Callable[[int], Bus], broker: rabbitmq.Broker
) -> None:
    bus = make_bus(1)
    service = bus.site.start_compute()
    client = bus.site.start_api()
    with bus.listen() as listener:
        key = client.create('pool')
        listener.wait(2, LIMIT)
    broker.kill()
    for number in range(5):
        metadata(client, key, number)
    assert client.add(key, 'xen1').status == 200
    assert client.settle(key)['state'] == 'succeeded'
    processes.wait_for(
        'it is told', lambda: 'are kept until' in service.text(), LIMIT
    )
    written = bus.waiting()
    assert len(written) == 12
    broker.start()
    with bus.listen() as listener:
        heard = listener.wait(12, LIMIT)
    assert [h.id for h in heard] == written
    assert numbers(heard, key) == list(range(5))
    assert heard[-1].event == 'aggregate.add_host.end'


def test_two_services_keep_the_order_of_each_aggregate(
    make_bus: Callable[[int], Bus],
) -> None:
    bus = make_bus(1)
    services = [bus.site.start_compute() for _ in range(2)]
    client = bus.site.start_api()
    with bus.listen() as listener:
        keys = [client.create(f'pool{number}') for number in range(3)]
        for number in range(20):
            for key in keys:
                metadata(client, key, number)
            if number == 10:
                # Whoever sends, the other one goes on.
                services[0].terminate()
        processes.wait_for(
            'all are heard',
            lambda: all(len(numbers(listener.heard, k)) == 20 for k in keys),
            LIMIT,
        )
    for key in keys:
        assert numbers(listener.heard, key) == list(range(20))


def test_nova_knows_its_payloads(
    make_bus: Callable[[int], Bus], nova_venv: pathlib.Path
) -> None:
    """Names, versions, fields, and what may be in them."""
    bus = make_bus(1)
    site = bus.site
    client = site.start_api()
    key = client.create('pool')
    site.start_compute()
    assert client.add(key, 'xen1').status == 200
    assert client.settle(key)['state'] == 'succeeded'
    metadata(client, key, 1)
    body = {'aggregate': {'name': 'b', 'availability_zone': 'z'}}
    client.done('PUT', f'/os-aggregates/{key}', body)
    client.done('PUT', '/os-services/disable', HOST)
    assert client.settle(key)['state'] == 'succeeded'
    with bus.listen() as listener:
        processes.wait_for('all are sent', lambda: not bus.waiting())
        heard = listener.wait(11, LIMIT)
    assert {message.event.split('.')[0] for message in heard} == {
        'aggregate',
        'service',
    }
    asked = [[message.event, message.payload] for message in heard]
    done = subprocess.run(
        [nova_venv / 'bin' / 'python', '-c', ASK],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        [
            message.payload['nova_object.namespace'],
            message.payload['nova_object.version'],
            sorted(message.data),
        ]
        for message in heard
    ]
