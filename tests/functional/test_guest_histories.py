"""Random histories of guests: moved, stopped, and sent away for maintenance.

Whatever happens to services and hosts meanwhile, no guest ends that nobody
has ended, none runs twice, and what became of each request is told.
"""

import contextlib
import functools
import inspect
import logging
import random
import re
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import hypothesis
import pytest
from hypothesis import stateful
from hypothesis import strategies as st

from aggregates_ext import exception
from aggregates_ext.compute.xen import failures
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import records
from aggregates_ext.domain import downtime
from aggregates_ext.domain import guests
from aggregates_ext.domain import intent
from aggregates_ext.domain import inventory
from aggregates_ext.domain import moves
from aggregates_ext.domain import operations
from tests.functional import service
from tests.functional import test_histories as histories

HOSTS = histories.HOSTS
POOL = HOSTS[:3]
GIB = 1 << 30
# Where guests are in the beginning, and how large they are.
GUESTS = (('xen1', 1), ('xen1', 2), ('xen2', 1), ('xen2', 3), ('xen3', 2))
MIGRATE = 'Async.VM.pool_migrate'
FAULTS: tuple[dict[str, Any], ...] = (
    *(
        {'action': action, 'call': call}
        for action in ('fail', 'drop_answer', 'reset')
        for call in (
            MIGRATE,
            'host.disable',
            'host.enable',
            'host.add_to_other_config',
            'host.remove_from_other_config',
            'task.cancel',
            'task.destroy',
            'task.get_all_records',
            'host.get_all_records',
            'VM.get_all_records',
            'VM.get_record',
            'VM.assert_can_boot_here',
            'event.from',
            'session.get_uuid',
            'session.get_by_uuid',
            'session.login_with_password',
        )
    ),
    {'action': 'die', 'call': MIGRATE},
    {'action': 'die', 'call': MIGRATE, 'when': 'after'},
    {'action': 'die', 'call': 'host.disable', 'when': 'after'},
    {'action': 'die', 'call': 'host.add_to_other_config', 'when': 'after'},
    {
        'action': 'die',
        'call': 'host.remove_from_other_config',
        'when': 'after',
    },
    {'action': 'die', 'call': 'task.cancel'},
)
HANDS = (
    'hard_shutdown',
    'clean_shutdown',
    'start',
    'start',
    'hard_reboot',
    'clean_reboot',
    'pool_migrate',
    'pool_migrate',
)
numbers = histories.numbers


def tell(*what: object) -> str:
    """All of it, a line each."""
    return '\n'.join(map(repr, ('', *what)))


