"""The requests of clients that are not run here, in their own order.

As python-novaclient sent them in 2012, in JSON and in XML, and as the
Terraform provider and the Ansible module send them today. Nobody waits
between two requests: those clients do not know that a join takes time.
"""

import http.client
import json
import pathlib
import re
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from tests.integration import processes

PROJECT = '5f1c0f7e2b6d4b6f9a3e8d7c6b5a4f3e'
# How gophercloud reads a time: RFC 3339, no zone, up to six digits.
GO_TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?')
KEYS_OF_2012 = [
    'name',
    'availability_zone',
    'deleted',
    'created_at',
    'updated_at',
    'operational_state',
    'hosts',
    'deleted_at',
    'id',
    'metadata',
]


@pytest.fixture(scope='module')
def site(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[processes.Site]:
    directory: pathlib.Path = tmp_path_factory.mktemp('site')
    with processes.Site(directory, 16, settle_wait=30) as made:
        made.set_up()
        made.start_compute()
        yield made


@pytest.fixture(scope='module')
def api(site: processes.Site) -> processes.Client:
    return site.start_api()


@pytest.fixture(scope='module')
def old(api: processes.Client) -> processes.Client:
    """python-novaclient of 2012, which has logged in before Keystone."""
    place = urllib.parse.urlsplit(api.url).netloc
    connection = http.client.HTTPConnection(place)
    headers = {'X-Auth-User': 'joe', 'X-Auth-Project-Id': PROJECT}
    connection.request('GET', '/v1.1', headers=headers)
    answer = connection.getresponse()
    connection.close()
    assert answer.status == 204
    management = answer.headers['X-Server-Management-Url']
    assert management == f'{api.url}/v1.1/{PROJECT}'
    return api.sending(
        X_Auth_Token=answer.headers['X-Auth-Token'],
        X_Auth_Project_Id=PROJECT,
        User_Agent='python-novaclient',
        Accept='application/json',
    )


def ask_old(
    client: processes.Client, verb: str, path: str, body: Any = None
) -> Any:
    """The body of a request of 2012 that succeeds."""
    answer = client.ask(verb, path, body, f'/v1.1/{PROJECT}')
    assert answer.status == 200, answer.body
    return answer.body


def test_novaclient_of_2012(
    site: processes.Site, api: processes.Client, old: processes.Client
) -> None:
    name = site.new_name()
    (host,) = site.take_hosts(1)
    body: Any = {'aggregate': {'name': name, 'availability_zone': 'nova'}}
    created = ask_old(old, 'POST', '/os-aggregates', body)['aggregate']
    assert list(created) == [
        key for key in KEYS_OF_2012 if key not in ('hosts', 'metadata')
    ]
    assert created['operational_state'] == 'created'
    path = f'/os-aggregates/{created["id"]}'
    action = f'{path}/action'

    body = {'add_host': {'host': host}}
    shown = ask_old(old, 'POST', action, body)['aggregate']
    assert list(shown) == KEYS_OF_2012
    assert shown['operational_state'] == 'changing'
    assert shown['hosts'] == [host]
    api.settle(created['id'])
    shown = ask_old(old, 'GET', path)['aggregate']
    assert shown['operational_state'] == 'active'
    assert site.pool_of(host)['name_label'] == name

    body = {'set_metadata': {'metadata': {'ssd': 'true', 'old': 'x'}}}
    shown = ask_old(old, 'POST', action, body)['aggregate']
    assert shown['metadata'] == {'ssd': 'true', 'old': 'x'}
    body = {'set_metadata': {'metadata': {'old': None}}}
    shown = ask_old(old, 'POST', action, body)['aggregate']
    assert shown['metadata'] == {'ssd': 'true'}

    body = {'aggregate': {'name': f'{name}-b', 'availability_zone': 'nova'}}
    shown = ask_old(old, 'PUT', path, body)['aggregate']
    assert shown['name'] == f'{name}-b'
    listed = ask_old(old, 'GET', '/os-aggregates')['aggregates']
    assert f'{name}-b' in [aggregate['name'] for aggregate in listed]

    body = {'remove_host': {'host': host}}
    shown = ask_old(old, 'POST', action, body)['aggregate']
    assert shown['hosts'] == []
    assert ask_old(old, 'DELETE', path) is None
    answer = old.ask('GET', path, prefix=f'/v1.1/{PROJECT}')
    assert answer.status == 404


def test_novaclient_of_2012_reboots_a_host(
    site: processes.Site, api: processes.Client, old: processes.Client
) -> None:
    """``nova host-update --maintenance enable``, then ``host-action``."""
    first, host = site.take_hosts(2)
    key = api.make_pool(site.new_name(), [first, host])
    path = f'/os-hosts/{host}'
    refused = old.ask('GET', f'{path}/reboot', prefix=f'/v1.1/{PROJECT}')
    assert refused.status == 409
    told = refused.body['conflictingRequest']['message']
    assert told.startswith(f'Host {host} is not in maintenance')
    shown = ask_old(old, 'PUT', path, {'maintenance_mode': 'enable'})
    assert shown == {'host': host, 'maintenance_mode': 'on_maintenance'}
    assert api.settle(key)['state'] == 'succeeded'
    shown = ask_old(old, 'GET', f'{path}/reboot')
    assert shown == {'host': host, 'power_action': 'reboot'}
    ended = api.settle(key)
    assert ended['state'] == 'succeeded', ended
    assert {o['kind'] for o in api.operations(key)} >= {'power_host'}
    shown = ask_old(old, 'PUT', path, {'maintenance_mode': 'disable'})
    assert shown == {'host': host, 'maintenance_mode': 'off_maintenance'}
    assert api.settle(key)['state'] == 'succeeded'


def text(element: Any, path: str) -> str:
    """What stands at a path below an element."""
    found = element.findtext(path)
    assert found is not None, etree.tostring(element)
    return str(found)


def test_xml_of_2012(
    site: processes.Site, api: processes.Client, old: processes.Client
) -> None:
    """Attributes and elements, by Accept and by suffix."""
    name = site.new_name()
    (host,) = site.take_hosts(1)
    client = old.sending(
        Content_Type='application/xml', Accept='application/xml'
    )

    def ask(verb: str, path: str, body: str | None = None) -> Any:
        answer = ask_old(client, verb, path, body)
        return None if answer is None else etree.fromstring(answer)

    created = ask(
        'POST',
        '/os-aggregates',
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<aggregate name="{name}" availability_zone="nova"/>',
    )
    assert text(created, 'operational_state') == 'created'
    key = int(text(created, 'id'))
    path = f'/os-aggregates/{key}'
    ask('POST', f'{path}/action', f'<add_host host="{host}"/>')
    api.settle(key)
    shown = ask('GET', path)
    assert text(shown, 'operational_state') == 'active'
    assert [item.text for item in shown.findall('hosts/host')] == [host]
    shown = ask(
        'POST',
        f'{path}/action',
        '<set_metadata><metadata><ssd>true</ssd></metadata></set_metadata>',
    )
    assert text(shown, 'metadata/ssd') == 'true'
    ask(
        'PUT',
        path,
        f'<aggregate>\n  <name>{name}-b</name>\n  '
        '<availability_zone>nova</availability_zone>\n</aggregate>',
    )
    plain = old.sending(Content_Type='application/xml')
    listed = etree.fromstring(ask_old(plain, 'GET', '/os-aggregates.xml'))
    assert f'{name}-b' in [item.findtext('name') for item in listed]
    shown = ask(
        'POST',
        f'{path}/action',
        f'<remove_host><host>{host}</host></remove_host>',
    )
    assert shown.findall('hosts/host') == []
    ask('DELETE', path)


def decoded(body: Any) -> dict[str, Any]:
    """An aggregate as gophercloud's decoder takes it, or not at all."""
    aggregate: dict[str, Any] = body['aggregate']
    assert type(aggregate['id']) is int
    assert type(aggregate['deleted']) is bool
    assert type(aggregate['name']) is str
    assert isinstance(aggregate['availability_zone'], str | None)
    for name in ('created_at', 'updated_at', 'deleted_at'):
        moment = aggregate[name]
        assert moment is None or GO_TIME.fullmatch(moment), moment
    assert all(type(host) is str for host in aggregate.get('hosts', []))
    for value in aggregate.get('metadata', {}).values():
        assert type(value) is str
    return aggregate


class Terraform:
    """The resource openstack_compute_aggregate_v2, call by call."""

    def __init__(self, api: processes.Client) -> None:
        self._api = api.sending(Accept='application/json')
        self.id = 0

    def _act(self, action: str, **fields: Any) -> None:
        body = {action: fields}
        path = f'/os-aggregates/{self.id}/action'
        decoded(self._api.done('POST', path, body))

    def create(
        self, name: str, zone: str, hosts: list[str], metadata: dict[str, str]
    ) -> None:
        fields = {'name': name, 'availability_zone': zone}
        body = {'aggregate': fields}
        created = self._api.done('POST', '/os-aggregates', body)
        self.id = decoded(created)['id']
        for host in hosts:
            self._act('add_host', host=host)
        self._act('set_metadata', metadata=metadata)

    def read(self) -> tuple[str, str, set[str], dict[str, str]]:
        shown = decoded(self._api.done('GET', f'/os-aggregates/{self.id}'))
        metadata = dict(shown['metadata'])
        metadata.pop('availability_zone', None)
        return (
            shown['name'],
            shown['availability_zone'],
            set(shown['hosts']),
            metadata,
        )

    def update(self, before: set[str], after: set[str], **fields: str) -> None:
        body = {'aggregate': fields}
        path = f'/os-aggregates/{self.id}'
        decoded(self._api.done('PUT', path, body))
        for host in before - after:
            self._act('remove_host', host=host)
        for host in after - before:
            self._act('add_host', host=host)

    def delete(self, hosts: list[str]) -> None:
        for host in hosts:
            self._act('remove_host', host=host)
        self._api.done('DELETE', f'/os-aggregates/{self.id}')


def test_terraform(site: processes.Site, api: processes.Client) -> None:
    name = site.new_name()
    one, two, three = site.take_hosts(3)
    resource = Terraform(api)
    metadata = {'ssd': 'true'}
    resource.create(name, 'az1', [one, two], metadata)
    # A plan right after it finds nothing to do.
    assert resource.read() == (name, 'az1', {one, two}, metadata)
    api.settle(resource.id)
    assert {h['name'] for h in site.pool_of(one)['hosts']} == {one, two}
    resource.update({one, two}, {one, three}, name=f'{name}-b')
    assert resource.read() == (f'{name}-b', 'az1', {one, three}, metadata)
    api.settle(resource.id)
    assert {h['name'] for h in site.pool_of(one)['hosts']} == {one, three}
    assert site.pool_of(one)['name_label'] == f'{name}-b'
    # In the order of a set, so the master may be the first.
    resource.delete([one, three])
    assert api.ask('GET', f'/os-aggregates/{resource.id}').status == 404


class Ansible:
    """The module openstack.cloud.host_aggregate, call by call."""

    def __init__(self, api: processes.Client) -> None:
        self._api = api.sending(OpenStack_API_Version='compute 2.81')
        self._acting = api  # actions are sent without a version

    def _act(self, key: int, action: str, **fields: Any) -> None:
        path = f'/os-aggregates/{key}/action'
        self._acting.done('POST', path, {action: fields})

    def find(self, name: str) -> dict[str, Any] | None:
        """By id first, as openstacksdk does; then in the list."""
        quoted = urllib.parse.quote(name)
        answer = self._api.ask('GET', f'/os-aggregates/{quoted}')
        assert answer.status in (400, 404)
        listed = self._api.done('GET', '/os-aggregates')['aggregates']
        found = [item for item in listed if item['name'] == name]
        assert len(found) < 2
        return found[0] if found else None

    def present(
        self, name: str, hosts: list[str], metadata: dict[str, str]
    ) -> bool:
        """Whether something was changed."""
        found = self.find(name)
        if found is None:
            body = {'aggregate': {'name': name}}
            created = self._api.done('POST', '/os-aggregates', body)
            key = created['aggregate']['id']
            self._update_hosts(key, hosts, set())
            self._act(key, 'set_metadata', metadata=metadata)
            return True
        same = found['metadata'] == metadata
        if same and set(hosts) == set(found['hosts']):
            return False
        removed = dict.fromkeys(set(found['metadata']) - set(metadata))
        self._act(
            found['id'], 'set_metadata', metadata={**metadata, **removed}
        )
        self._update_hosts(found['id'], hosts, set(found['hosts']))
        return True

    def _update_hosts(
        self, key: int, hosts: list[str], before: set[str]
    ) -> None:
        for host in set(hosts) - before:
            self._act(key, 'add_host', host=host)
        for host in before - set(hosts):
            self._act(key, 'remove_host', host=host)

    def absent(self, name: str) -> None:
        found = self.find(name)
        assert found is not None
        self._update_hosts(found['id'], [], set(found['hosts']))
        self._api.done('DELETE', f'/os-aggregates/{found["id"]}')


def test_ansible(site: processes.Site, api: processes.Client) -> None:
    name = f'{site.new_name()} of ansible'
    one, two = site.take_hosts(2)
    module = Ansible(api)
    assert module.present(name, [two, one], {'type': 'db', 'old': 'x'})
    # Nothing to do, whatever the order of hosts, joined yet or not.
    for hosts in ([one, two], [two, one]):
        assert not module.present(name, hosts, {'old': 'x', 'type': 'db'})
    found = module.find(name)
    assert found is not None
    api.settle(found['id'])
    master = site.pool_of(one)['master']
    assert not module.present(name, [two, one], {'type': 'db', 'old': 'x'})
    assert module.present(name, [master], {'type': 'db'})
    found = module.find(name)
    assert found is not None
    assert (found['hosts'], found['metadata']) == ([master], {'type': 'db'})
    module.absent(name)
    assert module.find(name) is None


def test_hosts_are_a_list_in_every_answer(
    site: processes.Site, api: processes.Client
) -> None:
    name = site.new_name()
    key = api.create(name)
    (listed,) = (
        item
        for item in api.done('GET', '/os-aggregates')['aggregates']
        if item['id'] == key
    )
    assert listed['hosts'] == []
    assert listed['metadata'] == {}
    path = f'/os-aggregates/{key}'
    assert decoded(api.done('GET', path))['hosts'] == []
    body: Any = {'aggregate': {'name': f'{name}-b'}}
    assert decoded(api.done('PUT', path, body))['hosts'] == []
    body = {'set_metadata': {'metadata': {}}}
    acted = api.done('POST', f'{path}/action', body)
    assert json.dumps(decoded(acted)['hosts']) == '[]'
    api.done('DELETE', path)


def test_the_request_of_another_service_is_found_in_all_logs(
    site: processes.Site, api: processes.Client
) -> None:
    cause = 'req-6a1f8c1e-54f6-4d77-9b7f-1d1f0c9e2a33'
    (host,) = site.take_hosts(1)
    key = api.create(site.new_name())
    caller = api.sending(X_OpenStack_Request_ID=cause)
    answer = caller.add(key, host)
    assert answer.headers is not None
    own = answer.headers['x-openstack-request-id']
    assert own != cause
    assert own == answer.headers['x-compute-request-id']
    operation = api.settle(key)
    assert operation['request_id'] == own
    assert operation['global_request_id'] == cause
    for process in site.processes:
        processes.wait_for(
            f'{process.log.name} tells of both requests',
            lambda text=process.text: any(
                own in line and cause in line for line in text().splitlines()
            ),
        )
    # What has not the form of such an id is not taken over.
    api.sending(X_OpenStack_Request_ID='req-1\tforged').remove(key, host)
    assert api.settle(key)['global_request_id'] is None
