"""Aggregates: names, zones and metadata; no HTTP, no XenAPI, no bus."""

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
from aggregates_ext.domain import intent
from aggregates_ext.domain import operations

ZONE_KEY = 'availability_zone'


class Aggregates:
    """What is done to aggregates themselves; ``members`` has their hosts."""

    def __init__(self, intended: intent.Intent) -> None:
        self._intent = intended

    def under(self, guard: db_aggregates.Guard) -> 'Aggregates':
        """The same for a request that wants a certain state."""
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

    def create(
        self, name: str, availability_zone: str | None
    ) -> records.Aggregate:
        """Create an empty aggregate.

        :raises exception.AggregateNameExists: the name lives already.
        """
        uuid = uuidutils.generate_uuid()

        def work(connection: Any) -> records.Aggregate:
            key = db_aggregates.insert(
                connection, uuid, name, availability_zone
            )
            return db_aggregates.get(connection, key)

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
            db_aggregates.update(connection, aggregate_id, values)
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
                db_aggregates.get(connection, aggregate_id),
                uuid if renamed and hosts else None,
            )

        return self._intent.commit(work)

    def set_metadata(
        self,
        aggregate_id: int,
        metadata: Mapping[str, str | None],
    ) -> records.Aggregate:
        """Merge metadata; None removes a key, absent or not.

        The key ``availability_zone`` is the zone itself (design#zone-key).
        """

        def work(connection: Any) -> records.Aggregate:
            before = self._intent.lock(connection, aggregate_id)
            merged = {**before.metadata, **metadata}
            values: dict[str, Any] = {}
            if ZONE_KEY in merged:
                zone = merged.pop(ZONE_KEY)
                hosts = db_hosts.get_all(connection, aggregate_id)
                _check_zone_change(aggregate_id, hosts, zone)
                values[ZONE_KEY] = zone
            values['metadata'] = {
                key: value
                for key, value in merged.items()
                if value is not None
            }
            db_aggregates.update(connection, aggregate_id, values)
            return db_aggregates.get(connection, aggregate_id)

        return self._intent.write(work)

    def delete(self, aggregate_id: int) -> None:
        """Delete an aggregate that has no hosts.

        :raises exception.AggregateNotEmpty: it lists hosts.
        :raises exception.AggregateBusy: its pool still lists a host.
        """

        def work(connection: Any) -> None:
            self._intent.lock(connection, aggregate_id)
            aggregate = db_aggregates.get(connection, aggregate_id)
            if aggregate.hosts:
                raise exception.AggregateNotEmpty(
                    aggregate_id=aggregate_id,
                    hosts=', '.join(aggregate.hosts),
                )
            _check_idle(connection, aggregate)
            db_operations.settle_failed(connection, aggregate_id=aggregate_id)
            db_aggregates.delete(connection, aggregate_id)

        def is_written(connection: Any, _none: None) -> bool:
            return db_aggregates.get(
                connection, aggregate_id, deleted=True
            ).deleted

        self._intent.patiently(
            exception.AggregateBusy,
            lambda: self._intent.database.write(work, is_written),
        )

    def pool(
        self, aggregate_id: int
    ) -> tuple[records.Aggregate, list[records.Host]]:
        """An aggregate with what was seen of its pool, and its hosts."""
        with self._intent.database.reader() as connection:
            return (
                db_aggregates.get(connection, aggregate_id),
                db_hosts.get_all(connection, aggregate_id),
            )


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


def _check_idle(connection: Any, aggregate: records.Aggregate) -> None:
    """Refuse while something of an aggregate without listed hosts goes on.

    A host that is on its way back from its eject does not count: for the
    aggregate its removal is over (design#order).

    :raises exception.AggregateBusy: naming the operation.
    """
    found = db_operations.get_all(
        connection,
        aggregate.id,
        states=db_operations.OPEN,
        limit=1,
    )
    if found:
        raise exception.AggregateBusy(
            aggregate_id=aggregate.id,
            operation=found[0].uuid,
            what=f'{found[0].kind} {found[0].host}',
            state=found[0].state,
        )
