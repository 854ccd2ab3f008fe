"""What entering and leaving maintenance share (design#maintenance).

Guests go by moves of their own (design#moves), and the operations rest
meanwhile. None is stopped that was not named (design#shut-down).
"""

import contextlib
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext import exception
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.operations import enabling
from aggregates_ext.compute.rules import bindings
from aggregates_ext.compute.rules import powering
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import downtime as wanted
from aggregates_ext.domain import operations

# Times that the guests of a host may take as long as one of them.
MOVES_EACH = 3
# Looks at a move until there is one at what it is a part of, at least; and
# what part of the time that it has lasted passes until then, in seconds at
# most.
LOOKS = 4
PART = 0.02
LONGEST_REST = 10.0
# The parameters of what is done with a host in maintenance that tell that it
# was seen empty by a first look, and since when its way into maintenance has
# seen it so, which has looked again since.
READY = 'ready'
EMPTIED = 'emptied'
# Guests that a message names.
MOST_TOLD = 5
# What is told of guests that are not at home, and of a host that lacks what
# it had before.
LEFTOVERS = 'NOT_AS_BEFORE'
NOT_WHOLE = 'POOL_NOT_WHOLE'
# The parameters that tell which PBDs a host had attached when it was taken
# into maintenance, and which were plugged, with what was answered.
STORAGE = 'storage'
PLUGGED = 'plugged'


def watch(run: compute_run.Run, reason: str) -> outcomes.Watching:
    """What lets an operation rest until guests have moved a bit."""
    least = LOOKS * float(run.options.watch_interval)
    seconds = max(least, min(PART * run.elapsed(), LONGEST_REST))
    return outcomes.Watching(seconds, reason=reason)


def look_again(run: compute_run.Run, reason: str) -> outcomes.Watching:
    """What lets it rest until a second look, which must agree."""
    return outcomes.Watching(float(run.options.watch_interval), reason=reason)


def check_idle(
    run: compute_run.Run, session: xenapi.Session, action: str, done: str
) -> powering.Powering:
    """What the master shows of a host in maintenance, if it may be told.

    :param action: one of ``powering.ACTIONS``, by whose rules.
    :param done: what it is told, for messages.
    :raises outcomes.Failed: something forbids it.
    :raises outcomes.Postpone: something does that passes.
    """
    host = run.host()
    found = powering.read(session, host.uuid)
    unfit = preflight.evaluate(
        bindings.POWER_RULES, bindings.Binding(host, run.aggregate())
    )
    report = powering.check(found, host.uuid, action)
    blockers = (*unfit, *report.blockers)
    if blockers or found is None:
        raise outcomes.refuse(
            f'Host {host.name} is not {done}:',
            preflight.Report(blockers=blockers),
        )
    return found


def disable_again(run: compute_run.Run) -> None:
    """Disable a host in maintenance that a toolstack has enabled, at its start.

    :raises outcomes.Watching: it is disabled.
    """
    before = run.operation.parameters
    with enabling.changing(run) as change:
        change.disable(since=run.elapsed())
    # What else is looked at before the operation's own call.
    run.note(call=None, parameters={**before, **unseen(run)})
    raise look_again(run, 'The host is disabled again.')


def unseen(run: compute_run.Run) -> dict[str, Any]:
    """The parameters of an operation for which no earlier look counts."""
    seen = {READY, EMPTIED} & run.operation.parameters.keys()
    return dict.fromkeys({READY, *seen})


def task_of_call(
    run: compute_run.Run, session: xenapi.Session
) -> views.Task | None:
    """The task of the recorded call, if the host lists it."""
    call = run.operation.call or {}
    name = str(call.get('call', '')).removeprefix('Async.')
    for task in views.tasks(session, name):
        if task.ref == call.get('task'):
            return task
    return None


def storage(
    session: xenapi.Session, ref: str, attached: bool
) -> dict[str, str]:
    """PBDs of a host that are attached, or are not: uuid -> reference."""
    return {
        pbd['uuid']: key
        for key, pbd in session.records('PBD').items()
        if pbd['host'] == ref and pbd['currently_attached'] is attached
    }


def plug(
    run: compute_run.Run,
    login: Callable[[], xenapi.Session],
    pbds: Mapping[str, str],
) -> str:
    """Plug one of those that were not plugged yet.

    :param login: makes a session at the master.
    :param pbds: uuid -> reference.
    :returns: what was answered, in a sentence; empty: each had its turn.
    """
    tried = run.operation.parameters.get(PLUGGED, {})
    for uuid in sorted(pbds.keys() - tried.keys()):
        # What it does is seen; without an answer it is not sent again.
        run.remember(**{PLUGGED: {**tried, uuid: 'no answer'}})
        with contextlib.closing(login()) as session:
            try:
                session.call('PBD.plug', pbds[uuid])
                said = 'done'
            except failures.XenAPIError as exc:
                said = text.clean(' '.join((exc.code, *exc.parameters)))
        run.remember(**{PLUGGED: {**tried, uuid: said}})
        return f'PBD {uuid} was plugged: {said}.'
    return ''


