"""The audit filter of keystonemiddleware in the pipeline, as documented.

With a real Keystone; what it tells goes to the log of the API.
"""

import ast
import configparser
import pathlib
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration import documents
from tests.integration import keystone as keystone_server
from tests.integration import processes

pytestmark = pytest.mark.long

ETC = documents.ROOT / 'etc/aggregates_ext'
SECTIONS = documents.block('install.rst', '[filter:audit]')
OPTIONS = documents.block('install.rst', '[audit_middleware_notifications]')
EVENT = re.compile(r'Event type: (\S+), Context: .*?, Payload: (\{.*\})')
AFTER, BEFORE = 'authtoken audit', 'audit authtoken'


class Audited:
    """An API whose requests are told to its log."""

    def __init__(self, site: processes.Site, order: str) -> None:
        self.site = site
        known = configparser.ConfigParser(interpolation=None)
        known.read(ETC / 'api-paste.ini')
        known.read_string(SECTIONS)
        line = known['composite:api']['keystone']
        assert AFTER in line
        known['composite:api']['keystone'] = line.replace(AFTER, order)
        named = pathlib.Path(known['filter:audit']['audit_map_file'])
        known['filter:audit']['audit_map_file'] = str(ETC / named.name)
        paste = site.directory / 'api-paste.ini'
        with paste.open('w') as file:
            known.write(file)
        site.configure('[api]\n', f'{OPTIONS}[api]\npaste_config = {paste}\n')
        site.set_up()
        self.api = site.start_api()

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Type and payload of each event so far."""
        return [
            (found[1], ast.literal_eval(found[2]))
            for found in EVENT.finditer(self.site.processes[-1].text())
        ]


@pytest.fixture
def make_audited(
    make_site: Callable[..., processes.Site],
    keystone: keystone_server.Keystone,
) -> Callable[[str], Audited]:
    keystone.add_endpoint('http://pools.test/v2.1', 'Audited')
    return lambda order: Audited(
        make_site(1, authtoken=keystone.authtoken()), order
    )


@pytest.mark.parametrize('order', [AFTER, BEFORE])
def test_who_did_what_is_told(
    make_audited: Callable[[str], Audited],
    keystone: keystone_server.Keystone,
    order: str,
) -> None:
    """After authtoken by whom; before it also what was refused there."""
    audited = make_audited(order)
    operator = audited.api.sending(X_Auth_Token=keystone.token('operator'))
    key = operator.create('pool')
    body = {'set_metadata': {'metadata': {'k': 'v'}}}
    operator.done('POST', f'/os-aggregates/{key}/action', body)
    forged = audited.api.sending(X_User_Id='intruder', X_Auth_Token='no')
    assert forged.ask('GET', '/os-aggregates').status == 401
    told = [
        (
            event,
            payload['action'],
            payload['outcome'],
            payload['initiator']['id'],
            payload['target']['typeURI'],
        )
        for event, payload in audited.told()
    ]
    request, response = 'audit.http.request', 'audit.http.response'
    aggregates = 'service/compute/os-aggregates'
    action = f'{aggregates}/aggregate/action'
    if order == AFTER:
        who = keystone.users['operator']
        assert told == [
            (request, 'create', 'pending', who, aggregates),
            (response, 'create', 'success', who, aggregates),
            (request, 'update/set_metadata', 'pending', who, action),
            (response, 'update/set_metadata', 'success', who, action),
        ]
        return
    assert told == [
        (request, 'create', 'pending', 'unknown', 'unknown'),
        (response, 'create', 'success', 'unknown', 'unknown'),
        (request, 'update/set_metadata', 'pending', 'unknown', 'unknown'),
        (response, 'update/set_metadata', 'success', 'unknown', 'unknown'),
        # What a client says of itself is believed.
        (request, 'read/list', 'pending', 'intruder', 'unknown'),
        (response, 'read/list', 'failure', 'intruder', 'unknown'),
    ]


def test_a_request_is_told_with_its_id_and_not_with_its_token(
    make_audited: Callable[[str], Audited],
    keystone: keystone_server.Keystone,
) -> None:
    audited = make_audited(AFTER)
    token = keystone.token('operator')
    operator = audited.api.sending(X_Auth_Token=token)
    answer = operator.ask('GET', '/os-aggregates')
    _event, payload = audited.told()[-1]
    assert payload['initiator']['project_id'] == keystone.projects['pools']
    asked = answer.headers['x-openstack-request-id']
    assert payload['initiator']['request_id'] == asked
    assert token not in audited.site.processes[-1].text()
