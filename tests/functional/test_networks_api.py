"""The network of moves, as clients ask for it on both faces."""

import json
from collections.abc import Iterator

import pytest
import webob

from tests.functional import api_service
from tests.functional import checked_service
from tests.functional import test_networks as networks
from tests.functional import test_rolling_api as api


@pytest.fixture
def network() -> Iterator[str]:
    """That of the management, of a pool whose service answers checks."""
    fixture = checked_service.CheckedService()
    fixture.start_fixture()
    db = fixture._sim.host('xen1').database
    [pif, *_] = db.where('PIF', management=True)
    yield str(db.row('network', db.row('PIF', pif)['network'])['uuid'])
    fixture.stop_fixture()


def check(kind: str, network: str, status: int = 200) -> str:
    known = f'host="xen1" for="maintenance" network="{network}"'
    asked = {'host': 'xen1', 'for': 'maintenance', 'network': network}
    body = json.dumps({'check_host': asked})
    if kind == 'xml':
        body = f'<check_host {known}/>'
    return api.ask(kind, body, status)


@pytest.mark.parametrize('kind', ['json', 'xml'])
def test_a_check(network: str, kind: str) -> None:
    assert network in (told := check(kind, network))
    assert 'NETWORK_' not in told
    told = check(kind, networks.UNKNOWN, 400)
    assert 'network names none of the pool' in told
    assert networks.UNKNOWN in told
    # What is no uuid, and what is not asked of maintenance.
    check(kind, 'storage', 400)
    other = {'host': 'xen1', 'for': 'remove', 'network': network}
    api.ask('json', json.dumps({'check_host': other}), 400)


@pytest.mark.parametrize('kind', ['json', 'xml'])
def test_a_plan(network: str, kind: str) -> None:
    def ask(uuid: str, status: int, dry: bool = True) -> str:
        told = {'network': uuid, 'dry_run': dry}
        body = json.dumps({'rolling_reboot': told})
        if kind == 'xml':
            flag = str(dry).lower()
            body = f'<rolling_reboot network="{uuid}" dry_run="{flag}"/>'
        return api.ask(kind, body, status)

    assert 'NETWORK_' not in ask(network, 200)
    for dry in (True, False):
        told = ask(networks.UNKNOWN, 400, dry)
        assert 'network names none of the pool' in told


@pytest.mark.parametrize('kind', ['json', 'xml'])
@pytest.mark.parametrize('action', ['enter', 'leave'])
def test_maintenance(network: str, kind: str, action: str) -> None:
    """The operation tells what was asked for."""

    def act(action: str, more: dict[str, str]) -> None:
        name, fields = f'{action}_maintenance', {'host': 'xen2', **more}
        body = json.dumps({name: fields})
        if kind == 'xml':
            told = ' '.join(f'{key}="{value}"' for key, value in more.items())
            body = f'<{name} host="xen2" {told}/>'
        api.ask(kind, body)

    if action == 'leave':
        act('enter', {})
    act(action, {'network': network})
    request = webob.Request.blank(f'{api.FACES["json"]}/1/operations')
    request.headers['X-Auth-Token'] = 'operator:abc123:admin'
    newest = request.get_response(api_service.LAZY).json['operations'][0]
    assert newest['kind'] == f'{action}_maintenance'
    assert newest['asked']['network'] == network
