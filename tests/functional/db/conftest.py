"""Fixtures of the tests against every kind of database."""

from collections.abc import Iterator

import pytest
from oslo_config import cfg

from aggregates_ext import context
from aggregates_ext import enforcers
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from tests import databases
from tests import wire


@pytest.fixture(scope='module', params=databases.SERVERS)
def server(
    request: pytest.FixtureRequest, servers: databases.Servers
) -> databases.Server:
    """Each of the servers."""
    return servers.get(request.param)


@pytest.fixture(scope='module')
def cut_wire(server: databases.Server) -> Iterator[wire.Wire]:
    """What is between the service and its server, to be cut.

    One database for all tests of a module: they make what they need anew.
    """
    with wire.Wire(server.port) as made:
        yield made


@pytest.fixture(scope='module')
def wired_conf(
    server: databases.Server, cut_wire: wire.Wire
) -> cfg.ConfigOpts:
    """The configuration of a service that speaks through the wire."""
    url = server.new()
    direct = engine.Database(databases.configure(url))
    migration.upgrade(direct)
    direct.dispose()
    through = url.replace(f':{server.port}/', f':{cut_wire.port}/')
    return databases.configure(through)


@pytest.fixture(scope='module')
def wired(wired_conf: cfg.ConfigOpts) -> Iterator[engine.Database]:
    """A database of the newest schema behind the wire."""
    database = engine.Database(wired_conf)
    yield database
    database.dispose()


@pytest.fixture(scope='module')
def ctx(wired_conf: cfg.ConfigOpts) -> context.RequestContext:
    """Somebody who asks."""
    return context.RequestContext(
        user_id='user',
        project_id='project',
        roles=['admin'],
        enforcer=enforcers.make(wired_conf),
    )
