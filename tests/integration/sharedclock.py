"""The simulated hosts' time in a file, for other processes to read."""

import mmap
import pathlib
import struct

import sqlalchemy as sa

from aggregates_ext.xensim.world import clock
from tests import sqlclock

FORMAT = struct.Struct('d')


class SharedClock(clock.SteppedClock):
    """A stepped clock whose time is written into a file.

    :param file: is made.
    """

    def __init__(self, file: pathlib.Path) -> None:
        file.write_bytes(bytes(FORMAT.size))
        with file.open('r+b') as opened:
            self._memory = mmap.mmap(opened.fileno(), FORMAT.size)
        super().__init__()

    @property
    def _now(self) -> float:
        return float(FORMAT.unpack(self._memory[:])[0])

    @_now.setter
    def _now(self, moment: float) -> None:
        self._memory[:] = FORMAT.pack(moment)

    def set(self, moment: float) -> None:
        """Go to another moment, also back."""
        self._now = moment


class Reader:
    """Reads the time that another process writes."""

    def __init__(self, file: pathlib.Path) -> None:
        with file.open('rb') as opened:
            self._memory = mmap.mmap(
                opened.fileno(), FORMAT.size, access=mmap.ACCESS_READ
            )

    def time(self) -> float:
        """Seconds of the epoch."""
        return float(FORMAT.unpack(self._memory[:])[0])


class DatabaseClock:
    """Gives a clock to all SQLite connections that this process makes."""

    def __init__(self, source: SharedClock | Reader) -> None:
        self._source = source

    def start(self) -> None:
        """From now on."""
        sa.event.listen(sa.Engine, 'connect', self._connect)

    def stop(self) -> None:
        """To connections to come."""
        sa.event.remove(sa.Engine, 'connect', self._connect)

    def _connect(self, connection: object, record: object) -> None:
        sqlclock.give_clock(connection, self._source.time)
