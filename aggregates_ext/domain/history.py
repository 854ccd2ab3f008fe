"""The history of all operations, and its end."""

import datetime
from collections.abc import Callable

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


class History:
    """The operator's side of operations: all of them, and an end of them.

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
    ) -> tuple[int, int]:
        """Delete what has ended long ago and counts for nothing.

        Operations that still count for the state of an aggregate stay, and
        so do a change of master that keeps others back and how a bound host
        came in; then deleted aggregates that nothing names any more go. Each
        batch is a transaction of its own.

        :param days: how long ago it must have ended.
        :param aggregate_id: only of this aggregate.
        :param go_on: asked after each batch whether there is to be another.
        :returns: how many operations and aggregates were deleted.
        """
        if not 0 <= days <= MAX_DAYS:
            raise exception.Invalid(
                reason=f'{days} days: it must be 0 or more, and not more '
                f'than {MAX_DAYS}.'
            )
        before = timeutils.utcnow() - datetime.timedelta(days=days)
        ended = aggregates = after = 0
        while True:
            part = self._purge_part(before, aggregate_id, after)
            ended += part.deleted
            if not go_on():
                return ended, 0
            if part.last is None:
                break
            after = part.last
        while True:
            found = self._database.write(
                lambda connection: db_history.delete_aggregates(
                    connection, before, BATCH, aggregate_id
                )
            )
            aggregates += found
            if found < BATCH or not go_on():
                return ended, aggregates

    def _purge_part(
        self,
        before: datetime.datetime,
        aggregate_id: int | None,
        after: int,
    ) -> db_history.Part:
        return self._database.write(
            lambda connection: db_history.delete_operations(
                connection,
                before,
                TELLING,
                BATCH,
                aggregate_id,
                after=after,
                window=self._window,
            )
        )
