"""Nothing is lost and nothing grows, for as long as it is told to go on.

``tox -e endurance`` takes an hour, on SQLite, MariaDB and PostgreSQL side by
side; ``AGGREGATES_EXT_ENDURANCE`` says for how many seconds else, and
``AGGREGATES_EXT_ENDURANCE_SEED`` which requests and troubles are drawn.
"""

import collections
import concurrent.futures
import contextlib
import os
import pathlib
import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from aggregates_ext.xensim.install import storage
from tests import databases
from tests.integration import endurance
from tests.integration import endurance_site
from tests.integration import samples

SECONDS = float(os.environ.get('AGGREGATES_EXT_ENDURANCE', '3600'))
SEED = int(
    os.environ.get('AGGREGATES_EXT_ENDURANCE_SEED', random.randrange(10**6))
)
# Seconds between two samples of what services take while they work.
EVERY = 30.0


@pytest.fixture
def ejects(
    monkeypatch: pytest.MonkeyPatch,
) -> collections.Counter[str]:
    """uuid of a host -> how often an eject has emptied its disks."""
    counted: collections.Counter[str] = collections.Counter()
    wipe = storage.wipe

    def count(host: Any, *rest: Any) -> Any:
        counted[host.uuid] += 1
        return wipe(host, *rest)

    monkeypatch.setattr(storage, 'wipe', count)
    return counted


@contextlib.contextmanager
def arena(
    kind: str,
    directory: pathlib.Path,
    servers: databases.Servers,
    ejects: collections.Counter[str],
    forked: bool,
) -> Iterator[endurance.Arena]:
    """A site on one of the databases."""
    (directory / kind).mkdir()
    server = None if kind == 'sqlite' else servers.get(kind)
    connection = None
    if server is not None:
        connection = server.new() + endurance_site.PATIENCE[kind]
    with endurance_site.Site(
        directory / kind,
        [{'name': f'{kind}{n + 1}'} for n in range(endurance_site.HOSTS)],
        endurance_site.COMPUTE,
        connection=connection,
        forked=forked,
    ) as site:
        site.set_up()
        yield endurance.Arena(kind, site, server, SEED, ejects)


def play(
    kinds: tuple[str, ...],
    seconds: float,
    directory: pathlib.Path,
    ejects: collections.Counter[str],
    lively: float = endurance.LIVELY,
    forked: bool = False,
) -> list[endurance.Arena]:
    """Let sites endure side by side, until the time is over."""
    print(f'seed {SEED}, {seconds} s, {directory}')
    over = threading.Event()
    with (
        contextlib.ExitStack() as stack,
        concurrent.futures.ThreadPoolExecutor(len(kinds)) as threads,
    ):
        servers = stack.enter_context(databases.running())
        arenas = [
            stack.enter_context(
                arena(kind, directory, servers, ejects, forked)
            )
            for kind in kinds
        ]
        runs = [
            threads.submit(made.run, seconds, over, lively) for made in arenas
        ]
        try:
            while not all(run.done() for run in runs):
                concurrent.futures.wait(runs, EVERY)
                for made in arenas:
                    made.measure_at_work()
            for run in runs:
                run.result()
        finally:
            over.set()
            concurrent.futures.wait(runs)
            for made in arenas:
                print(*made.told(), *made.series.table(), sep='\n')
    return arenas


@pytest.mark.endurance
def test_nothing_is_lost_and_nothing_grows(
    tmp_path: pathlib.Path, ejects: collections.Counter[str]
) -> None:
    arenas = play(databases.KINDS, SECONDS, tmp_path, ejects)
    grown = [line for made in arenas for line in made.series.grown()]
    assert grown == []


def test_nothing_is_lost_in_some_seconds(
    tmp_path: pathlib.Path, ejects: collections.Counter[str]
) -> None:
    """One round of it, so that the test itself works."""
    [made] = play(('sqlite',), 0, tmp_path, ejects, lively=10.0, forked=True)
    assert made.rounds == 1
    assert sum(made.acts.values()) > 0
    assert made.series.table()
    assert made.series.grown() == []


@pytest.mark.parametrize(
    ('kind', 'values', 'flat'),
    [
        ('memory', [60 + n / 2 for n in range(40)], False),
        ('memory', [60 + min(n, 14) for n in range(40)], True),
        ('memory', [60 + 9 * (n % 7 == 0) for n in range(40)], True),
        ('memory', list(range(8)), True),
        ('descriptors', [9 + n // 3 for n in range(40)], False),
        ('threads', [9 + n // 3 for n in range(40)], False),
        ('threads', [9 + n % 3 for n in range(40)], True),
        ('rows', [30 + 2 * n for n in range(40)], False),
    ],
)
def test_what_grows_is_told(
    kind: str, values: list[float], flat: bool
) -> None:
    """A step in the beginning is none, nor is what comes and goes."""
    series = samples.Series()
    for minute, value in enumerate(values):
        series.add('it', {kind: value}, 60.0 * minute)
    assert (series.grown() == []) == flat, series.table()
