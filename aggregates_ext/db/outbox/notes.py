"""What a transaction tells: noted while it goes on, written as its last.

So each is written with what it tells, or not at all, and shows that as the
transaction leaves it; and all that one transaction tells is one statement
(design#notifications). Where nothing is told a note costs a look.

Who sends them is ordered by the ids. All notes on one aggregate are made
while its row is held, so theirs are in the order of the changes.
"""

import dataclasses
import socket
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from oslo_context import context
from oslo_utils import timeutils
from oslo_utils import uuidutils

from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models

_TABLE = models.notifications
_AGGREGATES = models.aggregates
_HOSTS = models.hosts
# By which a transaction finds its notes.
KEY = 'aggregates_ext.notes'
AGGREGATE = 'aggregate'
SERVICE = 'service'
# What Nova has not is told under the name of the project.
OURS = 'aggregates_ext'
DRIFT, MOVE = 'drift', 'move'
# Rows of one statement, which may have so many values.
AT_ONCE = 500
START, END, ERROR = 'start', 'end', 'error'
# What oslo.log writes where there is no request.
_NO_REQUEST = '-'
_COLON: Any = sa.literal_column("':'")
_COMMA: Any = sa.literal_column("','")
_MACHINE = socket.gethostname()


@dataclasses.dataclass(frozen=True)
class Note:
    """Something to be told.

    :ivar subject: id of an aggregate; None: it is about a host alone.
    :ivar host: name of the host that it is about.
    :ivar which: uuid of what it is about beyond that.
    """

    object: str
    action: str
    phase: str | None
    subject: int | None
    host: str | None = None
    which: str | None = None


class Notes:
    """The notes of one transaction, in order; told twice, one is kept."""

    def __init__(self) -> None:
        self._found: dict[Note, dict[str, Any]] = {}

    def add(self, note: Note, details: Mapping[str, Any]) -> None:
        """Keep a note; what is told of it by several is put together."""
        self._found.setdefault(note, {}).update(details)

    def take_back(self, note: Note) -> None:
        """Let one not be told."""
        self._found.pop(note, None)

    def __contains__(self, note: Note) -> bool:
        return note in self._found

    def __iter__(self) -> Iterator[Note]:
        return iter(self._found)

    def __call__(self, connection: sa.Connection) -> None:
        """Write all that is noted so far, by one statement if it can be."""
        rows = [_row(note, known) for note, known in self._found.items()]
        self._found.clear()
        for first in range(0, len(rows), AT_ONCE):
            part = rows[first : first + AT_ONCE]
            connection.execute(sa.insert(_TABLE).values(part))


def of(connection: sa.Connection) -> Notes | None:
    """The notes of the transaction; None: nothing is told."""
    last: engine.Last | None = connection.info.get(engine.LAST)
    if last is None:
        return None
    found = last.setdefault(KEY, Notes())
    return found if isinstance(found, Notes) else None


def begin(
    connection: sa.Connection,
    aggregate_id: int,
    action: str,
    host: str | None = None,
    **details: Any,
) -> None:
    """Something begins that an operation will end, or that fails."""
    notes = of(connection)
    if notes is not None:
        start = Note(AGGREGATE, action, START, aggregate_id, host)
        notes.add(start, details)
        notes.take_back(dataclasses.replace(start, phase=END))


def end(
    connection: sa.Connection,
    aggregate_id: int,
    action: str,
    host: str | None = None,
    **details: Any,
) -> None:
    """It has come about, unless the same transaction says that it failed."""
    notes = of(connection)
    if notes is not None:
        done = Note(AGGREGATE, action, END, aggregate_id, host)
        if dataclasses.replace(done, phase=ERROR) not in notes:
            notes.add(done, details)


def fail(
    connection: sa.Connection,
    aggregate_id: int,
    action: str,
    host: str | None = None,
    **details: Any,
) -> None:
    """It has come to nothing."""
    notes = of(connection)
    if notes is not None:
        note = Note(AGGREGATE, action, ERROR, aggregate_id, host)
        notes.add(note, details)


