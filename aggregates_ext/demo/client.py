"""HTTP as the demonstration speaks it: to the API and to the simulator."""

import contextlib
import http.client
import json
import urllib.parse
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from aggregates_ext.demo import errors

OPERATION = 'X-Aggregate-Operation'
TIMEOUT = 30.0


class Request(NamedTuple):
    """A request before it is sent."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = {}


class Answer(NamedTuple):
    """An answer, read to its end."""

    status: int
    reason: str
    content_type: str
    operation: str | None
    text: str

    def json(self) -> Any:
        """The body as plain data.

        :raises errors.DemoError: it is no JSON.
        """
        try:
            return json.loads(self.text)
        except ValueError as exc:
            raise errors.DemoError(
                f'An answer is no JSON: {self.text[:300]}'
            ) from exc


class Client:
    """Sends requests to one server on loopback, whatever proxies are set.

    :param url: such as http://127.0.0.1:8774
    """

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urllib.parse.urlsplit(url)
        self._host, self._port = parts.hostname or '', parts.port

    def send(self, request: Request) -> Answer:
        """The answer, whatever its status.

        :raises errors.DemoError: there is none.
        """
        connection = http.client.HTTPConnection(
            self._host, self._port, timeout=TIMEOUT
        )
        headers = dict(request.headers)
        body = None
        if request.body is not None:
            headers['Content-Type'] = 'application/json'
            body = json.dumps(request.body)
        with contextlib.closing(connection):
            try:
                connection.request(request.method, request.path, body, headers)
                response = connection.getresponse()
                text = response.read().decode()
            except (OSError, http.client.HTTPException) as exc:
                raise errors.DemoError(
                    f'{request.method} {self.url}{request.path}: {exc!r}'
                ) from exc
        return Answer(
            response.status,
            response.reason,
            response.headers.get_content_type(),
            response.headers.get(OPERATION),
            text,
        )

    def get(self, path: str) -> Any:
        """What a GET that must succeed answers, as plain data.

        :raises errors.DemoError: it does not succeed.
        """
        return self._succeed(Request('GET', path))

    def post(self, path: str, body: Any) -> Any:
        """What a POST that must succeed answers, as plain data.

        :raises errors.DemoError: it does not succeed.
        """
        return self._succeed(Request('POST', path, body))

    def _succeed(self, request: Request) -> Any:
        answer = self.send(request)
        if answer.status != 200:
            raise errors.DemoError(
                f'{request.method} {request.path}: {answer.status} '
                f'{answer.text[:300]}'
            )
        return answer.json()
