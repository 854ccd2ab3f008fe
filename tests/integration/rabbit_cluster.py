"""A cluster of RabbitMQ's nodes, each of which can be killed."""

import contextlib
import json
import pathlib
from typing import Any

from tests.integration import processes
from tests.integration import rabbitmq


class Cluster:
    """Nodes on loopback that know each other, with one cookie.

    :param directory: each node has one of its own there.
    :param size: how many there are.
    :raises rabbitmq.Missing: it is not installed.
    """

    def __init__(self, directory: pathlib.Path, size: int) -> None:
        self._names = rabbitmq.Names(directory)
        self._stack = contextlib.ExitStack()
        self.nodes: list[rabbitmq.Broker] = []
        for number in range(1, size + 1):
            place = directory / f'node{number}'
            place.mkdir()
            joins = self.nodes[0].node if self.nodes else ''
            self.nodes.append(
                rabbitmq.Broker(place, f'node{number}', self._names, joins)
            )

    def __enter__(self) -> 'Cluster':
        with contextlib.ExitStack() as stack:
            stack.callback(self._names.stop)
            self._names.start()
            for node in self.nodes:
                stack.enter_context(node)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def await_queues(self, vhost: str) -> None:
        """Wait until every node has its part of every queue."""

        def look() -> bool:
            return all(
                len(queue['online']) == len(self.nodes)
                for queue in self.queues(vhost)
            )

        processes.wait_for('all queues are whole', look)

    def queues(self, vhost: str) -> list[dict[str, Any]]:
        """Name, type, and the nodes that have it online, of each queue."""
        columns = ('name', 'type', 'online')
        ask = ('list_queues', '-p', vhost, *columns)
        found: list[dict[str, Any]] = _asked(self.nodes[0], *ask)
        return found

    def recover(self) -> None:
        """Let all nodes run again."""
        for node in self.nodes:
            node.recover()

    def make_vhost(self) -> str:
        """A part that nobody else uses; the answer: its name."""
        return self.nodes[0].make_vhost()

    def places(self) -> list[str]:
        """Account and address of each node, as ``transport_url`` has them."""
        account = f'{rabbitmq.USER}:{rabbitmq.PASSWORD}'
        return [f'{account}@127.0.0.1:{node.port}' for node in self.nodes]

    def url(self, vhost: str) -> str:
        """A ``transport_url``; who was away is found soon."""
        places = ','.join(self.places())
        return f'rabbit://{places}/{vhost}?rabbit_interval_max=1'


def _asked(node: rabbitmq.Broker, *command: str) -> Any:
    return json.loads(node.control(*command, '--formatter', 'json'))
