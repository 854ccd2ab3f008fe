"""A server ends when it is told to, and not before it hears of it."""

import time
import urllib.request

import pytest
from waitress import trigger

from aggregates_ext.cmd import server


def test_it_is_awake_as_long_as_it_may_be_woken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who stops it may come late to its trigger, on a machine at work."""
    pull = trigger.trigger._physical_pull

    def late(self: trigger.trigger) -> None:
        time.sleep(0.2)
        pull(self)

    def application(environ: object, start_response: object) -> list[bytes]:
        start_response('200 OK', [('Content-Length', '2')])  # type: ignore
        return [b'ok']

    monkeypatch.setattr(server, 'POLL', 0.01)
    place = server.Place('127.0.0.1', 0, 1, 10, '[metrics] port')
    made = server.Server(application, place)
    made.start()
    with urllib.request.urlopen(made.url) as answer:  # noqa: S310
        assert answer.read() == b'ok'
    monkeypatch.setattr(trigger.trigger, '_physical_pull', late)
    made.stop(0)
    assert not made.is_alive()
