"""Who is believed, and who is not."""

import logging
import types
from collections.abc import Iterable
from typing import Any

import pytest
import webob
from oslo_config import cfg
from oslo_context import context as oslo_context

from aggregates_ext import context
from aggregates_ext import enforcers
from aggregates_ext import exception
from aggregates_ext import policy
from aggregates_ext.api.edge import identity

CONFIRMED = {
    identity.TOKEN_AUTH: object(),
    'HTTP_X_IDENTITY_STATUS': 'Confirmed',
    'HTTP_X_USER_ID': 'u1',
    'HTTP_X_PROJECT_ID': 'p1',
    'HTTP_X_ROLES': 'admin, reader',
}


@pytest.fixture
def who(conf: cfg.ConfigOpts) -> Any:
    enforcer = enforcers.make(conf)

    def ask(environ: dict[str, Any]) -> context.RequestContext:
        return identity.context_of(environ, enforcer, 'req-1', 'url-project')

    return ask


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in CONFIRMED.items() if key != name}


def test_authtoken_is_believed(who: Any) -> None:
    ctx = who(CONFIRMED)
    assert (ctx.user_id, ctx.project_id) == ('u1', 'p1')
    assert ctx.roles == ['admin', 'reader']
    assert ctx.request_id == 'req-1'
    assert ctx.is_admin
    assert identity.project_of(CONFIRMED) == 'p1'


@pytest.mark.parametrize(
    'environ',
    [
        {},
        {'HTTP_X_ROLES': 'admin', 'HTTP_X_USER_ID': 'u1'},
        without(identity.TOKEN_AUTH),
        without('HTTP_X_IDENTITY_STATUS'),
        without('HTTP_X_USER_ID'),
        {**CONFIRMED, 'HTTP_X_IDENTITY_STATUS': 'Invalid'},
        {**CONFIRMED, identity.TOKEN_AUTH: None},
        {identity.NOVA_CONTEXT: types.SimpleNamespace(user_id=None)},
        {'HTTP_NOVA_CONTEXT': 'x', 'HTTP_AGGREGATES_EXT_NOAUTH': 'x'},
    ],
)
def test_others_are_not(who: Any, environ: dict[str, Any]) -> None:
    with pytest.raises(exception.Unauthorized):
        who(environ)


@pytest.mark.parametrize(
    'environ', [CONFIRMED, {identity.NOAUTH: ('u1', 'p1')}]
)
def test_the_request_of_another_service_is_known(
    who: Any, environ: dict[str, Any]
) -> None:
    assert who(environ).global_request_id is None
    caused = {**environ, 'openstack.global_request_id': 'req-cause'}
    assert who(caused).global_request_id == 'req-cause'
    # A client cannot say it past the filter that checks its form.
    forged = {**environ, 'HTTP_X_OPENSTACK_REQUEST_ID': 'req-cause'}
    assert who(forged).global_request_id is None


def test_without_authtoken_nobody_has_a_project() -> None:
    environ = {'HTTP_X_PROJECT_ID': 'p1'}
    assert identity.project_of(environ) is None


def test_context_of_nova_is_believed_and_stays(who: Any) -> None:
    theirs = oslo_context.RequestContext(
        user_id='u2',
        project_id='p2',
        roles=['member'],
        global_request_id='req-cause',
    )
    ctx = who({identity.NOVA_CONTEXT: theirs, **CONFIRMED})
    assert (ctx.user_id, ctx.project_id) == ('u2', 'p2')
    assert ctx.global_request_id == 'req-cause'
    assert not ctx.is_admin
    with pytest.raises(exception.Forbidden):
        ctx.can(policy.INDEX)
    assert oslo_context.get_current() is theirs


def test_old_base_rules_of_an_operator_still_work(
    conf: cfg.ConfigOpts, tmp_path: Any
) -> None:
    rules = tmp_path / 'policy.yaml'
    rules.write_text(
        '"context_is_admin": "role:chief"\n'
        f'"{policy.INDEX}": "rule:admin_api"\n'
    )
    enforcers.make(conf)  # makes the option known
    conf.set_override('policy_file', str(rules), 'oslo_policy')
    enforcer = enforcers.make(conf)
    chief = {**CONFIRMED, 'HTTP_X_ROLES': 'chief'}
    identity.context_of(chief, enforcer, 'req-1').can(policy.INDEX)
    admin = identity.context_of(CONFIRMED, enforcer, 'req-1')
    with pytest.raises(exception.Forbidden):
        admin.can(policy.INDEX)


@pytest.mark.parametrize(
    ('token', 'user', 'project'),
    [
        ('joe:demo', 'joe', 'demo'),
        ('joe', 'joe', 'joe'),
        ('joe:', 'joe', 'joe'),
        (None, 'admin', 'url-project'),
    ],
)
def test_noauth_makes_everybody_admin(
    who: Any, token: str | None, user: str, project: str
) -> None:
    seen: dict[str, Any] = {}

    def record(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        seen.update(environ)
        start('200 OK', [])
        return [b'']

    request = webob.Request.blank('/v2.1/os-aggregates')
    if token is not None:
        request.headers['X-Auth-Token'] = token
    request.get_response(identity.NoAuth(record))
    ctx = who(seen)
    assert (ctx.user_id, ctx.project_id) == (user, project)
    assert ctx.is_admin
    ctx.can(policy.CREATE)
    assert seen.get('HTTP_X_AUTH_TOKEN') == token


def test_noauth_hands_out_tokens_as_ever() -> None:
    request = webob.Request.blank('/v1.1/')
    request.headers['X-Auth-User'] = 'joe'
    request.headers['X-Auth-Project-Id'] = 'demo'
    answer = request.get_response(identity.NoAuth(lambda *_args: []))
    assert answer.status_int == 204
    assert answer.headers['X-Auth-Token'] == 'joe:demo'
    url = answer.headers['X-Server-Management-Url']
    assert url == 'http://localhost/v1.1/demo'


def test_noauth_warns_at_start(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        identity.noauth_filter_factory({})
    assert 'EVERYBODY' in caplog.text