def describe_unplugged(run: compute_run.Run, uuids: Iterable[str]) -> str:
    """Which PBDs are not attached, what was tried, and what to do."""
    tried = run.operation.parameters.get(PLUGGED, {})
    pbds = text.listed(
        f'{uuid} (plugged: {tried[uuid]})' if uuid in tried else uuid
        for uuid in sorted(uuids)
    )
    return (
        f'PBDs {pbds} are not attached; plug them ("xe pbd-plug uuid=UUID" '
        'on the master)'
    )


def moves_of(run: compute_run.Run) -> list[records.Move]:
    """The moves of this operation, in order."""
    return run.held.read(
        lambda connection: db_moves.of_operation(connection, run.operation.id)
    )


def still_open(moves: Sequence[records.Move]) -> list[records.Move]:
    """Those that may still move their guest."""
    return [move for move in moves if move.state in db_moves.OPEN]


def halted(moves: Sequence[records.Move]) -> dict[str, Any] | None:
    """Which moves have left their guests halted, to be told."""
    found = [move for move in moves if move.has_halted]
    if not found:
        return None
    told = (str((move.error or {})['message']) for move in found)
    return {
        'code': records.GUEST_HALTED,
        'parameters': {'guests': [move.guest_uuid for move in found]},
        'message': text.listed(told, MOST_TOLD, ' '),
    }


def not_home(
    move: records.Move, here: str, home: str, error: dict[str, Any] | None
) -> str:
    """Who is not at home, and why.

    :param here: name of the host on which the guest of the move is.
    """
    why = f' {error["message"]}' if error else ''
    return (
        f'Guest "{move.guest_name}" is on host {here}, not at home on '
        f'{home}.{why}'
    )


def history(connection: Any, run: compute_run.Run) -> list[records.Operation]:
    """What tells of the maintenance of the host, the newest first."""
    name = run.host_name
    return db_operations.of_hosts(
        connection, run.aggregate_id, (name,), wanted.HISTORY
    )[name]


def away(connection: Any, run: compute_run.Run) -> list[records.Move]:
    """Moves off the host since it last came out of maintenance, by guest."""
    name = run.host_name
    ids = [
        operation.id
        for operation in wanted.since_it_left(history(connection, run))
        if operation.kind == operations.ENTER_MAINTENANCE
    ]
    found = {m.guest_uuid: m for m in db_moves.homes(connection, name, ids)}
    return sorted(found.values(), key=lambda move: move.id)


def names(guests: Sequence[str]) -> str:
    """Guests in words."""
    return text.listed((f'"{name}"' for name in guests), MOST_TOLD)


def guest(
    run: compute_run.Run, record: Mapping[str, Any], host: str
) -> records.Guest:
    """What a move knows of a guest.

    :param host: name of that on which it runs.
    """
    return records.Guest(
        id=0,
        uuid=record['uuid'],
        name=record['name_label'],
        aggregate_id=run.aggregate_id,
        host=host,
        host_uuid=None,
        zone=None,
        power_state=record['power_state'],
        memory=record['memory_static_max'],
        vcpus=0,
        operation=None,
        first_seen=0.0,
        changed_at=0.0,
    )


def taken(connection: Any, run: compute_run.Run) -> set[str]:
    """The guests of the pool that are on the move already."""
    open_, _now = db_moves.open_of(connection, run.aggregate_id)
    return {move.guest_uuid for move in open_}


def call_off(run: compute_run.Run, wish: str) -> None:
    """Another request has come: nothing more is moved for this one.

    :param wish: what the maintenance of the host was by this one.
    :raises outcomes.Watching: guests are on their way still, or the other
        request has been taken back.
    """
    stop(run)
    waiting = still_open(moves_of(run))
    if waiting:
        told = names([move.guest_name for move in waiting])
        raise watch(run, f'It is called off; guests are on the move: {told}.')

    def end(connection: Any) -> None:
        if db_hosts.get(connection, run.host_name).maintenance != wish:
            db_operations.finish(connection, run.operation, 'cancelled')

    run.write(end)
    if run.operation.state != 'cancelled':
        raise watch(run, 'It goes on: what had called it off was taken back.')


def stop(run: compute_run.Run) -> None:
    """Let no guest go that has not gone yet."""
    run.write(
        lambda connection: db_moves.cancel_all(connection, run.operation.id)
    )


def queue(run: compute_run.Run, work: Callable[[Any], None]) -> None:
    """Write moves.

    :raises outcomes.Watching: somebody else has just queued one of them.
    """
    try:
        run.write(work)
    except exception.GuestMoves as exc:
        raise watch(run, str(exc)) from exc
