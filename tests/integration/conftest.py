"""Fixtures of the integration tests."""

import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

# Before it is imported: what it asserts is told in full.
pytest.register_assert_rewrite(
    'tests.integration.endurance',
    'tests.integration.processes',
    'tests.integration.stories',
)

from tests.integration import clients  # noqa: E402
from tests.integration import environments  # noqa: E402
from tests.integration import keystone as keystone_server  # noqa: E402
from tests.integration import nova  # noqa: E402
from tests.integration import processes  # noqa: E402
from tests.integration import rabbitmq  # noqa: E402


@pytest.fixture(scope='session')
def nova_venv() -> pathlib.Path:
    """A virtual environment with Nova."""
    return environments.install('nova', 'nova', 'setuptools>=77', 'waitress')


@pytest.fixture(scope='session')
def nova_directory(
    nova_venv: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """Configurations and databases of Nova, with the filter and without."""
    path = tmp_path_factory.mktemp('nova')
    nova.install_project(nova_venv, path)
    nova.configure(nova_venv, path)
    return path


@pytest.fixture(scope='session')
def plain(
    nova_venv: pathlib.Path, nova_directory: pathlib.Path
) -> Iterator[nova.Server]:
    """A Nova API as it is."""
    with nova.serve(nova_venv, nova_directory, 'plain') as server:
        yield server


@pytest.fixture(scope='session')
def filtered(
    nova_venv: pathlib.Path, nova_directory: pathlib.Path
) -> Iterator[nova.Server]:
    """A Nova API with the filter in its pipelines."""
    with nova.serve(nova_venv, nova_directory, 'filtered') as server:
        yield server


@pytest.fixture(scope='session')
def beside(
    nova_venv: pathlib.Path, nova_directory: pathlib.Path
) -> Iterator[nova.Server]:
    """A Nova API with our application at prefixes of its own."""
    with nova.serve(nova_venv, nova_directory, 'beside') as server:
        yield server


@pytest.fixture(scope='session')
def keystone_venv() -> pathlib.Path:
    """A virtual environment with Keystone."""
    return environments.install('keystone', 'keystone', 'waitress')


@pytest.fixture(scope='session')
def clients_venv() -> pathlib.Path:
    """A virtual environment with the clients of OpenStack."""
    return clients.environment()


@pytest.fixture(scope='session')
def plugin_path(
    clients_venv: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """A directory with the package, as pip installs it beside the clients.

    What the services need is not there: the plug-in does without.
    """
    directory = tmp_path_factory.mktemp('plugin')
    return environments.install_alone(clients_venv, directory)


@pytest.fixture(scope='session')
def horizon_venv() -> pathlib.Path:
    """A virtual environment with Horizon."""
    return environments.install('horizon', 'horizon', 'waitress')


@pytest.fixture(scope='session')
def tempest_venv() -> pathlib.Path:
    """A virtual environment with the tests of OpenStack."""
    return environments.install('tempest', 'tempest')


@pytest.fixture(scope='session')
def keystone(
    keystone_venv: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[keystone_server.Keystone]:
    """A Keystone that all tests share; an API has a region of its own."""
    directory = tmp_path_factory.mktemp('keystone')
    with keystone_server.serve(keystone_venv, directory) as made:
        yield made


@pytest.fixture
def make_site(
    tmp_path: pathlib.Path, database_url: str
) -> Iterator[Callable[..., processes.Site]]:
    """Builds a site of simulated hosts, without processes yet."""
    with ExitStack() as stack:

        def make(*arguments: Any, **named: Any) -> processes.Site:
            named.setdefault('connection', database_url)
            site = processes.Site(tmp_path, *arguments, **named)
            return stack.enter_context(site)

        yield make


@pytest.fixture(scope='session')
def shared_broker(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[rabbitmq.Broker]:
    """A RabbitMQ that all tests share; see ``broker``."""
    try:
        made = rabbitmq.Broker(tmp_path_factory.mktemp('rabbitmq'))
    except rabbitmq.Missing as exc:
        if os.environ.get('REQUIRE_SERVICES') == '1':
            pytest.fail(str(exc))
        pytest.skip(str(exc))
    with made:
        yield made


@pytest.fixture
def broker(shared_broker: rabbitmq.Broker) -> Iterator[rabbitmq.Broker]:
    """The RabbitMQ; it runs again after the test, whatever that did."""
    yield shared_broker
    shared_broker.recover()
