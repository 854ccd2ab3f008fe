"""The migrations lead to exactly what models.py says, and keep what is there.

The next revision is one of these tests' own, so that the way there is tried
before it is needed.
"""

import concurrent.futures
import datetime
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import alembic.autogenerate
import alembic.runtime.migration
import pytest
import sqlalchemy as sa
from oslo_config import cfg
from oslo_db import exception as db_exc

from aggregates_ext.db import aggregates
from aggregates_ext.db import hosts
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from aggregates_ext.db.schema import models
from aggregates_ext.db.schema import steps
from aggregates_ext.domain import inventory

pytestmark = pytest.mark.every_database
STEPS = ('create_table', 'create_index', 'add_column', 'drop_index')
# How many of them all revisions take.
TAKEN = 55
# Changes rows, adds what may not be NULL, and what has to be unique.
NEXT = """
import sqlalchemy as sa
from alembic import op

from aggregates_ext.db.schema import steps

revision = "next"
down_revision = "{newest}"


def upgrade():
    with steps.alter_table("aggregates") as batch:
        batch.add_column(sa.Column("label", sa.String(255)))
    rows = sa.table(
        "aggregates",
        sa.column("id"),
        sa.column("name"),
        sa.column("metadata", sa.JSON),
        sa.column("label"),
    )
    connection = op.get_bind()
    for key, name, metadata in connection.execute(
        sa.select(rows.c.id, rows.c.name, rows.c.metadata)
    ).all():
        connection.execute(
            sa.update(rows)
            .where(rows.c.id == key)
            .values(label=f"{key} {name} {metadata.get('🐼')}")
        )
    with steps.alter_table("aggregates") as batch:
        batch.alter_column(
            "label", existing_type=sa.String(255), nullable=False
        )
        batch.create_unique_constraint("uq_aggregates_label", ["label"])
"""


def differences(database: engine.Database) -> list[Any]:
    """What a database has otherwise than the models."""
    with database.reader() as connection:
        context = alembic.runtime.migration.MigrationContext.configure(
            connection,
            opts={
                'compare_type': True,
                'version_table': migration.VERSION_TABLE,
            },
        )
        return list(
            alembic.autogenerate.compare_metadata(context, models.METADATA)
        )


def test_upgrade_from_empty_equals_the_models(
    database: engine.Database,
) -> None:
    assert differences(database) == []


def test_upgrade_twice_changes_nothing(database: engine.Database) -> None:
    before = migration.version(database)
    migration.upgrade(database)
    assert migration.version(database) == before == migration.newest()


def test_empty_database_has_no_version(conf: cfg.ConfigOpts) -> None:
    empty = engine.Database(conf)
    assert migration.version(empty) is None
    empty.dispose()


def populate(database: engine.Database) -> None:
    """Rows of every kind: unicode, NULL, deleted, bound."""

    def work(connection: sa.Connection) -> None:
        for number, name in enumerate(['🐼', 'gone', 'pöol']):
            key = aggregates.insert(connection, f'u{number}', name, None).id
            metadata = {'🐼': name} if name != 'gone' else {}
            aggregates.update(connection, key, {'metadata': metadata})
            if name == 'gone':
                aggregates.delete(connection, key)
        host = {'name': 'ü', 'url': 'https://x', 'credential': 'default'}
        hosts.insert(connection, host)
        hosts.bind(connection, 'ü', key)

    database.write(work)


def populate_old(database: engine.Database) -> None:
    """The same in a schema that today's statements do not know."""
    now = datetime.datetime(2026, 1, 1)
    aggregate = sa.Table(
        'aggregates',
        sa.MetaData(),
        sa.Column('metadata', sa.JSON),
        autoload_with=database.engine,
    )
    host = sa.Table('hosts', sa.MetaData(), autoload_with=database.engine)
    with database.writer() as connection:
        for number, name in enumerate(['🐼', 'gone', 'pöol']):
            connection.execute(
                sa.insert(aggregate).values(
                    uuid=f'u{number}',
                    name=name,
                    metadata={'🐼': name} if name != 'gone' else {},
                    created_at=now,
                    deleted=2 if name == 'gone' else 0,
                    lease_epoch=0,
                    lease_writes=0,
                )
            )
        connection.execute(
            sa.insert(host).values(
                name='ü',
                url='https://x',
                credential='default',
                aggregate_id=3,
                phase='joining',
                created_at=now,
            )
        )


def rows(
    database: engine.Database, tables: sa.MetaData = models.METADATA
) -> list[Any]:
    """Everything in the database, of the version table last."""
    found = sorted(
        tables.sorted_tables, key=lambda t: t.name == migration.VERSION_TABLE
    )
    with database.reader() as connection:
        return [
            connection.execute(
                sa.select(table).order_by(*table.primary_key)
            ).all()
            for table in found
        ]


@pytest.fixture
def revisions(tmp_path: pathlib.Path) -> pathlib.Path:
    """Alembic's directory with one revision more."""
    copy = tmp_path / 'alembic'
    shutil.copytree(migration.REVISIONS, copy)
    (copy / 'versions' / 'next.py').write_text(
        NEXT.replace('{newest}', str(migration.newest())), encoding='utf-8'
    )
    return copy


def test_upgrade_again_keeps_what_is_there(database: engine.Database) -> None:
    populate(database)
    before = rows(database)
    migration.upgrade(database)
    assert rows(database) == before
    assert sorted(map(len, before)) == [0, 0, 0, 0, 0, 1, 3]


