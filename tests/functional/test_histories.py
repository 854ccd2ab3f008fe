"""Random histories: whatever happens, nothing is lost and the end is told.

Requests, compute services that die or freeze between any two steps, faults
of hosts, and changes made to pools by hand, in any order. When all has
become quiet, aggregates and pools agree, or the aggregates say where not.
What is told of a request before it is what it comes to.
"""

import collections
import contextlib
import functools
import itertools
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import stateful
from hypothesis import strategies as st
from oslo_config import cfg

from aggregates_ext import conf as options
from aggregates_ext import exception
from aggregates_ext.compute.moving import repairing
from aggregates_ext.compute.notifying import payloads
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.xen import failures
from aggregates_ext.db import aggregates
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.db.outbox import notes
from aggregates_ext.db.outbox import queue
from aggregates_ext.domain.outlook import situation
from aggregates_ext.domain.outlook import verdicts
from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock as sim_clock
from tests.functional import mortal
from tests.functional import service

HOSTS = ('xen1', 'xen2', 'xen3', 'xen4')
WORKERS = 2
AGGREGATES = 3
# Simulated seconds that are longer than every limit.
LONG = 700.0
# Real seconds for which a host that hangs is waited for.
TIMEOUT = 1.0
JOIN = 'Async.pool.join'
EJECT = 'Async.pool.eject'
FAULTS: tuple[dict[str, Any], ...] = (
    *({'action': 'fail', 'step': step} for step in ('S2', 'S4', 'S9', 'E1')),
    {'action': 'hang', 'step': 'S2', 'times': 1},
    {'action': 'half_join', 'call': JOIN},
    *(
        {'action': action, 'call': call}
        for action in ('fail', 'drop_answer', 'reset')
        for call in (
            JOIN,
            EJECT,
            'host.destroy',
            'host.disable',
            'host.enable',
            'pool.add_to_other_config',
            'pool.remove_from_other_config',
            'pool.set_name_label',
            'pool.get_all_records',
            'host.get_all_records',
            'session.get_uuid',
            'session.get_by_uuid',
            'session.login_with_password',
            'task.get_all_records',
            'task.destroy',
            'pool.designate_new_master',
        )
    ),
    {'action': 'die', 'call': JOIN},
    {'action': 'die', 'call': JOIN, 'when': 'after'},
    {'action': 'die', 'call': EJECT, 'when': 'after'},
    {'action': 'die', 'call': 'pool.designate_new_master'},
    {'action': 'die', 'call': 'pool.set_name_label', 'when': 'after'},
)

numbers = st.integers(0, 11)
steps = st.integers(1, 60)
services = st.sampled_from((records.DISABLED, records.ENABLED))


