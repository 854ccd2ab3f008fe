"""Where passwords come from, and how they change while the service runs."""

from collections.abc import Callable

import pytest

from tests.integration import processes

MakeSite = Callable[..., processes.Site]
# Not a part of the test's name, which paths in the log have.
ROTATED = 'the-next-password'
REFUSED = 'SESSION_AUTHENTICATION_FAILED'
LINE = f'password = {processes.PASSWORD}'


@pytest.fixture
def site(make_site: MakeSite) -> processes.Site:
    """Two hosts and an empty database."""
    site = make_site(2)
    site.set_up()
    return site


def test_password_comes_from_the_environment(site: processes.Site) -> None:
    """Under a name that shells and systemd can set, before any file."""
    site.configure(LINE, 'password = of-the-file')
    client = site.start_api()
    site.start_compute(OS_XENSERVER_DEFAULT__PASSWORD=processes.PASSWORD)
    key = client.make_pool('pool', ['xen1', 'xen2'])
    processes.check_agreement(site, client, key)


def test_rotated_password_is_used_after_sighup(site: processes.Site) -> None:
    """Meanwhile a request fails at once and drift says why."""
    client = site.start_api()
    service = site.start_compute()
    key = client.make_pool('pool', ['xen1', 'xen2'])
    with site.sim.world.lock:
        for name in ('xen1', 'xen2'):
            site.sim.host(name).password = ROTATED
    processes.wait_for(
        'drift tells',
        lambda: any(
            REFUSED in entry['message'] for entry in client.pool(key)['drift']
        ),
    )
    assert client.remove(key, 'xen2').status == 200
    failed = client.settle(key)
    assert (failed['state'], failed['error']['code']) == ('failed', REFUSED)
    assert failed['attempts'] == 1
    assert client.show(key)['hosts'] == ['xen1', 'xen2']

    site.configure(LINE, f'password = {ROTATED}')
    service.reload()
    processes.wait_for('no drift', lambda: client.pool(key)['drift'] == [])
    body = {'retry_operation': {'operation': failed['uuid']}}
    client.done('POST', f'/os-aggregates/{key}/action', body)
    assert client.settle(key)['state'] == 'succeeded'
    assert client.show(key)['hosts'] == ['xen1']
    processes.wait_for(
        'xen2 is free', lambda: len(client.pool(key)['hosts']) == 1
    )
    assert ROTATED not in service.text()