class Bugs(logging.Handler):
    """Keeps what a service could not explain."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.found.append(logging.Formatter().format(record))


# What a thing that happens is about.
ARGUMENTS: dict[str, Sequence[Any]] = {
    **dict.fromkeys('aghijw', range(12)),
    **dict.fromkeys(
        ('accept', 'enable', 'follow', 'on', 'restore', 'stay'), (False, True)
    ),
    'n': range(1, 60),
    'nth': (1, 2, 3),
    'other': range(4),
    'seconds': (0.2, 1.0, 3.0, 8.0),
    'service': (records.DISABLED, records.ENABLED),
    'what': range(12),
}
# What happens, and how often.
CALM = (
    (10, 'go_on'),
    (4, 'go_on_disturbed'),
    (7, 'enter'),
    (3, 'leave'),
    (9, 'migrate'),
    (2, 'cancel_move'),
    (2, 'start_halted'),
    (1, 'declare_out'),
    (5, 'by_hand'),
    (1, 'set_ha'),
    (2, 'set_service'),
    (1, 'enable_by_hand'),
    (1, 'resolve_drift'),
    (3, 'plant_of_guests'),
    (2, 'die'),
    (2, 'freeze'),
    (1, 'set_master'),
    (1, 'remove_host'),
    (1, 'cancel'),
    (1, 'pass_time'),
    (1, 'quiet'),
)


class GuestHistories(histories.Histories):
    """What happens to the guests of a pool of three, one thing at a time."""

    site = {
        'hosts': [{'name': name} for name in HOSTS],
        'pools': [{'hosts': list(POOL)}],
    }

    faults = FAULTS
    # What happens, and how often; beside the work that goes on.
    acts: tuple[tuple[int, str], ...] = (
        *CALM,
        (2, 'restart_toolstack'),
        (1, 'power_off'),
        (1, 'power_on'),
        (1, 'part'),
        (1, 'plant'),
    )

    def __init__(self) -> None:
        super().__init__()
        self.conf.set_override('move_timeout', 300.0, 'compute')
        self.conf.set_override('confirm_interval', 0.01, 'compute')
        # Its clock goes on by LONG at once.
        self.conf.set_override('power_timeout', 1e6, 'compute')
        database = self.database
        intended = intent.Intent(database, service.Silence(), 0)
        self.moves = moves.Moves(intended)
        self.guests = guests.Guests(
            database, inventory.Inventory(database), 'p', 'u'
        )
        self.uuids: list[str] = []
        # Guests that the history itself has ended, or may have.
        self.ended: set[str] = set()
        # Whether it did something that may end any that is on the move.
        self.disrupted = False
        self.bugs = Bugs()
        logging.getLogger('aggregates_ext').addHandler(self.bugs)
        self.stack.callback(
            logging.getLogger('aggregates_ext').removeHandler, self.bugs
        )

    @stateful.initialize()
    def begin(self) -> None:
        """A pool with guests, that has become an aggregate."""
        self.service.pools.adopt_pool(self.service.ctx, 'pool-0', POOL[0])
        for number, (host, size) in enumerate(GUESTS):
            self.uuids.append(
                self.sim.add_vm(host, f'g{number}', memory=size * GIB)
            )
        [key] = self._all_keys()
        self.workers[0].work_on(key)
        assert len(self.service.aggregates.get(key).hosts) == len(POOL)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            # It was looked at here who has harmed which guest.
            self.sim.world.lost.clear()

    @stateful.rule(seed=st.integers(0, 1 << 40))
    def happen(self, seed: int) -> None:
        """One thing, and often some work after it.

        A rule for each would let a history have a few of them only.
        """
        dice = random.Random(seed)
        weights, names = zip(*self.acts, strict=True)
        [name] = dice.choices(names, weights)
        act = getattr(self, name)
        given = {
            about: dice.choice(ARGUMENTS[about])
            for about in inspect.signature(act).parameters
        }
        hypothesis.note(f'{name}({given})')
        act(**given)
        if dice.random() < 0.5:
            self.go_on(dice.choice((0, 1)), 1.0)

    # What is asked for.

    def enter(self, h: int, stay: bool) -> None:
        with contextlib.suppress(exception.AggregatesError):
            self.service.maintenance.enter(
                self.service.ctx, HOSTS[h % 4], stay_on_failure=stay
            )

    def leave(self, h: int, restore: bool) -> None:
        with contextlib.suppress(exception.AggregatesError):
            self.service.maintenance.leave(
                self.service.ctx, HOSTS[h % 4], restore=restore
            )

    def migrate(self, g: int, h: int) -> None:
        """A client asks for a move, to a host or to any."""
        guest = self.guests.find(self.uuids[g % len(GUESTS)])
        wanted = None if h > 7 else HOSTS[h % 4]
        with contextlib.suppress(exception.AggregatesError):
            if guest is not None:
                self.moves.ask(self.service.ctx, guest, wanted)

    def cancel_move(self, n: int) -> None:
        found = self._open_moves()
        if found:
            self._give_up(found[n % len(found)])

    def declare_out(self, h: int) -> None:
        """Somebody says that the maintenance of a host is over."""
        host = self.service.hosts.get(HOSTS[h % 4])
        if host.aggregate_id is not None:
            self.meddled = True
            with contextlib.suppress(exception.AggregatesError):
                self.service.operations.reset(
                    self.service.ctx,
                    host.aggregate_id,
                    host.name,
                    operations.OUT_OF_MAINTENANCE,
                )

    def start_halted(self) -> None:
        """As is offered, where the last move of a guest has left it so."""
        for uuid in self.uuids:
            last = self._all(uuid)[:1]
            if last and last[0].has_halted:
                hypothesis.note(f'{uuid} is to start on {last[0].target}')
                with contextlib.suppress(exception.AggregatesError):
                    self.moves.repair(uuid, last[0].id)

    def _give_up(self, move: records.Move) -> None:
        """Of one that is unresolved this says that somebody has looked.

        Who has not may end its guest: what the pool waited for goes on.
        """
        uuid = move.guest_uuid
        looked = self._is_told(uuid) and uuid not in self._copies()
        if move.state in db_moves.STUCK and not looked:
            self.ended.add(uuid)
        with contextlib.suppress(exception.AggregatesError):
            self.moves.abort(move.guest_uuid, move.id, tuple(moves.STATUSES))

    def go_on(self, w: int, seconds: float) -> None:
        """A service looks at what is on the move, a few times."""
        for _ in range(6):
            self.clock.advance(seconds)
            for key in self._all_keys():
                self.workers[w % len(self.workers)].work_on(key)

    def go_on_disturbed(
        self, w: int, n: int, what: int, i: int, j: int
    ) -> None:
        """Something happens to guests in the middle of the work."""
        acts: list[Callable[[], None]] = [
            lambda: self.enter(i, bool(j % 2)),
            lambda: self.leave(i, bool(j % 2)),
            lambda: self.migrate(i, j),
            lambda: self.cancel_move(i),
            lambda: self.by_hand(i, j, j),
            lambda: self.by_hand(i, j, 6),
            lambda: self.restart_toolstack(i),
            lambda: self.set_ha(bool(j % 2)),
            lambda: self.plant_of_guests(i * 12 + j, n),
            lambda: self.enable_by_hand(i, bool(j % 2)),
            lambda: self.clock.advance(30),
            lambda: self.set_service(
                i, records.DISABLED if j % 2 else records.ENABLED
            ),
        ]
        worker = self.workers[w % len(self.workers)]
        worker.life.plan(n, acts[what])
        for _ in range(3):
            self.clock.advance(2)
            for key in self._all_keys():
                worker.work_on(key)
        worker.life.forget()

    def plant_of_guests(self, n: int, nth: int) -> None:
        fault = self.faults[n % len(self.faults)]
        self._note_restart(fault['action'] == 'die')
        self.sim.plant(**{'nth': 1 + nth % 3, **fault})

    # What is done by hand.

    def by_hand(self, g: int, h: int, what: int) -> None:
        """Start, stop, reboot or move a guest, at the master."""
        uuid = self.uuids[g % len(GUESTS)]
        pool = self._pool()
        verb = HANDS[what % len(HANDS)]
        if pool is None or (verb == 'start' and not self._is_off(uuid)):
            return
        if verb.endswith('shutdown'):
            self.ended.add(uuid)
        self.meddled = True
        with contextlib.suppress(
            failures.XenAPIError, failures.Unreachable, failures.AnswerLost
        ):
            session = self.service.login(pool['master'])
            with contextlib.ExitStack() as ending:
                ending.callback(session.close)
                ref = session.call('VM.get_by_uuid', uuid)
                rest: tuple[Any, ...] = ()
                if verb == 'start':
                    rest = (False, False)
                elif verb == 'pool_migrate':
                    there = self.sim.host(HOSTS[h % 4]).uuid
                    there = session.call('host.get_by_uuid', there)
                    rest = (there, {'live': 'true'})
                session.call(f'Async.VM.{verb}', ref, *rest)
                # Its end would end a move.
                ending.pop_all()
                session.leave()

    def set_ha(self, on: bool) -> None:
        """Switch high availability, as somebody does."""
        self.meddled = True
        pool = self._pool()
        if pool is None:
            return
        with (
            contextlib.suppress(
                failures.XenAPIError, failures.Unreachable, failures.AnswerLost
            ),
            contextlib.closing(self.service.login(pool['master'])) as session,
        ):
            if on:
                session.call('Async.pool.enable_ha', [], {})
            else:
                session.call('Async.pool.disable_ha')

    # What may end guests by itself.

    def _note_restart(self, happens: bool = True) -> None:
        """A toolstack starts anew: what is on the move may end.

        So may what runs where its record does not say.
        """
        if not happens:
            return
        self.disrupted = True
        with self.sim.world.lock:
            for host in self.sim.world.hosts.values():
                self.ended.update(copy.guest for copy in host.copies)
        self.ended.update(u for u in self.uuids if not self._is_told(u))
        self.ended.update(move.guest_uuid for move in self._open_moves())

    def power_off(self, h: int) -> None:
        self._note_restart()
        name = HOSTS[h % 4]
        self.ended.update(u for u in self.uuids if self._places(u) == [name])
        super().power_off(h)

    def restart_toolstack(self, h: int) -> None:
        self._note_restart()
        super().restart_toolstack(h)

    def part(self, h: int, other: int) -> None:
        self._note_restart()
        super().part(h, other)

    def plant(self, n: int, nth: int) -> None:
        self._note_restart()
        super().plant(n, nth)

    # What is so.

    def _pool(self) -> dict[str, Any] | None:
        """The pool that has the guests, whoever is in it."""
        uuids = {a.pool_uuid for a in self.service.aggregates.get_all()}
        found = [p for p in self.sim.state()['pools'] if p['uuid'] in uuids]
        return found[0] if found else None

    def _open_moves(self) -> list[records.Move]:
        with self.database.reader() as connection:
            return [
                move
                for key in self._all_keys()
                for move in db_moves.open_of(connection, key)[0]
            ]

    def _all(self, uuid: str) -> list[records.Move]:
        """The moves of a guest, the newest first."""
        wanted = db_moves.Wanted(guest_uuid=uuid)
        return self.moves.page(wanted, 10) or []

    def _places(self, uuid: str) -> list[str]:
        return self.sim.places(uuid)

    def _copies(self) -> set[str]:
        with self.sim.world.lock:
            return {
                copy.guest
                for host in self.sim.world.hosts.values()
                for copy in host.copies
            }

    def _is_off(self, uuid: str) -> bool:
        """Whether a guest runs nowhere, so that it can be started."""
        return not self._places(uuid) and uuid not in self._copies()

    def _record(self, uuid: str) -> tuple[str, str | None]:
        """Power state and host of a guest, as its pool has them."""
        with self.sim.world.lock:
            [row, db] = next(
                [host.database.row('VM', ref), host.database]
                for host in self.sim.world.hosts.values()
                for ref in host.database.where('VM', uuid=uuid)
            )
            there = row['resident_on']
            name = None
            if db.exists('host', there):
                uuid = db.row('host', there)['uuid']
                name = self.sim.world.by_uuid(uuid).name
            return row['power_state'], name

    def _is_told(self, uuid: str) -> bool:
        """Whether the record of a guest says where it runs."""
        state, host = self._record(uuid)
        places = self._places(uuid)
        if state == 'Halted':
            return places == []
        return places == [host]

    # What always holds.

    @stateful.invariant()
    def no_guest_is_harmed(self) -> None:
        assert self.sim.world.ran_twice == []
        lost = set(self.sim.world.lost)
        assert self.disrupted or lost <= self.ended, lost

    @stateful.invariant()
    def no_bug_is_logged(self) -> None:
        assert self.bugs.found == []

    def quiet(self) -> None:
        self.become_quiet()

    def become_quiet(self) -> None:
        """Heal what is broken, repair as is told, and look what is left."""
        self._heal()
        self._work()
        for _ in range(20):
            if open_ := self._open_moves():
                self._repair(open_[0])
        self.start_halted()
        self._work()
        for key in self._all_keys():
            self._check(key)
        self._check_guests()
        self.disrupted = False

    def _heal(self) -> None:
        self.sim.clear_faults()
        for name in HOSTS:
            self.sim.power_on(name)
            for other in HOSTS:
                if other != name:
                    self.sim.partition(name, other, parted=False)
        for worker in self.workers:
            self._end_leases(worker)

    def _work(self, rounds: int = 7) -> None:
        for _ in range(rounds):
            self.clock.advance(histories.LONG)
            for key in self._all_keys():
                self.workers[0].work_on(key)

    def _repair(self, move: records.Move) -> None:
        """Do what the message of a move that is unresolved says.

        Of every second one the service is asked to do it.
        """
        assert move.state == db_moves.UNRESOLVED, move
        assert move.error is not None
        message = move.error['message']
        before = self._places(move.guest_uuid)
        if 'Restart no toolstack' in message:
            self._give_up_what_is_known()
            self._work(1)
            return
        if move.id % 2:
            self._have_repaired(move)
        else:
            names = re.search(
                'when the one before has started: (.*?);', message
            )
            assert names, message
            for name in names[1].split(', '):
                self.sim.restart_toolstack(name, xenopsd=True)
                self.clock.advance(histories.LONG)
        self._work(3)
        with self.database.reader() as connection:
            after = db_moves.get(connection, move.uuid)
        assert after.state not in db_moves.OPEN, tell(after)
        assert self._is_told(move.guest_uuid), tell(after, before)
        if self._all(move.guest_uuid)[0].id == move.id:
            assert self._places(move.guest_uuid) == before, tell(after, before)

    def _give_up_what_is_known(self) -> None:
        """Look where guests run, as somebody does on the hosts themselves."""
        known = [
            move
            for move in self._open_moves()
            if self._is_told(move.guest_uuid)
        ]
        for move in known:
            self._give_up(move)
        assert known, tell(*self._open_moves())

    def _have_repaired(self, move: records.Move) -> None:
        """Without high availability, which could start it a second time."""
        self.set_ha(False)
        self._work(1)
        with contextlib.suppress(exception.MoveInState):
            # It may have become known meanwhile.
            self.moves.repair(move.guest_uuid, move.id)
        for _ in range(40):
            self._work(1)
            with self.database.writer() as connection:
                found = db_moves.get(connection, move.uuid)
                db_moves.rest(connection, [found], -1.0)
            if found.state != db_moves.REPAIRING:
                return

    def _check_guests(self) -> None:
        for uuid in self.uuids:
            places = self._places(uuid)
            assert len(places) < 2, places
            if uuid not in self.ended:
                assert places, tell(uuid, self._record(uuid), *self._all(uuid))
                assert self._is_told(uuid), tell(
                    places, self._record(uuid), *self._all(uuid)
                )
        for move in self._open_moves():
            assert move.state == db_moves.UNRESOLVED, move
        for name in HOSTS:
            self._check_maintenance(self.service.hosts.get(name))

    def _check_maintenance(self, host: records.Host) -> None:
        """One in maintenance is so in its pool, or it is told where not."""
        if host.maintenance is None:
            return
        assert host.aggregate_id is not None, host
        history = [
            operation
            for operation in self.service.operations.get_all(host.aggregate_id)
            if operation.host == host.name and operation.kind in downtime.KINDS
        ]
        if host.maintenance != records.IN_MAINTENANCE:
            assert history[0].state in ('failed', 'unresolved'), tell(
                host, *history
            )
            return
        drift = {
            entry.code
            for entry in self.service.aggregates.get(host.aggregate_id).drift
            if entry.host in (host.name, None)
        }
        # A record that lies since a hand moved its guest tells nobody.
        guests_there = [
            uuid
            for uuid in self.uuids
            if self._places(uuid) == [host.name] and self._is_told(uuid)
        ]
        pool = self.pool_of(host.name)
        assert pool is not None
        [seen] = [h for h in pool['hosts'] if h['name'] == host.name]
        told = drift & {'NO_MASTER', 'MEMBER_MISSING', 'MEMBER_DEAD'}
        if seen['enabled']:
            assert told or 'HOST_ENABLED' in drift, tell(host, drift, *history)
        if guests_there:
            assert told or 'GUESTS_ARRIVED' in drift, tell(
                host, guests_there, drift, *history
            )


def _plain(rule: Callable[..., None]) -> Callable[..., None]:
    """What a rule does, without being one."""

    @functools.wraps(rule, updated=())
    def act(self: GuestHistories, *given: Any, **named: Any) -> None:
        rule(self, *given, **named)

    return act


for _name, _rule in vars(histories.Histories).items():
    if hasattr(_rule, stateful.RULE_MARKER) and _name not in vars(
        GuestHistories
    ):
        setattr(GuestHistories, _name, _plain(_rule))


class CalmHistories(GuestHistories):
    """Nothing happens to hosts but faults of single calls.

    So whatever ends a guest that nobody has stopped is ours.
    """

    faults = tuple(fault for fault in FAULTS if fault['action'] != 'die')
    acts = CALM

    def restart_toolstack(self, h: int) -> None: ...


template = histories.template


@pytest.mark.long
@pytest.mark.usefixtures('template')
@pytest.mark.parametrize('machine', [CalmHistories, GuestHistories])
def test_guest_histories(machine: type[GuestHistories]) -> None:
    """The same ones each time, unless more are asked for."""
    histories.run(machine, 8)
