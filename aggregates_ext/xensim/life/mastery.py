"""A master which starts: its hosts are disabled until they have reported.

See xapi#restarts.
"""

from aggregates_ext.xensim.exclusion import pool as pool_exclusion
from aggregates_ext.xensim.life import autostart
from aggregates_ext.xensim.life import booting
from aggregates_ext.xensim.life import liveness
from aggregates_ext.xensim.life import plugging
from aggregates_ext.xensim.machines import adoption
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds


def begin(
    world: worlds.World, host: hosts.Host, xapi: hosts.Xapi, storage: float
) -> None:
    """Forget sessions, tasks and operations, and disable all hosts."""
    db = host.database
    db.clear('session')
    db.clear('task')
    db.pool['current_operations'] = {}
    pool_exclusion.refresh(db)
    adoption.forget_operations(db)
    for _, row in db.rows('host'):
        liveness.set_enabled(row, False)
    master = db.pool['master']
    liveness.mark_start(world, host, db.row('host', master))
    booting.settle(db, master, host, xapi)
    xapi.complete = False

    def storage_ready() -> None:
        if xapi.alive:
            plugging.plug(world, host, db)
            xapi.complete = True
            booting.consider_enabling(db, master, host, xapi)
            adoption.settle(world, db, master, host)
            autostart.begin(world, host, xapi)

    world.later(storage, storage_ready)
    _await_slaves(world, host, xapi)


def _await_slaves(
    world: worlds.World, host: hosts.Host, xapi: hosts.Xapi
) -> None:
    """Those which run on come back by themselves, soon or late."""
    times, db = world.times, host.database
    moments = times.slave_returns, times.slave_returns_late
    slaves = [ref for ref, _ in db.rows('host') if ref != db.pool['master']]
    for number, ref in enumerate(slaves):
        report = _Report(world, host, xapi, ref)
        world.later(moments[number % 2], report.make)


class _Report:
    """What a slave says to a master that has started under it."""

    def __init__(
        self,
        world: worlds.World,
        master: hosts.Host,
        xapi: hosts.Xapi,
        ref: str,
    ) -> None:
        self._world = world
        self._master = master
        self._xapi = xapi
        self._ref = ref

    def make(self) -> None:
        """Be enabled, unless it starts anew: then its hello does that."""
        world, db, ref = self._world, self._master.database, self._ref
        if not self._xapi.alive or not db.exists('host', ref):
            return
        row = db.row('host', ref)
        slave = world.by_uuid(row['uuid'])
        xapi = slave.xapi if slave else None
        if slave is None or xapi is None or xapi.master != self._address:
            return
        if xapi.emergency or xapi.blocked_until or not xapi.complete:
            return
        if not world.reaches(slave, self._master):
            world.later(world.times.master_retry, self.make)
            return
        booting.consider_enabling(db, ref, slave, xapi)

    @property
    def _address(self) -> str:
        return self._master.address
