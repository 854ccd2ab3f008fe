"""The image of ``Containerfile``: by its parts, and where one can be built.

The parts are what the file and the installation document say, carried out
below one directory; see ``containerfile``.
"""

import configparser
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import uuid
from collections.abc import Callable
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.integration import containerfile
from tests.integration import environments
from tests.integration import guide
from tests.integration import processes

pytestmark = pytest.mark.long

FILE = environments.ROOT / 'Containerfile'
NAME = 'aggregates_ext'
BUILD_LIMIT = 1800  # seconds
# An option of "podman run" that has a value.
WITH_VALUE = ('cap-drop', 'name', 'publish', 'stop-timeout', 'tmpfs', 'volume')
LISTENS = {
    'aggregates-ext-api': r'^listening on http://\S+?:(\d+)$',
    'gunicorn': r'Listening at: http://[0-9.]+:(\d+)',
}


class Container(NamedTuple):
    """What a documented command is to run.

    :ivar options: of ``podman run``, with their values.
    """

    options: dict[str, list[str]]
    words: list[str]

    def mounted(self, target: str) -> str:
        """Where on the host something is that is mounted read-only."""
        volumes = [text.split(':') for text in self.options['volume']]
        [found] = [v[0] for v in volumes if v[1:] == [target, 'ro']]
        return found


def documented() -> list[Container]:
    """The commands that the document starts containers with."""
    return [
        read(words) for words in guide.commands('install.rst', 'podman run')
    ]


def read(words: list[str]) -> Container:
    options: dict[str, list[str]] = {}
    rest = words[2:]
    while (option := rest.pop(0)) != NAME:
        name = option.removeprefix('--')
        value = rest.pop(0) if name in WITH_VALUE else ''
        options.setdefault(name, []).append(value)
    return Container(options, rest)


