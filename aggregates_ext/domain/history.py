"""The history of all operations, and its end."""

import datetime
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

from oslo_utils import timeutils

from aggregates_ext import exception
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import history as db_history
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import operations
from aggregates_ext.domain import services

# A century: dates end somewhere.
MAX_DAYS = 36_500
# Rows that one transaction looks at.
BATCH = 500
# What operations.take_back reads to know the phase before a removal.
TELLING = (operations.ADD_HOST, operations.RESET)


class Purged(NamedTuple):
    """How many of each were deleted."""

    operations: int = 0
    moves: int = 0
    aggregates: int = 0


class History:
    """The operator's side of operations and moves: all of them, and their end.

    :param window: ``designate_wait``: for so many seconds a change of master
        that was sent is not purged.
    """

    def __init__(self, database: engine.Database, window: float) -> None:
        self._database = database
        self._window = window

    def get_all(
        self,
        aggregate_id: int | None = None,
        state: str | None = None,
        host: str | None = None,
        limit: int = 1000,
    ) -> list[records.Operation]:
        """Operations, the newest first.

        :param aggregate_id: of this aggregate, also a deleted one; else all.
        :raises exception.AggregateNotFound: there never was one.
        """
        if limit < 1:
            raise exception.Invalid(reason='The limit must be 1 or more.')
        with self._database.reader() as connection:
            if aggregate_id is not None:
                db_aggregates.get(connection, aggregate_id, deleted=True)
            found = db_operations.get_all(
                connection,
                aggregate_id,
                states=None if state is None else (state,),
                host=host,
                limit=limit,
            )
            return services.tell(connection, found)

    def purge(
        self,
        days: float,
        aggregate_id: int | None = None,
        *,
        go_on: Callable[[], bool] = lambda: True,
    ) -> Purged:
        """Delete what has ended long ago and counts for nothing.

        Operations that still count for the state of an aggregate stay, and
        so do a change of master that keeps others back and how a bound host
        came in; then moves go that have ended and are of no operation that
        stays, then deleted aggregates that nothing names any more. Each batch
        is a transaction of its own.

        :param days: how long ago it must have ended.
        :param aggregate_id: only of this aggregate.
        :param go_on: asked after each batch whether there is to be another.
        :returns: how many of each were deleted.
        """
        if not 0 <= days <= MAX_DAYS:
            raise exception.Invalid(
                reason=f'{days} days: it must be 0 or more, and not more '
                f'than {MAX_DAYS}.'
            )
        before = timeutils.utcnow() - datetime.timedelta(days=days)
        asked = (before, aggregate_id, go_on)
        ended, over = self._in_parts(self._operations, *asked)
        if not over:
            return Purged(ended)
        moves, over = self._in_parts(db_history.delete_moves, *asked)
        if not over:
            return Purged(ended, moves)
        aggregates = 0
        while True:
            part = self._database.write(
                lambda connection: db_history.delete_aggregates(
                    connection, before, BATCH, aggregate_id
                )
            )
            aggregates += part
            if part < BATCH or not go_on():
                return Purged(ended, moves, aggregates)

    def _in_parts(
        self,
        delete: Callable[..., db_history.Part],
        before: datetime.datetime,
        aggregate_id: int | None,
        go_on: Callable[[], bool],
    ) -> tuple[int, bool]:
        """How many rows were deleted, and whether there is to be more."""
        deleted = after = 0

        def work(connection: Any) -> db_history.Part:
            return delete(connection, before, BATCH, aggregate_id, after=after)

        while True:
            part = self._database.write(work)
            deleted += part.deleted
            if not go_on():
                return deleted, False
            if part.last is None:
                return deleted, True
            after = part.last

    def _operations(
        self,
        connection: Any,
        before: datetime.datetime,
        limit: int,
        aggregate_id: int | None,
        *,
        after: int,
    ) -> db_history.Part:
        return db_history.delete_operations(
            connection,
            before,
            TELLING,
            limit,
            aggregate_id,
            after=after,
            window=self._window,
        )
