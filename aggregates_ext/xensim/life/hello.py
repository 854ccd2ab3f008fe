"""A slave which starts: it waits, and reports to its master."""

import collections.abc

from aggregates_ext.xensim.calls import tasks
from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.install import records as host_records
from aggregates_ext.xensim.life import autostart
from aggregates_ext.xensim.life import booting
from aggregates_ext.xensim.life import liveness
from aggregates_ext.xensim.life import plugging
from aggregates_ext.xensim.life import poolnetworks
from aggregates_ext.xensim.machines import adoption
from aggregates_ext.xensim.machines import upgrading
from aggregates_ext.xensim.plan import presets
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds

BUILD = 'xapi_build'
"""The version of xapi, in software_version."""


class Start:
    """One start of a slave, from its first answer to its welcome."""

    def __init__(
        self,
        world: worlds.World,
        host: hosts.Host,
        xapi: hosts.Xapi,
        crash: collections.abc.Callable[[], None],
    ) -> None:
        self._world = world
        self._host = host
        self._xapi = xapi
        self._crash = crash

    def begin(self) -> None:
        """Pass through what comes before the master is asked.

        See xapi#join-timeline.
        """
        world, host, xapi = self._world, self._host, self._xapi
        if host.database.rows('pool'):
            host.backup = host.backup or host.database
            host.database = database.Database()
        xapi.blocked_until = world.clock.time() + world.times.slave_blocked
        if xapi.master == host.address:
            xapi.emergency = failure.Failure('HOST_ITS_OWN_SLAVE')
            return
        self._later(world.times.first_beat, self._beat)
        self._later(world.times.slave_blocked, self._look)

    def _later(
        self, seconds: float, step: collections.abc.Callable[[], None]
    ) -> None:
        """Go on, if this xapi still runs."""

        def go_on() -> None:
            if self._xapi.alive:
                step()

        self._world.later(seconds, go_on)

    def _master(self) -> hosts.Host | None:
        """The master, if it serves and hears this host."""
        found = self._world.serving_master(str(self._xapi.master))
        if found is None or not self._world.reaches(self._host, found):
            return None
        return found

    def _beat(self) -> None:
        """It is live long before it is enabled (xapi#restarts)."""
        if self._master() is not None:
            liveness.heartbeat(self._world, self._host)

    def _look(self) -> None:
        """Wait for a master; without a record there, end (xapi#restarts)."""
        times, xapi = self._world.times, self._xapi
        master = self._master()
        if master is None:
            self._later(times.master_retry, self._look)
        elif not master.database.where('host', uuid=self._host.uuid):
            self._crash()
        else:
            xapi.emergency = failure.Failure('HOST_HAS_NO_MANAGEMENT_IP')
            self._later(times.no_management_ip, self._boot)

    def _boot(self) -> None:
        self._xapi.emergency = failure.Failure('HOST_STILL_BOOTING')
        self._later(self._world.times.still_booting, self._hello)

    def _hello(self) -> None:
        """Report to the master (xapi#emergency and xapi#join-timeline)."""
        world, host, xapi = self._world, self._host, self._xapi
        master = self._master()
        if master is None:
            xapi.emergency = None
            self._look()
        elif not master.database.where('host', uuid=host.uuid):
            self._crash()
        elif not world.reaches(master, host):
            code = 'HOST_MASTER_CANNOT_TALK_BACK'
            xapi.emergency = failure.Failure(code, host.address)
            self._later(world.times.master_retry, self._hello)
        elif self._is_newer(master):
            self._wait_for_upgrade(master)
        else:
            _welcome(world, host, xapi, master)

    def _is_newer(self, master: hosts.Host) -> bool:
        """Whether the master must be upgraded first."""
        if self._host.preset.release < presets.NEWER_SLAVES_STOP_SINCE:
            return False
        db = master.database
        told = db.row('host', db.pool['master'])['software_version']
        mine = upgrading.numbers(self._host.software_version.get(BUILD, ''))
        return mine > upgrading.numbers(told.get(BUILD, ''))

    def _wait_for_upgrade(self, master: hosts.Host) -> None:
        """It was heard, and stays in emergency mode (xapi#emergency)."""
        db, host = master.database, self._host
        ref = db.by_uuid('host', host.uuid)
        host_exclusion.forget(db, ref)
        liveness.set_enabled(db.row('host', ref), False)
        self._xapi.emergency = failure.Failure(
            'HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR',
            host.software_version[BUILD],
        )
        self._later(self._world.times.emergency_restart, self._crash)


def _welcome(
    world: worlds.World,
    host: hosts.Host,
    xapi: hosts.Xapi,
    master: hosts.Host,
) -> None:
    xapi.emergency, xapi.blocked_until = None, 0.0
    host.silent_since, host.backup = None, None
    host.password = master.password
    db = master.database
    ref = db.by_uuid('host', host.uuid)
    if master.xapi is not None:
        _cancel_tasks(world, master.xapi, db, ref)
    row = db.row('host', ref)
    xapi.complete = False
    host_exclusion.forget(db, ref)
    liveness.set_enabled(row, False)
    booting.settle(db, ref, host, xapi)

    def tell_start() -> None:
        if xapi.alive and db.exists('host', ref):
            liveness.mark_start(world, host, row)

    world.later(world.times.agent_started, tell_start)
    row['cpu_info'] = host_records.cpu_info(host.spec.cpu)
    host_records.measure_memory(db, ref, host.spec)
    config = row['other_config']
    row['multipathing'] = config.get('multipathing') == 'true'
    row['iscsi_iqn'] = config.get('iscsi_iqn', '')
    liveness.set_live(world, db, ref, True)
    host_records.recompute_cpu_info(db)
    poolnetworks.push(db, ref)

    def storage_ready() -> None:
        if xapi.alive and db.exists('host', ref):
            plugging.plug(world, host, db)
            xapi.complete = True
            adoption.settle(world, db, ref, host)
            booting.consider_enabling(db, ref, host, xapi)
            autostart.begin(world, host, xapi)

    world.later(world.times.storage_init, storage_ready)


def _cancel_tasks(
    world: worlds.World,
    xapi: hosts.Xapi,
    db: database.Database,
    host: str,
) -> None:
    """What the slave was told to do before is lost (xapi#session-validity)."""
    for task, worker in list(xapi.forwarded.items()):
        if worker == host:
            del xapi.forwarded[task]
            if db.exists('task', task) and tasks.unfinished(db, task):
                tasks.end(world, db, task, status='cancelled')
