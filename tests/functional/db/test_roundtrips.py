"""Each round trip to a server is for something that is asked of it."""

import datetime

import pytest
import sqlalchemy as sa

from aggregates_ext import exception
from aggregates_ext.db.engine import engine
from aggregates_ext.db.engine import roundtrips
from aggregates_ext.db.schema import models
from tests import databases
from tests import wire

NOBODY = (
    sa.update(models.hosts)
    .where(models.hosts.c.name == 'none')
    .values(alarm='none')
)
SEEN = {
    'name': 'seen',
    'url': 'https://10.0.0.1',
    'credential': 'default',
    'phase': 'free',
    'created_at': datetime.datetime(2000, 1, 1),
}


def write(database: engine.Database) -> None:
    database.write(lambda connection: connection.execute(NOBODY))


def read(database: engine.Database) -> None:
    with database.reader() as connection:
        connection.execute(sa.select(models.hosts.c.name))


def asked(cut_wire: wire.Wire, work: object, *arguments: object) -> int:
    before = cut_wire.asked
    work(*arguments)  # type: ignore[operator]
    return cut_wire.asked - before


def test_no_ping_before_and_no_rollback_after(
    wired: engine.Database, cut_wire: wire.Wire, server: databases.Server
) -> None:
    """PostgreSQL is told of each BEGIN."""
    begins = server.kind == 'postgresql'
    for work in (write, read):
        work(wired)
        assert asked(cut_wire, work, wired) == 2 + begins


def test_connection_is_told_once_what_it_is_to_see(
    wired: engine.Database, cut_wire: wire.Wire, server: databases.Server
) -> None:
    """MariaDB's connections are, when they first write, or read again."""
    told = server.kind == 'mariadb'
    usual = 3 - told
    read(wired)
    for work in (write, read, write):
        assert asked(cut_wire, work, wired) == usual + told
        assert asked(cut_wire, work, wired) == usual


def test_readers_see_one_state_and_writers_what_is_committed(
    wired: engine.Database,
) -> None:
    """Whatever their connection did before."""
    names = sa.select(models.hosts.c.alarm)

    def change(alarm: str) -> None:
        with wired.writer() as connection:
            connection.execute(
                sa.update(models.hosts)
                .where(models.hosts.c.name == 'seen')
                .values(alarm=alarm)
            )

    with wired.writer() as connection:
        connection.execute(sa.insert(models.hosts).values(**SEEN))
    for old, new in (('a', 'b'), ('b', 'c')):
        for way, then in ((wired.reader, old), (wired.writer, new)):
            change(old)
            with way() as connection:
                assert connection.scalars(names).all() == [old]
                change(new)
                assert connection.scalars(names).all() == [then]
    with wired.writer() as connection:
        connection.execute(sa.delete(models.hosts))
    # The others of this module know one connection.
    wired.dispose()


def test_connection_that_was_ended_is_not_used(
    wired: engine.Database, cut_wire: wire.Wire
) -> None:
    """Its end has come to the socket, so one looks, and takes a new one."""
    for work in (write, read):
        work(wired)
        cut_wire.cut_all()
        with pytest.raises(exception.Unavailable):
            work(wired)
        cut_wire.mend()
        work(wired)
        cut_wire.cut_and_mend()
        work(wired)


def test_connection_that_has_rested_is_asked(
    wired: engine.Database,
    cut_wire: wire.Wire,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A network may have forgotten it, and told nobody."""
    read(wired)
    usual = asked(cut_wire, read, wired)
    monkeypatch.setattr(roundtrips, 'RESTED', 0.0)
    assert asked(cut_wire, read, wired) > usual


def test_transaction_that_nobody_has_ended_is_rolled_back(
    wired: engine.Database,
) -> None:
    """Whoever gets the connection next begins a new one."""
    connection = wired.engine.raw_connection()
    cursor = connection.cursor()
    cursor.execute(
        'INSERT INTO hosts (name, url, credential, phase, '
        "created_at) VALUES ('left', 'u', 'c', 'free', '2000-01-01')"
    )
    connection.close()
    with wired.reader() as reading:
        found = reading.scalars(sa.select(models.hosts.c.name)).all()
    assert 'left' not in found
