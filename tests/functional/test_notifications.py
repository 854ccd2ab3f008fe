"""What changes is told on the bus: once written, in order, or not at all."""

import datetime
import json
import logging
import pathlib
import re
import socket
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from oslo_config import cfg
from oslo_context import context as oslo_context
from oslo_utils import uuidutils

from aggregates_ext import exception
from aggregates_ext import rpc
from aggregates_ext.compute.notifying import delivery
from aggregates_ext.compute.notifying import sender
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import moves
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.db.outbox import queue
from aggregates_ext.db.schema import models
from aggregates_ext.domain import inventory
from tests import hearing
from tests.functional import service
from tests.functional import test_statements
from tests.functional.db import test_moves

TABLE = models.notifications
DOCUMENT = pathlib.Path(__file__).parents[2] / 'doc/source/notifications.rst'
# Of Nova's payload in version 1.1.
FIELDS = {'id', 'uuid', 'name', 'hosts', 'metadata'}
SERVICE_FIELDS = {
    'host',
    'binary',
    'topic',
    'report_count',
    'disabled',
    'disabled_reason',
    'availability_zone',
    'last_seen_up',
    'forced_down',
    'version',
    'uuid',
}
MOVE_FIELDS = {
    'move',
    'guest',
    'guest_name',
    'source',
    'target',
    'code',
    'message',
}
ERROR_FIELDS = FIELDS | {'host', 'operation', 'code', 'message'}


@pytest.fixture
def telling(running: service.Service) -> service.Service:
    """The service with notifications, and a bus of its own."""
    tell(running.conf)
    return running


def tell(conf: cfg.ConfigOpts) -> None:
    rpc.get_transport(conf)
    conf.set_override('transport_url', 'fake:/')
    conf.set_override('enabled', True, 'notifications')


@pytest.fixture
def listener(telling: service.Service) -> Iterator[hearing.Listener]:
    with hearing.Listener(telling.conf) as made:
        telling.conf.set_override(
            'versioned_notifications_topics', [made.topic], 'notifications'
        )
        yield made


def waiting(database: engine.Database) -> list[Any]:
    """The rows that are there, in order."""
    with database.reader() as connection:
        return list(connection.execute(sa.select(TABLE).order_by(TABLE.c.id)))


def events(database: engine.Database) -> list[str]:
    return [
        '.'.join(filter(None, (row.action, row.phase)))
        for row in waiting(database)
    ]


def make_sender(
    running: service.Service, owner: str = 'me', **more: Any
) -> sender.Sender:
    return sender.Sender(running.conf, running.database, owner, **more)


class Memory:
    """A bus that keeps what it is given, and may be away.

    :ivar fails: why nothing passes; empty: it does.
    """

    def __init__(self) -> None:
        self.sent: list[queue.Row] = []
        self.fails = ''
        self.act: Callable[[], object] = bool

    def __call__(self, _conf: cfg.ConfigOpts) -> Any:
        return self

    def send(self, row: queue.Row) -> None:
        if self.fails:
            raise delivery.Undelivered(self.fails)
        self.sent.append(row)
        self.act()


