"""A site where stories are played again and again from the same beginning.

Time is that of the simulated hosts, for the service and its database too: it
passes when the compute service waits and when nothing else is to be done, so
a story takes as long as its calls.
Before each play hosts and database are put back to what they were. The
compute service is a real process, forked by ``forkserver``; the API answers
in this process.
"""

import contextlib
import dataclasses
import functools
import itertools
import json
import pathlib
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
import webob
from oslo_config import cfg

from aggregates_ext import conf as settings
from aggregates_ext import deploy
from aggregates_ext.api.edge import identity
from aggregates_ext.xensim import control
from aggregates_ext.xensim.life import disks
from aggregates_ext.xensim.life import lifecycle
from tests.integration import children
from tests.integration import processes
from tests.integration import sharedclock

HOSTS = 3
# Simulated seconds in which every host gets up.
UP = 120.0
# Simulated seconds that pass when nobody does anything.
STEP = 10.0
# More than what the database's clock differs by.
ROUNDING = 0.01
POLL = 0.01
# Real seconds until something has to have happened, on a slow machine.
DEADLINE = 120.0
COMPUTE = {
    'workers': 4,
    'poll_interval': 0.05,
    'watch_interval': 2,
    'confirm_interval': 4,
    # Looked again only when the time for it is made to pass.
    'observe_interval': 100_000,
}
# What a site shortens, and simulated time need not.
DEFAULTS = (
    'lease_ttl',
    'call_timeout',
    'retry_interval',
    'fuse_wait',
    'join_timeout',
    'eject_timeout',
    'master_timeout',
    'designate_wait',
)


class Interrupted(Exception):
    """What was waited for elsewhere has happened."""


class Local(processes.Client):
    """Speaks with an API in this process."""

    def __init__(
        self, config: pathlib.Path, settle: Callable[[int], None]
    ) -> None:
        conf = cfg.ConfigOpts()
        settings.parse(conf, [], [str(config)])
        self._application = deploy.build(conf)
        self._settle = settle

    def ask(
        self, verb: str, path: str, body: Any = None, prefix: str = '/v2.1'
    ) -> processes.Answer:
        """One request."""
        request = webob.Request.blank(f'{prefix}{path}', method=verb)
        request.environ[identity.NOAUTH] = ('user', 'project')
        if body is not None:
            request.json = body
        answer = request.get_response(self._application)
        shown = answer.json if answer.body else None
        return processes.Answer(answer.status_code, shown)

    def settle(self, key: int) -> dict[str, Any]:
        """Let time pass until all is done; the newest operation."""
        self._settle(key)
        return self.operations(key)[0]


@dataclasses.dataclass
class Snapshot:
    """Hosts and database at one moment."""

    state: disks.State
    database: sqlite3.Connection


