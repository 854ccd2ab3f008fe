"""Tempest's own tests of what is answered here, against the running service.

They ask with the header of Nova alone, and refuse every key that is not in
their schemas.
"""

import os
import pathlib
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.integration import keystone as keystone_server
from tests.integration import processes

pytestmark = pytest.mark.long

REGION = 'Tempest'
ADMIN = 'tempest.api.compute.admin'
MODULES = [
    'tempest.serial_tests.api.compute.admin.test_aggregates',
    f'{ADMIN}.test_aggregates_negative',
    f'{ADMIN}.test_availability_zone',
    f'{ADMIN}.test_availability_zone_negative',
    f'{ADMIN}.test_hosts',
    f'{ADMIN}.test_hosts_negative',
    f'{ADMIN}.test_hypervisor',
    f'{ADMIN}.test_hypervisor_negative',
    f'{ADMIN}.test_migrations',
    f'{ADMIN}.test_services',
    f'{ADMIN}.test_services_negative',
    'tempest.api.compute.test_extensions',
    'tempest.api.compute.test_versions',
]
CONF = """
[DEFAULT]
log_file = {directory}/tempest.log
[oslo_concurrency]
lock_path = {directory}
[auth]
use_dynamic_credentials = true
create_isolated_networks = false
admin_username = admin
admin_password = {password}
admin_project_name = admin
admin_domain_name = Default
[identity]
auth_version = v3
uri_v3 = {keystone}
region = {region}
v3_endpoint_type = public
[compute]
region = {region}
min_microversion = 2.1
max_microversion = latest
[enforce_scope]
nova = true
[service_available]
nova = true
cinder = false
glance = true
horizon = false
neutron = false
swift = false
"""
# Class and name of a test, and how it ended.
OUTCOME = re.compile(
    r'^(?:\S+\.)?(\w+\.\w+|setUpClass)(?:\[.*\])?(?: \(.*\))? \.\.\. (\w+)',
    re.MULTILINE,
)
# Tests that fail here, and why.
NO_FLAVORS = 'guests have no flavors, and are not resized'
LEFT_OUT = {
    'AggregatesAdminTestJSON.test_aggregate_add_host_create_server_with_az': (
        'there are no servers'
    ),
    'ExtensionsTest.test_get_extension': 'it asks for consoles',
    'HypervisorAdminTestJSON.test_get_hypervisor_uptime': (
        'uptime is not read from the hosts'
    ),
    **{
        f'MigrationsAdminTest.{name}': NO_FLAVORS
        for name in (
            'test_cold_migration',
            'test_cold_migration_with_swap',
            'test_list_migrations_in_flavor_resize_situation',
            'test_resize_server_revert_deleted_flavor',
            'test_revert_cold_migration',
        )
    },
}


@pytest.fixture(scope='module')
def site(
    keystone: keystone_server.Keystone,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[processes.Site]:
    """An API with hosts, in a region of its own."""
    directory: pathlib.Path = tmp_path_factory.mktemp('site')
    with processes.Site(
        directory, 3, authtoken=keystone.authtoken(), settle_wait=30
    ) as site:
        site.set_up()
        site.start_compute()
        client = site.start_api()
        keystone.add_endpoint(f'{client.url}/v2.1', REGION)
        yield site


@pytest.mark.parametrize('module', MODULES)
def test_tempest(
    tempest_venv: pathlib.Path,
    site: processes.Site,
    keystone: keystone_server.Keystone,
    tmp_path: pathlib.Path,
    module: str,
) -> None:
    conf = tmp_path / 'tempest.conf'
    conf.write_text(
        CONF.format(
            directory=tmp_path,
            password=keystone_server.PASSWORD,
            keystone=keystone.url,
            region=REGION,
        )
    )
    done = subprocess.run(
        [tempest_venv / 'bin' / 'python', '-m', 'unittest', '-v', module],
        env=os.environ
        | {
            'TEMPEST_CONFIG_DIR': str(tmp_path),
            'TEMPEST_CONFIG': 'tempest.conf',
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    outcomes = dict(OUTCOME.findall(done.stderr))
    assert outcomes, done.stderr
    bad = {name for name, outcome in outcomes.items() if outcome != 'ok'}
    told = f'{site.story()}\n{done.stderr}'
    assert bad == outcomes.keys() & LEFT_OUT, told