def test_a_life_is_told_to_a_listener(
    telling: service.Service, listener: hearing.Listener
) -> None:
    """With Nova's names, its payloads and what they say when."""
    key = telling.create('xen1', name='a')
    telling.aggregates.set_metadata(key, {'k': 'v'})
    telling.aggregates.update(
        telling.ctx, key, {'name': 'b', 'availability_zone': 'az1'}
    )
    telling.members.remove_host(telling.ctx, key, 'xen1')
    telling.work()
    telling.aggregates.delete(telling.ctx, key)
    written = [row.uuid for row in waiting(telling.database)]
    assert make_sender(telling).send() == 14
    assert waiting(telling.database) == []
    heard = listener.wait(14)
    told = [
        (h.event, h.data['hosts'], h.data['name'], h.data['metadata'])
        for h in heard
    ]
    zone = {'k': 'v', 'availability_zone': 'az1'}
    assert told == [
        ('aggregate.create.start', None, 'a', {}),
        ('aggregate.create.end', [], 'a', {}),
        ('aggregate.add_host.start', [], 'a', {}),
        ('aggregate.add_host.end', ['xen1'], 'a', {}),
        ('aggregate.update_metadata.start', ['xen1'], 'a', {'k': 'v'}),
        ('aggregate.update_metadata.end', ['xen1'], 'a', {'k': 'v'}),
        # The pool is still to be named.
        ('aggregate.update_prop.start', ['xen1'], 'b', zone),
        ('aggregate.update_metadata.start', ['xen1'], 'b', zone),
        ('aggregate.update_metadata.end', ['xen1'], 'b', zone),
        ('aggregate.remove_host.start', ['xen1'], 'b', zone),
        ('aggregate.update_prop.end', [], 'b', zone),
        ('aggregate.remove_host.end', [], 'b', zone),
        ('aggregate.delete.start', [], 'b', zone),
        ('aggregate.delete.end', [], 'b', zone),
    ]
    for message in heard:
        assert message.publisher == f'nova-api:{socket.gethostname()}'
        assert message.payload.keys() == {
            'nova_object.name',
            'nova_object.namespace',
            'nova_object.version',
            'nova_object.data',
        }
        assert message.payload['nova_object.name'] == 'AggregatePayload'
        assert message.payload['nova_object.namespace'] == 'nova'
        assert message.payload['nova_object.version'] == '1.1'
        assert message.data.keys() == FIELDS
    assert [h.data['id'] for h in heard] == [None] + 13 * [key]
    assert len({h.data['uuid'] for h in heard}) == 1
    assert [h.id for h in heard] == written
    assert len(set(written)) == 14


def test_who_asked_is_told(
    telling: service.Service, listener: hearing.Listener
) -> None:
    """Also with what an operation does later."""
    key = telling.aggregates.create('a', None).id
    telling.members.add_host(telling.ctx, key, 'xen1')
    oslo_context.RequestContext(request_id='another', overwrite=True)
    telling.work()
    make_sender(telling).send()
    last = listener.wait(4)[-1]
    assert last.event == 'aggregate.add_host.end'
    assert last.context['request_id'] == telling.ctx.request_id
    assert last.context['user_id'] == 'user'
    assert last.context['project_id'] == 'project'


def test_the_sample_of_the_document_is_what_is_heard(
    telling: service.Service, listener: hearing.Listener
) -> None:
    """But for what differs each time."""
    key = telling.aggregates.create('rack1', 'az1').id
    telling.members.add_host(telling.ctx, key, 'xen1')
    telling.work()
    make_sender(telling).send()
    heard = listener.wait(4)[-1]
    text = DOCUMENT.read_text().partition('.. code-block:: json\n')[2]
    block = re.split(r'\n(?=\S)', text)[0]
    sample = json.loads(block)
    told = {
        'message_id': heard.id,
        'publisher_id': heard.publisher,
        'timestamp': heard.timestamp,
        'priority': 'INFO',
        'event_type': heard.event,
        'payload': heard.payload,
    }
    for message in (sample, told):
        assert datetime.datetime.fromisoformat(message.pop('timestamp'))
        assert uuidutils.is_uuid_like(message.pop('message_id'))
        assert message.pop('publisher_id').startswith('nova-api:')
        data = message['payload']['nova_object.data']
        assert uuidutils.is_uuid_like(data.pop('uuid'))
    assert told == sample


def test_nothing_is_written_where_nothing_is_told(
    running: service.Service,
) -> None:
    running.create('xen1')
    assert waiting(running.database) == []


