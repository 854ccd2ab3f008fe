"""aggregates-ext-manage status: every pool in one picture."""

import argparse
import datetime
import json
import time
from typing import Any

from rich import console as consoles
from rich import live
from rich import text as texts
from rich import tree

from aggregates_ext import exception
from aggregates_ext.cmd.commands import group
from aggregates_ext.cmd.commands import health
from aggregates_ext.cmd.commands import picture
from aggregates_ext.cmd.commands import tables
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import records
from aggregates_ext.db.outbox import queue
from aggregates_ext.domain import overview
from aggregates_ext.domain import services

NAME = 'status'
# Seconds between two pictures.
INTERVAL = 5.0
SHORTEST = 0.1
LONGEST = 86_400.0
# What may be shown of a host by its pool alone.
_SHOWN = ('live', 'enabled')


def register(subparsers: Any) -> None:
    """Add the command to the command line."""
    parser = group.add_command(
        subparsers,
        NAME,
        'every pool in one picture; 0 well, 1 warning, 2 critical, 3 unknown',
        show,
        refused=health.UNKNOWN,
    )
    parser.add_argument('--json', action='store_true')
    parser.add_argument(
        '--watch',
        type=_interval,
        nargs='?',
        const=INTERVAL,
        metavar='SECONDS',
        help=f'draw it again and again, until Ctrl-C; {INTERVAL:.0f} if none '
        'are given',
    )


def _interval(text: str) -> float:
    """Seconds of the command line.

    :raises argparse.ArgumentTypeError: nobody would wait so long.
    """
    seconds = float(text)
    if not SHORTEST <= seconds <= LONGEST:
        raise argparse.ArgumentTypeError(
            f'{text[:40]!r} is not from {SHORTEST} to {LONGEST:.0f}'
        )
    return seconds


class Status:
    """Reads all there is, and tells it.

    :param tools: what the command works on.
    """

    def __init__(self, tools: group.Tools) -> None:
        interval = tools.conf.compute.observe_interval
        self._overview = overview.Overview(tools.database, interval)
        self._services = services.Services(tools.database)
        self._database = tools.database
        self._tells = tools.conf.notifications.enabled

    def draw(self) -> tuple[int, tree.Tree | texts.Text]:
        """The level, and the picture."""
        try:
            found = self._read()
        except exception.AggregatesError as exc:
            line = f'UNKNOWN: {_sentence(exc)}'
            return health.UNKNOWN, texts.Text(
                line, picture.STYLES[health.UNKNOWN]
            )
        return found.level, picture.draw(found)

    def write(self) -> tuple[int, str]:
        """The level, and the same for a program."""
        try:
            found = self._read()
        except exception.AggregatesError as exc:
            told = {
                'status': health.LEVELS[health.UNKNOWN],
                'code': health.UNKNOWN,
                'summary': _sentence(exc),
            }
            return health.UNKNOWN, json.dumps(told)
        return found.level, json.dumps(_report(found))

    def _read(self) -> health.Report:
        """:raises exception.Unavailable: the database cannot be read."""
        return health.report(
            self._overview.get_all(),
            self._services.get_all(),
            self._backlog(),
            self._moves(),
        )

    def _moves(self) -> list[records.Move]:
        with self._database.reader() as connection:
            return db_moves.unresolved(connection)

    def _backlog(self) -> queue.Backlog | None:
        if not self._tells:
            return None
        with self._database.reader() as connection:
            return queue.backlog(connection)


def show(tools: group.Tools) -> int:
    """Print every pool, once or until somebody ends it; the worst level."""
    status, seconds = Status(tools), tools.asked.watch
    if tools.asked.json:
        while True:
            level, line = status.write()
            print(line, flush=True)
            if seconds is None:
                return level
            time.sleep(seconds)
    console = picture.console()
    if seconds is None:
        level, shown = status.draw()
        console.print(shown)
        return level
    if not console.is_terminal or console.is_dumb_terminal:
        while True:
            console.print(_titled(status))
            console.print()
            time.sleep(seconds)
    with live.Live(console=console, screen=True, auto_refresh=False) as screen:
        while True:
            screen.update(_titled(status), refresh=True)
            time.sleep(seconds)


def _titled(status: Status) -> consoles.Group:
    """A picture under the time at which it was made."""
    _level, shown = status.draw()
    now = datetime.datetime.now(datetime.timezone.utc)
    return consoles.Group(
        texts.Text(f'{now:%Y-%m-%d %H:%M:%S} UTC', 'dim'), shown
    )


def _sentence(exc: exception.AggregatesError) -> str:
    """What keeps the database from being read, in a line."""
    detail = exc.detail if isinstance(exc, exception.Unavailable) else ''
    return tables.harmless(' '.join(f'{exc} {detail}'.split()))


def _report(report: health.Report) -> dict[str, Any]:
    return {
        'status': health.LEVELS[report.level],
        'code': report.level,
        'summary': picture.summary(report),
        'compute_services': list(report.alive),
        'notifications': _backlog(report.backlog),
        'findings': [_finding(finding) for finding in report.findings],
        'pools': [_pool(checked) for checked in report.pools],
    }


def _backlog(found: queue.Backlog | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {'waiting': found.number, 'since': _moment(found.since)}


def _pool(checked: health.Checked) -> dict[str, Any]:
    pool, aggregate = checked.pool, checked.pool.aggregate
    return {
        'aggregate': aggregate.id,
        'name': aggregate.name,
        'status': health.LEVELS[checked.level],
        'uuid': aggregate.pool_uuid,
        'state': pool.state,
        'wrong_since': _moment(pool.wrong_since),
        'master': pool.master,
        'seen_at': _moment(pool.seen.seen_at),
        'looked_at': _moment(aggregate.observed_at),
        'phases': pool.phases,
        'hosts': [
            {
                'name': host.name,
                'phase': host.phase,
                'maintenance': host.maintenance or 'off',
                **{name: pool.shown(host, name) for name in _SHOWN},
            }
            for host in pool.hosts
        ],
        'operations': [
            {
                'uuid': operation.uuid,
                'kind': operation.kind,
                'host': operation.host,
                'state': operation.state,
                'step': operation.step,
                'progress': operation.progress,
                'since': _moment(overview.moment(operation)),
                'message': (operation.error or {}).get('message'),
            }
            for operation in pool.standing
        ],
        'findings': [_finding(finding) for finding in checked.findings],
    }


def _finding(finding: health.Finding) -> dict[str, Any]:
    return {
        **finding._asdict(),
        'level': health.LEVELS[finding.level],
        'since': _moment(finding.since),
    }


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    found = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f'{found:%Y-%m-%dT%H:%M:%S}'
