"""A server ends when it is told to, and nobody wakes one that has ended."""

import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest
from waitress import trigger

from aggregates_ext.cmd import server

PULL = trigger.trigger._physical_pull
# Seconds, of waits that end long before it.
WAIT = 300


def _application(environ: object, start_response: object) -> list[bytes]:
    start_response('200 OK', [('Content-Length', '2')])  # type: ignore
    return [b'ok']


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[server.Server]:
    """A server that turns often."""
    monkeypatch.setattr(server, 'POLL', 0.01)
    place = server.Place('127.0.0.1', 0, 1, 10, '[metrics] port')
    made = server.Server(_application, place)
    made.start()
    yield made
    assert not made.is_alive()
    for listener in made._listeners:
        listener.trigger.close()


def _ask(made: server.Server) -> None:
    with urllib.request.urlopen(made.url) as answer:  # noqa: S310
        assert answer.read() == b'ok'


def test_it_is_awake_as_long_as_it_may_be_woken(
    made: server.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who stops it may come late to its trigger, and others before."""

    def late(self: trigger.trigger) -> None:
        PULL(self)
        time.sleep(0.2)
        PULL(self)

    _ask(made)
    monkeypatch.setattr(trigger.trigger, '_physical_pull', late)
    made.stop(0)


def test_a_thread_that_is_late_wakes_nobody_else(
    made: server.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has answered pulls a trigger, which may be after the end."""
    ended, pulled = threading.Event(), threading.Event()
    failed: list[OSError] = []

    def late(self: trigger.trigger) -> None:
        if not threading.current_thread().name.startswith('waitress-'):
            PULL(self)
            return
        ended.wait(WAIT)
        try:
            PULL(self)
        except OSError as exc:
            failed.append(exc)
        pulled.set()

    monkeypatch.setattr(trigger.trigger, '_physical_pull', late)
    monkeypatch.setattr(server, 'TASKS', 0.01)
    _ask(made)
    made.stop(0)
    ended.set()
    assert pulled.wait(WAIT)
    assert failed == []


def test_nothing_is_left_open(made: server.Server) -> None:
    _ask(made)
    pipes = [listener.trigger for listener in made._listeners]
    made.stop(WAIT)
    assert made._map == {}
    assert [pipe._fds for pipe in pipes] == [[]]
