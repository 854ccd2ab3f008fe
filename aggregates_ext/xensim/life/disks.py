"""What is on the disks of all hosts, saved and restored.

See xapi#simulated-hosts.

Sessions and tasks are not: they die with xapi (xapi#session-validity).
"""

import dataclasses
import datetime
import json
import os
import pathlib
import tempfile
import typing

from aggregates_ext.xensim.exclusion import pool as pool_exclusion
from aggregates_ext.xensim.plan import described
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import schema
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds

VERSION = 2
NOT_PERSISTENT = ('session', 'task')
"""Classes with the mark PersistNothing (xapi#session-validity)."""

KEPT = (
    'master',
    'broken',
    'tls_verification_enabled',
    'auto_enable',
    'disabled_until_reboot',
    'powered',
    'domains',
)
"""The fields of a host which are saved as they are."""

State = dict[str, typing.Any]


def save(world: worlds.World, path: pathlib.Path) -> None:
    """Write a file which only its owner may read, all or nothing."""
    with world.lock:
        text = json.dumps(dump(world))
    number, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(number, 'w', encoding='utf-8') as file:
            file.write(text)
            file.flush()
            os.fsync(number)
        pathlib.Path(name).replace(path)
    except BaseException:
        pathlib.Path(name).unlink()
        raise


def load(world: worlds.World, path: pathlib.Path) -> bool:
    """Restore what a file says, if there is one; hosts must be the same."""
    if not path.parent.is_dir():
        raise described.TopologyError(f'{path}: there is no such directory')
    if not path.exists():
        return False
    try:
        state = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as exc:
        raise described.TopologyError(f'{path}: not JSON: {exc}') from exc
    if not isinstance(state, dict) or state.get('version') != VERSION:
        raise described.TopologyError(
            f'{path}: not a state of version {VERSION}'
        )
    try:
        _take(world, path, state)
    except (LookupError, TypeError, AttributeError) as exc:
        raise described.TopologyError(
            f'{path}: not a state of version {VERSION}: '
            f'{type(exc).__name__} {exc}'
        ) from exc
    return True


def _take(world: worlds.World, path: pathlib.Path, state: State) -> None:
    known = {name: _identity(host) for name, host in world.hosts.items()}
    saved = {name: host['identity'] for name, host in state['hosts'].items()}
    for name in sorted(known.keys() | saved.keys()):
        if known.get(name) != saved.get(name):
            raise described.TopologyError(
                f'{path}: not the host of the topology: {name}'
            )
    restore(world, state)


def dump(world: worlds.World) -> State:
    """The disks of all hosts as plain data."""
    return {
        'version': VERSION,
        'time': world.clock.time(),
        'hosts': {
            name: _dump_host(host) for name, host in world.hosts.items()
        },
        'destroyed_vdis': list(world.destroyed_vdis),
        'mirrors': {
            pool: dataclasses.asdict(mirror)
            for pool, mirror in world.mirrors.items()
        },
    }


def restore(world: worlds.World, state: State) -> None:
    """Put what was dumped on the disks; no xapi runs yet."""
    world.clock.resume(state['time'])
    world.destroyed_vdis[:] = state['destroyed_vdis']
    for pool, mirror in state.get('mirrors', {}).items():
        releases = [worlds.Release(**one) for one in mirror['releases']]
        world.mirrors[pool] = worlds.Mirror(releases, mirror['synced'])
    for name, saved in state['hosts'].items():
        host = world.hosts[name]
        for field in KEPT:
            setattr(host, field, saved[field])
        host.storage = saved.get('storage', host.storage)
        host.update = saved.get('update', {})
        host.renewed = saved.get('renewed', {})
        host.installed = saved.get('installed', {})
        host.packages = saved.get('packages', [])
        host.password = saved.get('password', host.spec.password)
        host.spec.cpu = topology.Cpu(**saved['cpu'])
        host.database = _restore_database(host, saved['database'])
        if saved['backup'] is not None:
            host.backup = _restore_database(host, saved['backup'])
    for host in world.hosts.values():
        _finish_designation(world, host)
        _collect_garbage(host.database)


def _identity(host: hosts.Host) -> list[str]:
    return [host.uuid, host.address, host.spec.version]


def _dump_host(host: hosts.Host) -> State:
    """A password is left out while it is that of the topology."""
    saved: State = {field: getattr(host, field) for field in KEPT}
    if host.password != host.spec.password:
        saved['password'] = host.password
    return saved | {
        'storage': {sr: list(vdis) for sr, vdis in host.storage.items()},
        'update': dict(host.update),
        'renewed': dict(host.renewed),
        'installed': dict(host.installed),
        'packages': list(host.packages),
        'identity': _identity(host),
        'cpu': dataclasses.asdict(host.spec.cpu),
        'database': _dump_database(host.database),
        'backup': host.backup and _dump_database(host.backup),
    }


def _dump_database(db: database.Database) -> State:
    return {
        kind: {ref: _dump_record(kind, row) for ref, row in db.rows(kind)}
        for kind in schema.CLASSES
        if kind not in NOT_PERSISTENT
    }


def _dump_record(kind: str, row: database.Record) -> State:
    fields = schema.CLASSES[kind].fields
    return {
        field: value.isoformat() if fields[field] == 'date' else value
        for field, value in row.items()
    }


def _restore_database(host: hosts.Host, tables: State) -> database.Database:
    """The records with their references; no operation goes on."""
    db = database.Database()
    db.version = host.spec.version
    for kind, records in tables.items():
        for ref, record in records.items():
            row = _restore_record(kind, record)
            if 'current_operations' in row:
                row['current_operations'] = {}
            if 'scheduled_to_be_resident_on' in row:
                row['scheduled_to_be_resident_on'] = database.NULL
            db.insert(kind, ref, row)
    if db.rows('pool'):
        pool_exclusion.refresh(db)
    return db


def _restore_record(kind: str, record: State) -> database.Record:
    fields = schema.CLASSES[kind].fields
    return {
        field: datetime.datetime.fromisoformat(value)
        if fields[field] == 'date'
        else value
        for field, value in record.items()
    }


def _finish_designation(world: worlds.World, host: hosts.Host) -> None:
    """A change of master which was committed is done.

    See xapi#change-of-master.
    """
    if host.broken or host.master or host.database.rows('pool'):
        return
    for old in world.hosts.values():
        db = old.database
        if old.master == host.address and db.rows('pool'):
            host.database, old.database = db, host.database
            db.pool['master'] = db.by_uuid('host', host.uuid)
            return


def _collect_garbage(db: database.Database) -> None:
    """What an eject left to be collected later (xapi#eject-timeline)."""
    for ref, row in db.rows('PIF'):
        if not db.exists('host', row['host']):
            db.delete('PIF', ref)
    used = [row['metrics'] for _, row in db.rows('host')]
    for ref, _ in db.rows('host_metrics'):
        if ref not in used:
            db.delete('host_metrics', ref)
