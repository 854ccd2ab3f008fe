"""Round trips that nobody needs: pings of live connections, empty ROLLBACKs.

SQLAlchemy asks a server before each transaction whether it is there, and
tells it to roll back after each, whatever became of it (design#databases).
"""

import select
import time
from typing import Any

import sqlalchemy as sa

# Seconds without work after which the network may have forgotten a
# connection without a word.
RESTED = 10.0
# In the information that a connection has: what it was used for last is
# committed or rolled back, and when.
ENDED = 'aggregates_ext.ended'
_SINCE = 'aggregates_ext.since'


def spare(engine: sa.Engine) -> None:
    """Let the connections of a server be asked only where that tells.

    Its end of a connection reaches the socket, so one that has nothing to
    say is alive; unless it has rested, and nobody knows.
    """
    # There is no option of oslo.db for either.
    pool: Any = engine.pool
    pool._pre_ping = False
    pool._reset_on_return = sa.pool.reset_none

    @sa.event.listens_for(engine, 'reset')
    def _reset(connection: Any, record: Any, state: Any) -> None:
        ended = record is not None and record.info.pop(ENDED, False)
        if not (ended or state.transaction_was_reset):
            engine.dialect.do_rollback(connection)

    @sa.event.listens_for(engine, 'checkin')
    def _checkin(connection: Any, record: Any) -> None:
        record.info[_SINCE] = time.monotonic()

    @sa.event.listens_for(engine, 'checkout')
    def _checkout(connection: Any, record: Any, proxy: Any) -> None:
        since = record.info.get(_SINCE)
        if since is None:
            return
        if time.monotonic() - since < RESTED and _is_silent(connection):
            return
        _ping(engine, connection)


def _is_silent(connection: Any) -> bool:
    """Whether its socket has nothing to tell, such as the end of it."""
    known = connection if hasattr(connection, 'fileno') else None
    wire = known or getattr(connection, '_sock', None)
    if wire is None:
        return False
    try:
        return not select.select([wire], [], [], 0)[0]
    except (OSError, ValueError):
        return False


def _ping(engine: sa.Engine, connection: Any) -> None:
    """:raises sqlalchemy.exc.InvalidatePoolError: it is broken, as may be all
    that are as old; the pool makes another one.
    """
    try:
        engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as exc:
        raise sa.exc.InvalidatePoolError(str(exc)) from exc