def test_what_fails_is_told_with_the_reason(
    telling: service.Service, listener: hearing.Listener
) -> None:
    key = telling.create('xen1')
    telling.sim.add_vm('xen2', 'web', power_state='Running')
    telling.members.add_host(telling.ctx, key, 'xen2')
    telling.work()
    failed = telling.operation(key)
    make_sender(telling).send()
    heard = listener.wait(6)
    assert [h.event for h in heard][4:] == [
        'aggregate.add_host.start',
        'aggregate.add_host.error',
    ]
    error = heard[-1]
    assert error.payload['nova_object.name'] == 'AggregateErrorPayload'
    assert error.payload['nova_object.namespace'] == 'aggregates_ext'
    assert error.data.keys() == ERROR_FIELDS
    assert error.data['host'] == 'xen2'
    assert error.data['hosts'] == ['xen1']
    assert error.data['operation'] == failed.uuid
    assert error.data['code'] == 'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS'
    assert 'web' in error.data['message']


def begin_removal(running: service.Service, key: int) -> None:
    running.members.remove_host(running.ctx, key, 'xen2')


def cancel(running: service.Service, key: int) -> None:
    running.operations.cancel(running.ctx, key, running.operation(key).uuid)


def take_out_of_hand(running: service.Service, key: int) -> None:
    """By force, which takes the place of another removal."""
    begin_removal(running, key)
    running.members.remove_host(running.ctx, key, 'xen2', force=True)


def delete_later(running: service.Service, key: int) -> None:
    """While a host is still on its way out."""
    begin_removal(running, key)
    running.work()
    running.members.remove_host(running.ctx, key, 'xen1')
    running.aggregates.delete(running.ctx, key)
    running.work()


def adopt(running: service.Service, key: int) -> None:
    """A host is in the pool, and its aggregate has forgotten it."""
    forget = (
        sa.update(models.hosts)
        .where(models.hosts.c.name == 'xen2')
        .values(aggregate_id=None, phase='free')
    )
    running.database.write(lambda c: c.execute(forget))
    running.pools.adopt(running.ctx, key)
    running.work()


def reset(running: service.Service, key: int) -> None:
    """Somebody says what became of a host that nobody knows of."""
    begin_removal(running, key)
    unknown = sa.update(models.operations).values(state='unresolved')
    running.database.write(
        lambda c: c.execute(
            unknown.where(models.operations.c.state == 'queued')
        )
    )
    running.operations.reset(running.ctx, key, 'xen2', 'free')


def test_services_are_told(
    telling: service.Service, listener: hearing.Listener
) -> None:
    """Hosts that are registered, disabled, enabled and forgotten."""
    key = telling.create('xen1')
    telling.aggregates.update(telling.ctx, key, {'availability_zone': 'az1'})
    telling.database.write(lambda c: c.execute(sa.delete(TABLE)))
    new = {'name': 'new', 'url': 'https://new', 'availability_zone': 'az2'}
    telling.hosts.add([new])
    disable = (telling.ctx, 'xen1', records.DISABLED, 'repair')
    telling.enabling.set_service(*disable)
    telling.work()
    telling.enabling.set_service(telling.ctx, 'xen1', records.ENABLED)
    telling.work()
    nodes = {
        node.name: node.service_uuid
        for node in inventory.Inventory(telling.database, 60).get_all()
    }
    telling.hosts.remove('new')
    make_sender(telling).send()
    heard = [h for h in listener.wait(4) if h.event.startswith('service')]
    told = [
        (
            h.event,
            h.data['host'],
            h.data['availability_zone'],
            h.data['disabled'],
            h.data['disabled_reason'],
        )
        for h in heard
    ]
    assert list(dict.fromkeys(told)) == [
        ('service.create', 'new', 'az2', False, None),
        ('service.update', 'xen1', 'az1', True, 'repair'),
        ('service.update', 'xen1', 'az1', False, None),
        ('service.delete', 'new', 'az2', False, None),
    ]
    for message in heard:
        assert message.publisher == f'nova-compute:{message.data["host"]}'
        assert message.payload['nova_object.name'] == 'ServiceStatusPayload'
        assert message.payload['nova_object.namespace'] == 'nova'
        assert message.payload['nova_object.version'] == '1.1'
        assert message.data.keys() == SERVICE_FIELDS
        assert message.data['uuid'] == nodes[message.data['host']]


