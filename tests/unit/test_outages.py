"""What is away has a line when that begins, when it ends, and a minute."""

import logging
import sqlite3
import types
from collections.abc import Callable
from collections.abc import Iterator

import kombu
import oslo_messaging
import pytest
import sqlalchemy as sa
from oslo_messaging._drivers import amqpdriver
from oslo_messaging._drivers import impl_rabbit

from aggregates_ext import background
from aggregates_ext import exception
from aggregates_ext import outages
from aggregates_ext import rpc
from aggregates_ext.db.engine import failures

LOG = logging.getLogger(__name__)
DRIVER = 'oslo_messaging._drivers.impl_rabbit'
AWAY = (
    '[f3b1a2c4-0000-4000-8000-000000000000] AMQP server on 10.0.0.5:5672 is '
    'unreachable: [Errno 111] ECONNREFUSED. Trying again in %d seconds.'
)

Lines = Callable[[], list[tuple[str, str]]]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    caplog.set_level(logging.DEBUG)
    return lambda: [(r.levelname, r.getMessage()) for r in caplog.records]


def test_one_line_a_change_and_a_minute(lines: Lines, clock: Clock) -> None:
    outage = outages.Outage(LOG, 'It is away', 'It is back', clock)
    outage.works()
    for second in range(150):
        clock.now = float(second)
        # Twice a second, whoever asks.
        outage.fails('refused')
        outage.fails('refused')
    outage.works()
    outage.works()
    assert lines() == [
        ('WARNING', 'It is away: refused'),
        ('WARNING', 'It is away, for 60 s now and 121 times: refused'),
        ('WARNING', 'It is away, for 120 s now and 241 times: refused'),
        ('INFO', 'It is back, after 149 s'),
    ]
    outage.fails('again')
    assert lines()[-1][1] == 'It is away: again'


@pytest.fixture
def broker(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> Iterator[outages.Outage]:
    """The outage of this process, begun anew."""
    found = outages.Outage(rpc.LOG, 'No messages pass', 'They pass', clock)
    monkeypatch.setattr(rpc, 'BROKER', found)
    rpc.quieten()
    yield found
    for name in rpc._DRIVERS:
        logging.getLogger(name).removeFilter(rpc._FILTER)


def test_what_a_driver_says_of_its_tries_is_one_outage(
    lines: Lines, broker: outages.Outage, clock: Clock
) -> None:
    driver = logging.getLogger(DRIVER)
    for second in (1, 3, 7, 15, 31, 61, 91):
        clock.now = float(second)
        driver.error(AWAY, second)
        broker.fails('the broker is away')
    driver.info('[%s] Reconnected to AMQP server on 10.0.0.5:5672', 'f3b1')
    broker.works()
    driver.warning('Something else')
    assert lines() == [
        (
            'WARNING',
            'No messages pass: AMQP server on 10.0.0.5:5672 is unreachable: '
            '[Errno 111] ECONNREFUSED',
        ),
        (
            'WARNING',
            'No messages pass, for 60 s now and 11 times: AMQP server on '
            '10.0.0.5:5672 is unreachable: [Errno 111] ECONNREFUSED',
        ),
        ('INFO', 'They pass, after 90 s'),
        ('WARNING', 'Something else'),
    ]


@pytest.mark.parametrize('module', [impl_rabbit, amqpdriver])
def test_drivers_are_listened_to_under_the_names_that_they_have(
    module: types.ModuleType,
) -> None:
    logger = getattr(module.LOG, 'logger', module.LOG)
    assert logger.name in rpc._DRIVERS


def test_a_database_that_can_only_be_read_is_no_outage_each_second(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ('AWAY', 'REFUSES'):
        begun = outages.Outage(failures.LOG, f'It {name}', f'Ended {name}')
        monkeypatch.setattr(failures, name, begun)
    full = sa.exc.OperationalError(
        'UPDATE', {}, sqlite3.OperationalError('database or disk is full')
    )
    for _ in range(3):
        with failures.available(failures.UNREACHABLE):
            pass
        with (
            pytest.raises(exception.Unavailable, match='no room'),
            failures.available(failures.NOT_WRITTEN),
        ):
            raise full
    assert [said.partition(':')[0] for _, said in lines()] == ['It REFUSES']
    with failures.available(failures.NOT_WRITTEN):
        pass
    assert lines()[-1][1].startswith('Ended REFUSES')


class Refused(Exception):
    reply_code = 403


def wrapped() -> Exception:
    """What kombu makes of a refused connection."""
    found = kombu.exceptions.OperationalError('amqp://user:secret@host')
    found.__cause__ = ConnectionRefusedError(111, 'Connection refused')
    return found


@pytest.mark.parametrize(
    ('exc', 'words'),
    [
        (background.Hangs('no answer within 5 s'), 'no answer within 5 s'),
        (oslo_messaging.MessagingTimeout('x'), 'no compute service'),
        (oslo_messaging.MessageDeliveryFailure('x'), 'the broker is away'),
        (oslo_messaging.RemoteError('KeyError', 'x'), 'its log tells why'),
        (ConnectionRefusedError(111, 'Connection refused'), 'Connection ref'),
        (wrapped(), 'no connection to the broker (Connection refused)'),
        (Refused('amqp://user:secret@host'), 'refuses user'),
        (KeyError('secret'), 'messaging failed'),
    ],
)
def test_what_is_wrong_is_told_in_words(
    lines: Lines, exc: Exception, words: str
) -> None:
    said = rpc.describe(exc)
    assert words in said
    assert type(exc).__name__ not in said
    assert 'secret' not in f'{said}{lines()}'
