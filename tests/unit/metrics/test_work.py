"""Steps and ends of operations, counted once, by few labels."""

import dataclasses
import datetime
from typing import Any

import prometheus_client
import pytest

from aggregates_ext.db import records
from aggregates_ext.metrics import work
from tests.unit.compute import test_manager

NOON = datetime.datetime(2026, 7, 1, 12)


class Counted:
    """A service's work, and its time."""

    def __init__(self) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        self.now = 0.0
        self.work = work.Work(self.registry, lambda: self.now)

    def at(self, seconds: float, uuid: str = '1', **values: Any) -> None:
        """An operation after so many seconds."""
        self.now = seconds
        base = test_manager.operation(1, 'xen1')
        made: records.Operation = dataclasses.replace(
            base, uuid=uuid, created_at=NOON, **{'state': 'running', **values}
        )
        self.work.at(made)

    def sums(self, name: str) -> dict[str, float]:
        """Seconds by the last label of a histogram."""
        return {
            list(sample.labels.values())[-1]: sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == f'aggregates_ext_{name}_sum'
        }

    def steps(self) -> set[str]:
        return set(self.sums('step_seconds'))


def test_a_step_lasts_until_the_next() -> None:
    counted = Counted()
    counted.at(0)
    counted.at(2, step='a')
    counted.at(5, step='a')
    counted.at(12, step='b')
    ended = NOON + datetime.timedelta(seconds=90)
    counted.at(15, step='done', state='succeeded', finished_at=ended)
    assert counted.sums('step_seconds') == {'begun': 2, 'a': 10, 'b': 3}
    assert counted.sums('operation_seconds') == {'succeeded': 90}


def test_an_end_is_counted_once() -> None:
    counted = Counted()
    counted.at(0)
    for _number in range(3):
        counted.at(1, state='failed', finished_at=NOON)
    text = prometheus_client.generate_latest(counted.registry).decode()
    assert 'operation_seconds_count{kind="add_host",state="failed"} 1' in text


@pytest.mark.parametrize(
    ('step', 'told'),
    [
        ('12 guest(s) to move, 3 moved', 'N guest(s) to move, N moved'),
        ('host xen1: looking at the pool', 'host: looking at the pool'),
        ('waiting for another operation in the pool: xen1, xen2',
         'waiting for another operation in the pool'),
        ('ejecting', 'ejecting'),
        ('a\nb\u202e', 'a b\\u202e'),
    ],
)  # fmt: skip
def test_a_step_is_told_without_what_differs(step: str, told: str) -> None:
    counted = Counted()
    counted.at(0, step=step)
    counted.at(1, step='next')
    assert counted.steps() == {told}


def test_steps_beyond_the_limit_are_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(work, 'MOST_STEPS', 2)
    counted = Counted()
    for letter in 'abcdef':
        counted.at(0, step=letter)
    assert counted.steps() == {'a', 'b', 'other'}


def test_operations_that_never_end_here_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(work, 'FOLLOWED', 2)
    counted = Counted()
    for number in range(5):
        counted.at(0, uuid=str(number))
    assert list(counted.work._followed) == ['3', '4']
