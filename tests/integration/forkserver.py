"""Starts commands quickly: all is imported once, then forked.

A process of its own that reads orders from its standard input, a line of
JSON each, and answers with the id of the process that it made, or with the
exit code of one that has ended. A process made here runs the command as it
is. What may be different is done here, from outside: a compute service lives
in the time of the simulated hosts, and it can kill itself, or wait, around
the nth COMMIT of something written; or lose its connection to the database
there, and go on.

Before a writing statement needs no point of its own for a kill: what is not
committed is as if it had not been, so that is the point before its COMMIT.
"""

from aggregates_ext import threads  # noqa: F401, I001 (first)

import http.client
import json
import os
import pathlib
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import default

from aggregates_ext.cmd import api
from aggregates_ext.cmd import compute
from aggregates_ext.cmd import manage
from aggregates_ext.compute.run import clock
from aggregates_ext.compute.run import lease
from aggregates_ext.compute.observation import views
from tests import cuts
from tests.integration import sharedclock

WRITES = ('INSERT', 'UPDATE', 'DELETE')
# The threads that work on aggregates; that of the leases only renews.
WORKERS = 'pool'
COMMANDS: dict[str, Callable[[], int | None]] = {
    'aggregates-ext-api': api.main,
    'aggregates-ext-compute': compute.main,
    'aggregates-ext-manage': manage.main,
}


class SimulatedClock(clock.Clock):
    """Time of the simulated hosts: what the service waits, they pass.

    :ivar source: where it is read.
    :ivar control: where it is stepped.
    """

    source: sharedclock.Reader
    control: str

    def monotonic(self) -> float:
        return self.source.time()

    def sleep(self, seconds: float) -> None:
        super().sleep(0)
        connection = http.client.HTTPConnection(self.control, timeout=60)
        connection.request(
            'POST',
            '/advance',
            json.dumps({'seconds': seconds}),
            {'Content-Type': 'application/json'},
        )
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != 200:
            raise RuntimeError(f'time stands still: {text!r}')


class LeaseTime:
    """What the leases take for the module ``time``."""

    def __init__(self, source: sharedclock.Reader) -> None:
        self.monotonic = source.time


def live_in(file: str, control: str) -> None:
    """Let operations, leases and database live in simulated time."""
    source = sharedclock.Reader(pathlib.Path(file))
    SimulatedClock.source, SimulatedClock.control = source, control
    clock.Clock = SimulatedClock  # type: ignore[misc]
    lease.time = LeaseTime(source)  # type: ignore[assignment]
    sharedclock.DatabaseClock(source).start()


class Commits:
    """Notes the COMMITs of what was written, and acts at one of them.

    :param tally: a file that gets a line for each, with what was written.
    :param nth: the one to act at, from 1; 0: none.
    :param moment: 'before' or 'after'.
    :param gate: a FIFO at which the thread waits then until its other end
        is closed; empty: the process kills itself.
    :param cut: lose the connection instead. Before: when something was
        written, so that it comes to nothing; 'in': when the COMMIT was done
        and is not answered; after: what the thread asks next fails.
    """

    def __init__(
        self,
        tally: str,
        nth: int = 0,
        moment: str = '',
        gate: str = '',
        cut: bool = False,
    ) -> None:
        self._tally = tally
        self._nth = nth
        self._moment = moment
        self._gate = gate
        self._cut = cut
        self._seen = 0
        self._written = threading.local()

    def watch(self) -> None:
        """Listen to all engines to come."""
        sa.event.listen(sa.Engine, 'after_cursor_execute', self._note)
        sa.event.listen(sa.Engine, 'before_cursor_execute', self._doom)
        do_commit = default.DefaultDialect.do_commit

        def commit(dialect: Any, connection: Any) -> None:
            here = self._begin()
            if here and not self._cut and self._moment == 'before':
                self._act()
            do_commit(dialect, connection)
            if here and self._cut:
                self._lose(connection)
            elif here and self._moment == 'after':
                self._act()

        default.DefaultDialect.do_commit = commit  # type: ignore[method-assign]

    def _act(self) -> None:
        if not self._gate:
            os.kill(os.getpid(), signal.SIGKILL)
        with open(self._gate) as gate:
            gate.read()

    def _lose(self, connection: Any) -> None:
        """Cut the connection whose COMMIT was done, or the next one."""
        if self._moment == 'after':
            self._written.doomed = True
        elif self._moment == 'in':
            self._break(connection)
            cuts.fail(connection.dbapi_connection)

    def _break(self, connection: Any) -> None:
        """Close a connection under the feet of who uses it."""
        with open(f'{self._tally}.cut', 'a') as file:
            file.write(f'{self._moment}\n')
        cuts.break_off(connection.dbapi_connection)

    def _doom(self, connection: Any, *more: Any) -> None:
        """Lose the connection before anything is asked on it."""
        if getattr(self._written, 'doomed', False):
            self._written.doomed = False
            self._break(connection.connection)

    def _note(
        self,
        connection: Any,
        cursor: Any,
        statement: str,
        *more: Any,
    ) -> None:
        # What hits no row, such as a claim that comes too late, is nothing.
        if not statement.startswith(WRITES) or not cursor.rowcount:
            return
        first = getattr(self._written, 'statement', None) is None
        self._written.statement = statement
        next_ = self._seen + 1 == self._nth
        cuts = self._cut and self._moment == 'before'
        if cuts and first and next_ and self._is_worker():
            self._nth = 0
            self._break(connection.connection)

    @staticmethod
    def _is_worker() -> bool:
        return threading.current_thread().name.startswith(WORKERS)

    def _begin(self) -> bool:
        """Note a COMMIT, and say whether it is the one."""
        statement = getattr(self._written, 'statement', None)
        self._written.statement = None
        if statement is None or not self._is_worker():
            return False
        self._seen += 1
        with open(self._tally, 'a') as file:
            file.write(' '.join(statement.split()[:2]) + '\n')
        return self._seen == self._nth


def disturb(
    time: dict[str, str] | None = None,
    look_timeout: float = 0,
    commits: dict[str, Any] | None = None,
) -> None:
    """Let this process be another than it would be.

    :param time: of ``live_in``.
    :param look_timeout: of its looks at hosts, where it is not the usual.
    :param commits: of ``Commits``.
    """
    if time:
        live_in(**time)
    if look_timeout:
        views.LOOK_TIMEOUT = look_timeout
    if commits:
        Commits(**commits).watch()


def become(order: dict[str, Any]) -> int:
    """Be the process that is asked for; the answer: its exit code."""
    log = os.open(order['log'], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(order['environment'])
    disturb(**order['disturbed'])
    sys.argv = [order['command'], *order['arguments']]
    return COMMANDS[order['command']]() or 0


def make(order: dict[str, Any]) -> int:
    """Fork; the answer: the id of the process that was made."""
    process_id = os.fork()
    if process_id:
        return process_id
    code: Any = 1
    try:
        code = become(order)
    except SystemExit as exc:
        code = exc.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def main() -> None:
    """Take orders until there are no more."""
    for line in iter(sys.stdin.readline, ''):
        order = json.loads(line)
        if 'ended' in order:
            _, status = os.waitpid(order['ended'], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = make(order)
        print(answer, flush=True)


if __name__ == '__main__':
    main()