def test_drift_is_told_when_it_begins_and_when_it_ends(
    telling: service.Service, listener: hearing.Listener
) -> None:
    """And not with each look that finds the same."""
    key = telling.create('xen1')
    telling.database.write(lambda c: c.execute(sa.delete(TABLE)))
    for label, looks in (('by hand', 2), ('pool', 2)):
        telling.sim.set_pool('xen1', name_label=label)
        for _ in range(looks):
            telling.watch(key, 0)
    make_sender(telling).send()
    heard = listener.wait(2)
    assert [h.event for h in heard] == 2 * ['aggregates_ext.drift']
    for message in heard:
        assert message.payload['nova_object.name'] == 'DriftPayload'
        assert message.payload['nova_object.namespace'] == 'aggregates_ext'
        assert message.data.keys() == FIELDS | {'begun', 'ended'}
    told = [
        {
            when: [entry['code'] for entry in h.data[when]]
            for when in ('begun', 'ended')
        }
        for h in heard
    ]
    assert told == [
        {'begun': ['LABEL'], 'ended': []},
        {'begun': [], 'ended': ['LABEL']},
    ]
    (entry,) = heard[0].data['begun']
    assert entry.keys() == {'code', 'message', 'host', 'uuid'}


@pytest.mark.parametrize(
    ('state', 'phase', 'code'),
    [
        ('completed', 'end', None),
        ('failed', 'error', 'WHY'),
        ('cancelled', 'error', 'CANCELLED'),
        ('taken back', 'error', 'CANCELLED'),
    ],
)
def test_moves_are_told(
    telling: service.Service,
    listener: hearing.Listener,
    state: str,
    phase: str,
    code: str | None,
) -> None:
    """Once each, whatever ends them twice."""
    key = telling.aggregates.create('a', None).id
    known = test_moves.guest(key=key, host='xen1')
    telling.database.write(lambda c: c.execute(sa.delete(TABLE)))
    move = telling.database.write(
        lambda c: moves.insert(c, 'the uuid', known, {}, 'xen2')
    )
    error = {'code': 'WHY', 'message': 'Why.'} if state == 'failed' else None
    for _ in range(2):
        if state == 'taken back':
            telling.database.write(lambda c: moves.cancel(c, move))
        else:
            telling.database.write(
                lambda c: moves.finish(c, move, state, error)
            )
    make_sender(telling).send()
    heard = listener.wait(2)
    assert waiting(telling.database) == []
    assert [h.event for h in heard] == [
        'aggregates_ext.move.start',
        f'aggregates_ext.move.{phase}',
    ]
    told = heard[-1]
    assert told.payload['nova_object.name'] == 'MovePayload'
    assert told.data.keys() == FIELDS | MOVE_FIELDS
    assert told.data['move'] == 'the uuid'
    assert told.data['guest'] == known.uuid
    assert (told.data['source'], told.data['target']) == ('xen1', 'xen2')
    assert told.data['code'] == code


def test_a_service_that_is_refused_is_not_told(
    telling: service.Service,
) -> None:
    telling.create('xen1')
    before = events(telling.database)
    with pytest.raises(exception.Conflict):
        telling.hosts.remove('xen1')
    assert events(telling.database) == before


