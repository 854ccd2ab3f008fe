"""aggregates-ext-manage move: moves of guests and their history."""

import json
from typing import Any

from aggregates_ext.cmd.commands import group
from aggregates_ext.cmd.commands import tables
from aggregates_ext.db import records
from aggregates_ext.domain import moves

COLUMNS = (
    'uuid',
    'created',
    'guest',
    'source',
    'target',
    'status',
    '%',
    'reason',
)


def register(subparsers: Any) -> None:
    """Add the group to the command line."""
    actions = group.add_group(
        subparsers, 'move', 'moves of guests and their history'
    )
    every = group.add_command(actions, 'list', 'the newest first', show_all)
    every.add_argument('--status', choices=tuple(moves.STATUSES))
    every.add_argument('--host', help='the host-id, at either end')
    every.add_argument('--guest', metavar='UUID')
    every.add_argument('--limit', type=group.number, default=1000)
    every.add_argument('--json', action='store_true')
    for name, does, command in (
        ('show', 'one move', show),
        ('cancel', 'let one not be made, or call it ended', cancel),
    ):
        group.add_command(actions, name, does, command).add_argument('uuid')


def show_all(tools: group.Tools) -> int:
    """Print moves, the newest first."""
    asked = tools.asked
    found = _moves(tools).listed(
        asked.status, asked.host, asked.guest, asked.limit
    )
    if asked.json:
        print(json.dumps([_shown(move) for move in found]))
        return 0
    print(tables.draw(COLUMNS, map(_row, found)))
    return 0


def _moves(tools: group.Tools) -> moves.Moves:
    return moves.Moves(tools.intent())


def _row(move: records.Move) -> tuple[object, ...]:
    """A move in the columns, with the reason for what it has come to."""
    return (
        move.uuid,
        f'{move.created_at:%Y-%m-%dT%H:%M:%S}',
        move.guest_name,
        move.source,
        move.target or move.wanted,
        moves.status(move),
        move.progress,
        (move.error or {}).get('message'),
    )


def _shown(move: records.Move) -> dict[str, Any]:
    return {
        'uuid': move.uuid,
        'aggregate': move.aggregate_id,
        'guest': move.guest_uuid,
        'guest_name': move.guest_name,
        'source': move.source,
        'target': move.target,
        'wanted': move.wanted,
        'status': moves.status(move),
        'cancelled': move.cancelled,
        'progress': move.progress,
        'attempts': move.attempts,
        'tried': move.tried,
        'error': move.error,
        'request_id': move.request_id,
        'user_id': move.user_id,
        'created_at': str(move.created_at),
        'finished_at': str(move.finished_at or ''),
    }


def show(tools: group.Tools) -> int:
    """Print one move."""
    found = _moves(tools).get(tools.asked.uuid)
    print(json.dumps(_shown(found), indent=2))
    return 0


def cancel(tools: group.Tools) -> int:
    """Let a move not be made, or say that nothing comes of it any more."""
    done = _moves(tools)
    found = done.get(tools.asked.uuid)
    done.abort(found.guest_uuid, found.id, tuple(moves.STATUSES))
    return 0
