"""Installing updates from the repository of a pool (xapi#updates)."""

import hashlib
import json

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.exclusion import pool as pool_exclusion
from aggregates_ext.xensim.hosts import guidances
from aggregates_ext.xensim.life import liveness
from aggregates_ext.xensim.life import points
from aggregates_ext.xensim.machines import evacuationplan
from aggregates_ext.xensim.pool import eject
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import packages
from aggregates_ext.xensim.world import world as worlds

Releases = list[worlds.Release]

LIVEPATCH = {
    'component': 'xen',
    'base_build_id': '0000000000000000000000000000000000000000',
    'base_version': '1',
    'base_release': '1',
    'to_version': '1',
    'to_release': '2',
}
"""The one livepatch there is."""


def repository(db: database.Database) -> str:
    """The one repository which is enabled."""
    enabled: list[str] = db.pool['repositories']
    if not enabled:
        raise failure.Failure('NO_REPOSITORY_ENABLED')
    return enabled[0]


def missing(
    world: worlds.World, db: database.Database, host: hosts.Host
) -> Releases:
    """What the mirror of the pool has for a host."""
    return packages.missing(world, db.pool['uuid'], host, synced=True)


def _ask(context: operations.Context, ref: str) -> operations.Steps:
    """The host, which says what it has."""
    world = context.world
    host = world.by_uuid(context.db.row('host', ref)['uuid'])
    yield world.times.get_updates
    if host is None or not world.answers(host, context.host):
        if host is not None:
            yield world.silence(host, context.host)
        raise failure.Failure('GET_HOST_UPDATES_FAILED', ref)
    return host


def _assert_licensed(db: database.Database) -> None:
    if db.pool['restrictions'].get('restrict_updates') == 'true':
        raise failure.Failure('LICENCE_RESTRICTION', 'Updates')


def sync(
    context: operations.Context,
    ref: str,
    force: bool,
    token: str = '',
    token_id: str = '',
    username: str = '',
    password: str = '',
) -> operations.Steps:
    """Copy what is published, and see which hosts have all of it."""
    db, world = context.db, context.world
    _assert_licensed(db)
    task = yield from pool_exclusion.occupy(
        db, world.times, 'sync_updates', context.task
    )
    try:
        enabled = repository(db)
        yield world.times.sync_updates
        mirror = world.mirrors.setdefault(db.pool['uuid'], worlds.Mirror())
        mirror.synced = len(mirror.releases)
        for host_ref, _ in db.rows('host'):
            yield from _tell_whether_new(context, db, host_ref)
        names = [one.name for one in mirror.releases[: mirror.synced]]
        checksum = hashlib.sha256(json.dumps(names).encode()).hexdigest()
        db.row('Repository', enabled)['hash'] = checksum
        db.pool['last_update_sync'] = database.date(context.now)
    finally:
        pool_exclusion.release(db, task)
    return checksum


def _tell_whether_new(
    context: operations.Context, db: database.Database, ref: str
) -> operations.Steps:
    host: hosts.Host = yield from _ask(context, ref)
    lacks = missing(context.world, db, host)
    if db.exists('host', ref):
        row = db.row('host', ref)
        row['latest_synced_updates_applied'] = 'no' if lacks else 'yes'
    return ''


def check_readiness(
    context: operations.Context, ref: str, requires_reboot: bool
) -> list[list[str]]:
    """What stands against updates, each as a code and its arguments."""
    db = context.db
    _assert_licensed(db)
    found = [['HA_IS_ENABLED']] if db.pool['ha_enabled'] else []
    for host, _ in db.rows('host'):
        if not eject.is_live(db, host):
            found.append(['HOST_OFFLINE', host])
        elif requires_reboot:
            reasons = evacuationplan.prevented(db, host, ignore_ha=True)
            found += [reason.description for reason in reasons.values()]
    return found


