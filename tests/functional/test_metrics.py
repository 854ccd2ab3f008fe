"""Numbers of a compute service, scraped over a port, on simulated hosts."""

import contextlib
import datetime
import logging
import pathlib
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import prometheus_client
import pytest
import sqlalchemy as sa
from oslo_config import cfg
from oslo_utils import timeutils

from aggregates_ext.cmd import exporting
from aggregates_ext.compute import manager
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import leases
from aggregates_ext.db import moves
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models
from aggregates_ext.domain import inventory
from aggregates_ext.metrics import compute
from aggregates_ext.metrics import families
from aggregates_ext.metrics import fleet
from aggregates_ext.metrics import switch
from tests import counting
from tests import databases
from tests import scraping
from tests.functional import service as service_of
from tests.functional import test_moving

Scrape = Callable[[], scraping.Page]
HOSTS = {'hosts': [{'name': f'xen{number}'} for number in range(1, 6)]}


@contextlib.contextmanager
def served(
    conf: cfg.ConfigOpts, database: engine.Database
) -> Iterator[tuple[compute.Numbers, int]]:
    """The numbers, as the command serves them, and their port."""
    conf.set_override('compute_port', 0, 'metrics')
    numbers = switch.of_compute(conf, database)
    assert numbers is not None
    page = exporting.listen(conf, 'compute_port', numbers.page)
    page.start()
    try:
        yield numbers, page.port
    finally:
        page.stop(0)


@pytest.fixture
def counted(
    running: service_of.Service,
) -> Iterator[tuple[compute.Numbers, int]]:
    """The numbers of ``running``, and their port."""
    with served(running.conf, running.database) as made:
        yield made


@pytest.fixture
def scrape(
    running: service_of.Service, counted: tuple[compute.Numbers, int]
) -> Scrape:
    """Asks ``running`` for its numbers, which count its work."""
    numbers, port = counted
    running.manager = manage(running, numbers, numbers.session)
    return lambda: scraping.ask(port)


def manage(
    running: service_of.Service,
    numbers: compute.Numbers,
    session: Callable[..., xenapi.Session],
) -> manager.Manager:
    """A compute service whose work is counted."""
    return manager.Manager(
        running.conf,
        running.database,
        connections.Connector(running.conf, session),
        service_of.SteppedClock(running.clock, running.meanwhile),
        numbers.meter,
    )


def change(running: service_of.Service, statement: str, *values: str) -> None:
    """Write into the database, past all rules."""
    with running.database.writer() as connection:
        names = {f'p{number}': value for number, value in enumerate(values)}
        connection.execute(sa.text(statement), names)


def test_nobody_is_counted_unless_it_is_asked_for(
    conf: cfg.ConfigOpts, database: engine.Database
) -> None:
    assert switch.of_compute(conf, database) is None
    assert switch.of_api(conf) is None
    code = (
        'import sys; from aggregates_ext.cmd import api, compute; '
        'print([m for m in sys.modules if m.startswith("prometheus")])'
    )
    done = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == '[]\n'


def test_a_pool_in_numbers(
    running: service_of.Service, scrape: Scrape
) -> None:
    key = str(running.create('xen1', 'xen2'))
    page = scrape()
    assert page.value('up') == 1
    assert page.value('compute_services', state='alive') == 1
    member = {'phase': 'member', 'live': 'true', 'enabled': 'true'}
    assert page.value('hosts', **member) == 2
    host = running.hosts.get('xen1')
    named = {'aggregate_id': key, 'host': 'xen1', 'uuid': host.uuid or ''}
    assert page.value('host_live', **named) == 1
    assert page.value('host_enabled', **named) == 1
    assert page.value('host_alarm', **named) == 0
    phase = {**named, 'phase': 'member', 'maintenance': 'off'}
    assert page.value('host_phase', **phase) == 1
    age = page.value(
        'pool_look_age_seconds', aggregate_id=key, aggregate='pool'
    )
    assert age is not None
    assert 0 <= age < 60
    assert page.value('queue_length') == 0
    assert page.of('operations') == {}
    ended = {'kind': 'add_host', 'state': 'succeeded'}
    assert page.value('operation_seconds_count', **ended) == 2
    login = {'method': 'session.login_with_password', 'outcome': 'answered'}
    assert (page.value('xenapi_seconds_count', **login) or 0) > 0
    assert page.labels('xenapi_seconds_count', 'outcome') >= {
        'answered',
        'refused',
    }


