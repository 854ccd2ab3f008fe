"""A site that has to endure: whatever happens for as long as it is told to.

Requests and troubles at random; then all is well for a while, everything
comes to its end, and what must hold is looked at. The services are measured
in these pauses, when they do the same each time.
"""

import collections
import concurrent.futures
import json
import random
import threading
import time
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg

from aggregates_ext import conf as settings
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models
from aggregates_ext.domain import history
from tests import databases
from tests.integration import endurance_requests
from tests.integration import endurance_site
from tests.integration import endurance_troubles
from tests.integration import processes
from tests.integration import samples

# Seconds in which things happen, between two pauses.
LIVELY = 40.0
# Seconds in which everything has to end that is under way.
PATIENCE = 600.0
# Days for which history is kept: about a minute.
KEPT = 0.0007
# The processes that live as long as the test does.
MEASURED = ('api-1', 'compute-1')
MARK = processes.MARK
# Somebody may start a guest while a host in maintenance has just restarted,
# or cancel what disables it again, or what renames a pool: that is told, and
# left to them.
OTHER_NAME = 'LABEL'
TOLD = ('GUESTS_ARRIVED', 'HOST_ENABLED', OTHER_NAME)
Rows = list[tuple[Any, ...]]


class Arena:
    """One site, and all that happens to it.

    :param server: the database; None: SQLite.
    :param ejects: uuid of a host -> how often one was thrown out of a pool.
    :ivar series: what processes and tables took in the pauses.
    :ivar ended: how many operations came to which end.
    """

    def __init__(
        self,
        name: str,
        site: endurance_site.Site,
        server: databases.Server | None,
        seed: int,
        ejects: collections.Counter[str],
    ) -> None:
        dice = random.Random(seed)
        self.name = name
        self.site = site
        self.requests = endurance_requests.Requests(site, dice)
        self.troubles = endurance_troubles.Troubles(
            site, server, random.Random(seed + 1)
        )
        self.series = samples.Series()
        self.acts: collections.Counter[str] = collections.Counter()
        self.ended: collections.Counter[str] = collections.Counter()
        self.rounds = 0
        self._dice = dice
        self._ejects = ejects
        self._last_operation = self._last_move = 0
        self._began = time.monotonic()

    def run(
        self, seconds: float, over: threading.Event, lively: float = LIVELY
    ) -> None:
        """Go on until the time is over, or something is wrong elsewhere."""
        self.site.begin()
        self.requests.begin()
        end = time.monotonic() + seconds
        try:
            while not over.is_set():
                self._live(lively, over)
                self._be_quiet()
                self.rounds += 1
                self._tell()
                if time.monotonic() > end:
                    return
        except BaseException:
            over.set()
            raise

    def _live(self, seconds: float, over: threading.Event) -> None:
        """Requests and troubles side by side."""
        enough = threading.Event()
        end = time.monotonic() + seconds
        with concurrent.futures.ThreadPoolExecutor(1) as aside:
            troubles = aside.submit(self.troubles.go_on, enough)
            try:
                while time.monotonic() < end and not over.is_set():
                    self.acts[self.requests.act()] += 1
                    time.sleep(self._dice.uniform(0, 0.5))
            finally:
                enough.set()
            troubles.result()

    def _tell(self) -> None:
        told = {name: self._take(name) for name in MEASURED}
        print(f'{time.ctime()} {self.name}: {self.rounds} {told}', flush=True)

    def _take(self, name: str) -> dict[str, float]:
        process = self.site.running[name].process_id
        return samples.of_process(process)

    def measure_at_work(self) -> None:
        """Sample the processes whatever they do."""
        if not self.rounds:
            return
        for name in MEASURED:
            self._add(f'{name} at work', self._take(name))

    def _add(self, what: str, sample: Mapping[str, float]) -> None:
        moment = time.monotonic() - self._began
        self.series.add(f'{self.name} {what}', sample, moment)

    # Pauses.

    def _be_quiet(self) -> None:
        self._wait('the API serves', self._serves)
        self._wait('all comes to its end', self._rests)
        self._wait('hosts are back', self._are_back)
        self._wait('all is seen as it is', self._agrees)
        self._check()
        self._count()
        self._purge()
        self._measure()
        self.site.check_news()
        self._prepare()

    def _wait(self, what: str, look: Any) -> None:
        try:
            processes.wait_for(what, look, PATIENCE)
        except AssertionError as exc:
            raise AssertionError(f'{self.name}: {exc}: {self._why()}') from exc

    def _why(self) -> str:
        """For the message of a failure: what is still open, and seen."""
        return '\n'.join(
            map(
                str,
                (
                    '',
                    *self._open(),
                    *self.site.query('SELECT * FROM hosts'),
                    *self.site.query('SELECT * FROM aggregates'),
                    *self.site.query(
                        'SELECT * FROM operations ORDER BY id DESC LIMIT 12'
                    ),
                    *self.site.sim.state()['pools'],
                    self.site.directory,
                ),
            )
        )

    def _serves(self) -> bool:
        for client in self.site.clients:
            try:
                if client.ask('GET', '/os-aggregates').status != 200:
                    return False
            except OSError:
                return False
        return all(p.running for p in self.site.running.values())

    def _open(self) -> Rows:
        """Operations and moves that have not ended."""
        return [
            *self.site.query(
                'SELECT aggregate_id, uuid, kind, state, step, not_before '
                'FROM operations '
                "WHERE state IN ('queued', 'running')"
            ),
            *self.site.query(
                'SELECT aggregate_id, uuid, state FROM moves '
                "WHERE ended = 0 AND state != 'unresolved'"
            ),
        ]

    def _rests(self) -> bool:
        found = self._open()
        for row in found:
            if row[2] == 'rolling_reboot':
                self.requests.go_on(row[0], row[1])
        time.sleep(1)
        return not found

    def _are_back(self) -> bool:
        time.sleep(0.2)
        return not self.site.query(
            "SELECT name FROM hosts WHERE phase NOT IN ('free', 'member')"
        )

    def _agrees(self) -> bool:
        """Aggregates and pools are the same, and nobody has a lease."""
        time.sleep(0.2)
        return not self._differences()

    def _differences(self) -> list[Any]:
        pools = self.site.sim.state()['pools']
        found: list[Any] = [
            host
            for pool in pools
            for host in pool['hosts']
            if not host['live']
        ]
        for key, uuid, name, pool_uuid, drift in self.site.query(
            'SELECT id, uuid, name, pool_uuid, drift FROM aggregates '
            'WHERE deleted = 0'
        ):
            members = sorted(
                host
                for (host,) in self.site.query(
                    'SELECT name FROM hosts WHERE aggregate_id = ?', key
                )
            )
            there = [
                pool
                for pool in pools
                if pool['other_config'].get(MARK) == uuid
                or pool['uuid'] == pool_uuid
            ]
            real = sorted(h['name'] for p in there for h in p['hosts'])
            told = json.loads(drift) if isinstance(drift, str) else drift
            codes = {one['code'] for one in told or ()}
            same = {pool['name_label'] for pool in there} <= {name}
            said = OTHER_NAME in codes
            if real != members or len(there) > 1 or same is said:
                found.append((key, name, members, there))
            found += [one for one in told or () if one['code'] not in TOLD]
        return found

    # What must hold.

    def _check(self) -> None:
        site, world = self.site, self.site.sim.world
        state = site.sim.state()
        assert state['ran_twice'] == []
        lost = set(state['lost'])
        assert lost <= self.requests.touched, lost
        world.lost.clear()
        for guest in self.requests.guests:
            places = site.sim.places(guest)
            assert len(places) == 1 or (
                guest in self.requests.touched and not places
            ), (guest, places)
        destroyed = set(state['destroyed_vdis'])
        assert destroyed <= self.requests.accepted, destroyed
        self._check_pools(state)
        self._check_ends()

    def _check_pools(self, state: dict[str, Any]) -> None:
        where = collections.Counter(
            host['name'] for pool in state['pools'] for host in pool['hosts']
        )
        assert where == dict.fromkeys(self.site.sim.world.hosts, 1), where
        for pool in state['pools']:
            assert pool['master'] in [h['name'] for h in pool['hosts']]
            assert self.site.duplicate_interfaces(pool['master']) == []
        for name, host in state['hosts'].items():
            done = self._ejects[host['uuid']]
            asked = self.requests.removals.get(name, 0)
            assert done <= asked, (name, done, asked)

    def _check_ends(self) -> None:
        for table in ('operations', 'moves'):
            calls = self.site.query(
                f'SELECT {table}.call FROM {table} '  # noqa: S608
                f'WHERE {table}.call IS NOT NULL '
                "AND state IN ('succeeded', 'failed', 'cancelled', "
                "'completed')"
            )
            assert all(call in (None, 'null') for (call,) in calls), calls
        unresolved = [
            *self.site.query(
                "SELECT * FROM operations WHERE state = 'unresolved' "
                'AND NOT settled'
            ),
            *self.site.query(
                "SELECT * FROM moves WHERE state = 'unresolved' AND ended = 0"
            ),
        ]
        assert unresolved == [], (unresolved, self._why())

    # What it takes.

    def _count(self) -> None:
        for id_, kind, state in self.site.query(
            'SELECT id, kind, state FROM operations WHERE id > ? ORDER BY id',
            self._last_operation,
        ):
            self._last_operation = id_
            self.ended[f'{kind} {state}'] += 1
        for id_, state in self.site.query(
            'SELECT id, state FROM moves WHERE id > ? ORDER BY id',
            self._last_move,
        ):
            self._last_move = id_
            self.ended[f'move {state}'] += 1

    def _purge(self) -> None:
        conf = cfg.ConfigOpts()
        settings.parse(conf, [], [str(self.site.config)])
        database = engine.Database(conf)
        try:
            history.History(database, conf.compute.designate_wait).purge(KEPT)
        finally:
            database.dispose()

    def _measure(self) -> None:
        for name in MEASURED:
            self._add(name, self._take(name))
        for table in models.METADATA.tables:
            ((rows,),) = self.site.query(f'SELECT COUNT(*) FROM {table}')  # noqa: S608
            self._add(table, {'rows': rows})

    def _prepare(self) -> None:
        """For the next round: guests run, hosts have disks again."""
        for guest in self.requests.guests:
            self.requests.start_guest(guest)
        # Where no host takes it, it stays off.
        self.requests.touched = {
            guest
            for guest in self.requests.guests
            if not self.site.sim.places(guest)
        }
        self.requests.put_disks()
        for front in self.site.fronts.values():
            front.calls.clear()
        self.site.traffic.exchanges.clear()

    def told(self) -> list[str]:
        """What happened, for the report."""
        return [
            f'{self.name}: {self.rounds} rounds',
            f'  requests {dict(self.acts)}',
            f'  answers {dict(self.site.statuses)}',
            f'  troubles {dict(self.troubles.counted)}',
            f'  ends {dict(sorted(self.ended.items()))}',
            f'  ejects {sum(self._ejects.values())}, '
            f'disks lost by consent {len(self.site.sim.destroyed_vdis)}',
        ]
