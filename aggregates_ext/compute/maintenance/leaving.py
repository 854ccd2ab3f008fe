"""Taking a host out of maintenance: it takes guests, and has its own back.

See design#maintenance.
"""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

from oslo_utils import uuidutils

from aggregates_ext.compute.maintenance import downtime
from aggregates_ext.compute.maintenance import shared
from aggregates_ext.compute.operations import enabling
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import ways
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import text
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import downtime as wanted


def leave(run: compute_run.Run) -> None:
    """Let a host take guests again, and bring back those it had.

    That some do not come back is no failure: their moves tell why. None does
    to one that somebody had disabled before, which stays so.

    :raises outcomes.Failed: it takes no guests, as before.
    :raises outcomes.Postpone: to be gone on with.
    """
    if run.host().maintenance != records.LEAVING:
        downtime.call_off(run)
        shared.call_off(run, records.LEAVING)
        return
    moves = shared.moves_of(run)
    waiting = shared.still_open(moves)
    if waiting:
        names = shared.names([move.guest_name for move in waiting])
        run.note(step=f'{len(waiting)} guest(s) to come back', progress=50)
        raise shared.watch(run, f'Guests come back: {names}.')
    disabled = run.host().disabled
    with enabling.changing(run) as change:
        _check_way(run, change)
        kept = change.remove_keys()
        lacking = None
        if disabled:
            change.disable()
        else:
            lacking = _plug(run, change)
            _enable(run, change)
        down = _start_again(run, change, not disabled)
        if not disabled:
            _bring_back(run, change)
        change.finish_as(
            not disabled,
            lambda connection, start: _note_left(
                connection, run, start if disabled else None
            ),
            _beside(
                shared.halted(moves),
                lacking,
                _not_home(run, change, moves),
                down,
                kept,
            ),
        )


def _check_way(run: compute_run.Run, change: enabling.Change) -> None:
    """Whether guests can come back over the network that was asked for.

    Not in a run that is given up: what it cannot take is told by each move.

    :raises outcomes.Failed: they cannot; nothing is done.
    """
    asked = run.operation.parameters
    network = asked.get('network')
    begun = asked.get('asked') or db_operations.PART_OF in asked
    if not network or not asked.get('restore') or begun:
        return
    ends = {run.host_name} | {
        str(move.target)
        for move in run.held.read(lambda c: shared.away(c, run))
    }
    bound = run.held.read(
        lambda connection: db_hosts.get_all(connection, run.aggregate_id)
    )
    names = {host.uuid: host.name for host in bound if host.name in ends}
    session = change.session
    known = facts.Known(
        {name: session.records(name) for name in ways.CLASSES}, session.host
    )
    refs = {
        ref: names[host['uuid']]
        for ref, host in known.records['host'].items()
        if host['uuid'] in names
    }
    way = ways.Way(known, change.listed.ref, refs, network)
    problems = preflight.evaluate(ways.RULES, way)
    if problems:
        raise outcomes.refuse(
            f'Host {run.host_name} stays in maintenance:',
            preflight.Report(blockers=problems),
        )


def _plug(
    run: compute_run.Run, change: enabling.Change
) -> dict[str, Any] | None:
    """Plug what storage the host had before, and has not found again.

    :returns: what it lacks all the same; it takes guests without it.
    :raises outcomes.Watching: something was plugged, or was not to be.
    """
    history = run.held.read(lambda connection: shared.history(connection, run))
    before = {
        uuid
        for operation in wanted.since_it_left(history)
        for uuid in operation.parameters.get(shared.STORAGE, ())
    }
    pbds = shared.storage(change.session, change.listed.ref, False)
    lacking = {uuid: pbds[uuid] for uuid in pbds.keys() & before}
    said = shared.plug(run, change.login, lacking)
    if said:
        raise shared.look_again(run, said)
    if not lacking:
        return None
    return {
        'code': shared.NOT_WHOLE,
        'parameters': {'pbds': sorted(lacking)},
        'message': f'Host {run.host_name} takes guests without storage that '
        f'it had: {shared.describe_unplugged(run, lacking)}.',
    }


def _enable(run: compute_run.Run, change: enabling.Change) -> None:
    """Enable the host; where it cannot be, it is in maintenance as before."""
    try:
        change.enable()
    except outcomes.Failed:
        gone = run.held.read(lambda connection: shared.away(connection, run))
        with contextlib.suppress(outcomes.Postpone):
            change.write_keys([move.guest_uuid for move in gone])
        raise


