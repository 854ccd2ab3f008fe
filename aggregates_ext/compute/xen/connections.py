"""Sessions from registered hosts and configured credentials."""

import copy
import math
import ssl
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import NamedTuple
from urllib import parse

from oslo_config import cfg

from aggregates_ext import conf as options
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import tls
from aggregates_ext.compute.xen import transport
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import records

# The phases in which a bound host has the account of its pool.
IN_POOL = ('member', 'leaving')


def may_have(host: records.Host, aggregate: records.Aggregate) -> bool:
    """Whether a host may be told the password of an aggregate's pool.

    A host that joins has one of its own until it is a slave. What a host
    says of itself, such as its address, counts for nothing here.
    """
    return host.credential == aggregate.credential or (
        host.aggregate_id == aggregate.id and host.phase in IN_POOL
    )


class Refusal(NamedTuple):
    """A login that a host did not take.

    :ivar since: monotonic time of the last attempt.
    """

    since: float
    code: str
    parameters: tuple[str, ...]


class Connector:
    """Makes sessions from registered hosts and configured credentials.

    :param conf: configuration; read at each login, so that a reload counts.
    :param session: makes a session, with the arguments of that class.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        session: Callable[..., xenapi.Session] = xenapi.Session,
    ) -> None:
        self._conf = conf
        self._session = session
        # All that were given out, which a reload does not take back; a dict
        # because sessions in other threads read it meanwhile.
        self._passwords: dict[str, None] = {}
        self._contexts = tls.Contexts(conf)
        self._refused: dict[tuple[str, xenapi.Credential], Refusal] = {}
        self._patient = False
        self._until = math.inf

    def patient(self) -> 'Connector':
        """For looks that nobody asked for: a refusal holds for a while.

        Hosts count failed logins and may lock the account
        (xapi#operator-fault-14). The same password is not tried again at the
        same host within ``observe_interval``, whoever tried it; another one
        is.
        """
        found = copy.copy(self)
        found._patient = True
        return found

    @property
    def enables_tls(self) -> bool:
        """Whether a join switches TLS verification on at its host."""
        return bool(self._conf.compute.enable_tls_verification)

    def within(self, seconds: float | None = None) -> 'Connector':
        """For a look of many calls that is to end as a whole.

        Once the time is over its sessions send nothing more, and an answer
        that is still awaited is lost.

        :param seconds: until then, else ``observe_timeout``.
        """
        if seconds is None:
            seconds = self._conf.compute.observe_timeout
        found = copy.copy(self)
        found._until = min(self._until, time.monotonic() + seconds)
        return found

    def shared(self, number: int) -> Iterator['Connector']:
        """For looks one after another, within the time of ``within``.

        Each may take an equal part of what is left when it begins, so that
        a host that is slow does not use up the time of the others.
        """
        for left in range(number, 0, -1):
            yield self.within((self._until - time.monotonic()) / left)

    def credential(self, name: str, host: str) -> xenapi.Credential:
        """A configured credential.

        :param host: whom it is for, for the message.
        :raises CredentialUnknown: it is not configured.
        """
        if name not in self._conf.xenserver.credentials:
            raise failures.CredentialUnknown(credential=name, host=host)
        username, password = options.read_credential(self._conf, name)
        if password is None:
            raise failures.CredentialUnknown(credential=name, host=host)
        self._passwords[password] = None
        return xenapi.Credential(name, username, password)

    def login(
        self,
        host: records.Host,
        aggregate: records.Aggregate | None = None,
        timeout: float | None = None,
    ) -> xenapi.Session:
        """Log in at a host.

        No other account goes to a host than its own and that of its pool:
        a session is had by host and aggregate, never by an account's name.

        :param aggregate: with the account of its pool; None: the host's own.
        :param timeout: seconds for each request as a whole, else
            ``call_timeout``.
        :raises XenAPIError: refused, for instance with HOST_IS_SLAVE.
        :raises Unreachable: nobody is there.
        :raises CredentialUnknown: not configured.
        :raises NotEntitled: the host may not be told that account.
        """
        account = self.credential(_account_of(host, aggregate), host.name)
        way = transport.Transport(
            timeout or self._conf.compute.call_timeout,
            self._tls(host, account),
            host.fingerprint,
            self._until,
            self._conf.compute.max_answer << 20,
        )
        self._hold_back(host, account)
        try:
            session = self._session(
                host.name, host.url, account, way, self._passwords
            )
        except failures.XenAPIError as exc:
            if exc.code in codes.LOGIN_REFUSED:
                self._refused[host.url, account] = Refusal(
                    time.monotonic(), exc.code, exc.parameters
                )
            raise
        self._refused.pop((host.url, account), None)
        return session

    def _hold_back(
        self, host: records.Host, account: xenapi.Credential
    ) -> None:
        """Spare a host a login that it has just refused.

        :raises XenAPIError: as then.
        """
        refusal = self._refused.get((host.url, account))
        if not self._patient or refusal is None:
            return
        age = time.monotonic() - refusal.since
        if age < self._conf.compute.observe_interval:
            raise failures.XenAPIError(
                host.name, refusal.code, refusal.parameters
            )

    def _tls(
        self, host: records.Host, account: xenapi.Credential
    ) -> ssl.SSLContext | None:
        """How to speak TLS with a host; None: on this machine, in clear.

        :raises ClearText: it was registered when that was not refused.
        :raises Unreachable: what is configured cannot be used.
        """
        try:
            if records.is_clear(host.url):
                raise failures.ClearText(host=host.name, url=host.url)
            if parse.urlsplit(host.url).scheme == 'http':
                return None
            return self._contexts.context(account.name, bool(host.fingerprint))
        except (OSError, ValueError) as exc:
            raise failures.Unreachable(
                host=host.name,
                url=host.url,
                reason='[xenserver] ca_file, tls_ciphers or the URL cannot '
                f'be used: {exc}',
            ) from exc


def _account_of(
    host: records.Host, aggregate: records.Aggregate | None
) -> str:
    """The name of the credential to log in with.

    :raises NotEntitled: the host is not to have it.
    """
    if aggregate is None or aggregate.credential is None:
        return host.credential
    if not may_have(host, aggregate):
        raise failures.NotEntitled(
            host=host.name,
            credential=aggregate.credential,
            aggregate_id=aggregate.id,
        )
    return aggregate.credential
