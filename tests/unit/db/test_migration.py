"""The migrations lead to exactly what models.py says."""

import alembic.autogenerate
import alembic.runtime.migration
from oslo_config import cfg

from aggregates_ext.db import engine
from aggregates_ext.db import migration
from aggregates_ext.db import models


def test_upgrade_from_empty_equals_the_models(
    database: engine.Database,
) -> None:
    with database.reader() as connection:
        context = alembic.runtime.migration.MigrationContext.configure(
            connection,
            opts={
                'compare_type': True,
                'version_table': migration.VERSION_TABLE,
            },
        )
        differences = alembic.autogenerate.compare_metadata(
            context, models.METADATA
        )
    assert differences == []


def test_upgrade_twice_changes_nothing(database: engine.Database) -> None:
    before = migration.version(database)
    migration.upgrade(database)
    assert migration.version(database) == before == migration.newest()


def test_empty_database_has_no_version(conf: cfg.ConfigOpts) -> None:
    empty = engine.Database(conf)
    assert migration.version(empty) is None
    empty.dispose()
