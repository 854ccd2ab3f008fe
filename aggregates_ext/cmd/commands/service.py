"""aggregates-ext-manage service: the compute services, by their heartbeats."""

import datetime
import json
from typing import Any

from aggregates_ext.cmd.commands import group
from aggregates_ext.cmd.commands import tables
from aggregates_ext.domain import services

COLUMNS = ('uuid', 'host', 'state', 'seen_at', 'started_at')


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
        rows = [_shown(beat).values() for beat in found]
        print(tables.draw(COLUMNS, map(list, rows)))
        print(known.describe())
    return 0 if any(beat.alive for beat in found) else 1


def _shown(beat: services.Beat) -> dict[str, str]:
    """A service, by the columns."""
    cells = (
        beat.service.uuid,
        beat.service.host,
        'up' if beat.alive else 'down',
        _moment(beat.service.seen_at),
        _moment(beat.service.started_at),
    )
    return dict(zip(COLUMNS, cells, strict=True))


def _moment(seconds: float) -> str:
    found = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f'{found:%Y-%m-%dT%H:%M:%S}'
