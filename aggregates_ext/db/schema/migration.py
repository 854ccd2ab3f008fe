"""Schema versions: upgrade, which one there is, whether it is the newest."""

import contextlib
import pathlib
from collections.abc import Iterator

import alembic.command
import alembic.config
import alembic.runtime.migration
import alembic.script
import sqlalchemy as sa

from aggregates_ext import exception
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models

# Of our own, so that we can share a database with another service.
VERSION_TABLE = 'aggregates_ext_version'
REVISIONS = pathlib.Path(__file__).parent / 'alembic'
# What one upgrade at a time holds; for PostgreSQL any number of our own.
LOCK = 7_164_301_225
LOCK_LIMIT = 3600  # seconds


def _config(revisions: pathlib.Path = REVISIONS) -> alembic.config.Config:
    config = alembic.config.Config()
    # A percent sign begins a substitution there.
    place = str(revisions).replace('%', '%%')
    config.set_main_option('script_location', place)
    return config


@contextlib.contextmanager
def _alone(database: engine.Database) -> Iterator[sa.Connection]:
    """A transaction in which nobody else upgrades this database.

    SQLite's own kind of transaction sees to that.
    """
    with database.writer() as connection:
        kind = connection.dialect.name
        if kind == 'postgresql':
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        if kind == 'mysql':
            # Held until the connection is closed, which is after the COMMIT.
            # Names of locks are those of the whole server.
            name = sa.func.concat(
                sa.func.md5(sa.func.database()), VERSION_TABLE
            )
            got = connection.scalar(
                sa.select(sa.func.get_lock(name, LOCK_LIMIT))
            )
            if got != 1:
                raise exception.Unavailable(
                    reason='Another upgrade of this database still runs.'
                )
        yield connection


def upgrade(
    database: engine.Database,
    revision: str = 'head',
    revisions: pathlib.Path = REVISIONS,
) -> None:
    """Bring the schema to a revision; nothing happens when it is there.

    Two at once do no harm: one waits for the other. Interrupted, SQLite and
    PostgreSQL undo it; MySQL and MariaDB keep the steps that were done, and
    the next upgrade goes on from there.

    :param revision: one of ``revisions``, or 'head'.
    :param revisions: alembic's directory.
    """
    config = _config(revisions)
    if database.engine.dialect.name == 'sqlite':
        # Readers and the writer do not wait for each other; it stays so.
        with contextlib.closing(database.engine.raw_connection()) as raw:
            raw.cursor().execute('PRAGMA journal_mode = WAL')
    patient = database.without_limits()
    try:
        with _alone(patient) as connection:
            config.attributes['connection'] = connection
            alembic.command.upgrade(config, revision)
            if connection.dialect.name == 'sqlite':
                _check_references(connection)
    finally:
        patient.dispose()


def _check_references(connection: sa.Connection) -> None:
    """Check what SQLite did not while tables were rebuilt.

    :raises RuntimeError: a revision is wrong; nothing of it is kept.
    """
    broken = connection.exec_driver_sql('PRAGMA foreign_key_check').all()
    if broken:
        raise RuntimeError(f'rows that refer to nothing: {broken}')


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
