"""pool.designate_new_master: another host takes over.

See xapi#change-of-master.
"""

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.exclusion import pool as pool_exclusion
from aggregates_ext.xensim.life import lifecycle
from aggregates_ext.xensim.pool import eject
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import host as hosts

OPERATION = 'designate_new_master'


def designate(context: operations.Context, ref: str) -> operations.Steps:
    """Answer at once; all members restart after the fuse.

    See xapi#change-of-master.
    """
    db, world = context.db, context.world
    if db.pool['master'] == ref:
        return ''
    task = yield from pool_exclusion.occupy(
        db, world.times, OPERATION, context.task
    )
    try:
        chosen, members = yield from _propose(context, ref)
        yield world.times.designate
        _commit(context, chosen, members)
    finally:
        pool_exclusion.release(db, task)
    return ''


def _propose(context: operations.Context, ref: str) -> operations.Steps:
    """Every member must be there to agree.

    With one that does not answer the call hangs, then nothing has changed
    (xapi#designate-errors).
    """
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
        if host is not None and world.answers(host, context.host)
    }
    if len(members) < len(found):
        yield world.times.contact_timeout
        if ref not in members:
            raise failure.Failure('CANNOT_CONTACT_HOST', ref)
        raise failure.Failure(
            'INTERNAL_ERROR', 'Connection failed: no route to host.'
        )
    chosen = members[ref]
    _promise(context, chosen, list(members.values()))
    return chosen, list(members.values())


def _promise(
    context: operations.Context,
    chosen: hosts.Host,
    members: list[hosts.Host],
) -> None:
    """Phase 1: every member agrees, or nobody does."""
    agreed: list[hosts.Xapi] = []
    try:
        for host in members:
            _hit(context, host, 'propose')
            if host.xapi is not None:
                _assert_free(context, host.xapi, chosen)
                host.xapi.promise = chosen.address, context.now
                agreed.append(host.xapi)
    except failure.Failure:
        for xapi in agreed:
            xapi.promise = None
        raise


def _assert_free(
    context: operations.Context, xapi: hosts.Xapi, chosen: hosts.Host
) -> None:
    """A promise to another candidate binds for ten minutes."""
    if xapi.promise is None:
        return
    address, given = xapi.promise
    bound = context.now - given < context.world.times.promise
    if bound and address != chosen.address:
        raise failure.Failure(
            'HA_ABORT_NEW_MASTER',
            f'Already agreed that {address} can become the master',
        )


def _hit(context: operations.Context, host: hosts.Host, step: str) -> None:
    """Where a planted fault hits a phase, at one member."""
    fault = context.world.faults.take(
        ('fail',), context.method, host.name, step
    )
    if fault is not None:
        raise failure.Failure(fault.code, *fault.parameters)


def _commit(
    context: operations.Context,
    chosen: hosts.Host,
    members: list[hosts.Host],
) -> None:
    """Phase 2: write all role files, the new master's last.

    What runs keeps its role until the fuse ends. If a member fails the
    new master calls itself broken (xapi#change-of-master).
    """
    others = [host for host in members if host is not chosen]
    others.sort(key=lambda host: host is not context.host)
    try:
        for host in others:
            _hit(context, host, 'commit')
            host.master = chosen.address
            _light(context, host)
    except failure.Failure:
        chosen.broken = True
        raise
    finally:
        chosen.master = None
        _light(context, chosen)


def _light(context: operations.Context, host: hosts.Host) -> None:
    world = context.world

    def burnt() -> None:
        lifecycle.restart(world, host, world.times.exit_to_listen)

    if host.xapi is not None:
        lifecycle.light_fuse(world, host, host.xapi, burnt)