def test_upgrade_from_the_first_revision_keeps_what_is_there(
    conf: cfg.ConfigOpts,
) -> None:
    database = engine.Database(conf)
    migration.upgrade(database, '0001')
    populate_old(database)
    first = sa.MetaData()
    first.reflect(database.engine)
    before = rows(database, first)
    assert [len(table) for table in before if table] == [3, 1, 1]
    migration.upgrade(database)
    after = rows(database, first)
    # But for the version itself.
    assert after[:-1] == before[:-1]
    assert differences(database) == []
    with database.reader() as connection:
        found = set(connection.scalars(sa.select(models.aggregates.c.stamp)))
    assert len(found) == 3, 'each has a stamp of its own'
    database.dispose()


def test_changes_of_master_get_their_time(conf: cfg.ConfigOpts) -> None:
    """Those that were sent before it had a column."""
    database = engine.Database(conf)
    migration.upgrade(database, '0002')
    populate_old(database)
    table = sa.Table(
        'operations',
        sa.MetaData(),
        sa.Column('parameters', sa.JSON),
        autoload_with=database.engine,
    )
    sent = {'designated': {'at': 17.5, 'name': 'ü'}}
    columns = {
        'kind': 'set_master',
        'aggregate_id': 1,
        'state': 'succeeded',
        'settled': True,
        'progress': 100,
        'attempts': 1,
        'created_at': datetime.datetime(2026, 1, 1),
    }
    with database.writer() as connection:
        for number, parameters in enumerate([{}, sent, {'was': 'designated'}]):
            connection.execute(
                sa.insert(table).values(
                    uuid=str(number), parameters=parameters, **columns
                )
            )
    migration.upgrade(database)
    with database.reader() as connection:
        found = connection.scalars(
            sa.select(models.operations.c.designated).order_by('id')
        )
        assert list(found) == [None, 17.5, None]
    database.dispose()


def test_hosts_get_what_they_are_found_by(conf: cfg.ConfigOpts) -> None:
    database = engine.Database(conf)
    migration.upgrade(database, '0012')
    populate_old(database)
    migration.upgrade(database)
    hosts_of = inventory.Inventory(database)
    (told,) = hosts_of.get_all()
    with database.reader() as connection:
        table = models.hosts
        found = connection.execute(
            sa.select(table.c.hypervisor_uuid, table.c.service_uuid)
        ).one()
    assert tuple(found) == (told.hypervisor_uuid, told.service_uuid)
    assert hosts_of.find_hypervisor(told.hypervisor_uuid) == told
    database.dispose()


def test_next_revision_changes_a_database_with_data(
    database: engine.Database, revisions: pathlib.Path
) -> None:
    populate(database)
    before = rows(database)
    migration.upgrade(database, revisions=revisions)
    assert migration.version(database) == 'next'
    assert rows(database) == before
    with database.reader() as connection:
        labels = connection.execute(
            sa.text('SELECT label FROM aggregates ORDER BY id')
        ).scalars()
        assert list(labels) == ['1 🐼 🐼', '2 gone None', '3 pöol pöol']
    migration.upgrade(database, revisions=revisions)
    assert migration.version(database) == 'next'
    with (
        pytest.raises(db_exc.DBReferenceError),
        database.writer() as connection,
    ):
        connection.execute(sa.update(models.hosts).values(aggregate_id=7))
    assert {new_id(database) for _ in range(3)} == {4, 5, 6}


def new_id(database: engine.Database) -> int:
    """The id of a row that is gone again."""
    statement = sa.text(
        'INSERT INTO aggregates (uuid, name, metadata, created_at, deleted,'
        " lease_epoch, lease_writes, label) VALUES ('x', 'x', '{}',"
        " '2026-01-01', 0, 0, 0, 'x')"
    )
    with database.writer() as connection:
        connection.execute(statement)
        key = connection.scalar(sa.text('SELECT max(id) FROM aggregates'))
        connection.execute(sa.text("DELETE FROM aggregates WHERE uuid = 'x'"))
    return int(key)


def test_two_upgrades_at_once_do_not_break_each_other(
    conf: cfg.ConfigOpts,
) -> None:
    """Of four services, each of which has the command in its start script."""
    databases = [engine.Database(conf) for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(migration.upgrade, databases))
    assert migration.version(databases[0]) == migration.newest()
    populate(databases[0])
    for database in databases:
        database.dispose()


def test_every_step_is_counted(
    conf: cfg.ConfigOpts, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []

    def count(real: Callable[..., None]) -> Callable[..., None]:
        def counting(*arguments: Any, **options: Any) -> None:
            taken.append(arguments)
            real(*arguments, **options)

        return counting

    for name in STEPS:
        monkeypatch.setattr(steps, name, count(getattr(steps, name)))
    database = engine.Database(conf)
    migration.upgrade(database)
    assert len(taken) == TAKEN
    database.dispose()


@pytest.mark.parametrize('step', range(1, TAKEN + 1, 3))
def test_interrupted_upgrade_can_be_begun_again(
    conf: cfg.ConfigOpts, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MySQL and MariaDB have committed the steps that were done."""
    database = engine.Database(conf)
    begun = []

    def stop_at(real: Callable[..., None]) -> Callable[..., None]:
        def planted(*arguments: Any, **options: Any) -> None:
            begun.append(arguments)
            if len(begun) == step:
                raise InterruptedError
            real(*arguments, **options)

        return planted

    with monkeypatch.context() as patch:
        for name in STEPS:
            patch.setattr(steps, name, stop_at(getattr(steps, name)))
        with pytest.raises(InterruptedError):
            migration.upgrade(database)
    assert migration.version(database) != migration.newest()
    migration.upgrade(database)
    assert differences(database) == []
    database.dispose()
