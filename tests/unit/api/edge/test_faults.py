"""Each exception of the domain becomes a fault, and a bug a 500."""

import inspect
import json
import logging
from collections.abc import Iterable
from typing import Any

import pytest
import webob

from aggregates_ext import exception
from aggregates_ext.api.edge import exchange
from aggregates_ext.api.edge import faults
from aggregates_ext.api.edge import routing

EXPECTED = {
    exception.Invalid: (400, 'badRequest'),
    exception.Malformed: (400, 'badRequest'),
    exception.AggregateNotEmpty: (400, 'badRequest'),
    exception.NoValidHost: (400, 'badRequest'),
    exception.MoveInState: (400, 'badRequest'),
    exception.Unauthorized: (401, 'unauthorized'),
    exception.Forbidden: (403, 'forbidden'),
    exception.NotFound: (404, 'itemNotFound'),
    exception.AggregateNotFound: (404, 'itemNotFound'),
    exception.HostNotFound: (404, 'itemNotFound'),
    exception.AggregateHostNotFound: (404, 'itemNotFound'),
    exception.OperationNotFound: (404, 'itemNotFound'),
    exception.ExtensionNotFound: (404, 'itemNotFound'),
    exception.NotServed: (404, 'itemNotFound'),
    exception.HypervisorNotFound: (404, 'itemNotFound'),
    exception.ServiceNotFound: (404, 'itemNotFound'),
    exception.UnknownServiceAction: (404, 'itemNotFound'),
    exception.ServerNotFound: (404, 'itemNotFound'),
    exception.MoveNotFound: (404, 'itemNotFound'),
    exception.NoHypervisorMatches: (404, 'itemNotFound'),
    exception.MethodNotAllowed: (405, 'badMethod'),
    exception.NotAcceptable: (406, 'notAcceptable'),
    exception.Conflict: (409, 'conflictingRequest'),
    exception.AggregateNameExists: (409, 'conflictingRequest'),
    exception.AggregateHostExists: (409, 'conflictingRequest'),
    exception.HostInOtherAggregate: (409, 'conflictingRequest'),
    exception.HostNotFree: (409, 'conflictingRequest'),
    exception.HostNotMember: (409, 'conflictingRequest'),
    exception.HostNotInPool: (409, 'conflictingRequest'),
    exception.HostInMaintenance: (409, 'conflictingRequest'),
    exception.HostNotInMaintenance: (409, 'conflictingRequest'),
    exception.JoinUnknown: (409, 'conflictingRequest'),
    exception.HostZoneMismatch: (409, 'conflictingRequest'),
    exception.AggregateBusy: (409, 'conflictingRequest'),
    exception.NotGivenBack: (409, 'conflictingRequest'),
    exception.AggregateHasNoPool: (409, 'conflictingRequest'),
    exception.OperationNotCancellable: (409, 'conflictingRequest'),
    exception.OperationNotPaused: (409, 'conflictingRequest'),
    exception.OperationNotRetryable: (409, 'conflictingRequest'),
    exception.HostExists: (409, 'conflictingRequest'),
    exception.GuestMoves: (409, 'conflictingRequest'),
    exception.MoveTakenBack: (409, 'conflictingRequest'),
    exception.ServerInState: (409, 'conflictingRequest'),
    exception.Refused: (409, 'conflictingRequest'),
    exception.PreconditionFailed: (412, 'preconditionFailed'),
    exception.TooLarge: (413, 'overLimit'),
    exception.UnsupportedMediaType: (415, 'badMediaType'),
    exception.NotSupported: (501, 'notImplemented'),
    exception.Unavailable: (503, 'serviceUnavailable'),
    # Never on the way out of a request; a bug if it were.
    exception.AggregatesError: (500, 'computeFault'),
    exception.LeaseLost: (500, 'computeFault'),
}


class AnyValue(dict[str, str]):
    """Whatever a message names."""

    def __missing__(self, name: str) -> str:
        return f'<{name}>'


