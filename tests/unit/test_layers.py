"""Who may import what: two tables, kept by tests."""

import ast
import collections
import functools
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
        'compute/heartbeat.py',
        'compute/lookout.py',
        'compute/run/lease.py',
        'compute/manager.py',
        'compute/notifying/sender.py',
        'compute/purge.py',
        'compute/runner.py',
        'metrics/collector.py',
    ),
    'webob': ('api/',),
    'routes': ('api/',),
    'lxml': ('api/edge/wire.py', 'api/edge/oldxml.py'),
    'jsonschema': ('api/forms/',),
    'microversion_parse': ('api/',),
    'paste': ('deploy.py',),
    'oslo_messaging': ('rpc.py', 'compute/', 'cmd/'),
    'oslo_service': ('threads.py',),
    'oslo_middleware': ('healthcheck.py', 'api/edge/proxied.py'),
    'oslo_policy': (
        'policy.py',
        'policyfile.py',
        'enforcers.py',
        'cmd/commands/policy.py',
    ),
    'oslo_context': (
        'context.py',
        'api/',
        'compute/notifying/delivery.py',
        'compute/requests.py',
        'db/outbox/',
    ),
    'oslo_upgradecheck': ('cmd/commands/',),
    'waitress': ('cmd/server.py',),
    'prometheus_client': ('metrics/',),
    'rich': ('cmd/commands/', 'cmd/demo.py', 'demo/'),
    'XenAPI': ('compute/xen/xenapi.py',),
    'keystoneauth1': ('client/api.py', 'dashboard/'),
    'django': ('dashboard/',),
    'horizon': ('dashboard/',),
    'openstack_dashboard': ('dashboard/asking.py',),
    'osc_lib': ('client/',),
    'cliff': ('client/shown.py',),
}

