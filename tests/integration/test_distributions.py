"""What pip and the index get: the sdist and the wheel, file by file."""

import configparser
import pathlib
import runpy
import shlex
import shutil
import sys
import tarfile
import zipfile
from typing import Any

import pytest

from tests.integration import clients
from tests.integration import documents
from tests.integration import environments

pytestmark = pytest.mark.long

# As pyproject.toml asks for, so that no build needs an index.
BUILDERS = ('build', 'setuptools>=77', 'docutils>=0.20')
# Beside the package: what a builder of packages or of images needs.
TOP = {
    'Containerfile',
    'LICENSE',
    'MANIFEST.in',
    'README.rst',
    'pyproject.toml',
    'setup.cfg',
    'setup.py',
}
GRAFTED = ('aggregates_ext', 'doc', 'etc', 'releasenotes')
# What lies about in a checkout where somebody works.
JUNK = (
    '.tox/py3/lib/left.py',
    '.hypothesis/left',
    'aggregates_ext/__pycache__/left.cpython-311.pyc',
    'aggregates_ext/left.pyc',
    'aggregates_ext/db/schema/alembic/versions/__pycache__/left.pyc',
    'build/html/left.html',
    'dist/left.whl',
    'doc/build/html/left.html',
    'doc/source/.index.rst.swp',
    'etc/aggregates_ext/aggregates_ext.conf.sample~',
    'etc/aggregates_ext/__pycache__/left.pyc',
    'tests/left.py',
    'tests/test_left.py',
)


def tracked() -> set[str]:
    """The files of a checkout, as they are to be in an sdist."""
    return {
        path.relative_to(environments.ROOT).as_posix()
        for name in GRAFTED
        for path in (environments.ROOT / name).rglob('*')
        if path.is_file()
        and '__pycache__' not in path.parts
        and (environments.ROOT / 'doc' / 'build') not in path.parents
    }


class Built:
    """Both, and the wheel of the sdist.

    :ivar sdist: its files, without its directory.
    :ivar wheel: name -> content, of each file.
    :ivar again: the same, of the wheel that the sdist makes.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        venv = environments.install('build', *BUILDERS)
        self._build = (venv / 'bin' / 'python', '-m', 'build', '-n')
        source = directory / 'source'
        ignored = shutil.ignore_patterns(
            '.*', '*.egg-info', '__pycache__', 'build', 'dist'
        )
        shutil.copytree(environments.ROOT, source, ignore=ignored)
        for name in JUNK:
            place = source / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        self.wheel = self._make_wheel(source, directory / 'wheel')
        target = directory / 'sdist'
        environments.run(*self._build, '-s', '-o', target, source)
        [archive] = target.iterdir()
        with tarfile.open(archive) as opened:
            names = [m.name for m in opened.getmembers() if m.isfile()]
            self.sdist = {name.partition('/')[2] for name in names}
            # Python before 3.11.4 takes no filter by its name.
            data: Any = getattr(tarfile, 'data_filter', None)
            opened.extraction_filter = data
            opened.extractall(directory / 'unpacked')  # noqa: S202
        [unpacked] = (directory / 'unpacked').iterdir()
        self.again = self._make_wheel(unpacked, directory / 'again')
        [self.file] = (directory / 'again').iterdir()

    def _make_wheel(
        self, source: pathlib.Path, target: pathlib.Path
    ) -> dict[str, bytes]:
        environments.run(*self._build, '-w', '-o', target, source)
        [archive] = target.iterdir()
        with zipfile.ZipFile(archive) as opened:
            return {name: opened.read(name) for name in opened.namelist()}


@pytest.fixture(scope='module')
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(tmp_path_factory.mktemp('distributions'))


def test_the_sdist_has_all_sources_and_no_tests(built: Built) -> None:
    found = {n for n in built.sdist if '.egg-info/' not in n} - {'PKG-INFO'}
    assert found == tracked() | TOP


def test_the_wheel_has_the_package_and_its_data(built: Built) -> None:
    sources = {n for n in tracked() if n.startswith('aggregates_ext/')}
    data = {n for n in built.wheel if '.data/' in n}
    about = {n for n in built.wheel if '.dist-info/' in n}
    assert set(built.wheel) - data - about == sources
    assert {n.partition('.data/data/')[2] for n in data} == installed()
    assert any(n.endswith('/licenses/LICENSE') for n in about)


def installed() -> set[str]:
    """What is below the prefix: by setup.cfg, and the manual pages."""
    setup = configparser.ConfigParser()
    setup.read(environments.ROOT / 'setup.cfg')
    files = {
        f'{target}/{pathlib.PurePath(line).name}'
        for target, lines in setup['options.data_files'].items()
        for line in lines.split()
    }
    pages = runpy.run_path(str(documents.SOURCE / 'conf.py'))['man_pages']
    assert len(pages) == 5
    return files | {
        f'share/man/man{section}/{name}.{section}'
        for _source, name, _about, _authors, section in pages
    }


def test_the_sdist_makes_the_same_wheel(built: Built) -> None:
    assert built.again == built.wheel


def test_the_extra_for_clients_brings_openstack(
    built: Built, tmp_path: pathlib.Path
) -> None:
    """And, as its document says, what the services need."""
    environments.run(sys.executable, '-m', 'venv', tmp_path / 'venv')
    block = documents.block('client.rst', "pip install '.[client]'")
    words = shlex.split(block.replace("'.[", f"'{built.file}["))
    programs = tmp_path / 'venv' / 'bin'
    environments.run(programs / words[0], *words[1:])
    done = clients.run(
        tmp_path / 'venv',
        {},
        'openstack',
        *('aggregate', 'pool', 'list', '--help'),
    )
    assert done.status == 0, done.err
    assert done.out.startswith('usage: openstack aggregate pool list')
    environments.run(programs / 'python', '-c', 'import sqlalchemy')
