"""Messaging: a wake-up and a question, never the truth (design#messaging).

``transport_url`` unset means no RPC at all: the compute service polls, and
checks before acceptance are skipped.

History of the interface:

* 1.0: ``wake_up()``, ``check_host(host, aggregate_id, purpose,
  accept_data_loss)``
* 1.1: ``check_host`` takes the purpose 'maintenance', and ``shut_down``
* 1.2: ``check_host`` takes the purposes 'reboot', 'shutdown' and 'startup',
  and ``hard``
* 1.3: ``plan_rolling(aggregate_id, asked)``
* 1.4: ``check_host`` takes ``network``; ``asked`` takes that and ``update``
"""

import contextlib
import functools
import logging as std_logging
import re
import sys
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import oslo_messaging
from oslo_config import cfg
from oslo_log import log as logging
from oslo_messaging import opts as messaging_opts

from aggregates_ext import background
from aggregates_ext import exception
from aggregates_ext import outages

LOG = logging.getLogger(__name__)

# That of the process: all its connections are to one, or one cluster.
BROKER = outages.Outage(
    LOG,
    'No messages pass, work is found by polling',
    'Messages pass again',
)
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (
        oslo_messaging.RemoteError,
        'the compute service failed; its log tells why',
    ),
    (oslo_messaging.MessagingTimeout, 'no compute service has answered'),
    (oslo_messaging.MessageDeliveryFailure, 'the broker is away'),
)
# By the codes of AMQP.
_REFUSALS = {
    403: 'the broker refuses user, password or permission',
    404: 'the broker does not know the virtual host or the queue',
    530: 'the broker refuses the virtual host',
}
# What drivers say while a broker is away, when it is back, and of each try.
_DRIVERS = tuple(
    f'{library}._drivers.{name}'
    for library in ('oslo_messaging', 'oslo.messaging')
    for name in ('impl_rabbit', 'amqpdriver')
)
_IS_AWAY = re.compile(
    'is unreachable|closed the connection|Connection failed|'
    'Failed to (consume|publish|declare consumer)|Unable to connect|'
    'recoverable connection|during heartbeat|due to a broker issue',
    re.I,
)
_IS_BACK = re.compile('Reconnected to AMQP')
_TRIES = re.compile(
    r'^\[[0-9a-f-]+\] |\.? ?(Trying again in|\(retrying in) [0-9.]+ seconds.*$'
)
TOPIC = 'aggregates-ext-compute'
NOTIFICATIONS = 'oslo_messaging_notifications'
VERSION = '1.4'
# What a service of before answers too is asked in its version.
FIRST = '1.0'
WITH_MAINTENANCE = '1.1'
WITH_POWER = '1.2'
WITH_ROLLING = '1.3'
WITH_NETWORK = WITH_UPDATES = '1.4'
# Seconds in which hosts tell what they would install: they ask repositories.
UPDATES_TIMEOUT = 60.0
VERSIONS = {
    'maintenance': WITH_MAINTENANCE,
    **dict.fromkeys(('reboot', 'shutdown', 'startup'), WITH_POWER),
}
# Options that oslo.messaging has since 16 and 18 and does not list.
_GLOBAL_OPTS = (
    ('oslo_messaging._metrics.client', 'oslo_messaging_metrics'),
    ('oslo_messaging._tracing.client', 'oslo_messaging_tracing'),
)


def get_transport(conf: cfg.ConfigOpts) -> oslo_messaging.Transport | None:
    """The transport of ``transport_url``, or None where it is unset.

    A private configuration (filter mode) gets the options that
    oslo.messaging otherwise registers on the global object alone.

    :raises exception.Unavailable: it cannot be used.
    """
    _register(conf)
    with _usable('[DEFAULT] transport_url'):
        if not conf.transport_url:
            return None
        return oslo_messaging.get_rpc_transport(conf)


def get_notification_transport(
    conf: cfg.ConfigOpts,
) -> oslo_messaging.Transport:
    """The transport of notifications, which may have a URL of its own.

    :raises exception.Unavailable: there is none, or it cannot be used.
    """
    _register(conf)
    conf.set_default('driver', ['messagingv2'], NOTIFICATIONS)
    name = f'[{NOTIFICATIONS}] transport_url'
    with _usable(name):
        if not (conf[NOTIFICATIONS].transport_url or conf.transport_url):
            raise exception.Unavailable(
                reason='Neither [DEFAULT] transport_url is set nor that of '
                f'[{NOTIFICATIONS}].'
            )
        return oslo_messaging.get_notification_transport(conf)


def _register(conf: cfg.ConfigOpts) -> None:
    """Make the options of oslo.messaging known to ``conf``."""
    for group, opts in messaging_opts.list_opts():
        conf.register_opts(opts, group)
    for module, group in _GLOBAL_OPTS:
        if module in sys.modules:
            conf.register_opts(getattr(sys.modules[module], group), group)
    conf.set_default('transport_url', '')


@contextlib.contextmanager
def _usable(name: str) -> Iterator[None]:
    """For what is made of an option that has a transport's URL.

    :raises exception.Unavailable: it cannot be used.
    """
    try:
        yield
    except (oslo_messaging.MessagingException, ValueError) as exc:
        # Without its message, which may repeat the URL.
        kind = type(exc).__name__
        told = exc if isinstance(exc, cfg.Error) else f'{kind}.'
        raise exception.Unavailable(
            reason=f'{name} cannot be used: {told}'
        ) from None


