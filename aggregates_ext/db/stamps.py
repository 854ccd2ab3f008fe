"""Stamps: whether anything shown of an aggregate has changed.

Each transaction that changes something shown of an aggregate gives its row
another random number (design#stamps). Who has kept how one looks asks for
its stamp, and for those of all by their count and sum.
"""

import secrets
from typing import Any

import sqlalchemy as sa

from aggregates_ext.db.schema import models

_TABLE = models.aggregates
# SQLite sums in 64 bits and fails beyond: so many bits leave room for a
# million aggregates, and one chance in 10^13 that a change is not seen.
BITS = 43
# Where a transaction notes what it has renewed.
KEY = 'aggregates_ext.stamps'


_LIVES = _TABLE.c.deleted == sa.literal_column('0')
# One that lives, by ``key``.
OF_ONE = sa.select(_TABLE.c.stamp).where(
    _TABLE.c.id == sa.bindparam('key'), _LIVES
)
_RENEW = sa.update(_TABLE).where(
    _TABLE.c.id.in_(sa.bindparam('keys', expanding=True))
)
# How many live, and the sum of their stamps: by an index alone.
OF_ALL = sa.select(sa.func.count(), sa.func.sum(_TABLE.c.stamp)).where(_LIVES)
# The stamps of all in one text: drivers take long over many rows. The comma
# is in the text of the statement, as ``engine.ask`` wants it.
_COMMA: Any = sa.literal_column("','")
OF_EACH = sa.select(
    sa.func.aggregate_strings(sa.cast(_TABLE.c.stamp, sa.String(20)), _COMMA)
).where(_LIVES)


def new() -> int:
    """A stamp that no aggregate has; of all processes, also forked ones."""
    return secrets.randbits(BITS)


def renew(connection: sa.Connection, *aggregate_ids: int) -> None:
    """Something shown of aggregates changes in this transaction.

    Told more than once, a transaction writes it once.
    """
    renewed = _renewed(connection)
    missing = set(aggregate_ids) - renewed
    if missing:
        connection.execute(_RENEW, {'keys': sorted(missing), 'stamp': new()})
        renewed |= missing


def renewed_by_itself(connection: sa.Connection, aggregate_id: int) -> int:
    """A stamp to be written by an UPDATE that is made anyway."""
    note(connection, aggregate_id)
    return new()


def note(connection: sa.Connection, aggregate_id: int) -> None:
    """This transaction has renewed a stamp by an UPDATE of its own."""
    _renewed(connection).add(aggregate_id)


def _renewed(connection: sa.Connection) -> set[int]:
    """The aggregates whose stamps this transaction has renewed."""
    transaction = connection.get_transaction()
    known: tuple[Any, set[int]] | None = connection.info.get(KEY)
    if known is None or transaction is None or known[0] is not transaction:
        known = (transaction, set())
        connection.info[KEY] = known
    return known[1]
