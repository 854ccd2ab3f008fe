"""Lists of 16,000 hosts cost a few times their own bytes."""

import json
import pathlib
import subprocess
import sys

import pytest

from aggregates_ext.db.engine import engine
from tests import databases
from tests import schemas
from tests.functional import memory

# Bytes by which the process may grow beside the answer: for what is read of all
# hosts. A tree of all hypervisors would take 130,000,000.
READ = 35_000_000
LEGACY = '/v1.1/abc123'
PATHS = [
    f'{LEGACY}/os-hypervisors/detail.xml',
    f'{LEGACY}/os-services.xml',
    f'{LEGACY}/os-hosts.xml',
    f'{LEGACY}/os-availability-zone/detail.xml',
    '/v2.1/os-hypervisors/detail',
    '/v2.1/os-services',
    '/v2.1/os-hosts',
    '/v2.1/os-availability-zone/detail',
]


@pytest.fixture(scope='module')
def measured(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[int, int]]:
    """Of each path the bytes of the answer, and those that it took."""
    directory = tmp_path_factory.mktemp('memory')
    url = f'sqlite:///{directory}/aggregates_ext.sqlite'
    database = engine.Database(databases.configure(url))
    schemas.upgrade(database)
    with database.writer() as connection:
        memory.fill(connection)
    database.dispose()
    done = subprocess.run(
        [
            *(sys.executable, '-W', 'ignore'),
            *('-m', 'tests.functional.memory', url, *PATHS),
        ],
        cwd=pathlib.Path(__file__).parents[2],
        capture_output=True,
        check=True,
        text=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {
        path: (size, grown)
        for path, (size, grown) in zip(PATHS, lines, strict=True)
    }


@pytest.mark.parametrize('path', PATHS)
def test_a_list_of_all_hosts_is_made_piece_by_piece(
    measured: dict[str, tuple[int, int]], path: str
) -> None:
    size, grown = measured[path]
    assert size > memory.HOSTS * 50
    assert grown < READ + size
