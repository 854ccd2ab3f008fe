"""Calls on hosts (xapi#dead-hosts and xapi#maintenance-calls)."""

import datetime

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.join import sides
from aggregates_ext.xensim.life import lifecycle
from aggregates_ext.xensim.life import liveness
from aggregates_ext.xensim.machines import haplan
from aggregates_ext.xensim.pool import eject
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import memory


def reach(context: operations.Context, ref: str) -> operations.Steps:
    """The host a call is for, if it can be reached (xapi#eject-checks)."""
    db, world = context.db, context.world
    host = world.by_uuid(db.row('host', ref)['uuid'])
    if not eject.is_live(db, ref):
        raise failure.Failure('HOST_OFFLINE', ref)
    if host is None or not world.answers(host, context.host):
        yield _silence(context, host)
        raise failure.Failure('CANNOT_CONTACT_HOST', ref)
    return host


def _silence(context: operations.Context, host: hosts.Host | None) -> float:
    if host is None:
        return context.world.times.contact_timeout
    return context.world.silence(host, context.host)


def disable(
    context: operations.Context, ref: str, auto_enable: bool = True
) -> operations.Steps:
    """Take no new machines (xapi#maintenance-calls)."""
    haplan.assert_kept(context.db, haplan.Change(disabled=ref))
    host: hosts.Host = yield from reach(context, ref)
    row = context.db.row('host', ref)
    if row['enabled']:
        host.auto_enable = auto_enable
        liveness.set_enabled(row, False)
    if host.xapi is not None:
        host.xapi.disabled = True
    return ''


def enable(context: operations.Context, ref: str) -> operations.Steps:
    """Take machines again (xapi#maintenance-calls)."""
    db = context.db
    host_exclusion.occupy(db, ref, 'enable', context.task)
    try:
        host: hosts.Host = yield from reach(context, ref)
        _enable(host, db, ref)
    finally:
        host_exclusion.release(db, ref, context.task)
    return ''


def _enable(host: hosts.Host, db: database.Database, ref: str) -> None:
    row = db.row('host', ref)
    if row['enabled']:
        return
    if host.xapi is None or not host.xapi.complete or host.xapi.emergency:
        raise failure.Failure('HOST_STILL_BOOTING')
    if row['pending_guidances']:
        raise failure.Failure('HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY', ref)
    if host.disabled_until_reboot:
        raise failure.Failure('HOST_DISABLED_UNTIL_REBOOT', ref)
    host.auto_enable = True
    host.xapi.disabled = False
    liveness.set_enabled(row, True)
    haplan.follow(db)


def get_uncooperative_resident_vms(
    context: operations.Context, ref: str
) -> list[str]:
    """Deprecated, and always empty (xapi#maintenance-calls)."""
    context.db.row('host', ref)
    return []


def destroy(context: operations.Context, ref: str) -> operations.Steps:
    """Forget a host which is dead (xapi#dead-hosts)."""
    db = context.db
    yield from _assert_dead(context, ref)
    if db.pool['ha_enabled']:
        raise failure.Failure('HA_IS_ENABLED')
    if db.where('VM', resident_on=ref, is_control_domain=False):
        raise failure.Failure('HOST_HAS_RESIDENT_VMS', ref)
    _leave_backup(context, ref)
    for vm in db.where('VM', resident_on=ref):
        db.delete('VM', vm)
    eject.forget(db, ref)
    for pif in db.where('PIF', host=ref):
        db.delete('PIF', pif)
    db.delete('host_metrics', db.row('host', ref)['metrics'])
    db.delete('host', ref)
    return ''


def _leave_backup(context: operations.Context, ref: str) -> None:
    """A forgotten host still has its copy of the database."""
    db = context.db
    host = context.world.by_uuid(db.row('host', ref)['uuid'])
    if host is not None and host.master == context.host.address:
        host.backup = db.clone()


def declare_dead(context: operations.Context, ref: str) -> operations.Steps:
    """Give up the machines of a dead host (xapi#dead-hosts)."""
    db = context.db
    yield from _assert_dead(context, ref)
    for vm in db.where('VM', resident_on=ref, is_control_domain=False):
        db.row('VM', vm).update(
            power_state='Halted', resident_on=database.NULL, domid=-1
        )
    liveness.set_enabled(db.row('host', ref), False)
    liveness.set_live(context.world, db, ref, live=False)
    return ''


def _assert_dead(context: operations.Context, ref: str) -> operations.Steps:
    """Trust live=false, and ask the host otherwise."""
    db, world = context.db, context.world
    row = db.row('host', ref)
    if db.pool['master'] == ref:
        raise failure.Failure('HOST_IS_LIVE', ref)
    if not eject.is_live(db, ref):
        return
    host = world.by_uuid(row['uuid'])
    if host is not None and world.answers(host, context.host):
        if world.is_member(host, context.host):
            raise failure.Failure('HOST_IS_LIVE', ref)
        return
    # Refused connections are told from silence at once (xapi#dead-hosts).
    if host is None or not host.powered or not _heard(context, host):
        yield world.times.contact_timeout


def _heard(context: operations.Context, host: hosts.Host) -> bool:
    """Whether the machine of a host is on the network."""
    return context.world.reaches(context.host, host)


def restart_agent(context: operations.Context, ref: str) -> operations.Steps:
    """Restart the xapi of a host, after the answer."""
    host: hosts.Host = yield from reach(context, ref)
    world = context.world
    xapi = host.xapi

    def end() -> None:
        if xapi is not None and xapi.alive:
            lifecycle.restart(world, host, world.times.restart)

    world.later(world.times.agent_exit, end)
    return ''


def compute_free_memory(context: operations.Context, ref: str) -> int:
    """The memory for more machines (xapi#host-record)."""
    context.db.row('host', ref)
    return max(0, memory.free(context.db, ref))


def get_servertime(context: operations.Context, ref: str) -> datetime.datetime:
    """The clock of a host, which may be wrong."""
    uuid = context.db.row('host', ref)['uuid']
    found = context.world.by_uuid(uuid)
    offset = found.spec.clock_offset if found is not None else 0.0
    return database.date(context.now + offset)


def get_management_interface(context: operations.Context, ref: str) -> str:
    """The management interface of a host."""
    db = context.db
    db.row('host', ref)
    return sides.management_pif(db, ref)


def is_in_emergency_mode(context: operations.Context) -> bool:
    """Whether this host waits for its master (xapi#emergency)."""
    return context.xapi.emergency is not None