# Each way that a change may begin and end, and what is told of it.
WAYS: dict[str, tuple[Callable[[service.Service, int], object], list[str]]] = {
    'a removal that is cancelled': (
        lambda r, k: (begin_removal(r, k), cancel(r, k)),
        ['remove_host.start', 'remove_host.error'],
    ),
    'a join that is taken back': (
        lambda r, k: (
            r.members.add_host(r.ctx, k, 'xen3'),
            r.members.remove_host(r.ctx, k, 'xen3'),
        ),
        ['add_host.start', 'add_host.error'],
    ),
    'force': (
        take_out_of_hand,
        ['remove_host.start', 'remove_host.error', 'remove_host.start'],
    ),
    'a late deletion': (
        delete_later,
        [
            'remove_host.start',
            'remove_host.end',
            'remove_host.start',
            'delete.start',
            'remove_host.end',
            'delete.end',
        ],
    ),
    'adoption': (adopt, ['add_host.start', 'add_host.end']),
    'reset': (reset, ['remove_host.start', 'remove_host.end']),
}


@pytest.mark.parametrize('way', WAYS)
def test_what_begins_is_told_to_end(
    telling: service.Service, way: str
) -> None:
    act, told = WAYS[way]
    key = telling.create('xen1', 'xen2')
    telling.database.write(lambda c: c.execute(sa.delete(TABLE)))
    act(telling, key)
    assert events(telling.database) == told


@pytest.mark.parametrize('name', test_statements.CASES)
def test_a_request_takes_at_most_one_more_statement(
    tmp_path: pathlib.Path, name: str
) -> None:
    case = test_statements.CASES[name]
    counts = []
    for telling in (False, True):
        made = test_statements.Counted(
            tmp_path / f'{telling}.sqlite', telling=telling
        )
        made.execute(*case.before)
        version = {'OpenStack-API-Version': f'compute {case.version}'}
        count, answer = made.send(
            case.method,
            case.path,
            case.body,
            {**test_statements.ADMIN, **version},
        )
        assert answer.status_int == case.status, answer.text
        counts.append(count)
        made.database.dispose()
    assert counts[0] <= counts[1] <= counts[0] + 1


def test_what_is_not_committed_is_not_told(telling: service.Service) -> None:
    """A COMMIT that fails is among those of ``db/test_commit.py``."""
    telling.aggregates.create('a', None)
    before = events(telling.database)
    with pytest.raises(exception.AggregateNameExists):
        telling.aggregates.create('a', None)
    assert events(telling.database) == before

    def work(connection: Any) -> None:
        db_aggregates.insert(connection, 'u', 'b', None)
        raise exception.Invalid(reason='after all')

    with pytest.raises(exception.Invalid):
        telling.database.write(work)
    assert events(telling.database) == before


def test_a_transaction_that_is_run_again_tells_once(
    telling: service.Service,
) -> None:
    runs = []

    def work(connection: Any) -> None:
        runs.append(db_aggregates.insert(connection, 'u', 'a', None))
        if len(runs) == 1:
            raise engine.failures.db_exc.DBDeadlock

    telling.database.write(work)
    assert len(runs) == 2
    assert events(telling.database) == ['create.start', 'create.end']


class Death(BaseException):
    """The process is gone."""


def test_who_dies_leaves_it_to_be_sent_again(
    telling: service.Service,
) -> None:
    """After the COMMIT, and between the broker and the database."""
    telling.aggregates.create('a', None)
    written = [row.uuid for row in waiting(telling.database)]
    bus = Memory()

    def die() -> None:
        raise Death

    bus.act = die
    with pytest.raises(Death):
        make_sender(telling, 'one', connect=bus).send()
    bus.act = bool
    other = make_sender(telling, 'two', connect=bus)
    # Until the claim of the dead one is over.
    assert other.send() == 0
    telling.database.write(
        lambda c: c.execute(sa.update(TABLE).values(claimed_until=1.0))
    )
    assert other.send() == 2
    assert [row.uuid for row in bus.sent] == [written[0], *written]
    assert waiting(telling.database) == []


