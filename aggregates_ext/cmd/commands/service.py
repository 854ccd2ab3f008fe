"""aggregates-ext-manage service: the compute services, by their heartbeats."""

import datetime
import json
from typing import Any

from aggregates_ext.cmd.commands import group
from aggregates_ext.domain import services


def register(subparsers: Any) -> None:
    """Add the group to the command line."""
    actions = group.add_group(subparsers, 'service', 'the compute services')
    every = group.add_command(
        actions, 'list', 'which are alive; 1 when none is', show_all
    )
    every.add_argument('--json', action='store_true')


def show_all(tools: group.Tools) -> int:
    """Print each service, and when it was last heard of."""
    known = services.Services(tools.database)
    found = known.get_all()
    if tools.asked.json:
        print(json.dumps([_shown(beat) for beat in found]))
    else:
        for beat in found:
            shown = _shown(beat)
            print(
                f'{shown["uuid"]} {shown["host"]} {shown["state"]} '
                f'seen {beat.age:.0f} s ago, started {shown["started_at"]}'
            )
        print(known.describe())
    return 0 if any(beat.alive for beat in found) else 1


def _shown(beat: services.Beat) -> dict[str, Any]:
    return {
        'uuid': beat.service.uuid,
        'host': beat.service.host,
        'state': 'up' if beat.alive else 'down',
        'seen_at': _moment(beat.service.seen_at),
        'started_at': _moment(beat.service.started_at),
    }


def _moment(seconds: float) -> str:
    found = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f'{found:%Y-%m-%d %H:%M:%S}'
