"""The statements on compute services: their heartbeats.

Who writes one says itself until when it counts, by the clock of the database.
"""

import dataclasses

import sqlalchemy as sa

from aggregates_ext.db import fitting
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models

_TABLE = models.services
_FIELDS = [field.name for field in dataclasses.fields(records.Service)]
_COLUMNS = [_TABLE.c[name] for name in _FIELDS]
# Seconds for which one that has died is still told of.
KEPT = 86_400.0


def beat(
    connection: sa.Connection, uuid: str, host: str, lifetime: float
) -> None:
    """Say that a service works, and until when that counts.

    The first beat of one takes the place of the dead of its machine, and of
    all that died long ago.

    :param host: the machine that it runs on.
    :param lifetime: seconds.
    """
    now = engine.read_clock(connection)
    lives = {'seen_at': now, 'alive_until': now + lifetime}
    result = connection.execute(
        sa.update(_TABLE).where(_TABLE.c.uuid == uuid).values(**lives)
    )
    if result.rowcount:
        return
    machine = fitting.fit_columns(_TABLE, {'host': host})['host']
    connection.execute(
        sa.delete(_TABLE).where(
            _TABLE.c.alive_until < now,
            sa.or_(
                _TABLE.c.host == machine, _TABLE.c.alive_until < now - KEPT
            ),
        )
    )
    connection.execute(
        sa.insert(_TABLE).values(
            uuid=uuid, host=machine, started_at=now, **lives
        )
    )


def delete(connection: sa.Connection, uuid: str) -> None:
    """Forget a service that has ended as it should."""
    connection.execute(sa.delete(_TABLE).where(_TABLE.c.uuid == uuid))


def get_all(
    connection: sa.Connection,
) -> tuple[list[records.Service], float]:
    """All services by machine, and the database's clock."""
    rows = connection.execute(
        sa.select(*_COLUMNS, engine.now().label('now')).order_by(
            _TABLE.c.host, _TABLE.c.id
        )
    ).all()
    found = [
        records.Service(**dict(zip(_FIELDS, row[:-1], strict=True)))
        for row in rows
    ]
    return found, float(rows[0].now) if rows else 0.0


# For how long the last heartbeat still counts, and how long ago it was.
_LAST = (
    sa.func.max(_TABLE.c.alive_until) - engine.now(),
    engine.now() - sa.func.max(_TABLE.c.seen_at),
)
# The same for a statement about something else.
LAST = [sa.select(value).scalar_subquery() for value in _LAST]


def last_seen(
    connection: sa.Connection,
) -> tuple[bool, float | None]:
    """Whether any service is alive, and for how long none has been seen.

    :returns: seconds; None: none is known of.
    """
    return judge(*connection.execute(sa.select(*_LAST)).one())


def judge(left: float | None, age: float | None) -> tuple[bool, float | None]:
    """What ``LAST`` says, as ``last_seen`` does."""
    if left is None or age is None:
        return False, None
    return left >= 0, max(0.0, float(age))
