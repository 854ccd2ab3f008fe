"""The schema that tests copy is what the migration makes."""

import pathlib
from typing import Any

import pytest
import sqlalchemy as sa

from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from aggregates_ext.db.schema import models
from tests import databases


def describe(database: engine.Database) -> dict[str, Any]:
    """All that a database tells of its tables, and which schema it is."""
    found = sa.inspect(database.engine)
    told: dict[str, Any] = {
        table: [
            [repr(sorted(column.items())) for column in columns],
            found.get_pk_constraint(table),
            found.get_foreign_keys(table),
            found.get_unique_constraints(table),
            found.get_check_constraints(table),
            found.get_indexes(table),
            found.get_table_options(table),
        ]
        for (_schema, table), columns in found.get_multi_columns().items()
    }
    told['version'] = migration.version(database)
    return told


@pytest.mark.every_database
def test_a_copy_is_what_the_migration_makes(
    database: engine.Database, tmp_path: pathlib.Path
) -> None:
    server = databases.server_of(database.engine.url)
    url = server.new() if server else f'sqlite:///{tmp_path}/migrated.sqlite'
    migrated = engine.Database(databases.configure(url))
    migration.upgrade(migrated)
    told = describe(migrated)
    migrated.dispose()
    assert {*models.METADATA.tables, migration.VERSION_TABLE} <= told.keys()
    assert describe(database) == told
