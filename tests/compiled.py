"""Statements are compiled once for all of the tests' SQLite databases.

SQLAlchemy keeps what it has compiled by engine and dialect. A service has one
of each for as long as it lives, a test has its own, and would compile all
statements again: a tenth of the time of all functional tests.
"""

from typing import Any

from sqlalchemy import util
from sqlalchemy.dialects.sqlite import pysqlite

# More than all statements there are, so that none is pushed out.
KEPT: util.LRUCache[Any, Any] = util.LRUCache(10_000)


def _engine_created(_dialect: Any, engine: Any) -> None:
    engine._compiled_cache = KEPT


def share() -> None:
    """Let the engines of this process use what others have compiled.

    Their dialects have the same driver and options, and count as one.
    """
    dialect: Any = pysqlite.SQLiteDialect_pysqlite
    dialect.engine_created = classmethod(_engine_created)
    dialect.__eq__ = lambda self, other: type(self) is type(other)
    dialect.__hash__ = lambda self: hash(type(self))
