"""Speed and memory of the simulator, with many pools in one process.

``python -m tests.bench_xensim [POOLS [HOSTS]]`` starts the command with that
many pools of that many hosts (100 of 16) and prints a table. Machines are
shared and noisy; nothing here passes or fails.
"""

import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import xmlrpc.client
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import psutil

COMMAND = (
    'import sys; from aggregates_ext.xensim import main; sys.exit(main.main())'
)
READS = 500
SECONDS = 3.0
CLIENTS = (1, 8)


class Client:
    """A connection to a host which stays open, and a session."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=30)
        self.session = self.call(
            'session.login_with_password', 'root', 'secret'
        )

    def send(self, body: bytes) -> bytes:
        """Post a call which is made already: what is timed."""
        headers = {'Content-Type': 'text/xml'}
        self._connection.request('POST', '/', body, headers)
        return self._connection.getresponse().read()

    def call(self, method: str, *params: str) -> str:
        answer = self.send(xmlrpc.client.dumps(params, method).encode())
        ((value,), _) = xmlrpc.client.loads(answer)
        if not isinstance(value, dict) or value['Status'] != 'Success':
            raise RuntimeError(f'{method}: {value}')
        return str(value['Value'])

    def read(self, method: str) -> bytes:
        """The body of a call with this session."""
        return xmlrpc.client.dumps((self.session,), method).encode()

    def close(self) -> None:
        self._connection.close()


class Running(NamedTuple):
    """The simulator as its own process."""

    started: float
    process: psutil.Process
    addresses: list[str]
    control: str


@contextlib.contextmanager
def running(pools: int, hosts: int, **each_host: Any) -> Iterator[Running]:
    """Start the command; how long it takes to be ready is measured.

    :param each_host: what each host is, as in a topology.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, 'topology.yaml')
        crowd = {'count': pools, 'hosts': hosts, 'host': each_host}
        path.write_text(json.dumps({'pools': crowd}))
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, '-c', COMMAND, '--topology', str(path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                if line == 'ready\n':
                    break
                lines.append(line.split())
            started = time.perf_counter() - began
            yield Running(
                started,
                psutil.Process(process.pid),
                [url.partition('://')[2] for _, url, *_ in lines[:-1]],
                lines[-1][1],
            )
            process.terminate()


def median(client: Client, method: str) -> float:
    """Seconds that a read takes on a warm connection."""
    body, taken = client.read(method), []
    for _ in range(READS):
        began = time.perf_counter()
        client.send(body)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def rate(clients: list[Client]) -> float:
    """Reads a second, of some clients at once."""

    def work(client: Client) -> int:
        body, count = client.read('pool.get_all_records'), 0
        while time.perf_counter() < ends:
            client.send(body)
            count += 1
        return count

    ends = time.perf_counter() + SECONDS
    with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
        return sum(pool.map(work, clients)) / SECONDS


def whole_state(url: str) -> float:
    """Seconds that GET /state takes."""
    began = time.perf_counter()
    with urllib.request.urlopen(f'{url}/state', timeout=60) as answer:  # noqa: S310
        json.load(answer)
    return time.perf_counter() - began


def measure(pools: int, hosts: int) -> Iterator[tuple[str, str]]:
    """The rows of the table."""
    with running(pools, hosts) as simulator:
        masters = simulator.addresses[::hosts]
        yield 'pools, hosts of each', f'{pools}, {hosts}'
        yield 'command to ready', f'{simulator.started:.2f} s'
        used = simulator.process.memory_info().rss
        yield (
            'memory, threads',
            (f'{used >> 20} MiB, {simulator.process.num_threads()}'),
        )
        clients = [
            Client(masters[number % len(masters)])
            for number in range(max(CLIENTS))
        ]
        for method in ('pool.get_all_records', 'host.get_all_records'):
            taken = median(clients[0], method) * 1000
            yield f'median of {method}', f'{taken:.2f} ms'
        for count in CLIENTS:
            reads = rate(clients[:count])
            yield f'reads a second, clients: {count}', f'{reads:.0f}'
        yield 'GET /state', f'{whole_state(simulator.control):.2f} s'
        for client in clients:
            client.close()


def main(pools: int = 100, hosts: int = 16) -> None:
    """Print the table."""
    for what, value in measure(pools, hosts):
        print(f'{what:38} {value:>14}', flush=True)


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))