@pytest.fixture(name='image', scope='module')
def fixture_image(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[containerfile.Image]:
    """What the file makes of what a checkout has."""
    directory = tmp_path_factory.mktemp('image')
    ignored = shutil.ignore_patterns(
        '.*', '*.egg-info', '__pycache__', 'build'
    )
    context = directory / 'context'
    shutil.copytree(environments.ROOT, context, ignore=ignored)
    made = containerfile.Image(directory, context)
    try:
        made.build(FILE.read_text())
    except AssertionError as exc:
        # Without a way to PyPI, and for nothing else.
        required = os.environ.get('REQUIRE_SERVICES') == '1'
        if required or 'No matching distribution found' not in str(exc):
            raise
        pytest.skip(f'the wheels cannot be had: {exc}')
    made.close()
    before = made.contents()
    yield made
    # Whatever has run: nothing was written.
    assert made.contents() == before


def test_the_image_has_the_package_and_nothing_else(
    image: containerfile.Image,
) -> None:
    assert os.listdir(image.root) == ['opt']
    assert os.listdir(image.root / 'opt') == [NAME]
    [site] = image.root.glob('opt/*/lib/python*/site-packages')
    assert not (site / 'tests').exists()
    assert (site / NAME / 'cmd' / '__pycache__').is_dir()
    user, group = map(int, image.said('USER').split(':'))
    assert min(user, group) > 1000
    assert image.said('EXPOSE') == '8774'


def test_all_commands_start_where_nothing_can_be_written(
    image: containerfile.Image, tmp_path: pathlib.Path
) -> None:
    setup = configparser.ConfigParser()
    setup.read(environments.ROOT / 'setup.cfg')
    scripts = setup['options.entry_points']['console_scripts'].split('\n')
    names = [line.partition(' ')[0] for line in scripts if line]
    assert len(names) == 5
    for name in (*names, 'gunicorn'):
        log = tmp_path / f'{name}.log'
        program = image.start([name, '--version'], log)
        assert program.wait(processes.DEADLINE) == 0, log.read_text()
        assert re.search(r'\d+\.\d+\.\d+', log.read_text())


def test_nobody_writes_to_the_image(
    image: containerfile.Image, tmp_path: pathlib.Path
) -> None:
    """Or the other tests would prove nothing."""
    place = image.root / 'opt' / 'written'
    done = image.start(['touch', str(place)], tmp_path / 'log')
    assert done.wait(processes.DEADLINE) != 0


@pytest.fixture
def etc(tmp_path: pathlib.Path) -> Callable[[Container], pathlib.Path]:
    """Makes the directory that a container of the document has mounted."""

    def make(container: Container) -> pathlib.Path:
        source = container.mounted(f'/etc/{NAME}')
        place = tmp_path / pathlib.Path(source).name
        place.mkdir(exist_ok=True)
        (place / 'aggregates_ext.conf').write_text(
            '[api]\nauth_strategy = noauth\nbind_port = 0\n'
            'bind_host = 0.0.0.0\n'
            f'[database]\nconnection = sqlite:///{tmp_path}/sqlite\n'
            '[xenserver]\ncredentials = default\n'
            '[xenserver:default]\npassword = secret\n'
        )
        return place

    return make


def started(
    process: subprocess.Popen[bytes], log: pathlib.Path, text: str
) -> str:
    """Wait until a service says a text; what the group of it found."""

    def look() -> re.Match[str] | None:
        assert process.poll() is None, log.read_text()
        return re.search(text, log.read_text(), re.MULTILINE)

    return processes.wait_for(f'it says {text}', look)[1]


def test_the_documented_containers_serve_and_stop(
    image: containerfile.Image,
    etc: Callable[[Container], pathlib.Path],
    tmp_path: pathlib.Path,
) -> None:
    sync, compute, api = documented()
    for container in (sync, compute, api):
        assert {'read-only', 'cap-drop'} <= set(container.options)
    assert sync.words[0] == 'aggregates-ext-manage'
    log = tmp_path / 'sync.log'
    done = image.start(sync.words, log, etc(sync))
    assert done.wait(processes.DEADLINE) == 0, log.read_text()

    log = tmp_path / 'compute.log'
    service = image.start(compute.words, log, etc(compute))
    started(service, log, '(The compute service works)')
    service.terminate()
    assert service.wait(processes.DEADLINE) == 0, log.read_text()

    [published] = api.options['publish']
    port = published.rpartition(':')[2]
    assert port == image.said('EXPOSE')
    words = [word.replace(f':{port}', ':0') for word in api.words]
    assert words != api.words
    # What the file runs, where nobody says what.
    for command in (words, json.loads(image.said('CMD'))):
        log = tmp_path / f'{command[0]}.log'
        service = image.start(command, log, etc(api))
        found = started(service, log, LISTENS[command[0]])
        assert health(int(found)) == 200
        service.terminate()
        assert service.wait(processes.DEADLINE) == 0, log.read_text()


def health(port: int) -> int:
    """The status of what load balancers ask for."""
    connection = http.client.HTTPConnection(
        '127.0.0.1', port, timeout=processes.DEADLINE
    )
    connection.request('GET', '/healthcheck')
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.fixture(name='podman', scope='module')
def fixture_podman() -> Callable[..., str]:
    """Runs podman or docker to the end; the answer: what it wrote."""
    found = shutil.which('podman') or shutil.which('docker')
    if found is None:
        # Its environment was asked for, whatever else may be missing.
        pytest.fail('there is neither podman nor docker')
    program = found

    def run(*words: str | pathlib.Path) -> str:
        done = subprocess.run(
            [program, *words],
            cwd=environments.ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUILD_LIMIT,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout.strip()

    return run


@pytest.fixture(name='tag', scope='module')
def fixture_tag(podman: Callable[..., str]) -> Iterator[str]:
    """The name of the image, built as documented.

    ``AGGREGATES_EXT_IMAGE_BASE`` names another base than the file does.
    """
    [words] = guide.commands('install.rst', 'podman build')
    tag = f'{NAME}_test:{uuid.uuid4()}'
    base = os.environ.get('AGGREGATES_EXT_IMAGE_BASE')
    more = ['--build-arg', f'BASE={base}'] if base else []
    assert NAME in words
    told = [tag if word == NAME else word for word in words[2:]]
    podman('build', '--file', FILE, *more, *told)
    yield tag
    podman('rmi', '--force', tag)


@pytest.mark.image
def test_an_image_is_built(podman: Callable[..., str], tag: str) -> None:
    told = podman('inspect', '--format', '{{json .Config}}', tag)
    config = json.loads(told)
    assert config['User'] == '42424:42424'
    assert config['Cmd'] == ['aggregates-ext-api']
    assert not config.get('Entrypoint')


@pytest.mark.image
def test_containers_of_a_built_image_serve_and_stop(
    podman: Callable[..., str],
    tag: str,
    etc: Callable[[Container], pathlib.Path],
    tmp_path: pathlib.Path,
) -> None:
    """As documented, but with files and the port of the test."""
    # Where the configuration has its SQLite, at the same place inside.
    tmp_path.chmod(0o777)

    def run(container: Container, *more: str) -> None:
        options = [
            f'--volume={etc(container)}:/etc/{NAME}:ro',
            f'--volume={tmp_path}:{tmp_path}',
        ]
        for name in {*container.options} - {
            *('detach', 'name', 'publish', 'rm', 'volume')
        }:
            for value in container.options[name]:
                options.append(f'--{name}={value}' if value else f'--{name}')
        podman('run', *options, *more, tag, *container.words)

    sync, compute, api = documented()
    [published] = api.options['publish']
    port = f'127.0.0.1::{published.rpartition(":")[2]}'
    names = [f'{each}-{uuid.uuid4()}' for each in ('compute', 'api')]
    try:
        run(sync, '--rm')
        run(compute, '--detach', f'--name={names[0]}')
        run(api, '--detach', f'--name={names[1]}', f'--publish={port}')
        found = podman('port', names[1]).rpartition(':')[2]
        processes.wait_for('the API serves', lambda: serves(int(found)))
        for name in names:
            podman('stop', '--time', '70', name)
            told = podman('inspect', '--format', '{{.State.ExitCode}}', name)
            assert told == '0', podman('logs', name)
    finally:
        for name in names:
            with contextlib.suppress(AssertionError):
                podman('rm', '--force', name)


def serves(port: int) -> bool:
    """Whether somebody answers that all is well."""
    with contextlib.suppress(OSError):
        return health(port) == 200
    return False
