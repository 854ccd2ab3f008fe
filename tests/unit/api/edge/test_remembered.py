"""What is remembered, and how much of it."""

import pytest

from aggregates_ext.api.edge import remembered


class Made:
    """Tells what was made."""

    def __init__(self) -> None:
        self.texts: list[tuple[str | None, ...]] = []
        self.ask = remembered.remembered(self._make)

    def _make(self, *texts: str | None) -> str:
        self.texts.append(texts)
        if texts == ('wrong',):
            raise ValueError(texts)
        return '-'.join(map(str, texts))


def test_short_texts_are_made_once() -> None:
    made = Made()
    for _ in range(3):
        assert made.ask('a', None) == 'a-None'
        assert made.ask(None, 'a') == 'None-a'
    assert made.texts == [('a', None), (None, 'a')]


def test_long_texts_are_made_each_time() -> None:
    made = Made()
    for text in ('x' * remembered.SHORT, 'y' * (remembered.SHORT + 1)):
        assert made.ask('a', text) == made.ask('a', text)
    assert [texts[1][0] for texts in made.texts if texts[1]] == ['x', 'y', 'y']


def test_refusals_are_raised_each_time() -> None:
    made = Made()
    for _ in range(2):
        with pytest.raises(ValueError, match='wrong'):
            made.ask('wrong')
    assert len(made.texts) == 2


def test_what_was_asked_for_long_ago_is_forgotten() -> None:
    made = Made()
    for number in range(remembered.MOST + 1):
        made.ask(str(number))
    made.ask(str(remembered.MOST))
    made.ask('0')
    assert len(made.texts) == remembered.MOST + 2
