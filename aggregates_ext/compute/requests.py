"""The requests behind operations, in the log of the compute service."""

import contextlib
from collections.abc import Iterator

from oslo_context import context

from aggregates_ext.db import records

# What oslo.log writes where there is no request.
NONE = '-'


@contextlib.contextmanager
def logged(operation: records.Operation) -> Iterator[None]:
    """Let what this thread logs carry the ids of who asked.

    The request's own, and that of the request of another service which
    caused it; so that one search finds what all of them did.
    """
    context.RequestContext(
        request_id=operation.request_id or NONE,
        global_request_id=operation.parameters.get('global_request_id'),
        user_id=operation.user_id,
        project_id=operation.project_id,
        overwrite=True,
    )
    try:
        yield
    finally:
        context.RequestContext(request_id=NONE, overwrite=True)