def happen(
    connection: sa.Connection,
    aggregate_id: int,
    action: str,
    host: str | None = None,
) -> None:
    """It comes about at once; an operation that ends with it has begun it."""
    notes = of(connection)
    if notes is not None:
        done = Note(AGGREGATE, action, END, aggregate_id, host)
        if done not in notes:
            notes.add(dataclasses.replace(done, phase=START), {})
        notes.add(done, {})


def serve(
    connection: sa.Connection, host: str, action: str, *, now: bool = False
) -> None:
    """The service of a host was created, updated or is to be deleted.

    :param now: written as it is now, and not as the transaction leaves it.
    """
    notes = of(connection)
    if notes is not None:
        notes.add(Note(SERVICE, action, None, None, host), {})
        if now:
            notes(connection)


def drift(
    connection: sa.Connection, aggregate_id: int, **details: Any
) -> None:
    """A pool differs otherwise than before from what it should be."""
    notes = of(connection)
    if notes is not None:
        notes.add(Note(OURS, DRIFT, None, aggregate_id), details)


def move(
    connection: sa.Connection,
    aggregate_id: int,
    uuid: str,
    phase: str,
    **details: Any,
) -> None:
    """The move of a guest has begun, or has ended, so or so."""
    notes = of(connection)
    if notes is not None:
        note = Note(OURS, MOVE, phase, aggregate_id, which=uuid)
        notes.add(note, {'move': uuid, **details})


def _row(note: Note, details: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a note; what it is about is read by the INSERT."""
    return {
        'uuid': uuidutils.generate_uuid(),
        'object': note.object,
        'action': note.action,
        'phase': note.phase,
        'machine': _MACHINE,
        'created_at': timeutils.utcnow(),
        'host': note.host,
        'details': dict(details) or None,
        'context': _context(),
        **dict.fromkeys(_READ),
        **(_service(note) if note.object == SERVICE else _aggregate(note)),
    }


# The columns that are read, of whatever it is.
_READ = (
    'aggregate_id',
    'aggregate_uuid',
    'name',
    'availability_zone',
    'metadata',
    'hosts',
    'host_id',
    'registered_at',
    'service',
    'disabled_reason',
    'seen_at',
)


def _aggregate(note: Note) -> dict[str, Any]:
    def read(column: str) -> Any:
        return (
            sa.select(_AGGREGATES.c[column])
            .where(_AGGREGATES.c.id == note.subject)
            .scalar_subquery()
        )

    return {
        'aggregate_id': note.subject,
        'aggregate_uuid': read('uuid'),
        'name': read('name'),
        'availability_zone': read('availability_zone'),
        'metadata': read('metadata'),
        'hosts': sa.select(
            sa.func.aggregate_strings(
                _HOSTS.c.name + _COLON + _HOSTS.c.phase, _COMMA
            )
        )
        .where(_HOSTS.c.aggregate_id == note.subject)
        .scalar_subquery(),
    }


def _service(note: Note) -> dict[str, Any]:
    """The host; its zone is that of its aggregate, where that has one."""

    def read(column: Any) -> Any:
        return (
            sa.select(column)
            .select_from(_HOSTS)
            .where(_HOSTS.c.name == note.host)
            .scalar_subquery()
        )

    home = (
        sa.select(_AGGREGATES.c.availability_zone)
        .where(_AGGREGATES.c.id == _HOSTS.c.aggregate_id)
        .correlate(_HOSTS)
        .scalar_subquery()
    )
    return {
        'host_id': read(_HOSTS.c.id),
        'registered_at': read(_HOSTS.c.created_at),
        'service': read(_HOSTS.c.service),
        'disabled_reason': read(_HOSTS.c.disabled_reason),
        'seen_at': read(_HOSTS.c.seen_at),
        'availability_zone': read(
            sa.func.coalesce(home, _HOSTS.c.availability_zone)
        ),
    }


def _context() -> dict[str, Any] | None:
    """Who asked, where a request or an operation is under way."""
    known = context.get_current()
    if known is None or known.request_id == _NO_REQUEST:
        return None
    return {
        'request_id': known.request_id,
        'global_request_id': known.global_request_id,
        'user_id': known.user_id,
        'project_id': known.project_id,
    }