def test_steps_are_few_and_name_nobody(
    running: service_of.Service, scrape: Scrape
) -> None:
    key = running.create('xen1', 'xen2')
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    page = scrape()
    steps = page.labels('step_seconds_count', 'step')
    assert {'begun', 'checking the host', 'ejecting'} <= steps
    assert not [step for step in steps if 'xen' in step or step.isdigit()]
    # Each was at each of its steps once: it ended at none of them twice.
    begun = {'kind': 'add_host', 'step': 'checking the host'}
    assert page.value('step_seconds_count', **begun) == 1


def test_what_is_wrong_in_numbers(
    running: service_of.Service, scrape: Scrape
) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.power_off('xen3')
    running.conf.set_override('join_timeout', 1, 'compute')
    running.members.add_host(running.ctx, key, 'xen3')
    waiting = scrape()
    assert waiting.value('queue_length') == 1
    queued = {'kind': 'add_host', 'state': 'queued'}
    assert waiting.value('operations', **queued) == 1
    age = waiting.value('operation_oldest_seconds', kind='add_host')
    assert age is not None
    assert 0 <= age < 600
    running.work()
    rests = scrape()
    assert rests.value('queue_length') == 0
    assert rests.value('operations', **queued) == 1
    running.clock.advance(5)
    assert running.settle(key) == 'failed'
    page = scrape()
    failed = {'kind': 'add_host', 'state': 'failed'}
    assert page.value('operations', **failed) == 1
    assert page.value('operation_seconds_count', **failed) == 1
    assert page.of('operation_oldest_seconds') == {}
    assert 'unreachable' in page.labels('xenapi_seconds_count', 'outcome')


@pytest.mark.harms_guests
def test_moves_in_numbers(running: service_of.Service, scrape: Scrape) -> None:
    """One is unresolved, is given up, and the other ones end."""
    key = running.create('xen1', 'xen2', 'xen3')
    running.conf.set_override('move_timeout', 1.0, 'compute')
    running.conf.set_override('confirm_interval', 0.01, 'compute')
    for name in ('web', 'db', 'stuck'):
        running.sim.add_vm('xen2', name, memory=1 << 30)
    running.watch(key, 0)

    def states() -> list[float | None]:
        page = scrape()
        return [
            page.value('moves', state=state)
            for state in ('queued', 'sent', 'unresolved')
        ]

    def ended() -> list[float | None]:
        page = scrape()
        return [
            page.value('moves_ended_total', result=result)
            for result in ('completed', 'failed', 'cancelled', 'halted')
        ]

    assert (states(), ended()) == ([0, 0, 0], [0, 0, 0, 0])
    known = test_moving.guest(running, 'stuck').uuid
    running.sim.plant('VM.pool_migrate', action='hang', step=known)
    move = test_moving.ask(running, 'stuck', 'xen3')
    assert states() == [1, 0, 0]
    test_moving.turn(running, key)
    assert states() == [0, 1, 0]
    test_moving.age(running, move, 60)
    test_moving.turn(running, key)
    assert (states(), ended()) == ([0, 0, 1], [0, 0, 0, 0])
    with running.database.writer() as connection:
        moves.cancel(connection, test_moving.read(running, move))
    # What a request ends no service counts.
    assert (states(), ended()) == ([0, 0, 0], [0, 0, 0, 0])
    web = test_moving.ask(running, 'web', 'xen3')
    test_moving.finish(running, key, web)
    assert (states(), ended()) == ([0, 0, 0], [1, 0, 0, 0])
    uuid = test_moving.guest(running, 'db').uuid
    running.sim.plant('VM.pool_migrate', action='halt', step=uuid)
    db = test_moving.ask(running, 'db', 'xen3')
    test_moving.finish(running, key, db)
    assert ended() == [1, 0, 0, 1]
    assert running.sim.harmed() == [f'{uuid} was lost']


