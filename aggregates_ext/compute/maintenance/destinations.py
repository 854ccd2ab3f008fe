"""Where guests had best go while the hosts of a pool restart in turn.

Chosen anew when a host's turn comes, by the rules by which the whole run is
rehearsed (design#rolling-plan).
"""

from collections.abc import Mapping
from collections.abc import Sequence

from aggregates_ext.compute.rules.evacuating import evacuation
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import hosts
from aggregates_ext.compute.rules.evacuating import planning
from aggregates_ext.compute.rules.evacuating import rehearsal
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records


def choose(run: compute_run.Run, session: xenapi.Session) -> dict[str, str]:
    """Where the guests of a host that is to be emptied had best go.

    :param run: of its way into maintenance; where that is no part of a
        restart of all hosts, any host will do.
    :param session: at the master.
    :returns: names of hosts, by the uuids of guests.
    :raises OddAnswer: it cannot be told.
    """
    asked = run.operation.parameters
    whole = asked.get(db_operations.PART_OF)
    if whole is None:
        return {}
    restart = run.held.read(
        lambda connection: db_operations.get(connection, whole)
    )
    keys = records.Rolling.movers(restart)
    moves, members = run.held.read(
        lambda connection: (
            db_moves.of_operations(connection, keys),
            db_hosts.get_all(connection, run.aggregate_id),
        )
    )
    known = facts.read(session)
    ref = evacuation.find(known, run.host())
    if ref is None:
        return {}
    others = hosts.candidates(known, ref, members)
    refs = {one.host.name: one.host.ref for one in others}
    later = [
        refs[name] for name in records.Rolling.left(restart) if name in refs
    ]
    steps, _ledger = planning.plan(
        known,
        ref,
        others,
        asked.get('shut_down', ()),
        rehearsal.Preference(
            later, later[0] if later else None, _homes(known, refs, moves)
        ),
    )
    return {
        step.guest.uuid: step.target.host.name
        for step in steps
        if step.target is not None
    }


def _homes(
    known: facts.Known,
    refs: Mapping[str, str],
    moves: Sequence[records.Move],
) -> dict[str, str]:
    """The host that each guest has left first, both by reference."""
    homes: dict[str, str] = {}
    for move in moves:
        if move.state == db_moves.COMPLETED:
            homes.setdefault(move.guest_uuid, str(move.source))
    return {
        ref: refs[home]
        for ref, vm in known.records['VM'].items()
        if (home := homes.get(vm['uuid'], '')) in refs
    }
