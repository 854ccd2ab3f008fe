"""What the steps of a move share: where they work, and how a move goes on."""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

from oslo_log import log as logging

from aggregates_ext import exception
from aggregates_ext.compute.moving import ways
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.run import lease as compute_lease
from aggregates_ext.compute.run import meter as compute_meter
from aggregates_ext.compute.xen import failures
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records

LOG = logging.getLogger(__name__)
CALL = 'VM.pool_migrate'
# Seconds between two looks at a move that takes long, at most.
LONGEST_REST = 5.0
# How often a move is looked at for what is left of it.
PARTS = 4


@dataclasses.dataclass(frozen=True)
class Site:
    """A pool during one turn.

    :ivar members: the hosts of the aggregate that are members.
    :ivar options: the group ``compute``.
    :ivar ways: the networks that moves take.
    :ivar now: the database's clock when the turn began.
    :ivar meter: is told of ends.
    :ivar open_moves: those of the aggregate when the turn began, in order.
    :ivar at_work: the operation that has sent something, in a sentence;
        None: none has.
    """

    held: compute_lease.Held
    master: masters.Master
    view: views.PoolView
    members: Sequence[records.Host]
    options: Any
    ways: ways.Ways
    now: float
    meter: compute_meter.Meter
    open_moves: Sequence[records.Move]
    at_work: str | None

    def name(self, uuid: str | None) -> str | None:
        """The name of the member with a XenServer uuid."""
        for host in self.members:
            if uuid is not None and host.uuid == uuid:
                return host.name
        return None

    def uuid_of(self, ref: str) -> str | None:
        """The uuid of the host with a reference."""
        for host in self.view.hosts.values():
            if host.ref == ref:
                return host.uuid
        return None

    def update(self, move: records.Move, **values: Any) -> records.Move:
        """Write how far a move is."""
        return self.held.write(
            lambda connection: db_moves.update(connection, move, values)
        )

    def look_later(self, move: records.Move, **values: Any) -> None:
        """Go on with a move after a while: the longer it lasts, the later.

        As long as a part of what it has yet to go, told by its progress.
        """
        age = self.now - (move.call or {}).get('at', self.now)
        done = values.get('progress', move.progress)
        seconds = age * (100 - done) / (PARTS * done) if done else age / PARTS
        _rest(self.held, [move], self._within_bounds(seconds), values)

    def _within_bounds(self, seconds: float) -> float:
        least = float(self.options.watch_interval)
        return max(least, min(seconds, LONGEST_REST))

    def let_wait(self, moves: Sequence[records.Move]) -> None:
        """Let moves be for which there is no place yet.

        They are looked at when a move has ended, and now and then.
        """
        if moves:
            _rest(self.held, moves, self._within_bounds(LONGEST_REST), {})

    def postpone(
        self, move: records.Move, obstacle: failures.HostError
    ) -> None:
        """Let a move be for a time, since a host says what cannot be read."""
        postpone(
            self.held,
            [move],
            float(self.options.retry_interval),
            obstacle.code,
            str(obstacle),
        )

    def take_back(self, move: records.Move) -> None:
        """End a move that a request has taken back since it was read."""
        self.finish(move, db_moves.CANCELLED)

    def requeue(
        self, move: records.Move, code: str, message: str, seconds: float = 0.0
    ) -> None:
        """Send a move anew, if it is wanted still."""
        if move.cancelled:
            self.finish(move, db_moves.CANCELLED)
            return
        values = {
            'state': db_moves.QUEUED,
            'call': None,
            'progress': 0,
            'error': {'code': code, 'message': message},
        }
        _rest(self.held, [move], seconds, values)

    def finish(
        self,
        move: records.Move,
        result: str,
        code: str = '',
        message: str = '',
    ) -> bool:
        """As the function of this name."""
        return finish(self.held, self.meter, move, result, code, message)


def finish(
    held: compute_lease.Held,
    meter: compute_meter.Meter,
    move: records.Move,
    result: str,
    code: str = '',
    message: str = '',
) -> bool:
    """End a move.

    :returns: whether it was open, and nobody has asked for more since.
    """
    error = {'code': code, 'message': message} if code else None
    halted = code == records.GUEST_HALTED

    def work(connection: Any) -> bool:
        ended = db_moves.finish(connection, move, result, error)
        key = move.operation_id
        if ended and key is not None and halted:
            # What has happened to one may happen to the next.
            db_moves.cancel_all(connection, key)
        _wake(connection, move)
        return ended

    # One that a request has ended meanwhile ends no second time.
    if not held.write(work):
        return False
    meter.moved(compute_meter.HALTED if halted else result)
    told = LOG.warning if result == db_moves.FAILED else LOG.info
    (LOG.error if halted else told)(
        'Move %s: guest %s (%s) from %s to %s: %s %s',
        move.uuid,
        move.guest_name,
        move.guest_uuid,
        move.source,
        move.target,
        result,
        message,
    )
    return True


def outage(move: records.Move, verb: str, message: str) -> str:
    """Tell of a guest that is recorded as halted after its move.

    :param verb: ``is``; or ``may be``.
    :param message: why.
    """
    return (
        f'Guest "{move.guest_name}" {verb} recorded as halted after its move '
        f'from host {move.source} to {move.target}. {message} If nobody '
        f'has stopped it, start it on {move.target} and on no other host: '
        'where it runs there, that is refused and puts its record right. '
        'Or have that done: "openstack server migration force complete '
        f'{move.guest_uuid} {move.id}".'
    )


def halt_again(
    held: compute_lease.Held, move: records.Move, error: dict[str, Any]
) -> None:
    """End a move whose guest was to be started, and was not.

    That it is halted has been told, and counted, before.
    """
    LOG.error('Move %s: %s', move.uuid, error['message'])

    def work(connection: Any) -> None:
        db_moves.halt_again(connection, move, error)
        _wake(connection, move)

    held.write(work)


def _wake(connection: Any, move: records.Move) -> None:
    """Let the operation go on that has waited for the end of a move."""
    key = move.operation_id
    open_, _now = db_moves.open_of(connection, move.aggregate_id)
    if key is not None and key not in {m.operation_id for m in open_}:
        db_operations.wake(connection, key)


def _rest(
    held: compute_lease.Held,
    moves: Sequence[records.Move],
    seconds: float,
    values: dict[str, Any],
) -> None:
    """Let moves be; one that was taken back meanwhile needs no rest."""

    def work(connection: Any) -> None:
        for move in moves:
            if any(getattr(move, name) != v for name, v in values.items()):
                with contextlib.suppress(exception.MoveTakenBack):
                    db_moves.update(connection, move, values)
        db_moves.rest(connection, moves, seconds)

    held.write(work)


def postpone(
    held: compute_lease.Held,
    moves: Sequence[records.Move],
    seconds: float,
    code: str,
    message: str,
) -> None:
    """Let moves be for a time, and tell what is in their way."""
    _rest(held, moves, seconds, {'error': {'code': code, 'message': message}})
