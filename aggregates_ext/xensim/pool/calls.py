"""Calls on the pool other than join and eject.

See xapi#change-of-master and xapi#exclusion.
"""

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.exclusion import pool as pool_exclusion
from aggregates_ext.xensim.life import latewrites


def is_slave(context: operations.Context, ref: str) -> bool:
    """The role of the host which is asked (xapi#change-of-master)."""
    return context.xapi.is_slave


def sync_database(context: operations.Context) -> str:
    """Write the database, and push it to all hosts (xapi#late-writes)."""
    latewrites.sync(context.host)
    return ''


def certificate_sync(context: operations.Context) -> str:
    """Copy CA certificates to all hosts: nothing to be seen of it."""
    return ''


def enable_tls_verification(context: operations.Context) -> operations.Steps:
    """Switch TLS verification on, everywhere in the pool.

    See xapi#eject-destroys.
    """
    db, times = context.db, context.world.times
    task = yield from pool_exclusion.occupy(
        db, times, 'tls_verification_enable', context.task
    )
    pool_exclusion.release(db, task)
    db.pool['tls_verification_enabled'] = True
    for _, row in db.rows('host'):
        row['tls_verification_enabled'] = True
        host = context.world.by_uuid(row['uuid'])
        if host is not None:
            host.tls_verification_enabled = True
    return ''