# Room of ours, or file at the top -> the rooms that it imports, and may.
# The floors: a room imports only what stands above it in this table.
ROOMS: dict[str, tuple[str, ...]] = {
    'background.py': (),
    'outages.py': (),
    'threads.py': (),
    'verbatim.py': (),
    'demo/': (),
    'client/': (),
    'dashboard/enabled/': (),
    'dashboard/': ('client/',),
    'exception.py': (),
    'conf.py': ('verbatim.py',),
    'prerequisites.py': ('verbatim.py',),
    'context.py': ('exception.py',),
    'db/engine/': ('exception.py', 'outages.py'),
    'policy.py': (),
    'enforcers.py': ('conf.py', 'exception.py', 'policy.py'),
    'rpc.py': ('background.py', 'exception.py', 'outages.py'),
    'db/schema/': ('db/engine/', 'exception.py'),
    'policyfile.py': ('enforcers.py', 'exception.py', 'policy.py'),
    'db/outbox/': ('db/engine/', 'db/schema/'),
    'db/': ('db/engine/', 'db/outbox/', 'db/schema/', 'exception.py'),
    'db/schema/alembic/': ('db/schema/',),
    'db/schema/alembic/versions/': ('db/schema/',),
    'compute/xen/': ('conf.py', 'db/', 'exception.py'),
    'domain/': ('context.py', 'db/', 'db/engine/', 'exception.py'),
    'domain/membership/': ('context.py', 'db/', 'domain/', 'exception.py'),
    'domain/maintenance/': (
        'context.py',
        'db/',
        'domain/',
        'domain/membership/',
        'exception.py',
    ),
    'domain/outlook/': (
        'db/',
        'db/engine/',
        'domain/',
        'domain/maintenance/',
        'domain/membership/',
        'exception.py',
    ),
    'healthcheck.py': (
        'enforcers.py',
        'conf.py',
        'db/engine/',
        'db/schema/',
        'domain/',
        'exception.py',
    ),
    'api/forms/': (
        'db/',
        'domain/',
        'domain/maintenance/',
        'exception.py',
    ),
    'cmd/commands/': (
        'enforcers.py',
        'compute/xen/',
        'conf.py',
        'context.py',
        'db/',
        'db/engine/',
        'db/outbox/',
        'db/schema/',
        'domain/',
        'domain/maintenance/',
        'domain/membership/',
        'exception.py',
        'policyfile.py',
        'prerequisites.py',
        'rpc.py',
        'verbatim.py',
    ),
    'compute/rules/': ('compute/xen/', 'db/'),
    'api/edge/': (
        'api/forms/',
        'context.py',
        'db/',
        'domain/',
        'domain/maintenance/',
        'domain/membership/',
        'domain/outlook/',
        'exception.py',
    ),
    'compute/rules/joining/': ('compute/rules/', 'compute/xen/', 'db/'),
    'compute/run/': (
        'compute/rules/',
        'compute/xen/',
        'db/',
        'db/engine/',
        'exception.py',
        'outages.py',
    ),
    'api/resources/': (
        'api/edge/',
        'api/forms/',
        'context.py',
        'db/',
        'domain/',
        'domain/maintenance/',
        'domain/membership/',
        'domain/outlook/',
        'exception.py',
        'policy.py',
    ),
    'api/servers/': (
        'api/edge/',
        'api/forms/',
        'context.py',
        'db/',
        'domain/',
        'exception.py',
        'policy.py',
    ),
    'compute/observation/': (
        'compute/rules/',
        'compute/run/',
        'compute/xen/',
        'db/',
        'db/engine/',
        'domain/',
        'exception.py',
    ),
    'compute/rules/leaving/': (
        'compute/rules/',
        'compute/rules/joining/',
        'compute/xen/',
    ),
    'compute/rules/evacuating/': (
        'compute/rules/',
        'compute/rules/joining/',
        'compute/rules/leaving/',
        'compute/xen/',
        'db/',
    ),
    'api/': (
        'api/edge/',
        'api/forms/',
        'api/resources/',
        'api/servers/',
        'context.py',
        'exception.py',
    ),
    'compute/mastership/': (
        'compute/observation/',
        'compute/rules/',
        'compute/run/',
        'compute/xen/',
        'db/',
        'db/engine/',
    ),
    'compute/moving/': (
        'compute/observation/',
        'compute/rules/',
        'compute/rules/evacuating/',
        'compute/run/',
        'compute/xen/',
        'db/',
        'exception.py',
    ),
    'compute/operations/': (
        'compute/mastership/',
        'compute/observation/',
        'compute/rules/',
        'compute/rules/joining/',
        'compute/rules/leaving/',
        'compute/run/',
        'compute/xen/',
        'db/',
        'domain/',
    ),
    'compute/maintenance/': (
        'compute/observation/',
        'compute/operations/',
        'compute/rules/',
        'compute/rules/evacuating/',
        'compute/rules/leaving/',
        'compute/run/',
        'compute/xen/',
        'db/',
        'db/engine/',
        'domain/',
        'domain/maintenance/',
        'exception.py',
    ),
    'compute/notifying/': (
        'db/',
        'db/engine/',
        'db/outbox/',
        'exception.py',
        'outages.py',
        'rpc.py',
    ),
    'deploy.py': (
        'enforcers.py',
        'api/',
        'api/edge/',
        'conf.py',
        'db/engine/',
        'domain/',
        'domain/maintenance/',
        'domain/membership/',
        'domain/outlook/',
        'exception.py',
        'rpc.py',
    ),
    'compute/': (
        'compute/maintenance/',
        'compute/mastership/',
        'compute/moving/',
        'compute/notifying/',
        'compute/observation/',
        'compute/operations/',
        'compute/rules/',
        'compute/rules/evacuating/',
        'compute/rules/joining/',
        'compute/rules/leaving/',
        'compute/run/',
        'compute/xen/',
        'db/',
        'db/engine/',
        'domain/',
        'exception.py',
        'outages.py',
        'rpc.py',
    ),
    'metrics/': (
        'api/',
        'api/edge/',
        'background.py',
        'compute/run/',
        'compute/xen/',
        'db/',
        'db/engine/',
        'db/outbox/',
        'domain/',
        'exception.py',
        'outages.py',
    ),
    'refusals.py': ('exception.py',),
    'wsgi.py': (
        'api/',
        'conf.py',
        'deploy.py',
        'prerequisites.py',
        'refusals.py',
        'rpc.py',
        'threads.py',
    ),
    'cmd/': (
        'cmd/commands/',
        'compute/',
        'compute/run/',
        'compute/xen/',
        'conf.py',
        'db/engine/',
        'demo/',
        'deploy.py',
        'metrics/',
        'prerequisites.py',
        'refusals.py',
        'rpc.py',
        'threads.py',
    ),
    'xensim/plan/': (),
    'xensim/records/': ('xensim/plan/',),
    'xensim/wire/': ('xensim/plan/', 'xensim/records/'),
    'xensim/world/': ('xensim/plan/', 'xensim/records/'),
    'xensim/calls/': (
        'xensim/plan/',
        'xensim/records/',
        'xensim/wire/',
        'xensim/world/',
    ),
    'xensim/exclusion/': ('xensim/calls/', 'xensim/plan/', 'xensim/records/'),
    'xensim/install/': (
        'xensim/exclusion/',
        'xensim/plan/',
        'xensim/records/',
        'xensim/world/',
    ),
    'xensim/machines/': (
        'xensim/calls/',
        'xensim/exclusion/',
        'xensim/install/',
        'xensim/plan/',
        'xensim/records/',
        'xensim/world/',
    ),
    'xensim/life/': (
        'xensim/calls/',
        'xensim/exclusion/',
        'xensim/install/',
        'xensim/machines/',
        'xensim/plan/',
        'xensim/records/',
        'xensim/world/',
    ),
    'xensim/join/': (
        'xensim/calls/',
        'xensim/exclusion/',
        'xensim/life/',
        'xensim/plan/',
        'xensim/records/',
        'xensim/world/',
    ),
    'xensim/pool/': (
        'xensim/calls/',
        'xensim/exclusion/',
        'xensim/install/',
        'xensim/life/',
        'xensim/machines/',
        'xensim/plan/',
        'xensim/records/',
        'xensim/world/',
    ),
    'xensim/hosts/': (
        'xensim/calls/',
        'xensim/exclusion/',
        'xensim/join/',
        'xensim/life/',
        'xensim/machines/',
        'xensim/pool/',
        'xensim/records/',
        'xensim/world/',
    ),
    'xensim/': (
        'xensim/calls/',
        'xensim/exclusion/',
        'xensim/hosts/',
        'xensim/install/',
        'xensim/join/',
        'xensim/life/',
        'xensim/machines/',
        'xensim/plan/',
        'xensim/pool/',
        'xensim/records/',
        'xensim/wire/',
        'xensim/world/',
    ),
}

