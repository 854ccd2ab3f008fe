"""From what went wrong to what the client is told: the one table."""

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import webob
from oslo_log import log as logging

from aggregates_ext import exception
from aggregates_ext.api.edge import exchange
from aggregates_ext.api.edge import wire

LOG = logging.getLogger(__name__)

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]

# The first match along the exception's MRO.
STATUS: dict[type, tuple[int, str]] = {
    exception.Invalid: (400, 'badRequest'),
    exception.Unauthorized: (401, 'unauthorized'),
    exception.Forbidden: (403, 'forbidden'),
    exception.NotFound: (404, 'itemNotFound'),
    exception.MethodNotAllowed: (405, 'badMethod'),
    exception.NotAcceptable: (406, 'notAcceptable'),
    exception.Conflict: (409, 'conflictingRequest'),
    exception.PreconditionFailed: (412, 'preconditionFailed'),
    exception.TooLarge: (413, 'overLimit'),
    exception.UnsupportedMediaType: (415, 'badMediaType'),
    exception.NotSupported: (501, 'notImplemented'),
    exception.Unavailable: (503, 'serviceUnavailable'),
}
UNEXPECTED = (500, 'computeFault')
UNEXPECTED_MESSAGE = (
    'The server has either erred or is incapable of performing the '
    'requested operation. Its log tells more under request id {}.'
)
RETRY_AFTER = '10'  # seconds


def status_of(exc: Exception) -> tuple[int, str]:
    """Status and fault name of an exception."""
    return next(
        (STATUS[kind] for kind in type(exc).__mro__ if kind in STATUS),
        UNEXPECTED,
    )


def answer(exc: Exception, shaped: exchange.Exchange) -> webob.Response:
    """The fault that an exception becomes.

    What is not in the table is a bug: logged, and told nothing of.
    """
    status, name = status_of(exc)
    message = str(exc)
    headers = []
    if status == 500:
        LOG.error('Request %s failed', shaped.request_id, exc_info=exc)
        message = UNEXPECTED_MESSAGE.format(shaped.request_id)
    elif isinstance(exc, exception.MethodNotAllowed):
        headers.append(('Allow', exc.values['allowed']))
    elif isinstance(exc, exception.Unavailable) or (
        isinstance(exc, exception.Conflict) and exc.passes
    ):
        headers.append(('Retry-After', RETRY_AFTER))
    # Vendor types are for answers; a fault has the plain type.
    plain = wire.JSON if shaped.media.kind == 'json' else wire.XML
    return shaped.response(
        status,
        wire.write_fault(name, status, message, plain),
        f'{plain.content_type}; charset=UTF-8',
        headers,
    )


class FaultWrapper:
    """Turns whatever an application raises into a fault.

    :param application: ours; what another one raises passes elsewhere.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        try:
            return self._application(environ, start_response)
        except Exception as exc:
            response = answer(exc, exchange.of(environ))
            result: Iterable[bytes] = response(environ, start_response)
            return result
