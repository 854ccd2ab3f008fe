"""The way to the bus: oslo.messaging's notifier, told to be honest.

By itself it gives each message an id when it is sent, and says nothing of a
message that did not pass. Here a message that is sent again has the id that
it had, and whoever sends it is told whether it has passed.
"""

from typing import Any

import oslo_messaging
from oslo_config import cfg
from oslo_context import context as oslo_context
from oslo_messaging import transport as messaging_transport

from aggregates_ext import rpc
from aggregates_ext.compute.notifying import payloads
from aggregates_ext.db.outbox import queue


class Undelivered(Exception):
    """A message has not passed."""


class Delivery:
    """Sends what rows tell.

    :raises exception.Unavailable: the transport cannot be used.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._transport = _Transport(rpc.get_notification_transport(conf))
        self._notifier = oslo_messaging.Notifier(
            self._transport,
            serializer=_Serializer(),
            retry=0,
            topics=conf.notifications.versioned_notifications_topics,
        )

    def send(self, row: queue.Row) -> None:
        """Send one message.

        :raises Undelivered: with what to say of it.
        """
        self._transport.take(row)
        told = row.context or {}
        self._notifier.prepare(publisher_id=payloads.publisher(row)).info(
            oslo_context.RequestContext(overwrite=False, **told),
            payloads.event_type(row),
            payloads.payload(row),
        )
        if self._transport.failure is not None:
            raise Undelivered(rpc.describe(self._transport.failure))


class _Transport(
    messaging_transport.NotificationTransport  # type: ignore[misc]
):
    """Another transport, as the drivers of notifiers see it.

    :ivar failure: why the message that was sent last has not passed.
    """

    def __init__(self, transport: Any) -> None:
        super().__init__(transport._driver)
        self.failure: Exception | None = None
        self._row: queue.Row | None = None

    def take(self, row: queue.Row) -> None:
        """Be told whose message comes."""
        self._row, self.failure = row, None

    def _send_notification(
        self, target: Any, ctxt: Any, message: Any, *more: Any, **named: Any
    ) -> None:
        if self._row is not None:
            message['message_id'] = self._row.uuid
            message['timestamp'] = str(self._row.created_at)
        try:
            super()._send_notification(target, ctxt, message, *more, **named)
        except Exception as exc:
            # Of any class, as in ``rpc``. The driver would log the payload.
            self.failure = exc


class _Serializer(oslo_messaging.NoOpSerializer):  # type: ignore[misc]
    """Contexts as dictionaries, as Nova's are sent."""

    def serialize_context(self, ctxt: Any) -> dict[str, Any]:
        if isinstance(ctxt, dict):
            return ctxt
        return {**ctxt.to_dict(), 'user_id': ctxt.user_id}
