"""Watcher empties a host for its maintenance; ``tox -e watcher``.

Its strategy, the model that it makes of what is answered, and its actions.
"""

import json
import os
import pathlib
import subprocess

import pytest

from tests.integration import environments
from tests.integration import keystone as keystone_server
from tests.integration import processes

REGION = 'Watched'
SCRIPT = pathlib.Path(__file__).with_name('watcher_process.py')
CONF = """
[watcher_clients_auth]
auth_type = password
auth_url = {url}
username = operator
password = {password}
project_name = pools
user_domain_id = default
project_domain_id = default
[nova]
region_name = {region}
migration_interval = 0.2
migration_max_retries = 1500
[placement]
region_name = {region}
"""


@pytest.mark.watcher
def test_watcher_takes_a_host_into_maintenance(
    keystone: keystone_server.Keystone, tmp_path: pathlib.Path
) -> None:
    venv = environments.install('watcher', 'python-watcher')
    with processes.Site(
        tmp_path, 3, authtoken=keystone.authtoken(), settle_wait=30
    ) as site:
        site.set_up()
        site.start_compute()
        api = site.start_api()
        keystone.add_endpoint(f'{api.url}/v2.1', REGION)
        api = api.sending(X_Auth_Token=keystone.token('operator'))
        first, *others = site.take_hosts(3)
        api.make_pool('watched', [first, *others])
        guests = [
            site.sim.add_vm(first, name, memory=1 << 30) for name in 'abc'
        ]
        path = f'/servers?all_tenants=1&host={first}'
        processes.wait_for(
            'guests are seen',
            lambda: len(api.done('GET', path)['servers']) == len(guests),
        )
        conf = tmp_path / 'watcher.conf'
        conf.write_text(
            CONF.format(
                url=keystone.url,
                password=keystone_server.PASSWORD,
                region=REGION,
            )
        )
        done = subprocess.run(
            [venv / 'bin' / 'python', '-I', SCRIPT, conf, first],
            env=os.environ | {'HOME': str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        # Disabled first, so that no guest comes back.
        assert json.loads(done.stdout.splitlines()[-1]) == [
            ['change_nova_service_state', True],
            *([['migrate', True]] * len(guests)),
        ]
        places = [site.sim.places(guest) for guest in guests]
        assert all(len(p) == 1 and p[0] in others for p in places), places
        [service] = api.done('GET', f'/os-services?host={first}')['services']
        assert service['status'] == 'disabled'
        assert service['disabled_reason'] == 'watcher_maintaining'
