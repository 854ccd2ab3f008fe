"""Calls which block: made in a thread, awaited with a deadline."""

import threading
import time

DEADLINE = 10.0


class Blocked:
    """A call in a thread of its own, and its answer."""

    def __init__(self, function, *args):
        self.answer = None
        self._function, self._args = function, args
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self.answer = self._function(*self._args)
        except Exception as exc:
            self.answer = exc

    @property
    def running(self):
        return self._thread.is_alive()

    def result(self):
        self._thread.join(DEADLINE)
        assert not self.running, 'the call still blocks'
        return self.answer


def until(condition):
    """Wait for a condition, but not for ever."""
    deadline = time.monotonic() + DEADLINE
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, 'it never came true'
        pause.wait(0.002)


def blocked(sim, host, function, *args):
    """A call which is known to wait inside a host."""
    call = Blocked(function, *args)
    until(lambda: sim.host(host).xapi.waiting or not call.running)
    return call