class ComputeAPI:
    """The client half; ``compute/endpoint.py`` serves it.

    No caller ever waits for a broker longer than ``check_timeout``, and for
    a wake-up not at all.

    :param transport: None: nothing is sent.
    :param check_timeout: seconds to wait for a check; 0 never asks.
    """

    def __init__(
        self,
        transport: oslo_messaging.Transport | None,
        check_timeout: float,
    ) -> None:
        self._check_timeout = check_timeout
        self._client: oslo_messaging.RPCClient | None = None
        self._signal = background.Signal(self._cast)
        self._questions: background.Questions[dict[str, Any]] = (
            background.Questions()
        )
        if transport is not None:
            self._client = oslo_messaging.get_rpc_client(
                transport,
                oslo_messaging.Target(topic=TOPIC, version=FIRST),
            )

    @property
    def asks(self) -> bool:
        """Whether a check is worth asking for."""
        return self._client is not None and self._check_timeout > 0

    def wake_up(self) -> None:
        """Tell some compute service that there is work in the database.

        It is sent soon, by a thread of its own. A failure is no more than
        a line in the log: the service polls too.
        """
        if self._client is not None:
            self._signal()

    def hand_over(self, timeout: float) -> None:
        """Wake another compute service up, for the end of this one.

        :param timeout: seconds to wait until the message is with the broker.
        """
        sending: background.Questions[None] = background.Questions()
        try:
            sending.ask(self._cast, timeout)
        except background.Hangs:
            LOG.debug('Nobody could be woken up')

    def _cast(self) -> None:
        if self._client is None:
            return
        try:
            self._client.prepare(retry=0).cast({}, 'wake_up')
        except Exception as exc:
            # Of any class: the driver lets errors of kombu, of amqp and of
            # sockets through.
            BROKER.fails(describe(exc))
        else:
            BROKER.works()

    def check_host(
        self,
        host: str,
        aggregate_id: int | None,
        purpose: str,
        accept_data_loss: Sequence[str] = (),
        shut_down: Sequence[str] = (),
        *,
        hard: bool = False,
        network: str | None = None,
    ) -> dict[str, Any] | None:
        """Ask a compute service to check a host; None: there is no answer.

        :param purpose: 'add', 'remove', 'maintenance', 'reboot', 'shutdown',
            'startup' or 'contact'.
        :param shut_down: uuids of guests that maintenance may shut down.
        :param hard: whether it may do so hard.
        :param network: uuid of that which its guests are to move over.
        :returns: ``preflight.Report.as_dict()``.
        """
        if self._client is None or not self.asks:
            return None
        version = VERSIONS.get(purpose, FIRST)
        more: dict[str, Any] = {}
        if version != FIRST:
            more = {'shut_down': list(shut_down)}
        if hard:
            more['hard'] = hard
            version = WITH_POWER
        if network is not None:
            more['network'] = network
            version = WITH_NETWORK
        return self._ask(
            f'host {host}',
            version,
            'check_host',
            host=host,
            aggregate_id=aggregate_id,
            purpose=purpose,
            accept_data_loss=list(accept_data_loss),
            **more,
        )

    def plan_rolling(
        self, aggregate_id: int, asked: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """Ask a compute service what a restart of all hosts would do.

        :param asked: the parameters of the operation.
        :returns: blockers, warnings and the plan; None: there is no answer.
        """
        if self._client is None or not self.asks:
            return None
        return self._ask(
            f'the hosts of aggregate {aggregate_id}',
            WITH_UPDATES
            if asked.keys() & {'network', 'update'}
            else WITH_ROLLING,
            'plan_rolling',
            UPDATES_TIMEOUT if asked.get('update') else 0.0,
            aggregate_id=aggregate_id,
            asked=dict(asked),
        )

    def _ask(
        self,
        subject: str,
        version: str,
        method: str,
        least: float = 0.0,
        **arguments: Any,
    ) -> dict[str, Any] | None:
        """Let a compute service look at hosts; None: there is no answer.

        :param least: seconds that it has, whatever is configured.
        """
        if self._client is None:
            return None
        timeout = max(self._check_timeout, least)
        prepared = self._client.prepare(
            timeout=timeout, retry=0, version=version
        )
        call = functools.partial(prepared.call, {}, method, **arguments)
        try:
            return self._questions.ask(call, timeout)
        except Exception as exc:
            # Of any class, as above; and of those that crossed the wire the
            # builtin ones are raised as themselves.
            LOG.info(
                'No check of %s before acceptance: %s', subject, describe(exc)
            )
            return None


def describe(exc: Exception) -> str:
    """What kept a message from passing, without what a broker is told."""
    if isinstance(exc, background.Hangs):
        return str(exc)
    for kind, words in _WORDS:
        if isinstance(exc, kind):
            return words
    for reason in (exc, exc.__cause__):
        if isinstance(reason, OSError) and reason.strerror:
            return f'no connection to the broker ({reason.strerror})'
    code = getattr(exc, 'reply_code', getattr(exc, 'code', None))
    if code in _REFUSALS:
        return _REFUSALS[code]
    # Without its text, which may repeat transport_url.
    LOG.debug('A message did not pass: %s', type(exc).__qualname__)
    return 'messaging failed; at level DEBUG the log tells its kind'


class _OfTheBroker(std_logging.Filter):
    """Takes what a driver says of each of its tries as one outage."""

    def filter(self, record: std_logging.LogRecord) -> bool:
        said = record.getMessage()
        if _IS_BACK.search(said):
            BROKER.works()
            return False
        if _IS_AWAY.search(said):
            BROKER.fails(_TRIES.sub('', said))
            return False
        return True


_FILTER = _OfTheBroker()


def quieten() -> None:
    """Let the drivers of oslo.messaging tell of an outage as we do.

    For processes of our own: a driver has a line at ERROR for each try of
    each connection.
    """
    for name in _DRIVERS:
        std_logging.getLogger(name).addFilter(_FILTER)
