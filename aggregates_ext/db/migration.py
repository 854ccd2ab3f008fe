"""Schema versions: upgrade, which one there is, whether it is the newest."""

import contextlib
import pathlib

import alembic.command
import alembic.config
import alembic.runtime.migration
import alembic.script

from aggregates_ext.db import engine
from aggregates_ext.db import models

# Of our own, so that we can share a database with another service.
VERSION_TABLE = 'aggregates_ext_version'


def _config() -> alembic.config.Config:
    config = alembic.config.Config()
    here = pathlib.Path(__file__).parent
    config.set_main_option('script_location', str(here / 'alembic'))
    return config


def upgrade(database: engine.Database, revision: str = 'head') -> None:
    """Bring the schema to a revision; nothing happens when it is there.

    :param revision: a revision of ``alembic/versions``, or 'head'.
    """
    config = _config()
    if database.engine.dialect.name == 'sqlite':
        # Readers and the writer do not wait for each other; it stays so.
        with contextlib.closing(database.engine.raw_connection()) as raw:
            raw.cursor().execute('PRAGMA journal_mode = WAL')
    with database.writer() as connection:
        config.attributes['connection'] = connection
        alembic.command.upgrade(config, revision)


def version(database: engine.Database) -> str | None:
    """The revision of the schema, None for an empty database."""
    with database.reader() as connection:
        context = alembic.runtime.migration.MigrationContext.configure(
            connection,
            opts={
                'version_table': VERSION_TABLE,
                'target_metadata': models.METADATA,
            },
        )
        return context.get_current_revision()


def newest() -> str | None:
    """The revision that this release expects."""
    return alembic.script.ScriptDirectory.from_config(
        _config()
    ).get_current_head()
