"""No password and no session gets out, whatever goes wrong."""

import pathlib
from collections.abc import Callable

import pytest

from tests.integration import processes
from tests.integration import proxy
from tests.integration import stories

PASSWORDS = {
    'default': 'zQ7-password-of-the-pool',
    'lab': 'zQ8-password-that-is-wrong',
}
HOSTS = [
    {'name': 'xen1'},
    {'name': 'xen2'},
    {'name': 'xen3'},
    {'name': 'xen4'},
    {'name': 'untidy', 'tls_verification_enabled': False},
]
RECORD = ('operations', 'call')
BREAK = """
CREATE TRIGGER planted BEFORE UPDATE OF call ON operations
BEGIN SELECT RAISE(ABORT, 'planted'); END
"""


def places(site: processes.Site, secrets: set[str]) -> set[tuple[str, str]]:
    """Table and column of every cell that holds one of some texts."""
    return {
        (table, column)
        for table, column, value in site.cells()
        if any(secret in value for secret in secrets)
    }


def run_story(site: processes.Site) -> set[tuple[str, str]]:
    """Joins, failures, an eject and a crash.

    :returns: where the database held sessions at the moment of the crash.
    """
    client = site.start_api()
    service = site.start_compute()
    key = client.make_pool('pool', ['xen1'])
    found: set[tuple[str, str]] = set()

    def crash() -> None:
        service.kill()
        found.update(places(site, site.traffic.uuids))

    site.traffic.plant(proxy.Rule(stories.JOIN, host='xen2', after=crash))
    assert client.add(key, 'xen2').status == 200
    processes.wait_for('the crash', lambda: not service.running)
    service = site.start_compute()
    assert client.settle(key)['state'] == 'succeeded'

    for host, code in (
        ('xen3', 'SESSION_AUTHENTICATION_FAILED'),
        ('untidy', 'POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH'),
    ):
        assert client.add(key, host).status == 200
        assert client.settle(key)['error']['code'] == code
    site.sim.plant(stories.JOIN, 'xen4', 'fail', step='S3')
    assert client.add(key, 'xen4').status == 200
    assert client.settle(key)['state'] == 'failed'

    break_database(site, service, client, key)
    assert client.remove(key, 'xen2').status == 200
    assert client.settle(key)['state'] == 'succeeded'
    client.ask('GET', '/os-aggregates')
    processes.check_agreement(site, client, key)
    for path in ('/os-hypervisors/detail', '/os-services', '/extensions'):
        client.ask('GET', path)
    return found


def break_database(
    site: processes.Site,
    service: processes.Process,
    client: processes.Client,
    key: int,
) -> None:
    """Let the database refuse the record of a call for a while."""
    site.traffic.plant(
        proxy.Rule('session.get_uuid', after=lambda: site.query(BREAK))
    )
    body = {'aggregate': {'name': 'renamed'}}
    client.done('PUT', f'/os-aggregates/{key}', body)
    processes.wait_for(
        'the database fails',
        lambda: 'the database failed' in service.text(),
    )
    site.query('DROP TRIGGER planted')
    assert client.settle(key)['state'] == 'succeeded'


@pytest.fixture
def site(make_site: Callable[..., processes.Site]) -> processes.Site:
    """Hosts of which one has another password than is configured."""
    levels = 'default_log_levels = sqlalchemy=DEBUG,oslo_db=DEBUG'
    site = make_site(HOSTS, credentials=PASSWORDS, logging=[levels])
    site.set_up(xen3='lab')
    return site


def test_secrets_stay_where_they_belong(site: processes.Site) -> None:
    """Passwords in the configuration, one session while a call is under way.

    Searched are all logs, at debug level, every cell of the database, what
    its files still hold of passwords and references, and all answers of the
    API.
    """
    at_the_crash = run_story(site)
    refs, uuids = site.traffic.refs, site.traffic.uuids
    passwords = set(PASSWORDS.values())
    assert at_the_crash == {RECORD}
    assert len(refs) > 5
    assert len(uuids) > 5

    written = [process.text() for process in site.processes]
    assert any('DEBUG' in text for text in written)
    assert len(site.answers) > 20
    for text in [*written, *site.answers]:
        for secret in passwords | refs | uuids:
            assert secret not in text, text
    assert places(site, passwords | refs | uuids) == set()
    for path in site.directory.iterdir():
        check_file(path, refs, passwords, holds=path == site.config)


def check_file(
    path: pathlib.Path, refs: set[str], passwords: set[str], holds: bool
) -> None:
    """A file holds passwords, or nothing at all that is secret."""
    content = path.read_bytes()
    for password in passwords:
        assert (password.encode() in content) is holds, path
    for ref in refs:
        assert ref.encode() not in content, path