def test_one_service_sends_at_a_time_and_in_order(
    telling: service.Service,
) -> None:
    """Another one that comes meanwhile finds nothing to do."""
    first, second = Memory(), Memory()
    other = make_sender(telling, 'two', connect=second)
    keys = [telling.aggregates.create(name, None).id for name in 'ab']
    for number in range(3):
        for key in keys:
            telling.aggregates.set_metadata(key, {'number': str(number)})
    written = [row.uuid for row in waiting(telling.database)]
    first.act = other.send
    assert make_sender(telling, 'one', connect=first).send() == len(written)
    assert [row.uuid for row in first.sent] == written
    assert second.sent == []


def test_broker_that_is_away_loses_nothing(
    telling: service.Service, caplog: pytest.LogCaptureFixture
) -> None:
    """And is one line in the log, when that begins and when it ends."""
    caplog.set_level(logging.INFO)
    bus = Memory()
    made = make_sender(telling, connect=bus)
    bus.fails = 'the broker is away'
    telling.aggregates.create('a', None)
    assert [made.send() for _ in range(3)] == [0, 0, 0]
    bus.fails = ''
    telling.aggregates.create('b', None)
    assert made.send() == 4
    assert caplog.text.count('are kept until') == 1
    assert caplog.text.count('are told again') == 1


def test_a_broker_that_fails_in_earnest_is_told_to_the_sender(
    telling: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By oslo.messaging's own driver, which keeps failures to itself."""
    telling.aggregates.create('a', None)
    telling.conf.set_override('transport_url', 'rabbit://127.0.0.1:1/')
    assert make_sender(telling).send() == 0
    assert len(waiting(telling.database)) == 2


def test_one_that_cannot_be_made_keeps_no_other_back(
    telling: service.Service,
    listener: hearing.Listener,
    caplog: pytest.LogCaptureFixture,
) -> None:
    telling.aggregates.create('a', None)
    wrong = sa.update(TABLE).where(TABLE.c.phase == 'start')
    telling.database.write(
        lambda c: c.execute(wrong.values(hosts='no phase', action='delete'))
    )
    make_sender(telling).send()
    (heard,) = listener.wait(1)
    assert heard.event == 'aggregate.create.end'
    assert waiting(telling.database) == []
    assert caplog.text.count('is dropped: a bug') == 1


def test_without_a_url_it_waits(
    telling: service.Service, caplog: pytest.LogCaptureFixture
) -> None:
    telling.conf.set_override('transport_url', '')
    telling.aggregates.create('a', None)
    assert make_sender(telling).send() == 0
    assert 'Neither [DEFAULT] transport_url' in caplog.text


@pytest.mark.parametrize('bound', ['keep_time', 'keep_messages'])
def test_what_waits_too_long_or_is_too_much_is_dropped(
    telling: service.Service, caplog: pytest.LogCaptureFixture, bound: str
) -> None:
    """The oldest; counted, and told once when it begins and when it ends."""
    bus = Memory()
    bus.fails = 'the broker is away'
    made = make_sender(telling, connect=bus)
    for name in 'abc':
        telling.aggregates.create(name, None)
    if bound == 'keep_messages':
        telling.conf.set_override(bound, 2, 'notifications')
    else:
        old = datetime.datetime(2000, 1, 1)
        telling.database.write(
            lambda c: c.execute(
                sa.update(TABLE).where(TABLE.c.id <= 4).values(created_at=old)
            )
        )
    assert [made.send() for _ in range(2)] == [0, 0]
    bus.fails = ''
    assert made.send() == 2
    assert [row.name for row in bus.sent] == ['c', 'c']
    assert caplog.text.count('Notifications are dropped') == 1
    assert '4 notifications were dropped' in caplog.text


def test_the_service_sends_by_itself(
    telling: service.Service, listener: hearing.Listener
) -> None:
    telling.aggregates.create('a', None)
    made = make_sender(telling)
    made.start()
    listener.wait(2)
    telling.aggregates.create('b', None)
    listener.wait(4)
    made.stop()
