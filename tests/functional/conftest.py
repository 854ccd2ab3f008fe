"""Fixtures of the functional tests."""

import contextlib
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from oslo_config import cfg

from aggregates_ext.cmd import manage
from aggregates_ext.db.engine import engine
from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock as sim_clock
from tests import locks
from tests.functional import service
from tests.functional import stage

HOSTS = {'hosts': [{'name': f'xen{number}'} for number in (1, 2, 3)]}

locks.watch()


@pytest.fixture
def make_service(
    conf: cfg.ConfigOpts, database: engine.Database
) -> Iterator[Callable[..., service.Service]]:
    """Builds a service on the simulated hosts of a topology."""
    simulators = []

    def make(hosts: dict[str, Any] | None = None) -> service.Service:
        clock = sim_clock.SteppedClock()
        sim = simulator.Simulator(topology.load(hosts or HOSTS), clock=clock)
        simulators.append(sim)
        sim.start()
        made = service.Service(conf, database, sim, clock)
        made.register()
        return made

    yield make
    for sim in simulators:
        sim.stop()


@pytest.fixture
def running(make_service: Callable[..., service.Service]) -> service.Service:
    """A service on three plain hosts."""
    return make_service()


@pytest.fixture
def make_stage() -> Iterator[Callable[..., stage.Stage]]:
    """Builds a host and a pool to be judged."""
    with contextlib.ExitStack() as stack:
        yield lambda **about: stage.Stage(stack, **about)


@pytest.fixture
def config(
    database_url: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The configuration of commands, with the database of ``running``.

    They do not set logging up for all other tests.
    """
    monkeypatch.setattr(manage.logging, 'setup', lambda *args: None)
    path = tmp_path / 'aggregates_ext.conf'
    path.write_text(f'[database]\nconnection = {database_url}')
    return str(path)
