"""What happens to processes, databases and hosts in the endurance test."""

import collections
import contextlib
import random
import sqlite3
import threading
from collections.abc import Callable
from collections.abc import Mapping

from tests import databases
from tests.functional import hostile
from tests.integration import endurance_site
from tests.integration import processes

# Seconds: some shorter than a lease and the patience of drivers, some longer.
SHORTEST, LONGEST = 0.5, 7.0
# Seconds between two of them.
BETWEEN = 0.5, 4.0
Kind = Callable[[contextlib.ExitStack], None]
MISBEHAVIOURS = sorted({*hostile.MISBEHAVIOURS, *hostile.GREETINGS})


class Troubles:
    """One thing at a time goes wrong, and is well again after a while.

    :param server: the database; None: SQLite.
    :ivar counted: how often what has happened.
    """

    def __init__(
        self,
        site: endurance_site.Site,
        server: databases.Server | None,
        dice: random.Random,
    ) -> None:
        self._site = site
        self._server = server
        self._dice = dice
        self.counted: collections.Counter[str] = collections.Counter()
        self._kinds: Mapping[Kind, int] = {
            self._kill_service: 3,
            self._kill_api: 2,
            self._stop_service: 1,
            self._freeze: 3,
            self._reload: 1,
            self._lose_database: 3,
            self._hostile: 6,
        }

    def go_on(self, over: threading.Event) -> None:
        """One thing after another, until there have been enough.

        All is well again when this returns.
        """
        while not over.wait(self._dice.uniform(*BETWEEN)):
            kinds, weights = zip(*self._kinds.items(), strict=True)
            [kind] = self._dice.choices(kinds, weights)
            with contextlib.ExitStack() as mended:
                kind(mended)
                self.counted[kind.__name__.strip('_')] += 1
                over.wait(self._dice.uniform(SHORTEST, LONGEST))

    def _kill_service(self, mended: contextlib.ExitStack) -> None:
        self._site.running['compute-2'].kill()
        mended.callback(self._site.begin_service, 2)

    def _kill_api(self, mended: contextlib.ExitStack) -> None:
        self._site.running['api-2'].kill()
        mended.callback(self._site.begin_api, 2)

    def _stop_service(self, mended: contextlib.ExitStack) -> None:
        """As an operator does, who starts it again."""
        service = self._site.running['compute-2']
        service.ask_to_end()
        processes.wait_for('it has ended', lambda: not service.running)
        assert service.wait() == 0, service.text()[-2000:]
        mended.callback(self._site.begin_service, 2)

    def _freeze(self, mended: contextlib.ExitStack) -> None:
        """A process gets no time; its leases may run out meanwhile."""
        names = ['compute-1', 'compute-2', 'compute-1', 'api-1']
        process = self._site.running[self._dice.choice(names)]
        process.freeze()
        mended.callback(process.thaw)

    def _reload(self, mended: contextlib.ExitStack) -> None:
        for process in self._site.running.values():
            process.reload()

    def _lose_database(self, mended: contextlib.ExitStack) -> None:
        server = self._server
        if server is None:
            self._lock_file(mended)
        elif self._dice.random() < 0.5:
            server.freeze()
            mended.callback(server.thaw)
        else:
            server.kill()
            mended.callback(server.start)

    def _lock_file(self, mended: contextlib.ExitStack) -> None:
        """Somebody else writes to the file, for long."""
        file = self._site.connection.removeprefix('sqlite:///')
        other = mended.enter_context(
            contextlib.closing(
                sqlite3.connect(file, timeout=60, check_same_thread=False)
            )
        )
        other.execute('BEGIN IMMEDIATE')

    def _hostile(self, mended: contextlib.ExitStack) -> None:
        """Some hosts misbehave, in all they answer or in some calls."""
        fronts = list(self._site.fronts.values())
        chosen = self._dice.sample(fronts, self._dice.choice((1, 1, 2, 6)))
        for front in chosen:
            mended.callback(front.behave)
            front.misbehave(self._dice.choice(MISBEHAVIOURS))
