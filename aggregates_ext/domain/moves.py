"""Moves of guests to other hosts of their pools: asked for, taken back, told.

A request writes a move; a compute service carries it out (design#moves).
"""

from typing import Any

from oslo_utils import uuidutils

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import downtime
from aggregates_ext.domain import guests
from aggregates_ext.domain import intent
from aggregates_ext.domain import operations

ACTION = 'os-migrateLive'
RUNNING, PREPARING, UNKNOWN = 'running', 'preparing', 'post-migrating'
# Nova's status -> the moves that have it. Of one that is unresolved nobody
# knows whether it has failed.
STATUSES: dict[str, db_moves.Wanted] = {
    'queued': db_moves.Wanted(states=(db_moves.QUEUED,)),
    PREPARING: db_moves.Wanted(states=(db_moves.SENT,), begun=False),
    RUNNING: db_moves.Wanted(states=(db_moves.SENT,), begun=True),
    UNKNOWN: db_moves.Wanted(states=(*db_moves.STUCK, db_moves.STARTING)),
    'completed': db_moves.Wanted(states=(db_moves.COMPLETED,)),
    'error': db_moves.Wanted(states=(db_moves.FAILED,)),
    'cancelled': db_moves.Wanted(states=(db_moves.CANCELLED,)),
}
_OF_STATE = {
    state: status
    for status, wanted in STATUSES.items()
    for state in wanted.states or ()
}
# How often a move is looked for in each of its states.
ROUNDS = 3
# Why a guest is not started where a move has left it halted.
_RAN = (
    'The server has moved, or run, since, or is another one of that uuid: '
    'look where it ran last, and start it there in its pool.'
)
# What the ids of requests begin with.
_REQUEST = 'req-'
# What else a guest that is not active can do.
_REMEDIES = {
    'paused': 'Pools move no guest that is paused: unpause it first.',
    'stopped': 'It needs no move: its pool starts it on any host.',
    'suspended': 'It needs no move: its pool resumes it on another host, '
    'where that sees its storage.',
}


def status(move: records.Move) -> str:
    """Nova's word for the state of a move."""
    if move.state == db_moves.SENT and not move.progress:
        return PREPARING
    return _OF_STATE[move.state]


def in_progress(move: records.Move) -> bool:
    """Whether it may still move its guest."""
    return move.state in db_moves.OPEN


def asked_as(move: records.Move) -> str:
    """The id of the request that asked for a move; each has another.

    That of a part of an operation is made of its own, since one request has
    asked for many.
    """
    if move.request_id and move.operation_id is None:
        return move.request_id
    return f'{_REQUEST}{move.uuid}'