# A folder with more modules has a second subject.
MODULES_OF_A_ROOM = 16


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


def room_of(where: str) -> str:
    """The room that a file belongs to."""
    folder, slash, _name = where.rpartition('/')
    return folder + slash if slash else where


def find(module: str) -> str:
    """The file of an imported module, or of one that has the name."""
    steps = module.split('.')[1:]
    while steps:
        where = '/'.join(steps) + '.py'
        if (PACKAGE / where).is_file():
            return where
        steps.pop()
    raise LookupError(module)


@functools.cache
def all_imports() -> list[tuple[str, str]]:
    """The same in order, once each."""
    return sorted(set(imports()))


@pytest.mark.parametrize('library', sorted(OWNERS))
def test_library_is_imported_by_its_owners_alone(library: str) -> None:
    users = {
        where
        for where, module in all_imports()
        if module.split('.')[0] == library and 'alembic/' not in where
    }
    assert users, f'nobody imports {library}: take it off the table'
    assert [
        u for u in sorted(users) if not u.startswith(OWNERS[library])
    ] == []


def arrows() -> set[tuple[str, str]]:
    """Which room imports which."""
    found = {
        (room_of(where), room_of(find(module)))
        for where, module in all_imports()
        if module.partition('.')[0] == 'aggregates_ext'
    }
    return {(room, other) for room, other in found if room != other}


def test_rooms_import_what_the_table_says() -> None:
    told = {(room, other) for room in ROOMS for other in ROOMS[room]}
    assert arrows() - told == set(), 'not in the table'
    assert told - arrows() == set(), 'not needed any more'


def test_imports_go_down_the_floors() -> None:
    order = list(ROOMS)
    wrong = [
        f'{room} imports {other}, which stands below it'
        for room in order
        for other in ROOMS[room]
        if order.index(other) > order.index(room)
    ]
    assert wrong == []


def test_every_room_is_in_the_table_and_small_enough() -> None:
    sizes = collections.Counter(
        room_of(path.relative_to(PACKAGE).as_posix())
        for path in PACKAGE.rglob('*.py')
        if path.name != '__init__.py'
    )
    assert sizes.keys() == ROOMS.keys()
    assert max(sizes.values()) <= MODULES_OF_A_ROOM


def test_api_knows_no_compute_service_and_nobody_the_simulator() -> None:
    wings = {
        (room.partition('/')[0], other.partition('/')[0])
        for room, other in arrows()
    }
    assert ('api', 'compute') not in wings
    assert {one for one, other in wings if other == 'xensim'} == {'xensim'}
    assert {other for one, other in wings if one == 'xensim'} == {'xensim'}


def test_the_client_stands_alone() -> None:
    """Who installs it need install nothing else of the package."""
    assert not [other for room, other in arrows() if room == 'client/']
    libraries = {
        module.split('.')[0]
        for where, module in all_imports()
        if where.startswith('client/')
    }
    libraries -= {'aggregates_ext', *STANDARD}
    assert libraries <= {'cliff', 'keystoneauth1', 'osc_lib'}


def test_the_dashboard_needs_of_the_client_what_has_no_command() -> None:
    """Where Horizon is there is no cliff and no osc-lib."""
    taken = {
        find(module)
        for where, module in all_imports()
        if where.startswith('dashboard/')
        and module.startswith('aggregates_ext.client')
    }
    for where in taken:
        libraries = {
            module.split('.')[0]
            for other, module in all_imports()
            if other == where
        }
        assert libraries <= {'aggregates_ext', 'keystoneauth1', *STANDARD}


def test_simulator_needs_the_standard_library_and_yaml_alone() -> None:
    import_names = {
        module.split('.')[0]
        for where, module in all_imports()
        if where.startswith('xensim/')
    }
    import_names -= {'aggregates_ext'}
    assert import_names - {'yaml'} <= set(STANDARD)


STANDARD = sys.stdlib_module_names
