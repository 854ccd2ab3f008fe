"""Who is in a pool, and whose these hosts are: what adopt and reapply need.

All that stands against taking the pool as it is, is gathered at once.
"""

import dataclasses
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.observation import directories
from aggregates_ext.compute.observation import drift
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import obstacles
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.observation import witness
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.db import addresses
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records

_UNFINISHED = ('queued', 'running', 'unresolved')


@dataclasses.dataclass(frozen=True)
class Census:
    """The hosts of a pool beside those of its aggregate.

    :ivar bound: hosts of the aggregate in any phase.
    :ivar strangers: registered hosts that are in the pool and not bound to
        the aggregate, by uuid.
    :ivar busy: names of hosts with unfinished operations, and these.
    """

    aggregate: records.Aggregate
    view: views.PoolView
    bound: Sequence[records.Host]
    strangers: dict[str, records.Host]
    busy: dict[str, records.Operation]

    @property
    def present(self) -> list[tuple[views.HostView, records.Host]]:
        """Hosts of the aggregate that are in the pool."""
        return [
            (listed, host)
            for host in self.bound
            if (listed := self.view.hosts.find(host.uuid)) is not None
        ]

    @property
    def absent(self) -> list[records.Host]:
        """Hosts of the aggregate that the pool does not have."""
        return [
            host for host in self.bound if host.uuid not in self.view.hosts
        ]

    @property
    def surplus(self) -> list[tuple[views.HostView, records.Host]]:
        """Free hosts that are in the pool."""
        return [
            (self.view.hosts[uuid], host)
            for uuid, host in sorted(self.strangers.items())
            if host.aggregate_id is None
        ]


def take(
    run: compute_run.Run, view: views.PoolView, bound: Sequence[records.Host]
) -> Census:
    """Look up whose the hosts of a pool are."""

    def read(connection: Any) -> Census:
        pending = db_operations.get_all(
            connection, run.aggregate_id, states=_UNFINISHED
        )
        return Census(
            db_aggregates.get(connection, run.aggregate_id),
            view,
            bound,
            masters.find_strangers(connection, view, bound),
            {
                operation.host: operation
                for operation in pending
                if operation.host and operation.id != run.operation.id
            },
        )

    return run.held.read(read)


def check_identity(
    aggregate: records.Aggregate,
    master: masters.Master,
    view: views.PoolView,
) -> Iterator[preflight.Problem]:
    """What makes it uncertain whose pool it is, or who leads it."""
    if view.mark not in (None, aggregate.uuid):
        yield foreign_mark(view)
    try:
        master.confirm(view)
    except obstacles.TwoMasters as exc:
        yield preflight.Problem(
            witness.TWO_MASTERS,
            'one host leads the pool',
            str(exc).rstrip('.'),
            'Repeat this when there is one master.',
        )


def foreign_mark(view: views.PoolView) -> preflight.Problem:
    """The pool says that it is another's."""
    return preflight.Problem(
        drift.FOREIGN_MARK,
        'the pool is not marked as that of another aggregate',
        f'{views.MARK} = {view.mark}',
        'Remove its hosts there; a mark left behind is removed with '
        f'{views.unmark(view)}.',
    )


def check_hosts(census: Census) -> Iterator[preflight.Problem]:
    """What forbids that the hosts of the pool become the aggregate's."""
    yield from _check_readable(census)
    own = {host.uuid for host in census.bound}
    for uuid, seen in sorted(census.view.hosts.items()):
        host = census.strangers.get(uuid)
        if uuid in own:
            continue
        if host is None:
            yield preflight.Problem(
                drift.HOST_UNKNOWN,
                'each host of the pool is registered',
                f'{seen.name_label} ({uuid}, {seen.address}), which is not',
                f'Register it with {drift.register(seen)}, or eject it by '
                'hand.',
            )
        elif host.aggregate_id is not None:
            yield preflight.Problem(
                drift.HOST_OF_OTHER,
                'each host of the pool is free',
                f'{host.name} ({uuid}) as {host.phase} in aggregate '
                f'{host.aggregate_id}',
                'Remove it there first, or adopt that pool.',
            )


def check_zones(census: Census) -> Iterator[preflight.Problem]:
    """Hosts that are in another zone than the aggregate."""
    zone = census.aggregate.availability_zone
    for _seen, host in census.surplus:
        if zone and host.availability_zone not in (None, zone):
            yield preflight.Problem(
                'HOST_ZONE_MISMATCH',
                f'each host is in the zone of the aggregate, {zone}',
                f'{host.name} in {host.availability_zone}',
                'Change the zone of either.',
            )


def check_idle(census: Census) -> Iterator[preflight.Problem]:
    """Hosts with which something is still to happen, or unresolved."""
    for name, operation in sorted(census.busy.items()):
        yield preflight.Problem(
            'HOST_BUSY',
            'no operation on a host is unfinished or unresolved',
            f'{operation.kind} {name} {operation.state} ({operation.uuid})',
            'Wait for its end, cancel it, or reset the host.',
        )


def check_proof(
    run: compute_run.Run, census: Census
) -> Iterator[preflight.Problem]:
    """Free hosts that are only thought to be in the pool.

    They get its account, so none may answer as anything but a slave of its
    master; one whose uuid is not known must answer as that.
    """
    view = census.view
    for seen, host in census.surplus:
        answer = views.ask(run.connector, host, None)
        if host.uuid is not None and answer.role in ('silent', 'starting'):
            continue
        leads = (
            answer.pool is not None
            and answer.pool.uuid == view.uuid
            and answer.pool.master.uuid == seen.uuid == view.master.uuid
        )
        follows = answer.role == 'slave' and (
            addresses.same(answer.detail, view.master.address)
            or any(
                directories.has_address(known, answer.detail)
                for known in (*census.bound, *census.strangers.values())
                if known.uuid == view.master.uuid
            )
        )
        if not leads and not follows:
            yield preflight.Problem(
                'HOST_UNPROVEN',
                f'{host.name} answers at {host.url} as a host of the pool '
                f'led by {view.master.address}',
                f'that it {answer.describe()}',
                'Correct its URL, or start the host.',
            )


def _check_readable(census: Census) -> Iterator[preflight.Problem]:
    """Hosts that cannot be told apart: nobody knows whose they are."""
    unnamed = census.view.hosts.unnamed
    if unnamed:
        yield preflight.Problem(
            drift.ODD_ANSWER,
            'each host of the pool has a uuid of its own that can be read',
            f'{len(unnamed)} without: '
            + ', '.join(f'"{host.name_label}"' for host in unnamed[:5]),
            'Look at them with "xe host-list" on the master, and remove '
            'stale records with "xe host-forget".',
        )


def refuse_all(subject: str, problems: Sequence[preflight.Problem]) -> None:
    """Refuse for all reasons at once.

    :raises outcomes.Failed: if there are any.
    """
    if problems:
        raise outcomes.refuse(
            subject, preflight.Report(blockers=tuple(problems))
        )
