"""Hosts that answer what simulated ones have answered once.

``record`` lets a compute service look at one pool of the simulator and keeps
the answers. ``answering`` then gives them for any number of pools that are
like it, each with uuids, references, names and addresses of its own. There is
no network, no TLS and no other process: what a look costs then is what the
service itself does.
"""

import contextlib
import pathlib
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple
from unittest import mock

from aggregates_ext.compute import manager
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.xen import answers
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import transport
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from aggregates_ext.domain import hosts as registry
from tests import bench_observation
from tests import bench_xensim

# What stands in a recorded answer where each pool has something of its own:
# the beginning of each uuid, the network of each address, its name.
_OWN = (
    (re.compile(rb'[0-9a-f]{8}(?=(-[0-9a-f]{4}){3}-[0-9a-f]{12})'), b'@UUID@'),
    (re.compile(rb'\b10\.0\.0\.'), b'@NET@'),
    (re.compile(rb'\bpool1\b'), b'@NAME@'),
)
_METHOD = re.compile(rb'<methodName>([^<]*)</methodName>')
# The look at guests, which goes on from a token or asks for all.
_EVENTS = 'event.from'
_NO_TOKEN = re.compile(rb'<value><string></string></value>')
# The last number of the address of the master; the others follow.
_FIRST = 11
# Looks until each member was asked once.
_ROUNDS = 2
# Seconds that a look may take, on a machine that is busy.
PATIENCE = 300.0
# In which one guest has another name than in the look before.
RENAMED = (1, 2)


def number(pool: int) -> str:
    """What the uuids of a pool begin with: eight digits."""
    return str(10_000_000 + pool)


def network(pool: int) -> str:
    """What the addresses of a pool begin with."""
    return f'10.{pool >> 8}.{pool & 255}.'


def title(pool: int) -> str:
    """The name of a pool."""
    return f'pool{pool}'


def address(pool: int, place: int) -> str:
    """That of a host; the master has the place 0."""
    return f'{network(pool)}{_FIRST + place}'


class Question(NamedTuple):
    """What an answer depends on.

    :ivar place: of the host that was asked, in its pool.
    :ivar whole: all guests are asked for, and not what has changed.
    :ivar look: which of the looks that were recorded is played.
    """

    place: int
    method: str
    whole: bool = False
    look: int = 0


class Recorded:
    """Answers, by what was asked.

    :ivar look: which one is recorded or played: 0, in which nothing has
        changed, or one of ``RENAMED``.
    :ivar asked: how many answers were given.
    :ivar spent: CPU seconds that it took to make them.
    """

    def __init__(self) -> None:
        self._known: dict[Question, bytes] = {}
        self._lock = threading.Lock()
        self.look = 0
        self.asked = 0
        self.spent = 0.0

    def __getstate__(self) -> dict[Question, bytes]:
        return self._known

    def __setstate__(self, known: dict[Question, bytes]) -> None:
        self.__init__()  # type: ignore[misc]
        self._known = known

    def _question(self, place: int, body: bytes) -> Question:
        found = _METHOD.search(body)
        assert found is not None
        if found[1].decode() != _EVENTS:
            return Question(place, found[1].decode())
        whole = bool(_NO_TOKEN.search(body))
        return Question(place, _EVENTS, whole, 0 if whole else self.look)

    def keep(self, place: int, body: bytes, answer: bytes) -> None:
        """Remember an answer; the last one counts."""
        for pattern, mark in _OWN:
            answer = pattern.sub(mark, answer)
        self._known[self._question(place, body)] = answer

    def answer(self, pool: int, place: int, body: bytes) -> bytes:
        """What a host of a pool answers."""
        began = time.thread_time()
        answer = self._known[self._question(place, body)]
        for (_pattern, mark), own in zip(
            _OWN, (number(pool), network(pool), title(pool)), strict=True
        ):
            answer = answer.replace(mark, own.encode())
        with self._lock:
            self.asked += 1
            self.spent += time.thread_time() - began
        return answer


@contextlib.contextmanager
def answering(recorded: Recorded) -> Iterator[None]:
    """Within the block every host answers what was recorded."""

    class Answering(transport.Transport):
        def request(
            self, host: str, handler: str, body: bytes, verbose: bool = False
        ) -> tuple[Any]:
            _ten, high, low, last = map(int, host.split('.'))
            pool, place = (high << 8) + low, last - _FIRST
            answer = recorded.answer(pool, place, body)
            self.sent = True
            values = self.limit // answers.SPARSEST
            return (answers.read(answer, values, float),)

    with mock.patch.object(transport, 'Transport', Answering):
        yield


@contextlib.contextmanager
def _recording(recorded: Recorded, places: dict[str, int]) -> Iterator[None]:
    """Within the block what hosts answer is kept.

    :param places: of the hosts, by address and port.
    """

    class Recording(transport.Transport):
        def _exchange(self, host: str, *rest: Any) -> Any:
            answer, line = super()._exchange(host, *rest)
            recorded.keep(places[host], rest[-1], answer)
            return answer, line

    with mock.patch.object(transport, 'Transport', Recording):
        yield


def record(hosts: int, guests: int) -> Recorded:
    """Ask a pool of the simulator for all that looks at it ask.

    :param guests: on each host.
    """
    recorded = Recorded()
    machines = [{'name': f'guest{number}'} for number in range(guests)]
    with (
        bench_xensim.running(
            1, hosts, **bench_observation.TLS_HOSTS, vms=machines
        ) as simulator,
        tempfile.TemporaryDirectory() as directory,
    ):
        conf = bench_observation.configure(pathlib.Path(directory))
        database = engine.Database(conf)
        migration.upgrade(database)
        bench_observation.fill(
            database,
            simulator.addresses,
            bench_observation.state(simulator.control),
            bench_observation.pinned(),
            registered=0,
        )
        bench_observation.mark(conf, database)
        conf.set_override('observe_timeout', PATIENCE, 'compute')
        connector = connections.Connector(conf)
        service = manager.Manager(conf, database, connector)
        places = {
            name: place for place, name in enumerate(simulator.addresses)
        }
        with (
            mock.patch.object(views, 'LOOK_TIMEOUT', PATIENCE),
            _recording(recorded, places),
        ):
            for _ in range(_ROUNDS * hosts):
                service.work_on(1)
        master = registry.Hosts(database).get_all()[0]
        for recorded.look in RENAMED:
            with contextlib.closing(connector.login(master)) as session:
                ref = min(session.call('VM.get_all'))
                name = f'renamed{recorded.look}'
                session.call('VM.set_name_label', ref, name)
            with (
                mock.patch.object(views, 'LOOK_TIMEOUT', PATIENCE),
                _recording(recorded, places),
            ):
                service.work_on(1)
        recorded.look = 0
        database.dispose()
    return recorded
