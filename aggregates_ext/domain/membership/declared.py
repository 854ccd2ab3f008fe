"""The hosts of an aggregate as one list: who is not on it goes, who is comes.

Nothing is written unless all of it may be (design#declared-membership).
"""

import concurrent.futures
import dataclasses
from collections.abc import Sequence
from typing import Any

from oslo_utils import uuidutils

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import endings
from aggregates_ext.domain import intent
from aggregates_ext.domain import operations
from aggregates_ext.domain.membership import members
from aggregates_ext.domain.membership import queueing

NONE, ADD, REMOVE = 'none', 'add', 'remove'
# Checks at once: a compute service has 16 for the hosts of an aggregate.
_AT_ONCE = 8
# Codes that say of a master who is to be the next, or that nobody can.
_OF_SUCCESSORS = ('HOST_IS_MASTER', 'MASTER_CHANGES')


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a list means for a host.

    :ivar change: ``NONE``, ``ADD`` or ``REMOVE``.
    :ivar report: what a compute service says of the change; None: it was not
        asked, or has not answered.
    :ivar operation: uuid of that which carries it out; None: nothing does.
    """

    found: records.Host
    change: str
    report: dict[str, Any] | None = None
    operation: str | None = None

    @property
    def forbids(self) -> bool:
        """Whether something stands in the way that does not pass."""
        blockers = self.report['blockers'] if self.report else ()
        return not all(blocker.get('heals') for blocker in blockers)


@dataclasses.dataclass(frozen=True)
class Declared:
    """What a list has come to.

    :ivar entries: hosts on the list in its order, then those that leave.
    :ivar operation: uuid of that which ends when all of it has come about;
        None: it has.
    """

    entries: Sequence[Entry]
    operation: str | None = None


class Membership:
    """Makes the hosts of aggregates what a list says.

    :param intended: how it gets into the database.
    """

    def __init__(self, intended: intent.Intent) -> None:
        self._intent = intended

    def under(self, guard: db_aggregates.Guard) -> 'Membership':
        """The same for a request that wants a certain state."""
        return Membership(self._intent.under(guard))

    def plan(
        self,
        aggregate_id: int,
        hosts: Sequence[str],
        accept_data_loss: Sequence[str] = (),
    ) -> Declared:
        """What a list would change, and what stands in the way of it.

        Nothing is changed.

        :raises exception.AggregateNotFound: there is none.
        :raises exception.HostNotFound: not registered.
        :raises exception.Unavailable: no compute service has checked it.
        """
        with self._intent.database.reader() as connection:
            entries = _compare(connection, aggregate_id, hosts)
        checked = self._check(aggregate_id, entries, accept_data_loss)
        if any(e.report is None and _is_checked(e) for e in checked):
            raise members.no_answer()
        return Declared(checked)

    def set_hosts(
        self,
        ctx: context.RequestContext,
        aggregate_id: int,
        hosts: Sequence[str],
        accept_data_loss: Sequence[str] = (),
    ) -> Declared:
        """Let hosts join and leave until those of a list are left.

        What is asked for already is not asked for again.

        :param hosts: names; the first one founds the pool where there is
            none.
        :param accept_data_loss: uuids of the SRs whose disks may be lost.
        :raises exception.AggregateNotFound: there is none.
        :raises exception.HostNotFound: not registered.
        :raises exception.Conflict: a host belongs to another aggregate or is
            on its way, or the hosts changed meanwhile.
        :raises exception.Refused: the compute service named what forbids it,
            of all hosts.
        """

        found = self._intent.patiently(
            exception.HostNotFree, lambda: self._find(aggregate_id, hosts)
        )
        checked = self._check(aggregate_id, found, accept_data_loss)
        _refuse(aggregate_id, checked)
        uuid = uuidutils.generate_uuid()
        entries = [
            entry
            if entry.change == NONE
            else dataclasses.replace(
                entry, operation=uuidutils.generate_uuid()
            )
            for entry in checked
        ]

        def work(connection: Any) -> Declared:
            aggregate = self._intent.lock(connection, aggregate_id)
            now = _compare(connection, aggregate_id, hosts)
            if _changes(now) != _changes(entries):
                raise exception.Conflict(
                    reason=f'The hosts of aggregate {aggregate_id} have '
                    'changed while they were checked; nothing was written. '
                    'Send the list again.'
                )
            if all(entry.change == NONE for entry in entries):
                going_on = _find_same(connection, aggregate_id, hosts)
                return Declared(entries, going_on)
            written = [
                _queue(
                    connection, aggregate, entry, ctx, accept_data_loss, uuid
                )
                for entry in entries
            ]
            _queue_whole(
                connection, aggregate_id, ctx, accept_data_loss, uuid, written
            )
            return Declared(written, uuid)

        declared = self._intent.database.write(work, self._is_written)
        if declared.operation:
            self._intent.compute.wake_up()
        return declared

    def _find(self, aggregate_id: int, hosts: Sequence[str]) -> list[Entry]:
        """What a list means, where all its hosts can be had.

        :raises exception.Conflict: one belongs to another aggregate, or is on
            its way.
        """
        with self._intent.database.reader() as connection:
            found = _compare(connection, aggregate_id, hosts)
            for entry in found:
                if entry.change == ADD:
                    last = endings.last_by(connection)
                    queueing.check_free(last, aggregate_id, entry.found)
            return found

    def _check(
        self,
        aggregate_id: int,
        entries: Sequence[Entry],
        accept_data_loss: Sequence[str],
    ) -> list[Entry]:
        """Let a compute service look at each host that is to change."""

        def check(entry: Entry) -> Entry:
            if not _is_checked(entry):
                return entry
            report = self._intent.compute.check_host(
                entry.found.name, aggregate_id, entry.change, accept_data_loss
            )
            if report is not None and all_leave:
                report = _without_successor(report)
            return dataclasses.replace(entry, report=report)

        all_leave = all(entry.change == REMOVE for entry in entries)

        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(check, entries))

    @staticmethod
    def _is_written(connection: Any, declared: Declared) -> bool:
        """:raises exception.NotFound: it is not."""
        if declared.operation is None:
            return True
        return bool(db_operations.get(connection, declared.operation))


def _compare(
    connection: Any, aggregate_id: int, hosts: Sequence[str]
) -> list[Entry]:
    """What a list means for the hosts that are on it, or are listed.

    The master leaves last: it changes once then.

    :raises exception.AggregateNotFound: there is none.
    :raises exception.HostNotFound: not registered.
    """
    bound = db_hosts.get_all(connection, aggregate_id)
    if not bound:
        # One that has hosts is there.
        db_aggregates.check(connection, aggregate_id)
    listed = {
        host.name: host
        for host in bound
        if host.phase in db_aggregates.LISTED_PHASES
    }
    others = [name for name in hosts if name not in listed]
    new = db_hosts.named(connection, others) if others else {}
    entries = []
    for name in hosts:
        if name in listed:
            entries.append(Entry(listed[name], NONE))
        elif name in new:
            entries.append(Entry(new[name], ADD))
        else:
            raise exception.HostNotFound(host=name)
    leaving = [host for name, host in listed.items() if name not in hosts]
    if len(leaving) > 1:
        master = db_aggregates.get(connection, aggregate_id).master_uuid
        leaving.sort(key=lambda host: (host.uuid == master, host.name))
    return entries + [Entry(host, REMOVE) for host in leaving]


def _is_checked(entry: Entry) -> bool:
    """Whether hosts are asked about a change: a join is taken back as it is."""
    return entry.change == ADD or (entry.change, entry.found.phase) == (
        REMOVE,
        'member',
    )


def _without_successor(report: dict[str, Any]) -> dict[str, Any]:
    """What a check says where nobody stays who could be the next master."""
    return {
        **report,
        **{
            name: [p for p in report[name] if p['code'] not in _OF_SUCCESSORS]
            for name in ('blockers', 'warnings')
        },
    }


def _changes(entries: Sequence[Entry]) -> list[tuple[str, str, str]]:
    """By what two looks at the same list are the same."""
    return [(e.found.name, e.found.phase, e.change) for e in entries]


def _refuse(aggregate_id: int, entries: Sequence[Entry]) -> None:
    """:raises exception.Refused: naming every reason of every host."""
    blockers = [
        {**blocker, 'message': f'{entry.found.name}: {blocker["message"]}'}
        for entry in entries
        if entry.forbids and entry.report
        for blocker in entry.report['blockers']
    ]
    members.refuse(
        f'The hosts of aggregate {aggregate_id} stay as they are:',
        {'blockers': blockers},
    )


def _find_same(
    connection: Any, aggregate_id: int, hosts: Sequence[str]
) -> str | None:
    """The operation that goes on and has the same list, if there is one."""
    for operation in db_operations.get_all(
        connection,
        aggregate_id,
        states=db_operations.UNFINISHED,
        kinds=(operations.SET_HOSTS,),
    ):
        if set(operation.parameters['hosts']) == set(hosts):
            return operation.uuid
    return None


def _queue(
    connection: Any,
    aggregate: Any,
    entry: Entry,
    ctx: context.RequestContext,
    accept_data_loss: Sequence[str],
    whole: str,
) -> Entry:
    """Write what one host goes through; the answer: the entry as it is then.

    :param whole: uuid of the operation that it is a part of.
    """
    if entry.change == NONE:
        return entry
    part_of = {db_operations.PART_OF: whole}
    asked = operations.asked_by(ctx)
    uuid = str(entry.operation)
    if entry.change == ADD:
        queueing.join(connection, aggregate, entry.found, uuid, asked, part_of)
        return entry
    parameters = members.removal(ctx, entry.found, accept_data_loss)
    if queueing.removal(
        connection,
        aggregate.id,
        entry.found,
        uuid,
        asked,
        parameters | part_of,
    ):
        return entry
    return dataclasses.replace(entry, operation=None)


def _queue_whole(
    connection: Any,
    aggregate_id: int,
    ctx: context.RequestContext,
    accept_data_loss: Sequence[str],
    uuid: str,
    entries: Sequence[Entry],
) -> None:
    """Write the operation that ends with all of a list.

    :param entries: as their own operations are written.
    """
    parts = [entry.operation for entry in entries if entry.operation]
    db_operations.insert(
        connection,
        uuid,
        operations.SET_HOSTS,
        aggregate_id,
        None,
        operations.asked_by(ctx),
        {
            'hosts': [e.found.name for e in entries if e.change != REMOVE],
            'accept_data_loss': sorted(set(accept_data_loss)),
            operations.PARTS: parts,
            # It is under way as soon as somebody has looked at it.
            'changed': True,
        },
    )
