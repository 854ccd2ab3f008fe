"""Tells on the bus what the database says is to be told.

In the background of a compute service. A message is forgotten when the broker
has it; whoever dies between leaves it to be sent again, with the same id
(design#notifications).
"""

import datetime
import functools
import threading
import time
from collections.abc import Callable

from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_log import log as logging
from oslo_utils import timeutils

from aggregates_ext import exception
from aggregates_ext import outages
from aggregates_ext.compute.notifying import delivery
from aggregates_ext.db.engine import engine
from aggregates_ext.db.outbox import queue

LOG = logging.getLogger(__name__)
# Seconds between two looks.
INTERVAL = 1.0
# Seconds for which nobody else sends, and messages of one turn.
CLAIM = 60.0
BATCH = 100
# Rows that one statement drops.
DROP = 1000
# Seconds that the end waits for the broker.
PATIENCE = 3.0


class Sender:
    """Sends notifications while there are any.

    :param owner: uuid of the service.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        database: engine.Database,
        owner: str,
        connect: Callable[
            [cfg.ConfigOpts], delivery.Delivery
        ] = delivery.Delivery,
    ) -> None:
        self._conf = conf
        self._database = database
        self._owner = owner
        self._connect = connect
        self._delivery: delivery.Delivery | None = None
        self._outage = outages.Outage(
            LOG,
            'Notifications are kept until they can be told',
            'Notifications are told again',
        )
        self._dropped = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, name='notifications', daemon=True
        )

    def start(self) -> None:
        """Begin, where notifications are enabled."""
        if self._conf.notifications.enabled:
            self._thread.start()

    def stop(self) -> None:
        """End after the message that is being sent, if the broker takes it."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE)

    def _serve(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            pause = 0.0 if self.send() == BATCH else INTERVAL
        self._quietly(
            lambda: self._database.write(
                functools.partial(queue.give_back, owner=self._owner)
            )
        )

    def send(self) -> int:
        """Send what there is, and count it; no failure of it is raised."""
        sent: list[int] = []
        self._quietly(lambda: self._send(sent))
        return len(sent)

    def _quietly(self, act: Callable[[], object]) -> None:
        try:
            act()
        except (db_exc.DBError, exception.Unavailable) as exc:
            # Whoever looks for work tells that the database is away.
            LOG.debug('Notifications wait: %s', exc)
        except Exception:
            LOG.exception('Notifications wait: a bug')

    def _send(self, sent: list[int]) -> None:
        with self._database.reader() as connection:
            if queue.is_empty(connection):
                return
        until = time.monotonic() + CLAIM / 2
        rows = self._database.write(
            lambda connection: queue.claim(
                connection, self._owner, CLAIM, BATCH
            )
        )
        reason = None
        for row in rows:
            if self._stopping.is_set() or time.monotonic() > until:
                break
            reason = self._deliver(row)
            if reason is not None:
                break
            sent.append(row.id)
        if sent:
            self._database.write(
                functools.partial(queue.delete, ids=list(sent))
            )
        if reason is not None:
            self._outage.fails(reason)
            self._drop()
        elif sent:
            self._outage.works()
            self._tell_dropped()

    def _deliver(self, row: queue.Row) -> str | None:
        """Send one; the answer: why it has not passed."""
        try:
            if self._delivery is None:
                self._delivery = self._connect(self._conf)
            self._try(self._delivery, row)
        except (delivery.Undelivered, exception.Unavailable) as exc:
            return str(exc)
        return None

    def _try(self, way: delivery.Delivery, row: queue.Row) -> None:
        """:raises delivery.Undelivered: the way is not open."""
        try:
            way.send(row)
        except delivery.Undelivered:
            raise
        except Exception:
            # It must not keep all others from being told.
            LOG.exception('Notification %s is dropped: a bug', row.uuid)

    def _drop(self) -> None:
        """Forget what is too much to be kept; told once while that lasts."""
        options = self._conf.notifications
        oldest = timeutils.utcnow() - datetime.timedelta(
            seconds=options.keep_time
        )
        dropped = self._database.write(
            lambda connection: queue.drop(
                connection, oldest, options.keep_messages, DROP
            )
        )
        if dropped and not self._dropped:
            LOG.warning(
                'Notifications are dropped: more wait than keep_messages '
                '(%d), or for longer than keep_time (%.0f s)',
                options.keep_messages,
                options.keep_time,
            )
        self._dropped += dropped

    def _tell_dropped(self) -> None:
        if self._dropped:
            LOG.warning(
                '%d notifications were dropped, and none is any more',
                self._dropped,
            )
        self._dropped = 0
