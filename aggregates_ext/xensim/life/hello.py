"""A slave which starts: it waits, and reports to its master."""

from aggregates_ext.xensim.calls import tasks
from aggregates_ext.xensim.install import records as host_records
from aggregates_ext.xensim.life import liveness
from aggregates_ext.xensim.life import poolnetworks
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds


def begin(world: worlds.World, host: hosts.Host, xapi: hosts.Xapi) -> None:
    """Pass through what comes before the master is asked.

    See xapi#join-timeline.
    """
    times = world.times
    if host.database.rows('pool'):
        host.backup, host.database = host.database, database.Database()
    xapi.blocked_until = world.clock.time() + times.slave_blocked

    def emergency(code: str) -> None:
        if xapi.alive:
            xapi.emergency = failure.Failure(code)

    if xapi.master == host.address:
        xapi.emergency = failure.Failure('HOST_ITS_OWN_SLAVE')
        return
    moment = times.slave_blocked
    world.later(moment, lambda: emergency('HOST_HAS_NO_MANAGEMENT_IP'))
    moment += times.no_management_ip
    world.later(moment, lambda: emergency('HOST_STILL_BOOTING'))
    moment += times.still_booting
    world.later(moment, lambda: _hello(world, host, xapi))


def _hello(world: worlds.World, host: hosts.Host, xapi: hosts.Xapi) -> None:
    """Report to the master (xapi#emergency and xapi#join-timeline)."""
    if not xapi.alive or xapi.master is None:
        return
    master = world.serving_master(xapi.master)
    retry = world.times.master_retry
    if master is None or not world.reaches(host, master):
        pass
    elif not master.database.where('host', uuid=host.uuid):
        xapi.emergency = failure.Failure('HOST_UNKNOWN_TO_MASTER', host.uuid)
        retry = world.times.unknown_retry
    elif not world.reaches(master, host):
        code = 'HOST_MASTER_CANNOT_TALK_BACK'
        xapi.emergency = failure.Failure(code, host.address)
    else:
        _welcome(world, host, xapi, master)
        return
    world.later(retry, lambda: _hello(world, host, xapi))


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
    liveness.set_enabled(row, False)
    liveness.mark_start(world, row)
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
            _plug_storage(world, host, db)
            xapi.complete = True
            liveness.set_enabled(row, host.auto_enable)

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


def _plug_storage(
    world: worlds.World, member: hosts.Host, db: database.Database
) -> None:
    """Attach all storage, the pool's shared SRs included.

    What lies on the disks of another host cannot be, whatever its flag says.
    See xapi#join-copies.
    """
    host = db.by_uuid('host', member.uuid)
    others = [other for other in world.hosts.values() if other is not member]
    away = {uuid for other in others for uuid in other.storage}
    for sr in db.where('SR', shared=True):
        existing = db.where('PBD', SR=sr)
        if existing and not db.where('PBD', SR=sr, host=host):
            config = db.row('PBD', existing[0])['device_config']
            db.create('PBD', SR=sr, host=host, device_config=config)
    for pbd in db.where('PBD', host=host):
        row = db.row('PBD', pbd)
        row['currently_attached'] = db.row('SR', row['SR'])['uuid'] not in away
