"""Who asks: believed only from what HTTP itself cannot set.

See design#identity.
"""

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import webob
from oslo_log import log as logging

from aggregates_ext import context
from aggregates_ext import exception

LOG = logging.getLogger(__name__)

NOVA_CONTEXT = 'nova.context'
TOKEN_AUTH = 'keystone.token_auth'  # noqa: S105 - a key, not a secret
NOAUTH = 'aggregates_ext.noauth'

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

_NOVA_ATTRIBUTES = (
    'user_id',
    'project_id',
    'domain_id',
    'user_domain_id',
    'project_domain_id',
    'system_scope',
    'is_admin_project',
    'service_user_id',
    'service_project_id',
    'service_roles',
    'global_request_id',
)
# What another service called its request that caused ours; oslo.middleware
# has checked its form.
GLOBAL_REQUEST_ID = 'openstack.global_request_id'


def project_of(environ: dict[str, Any]) -> str | None:
    """The project of the one who asks, before anything is decided."""
    project: str | None = None
    if NOVA_CONTEXT in environ:
        project = getattr(environ[NOVA_CONTEXT], 'project_id', None)
    elif NOAUTH in environ:
        project = environ[NOAUTH][1]
    elif _confirmed(environ):
        project = environ.get('HTTP_X_PROJECT_ID')
    return project


def context_of(
    environ: dict[str, Any],
    enforcer: context.Enforcer,
    request_id: str,
    project_id: str | None = None,
) -> context.RequestContext:
    """The identity that somebody in front of us vouches for.

    :param project_id: of the URL; taken only where nobody names one and
        everybody is trusted.
    :raises exception.Unauthorized: nobody vouches.
    """
    if NOVA_CONTEXT in environ:
        return _from_nova(environ[NOVA_CONTEXT], enforcer, request_id)
    if NOAUTH in environ:
        user, project = environ[NOAUTH]
        return context.RequestContext(
            user_id=user,
            project_id=project or project_id,
            roles=['admin'],
            request_id=request_id,
            global_request_id=environ.get(GLOBAL_REQUEST_ID),
            enforcer=enforcer,
        )
    if not _confirmed(environ):
        raise exception.Unauthorized()
    found: context.RequestContext = context.RequestContext.from_environ(
        environ,
        request_id=request_id,
        global_request_id=environ.get(GLOBAL_REQUEST_ID),
        enforcer=enforcer,
    )
    if found.user_id is None:
        raise exception.Unauthorized()
    return found


def _confirmed(environ: dict[str, Any]) -> bool:
    """Whether authtoken has checked a token, and not just let it pass."""
    return (
        environ.get(TOKEN_AUTH) is not None
        and environ.get('HTTP_X_IDENTITY_STATUS') == 'Confirmed'
    )


def _from_nova(
    theirs: Any, enforcer: context.Enforcer, request_id: str
) -> context.RequestContext:
    """Our context with the identity of Nova's.

    ``overwrite=False``: the context of the thread stays Nova's.
    """
    if theirs.user_id is None:
        raise exception.Unauthorized()
    return context.RequestContext(
        roles=list(theirs.roles or ()),
        request_id=request_id,
        overwrite=False,
        enforcer=enforcer,
        **{name: getattr(theirs, name, None) for name in _NOVA_ATTRIBUTES},
    )


class NoAuth:
    """Trusts everybody as administrator; for trials only.

    The token is ``user:project``; without one the user is ``admin`` and the
    project that of the URL. A request with ``X-Auth-User`` gets such a token,
    as clients of the time before Keystone expect.

    :param application: what comes behind in the pipeline.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        token = environ.get('HTTP_X_AUTH_TOKEN')
        user = environ.get('HTTP_X_AUTH_USER')
        if token is None and user is not None:
            return _hand_out_token(environ, user, start_response)
        name, _colon, project = (token or 'admin:').partition(':')
        environ[NOAUTH] = (name, project or (name if token else None))
        return self._application(environ, start_response)


def _hand_out_token(
    environ: dict[str, Any], user: str, start_response: Any
) -> Iterable[bytes]:
    project = environ.get('HTTP_X_AUTH_PROJECT_ID') or user
    root = webob.Request(environ).path_url.rstrip('/')
    start_response(
        '204 No Content',
        [
            ('X-Auth-Token', f'{user}:{project}'),
            ('X-Server-Management-Url', f'{root}/{project}'),
        ],
    )
    return []


def noauth_filter_factory(
    global_conf: dict[str, str], **local_conf: str
) -> Callable[[Application], NoAuth]:
    """The Paste filter ``noauth``."""
    LOG.warning(
        'auth_strategy is noauth: EVERYBODY who reaches this API is its '
        'administrator. Use it for trials only.'
    )
    return NoAuth
