"""The domain: aggregates, their hosts and the rules between them.

Nothing here knows HTTP, XenAPI or the bus. A structural change writes the
host's phase and an operation in one transaction and then wakes a compute
service (design 2).
"""

import dataclasses
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Protocol

from oslo_utils import uuidutils

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext import operations
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import engine
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records

ZONE_KEY = 'availability_zone'
SETTLE_POLL = 0.2


class Compute(Protocol):
    """What is asked of the compute service, whoever carries it."""

    def wake_up(self) -> None: ...

    def check_host(
        self,
        host: str,
        aggregate_id: int,
        purpose: str,
        accept_data_loss: Sequence[str] = (),
    ) -> dict[str, Any] | None: ...


@dataclasses.dataclass(frozen=True)
class Change:
    """An aggregate after a request, and the operation that it caused."""

    aggregate: records.Aggregate
    operation: str | None = None


@dataclasses.dataclass(frozen=True)
class Problem:
    """A rule that a host does not meet, as a compute service tells it."""

    code: str
    message: str


class Aggregates:
    """The operations of the extension.

    :param database: where the intent is written.
    :param compute: wakes and asks compute services.
    :param settle_wait: seconds to wait for what is just ending.
    :param sleep: replaced in tests.
    """

    def __init__(
        self,
        database: engine.Database,
        compute: Compute,
        settle_wait: float = 10.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = database
        self._compute = compute
        self._settle_wait = settle_wait
        self._sleep = sleep

    def get_all(self, **filters: Any) -> list[records.Aggregate]:
        """Aggregates by id; filters as ``db.aggregates.get_all``."""
        with self._database.reader() as connection:
            return db_aggregates.get_all(connection, **filters)

    def get(self, aggregate_id: int) -> records.Aggregate:
        """One aggregate.

        :raises exception.AggregateNotFound: there is none.
        """
        with self._database.reader() as connection:
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

        return self._database.write(work)

    def update(
        self,
        ctx: context.RequestContext,
        aggregate_id: int,
        values: Mapping[str, str | None],
    ) -> Change:
        """Change name or zone; the pool's label follows the name.

        :param values: ``name`` and ``availability_zone``, either or both.
        :raises exception.AggregateNameExists: the new name lives already.
        :raises exception.Invalid: the hosts are in another zone, or a zone
            would be taken from under them.
        """
        uuid = uuidutils.generate_uuid()

        def work(connection: Any) -> Change:
            before = db_aggregates.lock(connection, aggregate_id)
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
            return Change(
                db_aggregates.get(connection, aggregate_id),
                uuid if renamed and hosts else None,
            )

        return self._commit(work)

    def set_metadata(
        self,
        aggregate_id: int,
        metadata: Mapping[str, str | None],
    ) -> records.Aggregate:
        """Merge metadata; None removes a key, absent or not.

        The key ``availability_zone`` is the zone itself (design 4).
        """

        def work(connection: Any) -> records.Aggregate:
            before = db_aggregates.lock(connection, aggregate_id)
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

        return self._database.write(work)

    def delete(self, aggregate_id: int) -> None:
        """Delete an aggregate that has no hosts.

        :raises exception.AggregateNotEmpty: it lists hosts.
        :raises exception.AggregateBusy: its pool still lists a host.
        """

        def work(connection: Any) -> None:
            db_aggregates.lock(connection, aggregate_id)
            aggregate = db_aggregates.get(connection, aggregate_id)
            if aggregate.hosts:
                raise exception.AggregateNotEmpty(
                    aggregate_id=aggregate_id,
                    hosts=', '.join(aggregate.hosts),
                )
            _check_idle(connection, aggregate)
            db_aggregates.delete(connection, aggregate_id)

        self._wait_for(
            exception.AggregateBusy, lambda: self._database.write(work)
        )

    def add_host(
        self,
        ctx: context.RequestContext,
        aggregate_id: int,
        host: str,
    ) -> Change:
        """Make a host a member: it will join the pool.

        :raises exception.HostNotFound: not registered.
        :raises exception.Conflict: it is bound already, its zone is
            another, or the compute service named unmet requirements.
        """
        with self._database.reader() as connection:
            found = db_hosts.get(connection, host)
            db_aggregates.lock(connection, aggregate_id)
        self._check(aggregate_id, host, 'add')
        uuid = uuidutils.generate_uuid()

        def work(connection: Any) -> Change:
            aggregate = db_aggregates.lock(connection, aggregate_id)
            if not db_hosts.bind(connection, host, aggregate_id):
                _refuse_bound(connection, aggregate_id, host)
            _check_zone(aggregate, found)
            db_operations.insert(
                connection,
                uuid,
                operations.ADD_HOST,
                aggregate_id,
                host,
                operations.asked_by(ctx),
            )
            return Change(db_aggregates.get(connection, aggregate_id), uuid)

        change: Change = self._wait_for(
            exception.HostNotFree, lambda: self._commit(work)
        )
        return change

    def remove_host(
        self,
        ctx: context.RequestContext,
        aggregate_id: int,
        host: str,
        accept_data_loss: Sequence[str] = (),
    ) -> Change:
        """Take a host out: the pool will eject it.

        A join that is still queued is cancelled instead.

        :param accept_data_loss: uuids of the SRs whose disks may be lost.
        :raises exception.HostNotFound: not registered.
        :raises exception.AggregateHostNotFound: not a member.
        :raises exception.Refused: the compute service named what the eject
            would destroy or what forbids it.
        """
        with self._database.reader() as connection:
            found = db_hosts.get(connection, host)
            # One that has hosts is there.
            if found.aggregate_id != aggregate_id:
                db_aggregates.lock(connection, aggregate_id)
        listed = found.phase in db_aggregates.LISTED_PHASES
        if found.aggregate_id != aggregate_id or not listed:
            raise exception.AggregateHostNotFound(
                aggregate_id=aggregate_id, host=host
            )
        disks = None
        if found.phase == 'member':
            report = self._check(
                aggregate_id, host, 'remove', accept_data_loss
            )
            disks = report.get('disks') if report else None
        parameters: dict[str, Any] = {
            'accept_data_loss': sorted(set(accept_data_loss))
        }
        if disks is not None:
            parameters['disks'] = disks
        uuid = uuidutils.generate_uuid()

        def work(connection: Any) -> Change:
            db_aggregates.lock(connection, aggregate_id)
            joining = found.phase == 'joining'
            if joining and _cancel_join(connection, aggregate_id, host):
                return Change(db_aggregates.get(connection, aggregate_id))
            if not db_hosts.move(
                connection,
                host,
                aggregate_id,
                db_aggregates.LISTED_PHASES,
                'leaving',
            ):
                raise exception.AggregateHostNotFound(
                    aggregate_id=aggregate_id, host=host
                )
            db_operations.insert(
                connection,
                uuid,
                operations.REMOVE_HOST,
                aggregate_id,
                host,
                operations.asked_by(ctx),
                parameters,
            )
            return Change(db_aggregates.get(connection, aggregate_id), uuid)

        return self._commit(work)

    def check_host(
        self, aggregate_id: int, host: str, purpose: str
    ) -> dict[str, Any]:
        """Every blocker and warning of adding or removing a host.

        :param purpose: 'add' or 'remove'.
        :raises exception.Unavailable: no compute service answers.
        """
        with self._database.reader() as connection:
            db_hosts.get(connection, host)
            db_aggregates.get(connection, aggregate_id)
        report = self._compute.check_host(host, aggregate_id, purpose)
        if report is None:
            raise exception.Unavailable(
                reason='No compute service answered in time. Check that '
                'aggregates-ext-compute runs and that transport_url and '
                '[api] check_timeout are set.'
            )
        return report

    def pool(
        self, aggregate_id: int
    ) -> tuple[records.Aggregate, list[records.Host]]:
        """An aggregate with what was seen of its pool, and its hosts."""
        with self._database.reader() as connection:
            return (
                db_aggregates.get(connection, aggregate_id),
                db_hosts.get_all(connection, aggregate_id),
            )

    def _check(
        self,
        aggregate_id: int,
        host: str,
        purpose: str,
        accept_data_loss: Sequence[str] = (),
    ) -> dict[str, Any] | None:
        report = self._compute.check_host(
            host, aggregate_id, purpose, accept_data_loss
        )
        if report and report['blockers']:
            what = 'join' if purpose == 'add' else 'leave'
            raise exception.Refused(
                f'Host {host} cannot {what} the pool of aggregate '
                f'{aggregate_id}:',
                [
                    Problem(blocker['code'], blocker['message'])
                    for blocker in report['blockers']
                ],
            )
        return report

    def _commit(self, work: Callable[[Any], Change]) -> Change:
        """Write an intent, then wake a compute service for it."""
        change = self._database.write(work)
        if change.operation:
            self._compute.wake_up()
        return change

    def _wait_for(
        self, passing: type[Exception], attempt: Callable[[], Any]
    ) -> Any:
        """Try until an obstacle that passes by itself is gone.

        :param passing: the refusal that may pass within ``settle_wait``.
        """
        waited = 0.0
        while True:
            try:
                return attempt()
            except passing:
                if waited >= self._settle_wait:
                    raise
            self._sleep(SETTLE_POLL)
            waited += SETTLE_POLL


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


def _check_zone(aggregate: Any, host: records.Host) -> None:
    zones = {aggregate.availability_zone, host.availability_zone} - {None}
    if len(zones) > 1:
        raise exception.HostZoneMismatch(
            host=host.name,
            host_zone=host.availability_zone,
            aggregate_id=aggregate.id,
            zone=aggregate.availability_zone,
        )


def _refuse_bound(connection: Any, aggregate_id: int, name: str) -> None:
    """Say why a host could not be bound.

    :raises exception.Conflict: always.
    """
    host = db_hosts.get(connection, name)
    if host.phase not in db_aggregates.LISTED_PHASES:
        raise exception.HostNotFree(
            host=name,
            phase=host.phase,
            what=_what_holds(connection, host),
        )
    if host.aggregate_id == aggregate_id:
        raise exception.AggregateHostExists(
            aggregate_id=aggregate_id, host=name
        )
    raise exception.HostInOtherAggregate(host=name, other_id=host.aggregate_id)


def _what_holds(connection: Any, host: records.Host) -> str:
    if host.aggregate_id is None:
        return 'just now'
    found = db_operations.get_all(connection, host.aggregate_id)
    for operation in found:
        if operation.host == host.name:
            return f'operation {operation.uuid}'
    return f'aggregate {host.aggregate_id}'


def _check_idle(connection: Any, aggregate: records.Aggregate) -> None:
    """Refuse while something of an aggregate without listed hosts goes on.

    A host that is on its way back from its eject does not count: for the
    aggregate its removal is over (design 5).

    :raises exception.AggregateBusy: naming the operation.
    """
    found = db_operations.get_all(
        connection,
        aggregate.id,
        states=('queued', 'running', 'unresolved'),
        limit=1,
    )
    if found:
        raise exception.AggregateBusy(
            aggregate_id=aggregate.id,
            operation=found[0].uuid,
            what=f'{found[0].kind} {found[0].host}',
        )


def _cancel_join(connection: Any, aggregate_id: int, host: str) -> bool:
    """Cancel the join of a host that is still queued, by one UPDATE."""
    pending, _now = db_operations.unfinished(connection, aggregate_id)
    for operation in pending:
        if (operation.host, operation.kind, operation.state) == (
            host,
            operations.ADD_HOST,
            'queued',
        ):
            cancelled = db_operations.cancel(connection, operation.id)
            return cancelled and db_hosts.move(
                connection, host, aggregate_id, ('joining',), 'free'
            )
    return False