class Stage:
    """A site with a compute service that may die at any moment.

    :param compute: options of the compute service that differ.
    :param look_timeout: of looks, in real seconds; 0: as it is.
    :param hosts: how many there are.
    :ivar deaths: how often a dead service was replaced.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        compute: dict[str, Any] | None = None,
        look_timeout: float = 0,
        hosts: int = HOSTS,
    ) -> None:
        self._time = directory / 'time'
        self.clock = sharedclock.SharedClock(self._time)
        self.site = processes.Site(
            directory,
            hosts,
            {**COMPUTE, **(compute or {})},
            sim_clock=self.clock,
            defaults=[
                name for name in DEFAULTS if name not in (compute or {})
            ],
        )
        self.tally = directory / 'commits'
        self._cuts = directory / 'commits.cut'
        self._file = pathlib.Path(sa.make_url(self.site.connection).database)
        self.deaths = 0
        self._look_timeout = look_timeout
        self._interrupted: Callable[[], bool] | None = None
        self._stack = contextlib.ExitStack()
        self._numbers = itertools.count()
        self._services: list[children.Forked] = []

    def __enter__(self) -> 'Stage':
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _open(self) -> None:
        database_clock = sharedclock.DatabaseClock(self.clock)
        database_clock.start()
        self._stack.callback(database_clock.stop)
        self._stack.enter_context(self.site)
        self._control = control.Control(self.site.sim)
        self._control.start()
        self._stack.callback(self._control.stop)
        self._server = children.ForkServer()
        self._stack.callback(self._server.stop)
        self._stack.callback(self.end)
        self.site.set_up()
        self.client = Local(self.site.config, self.settle)
        self._names = list(self.site.sim.world.hosts)
        self._pristine = self.snapshot()

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    # What is there.

    def snapshot(self) -> Snapshot:
        """Hosts and database as they are now."""
        with self.site.sim.world.lock:
            state = json.loads(json.dumps(disks.dump(self.site.sim.world)))
        copy = sqlite3.connect(':memory:', check_same_thread=False)
        with contextlib.closing(sqlite3.connect(self._file)) as live:
            live.backup(copy)
        return Snapshot(state, copy)

    def restore(self, snapshot: Snapshot | None = None) -> None:
        """Put hosts and database back; no service runs then."""
        self.end()
        self.site.traffic.clear()
        self.site.traffic.exchanges.clear()
        self.site.sim.clear_faults()
        self._restore_hosts(snapshot or self._pristine)
        with contextlib.closing(sqlite3.connect(self._file)) as live:
            (snapshot or self._pristine).database.backup(live)
            # As the migration set it; a copy in memory knows no such mode.
            live.execute('PRAGMA journal_mode = WAL')
        self.site.reuse_hosts(self._names)
        self.tally.write_text('')
        self._cuts.unlink(missing_ok=True)
        self.deaths = 0

    def _restore_hosts(self, snapshot: Snapshot) -> None:
        world = self.site.sim.world
        with world.lock:
            for host in world.hosts.values():
                lifecycle.stop(world, host)
                host.reachable, host.silent_since = True, None
                host.backup = None
            world.partitions.clear()
            # The timers of what has been are void.
            self.clock.stop()
            self.clock.set(snapshot.state['time'])
            disks.restore(world, json.loads(json.dumps(snapshot.state)))
            for host in world.hosts.values():
                lifecycle.start(world, host)
        self.clock.advance(UP)

    # Who works.

    def start(self, **commits: Any) -> children.Forked:
        """Start a compute service.

        :param commits: at which COMMIT it kills itself or waits, see
            ``forkserver.Commits``.
        """
        log = self.site.directory / f'compute-{next(self._numbers)}.log'
        service = self._server.start(
            log,
            'aggregates-ext-compute',
            ['--config-file', str(self.site.config)],
            time={
                'file': str(self._time),
                'control': self._control.url.partition('//')[2],
            },
            look_timeout=self._look_timeout,
            commits={'tally': str(self.tally), **commits},
        )
        self._services.append(service)
        return service

    def kill(self) -> None:
        """Kill the compute service that was started last."""
        self._services[-1].kill()

    def end(self) -> None:
        """Kill all services, and see that none met a bug."""
        for service in self._services:
            service.kill()
            service.close()
        ended, self._services = self._services, []
        for service in ended:
            processes.check_log(service)
            service.log.unlink()

    def was_cut(self) -> bool:
        """Whether a service has lost its connection, as it was told to."""
        return self._cuts.exists()

    def pass_lease(self) -> None:
        """Let the time of all leases be over."""
        self.execute('UPDATE aggregates SET lease_until = 0')

    def execute(self, statement: str, *values: Any) -> None:
        """Change the database, as time would."""
        with contextlib.closing(
            sqlite3.connect(self._file, timeout=60)
        ) as connection:
            connection.execute(statement, values)
            connection.commit()

    # How time passes.

    def revive(self) -> None:
        """Replace a compute service that has died."""
        if not self._services[-1].running:
            self.deaths += 1
            self.pass_lease()
            self.start()

    def settle_until(self, key: int, look: Callable[[], bool]) -> bool:
        """Let time pass until something happens; False: all came to rest."""
        self._interrupted = look
        try:
            self.settle(key)
        except Interrupted:
            return True
        finally:
            self._interrupted = None
        return look()

    def outlive_leases(self, key: int) -> None:
        """Let the time pass after which a lease is nobody's."""
        while not self.is_free(key):
            self.clock.advance(STEP)
        self.clock.advance(ROUNDING)

    def wait_for(self, what: str, look: Callable[[], object]) -> None:
        """Look until something is true; services that die are replaced."""
        end = time.monotonic() + DEADLINE
        while not look():
            if self._interrupted is not None and self._interrupted():
                raise Interrupted
            self.revive()
            if time.monotonic() > end:
                tail = self._services[-1].text()[-3000:]
                raise AssertionError(f'{what}: not in time: {tail}')
            time.sleep(POLL)

    def settle(self, key: int) -> None:
        """Let time pass until the hosts of an aggregate are at rest."""
        self.revive()
        self.wait_for(
            f'aggregate {key} settles', functools.partial(self._rests, key)
        )
        for _ in range(100):
            self.observe(key)
            if not self._counts(
                'SELECT COUNT(*) FROM hosts WHERE aggregate_id = ? '
                "AND phase = 'returning'",
                key,
            ):
                return
            self.clock.advance(STEP)
        raise AssertionError(f'hosts of aggregate {key} do not return')

    def observe(self, key: int) -> None:
        """Let a pool be looked at again."""
        self.wait_for('it is let go', functools.partial(self.is_free, key))
        if not self._counts(
            'SELECT COUNT(*) FROM hosts WHERE aggregate_id = ?', key
        ):
            return
        self.execute('UPDATE aggregates SET observed_at = 0 WHERE id = ?', key)

        def look() -> bool:
            return self.is_free(key) and bool(
                self._counts(
                    'SELECT observed_at FROM aggregates WHERE id = ?', key
                )
            )

        self.wait_for(f'aggregate {key} is looked at', look)

    def is_free(self, key: int) -> bool:
        """Whether nobody has a lease on an aggregate."""
        return not self._counts(
            'SELECT COUNT(*) FROM aggregates '
            'WHERE id = ? AND lease_owner IS NOT NULL AND lease_until > ?',
            key,
            self.clock.time(),
        )

    def _counts(self, statement: str, *values: Any) -> Any:
        ((found,),) = self._query(statement, *values)
        return found

    def _query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(
            sqlite3.connect(self._file, timeout=60)
        ) as connection:
            return connection.execute(statement, values).fetchall()

    def _rests(self, key: int) -> bool:
        """Whether nothing is under way; rests of operations pass."""
        rows = self._query(
            'SELECT not_before FROM operations WHERE aggregate_id = ? '
            "AND state IN ('queued', 'running')",
            key,
        )
        now = self.clock.time() - ROUNDING
        if rows and all(rest is not None and rest > now for (rest,) in rows):
            self.clock.advance(STEP)
        return not rows
