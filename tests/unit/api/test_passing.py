"""In front of any WSGI application: what passes, passes as it is.

The applications behind the filter do what PEP 3333 allows and few do.
"""

import io
import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any
from wsgiref import util
from wsgiref import validate

import pytest
import webob
from oslo_config import cfg
from oslo_context import context as oslo_context

from aggregates_ext import deploy
from aggregates_ext.api.edge import identity
from aggregates_ext.db.engine import engine

WSGI = Callable[[dict[str, Any], Any], Iterable[bytes]]
LIST = b'{"extensions": [{"alias": "OS-AGGREGATES", "name": "theirs"}]}'


class Body:
    """A body that records how far it is read, and whether it is closed."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = parts
        self.read = 0
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            self.read += 1
            yield part

    def close(self) -> None:
        self.closed += 1


class Started:
    """A server's ``start_response``; records what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.written: list[bytes] = []

    def __call__(self, *arguments: Any) -> Callable[[bytes], None]:
        self.calls.append(arguments)
        return self.written.append


class Refused(Exception):
    """What goes wrong in an application behind the filter."""


def environ(method: str, path: str, **extra: Any) -> dict[str, Any]:
    made: dict[str, Any] = webob.Request.blank(path, method=method).environ
    made[identity.NOVA_CONTEXT] = oslo_context.RequestContext(
        user_id='u', project_id='abc', roles=['admin'], overwrite=False
    )
    return {**made, **extra}


def answering(
    body: Iterable[bytes], status: str = '200 OK', **headers: str
) -> WSGI:
    def application(env: dict[str, Any], start: Any) -> Iterable[bytes]:
        start(status, [(k.replace('_', '-'), v) for k, v in headers.items()])
        return body

    return application


@pytest.fixture
def before(
    conf: cfg.ConfigOpts, database: engine.Database
) -> Callable[[WSGI], WSGI]:
    """Puts the filter before an application."""

    def put(behind: WSGI) -> WSGI:
        return deploy.build(conf, next_application=behind)

    return put


def test_a_stream_passes_unread_and_is_closed_by_the_server(
    before: Callable[[WSGI], WSGI],
) -> None:
    body = Body(b'a', b'b')
    started = Started()
    application = before(answering(body, X_One='1'))
    assert application(environ('GET', '/v2.1/servers'), started) is body
    assert (body.read, body.closed) == (0, 0)
    assert started.calls == [('200 OK', [('X-One', '1')])]


def test_a_file_passes_in_the_wrapper_of_the_server(
    before: Callable[[WSGI], WSGI],
) -> None:
    def behind(env: dict[str, Any], start: Any) -> Iterable[bytes]:
        start('200 OK', [])
        wrapped: Iterable[bytes] = env['wsgi.file_wrapper'](io.BytesIO(b'x'))
        return wrapped

    env = environ('GET', '/v2.1/f', **{'wsgi.file_wrapper': util.FileWrapper})
    assert isinstance(before(behind)(env, Started()), util.FileWrapper)


def test_an_answer_that_is_written_passes(
    before: Callable[[WSGI], WSGI],
) -> None:
    def behind(env: dict[str, Any], start: Any) -> Iterable[bytes]:
        start('200 OK', [])(b'written')
        return []

    started = Started()
    before(behind)(environ('GET', '/v2.1/servers'), started)
    assert started.written == [b'written']


def test_an_error_answer_passes_with_its_error(
    before: Callable[[WSGI], WSGI],
) -> None:
    started = Started()
    application = before(failing)
    for path in ('/v2.1/servers', '/v2.1/extensions'):
        body = application(environ('GET', path), started)
        assert list(body) == [b'sorry']
    for status, headers, error in started.calls:
        assert (status, headers) == ('502 Bad', [('Location', '/elsewhere')])
        assert error[0] is Refused


def failing(env: dict[str, Any], start: Any) -> Iterable[bytes]:
    """Answers after an error, as PEP 3333 shows."""
    try:
        raise Refused
    except Refused:
        start('502 Bad', [('Location', '/elsewhere')], sys.exc_info())
    return [b'sorry']


@pytest.mark.parametrize('path', ['/v2.1/servers', '/v2.1/extensions'])
def test_an_error_of_the_application_is_its_own(
    before: Callable[[WSGI], WSGI], path: str
) -> None:
    def behind(env: dict[str, Any], start: Any) -> Iterable[bytes]:
        raise Refused

    application = before(behind)
    with pytest.raises(Refused):
        application(environ('GET', path), Started())