class Histories(stateful.RuleBasedStateMachine):
    """Everything that can happen to a site, one thing at a time."""

    template: pathlib.Path
    # What is simulated.
    site: dict[str, Any] = {'hosts': [{'name': name} for name in HOSTS]}

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        directory = pathlib.Path(tempfile.mkdtemp())
        self.stack.callback(shutil.rmtree, directory)
        self.clock = sim_clock.SteppedClock()
        self.conf = _configure(directory, self.template)
        self.sim = simulator.Simulator(
            topology.load(self.site), clock=self.clock
        )
        self.sim.start()
        self.stack.callback(self.sim.stop)
        self.database = mortal.Database(self.conf, self.clock)
        self.stack.callback(self.database.dispose)
        self.service = service.Service(
            self.conf, self.database, self.sim, self.clock
        )
        self.service.register()
        self.workers: list[mortal.Worker] = []
        for _ in range(WORKERS):
            self._new_worker()
        self.names = itertools.count(1)
        self.accepted: set[str] = set()
        # Whether somebody did by hand, or declared, what pools became.
        self.meddled = False
        self.joined_by_hand: set[str] = set()
        # Aggregates whose hosts somebody has said a wrong thing about.
        self.misled: set[int] = set()

    def teardown(self) -> None:
        try:
            self.become_quiet()
        finally:
            self.sim.clear_faults()
            for worker in self.workers:
                worker.close()
            self.stack.close()

    def _new_worker(self) -> None:
        self.workers.append(mortal.Worker(self.conf, self.clock))

    def aggregate(self, number: int) -> int:
        """One of the aggregates that live, else an id that never was."""
        found = [a.id for a in self.service.aggregates.get_all()]
        return found[number % len(found)] if found else 10**6

    def pool_of(self, host: str) -> dict[str, Any] | None:
        """The pool of a host; None while it comes back from an eject."""
        try:
            return self.service.pool_of(host)
        except LookupError:
            return None

    @contextlib.contextmanager
    def foretold(
        self,
        key: int,
        verdict: Callable[[situation.Situation, Any], object],
        host: str | None = None,
        operation: records.Operation | None = None,
    ) -> Iterator[None]:
        """A request comes to what is told of it before.

        :param verdict: tells it.
        :param host: that it names.
        :param operation: the same.
        """
        told: Exception | None = None
        came: Exception | None = None
        try:
            now = self.service.outlook.get(key, host)
            named = operation or (now.host(host) if host else now.aggregate)
            verdict(now, named)
        except exception.AggregatesError as exc:
            told = exc
        try:
            yield
        except exception.AggregatesError as exc:
            came = exc
        assert (type(came), str(came)) == (type(told), str(told))

    # What is asked for.

    @stateful.initialize()
    def begin(self) -> None:
        """One aggregate with a host, as stories begin."""
        key = self.service.aggregates.create('pool-0', None).id
        self.service.members.add_host(self.service.ctx, key, HOSTS[0])
        self.workers[0].work_on(key)

    @stateful.rule()
    def create(self) -> None:
        if len(self.service.aggregates.get_all()) < AGGREGATES:
            name = f'pool-{next(self.names)}'
            self.service.aggregates.create(name, None)

    @stateful.rule(a=numbers, h=numbers)
    def add_host(self, a: int, h: int) -> None:
        key, host = self.aggregate(a), HOSTS[h % 4]
        with self.foretold(key, verdicts.add_host, host):
            self.service.members.add_host(self.service.ctx, key, host)

    @stateful.rule(h=numbers, accept=st.booleans())
    def remove_host(self, h: int, accept: bool) -> None:
        host = self.service.hosts.get(HOSTS[h % 4])
        given_up = list(host.shown or {}) if accept else []
        key = host.aggregate_id or 0
        with self.foretold(key, verdicts.remove_host, host.name):
            self.service.members.remove_host(
                self.service.ctx, key, host.name, given_up
            )
            self.accepted.update(host.shown_disks(given_up))

    @stateful.rule(a=numbers)
    def rename(self, a: int) -> None:
        with contextlib.suppress(exception.AggregatesError):
            self.service.aggregates.update(
                self.service.ctx,
                self.aggregate(a),
                {'name': f'pool-{next(self.names)}'},
            )

    @stateful.rule(h=numbers)
    def set_master(self, h: int) -> None:
        host = self.service.hosts.get(HOSTS[h % 4])
        key = host.aggregate_id or 0
        with self.foretold(key, verdicts.set_master, host.name):
            self.service.pools.set_master(self.service.ctx, key, host.name)

    @stateful.rule(h=numbers, service=services)
    def set_service(self, h: int, service: str) -> None:
        """A host is to take machines, or none."""
        with contextlib.suppress(exception.AggregatesError):
            self.service.enabling.set_service(
                self.service.ctx, HOSTS[h % 4], service
            )

    @stateful.rule(a=numbers, follow=st.booleans())
    def resolve_drift(self, a: int, follow: bool) -> None:
        """Towards the pool, or towards the aggregate."""
        pools = self.service.pools
        act = pools.adopt if follow else pools.reapply
        verdict = verdicts.adopt if follow else verdicts.reapply
        key = self.aggregate(a)
        with self.foretold(key, verdict):
            act(self.service.ctx, key)

    @stateful.rule(a=numbers)
    def delete(self, a: int) -> None:
        key = self.aggregate(a)
        with self.foretold(key, verdicts.delete):
            self.service.aggregates.delete(self.service.ctx, key)

    @stateful.rule(a=numbers, n=numbers)
    def cancel(self, a: int, n: int) -> None:
        key = self.aggregate(a)
        try:
            found = self.service.operations.get_all(key)
        except exception.AggregateNotFound:
            return
        if found:
            chosen = found[n % min(3, len(found))]
            # Its host may stay enabled, which is told then.
            self.meddled |= chosen.kind == 'disable_host'
            with self.foretold(key, verdicts.cancel, operation=chosen):
                self.service.operations.cancel(
                    self.service.ctx, key, chosen.uuid
                )

    @stateful.rule(h=numbers, lie=st.booleans())
    def reset(self, h: int, lie: bool) -> None:
        """Somebody declares what became of a host; it may be wrong."""
        host = self.service.hosts.get(HOSTS[h % 4])
        if host.aggregate_id is None:
            return
        aggregate = self.service.aggregates.get(host.aggregate_id)
        pool = self.pool_of(host.name)
        there = pool is not None and pool['uuid'] == aggregate.pool_uuid
        outcome = 'member' if there is not lie else 'free'
        verdict = functools.partial(verdicts.reset, outcome)
        with self.foretold(aggregate.id, verdict, host.name):
            self.service.operations.reset(
                self.service.ctx, aggregate.id, host.name, outcome
            )
            self.meddled = True
            if lie:
                self.misled.add(aggregate.id)

    # Who works, and what happens meanwhile.

    @stateful.rule(w=numbers, a=numbers)
    def work(self, w: int, a: int) -> None:
        self.workers[w % WORKERS].work_on(self.aggregate(a))

    @stateful.rule(w=numbers, a=numbers, n=steps)
    def die(self, w: int, a: int, n: int) -> None:
        """A service is killed at a step; later there is another one."""
        worker = self.workers[w % WORKERS]
        worker.life.plan(n, worker.life.die)
        worker.work_on(self.aggregate(a))
        worker.life.forget()
        if worker.life.dead:
            self._bury(w % WORKERS)

    @stateful.rule(w=numbers, a=numbers, n=steps)
    def freeze(self, w: int, a: int, n: int) -> None:
        """A service freezes at a step; another one takes over meanwhile."""
        worker, other = self.workers[w % 2], self.workers[1 - w % 2]
        key = self.aggregate(a)

        def overtake() -> None:
            self._end_leases(worker)
            worker.age_leases()
            other.work_on(key)

        worker.life.plan(n, overtake)
        worker.work_on(key)
        worker.life.forget()

    @stateful.rule(
        w=numbers,
        a=numbers,
        n=steps,
        what=st.integers(0, 17),
        i=numbers,
        j=numbers,
    )
    def work_disturbed(
        self, w: int, a: int, n: int, what: int, i: int, j: int
    ) -> None:
        """Something else happens in the middle of the work."""
        acts: list[Callable[[], None]] = [
            lambda: self.power_off(i),
            lambda: self.power_on(i),
            lambda: self.restart_toolstack(i),
            lambda: self.part(i, j),
            lambda: self.plant(i * 12 + j, n),
            lambda: self.add_disk(i),
            lambda: self.add_host(a, i),
            lambda: self.remove_host(i, bool(j % 2)),
            lambda: self.rename(a),
            lambda: self.cancel(a, j),
            lambda: self.join_by_hand(i, j),
            lambda: self.eject_by_hand(i),
            lambda: self.reset(i, bool(j % 4 == 0)),
            lambda: self.set_master(i),
            lambda: self.resolve_drift(a, bool(j % 2)),
            lambda: self.promote_by_hand(i),
            lambda: self.set_service(
                i, records.DISABLED if j % 2 else records.ENABLED
            ),
            lambda: self.enable_by_hand(i, bool(j % 2)),
        ]
        worker = self.workers[w % WORKERS]
        worker.life.plan(n, acts[what])
        worker.work_on(self.aggregate(a))
        worker.life.forget()

    @stateful.rule(seconds=st.sampled_from((1, 10, 60, LONG)))
    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def _bury(self, number: int) -> None:
        dead = self.workers[number]
        self._end_leases(dead)
        dead.close()
        self.workers[number] = mortal.Worker(self.conf, self.clock)

    def _end_leases(self, worker: mortal.Worker) -> None:
        """Let the time of a service's leases be over."""
        with self.database.writer() as connection:
            connection.exec_driver_sql(
                'UPDATE aggregates SET lease_until = 0 WHERE lease_owner = ?',
                (worker.owner,),
            )

    # What happens to hosts.

    @stateful.rule(n=st.integers(0, 143), nth=st.integers(1, 3))
    def plant(self, n: int, nth: int) -> None:
        fault = FAULTS[n % len(FAULTS)]
        self.sim.plant(**{'nth': 1 + nth % 3, **fault})

    @stateful.rule(h=numbers)
    def power_off(self, h: int) -> None:
        self.sim.power_off(HOSTS[h % 4])

    @stateful.rule(h=numbers)
    def power_on(self, h: int) -> None:
        self.sim.power_on(HOSTS[h % 4])

    @stateful.rule(h=numbers)
    def restart_toolstack(self, h: int) -> None:
        if self.sim.host(HOSTS[h % 4]).powered:
            self.sim.restart_toolstack(HOSTS[h % 4])

    @stateful.rule(h=numbers, other=numbers)
    def part(self, h: int, other: int) -> None:
        if h % 4 != other % 4:
            self.sim.partition(HOSTS[h % 4], HOSTS[other % 4])

    @stateful.rule(h=numbers)
    def add_disk(self, h: int) -> None:
        """Somebody puts a disk into the local storage of a host."""
        with contextlib.suppress(Exception):
            self.sim.add_sr(
                HOSTS[h % 4],
                f'sr-{next(self.names)}',
                vdis=[{'name': 'disk'}],
            )

    # What is done by hand.

    @stateful.rule(h=numbers, other=numbers)
    def join_by_hand(self, h: int, other: int) -> None:
        account = self.sim.host(HOSTS[other % 4])
        if h % 4 != other % 4:
            self.joined_by_hand.add(self.sim.host(HOSTS[h % 4]).uuid)
            self._by_hand(
                HOSTS[h % 4],
                JOIN,
                account.address,
                account.username,
                account.password,
            )

    @stateful.rule(h=numbers)
    def eject_by_hand(self, h: int) -> None:
        """What it destroys is the operator's own doing."""
        host = self.sim.host(HOSTS[h % 4])
        pool = self.pool_of(host.name)
        local = self.sim.state()['hosts'][host.name]['srs']
        disks = {v['uuid'] for sr in local for v in sr['vdis']}
        if pool is None:
            return
        done = self._by_hand(pool['master'], 'pool.eject', uuid=host.uuid)
        local = self.sim.state()['hosts'][host.name]['srs']
        left = {v['uuid'] for sr in local for v in sr['vdis']}
        # A planted fault may keep the answer back, or come when the records
        # are forgotten; then nothing tells of the disks any more.
        if done or left != disks:
            self.accepted |= disks

    @stateful.rule(h=numbers)
    def promote_by_hand(self, h: int) -> None:
        host = self.sim.host(HOSTS[h % 4])
        pool = self.pool_of(host.name)
        if pool is not None:
            method = 'pool.designate_new_master'
            self._by_hand(pool['master'], method, uuid=host.uuid)

    @stateful.rule(h=numbers, enable=st.booleans())
    def enable_by_hand(self, h: int, enable: bool) -> None:
        host = self.sim.host(HOSTS[h % 4])
        pool = self.pool_of(host.name)
        if pool is not None:
            method = 'host.enable' if enable else 'host.disable'
            self._by_hand(pool['master'], method, uuid=host.uuid)

    @stateful.rule(h=numbers)
    def rename_by_hand(self, h: int) -> None:
        self._by_hand(HOSTS[h % 4], 'pool.set_name_label', 'theirs', pool=True)

    def _by_hand(
        self,
        host: str,
        method: str,
        *params: str,
        uuid: str = '',
        pool: bool = False,
    ) -> bool:
        """Call a host as an operator would; False: it refused."""
        try:
            with contextlib.closing(self.service.login(host)) as session:
                if uuid:
                    params = (session.call('host.get_by_uuid', uuid),)
                if pool:
                    params = (session.call('pool.get_all')[0], *params)
                self.meddled = True
                session.call(method, *params)
        except (
            failures.XenAPIError,
            failures.Unreachable,
            failures.AnswerLost,
        ):
            return False
        return True

    # What always holds.

    @stateful.invariant()
    def nothing_is_destroyed_unasked(self) -> None:
        assert set(self.sim.destroyed_vdis) <= self.accepted

    @stateful.invariant()
    def no_join_ran_twice(self) -> None:
        """It would leave interfaces twice.

        One by hand may come between the last look and the call.
        """
        with self.sim.world.lock:
            for host in self.sim.world.hosts.values():
                db = host.database
                keys = [
                    (db.row('host', row['host'])['uuid'], row['device'])
                    for _, row in db.rows('PIF')
                    if db.exists('host', row['host']) and row['VLAN'] == -1
                ]
                twice = {uuid for uuid, _ in keys if keys.count((uuid, _)) > 1}
                assert twice <= self.joined_by_hand, host.name

    @stateful.rule()
    def quiet(self) -> None:
        self.become_quiet()

    def become_quiet(self) -> None:
        """Heal what is broken, let all time pass, and look what is left."""
        self.sim.clear_faults()
        for name in HOSTS:
            self.sim.power_on(name)
            for other in HOSTS:
                if other != name:
                    self.sim.partition(name, other, parted=False)
        for worker in self.workers:
            self._end_leases(worker)
        for _ in range(6):
            self.clock.advance(LONG)
            for key in self._all_keys():
                self.workers[0].work_on(key)
        for key in self._all_keys():
            self._check(key)
            self._check_told(key)

    def _check_told(self, key: int) -> None:
        """What was told last is so, and what has begun was told to end."""
        with self.database.reader() as connection:
            found = aggregates.get(connection, key, deleted=True)
            open_ = {
                operation.host
                for operation in db_operations.get_all(connection, key)
                if operation.state in db_operations.OPEN
            }
            told = [
                row
                for row in queue.waiting(connection)
                if row.aggregate_id == key and row.object == notes.AGGREGATE
            ]
        last = payloads.payload(told[-1])['nova_object.data']
        assert last['name'] == found.name
        assert found.deleted == (told[-1].action == 'delete')
        going_on = collections.Counter(
            {notes.START: 1, notes.END: -1, notes.ERROR: -1}
        )
        left: collections.Counter[tuple[str, str | None]] = (
            collections.Counter()
        )
        for row in told:
            left[row.action, row.host] += going_on[str(row.phase)]
        for (action, host), number in left.items():
            assert number <= 0 or host in open_, (action, host, number)
        hosts = set(last['hosts'])
        assert hosts == set(found.hosts) or hosts ^ set(found.hosts) <= open_

    def _all_keys(self) -> list[int]:
        with self.database.reader() as connection:
            rows = connection.exec_driver_sql('SELECT id FROM aggregates')
            return [row[0] for row in rows]

    def _check(self, key: int) -> None:
        with self.database.reader() as connection:
            found = db_operations.get_all(connection, key)
            held = connection.exec_driver_sql(
                'SELECT lease_owner FROM aggregates WHERE id = ?', (key,)
            ).scalar()
        assert held is None
        for operation in found:
            assert operation.state not in ('queued', 'running'), operation
            if operation.state != 'unresolved':
                assert operation.call is None, operation
        if key not in self.misled:
            with contextlib.suppress(exception.AggregateNotFound):
                self._check_pool(key)

    def _check_pool(self, key: int) -> None:
        """The pool is what the aggregate says, or the aggregate tells."""
        aggregate = self.service.aggregates.get(key)
        pools = [
            pool
            for pool in self.sim.state()['pools']
            if pool['uuid'] == aggregate.pool_uuid
            or pool['other_config'].get(views.MARK) == aggregate.uuid
        ]
        real = sorted(h['name'] for pool in pools for h in pool['hosts'])
        agrees = real == list(aggregate.hosts) and len(pools) <= 1
        if agrees and pools:
            agrees = pools[0]['name_label'] == aggregate.name
            agrees &= all(h['live'] for h in pools[0]['hosts'])
            agrees &= not any(
                h['enabled'] and self.service.hosts.get(h['name']).disabled
                for h in pools[0]['hosts']
            )
        state = self.service.state(key)
        history = self.service.operations.get_all(key)
        assert agrees or state == 'error', (aggregate, pools, history)
        if not self.meddled:
            assert aggregate.drift == (), (aggregate, pools, history)
            assert 'unresolved' not in aggregate.standing, history


