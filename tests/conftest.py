"""Fixtures that every level of tests uses."""

import pathlib
from collections.abc import Iterator

import pytest
from oslo_service import backend

# As the commands do, before anything imports oslo.messaging.
backend.init_backend(backend.BackendType.THREADING)

from oslo_config import cfg  # noqa: E402

from aggregates_ext import conf as options  # noqa: E402
from aggregates_ext.db import engine  # noqa: E402
from aggregates_ext.db import migration  # noqa: E402


@pytest.fixture
def conf(tmp_path: pathlib.Path) -> cfg.ConfigOpts:
    """A configuration of its own, with a SQLite file and no transport."""
    conf = cfg.ConfigOpts()
    options.parse(conf, [], [])
    conf.set_override(
        'connection', f'sqlite:///{tmp_path}/aggregates_ext.sqlite', 'database'
    )
    return conf


@pytest.fixture
def database(conf: cfg.ConfigOpts) -> Iterator[engine.Database]:
    """An empty database of the newest schema."""
    database = engine.Database(conf)
    migration.upgrade(database)
    yield database
    database.dispose()
