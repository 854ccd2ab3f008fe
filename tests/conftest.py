"""Fixtures that every level of tests uses."""

import gc
import pathlib
import signal
from collections.abc import Iterator

import hypothesis
import pytest
from oslo_service import backend

# As the commands do, before anything imports oslo.messaging.
backend.init_backend(backend.BackendType.THREADING)

from oslo_config import cfg  # noqa: E402

from aggregates_ext.db.engine import engine  # noqa: E402
from aggregates_ext.xensim import simulator  # noqa: E402
from tests import compiled  # noqa: E402
from tests import databases  # noqa: E402
from tests import galera  # noqa: E402
from tests import leash  # noqa: E402
from tests import schemas  # noqa: E402

# Not of the databases that each test with the mark runs on.
databases.CLASSES[galera.KIND] = galera.first

# A loaded machine passes too: no example has to be found or run in a time.
hypothesis.settings.register_profile(
    'any time',
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile('any time')
compiled.share()
# Files that take minutes and would not be among the first.
LONGEST = frozenset(
    {
        'test_allowed.py',
        'test_guest_histories.py',
        'test_hostile.py',
        'test_rolling.py',
        'test_tempest.py',
        'test_two_of_everything.py',
        'test_updates.py',
    }
)


def pytest_configure() -> None:
    """Let nothing outlive the tests, and all that they start be interrupted.

    What a shell runs in the background ignores SIGINT, and hands that on.
    """
    leash.hold()
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes the longest, so that nothing runs on alone."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over what lasts as long as we do."""
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked so once on each database."""
    if metafunc.definition.get_closest_marker('every_database'):
        metafunc.parametrize('database_url', databases.KINDS, indirect=True)


@pytest.fixture(autouse=True)
def unharmed(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """No guest of a simulator here runs twice, or ends untold.

    Tests with the mark ``harms_guests`` let that happen, and must.
    """
    started: list[simulator.Simulator] = []
    start = simulator.Simulator.start

    def keep(self: simulator.Simulator) -> None:
        started.append(self)
        start(self)

    monkeypatch.setattr(simulator.Simulator, 'start', keep)
    yield
    harmed = [line for sim in started for line in sim.harmed()]
    if request.node.get_closest_marker('harms_guests'):
        assert harmed, 'no guest was harmed: take the mark away'
    else:
        assert not harmed, harmed


@pytest.fixture(scope='session')
def servers() -> Iterator[databases.Servers]:
    """Private database servers, started when first asked for."""
    with databases.running() as running:
        yield running


@pytest.fixture
def database_url(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> str:
    """The URL of a fresh database of the usual kind, or of each."""
    kind = getattr(request, 'param', databases.USUAL)
    if kind == 'sqlite':
        return f'sqlite:///{tmp_path}/aggregates_ext.sqlite'
    servers: databases.Servers = request.getfixturevalue('servers')
    return servers.get(kind).new()


@pytest.fixture
def conf(database_url: str) -> cfg.ConfigOpts:
    """A configuration of its own, with a database and no transport."""
    return databases.configure(database_url)


@pytest.fixture
def database(conf: cfg.ConfigOpts) -> Iterator[engine.Database]:
    """An empty database of the newest schema."""
    database = engine.Database(conf)
    schemas.upgrade(database)
    yield database
    database.dispose()
