"""What is made of the URL of a database, and of one that does not answer."""

import socket

import pytest
from oslo_config import cfg

from aggregates_ext.db.engine import connections
from aggregates_ext.db.engine import watchdog


@pytest.mark.parametrize(
    ('given', 'driver', 'query'),
    [
        ('mysql+pymysql://h/d', 'mysql+pymysql', {'charset': 'utf8mb4'}),
        ('mysql://h/d', 'mysql+pymysql', {'read_timeout': '12'}),
        ('mariadb://h/d', 'mysql+pymysql', {'connect_timeout': '5'}),
        ('mariadb+pymysql://h/d', 'mysql+pymysql', {'write_timeout': '12'}),
        (
            'mysql://h/d?charset=utf8&read_timeout=7',
            'mysql+pymysql',
            {'charset': 'utf8', 'read_timeout': '7'},
        ),
        (
            'postgresql://h/d',
            'postgresql+psycopg2',
            {'tcp_user_timeout': '12000', 'connect_timeout': '5'},
        ),
        (
            'postgresql://h/d?connect_timeout=9',
            'postgresql+psycopg2',
            {'connect_timeout': '9'},
        ),
        ('sqlite:////tmp/x.sqlite', 'sqlite', {}),
    ],
)
def test_url_is_completed_and_what_it_says_stays(
    conf: cfg.ConfigOpts, given: str, driver: str, query: dict[str, str]
) -> None:
    url = connections.create(given, conf.database).url
    assert url.drivername == driver
    assert {name: url.query[name] for name in query} == query
    if not query:
        assert not url.query


def test_schema_changes_may_take_their_time(conf: cfg.ConfigOpts) -> None:
    url = connections.create('mysql://h/d', conf.database, limited=False).url
    assert 'read_timeout' not in url.query


def test_wait_that_takes_too_long_is_ended() -> None:
    dog = watchdog.Watchdog()
    ours, theirs = socket.socketpair()
    with ours, theirs, dog.over(ours.fileno(), 0.05):
        assert ours.recv(1) == b''


def test_wait_that_ends_in_time_leaves_the_connection() -> None:
    dog = watchdog.Watchdog()
    ours, theirs = socket.socketpair()
    silent, other = socket.socketpair()
    with ours, theirs, silent, other:
        with dog.over(ours.fileno(), 0.05):
            theirs.send(b'a')
            assert ours.recv(1) == b'a'
        # Time enough for the watch to look again.
        with dog.over(silent.fileno(), 0.1):
            assert silent.recv(1) == b''
        theirs.send(b'b')
        assert ours.recv(1) == b'b'