def test_drift_in_numbers(running: service_of.Service, scrape: Scrape) -> None:
    key = running.create('xen1', 'xen2')
    with contextlib.closing(running.login('xen1')) as session:
        (pool,) = session.records('pool')
        session.call('pool.set_name_label', pool, 'by hand')
    running.watch(key, 100)
    page = scrape()
    assert page.value('drift', code='LABEL') == 1
    where = {'aggregate_id': str(key), 'aggregate': 'pool', 'code': 'LABEL'}
    assert page.value('pool_drift', **where) == 1


def test_a_lease_that_is_lost_is_counted(
    running: service_of.Service,
    counted: tuple[compute.Numbers, int],
    scrape: Scrape,
) -> None:
    key = running.create('xen1')
    assert scrape().value('leases_lost_total') == 0

    def login(*arguments: Any) -> xenapi.Session:
        running.database.write(lambda c: leases.revoke(c, key))
        return xenapi.Session(*arguments)

    running.manager = manage(running, counted[0], login)
    running.manager.work_on(key)
    assert scrape().value('leases_lost_total') == 1


def test_hosts_and_pools_beyond_the_limits_are_counted_alone(
    running: service_of.Service, scrape: Scrape
) -> None:
    running.create('xen1', name='first')
    running.create('xen2', name='second')
    running.conf.set_override('max_hosts', 1, 'metrics')
    running.conf.set_override('max_pools', 1, 'metrics')
    page = scrape()
    for name in ('host_live', 'host_enabled', 'host_phase', 'host_alarm'):
        assert page.labels(name, 'host') == {'xen1'}
    assert page.labels('pool_look_age_seconds', 'aggregate') == {'first'}
    assert page.value('left_out', what='hosts') == 2
    assert page.value('left_out', what='pools') == 1
    assert sum(page.of('hosts').values()) == 3


def test_no_name_can_forge_a_number(
    running: service_of.Service, scrape: Scrape
) -> None:
    """What is in the database came from hosts and clients."""
    key = running.create('xen1')
    before = scrape()
    hostile = 'a"} 1\naggregates_ext_up 0\n\u202e\x1b[2J\\' + 'x' * 200
    change(running, "UPDATE hosts SET name = :p0 WHERE name = 'xen1'", hostile)
    change(running, 'UPDATE aggregates SET name = :p0', hostile)
    change(
        running,
        'UPDATE aggregates SET drift = :p0',
        '[{"code": "A\\n# TYPE x\\u2028' + 'y' * 300 + '", "message": ""}]',
    )
    page = scrape()
    assert page.value('up') == 1
    assert page.kinds == before.kinds
    (name,) = {
        value
        for value in page.labels('host_live', 'host')
        if value.startswith('a')
    }
    assert page.labels('pool_look_age_seconds', 'aggregate') == {name}
    (code,) = page.labels('drift', 'code')
    for told in (name, code):
        assert told.isprintable()
        assert len(told) <= 255
    assert str(key) in page.labels('host_live', 'aggregate_id')
    assert running.sim.host('xen2').password not in page.text


def test_no_secret_is_among_the_numbers(
    running: service_of.Service, scrape: Scrape
) -> None:
    running.create('xen1', 'xen2')
    text = scrape().text
    assert running.sim.host('xen1').password not in text
    assert 'OpaqueRef' not in text


