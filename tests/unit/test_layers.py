"""Who may import what: one table, kept by a test."""

import ast
import pathlib
import sys
from collections.abc import Iterator

import pytest

import aggregates_ext

PACKAGE = pathlib.Path(aggregates_ext.__path__[0])

# Library -> the only places that may import it.
OWNERS = {
    'sqlalchemy': ('db/',),
    'alembic': ('db/',),
    'oslo_db': (
        'db/',
        'conf.py',
        'compute/endpoint.py',
        'compute/run/lease.py',
        'compute/manager.py',
        'compute/runner.py',
    ),
    'webob': ('api/',),
    'routes': ('api/',),
    'lxml': ('api/edge/wire.py', 'api/edge/oldxml.py'),
    'jsonschema': ('api/forms/',),
    'microversion_parse': ('api/',),
    'paste': ('deploy.py',),
    'oslo_messaging': ('rpc.py', 'compute/', 'cmd/'),
    'oslo_service': ('cmd/', 'wsgi.py'),
    'oslo_middleware': ('healthcheck.py',),
    'oslo_policy': (
        'policy.py',
        'policyfile.py',
        'context.py',
        'api/',
        'cmd/commands/policy.py',
    ),
    'oslo_context': ('context.py', 'api/', 'compute/requests.py'),
    'oslo_upgradecheck': ('cmd/commands/',),
    'waitress': ('cmd/server.py',),
    'rich': ('cmd/', 'demo/'),
    'XenAPI': ('compute/xen/xenapi.py',),
}

# Part of ours -> the parts of ours that it may import; itself always.
BELOW = {
    'exception.py': (),
    'conf.py': (),
    'policy.py': ('conf.py',),
    'policyfile.py': ('policy.py',),
    'context.py': ('exception.py',),
    'aside.py': (),
    'rpc.py': ('aside.py',),
    'db/': ('exception.py',),
    'domain/': ('context.py', 'exception.py', 'db/'),
    'healthcheck.py': ('conf.py', 'exception.py', 'db/'),
    'compute/': ('conf.py', 'exception.py', 'domain/', 'rpc.py', 'db/'),
    'api/': ('context.py', 'exception.py', 'policy.py', 'domain/', 'db/'),
    'deploy.py': (
        'conf.py',
        'exception.py',
        'policy.py',
        'rpc.py',
        'api/',
        'domain/',
        'db/',
    ),
    'wsgi.py': ('conf.py', 'deploy.py', 'api/', 'cmd/threads.py'),
    'xensim/': (),
}


def imports() -> Iterator[tuple[str, str]]:
    """Every import of the package: file, imported module."""
    for path in PACKAGE.rglob('*.py'):
        where = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                for name in node.names:
                    yield where, name.name
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f'{where}: relative import'
                for name in node.names:
                    yield where, f'{node.module}.{name.name}'


def part_of(where: str) -> str:
    """The part that a file or imported module belongs to."""
    head, slash, _rest = where.partition('/')
    return head + slash


ALL = sorted(set(imports()))


@pytest.mark.parametrize('library', sorted(OWNERS))
def test_library_is_imported_by_its_owners_alone(library: str) -> None:
    users = {
        where
        for where, module in ALL
        if module.split('.')[0] == library and 'alembic/' not in where
    }
    assert users, f'nobody imports {library}: take it off the table'
    assert [
        u for u in sorted(users) if not u.startswith(OWNERS[library])
    ] == []


def test_imports_go_down_the_layers() -> None:
    wrong = []
    for where, module in ALL:
        package, _dot, rest = module.partition('.')
        part = part_of(where)
        if package != 'aggregates_ext' or part not in BELOW:
            continue
        target = rest.replace('.', '/')
        allowed = (part, *BELOW[part])
        if not any(
            target.startswith(place.removesuffix('.py')) for place in allowed
        ):
            wrong.append(f'{where} imports {module}')
    assert wrong == []


def test_only_the_simulator_imports_the_simulator() -> None:
    users = {
        part_of(where)
        for where, module in ALL
        if module.startswith('aggregates_ext.xensim')
    }
    assert users == {'xensim/'}


def test_simulator_needs_the_standard_library_and_yaml_alone() -> None:
    import_names = {
        module.split('.')[0]
        for where, module in ALL
        if where.startswith('xensim/')
    }
    import_names -= {'aggregates_ext'}
    assert import_names - {'yaml'} <= set(STANDARD)


STANDARD = sys.stdlib_module_names
