"""Requests get the ids that oslo.middleware would give them."""

from collections.abc import Iterable
from typing import Any

import pytest
import webob
from oslo_middleware import request_id

from aggregates_ext.api.edge import requestid

CAUSE = 'req-0a4e6c32-9b1e-4a8e-9d57-1e0a6d1c2b3f'
SENT = ['', CAUSE, f'{CAUSE}0', CAUSE.upper(), f'x{CAUSE}', 'req-1']


class Telling:
    """Answers what it finds in the environment."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self._headers = headers
        self.found: dict[str, Any] = {}

    def __call__(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        self.found = {
            key: value
            for key, value in environ.items()
            if key.startswith('openstack.')
        }
        start_response('200 OK', [*self._headers, ('Content-Length', '0')])
        return []


def ask(kind: Any, sent: str, *headers: tuple[str, str]) -> Any:
    told = Telling(*headers)
    asked = webob.Request.blank('/', headers={'X-Openstack-Request-Id': sent})
    answer = asked.get_response(kind(told))
    ids = answer.headers.getall('x-openstack-request-id')
    return told.found, ids


@pytest.mark.parametrize('sent', SENT)
def test_ids_are_those_of_oslo_middleware(sent: str) -> None:
    ours, [told] = ask(requestid.RequestId, sent)
    theirs, [_other] = ask(request_id.RequestId, sent)
    assert ours.keys() == theirs.keys()
    made = ours.pop('openstack.request_id')
    theirs.pop('openstack.request_id')
    assert ours == theirs
    assert made == told
    assert made.startswith('req-')


def test_answer_that_has_an_id_keeps_it() -> None:
    header = ('X-OpenStack-Request-Id', 'req-of-its-own')
    _found, ids = ask(requestid.RequestId, '', header)
    assert ids == ['req-of-its-own']


def test_each_request_has_another() -> None:
    assert ask(requestid.RequestId, '')[1] != ask(requestid.RequestId, '')[1]
