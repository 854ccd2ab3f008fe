"""Calls that switch high availability on and off (xapi#ha-calls)."""

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.exclusion import pool as pool_exclusion
from aggregates_ext.xensim.life import autostart
from aggregates_ext.xensim.machines import haplan
from aggregates_ext.xensim.machines import upgrading
from aggregates_ext.xensim.pool import statefiles
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure


def enable(
    context: operations.Context,
    srs: list[str],
    configuration: dict[str, str],
) -> operations.Steps:
    """Switch it on, with a state file in the first SR that is given.

    :param srs: none: any SR will do
    """
    db, times = context.db, context.world.times
    task = yield from pool_exclusion.occupy(
        db, times, 'ha_enable', context.task
    )
    try:
        _assert_ready(db)
        files = statefiles.place(db, srs)
        db.pool['ha_statefiles'] = list(files)
        db.pool['ha_configuration'] = dict(configuration)
        haplan.refresh(db)
        yield times.ha_change
        _arm(context, files)
        db.pool['ha_enabled'] = True
        autostart.start(context.world, context.host, haplan.to_start(db))
    finally:
        pool_exclusion.release(db, task)
    return ''


def _assert_ready(db: database.Database) -> None:
    if upgrading.differ(db):
        raise failure.Failure('NOT_SUPPORTED_DURING_UPGRADE')
    if db.pool['restrictions'].get('enable_xha') == 'false':
        raise failure.Failure('LICENCE_RESTRICTION', 'XHA')
    down = db.where('PIF', disallow_unplug=True, currently_attached=False)
    if down:
        raise failure.Failure('REQUIRED_PIF_IS_UNPLUGGED', *down)
    for ref, row in db.rows('host'):
        if not host_exclusion.is_live(db, row):
            raise failure.Failure('HOST_OFFLINE', ref)


def _arm(context: operations.Context, files: list[str]) -> None:
    """All hosts begin to watch each other, or it stays off."""
    db, world = context.db, context.world
    rows = db.rows('host')
    for ref, row in rows:
        host = world.by_uuid(row['uuid'])
        if host is None or not world.answers(host, context.host):
            raise failure.Failure('CANNOT_CONTACT_HOST', ref)
    for _, row in rows:
        row['ha_statefiles'] = list(files)
        row['ha_network_peers'] = [other['uuid'] for _, other in rows]


def disable(context: operations.Context) -> operations.Steps:
    """Switch it off; state files, and what names them, stay."""
    db, times = context.db, context.world.times
    task = yield from pool_exclusion.occupy(
        db, times, 'ha_disable', context.task
    )
    try:
        yield times.ha_change
        db.pool['ha_plan_exists_for'] = 0
        db.pool['ha_enabled'] = False
    finally:
        pool_exclusion.release(db, task)
    return ''


def set_failures(context: operations.Context, ref: str, number: int) -> str:
    """Say how many failures of hosts guests shall survive."""
    db = context.db
    pool = db.row('pool', ref)
    if number < 0:
        field = 'ha_host_failures_to_tolerate'
        raise failure.Failure('INVALID_VALUE', field, str(number))
    if pool['ha_plan_exists_for'] > 0:
        haplan.assert_kept(db, failures=number)
    pool['ha_host_failures_to_tolerate'] = number
    haplan.refresh(db)
    return ''


def compute_most(context: operations.Context) -> int:
    """How many failures there is a plan for; with HA on, it is written."""
    db = context.db
    haplan.follow(db)
    return haplan.tolerable(db)


def plan_exists(context: operations.Context, number: int) -> bool:
    """Whether there is a plan for so many failures."""
    return haplan.exists(context.db, number)
