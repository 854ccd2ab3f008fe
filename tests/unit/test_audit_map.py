"""The map for keystonemiddleware's audit filter has a name for each request."""

import pathlib
import re

import pytest
import webob
from keystonemiddleware import audit

from aggregates_ext.api import app

MAP = pathlib.Path(__file__).parents[2] / (
    'etc/aggregates_ext/api_audit_map.conf'
)
ROUTES = app.routes(app.catalogue(embedded=False), embedded=False)
REQUESTS = sorted(
    (template, method)
    for template, methods in ROUTES.items()
    for method in methods
)
BODY = {'add_host': {'host': 'xen1'}}
SERVICE = 'service/compute'
# What a request is called that no rule of the filter calls rightly by itself.
ACTIONS = {
    'GET /os-aggregates': 'read/list',
    'POST /os-aggregates': 'create',
    'GET /os-aggregates/1': 'read',
    'PUT /os-aggregates/1': 'update',
    'DELETE /os-aggregates/1': 'delete',
    'POST /os-aggregates/1/action': 'update/add_host',
    'PUT /os-aggregates/1/hosts': 'update/hosts',
    'POST /os-aggregates/1/images': 'update/images',
    'GET /os-aggregates/1/pool': 'read',
    'GET /os-aggregates/1/allowed_actions': 'read',
    'GET /os-aggregates/1/operations': 'read/list',
    'GET /os-aggregates/operations/1': 'read',
    'GET /os-aggregate-pools': 'read/list',
    'PUT /os-hosts/1': 'update',
    'GET /os-hosts/1/startup': 'start/startup',
    'GET /os-hosts/1/shutdown': 'stop/shutdown',
    'GET /os-hosts/1/reboot': 'start/reboot',
    'PUT /os-services/1': 'update',
    'PUT /os-services/enable': 'enable',
    'PUT /os-services/disable': 'disable',
    'PUT /os-services/disable-log-reason': 'disable',
    'PUT /os-services/force-down': 'update/force-down',
    'GET /os-hypervisors/statistics': 'read',
    'GET /os-hypervisors/1/uptime': 'read',
    'GET /os-hypervisors/1/servers': 'read/list',
    'GET /servers/detail': 'read/list',
    'GET /servers/1': 'read',
    'POST /servers/1/action': 'update/add_host',
    'DELETE /servers/1/migrations/1': 'delete',
}


@pytest.fixture(scope='module')
def known() -> audit.OpenStackAuditApi:
    return audit.OpenStackAuditApi(str(MAP))


def ask(path: str, method: str) -> webob.Request:
    request = webob.Request.blank(f'/v2.1{path}', method=method)
    if method == 'POST':
        request.json = BODY
    return request


@pytest.mark.parametrize(('template', 'method'), REQUESTS)
def test_every_request_has_a_type(
    known: audit.OpenStackAuditApi, template: str, method: str
) -> None:
    """Each word of its path is in it, and what stands for one is named."""
    request = ask(re.sub('{[a-z_]+}', '1', template), method)
    words = known._build_typeURI(request, SERVICE)
    told = words.removeprefix(SERVICE).split('/')
    for word, name in zip(template.split('/'), told, strict=True):
        if word.startswith('{'):
            assert name not in ('', 'None')
        else:
            assert name == word
    assert known.get_action(request) != 'unknown'


@pytest.mark.parametrize('request_line', ACTIONS)
def test_actions(known: audit.OpenStackAuditApi, request_line: str) -> None:
    method, path = request_line.split()
    assert known.get_action(ask(path, method)) == ACTIONS[request_line]
