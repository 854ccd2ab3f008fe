"""The database is cut off in the middle of what an operation writes.

On each kind of database, by breaking the connection itself: before a COMMIT,
in it when it is done and not answered, or after it. Every changing call has
its effect once, whatever was being written. The integration test of the same
name does so with real processes, at every point of every story.
"""

import contextlib
import dataclasses
import os
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import default

from aggregates_ext import exception
from aggregates_ext.db.engine import engine
from tests import cuts
from tests.functional import service

pytestmark = pytest.mark.every_database

Make = Callable[..., service.Service]
Act = Callable[[service.Service, int], object]
WRITES = ('INSERT', 'UPDATE', 'DELETE')
CHANGES = (
    'Async.pool.join',
    'Async.pool.eject',
    'host.disable',
    'host.enable',
    'pool.designate_new_master',
    'pool.set_name_label',
    'pool.add_to_other_config',
    'pool.remove_from_other_config',
)
FEWER = 'the story has fewer COMMITs'
# More than the COMMITs of any of the stories.
COMMITS = 40
EVERY = 1 if os.environ.get('AGGREGATES_EXT_SWEEP_ALL') else 13
# How many a story has, by kind of database, once one was played undisturbed.
KNOWN: dict[tuple[str, str], int] = {}


@dataclasses.dataclass
class Cut:
    """Breaks the connection of the main thread around one COMMIT.

    :ivar armed: whether COMMITs are counted: in the compute service alone.
    """

    nth: int
    moment: str
    armed: bool = False
    seen: int = 0
    done: bool = False
    _written: bool = False
    _doomed: bool = False

    def note(
        self, connection: Any, cursor: Any, statement: str, *more: Any
    ) -> None:
        """A statement was carried out."""
        if not self._counts() or not statement.startswith(WRITES):
            return
        first, self._written = not self._written, True
        if first and self.moment == 'before' and self.seen + 1 == self.nth:
            self.seen += 1
            self._break(connection.connection)

    def doom(self, connection: Any, *more: Any) -> None:
        """A statement is about to be carried out."""
        if self._doomed and self._counts():
            self._doomed = False
            self._break(connection.connection)

    def commit(self, do_commit: Any, dialect: Any, connection: Any) -> None:
        """A COMMIT."""
        do_commit(dialect, connection)
        if not self._counts() or not self._written:
            return
        self._written = False
        self.seen += 1
        if self.seen != self.nth:
            return
        if self.moment == 'in':
            self._break(connection)
            cuts.fail(connection.dbapi_connection)
        self._doomed = self.moment == 'after'

    def _counts(self) -> bool:
        here = threading.current_thread() is threading.main_thread()
        return self.armed and here

    def _break(self, connection: Any) -> None:
        self.done = True
        cuts.break_off(connection.dbapi_connection)


@pytest.fixture
def cut(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cut]:
    """What is to be cut, and a compute service that it happens to."""
    made = Cut(*request.param)
    do_commit = default.DefaultDialect.do_commit
    monkeypatch.setattr(
        default.DefaultDialect,
        'do_commit',
        lambda dialect, connection: made.commit(
            do_commit, dialect, connection
        ),
    )
    listeners = {
        'after_cursor_execute': made.note,
        'before_cursor_execute': made.doom,
    }
    for event, listener in listeners.items():
        sa.event.listen(sa.Engine, event, listener)
    yield made
    for event, listener in listeners.items():
        sa.event.remove(sa.Engine, event, listener)


STORIES: dict[str, tuple[tuple[str, ...], Act, list[str], list[str]]] = {
    'join': (
        ('xen1',),
        lambda r, key: r.members.add_host(r.ctx, key, 'xen2'),
        ['xen1', 'xen2'],
        ['Async.pool.join'],
    ),
    'eject': (
        ('xen1', 'xen2'),
        lambda r, key: r.members.remove_host(r.ctx, key, 'xen2'),
        ['xen1'],
        ['Async.pool.eject', 'host.disable'],
    ),
    'eject-master': (
        ('xen1', 'xen2'),
        lambda r, key: r.members.remove_host(r.ctx, key, 'xen1'),
        ['xen2'],
        ['Async.pool.eject', 'host.disable', 'pool.designate_new_master'],
    ),
}


@pytest.mark.parametrize(
    'cut',
    [
        pytest.param((nth, moment), id=f'{moment}-{nth}')
        for number, moment in enumerate(('before', 'in', 'after'))
        for nth in range(1 + number * 3, COMMITS, EVERY)
    ],
    indirect=True,
)
@pytest.mark.parametrize('name', list(STORIES))
def test_calls_have_their_effect_once(
    make_service: Make, database: engine.Database, cut: Cut, name: str
) -> None:
    members, act, left, calls = STORIES[name]
    story = (name, database.engine.dialect.name)
    if cut.nth > KNOWN.get(story, COMMITS):
        pytest.skip(FEWER)
    running = make_service()
    running.conf.set_override('retry_interval', 0.01, 'compute')
    key = running.create(*members)
    before = len(running.sim.calls)
    act(running, key)
    cut.armed = True
    # After its last COMMIT it is the test's own look that is cut off.
    with contextlib.suppress(exception.Unavailable):
        running.work()
    cut.armed = False
    if not cut.done:
        KNOWN[story] = cut.seen
        pytest.skip(FEWER)
    with running.database.writer() as connection:
        connection.exec_driver_sql('UPDATE aggregates SET lease_until = 0')
    assert running.settle(key) == 'succeeded', running.error(key)
    assert sorted(running.aggregates.get(key).hosts) == left
    sent = [call.method for call in running.sim.calls[before:]]
    assert sorted(call for call in sent if call in CHANGES) == calls
    running.watch(key, 700)
    assert running.aggregates.get(key).drift == ()