def _beside(*told: dict[str, Any] | None) -> dict[str, Any] | None:
    """All that could not be done, under the code of the first."""
    found = [entry for entry in told if entry]
    if not found:
        return None
    message = ' '.join(entry['message'] for entry in found)
    return {**found[0], 'message': message}


def _not_home(
    run: compute_run.Run,
    change: enabling.Change,
    moves: Sequence[records.Move],
) -> dict[str, Any] | None:
    """Who was to come back and has not, if anybody.

    :param moves: home, all of which have ended.
    """
    last = {move.guest_uuid: move for move in moves}
    away = {
        uuid: move
        for uuid, move in last.items()
        if move.state != db_moves.COMPLETED and not move.has_halted
    }
    if not away:
        return None
    host = run.host()
    told = [
        shared.not_home(move, str(move.source), host.name, move.error)
        for record in change.session.records('VM').values()
        if (move := away.get(record['uuid']))
        and change.where(record['resident_on']) not in (None, host.uuid)
    ]
    if not told:
        return None
    return {
        'code': shared.LEFTOVERS,
        'message': text.listed(told, shared.MOST_TOLD, ' '),
    }


def _note_left(
    connection: Any, run: compute_run.Run, start: float | None
) -> None:
    """Unless it is to be in maintenance again, by a request just now.

    :param start: of its xapi, where it stays disabled.
    """
    values: dict[str, Any] = {'disabled_start': start}
    found = db_hosts.get(connection, run.host_name)
    if found.maintenance == records.LEAVING:
        values |= {'maintenance': None, 'maintenance_of': None}
    db_hosts.update(connection, run.host_name, values)


def _start_again(
    run: compute_run.Run, change: enabling.Change, enabled: bool
) -> dict[str, Any] | None:
    """Start what was shut down for the maintenance, before moves come home.

    :param enabled: whether the host takes guests.
    :returns: who stays down, if anybody does.
    :raises outcomes.Watching: guests are on their way up.
    """
    history = run.held.read(lambda connection: shared.history(connection, run))
    guests = wanted.halted([o for o in history if o.id != run.operation.id])
    told = []
    asked = run.operation.parameters
    if enabled and (asked.get('restore') or asked.get('start')):
        starting = downtime.Downtime(run, change)
        starting.follow()
        if starting.start_again(guests):
            run.note(step='guests are started again', progress=30)
            raise shared.watch(run, 'Guests are started again.')
        entries = downtime.find(run).values()
        told = [
            e['error']['message']
            for e in entries
            if e['state'] == wanted.FAILED
        ]
    elif guests:
        names = shared.names([e['name'] for e in guests.values()])
        told = [f'Guests were shut down, and are not started: {names}.']
    if not told:
        return None
    return {
        'code': downtime.STAYS_DOWN,
        'message': text.listed(told, shared.MOST_TOLD, ' '),
    }


def _bring_back(run: compute_run.Run, change: enabling.Change) -> None:
    """Move home what was moved away, the last first.

    What somebody else has moved since, or stopped, stays as it is.

    :raises outcomes.Watching: guests are on their way.
    """
    if not run.operation.parameters.get('restore'):
        return
    if not run.operation.parameters.get('asked'):
        _ask_back(run, change)
    if shared.still_open(shared.moves_of(run)):
        raise shared.watch(run, 'Guests are to come back.')


def _ask_back(run: compute_run.Run, change: enabling.Change) -> None:
    """Queue the moves home."""
    name = run.host_name
    guests = {
        record['uuid']: (record, change.where(record['resident_on']))
        for record in change.session.records('VM').values()
        if record['power_state'] == 'Running'
    }

    def work(connection: Any) -> None:
        asked = dataclasses.asdict(run.operation)
        names = {
            host.uuid: host.name
            for host in db_hosts.get_all(connection, run.aggregate_id)
        }
        taken = shared.taken(connection, run)
        for move in reversed(shared.away(connection, run)):
            record, there = guests.get(move.guest_uuid, (None, None))
            host = names.get(there) if there else None
            if record is None or host is None or host != move.target:
                continue
            if move.guest_uuid in taken:
                continue
            guest = shared.guest(run, record, host)
            db_moves.insert(
                connection,
                uuidutils.generate_uuid(),
                guest,
                asked,
                name,
                run.operation.id,
            )
        parameters = {**run.operation.parameters, 'asked': True}
        db_operations.update(
            connection, run.operation.id, {'parameters': parameters}
        )

    shared.queue(run, work)
