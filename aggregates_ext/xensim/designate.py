"""pool.designate_new_master: another host takes over (contract 6)."""

from aggregates_ext.xensim import database
from aggregates_ext.xensim import eject
from aggregates_ext.xensim import failure
from aggregates_ext.xensim import host as hosts
from aggregates_ext.xensim import lifecycle
from aggregates_ext.xensim import operations
from aggregates_ext.xensim import poolops
from aggregates_ext.xensim import world as worlds

OPERATION = 'designate_new_master'


def designate(context: operations.Context, ref: str) -> operations.Steps:
    """Answer at once; all members restart after the fuse (README)."""
    db, world = context.db, context.world
    if db.pool['master'] == ref:
        return ''
    if OPERATION in db.pool['current_operations'].values():
        raise failure.Failure('DESIGNATE_NEW_MASTER_IN_PROGRESS')
    task = yield from poolops.occupy(db, world.times, OPERATION)
    try:
        chosen, members = _propose(context, ref)
        yield world.times.designate
        _commit(context, ref, chosen, members)
    finally:
        poolops.release(db, task)
    return ''


def _propose(
    context: operations.Context, ref: str
) -> tuple[hosts.Host, list[hosts.Host]]:
    """Every member must be there to agree."""
    db, world = context.db, context.world
    if db.pool['ha_enabled']:
        raise failure.Failure('HA_IS_ENABLED')
    if not db.exists('host', ref) or not eject.is_live(db, ref):
        raise failure.Failure('HOST_OFFLINE', ref)
    found = {
        member: world.by_uuid(row['uuid']) for member, row in db.rows('host')
    }
    members = {
        member: host
        for member, host in found.items()
        if host is not None and world.answers(host)
    }
    if ref not in members:
        raise failure.Failure('CANNOT_CONTACT_HOST', ref)
    if len(members) < len(found):
        raise failure.Failure(
            'INTERNAL_ERROR', 'Connection failed: no route to host.'
        )
    return members[ref], list(members.values())


def _commit(
    context: operations.Context,
    ref: str,
    chosen: hosts.Host,
    members: list[hosts.Host],
) -> None:
    """Write all role files; what runs keeps its role until the fuse ends."""
    world, old = context.world, context.host

    def hand_over() -> None:
        chosen.database, old.database = old.database, database.Database()
        chosen.database.pool['master'] = ref

    for host in sorted(members, key=lambda member: member is not old):
        host.master = None if host is chosen else chosen.address
        if host.xapi is not None:
            _light(world, host, host.xapi, hand_over if host is old else None)


def _light(
    world: worlds.World,
    host: hosts.Host,
    xapi: hosts.Xapi,
    before: lifecycle.Action | None,
) -> None:
    def burnt() -> None:
        if before is not None:
            before()
        lifecycle.restart(world, host, world.times.exit_to_listen)

    lifecycle.light_fuse(world, host, xapi, burnt)
