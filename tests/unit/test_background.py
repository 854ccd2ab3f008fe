"""What may hang, and nobody who hangs with it."""

import threading
from collections.abc import Iterator

import pytest

from aggregates_ext import background

LIMIT = 10.0


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """Lets go what hangs, at the latest at the end."""
    event = threading.Event()
    yield event
    event.set()


def test_asks_while_it_acts_are_one_more_act(hanging: threading.Event) -> None:
    begun = threading.Semaphore(0)
    acts = []

    def act() -> None:
        acts.append(1)
        begun.release()
        assert hanging.wait(LIMIT)

    signal = background.Signal(act)
    signal()
    assert begun.acquire(timeout=LIMIT)
    for _ in range(5):
        signal()
    assert len(acts) == 1
    hanging.set()
    assert begun.acquire(timeout=LIMIT)
    assert len(acts) == 2


def test_each_ask_after_the_end_is_an_act() -> None:
    done = threading.Semaphore(0)
    signal = background.Signal(done.release)
    for _ in range(3):
        signal()
        assert done.acquire(timeout=LIMIT)


def test_answer_and_error_are_handed_over() -> None:
    questions: background.Questions[int] = background.Questions()
    assert questions.ask(lambda: 7, LIMIT) == 7
    with pytest.raises(ZeroDivisionError):
        questions.ask(lambda: 1 // 0, LIMIT)


def test_nobody_asks_while_an_earlier_question_hangs(
    hanging: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And all may ask again when it has ended."""
    monkeypatch.setattr(background, 'GRACE', -1.0)
    questions: background.Questions[bool] = background.Questions()
    threads = []

    def hang() -> bool:
        threads.append(threading.current_thread())
        return hanging.wait(LIMIT)

    with pytest.raises(background.Hangs, match=r'within 0\.5 s'):
        questions.ask(hang, 0.5)
    asked = []
    with pytest.raises(background.Hangs, match='earlier'):
        questions.ask(lambda: bool(asked.append(1)), LIMIT)
    assert asked == []
    hanging.set()
    threads[0].join(LIMIT)
    assert questions.ask(lambda: True, LIMIT)


def test_question_that_is_only_late_stops_nobody(
    hanging: threading.Event,
) -> None:
    """An answer just after its time is no sign of a bus that hangs."""
    questions: background.Questions[bool] = background.Questions()
    with pytest.raises(background.Hangs):
        questions.ask(lambda: hanging.wait(LIMIT), 0.01)
    assert questions.ask(lambda: True, LIMIT)
