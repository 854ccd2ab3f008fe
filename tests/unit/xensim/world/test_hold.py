"""Calls which are held until something happens, on both clocks."""

import math
import threading
import time

import pytest

from aggregates_ext.xensim.world import clock


@pytest.fixture(params=['stepped', 'running'])
def either(request):
    if request.param == 'stepped':
        yield clock.SteppedClock()
        return
    running = clock.RunningClock(100)
    running.start()
    yield running
    running.stop()


@pytest.mark.parametrize('seconds', [10.0, 1e15, math.inf])
def test_an_event_ends_it(either, seconds):
    event = threading.Event()
    event.set()
    assert either.hold(event, seconds) is True


def test_the_end_of_real_time_ends_it(either):
    before = time.monotonic()
    assert either.hold(threading.Event(), 0.1) is False
    assert time.monotonic() - before < 5


def test_simulated_time_ends_it():
    stepped, event = clock.SteppedClock(), threading.Event()
    ended = threading.Event()

    def hold():
        stepped.hold(event, 1000.0)
        ended.set()

    thread = threading.Thread(target=hold)
    thread.start()
    while not stepped._timers:
        assert thread.is_alive()
    stepped.advance(999)
    assert not ended.is_set()
    stepped.advance(1)
    thread.join(10)
    assert ended.is_set()


def test_a_step_under_way_is_awaited():
    """What changes in one step is seen at once."""
    stepped, event = clock.SteppedClock(), threading.Event()
    seen = []
    thread = threading.Thread(
        target=lambda: seen.append((stepped.hold(event, 60.0), stepped.time()))
    )

    def first():
        event.set()
        thread.join(0.05)

    stepped.call_later(1, first)
    thread.start()
    end = stepped.time() + 5
    stepped.advance(5)
    thread.join(10)
    assert seen == [(True, end)]
