"""What passes a broker, seen and repeated; and a service that only raises."""

import contextlib
import json
import socket
import threading
import uuid
from typing import Any
from typing import NamedTuple

import kombu
import oslo_messaging
from oslo_config import cfg

from aggregates_ext import rpc
from aggregates_ext.compute import endpoint as compute_endpoint
from tests.integration import rabbitmq

READY_LIMIT = 30.0


class Request(NamedTuple):
    """A call or cast, as oslo.messaging wraps it."""

    method: str
    key: str
    body: dict[str, Any]


class Tap:
    """A copy of every message that enters one vhost (RabbitMQ's tracer).

    :ivar messages: headers, properties and body of each, as text.
    """

    def __init__(self, broker: rabbitmq.Broker, vhost: str) -> None:
        self.messages: list[str] = []
        self._requests: list[Request] = []
        self._broker = broker
        self._vhost = vhost
        self._ready = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._drain, name='tap')

    def __enter__(self) -> 'Tap':
        self._broker.control('trace_on', '-p', self._vhost)
        self._thread.start()
        assert self._ready.wait(READY_LIMIT)
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._broker.control('trace_off', '-p', self._vhost)

    def requests(self) -> list[Request]:
        """The calls and casts so far."""
        return list(self._requests)

    def repeat(self, request: Request) -> None:
        """Send a request again, as somebody who heard no confirmation.

        With another id, since one that a service knows is thrown away by
        oslo.messaging already.
        """
        message = json.loads(request.body['oslo.message'])
        message['_unique_id'] = uuid.uuid4().hex
        body = {**request.body, 'oslo.message': json.dumps(message)}
        with self._broker.connect(self._vhost) as connection:
            connection.Producer().publish(
                body, exchange='openstack', routing_key=request.key
            )

    def _drain(self) -> None:
        exchange = kombu.Exchange('amq.rabbitmq.trace', passive=True)
        queue = kombu.Queue(
            'tap', exchange, routing_key='publish.#', exclusive=True
        )
        with (
            self._broker.connect(self._vhost) as connection,
            connection.Consumer(queue, no_ack=True, on_message=self._keep),
        ):
            self._ready.set()
            while not self._ended.is_set():
                with contextlib.suppress(socket.timeout):
                    connection.drain_events(timeout=0.2)

    def _keep(self, message: Any) -> None:
        body = message.body
        text = body.decode() if isinstance(body, bytes) else str(body)
        self.messages.append(
            f'{message.delivery_info} {message.headers} '
            f'{message.properties} {text}'
        )
        wrapped = json.loads(text)
        inner = json.loads(wrapped.get('oslo.message', '{}'))
        if 'method' in inner:
            (key,) = message.headers['routing_keys']
            self._requests.append(Request(inner['method'], key, wrapped))


class Service:
    """The server half in this process, over a database that fails.

    :param error: raised by each look into the database.
    :ivar client: the client half, in this process too.
    """

    def __init__(self, broker: rabbitmq.Broker, error: Exception) -> None:
        conf = cfg.ConfigOpts()
        conf([])
        rpc.get_transport(conf)
        conf.set_override('transport_url', broker.url(broker.make_vhost()))
        self._transport = rpc.get_transport(conf)
        assert self._transport is not None
        endpoint = compute_endpoint.Endpoint(Broken(error), None, None)
        self._server: oslo_messaging.MessageHandlingServer = (
            compute_endpoint.get_server(self._transport, endpoint)
        )
        self.client = rpc.ComputeAPI(self._transport, READY_LIMIT)

    def __enter__(self) -> 'Service':
        self._server.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.stop()
        self._server.wait()
        self._transport.cleanup()


class Broken:
    """A database that cannot be read."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def reader(self) -> None:
        """:raises Exception: always."""
        raise self._error
