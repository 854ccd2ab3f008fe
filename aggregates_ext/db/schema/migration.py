"""Schema versions: upgrade, which one there is, whether it is the newest."""

import contextlib
import pathlib
import sqlite3
import time
from collections.abc import Iterator

import alembic.command
import alembic.config
import alembic.runtime.migration
import alembic.script
import sqlalchemy as sa
from oslo_db import exception as db_exc

from aggregates_ext import exception
from aggregates_ext.db.engine import engine
from aggregates_ext.db.engine import failures
from aggregates_ext.db.engine import reasons
from aggregates_ext.db.engine import server
from aggregates_ext.db.schema import models

# Of our own, so that we can share a database with another service.
VERSION_TABLE = 'aggregates_ext_version'
REVISIONS = pathlib.Path(__file__).parent / 'alembic'
# What one upgrade at a time holds; for PostgreSQL any number of our own.
LOCK = 7_164_301_225
LOCK_LIMIT = 3600  # seconds
# What one upgrade at a time has in a Galera cluster, and how long another one
# waits for that, in seconds.
UPGRADING = 'aggregates_ext_upgrading'
CLUSTER_LIMIT = 120.0
CLUSTER_PAUSE = 0.5
EXISTS = 1050
# Seconds in which SQLite's file is asked again for what is refused at once.
WAL_LIMIT = 60.0
WAL_PAUSE = 0.05


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


@contextlib.contextmanager
def _alone_in_cluster(database: engine.Database) -> Iterator[None]:
    """Nobody else upgrades this database by way of another node.

    The locks of a node of a Galera cluster are not those of the others. That
    a table can be made once is so for all nodes together.
    """
    if server.describe(database).waits is None:
        yield
        return
    end = time.monotonic() + CLUSTER_LIMIT
    while not _take_cluster(database):
        if time.monotonic() > end:
            raise exception.Unavailable(
                reason='Another upgrade of this database still runs, by way '
                'of another node, or was killed. When none runs, drop the '
                f'table {UPGRADING}, and repeat this.'
            )
        time.sleep(CLUSTER_PAUSE)
    try:
        yield
    finally:
        with database.engine.connect() as connection:
            connection.exec_driver_sql(f'DROP TABLE {UPGRADING}')


def _take_cluster(database: engine.Database) -> bool:
    try:
        with database.engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE TABLE {UPGRADING} (id INT)')
    except (db_exc.DBError, sa.exc.DBAPIError) as exc:
        if reasons.code_of(exc) == EXISTS or failures.is_collision(exc):
            return False
        raise
    return True


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
    # Also that the database can be used; those ways below do not tell.
    _check_known(version(database), config)
    if database.engine.dialect.name == 'sqlite':
        use_wal(database.engine)
    patient = database.without_limits()
    try:
        with (
            patient.available(),
            _alone_in_cluster(patient),
            _alone(patient) as connection,
        ):
            config.attributes['connection'] = connection
            alembic.command.upgrade(config, revision)
            if connection.dialect.name == 'sqlite':
                _check_references(connection)
    finally:
        patient.dispose()


def use_wal(sqlite: sa.Engine) -> None:
    """Let readers of SQLite and its writer not wait for each other.

    It stays so. Of two that ask for it at once one may be refused without any
    wait, since each would wait for the other: it asks again.

    :raises exception.Unavailable: the file stays locked, or is none that can
        be written.
    """
    end = time.monotonic() + WAL_LIMIT
    with contextlib.closing(sqlite.raw_connection()) as raw:
        while True:
            try:
                raw.cursor().execute('PRAGMA journal_mode = WAL')
            except sqlite3.OperationalError as exc:
                if 'locked' not in str(exc) or time.monotonic() > end:
                    raise exception.Unavailable(
                        reason=f'SQLite does not take the upgrade: {exc}. '
                        'Repeat it when nobody holds the file, and it can be '
                        'written.'
                    ) from None
                time.sleep(WAL_PAUSE)
            else:
                return


def _check_references(connection: sa.Connection) -> None:
    """Check what SQLite did not while tables were rebuilt.

    :raises RuntimeError: a revision is wrong; nothing of it is kept.
    """
    broken = connection.exec_driver_sql('PRAGMA foreign_key_check').all()
    if broken:
        raise RuntimeError(f'rows that refer to nothing: {broken}')


def version(database: engine.Database) -> str | None:
    """The revision of the schema, None for an empty database.

    :raises exception.Unavailable: the database cannot be used.
    """
    with database.reader() as connection:
        context = alembic.runtime.migration.MigrationContext.configure(
            connection,
            opts={
                'version_table': VERSION_TABLE,
                'target_metadata': models.METADATA,
            },
        )
        heads = context.get_current_heads()
    # Several: nobody but a hand in the table has made that.
    return ' and '.join(heads) or None


def newest() -> str | None:
    """The revision that this release expects."""
    return alembic.script.ScriptDirectory.from_config(
        _config()
    ).get_current_head()


def _is_known(revision: str, config: alembic.config.Config) -> bool:
    found = alembic.script.ScriptDirectory.from_config(config)
    return revision in {script.revision for script in found.walk_revisions()}


def _check_known(revision: str | None, config: alembic.config.Config) -> None:
    """:raises exception.Unavailable: another release has made the schema."""
    if revision is not None and not _is_known(revision, config):
        raise exception.Unavailable(
            reason=f'The schema is {revision}, which this release does not '
            'know: a newer one has made it. Install that release; or restore '
            'the backup from before it, and start nothing until then.'
        )


def find_fault(database: engine.Database) -> str:
    """What keeps the schema from being the newest; '' when it is that.

    :raises exception.Unavailable: the database cannot be used.
    """
    found, wanted = version(database), newest()
    if found == wanted:
        return ''
    try:
        _check_known(found, _config())
    except exception.Unavailable as exc:
        return str(exc)
    return (
        f'The schema is {found or "empty"}, this release needs {wanted}: '
        'run "aggregates-ext-manage db sync".'
    )


def check_tables(database: engine.Database) -> None:
    """See whether requests find every table and column that they read.

    :raises exception.Unavailable: they do not; with the version, if that
        tells why.
    """
    try:
        with database.reader() as connection:
            for table in models.METADATA.sorted_tables:
                connection.execute(sa.select(table).limit(0))
    except exception.Unavailable as exc:
        if str(exc) != reasons.SCHEMA.sentence:
            raise
        fault = find_fault(database)
        raise exception.Unavailable(reason=fault or str(exc)) from exc
