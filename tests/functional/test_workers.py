"""The threads of a compute service, and what they share."""

import collections
import threading
from collections.abc import Sequence

import pytest
import sqlalchemy as sa
from oslo_config import cfg

from aggregates_ext.compute import manager
from aggregates_ext.compute.xen import connections
from aggregates_ext.db import leases
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models
from tests.functional import service

DEADLINE = 30.0
LOOKS = 5


class Slow(manager.Manager):
    """Finds its work again and again before a thread has claimed it."""

    begun = 0
    looks = 0

    def __init__(self, conf: cfg.ConfigOpts, database: engine.Database):
        super().__init__(conf, database, connections.Connector(conf))
        self.looked = threading.Event()

    def work_on(self, aggregate_id: int) -> None:
        self.begun += 1
        assert self.looked.wait(DEADLINE)

    def _find_work(self, room: int) -> Sequence[int]:
        self.looks += 1
        if self.looks > LOOKS:
            self.looked.set()
            self.stop()
        return super()._find_work(room)


class Late(manager.Manager):
    """Another service claims what it has found, before it does.

    :ivar looked: it has looked for work once more.
    """

    looks = 0

    def __init__(self, conf: cfg.ConfigOpts, database: engine.Database):
        super().__init__(conf, database, connections.Connector(conf))
        self.looked = threading.Event()

    def _find_work(self, room: int) -> Sequence[int]:
        self.looks += 1
        found = super()._find_work(room)
        if self.looks > 1:
            self.looked.set()
        for key in found:
            self._database.write(
                lambda connection, key=key: leases.claim(
                    connection, key, 'another', DEADLINE
                )
            )
        return found


def test_work_that_waits_for_its_thread_is_not_begun_twice(
    running: service.Service,
) -> None:
    """Else each look takes another thread away from other pools."""
    key = running.aggregates.create('pool', None).id
    running.members.add_host(running.ctx, key, 'xen1')
    running.conf.set_override('poll_interval', 0.05, 'compute')
    slow = Slow(running.conf, running.database)
    slow.serve()
    assert slow.looked.is_set()
    assert slow.begun == 1


def test_who_was_too_late_looks_for_more_at_once(
    running: service.Service,
) -> None:
    """Services find the same; the others need not wait for their next poll."""
    key = running.aggregates.create('pool', None).id
    running.members.add_host(running.ctx, key, 'xen1')
    running.conf.set_override('poll_interval', 60, 'compute')
    late = Late(running.conf, running.database)
    thread = threading.Thread(target=late.serve)
    thread.start()
    try:
        assert late.looked.wait(DEADLINE)
    finally:
        late.stop()
        thread.join()
    assert running.aggregates.get(key).hosts == ('xen1',)


def test_work_is_looked_for_more_often_while_something_goes_on(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a look at a host that is due comes up to poll_interval late."""
    running.conf.set_override('poll_interval', 7, 'compute')
    running.conf.set_override('watch_interval', 0.5, 'compute')
    made = running.manager
    key = running.aggregates.create('pool', None).id
    made.work_on(key)
    assert made._pause() == 7
    running.members.add_host(running.ctx, key, 'xen1')
    made.work_on(key)
    assert made._pause() == 0.5
    running.conf.set_override('poll_interval', 0.1, 'compute')
    assert made._pause() == 0.1
    running.conf.set_override('poll_interval', 7, 'compute')
    monkeypatch.setattr(manager, 'LIVELY', -1)
    assert made._pause() == 7
    # A look at a pool at rest is no work.
    monkeypatch.undo()
    made._lively = -manager.LIVELY
    made.work_on(key)
    assert made._pause() == 7


def test_what_rests_is_found_when_it_is_due(running: service.Service) -> None:
    """Else each look at a host comes up to watch_interval late."""
    running.conf.set_override('watch_interval', 60, 'compute')
    running.conf.set_override('poll_interval', 60, 'compute')
    made = running.manager
    key = running.aggregates.create('pool', None).id
    running.members.add_host(running.ctx, key, 'xen1')
    made.work_on(key)
    running.aggregates.update(running.ctx, key, {'name': 'new'})
    for seconds in (50, 5):
        with running.database.writer() as connection:
            connection.execute(
                sa.update(models.operations)
                .where(models.operations.c.finished_at.is_(None))
                .values(not_before=engine.now() + seconds)
            )
        made._find_work(1)
        assert 0 < made._pause() <= seconds
    made._lively = -manager.LIVELY
    made._find_work(1)
    assert made._pause() == 60


def test_thread_needs_one_connection_at_a_time(
    running: service.Service,
) -> None:
    """So any number of workers gets on with any size of connection pool.

    Who holds one waits for nobody else who does.
    """
    taken: collections.Counter[int] = collections.Counter()
    most = 0

    def take(*_arguments: object) -> None:
        nonlocal most
        taken[threading.get_ident()] += 1
        most = max(most, *taken.values())

    def give_back(*_arguments: object) -> None:
        taken[threading.get_ident()] -= 1

    sa.event.listen(running.database.engine, 'checkout', take)
    sa.event.listen(running.database.engine, 'checkin', give_back)
    key = running.create('xen1', 'xen2')
    assert running.aggregates.get(key).hosts == ('xen1', 'xen2')
    running.aggregates.update(running.ctx, key, {'name': 'new'})
    running.members.remove_host(running.ctx, key, 'xen2')
    running.work()
    running.watch(key, 60)
    assert running.hosts.get('xen2').phase == 'free'
    assert most == 1
