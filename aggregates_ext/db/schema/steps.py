"""Steps of revisions that can be begun again.

MySQL and MariaDB commit each change of the schema by itself. What an
interrupted upgrade has left there is taken up by the next: a step that is
done already is left out.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op


def create_table(name: str, *columns: Any, **options: Any) -> None:
    """Create a table, unless it is there."""
    if not sa.inspect(op.get_bind()).has_table(name):
        op.create_table(name, *columns, **options)


def create_index(name: str, table: str, columns: Sequence[str]) -> None:
    """Create an index, unless it is there."""
    found = sa.inspect(op.get_bind()).get_indexes(table)
    if name not in [index['name'] for index in found]:
        op.create_index(name, table, list(columns))


def drop_index(name: str, table: str) -> None:
    """Drop an index, unless it is gone."""
    found = sa.inspect(op.get_bind()).get_indexes(table)
    if name in [index['name'] for index in found]:
        op.drop_index(name, table)


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column that may be NULL or has a default, unless it is there."""
    found = sa.inspect(op.get_bind()).get_columns(table)
    if column.name not in [other['name'] for other in found]:
        op.add_column(table, column)


def alter_table(name: str) -> contextlib.AbstractContextManager[Any]:
    """Change a table; ids stay unused once used where SQLite rebuilds it."""
    return op.batch_alter_table(
        name, table_kwargs={'sqlite_autoincrement': True}
    )