def instance(kind: type[exception.AggregatesError]) -> Exception:
    if kind is exception.Refused:
        return exception.Refused('Host <host>', ())
    return kind(kind.message.format_map(AnyValue()), allowed='GET, HEAD')


def busy(state: str) -> Exception:
    return exception.AggregateBusy(
        aggregate_id=1, operation='o', what='h', state=state, wait='Wait.'
    )


def answer(exc: Exception, face: str, accept: str) -> webob.Response:
    def raising(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        exchange.begin(environ, routing.Place(face, ''))
        raise exc

    request = webob.Request.blank('/', accept=accept)
    return request.get_response(faults.FaultWrapper(raising))


def test_every_exception_is_expected() -> None:
    known = {
        kind
        for _name, kind in inspect.getmembers(exception, inspect.isclass)
        if issubclass(kind, exception.AggregatesError)
        and kind.__module__ == exception.__name__
    }
    assert known == set(EXPECTED)


@pytest.mark.parametrize('kind', EXPECTED, ids=lambda kind: kind.__name__)
def test_exception_becomes_a_fault(
    kind: type[exception.AggregatesError],
) -> None:
    status, name = EXPECTED[kind]
    exc = instance(kind)
    told = answer(exc, routing.LEGACY, 'application/json')
    assert told.status_int == status
    assert told.headers['Content-Type'] == 'application/json; charset=UTF-8'
    assert told.headers['x-compute-request-id'].startswith('req-')
    fault = told.json[name]
    assert fault['code'] == status
    assert (fault['message'] == str(exc)) is (status != 500)
    told = answer(exc, routing.LEGACY, 'application/xml')
    assert told.status_int == status
    assert told.headers['Content-Type'] == 'application/xml; charset=UTF-8'
    assert f'code="{status}"' in told.text
    assert f'<{name} ' in told.text


def test_method_not_allowed_tells_the_allowed_ones() -> None:
    exc = exception.MethodNotAllowed(method='PUT', allowed='GET, HEAD')
    told = answer(exc, routing.MODERN, '')
    assert told.headers['Allow'] == 'GET, HEAD'


def test_unavailable_tells_when_to_come_again() -> None:
    exc = exception.Unavailable(reason='gone')
    assert answer(exc, routing.MODERN, '').headers['Retry-After'] == '10'


@pytest.mark.parametrize(
    ('exc', 'retry_after'),
    [
        (exception.Conflict(reason='so it is'), None),
        (exception.HostNotFree(host='h', phase='leaving', what='o'), '10'),
        (exception.HostNotMember(host='h', aggregate_id=1), '10'),
        (exception.HostNotInPool(host='h', phase='joining'), '10'),
        (exception.HostNotInPool(host='h', phase='free'), None),
        (exception.JoinUnknown(host='h', aggregate_id=1), None),
        (busy('queued'), '10'),
        (busy('unresolved'), None),
        (exception.Refused('Host h', ()), None),
    ],
    ids=str,
)
def test_conflict_that_passes_tells_when_to_come_again(
    exc: Exception, retry_after: str | None
) -> None:
    told = answer(exc, routing.MODERN, '')
    assert told.headers.get('Retry-After') == retry_after


def test_a_bug_is_logged_once_and_told_to_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        told = answer(ValueError('secret'), routing.MODERN, '')
    assert told.status_int == 500
    assert 'secret' not in told.text
    assert 'ValueError' not in told.text
    request_id = told.headers['x-compute-request-id']
    assert request_id in json.loads(told.body)['computeFault']['message']
    [record] = caplog.records
    assert request_id in record.getMessage()
    assert record.exc_info


def test_a_fault_before_anything_is_known_is_json() -> None:
    def raising(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        raise exception.NotFound()

    told = webob.Request.blank('/').get_response(faults.FaultWrapper(raising))
    assert told.json['itemNotFound']['code'] == 404
