"""Compute services: which of them are alive, and what it means if none is."""

import dataclasses
from typing import Any

from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.db import services as db_services
from aggregates_ext.db.engine import engine


@dataclasses.dataclass(frozen=True)
class Beat:
    """A compute service, and how long ago it was heard of.

    :ivar age: seconds.
    """

    service: records.Service
    alive: bool
    age: float


class Services:
    """All compute services that are known of."""

    def __init__(self, database: engine.Database) -> None:
        self._database = database

    def get_all(self) -> list[Beat]:
        """Those that work, and those that have died not long ago."""
        with self._database.reader() as connection:
            found, now = db_services.get_all(connection)
        return [
            Beat(
                service,
                service.alive_until >= now,
                max(0.0, now - service.seen_at),
            )
            for service in found
        ]

    def describe(self) -> str:
        """Who is alive, in one sentence; names of machines are told."""
        found = self.get_all()
        alive = sorted({beat.service.host for beat in found if beat.alive})
        if not alive:
            return lack([beat.age for beat in found])
        count = sum(beat.alive for beat in found)
        return f'{count} compute service(s) alive, on {", ".join(alive)}.'


def lack(ages: list[float]) -> str:
    """What to say when no compute service is alive.

    :param ages: seconds since each that is known was heard of.
    """
    if not ages:
        return 'No compute service runs: start aggregates-ext-compute.'
    return (
        f'No compute service has looked for {_rough(min(ages))}: start '
        'aggregates-ext-compute, or see its log.'
    )


def _rough(seconds: float) -> str:
    """Not another text each second."""
    return f'{seconds // 10 * 10:.0f} s'


def is_waiting(operation: records.Operation) -> bool:
    """Whether it is a compute service's turn."""
    return operation.state in db_operations.UNFINISHED


def tell(
    connection: Any, found: list[records.Operation]
) -> list[records.Operation]:
    """Operations with a step that says so where nobody takes them up.

    What is stored is what the last compute service wrote.
    """
    if not any(map(is_waiting, found)):
        return found
    return tell_by(*db_services.last_seen(connection), found)


def tell_by(
    alive: bool, age: float | None, found: list[records.Operation]
) -> list[records.Operation]:
    """The same where it is known who was seen last.

    :param alive: whether any compute service is.
    :param age: seconds since one was heard of; None: none is known.
    """
    if alive:
        return found
    said = 'no compute service runs'
    if age is not None:
        said = f'no compute service has looked for {_rough(age)}'
    return [
        dataclasses.replace(operation, step=_step(operation, said))
        if is_waiting(operation)
        else operation
        for operation in found
    ]


def _step(operation: records.Operation, said: str) -> str:
    if operation.step is None:
        return f'waiting: {said}'
    return f'{operation.step} ({said})'
