"""A scrape is answered, whatever the database does."""

import threading
from collections.abc import Callable
from typing import Any

import prometheus_client
import pytest
from oslo_db import exception as db_exc
from prometheus_client import core

from aggregates_ext import exception
from aggregates_ext.metrics import collector
from aggregates_ext.metrics import families


def told(read: Callable[[], Any]) -> str:
    """What is scraped of a database that answers so."""
    registry = prometheus_client.CollectorRegistry()
    registry.register(collector.Collector(families.OF_SERVICES, read))
    return prometheus_client.generate_latest(registry).decode()


def services() -> list[core.GaugeMetricFamily]:
    return [families.SERVICES.gauge([(('alive',), 2)])]


def away() -> Any:
    raise exception.Unavailable(reason='The database is away.')


def refuses() -> Any:
    raise db_exc.DBError(ValueError('as it says'))


def bug() -> Any:
    raise ZeroDivisionError


def test_what_was_read_is_told() -> None:
    text = told(services)
    assert 'aggregates_ext_up 1.0' in text
    assert 'aggregates_ext_compute_services{state="alive"} 2.0' in text


@pytest.mark.parametrize('read', [away, refuses, bug])
def test_what_fails_is_a_number(
    read: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    """And is told in the log, with a traceback where it is ours."""
    text = told(read)
    assert 'aggregates_ext_up 0.0' in text
    assert 'compute_services' not in text
    assert collector.FAILS in caplog.text
    assert ('Traceback' in caplog.text) is (read is bug)


def test_a_database_that_hangs_holds_up_no_scrape(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor does each scrape leave one more thread that waits for it."""
    monkeypatch.setattr(collector, 'LIMIT', 0.05)
    monkeypatch.setattr(collector.background, 'GRACE', 0.0)
    answers = threading.Event()
    asked = []

    def hang() -> list[core.GaugeMetricFamily]:
        asked.append(1)
        answers.wait(5)
        return services()

    registry = prometheus_client.CollectorRegistry()
    registry.register(collector.Collector(families.OF_SERVICES, hang))
    for _number in range(3):
        text = prometheus_client.generate_latest(registry).decode()
        assert 'aggregates_ext_up 0.0' in text
    assert len(asked) == 1
    answers.set()
