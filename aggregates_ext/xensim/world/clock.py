"""Time of the simulated world: stepped by tests, or running by itself."""

import abc
import collections.abc
import dataclasses
import heapq
import itertools
import logging
import math
import threading
import time

LOG = logging.getLogger(__name__)

Callback = collections.abc.Callable[[], None]

BATCH = 0.05
"""How long xapi gathers events before it answers (xapi#events)."""

EPOCH = 1795338000.0
"""Where a stepped clock starts, so that its times are reproducible."""


@dataclasses.dataclass(order=True)
class Timer:
    """A callback and the moment it is due."""

    when: float
    number: int
    callback: Callback = dataclasses.field(compare=False)


class Clock(abc.ABC):
    """What the simulated world asks of time."""

    steppable = False

    def __init__(self) -> None:
        self._timers: list[Timer] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    @abc.abstractmethod
    def time(self) -> float:
        """The present moment, in seconds since the epoch."""

    @abc.abstractmethod
    def resume(self, moment: float) -> None:
        """Go on from a moment, unless it is past already."""

    @abc.abstractmethod
    def wait(self, seconds: float) -> None:
        """Let a call take its time; never called with the world locked."""

    @abc.abstractmethod
    def hold(self, event: threading.Event, seconds: float) -> bool:
        """Hold a call until an event is set, and say whether it was.

        It ends too when the time is over, and never moves the clock.
        Never called with the world locked.
        """

    @abc.abstractmethod
    def start(self) -> None:
        """Begin to run timers, if this clock does so by itself."""

    def stop(self) -> None:
        """Forget all timers."""
        with self._changed:
            self._timers.clear()
            self._changed.notify_all()

    def call_later(self, seconds: float, callback: Callback) -> None:
        """Run the callback when the given time has passed."""
        with self._changed:
            timer = Timer(self.time() + seconds, next(self._numbers), callback)
            heapq.heappush(self._timers, timer)
            self._changed.notify_all()

    def _due(self, moment: float) -> Timer | None:
        with self._changed:
            if self._timers and self._timers[0].when <= moment:
                return heapq.heappop(self._timers)
            return None


def _run_safely(timer: Timer) -> None:
    """One timer which fails must not stop the others."""
    try:
        timer.callback()
    except Exception:
        LOG.exception('a timer failed inside the simulator')


class SteppedClock(Clock):
    """A clock which only moves when told to.

    A call which takes time moves it too, so that a test with one thread
    can make such a call and get its answer.
    """

    steppable = True

    def __init__(self, start: float = EPOCH) -> None:
        super().__init__()
        self._now = start
        self._advancing = threading.RLock()

    def time(self) -> float:
        return self._now

    def resume(self, moment: float) -> None:
        self._now = max(self._now, moment)

    def advance(self, seconds: float) -> None:
        """Pass the time, running each timer at its own moment."""
        with self._advancing:
            target = self._now + seconds
            while timer := self._due(target):
                self._now = max(self._now, timer.when)
                timer.callback()
            self._now = max(self._now, target)

    def wait(self, seconds: float) -> None:
        self.advance(seconds)

    def hold(self, event: threading.Event, seconds: float) -> bool:
        """Hold until simulated or real time is over, the first of them.

        A step which is under way is awaited: all that changes in one
        step is seen at once.
        """
        if math.isinf(seconds):
            happened = event.wait()
        else:
            self.call_later(seconds, event.set)
            happened = event.wait(min(seconds, threading.TIMEOUT_MAX))
        with self._advancing:
            return happened

    def start(self) -> None:
        """Stay where it is."""


class RunningClock(Clock):
    """A clock which runs, at a multiple of the speed of real time."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        if factor <= 0:
            raise ValueError(f'factor must be above 0, not {factor}')
        self.factor = factor
        self._epoch = time.time()
        self._started = time.monotonic()
        self._thread: threading.Thread | None = None

    def time(self) -> float:
        elapsed = time.monotonic() - self._started
        return self._epoch + elapsed * self.factor

    def resume(self, moment: float) -> None:
        self._epoch += max(0.0, moment - self.time())

    def wait(self, seconds: float) -> None:
        time.sleep(seconds / self.factor)

    def hold(self, event: threading.Event, seconds: float) -> bool:
        """Hold, and gather for 50 ms what changes soon after."""
        longest = min(seconds / self.factor, threading.TIMEOUT_MAX)
        happened = event.wait(longest)
        if happened:
            self.wait(BATCH)
        return happened

    def start(self) -> None:
        self._thread = threading.Thread(
            target=self._run, name='xensim-clock', daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        thread, self._thread = self._thread, None
        super().stop()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while self._thread is not None:
            if timer := self._due(self.time()):
                _run_safely(timer)
                continue
            with self._changed:
                self._changed.wait(self._pause())

    def _pause(self) -> float | None:
        if self._thread is None:
            return 0.0
        if not self._timers:
            return None
        return max(0.0, (self._timers[0].when - self.time()) / self.factor)
