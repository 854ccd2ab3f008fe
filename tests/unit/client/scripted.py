"""An adapter that answers what a test says, and the site of these tests."""

import json
from collections.abc import Mapping
from typing import Any

import requests

from aggregates_ext.client import api

UUID = '88e0c8d8-1ca7-43b3-8091-ccbe8eb840a0'


def answer(
    status: int, body: Any, headers: Mapping[str, str] | None = None
) -> requests.Response:
    """What somebody answers; a body that is no text is JSON."""
    made = requests.Response()
    made.status_code = status
    made.reason = 'Reason\x1b'
    text = body if isinstance(body, str) else json.dumps(body)
    made._content = text.encode()
    made.headers.update(headers or {})
    return made


def operation(state: str = 'succeeded', **more: Any) -> dict[str, Any]:
    """An operation as the API shows it."""
    return {
        'uuid': UUID,
        'kind': 'add_host',
        'aggregate_id': 1,
        'host': 'xen2',
        'state': state,
        'step': 'checking',
        'progress': 40,
        'error': None,
        **more,
    }


class Adapter:
    """Answers one request after another; an exception is raised.

    :ivar asked: verb, path, and what was sent.
    """

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []

    def request(
        self, path: str, verb: str, *, raise_exc: bool, **sent: Any
    ) -> requests.Response:
        assert not raise_exc
        # What is sent may be changed afterwards.
        self.asked.append((verb, path, json.loads(json.dumps(sent))))
        found = self._answers.pop(0)
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, requests.Response)
        return found


def pools(*answers: Any) -> tuple[api.Pools, Adapter]:
    """The API as the plug-in sees it, and who answers."""
    adapter = Adapter(*answers)
    return api.Pools(adapter), adapter