class Moves:
    """All moves.

    :param intended: how one gets into the database.
    """

    def __init__(self, intended: intent.Intent) -> None:
        self._intent = intended
        self._database = intended.database

    def ask(
        self,
        ctx: context.RequestContext,
        guest: guests.Guest,
        host: str | None = None,
    ) -> records.Move:
        """Ask for the move of a guest to another host of its pool.

        Whether that host takes it is asked of the pool right before it is
        sent; what the database knows against it is told here.

        :param host: name of the host; None: any.
        :raises exception.ServerInState: the guest does not run, or something
            is done to it.
        :raises exception.GuestMoves: it has a move that is open.
        :raises exception.Invalid: it is there already, or the host is none
            for it.
        """
        seen = guest.seen
        _check_guest(guest)
        if host is not None and host == seen.host:
            raise exception.Invalid(
                reason=f'Unable to migrate instance ({seen.uuid}) to current '
                f'host ({host}).'
            )
        uuid = uuidutils.generate_uuid()

        def work(connection: Any) -> records.Move:
            # Held, so that it is not deleted meanwhile.
            db_aggregates.lock(connection, seen.aggregate_id)
            db_aggregates.mark(connection, seen.aggregate_id)
            _check_target(connection, seen, host)
            return db_moves.insert(
                connection, uuid, seen, operations.asked_by(ctx), host
            )

        made = self._database.write(work, _is_written)
        self._intent.compute.wake_up()
        return made

    def abort(
        self, server_id: str, key: int, statuses: tuple[str, ...]
    ) -> records.Move:
        """Let a move of a guest not be made any more, if it is not too late.

        :param statuses: it must have one of these.
        :raises exception.MoveNotFound: the guest has no such move.
        :raises exception.MoveInState: it has another status, or has
            ended.
        """

        def work(connection: Any) -> records.Move:
            move = _find(connection, server_id, key)
            if status(move) not in statuses:
                raise _not_abortable(move)
            # It may go on between the statements of a round.
            for _round in range(ROUNDS):
                if db_moves.cancel(connection, move) is not None:
                    return move
            raise _not_abortable(_find(connection, server_id, key))

        found = self._database.write(work, _is_cancelled)
        self._intent.compute.wake_up()
        return found

    def repair(
        self, server_id: str, key: int, aggregate_id: int | None = None
    ) -> records.Move:
        """Have a move repaired.

        One of which nobody knows what became of it, or one that has left its
        guest halted (design#moves-repaired).

        :param aggregate_id: of the guest that is meant; None: there is one.
        :raises exception.MoveNotFound: the guest has no such move.
        :raises exception.MoveInState: it is none of them.
        :raises exception.GuestMoves: its guest has another one that is open.
        """

        def work(connection: Any) -> records.Move:
            move = _find(connection, server_id, key)
            if move.has_halted:
                # Held, so that it is not deleted meanwhile.
                db_aggregates.lock(connection, move.aggregate_id)
                db_aggregates.mark(connection, move.aggregate_id)
                # What was seen of its guest until then counts.
                move = _find(connection, server_id, key)
                _check_operation(connection, move)
            elsewhere = aggregate_id not in (None, move.aggregate_id)
            if move.has_halted and elsewhere:
                raise _in_status(move, 'force_complete', _RAN)
            if not db_moves.repair(connection, move):
                remedy = 'Pools have no way to hasten one that is under way.'
                if move.has_halted:
                    remedy = _RAN
                raise _in_status(move, 'force_complete', remedy)
            return move

        found = self._database.write(work, _is_repaired)
        self._intent.compute.wake_up()
        return found

    def open_of(self, server_id: str) -> list[records.Move]:
        """The moves of a guest that may still move it, the first first."""
        with self._database.reader() as connection:
            return db_moves.open_of_guest(connection, server_id)

    def find(self, server_id: str, key: int) -> records.Move | None:
        """A move of a guest, ended or not; None: it has none such."""
        with self._database.reader() as connection:
            return db_moves.find(connection, key, server_id)

    def find_asked(
        self, server_id: str, request_id: str
    ) -> records.Move | None:
        """A move of a guest by ``asked_as``; None: it has none such."""
        if '\0' in request_id:
            # No text has it, and PostgreSQL takes none with it.
            return None
        uuid = request_id.removeprefix(_REQUEST)
        with self._database.reader() as connection:
            return db_moves.find_asked(connection, server_id, request_id, uuid)

    def get(self, uuid: str) -> records.Move:
        """A move.

        :raises exception.MoveNotFound: there is none.
        """
        with self._database.reader() as connection:
            return db_moves.get(connection, uuid)

    def listed(
        self,
        status: str | None,
        host: str | None,
        guest_uuid: str | None,
        limit: int,
    ) -> list[records.Move]:
        """Moves, the newest first.

        :param status: one of ``STATUSES``; None: any.
        :param host: name of the host at either end; None: any.
        :raises exception.Invalid: none are asked for.
        """
        if limit < 1:
            raise exception.Invalid(reason='The limit must be 1 or more.')
        wanted = STATUSES[status] if status else db_moves.Wanted()
        wanted = wanted._replace(host=host, guest_uuid=guest_uuid)
        return self.page(wanted, limit) or []

    def page(
        self, wanted: db_moves.Wanted, limit: int, marker: str | None = None
    ) -> list[records.Move] | None:
        """Moves, the newest first; None: the marker is no move."""
        with self._database.reader() as connection:
            return db_moves.page(connection, wanted, limit, marker)

    def of_operation(self, operation: records.Operation) -> list[records.Move]:
        """The moves that an operation consists of, in order.

        Those of its parts are among them.
        """
        if operation.kind not in (*downtime.KINDS, *operations.ROLLING):
            return []
        keys = records.Rolling.movers(operation)
        with self._database.reader() as connection:
            return db_moves.of_operations(connection, keys)


