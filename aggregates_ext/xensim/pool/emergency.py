"""What is left to do when the master is lost.

See xapi#emergency, xapi#dead-hosts and xapi#change-of-master.
"""

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.install import records as host_records
from aggregates_ext.xensim.life import lifecycle
from aggregates_ext.xensim.life import liveness
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds


def transition_to_master(context: operations.Context) -> str:
    """Make this slave a master of what it knows of its pool.

    Nobody asks whether the old master is dead: there can be two
    (xapi#two-masters).
    """
    world, host = context.world, context.host
    _assert_no_ha(world, host)
    if not context.xapi.is_slave and not host.broken:
        return ''
    host.database, host.backup = _known(world, host), None
    host.master, host.broken = None, False

    def burnt() -> None:
        lifecycle.restart(world, host, world.times.exit_to_listen)
        liveness.miss(world, host)

    lifecycle.light_fuse(world, host, context.xapi, burnt)
    return ''


def _assert_no_ha(world: worlds.World, host: hosts.Host) -> None:
    db = world.pool_of(host)
    if db is not None and db.pool['ha_enabled']:
        raise failure.Failure('HA_IS_ENABLED')


def _known(world: worlds.World, host: hosts.Host) -> database.Database:
    """The backup of a slave: taken to be as new as it can be."""
    for db in (host.backup, host.database, world.pool_of(host)):
        if db is None or not db.where('host', uuid=host.uuid):
            continue
        copied = db.clone()
        ref = copied.by_uuid('host', host.uuid)
        copied.pool['master'] = ref
        liveness.set_live(world, copied, ref, live=True)
        return copied
    host_records.new_pool(host, world.clock.time())
    return host.database


def reset_master(context: operations.Context, address: str) -> str:
    """Make this host a slave of another master, which may be a name."""
    _assert_no_ha(context.world, context.host)
    _follow(context, context.host, _resolve(context.world, address))
    return ''


def _resolve(world: worlds.World, name: str) -> str:
    for host in world.hosts.values():
        if name in (host.spec.hostname, host.address):
            return host.address
    return name


def _follow(
    context: operations.Context, host: hosts.Host, address: str
) -> None:
    """Point the role file to a master; once is enough.

    A planted delay of the step ``follow`` makes it late: it was seen to
    take more than 80 s (xapi#change-of-master).
    """
    world, xapi = context.world, host.xapi
    if xapi is None or (host.master == address and not host.broken):
        return
    host.master, host.broken = address, False
    late = world.faults.take(('delay',), context.method, host.name, 'follow')

    def burnt() -> None:
        lifecycle.restart(world, host, world.times.exit_to_listen)

    def light() -> None:
        if xapi.alive:
            lifecycle.light_fuse(world, host, xapi, burnt)

    world.later(late.pause if late else 0.0, light)


def recover_slaves(context: operations.Context) -> list[str]:
    """Point all hosts here which can be reached; skip the others."""
    db, world = context.db, context.world
    reached = []
    for ref, row in db.rows('host'):
        host = world.by_uuid(row['uuid'])
        if host is None or host is context.host:
            continue
        if world.answers(host, context.host) and _trusts(world, host, db):
            _follow(context, host, context.host.address)
            reached.append(ref)
    return reached


def _trusts(
    world: worlds.World, host: hosts.Host, db: database.Database
) -> bool:
    """Whether a host has the secret of a pool: it is in that pool."""
    known = world.pool_of(host)
    return host.broken or (
        known is not None and known.pool['uuid'] == db.pool['uuid']
    )


def local_assert_healthy(context: operations.Context) -> str:
    """Say why this host is in emergency mode, if it is."""
    if context.xapi.emergency is not None:
        raise context.xapi.emergency
    return ''


def local_management_reconfigure(
    context: operations.Context, interface: str
) -> str:
    """Only for a host in emergency mode (xapi#slave-answers)."""
    if context.xapi.emergency is None:
        raise failure.Failure('NOT_IN_EMERGENCY_MODE')
    return ''


def ha_disable(context: operations.Context, soft: bool = False) -> str:
    """Disarm this host; the pool's own record is untouched."""
    return ''


def shutdown_agent(context: operations.Context) -> str:
    """End xapi after the fuse; nobody starts it again."""
    world, host, xapi = context.world, context.host, context.xapi
    lifecycle.light_fuse(
        world, host, xapi, lambda: lifecycle.hold(world, host)
    )
    return ''


def reset_server_certificate(context: operations.Context) -> str:
    """Make a new certificate of this host: nothing to be seen of it."""
    return ''


def disable_tls_verification(context: operations.Context) -> str:
    """Trust any certificate from now on."""
    context.host.tls_verification_enabled = False
    return ''