def _configure(
    directory: pathlib.Path, template: pathlib.Path
) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    options.parse(conf, [], [])
    file = directory / 'db.sqlite'
    shutil.copy(template, file)
    conf.set_override('connection', f'sqlite:///{file}', 'database')
    conf.set_override('call_timeout', TIMEOUT, 'compute')
    conf.set_override('lease_ttl', 600.0, 'compute')
    conf.set_override('enabled', True, 'notifications')
    return conf


@pytest.fixture
def template(
    database: engine.Database,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A database to copy, and short looks."""
    database.dispose()
    file = tmp_path / 'aggregates_ext.sqlite'
    monkeypatch.setattr(Histories, 'template', file, raising=False)
    monkeypatch.setattr(views, 'LOOK_TIMEOUT', TIMEOUT)
    # By the clock of the database, which is the real one here.
    monkeypatch.setattr(repairing, 'BEGINS', 0.0)


# More by hand: EXAMPLES and STEPS, with seeds of their own.
EXAMPLES = int(os.environ.get('AGGREGATES_EXT_HISTORIES', 0))
STEPS = int(os.environ.get('AGGREGATES_EXT_HISTORY_STEPS', 30))


@pytest.mark.usefixtures('template')
def test_histories() -> None:
    """The same ones each time, unless more are asked for."""
    run(Histories, 25)


def run(machine: type[Histories], examples: int) -> None:
    """Make up histories.

    :param examples: how many, where not so many others are asked for.
    """
    stateful.run_state_machine_as_test(
        machine,
        settings=hypothesis.settings(
            max_examples=EXAMPLES or examples,
            stateful_step_count=STEPS,
            derandomize=not EXAMPLES,
            database=None,
            print_blob=False,
            # Making a failure shorter takes longer than reading it.
            phases=(hypothesis.Phase.generate,),
            suppress_health_check=list(hypothesis.HealthCheck),
        ),
    )
