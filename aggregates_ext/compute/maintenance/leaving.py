"""Taking a host out of maintenance: it takes guests, and has its own back.

See design#maintenance.
"""

import dataclasses
from typing import Any

from oslo_utils import uuidutils

from aggregates_ext.compute.maintenance import shared
from aggregates_ext.compute.operations import enabling
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import maintenance as wanted
from aggregates_ext.domain import operations


def leave(run: compute_run.Run) -> None:
    """Let a host take guests again, and bring back those it had.

    That some do not come back is no failure: their moves tell why. None does
    to one that somebody had disabled before, which stays so.

    :raises outcomes.Failed: it takes no guests, as before.
    :raises outcomes.Postpone: to be gone on with.
    """
    if run.host().maintenance != records.LEAVING:
        shared.call_off(run)
        return
    waiting = shared.still_open(shared.moves_of(run))
    if waiting:
        names = shared.names([move.guest_name for move in waiting])
        run.note(step=f'{len(waiting)} guest(s) to come back', progress=50)
        raise shared.watch(run, f'Guests come back: {names}.')
    disabled = run.host().disabled
    with enabling.changing(run) as change:
        if disabled:
            change.disable()
        else:
            change.enable()
            _bring_back(run, change)
        change.finish_as(
            not disabled,
            lambda connection, start: _note_left(
                connection, run, start if disabled else None
            ),
        )


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
        for move in reversed(_away(connection, run)):
            record, there = guests.get(move.guest_uuid, (None, None))
            host = names.get(there) if there else None
            if record is None or host is None or host != move.target:
                continue
            if move.guest_uuid in taken:
                continue
            guest = dataclasses.replace(shared.guest(run, record), host=host)
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


def _away(connection: Any, run: compute_run.Run) -> list[records.Move]:
    """Moves off the host since it last came out of maintenance, by guest."""
    key, name = run.aggregate_id, run.host_name
    history = db_operations.get_all(
        connection, key, kinds=wanted.KINDS, host=name
    )
    ids = []
    # The newest first.
    for operation in history:
        if operation.kind == operations.ENTER_MAINTENANCE:
            ids.append(operation.id)
        elif operation.state == 'succeeded':
            break
    found = {m.guest_uuid: m for m in db_moves.homes(connection, name, ids)}
    return sorted(found.values(), key=lambda move: move.id)
