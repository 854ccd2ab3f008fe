"""The state of the simulated world as plain data."""

import typing

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.world import domains
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds

Report = dict[str, typing.Any]


def state(world: worlds.World) -> Report:
    """All pools, hosts and losses."""
    return {
        'time': world.clock.time(),
        'pools': [
            _pool(world, host)
            for host in world.hosts.values()
            if host.database.rows('pool')
        ],
        'hosts': {
            name: _host(world, host) for name, host in world.hosts.items()
        },
        'destroyed_vdis': list(world.destroyed_vdis),
        'running_twice': domains.twice(world),
        'ran_twice': list(world.ran_twice),
        'lost': list(world.lost),
        'ended': list(world.ended),
    }


def _pool(world: worlds.World, master: hosts.Host) -> Report:
    db = master.database
    return {
        'uuid': db.pool['uuid'],
        'name_label': db.pool['name_label'],
        'other_config': dict(db.pool['other_config']),
        'master': master.name,
        'high_availability': _high_availability(db),
        'current_operations': _operations(db.pool),
        'busy_guests': [
            row['uuid'] for _, row in db.rows('VM') if _operations(row)
        ],
        'hosts': [_member(world, db, row) for _, row in db.rows('host')],
    }


def _operations(row: database.Record) -> list[str]:
    return sorted(row['current_operations'].values())


def _high_availability(db: database.Database) -> Report:
    return {
        'enabled': db.pool['ha_enabled'],
        'tolerates': db.pool['ha_host_failures_to_tolerate'],
        'configuration': dict(db.pool['ha_configuration']),
        'srs': sorted(
            {
                db.row('SR', db.row('VDI', vdi)['SR'])['uuid']
                for vdi in db.pool['ha_statefiles']
                if db.exists('VDI', vdi)
            }
        ),
    }


def _member(
    world: worlds.World, db: database.Database, row: database.Record
) -> Report:
    host = world.by_uuid(row['uuid'])
    return {
        'name': row['name_label'] if host is None else host.name,
        'uuid': row['uuid'],
        'enabled': row['enabled'],
        'live': db.row('host_metrics', row['metrics'])['live'],
        'current_operations': _operations(row),
    }


def _host(world: worlds.World, host: hosts.Host) -> Report:
    slave = host.xapi.is_slave if host.xapi else host.master is not None
    db = _database(world, host)
    ref = next(iter(db.where('host', uuid=host.uuid)), database.NULL)
    return {
        'uuid': host.uuid,
        'url': host.url,
        'certificate': host.spec.tls_certificate or None,
        'address': host.address,
        'phase': host.phase,
        'boots': host.boots,
        'role': 'slave' if slave else 'master',
        'pool_uuid': db.pool['uuid'] if ref != database.NULL else None,
        'domains': sorted(host.domains),
        'srs': [
            _sr(db, db.row('PBD', pbd)['SR'])
            for pbd in db.where('PBD', host=ref)
        ],
    }


def _database(world: worlds.World, host: hosts.Host) -> database.Database:
    """Where the record of a host is, also while its xapi is down."""
    if host.database.rows('pool') or host.master is None:
        return host.database
    master = world.at_address(host.master)
    return host.database if master is None else master.database


def _sr(db: database.Database, ref: str) -> Report:
    row = db.row('SR', ref)
    return {
        'uuid': row['uuid'],
        'name': row['name_label'],
        'shared': row['shared'],
        'vdis': [
            {
                'uuid': db.row('VDI', vdi)['uuid'],
                'name': db.row('VDI', vdi)['name_label'],
                'size': db.row('VDI', vdi)['virtual_size'],
            }
            for vdi in db.where('VDI', SR=ref)
        ],
    }
