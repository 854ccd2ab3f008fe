"""Aggregates: names, zones and metadata; no HTTP, no XenAPI, no bus."""

import dataclasses
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from oslo_utils import uuidutils

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.db import stamps as db_stamps
from aggregates_ext.domain import endings
from aggregates_ext.domain import intent
from aggregates_ext.domain import operations

ZONE_KEY = 'availability_zone'
# So many are remembered as they were seen.
SEEN = 100
# So often in all it is looked who has changed, while others go on changing.
LOOKS = 3


class Aggregates:
    """What is done to aggregates themselves; ``members`` has their hosts.

    :param intended: how it gets into the database.
    """

    def __init__(self, intended: intent.Intent) -> None:
        self._intent = intended
        # By id, as a request has left them: their stamps tell whether they
        # still are so.
        self._seen: dict[int, records.Aggregate] = {}

    def under(self, guard: db_aggregates.Guard) -> 'Aggregates':
        """The same for a request that wants a certain state.

        It has seen none, so that it reads each that it guards.
        """
        return Aggregates(self._intent.under(guard))

    def get_all(self, **filters: Any) -> list[records.Aggregate]:
        """Aggregates by id; filters as ``db.aggregates.get_all``."""
        with self._intent.database.reader() as connection:
            return db_aggregates.get_all(connection, **filters)

    def get(self, aggregate_id: int) -> records.Aggregate:
        """One aggregate.

        :raises exception.AggregateNotFound: there is none.
        """
        with self._intent.database.reader() as connection:
            return db_aggregates.get(connection, aggregate_id)

    def stamp(self, aggregate_id: int) -> int:
        """The stamp of one aggregate, in one statement.

        :raises exception.AggregateNotFound: there is none.
        """
        found = self._intent.database.ask(db_stamps.OF_ONE, key=aggregate_id)
        if not found:
            raise exception.AggregateNotFound(aggregate_id=aggregate_id)
        return int(found[0][0])

    def total(self) -> tuple[int, int]:
        """How many there are and the sum of their stamps, in one statement.

        Whatever changes of any of them changes this.
        """
        [(count, total)] = self._intent.database.ask(db_stamps.OF_ALL)
        return int(count), int(total or 0)

    def get_listed(self, aggregate_id: int) -> records.Aggregate:
        """One aggregate as lists show it, in one statement.

        :raises exception.AggregateNotFound: there is none.
        """
        rows = self._intent.database.ask(db_aggregates.ONE, key=aggregate_id)
        if not rows:
            raise exception.AggregateNotFound(aggregate_id=aggregate_id)
        return db_aggregates.record(rows[0])

    def get_changed(
        self, known: frozenset[str]
    ) -> tuple[frozenset[str], list[records.Aggregate]]:
        """The stamps of all, and those that look as none of some others do.

        All is of one state. The stamps are asked for in one statement, then
        whose they are that are not known: who still has the same looks as it
        did then. Where somebody has not, that is done again, ``LOOKS`` times
        in all; after that, or where many have changed, all are read in one
        statement.

        :param known: the stamps of all in another state, as text.
        """
        ask = self._intent.database.ask
        for _ in range(LOOKS if known else 0):
            [(text,)] = ask(db_stamps.OF_EACH)
            told = text.split(',') if text else []
            stamps = frozenset(told)
            wanted = stamps - known
            if len(wanted) > db_aggregates.FEW or len(stamps) < len(told):
                break
            found = self._get_stamped(wanted)
            if {str(item.stamp) for item in found} == wanted:
                return stamps, found
        found = [db_aggregates.record(row) for row in ask(db_aggregates.ALL)]
        stamps = frozenset(str(item.stamp) for item in found)
        wanted = stamps - known
        return stamps, [item for item in found if str(item.stamp) in wanted]

    def _get_stamped(self, stamps: Collection[str]) -> list[records.Aggregate]:
        """Who has some stamps, which are few."""
        if not stamps:
            return []
        asked = db_aggregates.stamped(stamps)
        rows = self._intent.database.ask(db_aggregates.STAMPED, **asked)
        return [db_aggregates.record(row) for row in rows]

    def create(
        self, name: str, availability_zone: str | None
    ) -> records.Aggregate:
        """Create an empty aggregate.

        :raises exception.AggregateNameExists: the name lives already.
        """
        uuid = uuidutils.generate_uuid()

        def work(connection: Any) -> records.Aggregate:
            return db_aggregates.insert(
                connection, uuid, name, availability_zone
            )

        return self._intent.write(work)

    def update(
        self,
        ctx: context.RequestContext,
        aggregate_id: int,
        values: Mapping[str, str | None],
    ) -> intent.Change:
        """Change name or zone; the pool's label follows the name.

        :param values: ``name`` and ``availability_zone``, either or both.
        :raises exception.AggregateNameExists: the new name lives already.
        :raises exception.Invalid: the hosts are in another zone, or a zone
            would be taken from under them.
        """
        uuid = uuidutils.generate_uuid()

        def work(connection: Any) -> intent.Change:
            before = self._intent.lock(connection, aggregate_id)
            hosts = db_hosts.get_all(connection, aggregate_id)
            if ZONE_KEY in values:
                _check_zone_change(aggregate_id, hosts, values[ZONE_KEY])
            written = db_aggregates.update(connection, aggregate_id, values)
            renamed = values.get('name', before.name) != before.name
            if renamed and hosts:
                db_operations.insert(
                    connection,
                    uuid,
                    operations.RENAME,
                    aggregate_id,
                    None,
                    operations.asked_by(ctx),
                )
            return intent.Change(
                db_aggregates.written(connection, before, written),
                uuid if renamed and hosts else None,
            )

        return self._intent.commit(work)

    def set_metadata(
        self,
        aggregate_id: int,
        metadata: Mapping[str, str | None],
        *,
        replace: bool = False,
    ) -> records.Aggregate:
        """Merge metadata; None removes a key, absent or not.

        The key ``availability_zone`` is the zone itself (design#zone-key).

        :param replace: whether keys that are not named are removed. The zone
            is none of them.
        """

        def work(connection: Any) -> records.Aggregate:
            seen = self._seen.get(aggregate_id)
            swapped = None
            if seen is not None and ZONE_KEY not in metadata:
                values = {'metadata': _merged(seen, metadata, replace)}
                swapped = db_aggregates.swap(connection, seen, values)
            return swapped or self._set_metadata(
                connection, aggregate_id, metadata, replace
            )

        changed = self._intent.write(work)
        if len(self._seen) >= SEEN:
            self._seen.clear()
        self._seen[aggregate_id] = changed
        return changed

    def _set_metadata(
        self,
        connection: Any,
        aggregate_id: int,
        metadata: Mapping[str, str | None],
        replace: bool,
    ) -> records.Aggregate:
        """The same, of an aggregate that is read first."""
        before = self._intent.hold(connection, aggregate_id)
        merged = _merged(before, metadata, replace)
        values: dict[str, Any] = {'metadata': merged}
        if ZONE_KEY in metadata:
            values[ZONE_KEY] = metadata[ZONE_KEY]
            hosts = db_hosts.get_all(connection, aggregate_id)
            _check_zone_change(aggregate_id, hosts, values[ZONE_KEY])
        written = db_aggregates.update(connection, aggregate_id, values)
        return dataclasses.replace(before, **written)

    def delete(
        self, ctx: context.RequestContext, aggregate_id: int
    ) -> str | None:
        """Delete an aggregate that has no hosts, now or when it can be.

        :returns: the operation that will do it, where hosts are still on
            their way out; None: it is done.
        :raises exception.AggregateNotEmpty: it lists hosts.
        :raises exception.AggregateBusy: something else goes on in it, or it
            is not known what became of a host.
        """
        queued = self._intent.patiently(
            exception.AggregateBusy,
            lambda: self._delete(aggregate_id),
            lambda: self._delete(aggregate_id, ctx),
        )
        if queued is None:
            return None
        self._intent.compute.wake_up()
        return queued.uuid

    def _delete(
        self, aggregate_id: int, ctx: context.RequestContext | None = None
    ) -> records.Operation | None:
        """:param ctx: given: what has to wait is queued."""
        uuid = uuidutils.generate_uuid()

        def work(connection: Any) -> records.Operation | None:
            row = self._intent.lock(connection, aggregate_id)
            check_empty(db_aggregates.written(connection, row))
            going_on = db_operations.get_all(
                connection, aggregate_id, states=db_operations.OPEN
            )
            if not going_on:
                end(connection, aggregate_id)
                return None
            if ctx is None:
                raise endings.busy(going_on[0])
            asked = check_ending(going_on)
            if asked is not None:
                return asked
            return db_operations.insert(
                connection,
                uuid,
                operations.DELETE,
                aggregate_id,
                None,
                operations.asked_by(ctx),
            )

        def is_written(
            connection: Any, queued: records.Operation | None
        ) -> bool:
            if queued is not None:
                return operations.is_written(connection, queued)
            return db_aggregates.get(
                connection, aggregate_id, deleted=True
            ).deleted

        return self._intent.database.write(work, is_written)


