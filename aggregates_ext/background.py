"""Calls that may hang, made in background threads.

A driver of oslo.messaging blocks for as long as its broker is away or does
not answer, whatever time-out it is given. Nobody who waits for a request
must hang with it, and no command must wait for it at its end: all threads
here are daemons.
"""

import concurrent.futures
import threading
import time
from collections.abc import Callable
from typing import Any
from typing import Generic
from typing import TypeVar

T = TypeVar('T')
# Seconds past its time after which a call is taken to hang.
GRACE = 2.0


class Hangs(Exception):
    """There is no answer in time."""


class Signal:
    """Does one thing in the background, once for all that ask while it is under way.

    :param act: must not raise.
    """

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._lock = threading.Lock()
        self._due = False
        self._acts = False

    def __call__(self) -> None:
        """Have it done soon; never waits."""
        with self._lock:
            self._due = True
            if self._acts:
                return
            self._acts = True
        threading.Thread(target=self._run, name='signal', daemon=True).start()

    def _run(self) -> None:
        while self._is_due():
            self._act()

    def _is_due(self) -> bool:
        with self._lock:
            self._acts, self._due = self._due, False
            return self._acts


class Questions(Generic[T]):
    """Asks in the background, and waits for each answer only so long.

    While an earlier question hangs past its time, later ones are not asked:
    they would hang as well.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._overdue: dict[concurrent.futures.Future[T], float] = {}

    def ask(self, question: Callable[[], T], timeout: float) -> T:
        """The answer, or what the question raised.

        :param timeout: seconds to wait.
        :raises Hangs: no answer in time, or an earlier question hangs.
        """
        with self._lock:
            now = time.monotonic()
            if any(now > limit for limit in self._overdue.values()):
                raise Hangs('an earlier question hangs')
        answer: concurrent.futures.Future[T] = concurrent.futures.Future()
        threading.Thread(
            target=_answer, args=(question, answer), daemon=True
        ).start()
        concurrent.futures.wait([answer], timeout)
        if answer.done():
            return answer.result()
        with self._lock:
            self._overdue[answer] = time.monotonic() + GRACE
        answer.add_done_callback(self._forget)
        raise Hangs(f'no answer within {timeout:g} s')

    def _forget(self, answer: Any) -> None:
        with self._lock:
            del self._overdue[answer]


def _answer(
    question: Callable[[], T], answer: concurrent.futures.Future[T]
) -> None:
    try:
        answer.set_result(question())
    except Exception as exc:
        # Raised again by whoever waits for it.
        answer.set_exception(exc)
