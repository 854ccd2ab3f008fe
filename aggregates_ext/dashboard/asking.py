"""The API in the name of who is logged in, and refusals as messages.

The endpoint is that of the compute service in the user's catalog, in the
region that is chosen in Horizon; token, certificates and the kind of endpoint
are as for Horizon's own panels.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from horizon import exceptions
from horizon import messages
from keystoneauth1 import adapter
from keystoneauth1 import session
from keystoneauth1 import token_endpoint
from openstack_dashboard.api import base

from aggregates_ext.client import api

# Seconds; the API lets a plan of updates take one minute.
TIMEOUT = 90


def pools_of(request: Any) -> api.Pools:
    """The extension os-aggregate-pools, asked as the user of a request."""
    endpoint = base.url_for(request, 'compute')
    verify = not settings.OPENSTACK_SSL_NO_VERIFY and (
        settings.OPENSTACK_SSL_CACERT or True
    )
    timeout = getattr(settings, 'RESOURCE_POOLS_API_TIMEOUT', TIMEOUT)
    return api.Pools(
        adapter.Adapter(
            session.Session(
                token_endpoint.Token(endpoint, request.user.token.id),
                verify=verify,
                timeout=timeout,
            ),
            endpoint_override=endpoint,
            user_agent='aggregates-ext-dashboard',
        )
    )


def listed(request: Any, key: int) -> dict[str, Any]:
    """One pool as the list of all pools tells it.

    :raises api.Refused: there is none of that aggregate.
    """
    # The list begins after its marker, which need not be there.
    marker = key - 1 or None
    for found in pools_of(request).pools(1, marker=marker):
        if found.get('aggregate_id') == key:
            return found
    raise api.Refused(f'There is no aggregate {key} any more.', 404)


def allowed(request: Any, key: int) -> dict[str, set[str]]:
    """The actions that the API would take now of who asks.

    :returns: by name of the host or uuid of the operation that they are about.
    """
    found: dict[str, set[str]] = {}
    for entry in pools_of(request).allowed(key, None):
        if entry.get('allowed'):
            about = entry.get('host') or entry.get('operation') or ''
            found.setdefault(about, set()).add(str(entry.get('action')))
    return found


def hosts(request: Any) -> list[str]:
    """Names of hosts to choose from; none where they cannot be read.

    Who asks may still type a name.
    """
    try:
        return pools_of(request).hosts()
    except api.Refused as exc:
        check_token(exc)
        return []


@contextlib.contextmanager
def telling(request: Any, redirect: str | None = None) -> Iterator[None]:
    """Turn a refusal in a block into a message of the page.

    :param redirect: the page to go to then; None: go on after the block.
    """
    try:
        yield
    except api.Refused as exc:
        tell(request, exc)
        if redirect:
            raise exceptions.Http302(redirect) from exc
    except exceptions.ServiceCatalogException as exc:
        messages.error(request, str(exc))
        if redirect:
            raise exceptions.Http302(redirect) from exc


def tell(request: Any, refused: api.Refused) -> None:
    """Tell a refusal in the words of the API.

    :raises exceptions.NotAuthenticated: the token is no good any more; then
        Horizon asks the user to log in.
    """
    check_token(refused)
    messages.error(request, str(refused))


def check_token(refused: api.Refused) -> None:
    """Let the user log in again where a token is no good any more.

    :raises exceptions.NotAuthenticated: it is not.
    """
    if refused.status == 401:
        raise exceptions.NotAuthenticated from refused