def check_empty(aggregate: records.Aggregate) -> None:
    """:raises exception.AggregateNotEmpty: it lists hosts."""
    if aggregate.hosts:
        raise exception.AggregateNotEmpty(
            aggregate_id=aggregate.id, hosts=', '.join(aggregate.hosts)
        )


def check_ending(
    going_on: Sequence[records.Operation],
) -> records.Operation | None:
    """Refuse to delete an aggregate that may not come to be empty.

    :param going_on: what is open in it, the newest first.
    :returns: the deletion that was asked for before and waits.
    :raises exception.AggregateBusy: naming what else goes on.
    """
    for operation in going_on:
        if operation.kind == operations.DELETE:
            return operation
        _check_ending(operation)
    return None


def end(connection: Any, aggregate_id: int) -> None:
    """End an aggregate that is locked, without hosts and at rest."""
    db_aggregates.delete(connection, aggregate_id)
    db_operations.settle_failed(connection, aggregate_id=aggregate_id)


def _check_ending(operation: records.Operation) -> None:
    """Refuse what may leave an aggregate that is not empty, or stays.

    A host that is on its way back from its eject is no operation: for the
    aggregate its removal is over (design#order).

    :raises exception.AggregateBusy: naming the operation.
    """
    ending = (
        operations.REMOVE_HOST,
        operations.RENAME,
        operations.SET_HOSTS,
        *db_operations.OF_THE_SERVICE,
    )
    if operation.kind not in ending or operation.state == 'unresolved':
        raise endings.busy(operation)


def _merged(
    before: records.Aggregate,
    metadata: Mapping[str, str | None],
    replace: bool,
) -> dict[str, str]:
    """The metadata of an aggregate as a request wants them.

    The zone, which is a column of its own, is none of them.
    """
    merged = {**({} if replace else before.metadata), **metadata}
    return {
        key: value
        for key, value in merged.items()
        if value is not None and key != ZONE_KEY
    }


def _check_zone_change(
    aggregate_id: int, hosts: Sequence[records.Host], zone: str | None
) -> None:
    if zone is None and hosts:
        raise exception.Invalid(
            reason=f'The availability zone of aggregate {aggregate_id} '
            'cannot be unset while it has hosts: '
            f'{", ".join(host.name for host in hosts)}.'
        )
    other = [
        f'{host.name} ({host.availability_zone})'
        for host in hosts
        if host.availability_zone not in (None, zone)
    ]
    if other:
        raise exception.Invalid(
            reason=f'Availability zone {zone} does not fit the hosts of '
            f'aggregate {aggregate_id}, registered in another: '
            f'{", ".join(other)}.'
        )
