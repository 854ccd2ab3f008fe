"""Somebody who listens to notifications, as consumers do."""

import threading
import uuid
from typing import Any
from typing import NamedTuple

import oslo_messaging
from oslo_config import cfg

from aggregates_ext import rpc

LIMIT = 30.0


class Heard(NamedTuple):
    """A message as a listener is given it."""

    id: str
    event: str
    publisher: str
    payload: dict[str, Any]
    context: dict[str, Any]
    timestamp: str

    @property
    def data(self) -> dict[str, Any]:
        """What the payload says."""
        data: dict[str, Any] = self.payload['nova_object.data']
        return data


class Listener:
    """A real listener of oslo.messaging, on a topic of its own.

    :param conf: with a ``transport_url``; gets the topic too.
    """

    def __init__(self, conf: cfg.ConfigOpts, topic: str = '') -> None:
        self.topic = topic or f'topic{uuid.uuid4().hex}'
        self.heard: list[Heard] = []
        self._came = threading.Condition()
        self._server = oslo_messaging.get_notification_listener(
            rpc.get_notification_transport(conf),
            [oslo_messaging.Target(topic=self.topic)],
            [self],
            executor='threading',
        )

    def __enter__(self) -> 'Listener':
        self._server.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.stop()
        self._server.wait()

    def info(
        self,
        ctxt: dict[str, Any],
        publisher_id: str,
        event_type: str,
        payload: dict[str, Any],
        metadata: dict[str, Any],
    ) -> None:
        """A message has come; oslo.messaging calls this."""
        heard = Heard(
            metadata['message_id'],
            event_type,
            publisher_id,
            payload,
            ctxt,
            metadata['timestamp'],
        )
        with self._came:
            self.heard.append(heard)
            self._came.notify_all()

    def wait(self, number: int, limit: float = LIMIT) -> list[Heard]:
        """Wait until so many messages have come; the answer: all of them."""
        with self._came:
            enough = self._came.wait_for(
                lambda: len(self.heard) >= number, limit
            )
            assert enough, [heard.event for heard in self.heard]
            return list(self.heard)
