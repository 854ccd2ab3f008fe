"""systemd takes the units as they are, and finds them confined."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from aggregates_ext import conf as settings

ETC = pathlib.Path(__file__).parents[2] / 'etc'
SERVICES = ('api', 'compute')
# Tenths, where 100 is a service that may do everything.
EXPOSURE = 20


def program(name: str) -> str:
    """A program of systemd, without which the test is skipped."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get('REQUIRE_SERVICES') == '1':
            pytest.fail(f'{name} is not installed')
        pytest.skip(f'{name} is not installed')
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def unit_of(service: str) -> pathlib.Path:
    return ETC / 'systemd' / f'aggregates-ext-{service}.service'


@pytest.fixture(params=SERVICES)
def installed(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> pathlib.Path:
    """A unit whose command is where the tests have it."""
    unit = unit_of(request.param)
    begin = f'ExecStart={unit.stem} '
    text = unit.read_text()
    assert begin in text
    where = pathlib.Path(sys.executable).with_name(unit.stem)
    copy = tmp_path / unit.name
    copy.write_text(text.replace(begin, f'ExecStart={where} '))
    return copy


def test_units_have_no_mistake(installed: pathlib.Path) -> None:
    """An unknown setting is a warning to systemd, and one here too."""
    done = run(
        program('systemd-analyze'), 'verify', '--man=no', str(installed)
    )
    assert (done.returncode, done.stderr) == (0, '')


def test_services_are_confined(installed: pathlib.Path) -> None:
    done = run(
        program('systemd-analyze'),
        'security',
        '--offline=yes',
        '--no-pager',
        f'--threshold={EXPOSURE}',
        str(installed),
    )
    assert done.returncode == 0, done.stdout


def test_accounts_are_those_of_the_units(tmp_path: pathlib.Path) -> None:
    done = run(
        program('systemd-sysusers'),
        '--dry-run',
        f'--root={tmp_path}',
        str(ETC / 'sysusers.d' / 'aggregates_ext.conf'),
    )
    assert done.returncode == 0, done.stderr
    for service in SERVICES:
        unit = unit_of(service)
        assert f'User={unit.stem}\nGroup=aggregates-ext\n' in unit.read_text()
        assert f"Creating user '{unit.stem}'" in done.stderr
    assert "Creating group 'aggregates-ext'" in done.stderr


def test_systemd_waits_longer_than_the_services() -> None:
    """What is in flight is not killed before its own time is over."""
    limits = {'api': settings.API_OPTS, 'compute': settings.COMPUTE_OPTS}
    for service, opts in limits.items():
        (limit,) = (o for o in opts if o.name == 'graceful_shutdown_timeout')
        (line,) = (
            line
            for line in unit_of(service).read_text().splitlines()
            if line.startswith('TimeoutStopSec=')
        )
        assert int(line.partition('=')[2]) >= limit.default + 15


def test_memory_is_limited() -> None:
    """A host that fills it ends the service, and not the machine."""
    for service in SERVICES:
        assert '\nMemoryMax=' in unit_of(service).read_text()
