"""What an installation gets, and which releases it may run on."""

import configparser
import pathlib

import pytest

from tests import lower_bounds

ROOT = pathlib.Path(__file__).parents[2]
# Read from a checkout alone, to make the samples.
GENERATORS = {
    'etc/aggregates_ext/config-generator.conf',
    'etc/aggregates_ext/policy-generator.conf',
}


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / 'setup.cfg')
    return parser


def test_every_file_of_etc_is_installed() -> None:
    listed = {
        line
        for lines in setup()['options.data_files'].values()
        for line in lines.split()
    }
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / 'etc').rglob('*')
        if path.is_file()
    }
    assert listed == found - GENERATORS


def test_files_lie_where_their_programs_look() -> None:
    """The directory's last part tells whose they are."""
    for target, lines in setup()['options.data_files'].items():
        directories = {pathlib.PurePath(line).parent for line in lines.split()}
        (directory,) = directories
        assert directory.name == target.split('/')[1]


def test_every_file_of_the_package_is_installed() -> None:
    """Beside modules there are revisions of the schema, and pages."""
    package = ROOT / 'aggregates_ext'
    others = {
        path.relative_to(package).as_posix()
        for path in package.rglob('*')
        if path.is_file() and path.suffix not in ('.py', '.pyc')
    }
    modules = {path.parent for path in package.rglob('*.py')}
    no_packages = {
        path.relative_to(package).as_posix()
        for path in modules
        if not (path / '__init__.py').exists()
    }
    data = setup()['options.package_data']
    listed = data['aggregates_ext.db.schema'].split(', ')
    pages = 'templates/resource_pools/*.html'
    assert data['aggregates_ext.dashboard'] == pages
    assert others == {
        'db/schema/alembic/script.py.mako',
        *(
            path.relative_to(package).as_posix()
            for path in (package / 'dashboard').glob(pages)
        ),
    }
    assert no_packages == {'db/schema/alembic', 'db/schema/alembic/versions'}
    assert set(listed) == {
        'alembic/*.py', 'alembic/*.mako', 'alembic/versions/*.py',
    }  # fmt: skip


def test_every_dependency_has_a_lower_bound() -> None:
    lines = setup()['options']['install_requires'].split()
    pinned = set(lower_bounds.constraints(lower_bounds.SETUP.read_text()))
    assert len(pinned) > len(lines) > 20
    assert 'oslo.service==' in {p.rstrip('0123456789.') for p in pinned}


def test_a_dependency_without_a_bound_is_found() -> None:
    text = lower_bounds.SETUP.read_text().replace('lxml>=5.4', 'lxml')
    with pytest.raises(ValueError, match='lxml'):
        list(lower_bounds.constraints(text))
