"""The site of the endurance test: hosts behind a hostile network.

Two API processes and two compute services. The first of each lives as long as
the test does, and is what is measured; the second one is killed now and then.
"""

import collections
import http.client
import random
from typing import Any

from tests.functional import hostile
from tests.integration import children
from tests.integration import processes

PASSWORD = processes.PASSWORD
HOSTS = 6
# Seconds of patience with a database that hangs.
PATIENCE = {
    'sqlite': '',
    'mariadb': '&read_timeout=4&write_timeout=4&connect_timeout=4',
    'postgresql': '?tcp_user_timeout=4000&connect_timeout=4',
}
# For a machine that three sites share with others.
COMPUTE = {
    'workers': 8,
    'poll_interval': 0.5,
    'watch_interval': 0.2,
    'observe_interval': 5,
    'lease_ttl': 3,
    'call_timeout': 10,
    'observe_timeout': 20,
    'confirm_interval': 1,
    'retry_interval': 0.5,
    'designate_wait': 5,
    'power_wait': 5,
    'power_timeout': 120,
    'move_timeout': 120,
}
WORKS = 'The compute service works'


class Site(processes.Site):
    """Hosts that may misbehave towards the services, and to nobody else.

    :ivar fronts: what the services find at the URLs of hosts.
    :ivar running: the processes, by what they are.
    :ivar clients: of both API processes.
    :ivar statuses: how often the API has answered with each; 0: not at all.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.configure('debug = true', 'debug = false')
        self.fronts: dict[str, hostile.Hostile] = {}
        self.running: dict[str, children.Child] = {}
        self.clients: list[processes.Client] = []
        self.statuses: collections.Counter[int] = collections.Counter()
        # Answers are kept for their text, of which an hour has too much.
        self._last: Any = collections.deque(maxlen=5)
        self._read: dict[children.Child, int] = {}
        self._dice = random.Random(0)

    def __enter__(self) -> 'Site':
        super().__enter__()
        for name in self.sim.world.hosts:
            self.fronts[name] = hostile.Hostile(self.door(name))
        return self

    def __exit__(self, *error: Any) -> None:
        for front in self.fronts.values():
            front.behave()
        super().__exit__(*error)
        for front in self.fronts.values():
            front.stop()

    def url(self, host: str) -> str:
        """Where the services find a host."""
        return self.fronts[host].url

    def door(self, host: str) -> str:
        """Where it is itself."""
        return f'http://127.0.0.1:{self.sim.host(host).port}'

    def begin(self) -> None:
        """Start all processes."""
        for number in (1, 2):
            self.begin_api(number)
            self.begin_service(number)

    def begin_api(self, number: int) -> None:
        """Start an API process, or start it again."""
        client = self.start_api()
        client = processes.Client(client.url, self._last)
        self.clients[number - 1 : number] = [client]
        self.running[f'api-{number}'] = self.processes[-1]

    def begin_service(self, number: int) -> None:
        """Start a compute service, or start it again; it hears signals."""
        service = self.start_compute()
        processes.wait_for(
            'the compute service works', lambda: WORKS in service.text()
        )
        self.running[f'compute-{number}'] = service

    def ask(
        self, verb: str, path: str, body: Any = None
    ) -> processes.Answer | None:
        """Ask either of the processes; None: there was no answer.

        :raises AssertionError: it has met a bug.
        """
        living = [
            client
            for number, client in enumerate(self.clients, 1)
            if self.running[f'api-{number}'].running
        ]
        client = self._dice.choice(living)
        try:
            answer = client.ask(verb, path, body)
        except (OSError, http.client.HTTPException):
            self.statuses[0] += 1
            return None
        self.statuses[answer.status] += 1
        known = answer.status < 500 or answer.status == 503
        assert known, (verb, path, body, answer)
        return answer

    def check_news(self) -> None:
        """No process has told of a bug since this was asked last."""
        for process in list(self.processes):
            with process.log.open() as log:
                log.seek(self._read.get(process, 0))
                news = log.read()
                self._read[process] = log.tell()
            for line in news.splitlines():
                bad = any(bug in line for bug in processes.BUGS)
                told = any(logger in line for logger in processes.NO_BUG)
                assert told or not bad, (process.log.name, line, news[-8000:])