def apply(
    context: operations.Context, ref: str, checksum: str
) -> operations.Steps:
    """Install what was synced on a host, which is disabled for it.

    The value: a failure for each livepatch that could not be applied.
    """
    db, world = context.db, context.world
    _assert_licensed(db)
    db.row('host', ref)
    task = yield from pool_exclusion.occupy(
        db, world.times, 'apply_updates', context.task
    )
    try:
        if db.pool['ha_enabled']:
            raise failure.Failure('HA_IS_ENABLED')
        if db.row('host', ref)['enabled']:
            liveness.set_enabled(db.row('host', ref), False)
            # What is remembered is remembered by the master.
            context.xapi.disabled = True
        host_exclusion.occupy(db, ref, 'apply_updates', task)
        try:
            failed = yield from _apply(context, db, ref, checksum)
        finally:
            host_exclusion.release(db, ref, task)
    finally:
        pool_exclusion.release(db, task)
    db.row('host', ref).update(
        last_software_update=database.date(context.now),
        latest_synced_updates_applied='yes',
        last_update_hash=checksum,
    )
    return failed


def _apply(
    context: operations.Context,
    db: database.Database,
    ref: str,
    checksum: str,
) -> operations.Steps:
    if db.row('host', ref)['pending_guidances']:
        raise failure.Failure('HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY', ref)
    known = db.row('Repository', repository(db))['hash']
    if not checksum or checksum != known:
        raise failure.Failure('UPDATEINFO_HASH_MISMATCH')
    of_pool = _of_pool(context, db) if ref == db.pool['master'] else []
    host: hosts.Host = yield from _ask(context, ref)
    failed = []
    if releases := missing(context.world, db, host):
        try:
            failed = yield from _install(context, db, host, releases)
        except failure.Failure as exc:
            if exc.code != 'INTERNAL_ERROR':
                raise
            raise failure.Failure('APPLY_UPDATES_FAILED', ref) from exc
    guidances.set_restart_of_guests(db, of_pool)
    return failed


def _of_pool(
    context: operations.Context, db: database.Database
) -> list[dict[str, list[str]]]:
    """What the updates ask for of each host, before any has them."""
    found = []
    for _, row in db.rows('host'):
        host = context.world.by_uuid(row['uuid'])
        if host is not None:
            lacks = missing(context.world, db, host)
            found.append(packages.reduced(lacks))
    return found


def _install(
    context: operations.Context,
    db: database.Database,
    host: hosts.Host,
    releases: Releases,
) -> operations.Steps:
    """The packages, then the livepatch, then what is to be done."""
    ref = db.by_uuid('host', host.uuid)
    guidance = packages.reduced(releases)
    needs = {'reboot_host', 'evacuate_host'} & {*guidance['mandatory']}
    if needs and guidances.guests(db, ref):
        raise failure.Failure('HOST_EVACUATION_IS_REQUIRED', ref)
    xapi = host.xapi
    booted = guidances.waits_for_boot(guidance)
    running = packages.install(context.world, host, releases, booted)
    yield from wait(context, running)
    if host.xapi is not xapi:
        raise failure.Failure('CANNOT_CONTACT_HOST', ref)
    if running.state != 'done':
        raise failure.Failure('APPLY_UPDATES_FAILED', ref)
    yield from points.at(context, 'installed', host.name)
    failed: list[list[str]] = []
    patched = packages.is_patched(releases)
    if patched:
        failed = yield from _patch(context, host)
    guidances.set_on_host(db, ref, guidance)
    guidances.settle_livepatch(db, ref, patched, bool(failed))
    return failed


def wait(
    context: operations.Context, running: packages.Installation
) -> operations.Steps:
    """Wait for yum; a fault that fails hits it half-way."""
    seconds = context.world.times.yum
    yield seconds / 2
    try:
        yield from points.at(context, 'yum', running.host.name)
    except failure.Failure:
        running.fail()
        raise
    yield seconds / 2
    while running.state == 'running':
        yield context.world.times.host_operation
    return ''


def _patch(context: operations.Context, host: hosts.Host) -> operations.Steps:
    """A livepatch that fails is told, and does not end the call."""
    try:
        yield from points.at(context, 'livepatch', host.name)
    except failure.Failure:
        text = json.dumps(LIVEPATCH, indent=2)
        return [['APPLY_LIVEPATCH_FAILED', text]]
    return []
