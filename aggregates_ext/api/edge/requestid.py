"""The id of a request, made before all else, as oslo.middleware makes it.

That one makes a request and a response of WebOb's for each, which takes
longer than an answer that is kept; what it does is little.
"""

import re
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from oslo_context import context

from aggregates_ext.api.edge import identity

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

KEY = 'openstack.request_id'
HEADER = 'x-openstack-request-id'
_FORM = re.compile('req-[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}')


class RequestId:
    """Gives each request an id, and each answer that of its request.

    The id that another service sends, whose request caused this one, is kept
    beside it where it has the form of one.

    :param application: what comes behind in the pipeline.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        cause = environ.get('HTTP_X_OPENSTACK_REQUEST_ID', '')
        if _FORM.fullmatch(cause):
            environ[identity.GLOBAL_REQUEST_ID] = cause
        made = environ[KEY] = context.generate_request_id()

        def start(
            status: str, headers: list[tuple[str, str]], *rest: Any
        ) -> Any:
            if not any(name.lower() == HEADER for name, _text in headers):
                headers = [*headers, (HEADER, made)]
            return start_response(status, headers, *rest)

        return self._application(environ, start)


def filter_factory(
    global_conf: dict[str, str], **local_conf: str
) -> Callable[[Application], RequestId]:
    """The Paste filter of the pipelines of the stand-alone API."""
    return RequestId
