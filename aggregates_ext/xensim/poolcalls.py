"""Calls on the pool other than join and eject (contract 6 and 7)."""

from aggregates_ext.xensim import failure
from aggregates_ext.xensim import operations


def is_slave(context: operations.Context, ref: str) -> bool:
    """The role of the host which is asked (contract 6)."""
    return context.xapi.is_slave


def sync_database(context: operations.Context) -> str:
    """Push the database to all hosts: nothing to be seen of it."""
    return ''


def enable_tls_verification(context: operations.Context) -> str:
    """Switch TLS verification on, everywhere in the pool (contract 5.2)."""
    db = context.db
    if db.pool['ha_enabled']:
        raise failure.Failure('HA_IS_ENABLED')
    for task, operation in db.pool['current_operations'].items():
        raise failure.Failure(
            'OTHER_OPERATION_IN_PROGRESS', 'pool', db.pool_ref, operation, task
        )
    db.pool['tls_verification_enabled'] = True
    for _, row in db.rows('host'):
        row['tls_verification_enabled'] = True
        host = context.world.by_uuid(row['uuid'])
        if host is not None:
            host.tls_verification_enabled = True
    return ''
