"""What went wrong in a database, and what that says of a transaction.

One table of meanings: rolled back by a collision, passing, or the
statement's own fault; and a COMMIT without an answer, which says nothing.
"""

import contextlib
from collections.abc import Iterator

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_log import log as logging

from aggregates_ext import exception
from aggregates_ext import outages
from aggregates_ext.db.engine import reasons

LOG = logging.getLogger(__name__)
# Those of the process, which has one database, however many ask it. One that
# answers and refuses what it is asked, such as every change, is not back
# when it can be read: each second would have its two lines.
AWAY = outages.Outage(LOG, 'The database failed', 'The database is back')
REFUSES = outages.Outage(
    LOG, 'The database refuses', 'The database takes changes again'
)
# What a database says when it has rolled back one of two that collided:
# MySQL's deadlock (Galera's certification too) and changed record, SQLSTATE
# of a serialization failure and of a deadlock.
COLLISIONS = frozenset({1213, 1020, '40001', '40P01'})
LOCK_WAIT_TIMEOUT = 1205
READ_ONLY = '25006'
PASSING = (
    db_exc.DBConnectionError,
    sa.exc.OperationalError,
    sa.exc.TimeoutError,
)

UNREACHABLE = 'The database cannot be reached; try again later.'
NOT_WRITTEN = (
    'The database failed before the change was committed; nothing is '
    'written. Repeat the request later.'
)
BUSY = (
    'The database is too busy: the change collided with others each time. '
    'Nothing is written. Repeat the request later.'
)
LOST = 'The connection to the database was lost in the COMMIT of the change'
UNKNOWN = (
    f'{LOST}; whether it is written is not known. Look before repeating the '
    'request.'
)
NOT_FOUND = (
    f'{LOST}. It was looked for on a new connection and is not there. '
    'Repeat the request; if it is written after all, the answer will show '
    'that.'
)


class CommitLost(Exception):
    """A COMMIT was sent, and what became of it is not known."""


def commit(transaction: sa.RootTransaction) -> None:
    """Commit, and say how sure it is that it did not succeed.

    :raises CommitLost: it may have.
    """
    try:
        transaction.commit()
    except (db_exc.DBDuplicateEntry, db_exc.DBReferenceError):
        raise
    except (db_exc.DBError, sa.exc.DBAPIError) as exc:
        if is_collision(exc):
            raise
        raise CommitLost from exc


def is_collision(exc: BaseException) -> bool:
    """Whether a transaction was rolled back, and may succeed when repeated.

    The wait for a lock is not repeated: its limit is that of the request.
    """
    code = reasons.code_of(exc)
    if isinstance(exc, db_exc.DBDeadlock):
        return code != LOCK_WAIT_TIMEOUT
    return (
        isinstance(exc, (db_exc.DBError, sa.exc.DBAPIError))
        and code in COLLISIONS
    )


def _is_passing(exc: BaseException) -> bool:
    """Whether the database is to blame, and not what it was asked."""
    return (
        isinstance(exc, PASSING)
        or is_collision(exc)
        or reasons.code_of(exc) == READ_ONLY
    )


@contextlib.contextmanager
def available(reason: str, url: sa.URL | None = None) -> Iterator[None]:
    """Turn failures that are not the statement's into one error.

    :param url: of the database, for the detail.
    :raises exception.Unavailable: with the reason, or one that lasts.
    """
    try:
        yield
    except db_exc.DBDeadlock as exc:
        raise exception.Unavailable(reason=BUSY) from exc
    except (db_exc.DBError, sa.exc.DBAPIError, sa.exc.TimeoutError) as exc:
        lasting = reasons.find(exc)
        if lasting is None and not _is_passing(exc):
            raise
        if is_collision(exc):
            LOG.warning(
                'The database is too busy: %s', reasons.first_line(exc)
            )
            raise exception.Unavailable(reason=BUSY) from exc
        gone = isinstance(exc, db_exc.DBConnectionError)
        (AWAY if gone else REFUSES).fails(reasons.first_line(exc))
        raise exception.Unavailable(
            reason=reason if lasting is None else lasting.sentence,
            detail=reasons.detail(url, exc),
        ) from exc
    else:
        AWAY.works()
        if reason == NOT_WRITTEN:
            REFUSES.works()
