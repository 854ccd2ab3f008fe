"""Whoever holds an aggregate and writes something writes its row.

The lock of a row reaches no other node of a Galera cluster. There two
transactions exclude each other by a row that both have written, so one that
only locks it decides by what another changes at the same moment.
"""

import re
from typing import Any

import sqlalchemy as sa

# What a transaction has done, in the information that its connection has.
_HELD, _WRITTEN = 'tests.held', 'tests.written'
_WRITES = re.compile(r'\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)')


def watch() -> None:
    """Let a COMMIT fail that breaks the rule, on all engines to come."""
    sa.event.listen(sa.Engine, 'begin', _begin)
    sa.event.listen(sa.Engine, 'after_cursor_execute', _note)
    sa.event.listen(sa.Engine, 'commit', _check)


def _begin(connection: sa.Connection) -> None:
    connection.info[_HELD], connection.info[_WRITTEN] = False, set()


def _note(
    connection: sa.Connection,
    cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    many: bool,
) -> None:
    if _HELD not in connection.info:
        # Of an engine without transactions.
        return
    compiled = getattr(context, 'compiled', None)
    stated = getattr(compiled, 'statement', None)
    # SQLite's own text has no FOR UPDATE.
    if getattr(stated, '_for_update_arg', None) is not None:
        connection.info[_HELD] = True
    found = _WRITES.match(statement)
    if found and cursor.rowcount:
        connection.info[_WRITTEN].add(found[1])


def _check(connection: sa.Connection) -> None:
    written = connection.info.get(_WRITTEN, set())
    held = connection.info.get(_HELD, False)
    assert not held or not written or 'aggregates' in written, (
        f'a row of aggregates is locked, and only {written} written: '
        'call aggregates.mark'
    )