def _check_operation(connection: Any, move: records.Move) -> None:
    """:raises exception.MoveInState: what it is a part of has not ended.

    That looks for guests which are halted, and sends no other one then.
    """
    pending, _now = db_operations.unfinished(connection, move.aggregate_id)
    for operation in pending:
        if operation.id == move.operation_id:
            remedy = (
                f'It is a part of operation {operation.uuid}, which has not '
                'ended: repeat this then.'
            )
            raise _in_status(move, 'force_complete', remedy)


def _is_written(connection: Any, made: records.Move) -> bool:
    """:raises exception.MoveNotFound: it is not."""
    return bool(db_moves.get(connection, made.uuid))


def _is_cancelled(connection: Any, move: records.Move) -> bool:
    found = db_moves.get(connection, move.uuid)
    stays = found.state == db_moves.UNRESOLVED or not found.cancelled
    return not (in_progress(found) and stays)


def _is_repaired(connection: Any, move: records.Move) -> bool:
    found = db_moves.get(connection, move.uuid)
    unwanted = in_progress(found) and found.cancelled
    stays = found.state == db_moves.UNRESOLVED or found.has_halted
    return not (unwanted or stays)


def _find(connection: Any, server_id: str, key: int) -> records.Move:
    found = db_moves.find(connection, key, server_id)
    if found is None:
        raise exception.MoveNotFound(
            f'Migration {key} not found for instance {server_id}'
        )
    return found


def _not_abortable(move: records.Move) -> exception.MoveInState:
    remedy = 'Ask with microversion 2.65 or later.'
    if not in_progress(move):
        remedy = 'It has ended.'
    return _in_status(move, 'abort live migration', remedy)


def _in_status(
    move: records.Move, method: str, remedy: str
) -> exception.MoveInState:
    """:param remedy: what to do about one that is in progress, or halted."""
    told = in_progress(move) or move.has_halted
    return exception.MoveInState(
        move=move.id,
        server=move.guest_uuid,
        state=status(move),
        method=method,
        remedy=remedy if told else 'It has ended.',
    )


def _check_guest(guest: guests.Guest) -> None:
    """That a guest runs on a host of ours, and nothing is done to it."""
    seen, state = guest.seen, guest.state.vm_state
    if seen.power_state != 'Running':
        remedy = _REMEDIES.get(state, 'Only one that runs is moved.')
        raise _in_state(seen, 'vm_state', state, remedy)
    if guest.progress is not None:
        raise exception.GuestMoves(guest=seen.uuid)
    if guest.task is not None:
        remedy = 'Repeat the request when that has ended.'
        raise _in_state(seen, 'task_state', guest.task, remedy)
    if seen.host is None:
        remedy = (
            'It runs on a host that is not registered, or not bound to the '
            'aggregate of its pool: register that one.'
        )
        raise _in_state(seen, 'vm_state', state, remedy)


def _in_state(
    seen: records.Guest, attribute: str, state: str, remedy: str
) -> exception.ServerInState:
    return exception.ServerInState(
        action=ACTION,
        server=seen.uuid,
        attribute=attribute,
        state=state,
        remedy=remedy,
    )


def _check_target(
    connection: Any, seen: records.Guest, host: str | None
) -> None:
    """That another member of the pool is to take guests, and the one named.

    :raises exception.Invalid: none is, or it is not.
    """
    key = seen.aggregate_id
    members = {
        other.name: other
        for other in db_hosts.get_all(connection, key)
        if other.phase == 'member' and other.name != seen.host
    }
    if host is None:
        if all(other.disabled for other in members.values()):
            raise exception.NoValidHost(
                reason=f'Aggregate {key} has no other member that is enabled.'
            )
    elif host not in members:
        raise _no_member(connection, key, host, sorted(members))
    elif members[host].disabled:
        raise exception.NoValidHost(
            reason=f'Host {host} is disabled: enable it, or name another.'
        )


def _no_member(
    connection: Any, key: int, host: str, members: list[str]
) -> exception.Invalid:
    try:
        db_hosts.get(connection, host)
    except exception.HostNotFound:
        return exception.Invalid(
            reason=f'Compute host {host} could not be found.'
        )
    others = ', '.join(members) or 'none'
    return exception.NoValidHost(
        reason=f'Host {host} is no member of aggregate {key}, whose pool the '
        f'server is in. Its other members: {others}.'
    )
