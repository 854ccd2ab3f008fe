"""Bringing guests home when the hosts of a pool have been restarted.

Once, at the end, and only those that were moved by this and that nobody has
moved since, in the reverse of the order in which they left (design#rolling).
"""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from oslo_utils import uuidutils

from aggregates_ext.compute.maintenance import shared
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records

# A guest for which there was no room may have it when others are home.
MOST_PASSES = 10
# The parameter that tells how often guests were sent home.
PASSES = 'passes'


@dataclasses.dataclass(frozen=True)
class _Away:
    """A guest that does not run where it ran when it all began.

    :ivar home: name of the host that it left first.
    :ivar last: the last move by which it came to where it is.
    """

    home: str
    last: records.Move


def bring(
    run: compute_run.Run, session: xenapi.Session, view: views.PoolView
) -> list[str]:
    """Move guests home, as far as they can.

    :param session: at the master.
    :returns: who is not at home and why, in sentences.
    :raises outcomes.Watching: they are on their way.
    """
    if not run.operation.parameters.get('restore'):
        return []
    moves = _moves(run)
    own = [move for move in moves if move.operation_id == run.operation.id]
    over = run.elapsed() >= shared.MOVES_EACH * run.options.move_timeout
    waiting = shared.still_open(moves)
    if waiting and over:
        shared.stop(run)
    elif waiting:
        told = shared.names([move.guest_name for move in waiting])
        run.note(step=f'{len(waiting)} guest(s) to come home', progress=97)
        raise shared.watch(run, f'Guests come home: {told}.')
    names = {host.uuid: host.name for host in masters.bound(run)}
    names_of = {seen.ref: names.get(seen.uuid) for seen in view.hosts.values()}
    guests = {
        vm['uuid']: (vm, names_of.get(vm['resident_on']))
        for vm in session.records('VM').values()
        if vm['power_state'] == 'Running'
    }
    away = _away(moves, guests)
    passes = int(run.operation.parameters.get(PASSES, 0))
    tried = passes and not _helps(run, own)
    halted = shared.halted(own)
    if away and passes < MOST_PASSES and not (tried or over or halted):
        _send_home(run, away, guests)
    lost = [str(halted['message'])] if halted else []
    return lost + [_told(one, moves) for one in away]


def owed(run: compute_run.Run) -> str | None:
    """Who has left his home by it, and comes back at its end or never.

    Those of the present host, which is in maintenance, come back when it
    leaves that, whoever asks.

    :returns: their names and homes, in words; None: nobody.
    """
    if not run.operation.parameters.get('restore'):
        return None
    left = records.Rolling.left(run.operation)
    waits = {h.name for h in masters.bound(run) if h.maintenance} & set(left)
    homes, last = _legs(_moves(run))
    away = [
        f'"{last[uuid].guest_name}" of host {home}'
        for uuid, home in homes.items()
        if last[uuid].target != home and home not in waits
    ]
    return str(text.listed(away, shared.MOST_TOLD)) or None


def _legs(
    moves: Sequence[records.Move],
) -> tuple[dict[str, str], dict[str, records.Move]]:
    """Which host each guest has left first, and its last move."""
    homes: dict[str, str] = {}
    last: dict[str, records.Move] = {}
    for move in moves:
        if move.state == db_moves.COMPLETED:
            homes.setdefault(move.guest_uuid, str(move.source))
            last[move.guest_uuid] = move
    return homes, last


def _moves(run: compute_run.Run) -> list[records.Move]:
    """All moves that are a part of it, in order."""
    keys = records.Rolling.movers(run.operation)
    return run.held.read(
        lambda connection: db_moves.of_operations(connection, keys)
    )


def _away(
    moves: Sequence[records.Move],
    guests: Mapping[str, tuple[Any, str | None]],
) -> list[_Away]:
    """Who is where he was sent and not at home; who left last is the first."""
    homes, last = _legs(moves)
    found = []
    for uuid in reversed(homes):
        _vm, here = guests.get(uuid, (None, None))
        if here == last[uuid].target and here != homes[uuid]:
            found.append(_Away(homes[uuid], last[uuid]))
    return found


def _helps(run: compute_run.Run, own: Sequence[records.Move]) -> bool:
    """Whether another pass may come further than the last one."""
    done = sum(move.state == db_moves.COMPLETED for move in own)
    return done > int(run.operation.parameters.get('came', 0))


def _send_home(
    run: compute_run.Run,
    away: Sequence[_Away],
    guests: Mapping[str, tuple[Any, str | None]],
) -> None:
    """Queue the moves home.

    :raises outcomes.Watching: they are on their way.
    """
    asked = run.operation.parameters

    def work(connection: Any) -> None:
        taken = shared.taken(connection, run)
        own = db_moves.of_operation(connection, run.operation.id)
        for one in away:
            uuid = one.last.guest_uuid
            if uuid in taken:
                continue
            record, here = guests[uuid]
            guest = shared.guest(run, record, str(here))
            db_moves.insert(
                connection,
                uuidutils.generate_uuid(),
                guest,
                dataclasses.asdict(run.operation),
                one.home,
                run.operation.id,
            )
        came = sum(move.state == db_moves.COMPLETED for move in own)
        known = {PASSES: asked.get(PASSES, 0) + 1, 'came': came}
        db_operations.update(
            connection, run.operation.id, {'parameters': {**asked, **known}}
        )

    shared.queue(run, work)
    raise shared.watch(run, 'Guests are to come home.')


def _told(one: _Away, moves: Sequence[records.Move]) -> str:
    """Who is not at home, and why."""
    failed = [
        move
        for move in moves
        if move.guest_uuid == one.last.guest_uuid and move.wanted == one.home
    ]
    error = failed[-1].error if failed else None
    return shared.not_home(one.last, str(one.last.target), one.home, error)
