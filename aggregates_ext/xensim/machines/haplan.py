"""The plan of high availability: which failures of hosts guests survive.

See xapi#ha-plan.
"""

import collections.abc
import itertools
import math
import typing

from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.machines import agility
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import memory

EXHAUSTIVE_HOSTS = 32
EXHAUSTIVE_ORDERS = 3500
"""Beyond these the failures are not tried one by one."""

Hosts = collections.abc.Iterable[str]


class Change(typing.NamedTuple):
    """What is about to happen to a pool that has a plan."""

    disabled: str = ''
    """A host that takes no guests any more."""
    guest: str = ''
    """One that goes to a host; it counts where it is, too."""
    target: str = ''


class _World(typing.NamedTuple):
    """Memory that is free on hosts, and guests, their sizes and places."""

    free: dict[str, int]
    sizes: dict[str, int]
    homes: dict[str, str]

    def copy(self) -> '_World':
        return _World(dict(self.free), self.sizes, dict(self.homes))

    def restart(self, guests: list[str]) -> bool:
        """Put guests where most is free, the largest first, if all fit."""
        for guest in sorted(guests, key=lambda one: -self.sizes[one]):
            target = max(self.free, key=lambda host: self.free[host])
            if self.sizes[guest] > self.free[target]:
                return False
            self.free[target] -= self.sizes[guest]
            self.homes[guest] = target
        return True

    def survives(self, failing: Hosts) -> bool:
        """Whether all guests live on when hosts fail one after another."""
        left = self.copy()
        for dead in failing:
            del left.free[dead]
            lost = [one for one, home in left.homes.items() if home == dead]
            if not left.restart(lost):
                return False
        return True

    def survives_roughly(self, failures: int) -> bool:
        """The same for many hosts: all guests are as large as the largest."""
        largest = max(self.sizes.values(), default=0)
        if not largest:
            return True
        room = sorted(max(0, one) // largest for one in self.free.values())
        homes = list(self.homes.values())
        guests = sorted(homes.count(host) for host in self.free)
        lost = sum(guests[len(guests) - failures :])
        return lost <= sum(room[: len(room) - failures])


def is_protected(row: database.Record) -> bool:
    """Whether a guest is started again when its host fails.

    A halted one was shut down: all such calls end its protection.
    """
    return bool(
        row['ha_restart_priority'] == 'restart'
        and row['power_state'] in memory.LOADED
    )


def to_start(db: database.Database) -> list[str]:
    """Guests that are to run, and are recorded as halted: they are started."""
    halted = db.where('VM', ha_restart_priority='restart', ha_always_run=True)
    return [vm for vm in halted if db.row('VM', vm)['power_state'] == 'Halted']


def exists(
    db: database.Database, failures: int, change: Change | None = None
) -> bool:
    """Whether all protected guests survive so many failures of hosts."""
    change = change or Change()
    guests = [vm for vm, row in db.rows('VM') if is_protected(row)]
    if any(agility.refusal(db, vm) is not None for vm in guests):
        return False
    now = _now(db, guests, change)
    if len(now.free) < failures + bool(guests):
        return False
    homeless = [vm for vm in guests if now.homes[vm] not in now.free]
    if not now.restart(homeless):
        return False
    orders = math.comb(len(now.free), failures) * math.factorial(failures)
    hosts = len(db.rows('host'))
    if hosts > EXHAUSTIVE_HOSTS or orders >= EXHAUSTIVE_ORDERS:
        return now.survives_roughly(failures)
    ways = itertools.permutations(now.free, failures)
    return all(now.survives(failing) for failing in ways)


def _now(db: database.Database, guests: list[str], change: Change) -> _World:
    """Only hosts count that are live and enabled."""
    free = {
        ref: memory.free(db, ref, memory.greatest)
        for ref, row in db.rows('host')
        if row['enabled'] and host_exclusion.is_live(db, row)
    }
    free.pop(change.disabled, None)
    if change.target in free:
        coming = memory.greatest(db.row('VM', change.guest))
        free[change.target] -= coming
    homes = {vm: _home(db.row('VM', vm), free) for vm in guests}
    if change.guest in homes:
        homes[change.guest] = change.target
    sizes = {vm: memory.greatest(db.row('VM', vm)) for vm in guests}
    return _World(free, sizes, homes)


def _home(row: database.Record, hosts: dict[str, int]) -> str:
    """Where a guest counts: it runs there, or is about to."""
    homes = row['resident_on'], row['scheduled_to_be_resident_on']
    return next((home for home in homes if home in hosts), '')


def tolerable(db: database.Database) -> int:
    """How many failures there is a plan for."""
    number = 0
    while number < len(db.rows('host')) and exists(db, number + 1):
        number += 1
    return number


def refresh(db: database.Database) -> None:
    """Tell what the plan of a pool is good for now."""
    pool = db.pool
    wanted = int(pool['ha_host_failures_to_tolerate'])
    kept = exists(db, wanted)
    pool['ha_overcommitted'] = not kept
    pool['ha_plan_exists_for'] = wanted if kept else min(wanted, tolerable(db))


def follow(db: database.Database) -> None:
    """The hosts of a pool have changed: with HA on, its plan does too."""
    if db.rows('pool') and db.pool['ha_enabled']:
        refresh(db)


def assert_kept(
    db: database.Database,
    change: Change | None = None,
    failures: int | None = None,
) -> None:
    """Refuse what would break the plan, if there is one now.

    :param failures: how many to tolerate; None: those planned for
    """
    pool = db.pool
    if not pool['ha_enabled'] or pool['ha_allow_overcommit']:
        return
    planned = int(pool['ha_plan_exists_for'])
    wanted = planned if failures is None else failures
    if exists(db, planned) and not exists(db, wanted, change):
        raise failure.Failure('HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN')
