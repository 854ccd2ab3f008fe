"""Time which is stepped, and time which runs."""

import threading

import pytest

from aggregates_ext.xensim.world import clock


def test_stepped_clock_stands_still():
    clk = clock.SteppedClock()
    assert clk.time() == clk.time() == clock.EPOCH


def test_timers_run_in_order_each_at_its_own_moment():
    clk = clock.SteppedClock(start=0)
    seen = []
    for seconds in (3, 1, 2):
        clk.call_later(seconds, lambda: seen.append(clk.time()))
    clk.advance(2.5)
    assert seen == [1, 2]
    assert clk.time() == 2.5
    clk.advance(10)
    assert seen == [1, 2, 3]


def test_a_timer_may_set_another_one_within_the_same_step():
    clk = clock.SteppedClock(start=0)
    seen = []

    def first():
        clk.call_later(1, lambda: seen.append(clk.time()))

    clk.call_later(1, first)
    clk.advance(5)
    assert seen == [2]


def test_waiting_steps_the_clock():
    clk = clock.SteppedClock(start=0)
    clk.wait(2.4)
    assert clk.time() == 2.4


def test_a_stopped_clock_forgets_its_timers():
    clk = clock.SteppedClock()
    seen = []
    clk.call_later(1, lambda: seen.append(1))
    clk.stop()
    clk.advance(2)
    assert seen == []


def test_running_clock_runs_timers_by_itself():
    clk = clock.RunningClock(factor=1000)
    clk.start()
    done = threading.Event()
    before = clk.time()
    clk.call_later(10, done.set)
    assert done.wait(timeout=10)
    assert clk.time() - before >= 10
    clk.stop()


def test_running_clock_needs_a_speed():
    with pytest.raises(ValueError, match='above 0'):
        clock.RunningClock(factor=0)
