"""Messaging: a wake-up and a question, never the truth (design#messaging).

``transport_url`` unset means no RPC at all: the compute service polls, and
checks before acceptance are skipped.

History of the interface:

* 1.0: ``wake_up()``, ``check_host(host, aggregate_id, purpose,
  accept_data_loss)``
"""

import functools
import sys
from collections.abc import Sequence
from typing import Any

import oslo_messaging
from oslo_config import cfg
from oslo_log import log as logging
from oslo_messaging import opts as messaging_opts

from aggregates_ext import background
from aggregates_ext import exception

LOG = logging.getLogger(__name__)

TOPIC = 'aggregates-ext-compute'
VERSION = '1.0'
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
    for group, opts in messaging_opts.list_opts():
        conf.register_opts(opts, group)
    for module, group in _GLOBAL_OPTS:
        if module in sys.modules:
            conf.register_opts(getattr(sys.modules[module], group), group)
    conf.set_default('transport_url', '')
    try:
        if not conf.transport_url:
            return None
        return oslo_messaging.get_rpc_transport(conf)
    except (oslo_messaging.MessagingException, ValueError) as exc:
        # Without its message, which may repeat the URL.
        kind = type(exc).__name__
        told = exc if isinstance(exc, cfg.Error) else f'{kind}.'
        raise exception.Unavailable(
            reason=f'[DEFAULT] transport_url cannot be used: {told}'
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
        self._warned = False
        self._signal = background.Signal(self._cast)
        self._questions: background.Questions[dict[str, Any]] = (
            background.Questions()
        )
        if transport is not None:
            self._client = oslo_messaging.get_rpc_client(
                transport,
                oslo_messaging.Target(topic=TOPIC, version=VERSION),
            )

    @property
    def asks(self) -> bool:
        """Whether a check is worth asking for."""
        return self._client is not None and self._check_timeout > 0

    def wake_up(self) -> None:
        """Tell some compute service that there is work in the database.

        It is sent soon, by a thread of its own. A failure is logged once
        and forgotten: the service polls too.
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
            if not self._warned:
                LOG.warning(
                    'No wake-up could be sent (%s); compute services find '
                    'the work by polling.',
                    type(exc).__name__,
                )
            self._warned = True
        else:
            self._warned = False

    def check_host(
        self,
        host: str,
        aggregate_id: int | None,
        purpose: str,
        accept_data_loss: Sequence[str] = (),
    ) -> dict[str, Any] | None:
        """Ask a compute service to check a host; None: there is no answer.

        :param purpose: 'add', 'remove' or 'contact'.
        :returns: ``preflight.Report.as_dict()``.
        """
        if self._client is None or not self.asks:
            return None
        call = functools.partial(
            self._client.prepare(timeout=self._check_timeout, retry=0).call,
            {},
            'check_host',
            host=host,
            aggregate_id=aggregate_id,
            purpose=purpose,
            accept_data_loss=list(accept_data_loss),
        )
        try:
            return self._questions.ask(call, self._check_timeout)
        except Exception as exc:
            # Of any class, as above; and of those that crossed the wire the
            # builtin ones are raised as themselves.
            LOG.info(
                'No check of host %s before acceptance: %s',
                host,
                _describe(exc),
            )
            return None


def _describe(exc: Exception) -> str:
    """What kept a check from being made; without what a broker is told."""
    if isinstance(exc, background.Hangs):
        return str(exc)
    if isinstance(exc, oslo_messaging.RemoteError):
        return f'the compute service answered {exc.exc_type}'
    return type(exc).__name__