def test_a_database_that_is_away_is_a_number(
    conf: cfg.ConfigOpts,
    tmp_path: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = databases.configure(f'sqlite:///{tmp_path}/no/such.sqlite')
    with (
        caplog.at_level(logging.WARNING),
        served(away, engine.Database(away)) as (_numbers, port),
    ):
        page = scraping.ask(port)
        again = scraping.ask(port)
    assert page.status == again.status == 200
    assert page.value('up') == again.value('up') == 0
    assert page.of('hosts') == page.of('compute_services') == {}
    assert page.value('pools_at_work') == 0
    assert 'Traceback' not in page.text + caplog.text
    assert caplog.text.count('cannot be asked for numbers') == 1


def test_a_database_without_tables_is_one_too(
    conf: cfg.ConfigOpts, caplog: pytest.LogCaptureFixture
) -> None:
    with served(conf, engine.Database(conf)) as (_numbers, port):
        assert scraping.ask(port).value('up') == 0
    assert 'cannot be asked for numbers' in caplog.text
    assert ': a bug' not in caplog.text


def test_a_host_is_up_here_where_the_api_has_it_up(
    running: service_of.Service, scrape: Scrape
) -> None:
    key = running.create('xen1', 'xen2')
    running.sim.power_off('xen2')
    running.watch(key, 600)
    running.enabling.set_service(running.ctx, 'xen1', records.DISABLED)
    running.work()
    known = inventory.Inventory(running.database).get_all()
    told = scrape()
    for name, value in (('host_live', 'up'), ('host_enabled', 'enabled')):
        shown = {
            dict(labels)['host']: bool(number)
            for labels, number in told.of(name).items()
        }
        assert shown == {node.name: getattr(node, value) for node in known}
        assert set(shown.values()) == {True, False}


@pytest.mark.parametrize('path', ['/', '/favicon.ico', '/metrics/x', '//'])
def test_nothing_else_is_served(conf: cfg.ConfigOpts, path: str) -> None:
    with served(conf, engine.Database(conf)) as (_numbers, port):
        assert scraping.ask(port, path).status == 404
        assert scraping.ask(port, method='POST').status == 405


def test_messages_that_wait_are_counted(
    running: service_of.Service, scrape: Scrape
) -> None:
    assert scrape().value('notifications_waiting') is None
    running.conf.set_override('enabled', True, 'notifications')
    page = scrape()
    assert page.value('notifications_waiting') == 0
    assert page.value('notification_oldest_seconds') == 0
    before = timeutils.utcnow() - datetime.timedelta(seconds=100)
    with running.database.writer() as connection:
        for n in range(2):
            connection.execute(
                sa.insert(models.notifications).values(
                    uuid=f'u{n}',
                    object='aggregate',
                    action='create',
                    machine='here',
                    created_at=before,
                )
            )
    page = scrape()
    assert page.value('notifications_waiting') == 2
    age = page.value('notification_oldest_seconds')
    assert age is not None
    assert 100 <= age < 700


@pytest.mark.every_database
def test_statements_are_as_many_whatever_there_is(
    make_service: Callable[..., service_of.Service],
) -> None:
    running = make_service(HOSTS)
    running.aggregates.create('empty', None)

    def ask() -> list[str]:
        with counting.counting_statements() as seen:
            fleet.read(running.database, 60, telling=True)
        return list(seen)

    few = ask()
    running.create('xen1', 'xen2', name='one')
    running.create('xen3', 'xen4', name='two')
    assert ask() == few
    # And BEGIN; PostgreSQL sets its level before.
    assert len(few) <= 8, few


def test_what_is_told_is_what_the_table_has(
    running: service_of.Service, scrape: Scrape
) -> None:
    running.create('xen1')
    told = {
        name.removeprefix(scraping.PREFIX)
        for name in scrape().kinds
        if name.startswith(scraping.PREFIX)
    }
    of_compute = {
        *families.OF_THE_DATABASE,
        families.OPERATION_SECONDS,
        families.STEP_SECONDS,
        families.MOVES_ENDED,
        families.AT_WORK,
        families.LEASES_LOST,
        families.XENAPI_SECONDS,
        families.RELEASE,
    }
    assert told == {family.name for family in of_compute}


def test_every_collector_tells_what_it_may(conf: cfg.ConfigOpts) -> None:
    """So that a registry finds two of one name."""
    registry = prometheus_client.CollectorRegistry()
    collector = compute.collector.of_all(conf, engine.Database(conf))
    registry.register(collector)
    with pytest.raises(ValueError, match='Duplicated'):
        registry.register(collector)
