"""What is timed can still be run, as small as it can be.

Nothing is said of the figures. What no test runs rots.
"""

import pathlib
import subprocess
import sys

import pytest

from tests import databases

ROOT = pathlib.Path(__file__).parents[2]
# The arguments of each, and the last row of its table.
BENCHES = {
    'bench_fleet': (['postgresql', '20'], 'each pool, each minute'),
    'bench_joins': (['3', '2', '50'], 'compute service'),
    'bench_observation': (['2', '2', '2', '3'], 'memory'),
    'bench_rolling': (['3', '4', '20'], 'CPU of the service'),
    'bench_two': (['2', '1', '20'], 'ejects'),
    'bench_xensim': (['2', '2'], 'GET /state'),
}
DATABASES = {'bench_fleet': 'postgresql', 'bench_two': 'mariadb'}
# With too much in them to be run small: ``tox -e bench`` does it. The last
# one serves, for others.
WHOLE = {'bench', 'bench_nova', 'bench_peers'}


def test_every_bench_has_a_case() -> None:
    found = {path.stem for path in ROOT.glob('tests/bench*.py')}
    assert found == {*BENCHES, *WHOLE}


@pytest.mark.long
@pytest.mark.parametrize('name', BENCHES)
def test_a_bench_goes_to_its_end(
    name: str, servers: databases.Servers
) -> None:
    if name in DATABASES:
        # Where that is missing, its name is told.
        servers.get(DATABASES[name])
    arguments, last = BENCHES[name]
    ran = subprocess.run(
        [sys.executable, '-m', f'tests.{name}', *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    rows = [line for line in ran.stdout.splitlines() if line.strip()]
    assert rows[-1].startswith(last), ran.stdout