def test_an_error_within_a_body_is_its_own_and_the_body_closed(
    before: Callable[[WSGI], WSGI],
) -> None:
    class Broken(Body):
        def __iter__(self) -> Iterator[bytes]:
            yield b'{'
            raise Refused

    body = Broken()
    application = before(answering(body))
    with pytest.raises(Refused):
        application(environ('GET', '/v2.1/extensions'), Started())
    assert body.closed == 1


@pytest.mark.parametrize(
    ('method', 'status', 'content'),
    [
        ('GET', '200 OK', LIST),
        ('HEAD', '200 OK', LIST),
        ('GET', '404 Not Found', b'none'),
        ('HEAD', '500 Oops', b'oops'),
    ],
)
def test_a_list_that_is_used_up_is_closed(
    before: Callable[[WSGI], WSGI], method: str, status: str, content: bytes
) -> None:
    body = Body(content)
    application = before(answering(body, status))
    list(application(environ(method, '/v2.1/extensions'), Started()))
    assert body.closed == 1


def test_other_answers_to_extensions_pass_unread(
    before: Callable[[WSGI], WSGI],
) -> None:
    body = Body(b'a', b'b')
    started = Started()
    application = before(answering(body, '302 Found', Location='/login'))
    assert application(environ('GET', '/v2.1/extensions'), started) is body
    assert (body.read, body.closed) == (0, 0)
    assert started.calls == [('302 Found', [('Location', '/login')], None)]


def test_a_list_of_the_wrong_length_is_corrected(
    before: Callable[[WSGI], WSGI],
) -> None:
    started = Started()
    application = before(
        answering([LIST], Content_Length='7', X_One='1', Etag='"old"')
    )
    content = b''.join(
        application(environ('GET', '/v2.1/extensions'), started)
    )
    [(_status, headers, _error)] = started.calls
    assert headers == [
        ('Content-Length', str(len(content))),
        ('X-One', '1'),
        ('Content-Type', 'application/json'),
    ]


def test_an_alias_in_capitals_is_the_same(
    before: Callable[[WSGI], WSGI],
) -> None:
    request = webob.Request(environ('GET', '/v2.1/extensions'))
    answer = request.get_response(before(answering([LIST])))
    aliases = [entry['alias'] for entry in answer.json['extensions']]
    assert aliases == ['os-aggregates', 'os-aggregate-pools']


@pytest.mark.parametrize(
    ('method', 'path'),
    [
        ('GET', '/v2.1/extensions'),
        ('HEAD', '/v2.1/extensions'),
        ('GET', '/v2.1/extensions/os-aggregates'),
        ('GET', '/v2.1/os-aggregates'),
        ('HEAD', '/v2.1/os-aggregates'),
        ('GET', '/v2.1/servers'),
    ],
)
def test_the_rules_of_wsgi_are_kept(
    before: Callable[[WSGI], WSGI], method: str, path: str
) -> None:
    def behind(env: dict[str, Any], start: Any) -> Iterable[bytes]:
        start('200 OK', [('Content-Type', 'application/json')])
        return [LIST]

    # The filter is watched from both sides.
    application = validate.validator(before(validate.validator(behind)))
    started = Started()
    body: Any = application(environ(method, path), started)
    content = b''.join(body)
    body.close()
    assert started.calls[0][0] == '200 OK'
    assert bool(content) == (method == 'GET')


def test_the_second_of_two_filters_answers_nothing(
    before: Callable[[WSGI], WSGI],
) -> None:
    statuses: list[str] = []
    inner = before(answering([b'none'], '404 Not Found'))

    def between(env: dict[str, Any], start: Any) -> Iterable[bytes]:
        def record(status: str, *rest: Any) -> Any:
            statuses.append(status)
            return start(status, *rest)

        return inner(env, record)

    outer = before(between)
    for path in ('/v2.1/extensions', '/v2.1/os-aggregates'):
        request = webob.Request(environ('GET', path))
        assert request.get_response(outer).status_int == 200
    request = webob.Request(environ('GET', '/v2.1/servers'))
    assert request.get_response(outer).body == b'none'
    # What the inner one was asked: the list, and what is not ours.
    assert statuses == ['404 Not Found', '404 Not Found']
