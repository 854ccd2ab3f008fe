"""The only door to XenAPI: logins, single requests, failures translated.

The genuine client repeats by itself: its transport sends again after a
reset, its session logs in again and repeats up to three times (contract
2.5). Here one request is one request, and SESSION_INVALID is an error like
any other.
"""

import copy
import dataclasses
import hashlib
import hmac
import http.client
import os
import ssl
import time
import xml.parsers.expat
import xmlrpc.client
from collections.abc import Collection
from typing import Any
from typing import NamedTuple

import XenAPI
from oslo_config import cfg

from aggregates_ext import conf as options
from aggregates_ext import exception
from aggregates_ext.compute.xen import codes
from aggregates_ext.db import records

ORIGINATOR = 'aggregates-ext'
REDACTED = '***'


class HostError(exception.AggregatesError):
    """A host could not be worked with, for a reason with a code.

    :ivar code: of XenAPI, or one of ours; ``codes`` tells whether it passes.
    :ivar parameters: what the code is about; never a session.
    """

    code = ''
    parameters: tuple[str, ...] = ()


class XenAPIError(HostError):
    """A host refused a request, with a code of XenAPI.

    :ivar code: such as HOST_IS_SLAVE.
    """

    def __init__(self, host: str, code: str, parameters: tuple[str, ...]):
        self.host = host
        self.code = code
        self.parameters = parameters
        super().__init__(
            f'Host {host} answered {code}'
            f'{" (" + ", ".join(parameters) + ")" if parameters else ""}: '
            f'{codes.explain(code, parameters)}'
        )


class Unreachable(HostError):
    """No connection came about: nothing was sent.

    ``values['error']`` is what the network said, where it said anything.
    """

    code = 'HOST_UNREACHABLE'
    message = 'Host {host} cannot be reached at {url}: {reason}'


class OtherCertificate(Unreachable):
    """A host shows another certificate than the registered one.

    :ivar parameters: the fingerprint that was seen.
    """

    code = 'CERTIFICATE_CHANGED'
    message = (
        'Host {host} shows a certificate at {url} that is not the '
        'registered one: its SHA-256 fingerprint is {seen}. No password was '
        'sent. An ejected or reinstalled host has a new certificate; '
        'anything else may be an attack. Compare it at the console of the '
        'host, then accept it with "aggregates-ext-manage host set {host} '
        '--fingerprint {seen}".'
    )

    def __init__(self, host: str, url: str, seen: str) -> None:
        super().__init__(host=host, url=url, seen=seen)
        self.parameters = (seen,)


class AnswerLost(HostError):
    """The request may have arrived; no answer to it came back."""

    code = 'ANSWER_LOST'
    message = 'Host {host} gave no answer to {call}: {reason}'


class CredentialUnknown(HostError):
    """No configuration has the credential."""

    code = 'CREDENTIAL_UNKNOWN'
    message = (
        'Credential {credential} of host {host} is not configured: list it '
        'in [xenserver] credentials and set username and password in '
        '[xenserver:{credential}].'
    )


class _WrongFingerprint(ssl.SSLError):
    """Another certificate than the pinned one.

    :ivar seen: its fingerprint.
    """

    def __init__(self, seen: str) -> None:
        super().__init__('another certificate than the pinned one')
        self.seen = seen


class _HTTPSConnection(http.client.HTTPSConnection):
    """TLS that is checked by a pinned fingerprint where there is one."""

    pinned: str | None = None

    def connect(self) -> None:
        super().connect()
        if self.pinned is None:
            return
        certificate: bytes = self.sock.getpeercert(True) or b''
        seen = hashlib.sha256(certificate).hexdigest()
        if not hmac.compare_digest(seen, self.pinned):
            self.close()
            raise _WrongFingerprint(seen)


class _Transport(xmlrpc.client.Transport):
    """Sends each request once, with a time limit.

    :ivar sent: whether the last request left for a connected host.
    """

    def __init__(
        self, timeout: float, tls: ssl.SSLContext | None, pinned: str | None
    ) -> None:
        super().__init__()
        self._timeout = timeout
        self._tls = tls
        self._pinned = pinned
        self.sent = False

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        if self._connection and host == self._connection[0]:
            return self._connection[1]  # type: ignore[return-value]
        connection: http.client.HTTPConnection
        if self._tls is None:
            connection = http.client.HTTPConnection(
                host, timeout=self._timeout
            )
        else:
            connection = _HTTPSConnection(
                host, timeout=self._timeout, context=self._tls
            )
            connection.pinned = self._pinned
        self._connection = host, connection
        return connection

    def request(
        self, host: Any, handler: str, request_body: Any, verbose: bool = False
    ) -> Any:
        self.sent = False
        connection = self.make_connection(host)
        if connection.sock is None:
            connection.connect()
        self.sent = True
        return self.single_request(host, handler, request_body, verbose)


class _Client(XenAPI.Session):  # type: ignore[misc]
    """The genuine client without its repetitions."""

    def xenapi_request(self, methodname: str, params: Any) -> Any:
        return getattr(self, methodname)(*params)


@dataclasses.dataclass(frozen=True)
class Credential:
    """An account; its password stays out of every representation."""

    name: str
    username: str
    password: str = dataclasses.field(repr=False)


class Session:
    """One login at one host.

    :param host: name of the host, for messages.
    :param url: where its xapi is.
    :param credential: whom to log in as.
    :param transport: how to get there.
    :param passwords: that may have been sent to the host, in this session
        or in another one; what it says of errors may repeat them.
    :raises XenAPIError: the login was refused.
    :raises Unreachable: there was nobody to refuse it.
    """

    def __init__(
        self,
        host: str,
        url: str,
        credential: Credential,
        transport: _Transport,
        passwords: Collection[str],
    ) -> None:
        self.host = host
        self.credential = credential
        self._passwords = passwords
        self._ref = ''
        self._url = url
        self._transport = transport
        self._client = _Client(url, transport=transport)
        try:
            self._ref = self._request(
                'session.login_with_password',
                credential.username,
                credential.password,
                '1.0',
                ORIGINATOR,
            )
        except XenAPIError:
            transport.close()
            raise

    def call(self, method: str, *params: Any) -> Any:
        """One request, sent once.

        :param method: as XenAPI spells it, such as ``pool.eject``.
        :raises XenAPIError: it was refused.
        :raises Unreachable: it was not sent.
        :raises AnswerLost: whether it had an effect is not known.
        """
        return self._request(method, self._ref, *params)

    def records(self, class_: str) -> dict[str, dict[str, Any]]:
        """All records of a class by reference."""
        found: dict[str, dict[str, Any]] = self.call(
            f'{class_}.get_all_records'
        )
        return found

    def records_if_known(self, class_: str) -> dict[str, dict[str, Any]]:
        """The same; none where the host's release does not know the class."""
        try:
            return self.records(class_)
        except XenAPIError as exc:
            if exc.code != 'MESSAGE_METHOD_UNKNOWN':
                raise
            return {}

    def permissions(self) -> frozenset[str] | None:
        """The calls that the account may make, in lower case.

        None: all of them, for the local superuser.
        """
        record = self.call('session.get_record', self._ref)
        if record['is_local_superuser']:
            return None
        return frozenset(record['rbac_permissions'])

    def uuid(self) -> str:
        """The uuid of this session, by which another login can end it."""
        found: str = self.call('session.get_uuid', self._ref)
        return found

    def end_other(self, session_uuid: str) -> None:
        """End another session of this xapi, if it still exists.

        What was sent with it and has not begun will be refused from then
        on with SESSION_INVALID (``xapi-observed`` fencing).
        """
        try:
            other = self.call('session.get_by_uuid', session_uuid)
            self._request('session.logout', other)
        except XenAPIError as exc:
            if exc.code not in ('UUID_INVALID', 'SESSION_INVALID'):
                raise

    def close(self) -> None:
        """Log out, which may fail without harm, and close the connection."""
        try:
            self._request('session.logout', self._ref)
        except (XenAPIError, Unreachable, AnswerLost):
            # The session died with its xapi, or will by its idle limit.
            self._ref = ''
        finally:
            self._transport.close()

    def redact(self, text: str) -> str:
        """What a host says of an error, without the secrets it was told."""
        secrets = {*list(self._passwords), self._ref} - {''}
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, REDACTED)
        return text

    def _request(self, method: str, *params: Any) -> Any:
        try:
            answer = self._client.xenapi_request(method, params)
        except _WrongFingerprint as exc:
            self._transport.close()
            raise OtherCertificate(self.host, self._url, exc.seen) from exc
        except (
            OSError,
            http.client.HTTPException,
            xmlrpc.client.Error,
            xml.parsers.expat.ExpatError,
            UnicodeError,
        ) as exc:
            self._transport.close()
            reason = self.redact(str(exc)) or type(exc).__name__
            # Without its cause, which may tell what ``reason`` does not.
            if not self._transport.sent:
                raise Unreachable(
                    host=self.host, url=self._url, reason=reason, error=exc
                ) from None
            raise AnswerLost(
                host=self.host, call=method, reason=reason
            ) from None
        return self._value(answer, method)

    def _value(self, answer: Any, method: str) -> Any:
        if isinstance(answer, dict) and answer.get('Status') == 'Success':
            return answer.get('Value')
        details = (
            answer.get('ErrorDescription')
            if isinstance(answer, dict)
            else None
        )
        if not details:
            raise AnswerLost(
                host=self.host, call=method, reason='not a XenAPI answer'
            )
        code, *parameters = map(str, details)
        if code == 'SESSION_INVALID' or parameters[:1] == ['session']:
            parameters = []
        if code != 'HOST_IS_SLAVE':
            # That one is about an address, which is looked up.
            parameters = [self.redact(text) for text in parameters]
        raise XenAPIError(self.host, code, tuple(parameters))


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
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        # All that were given out, which a reload does not take back; a dict
        # because sessions in other threads read it meanwhile.
        self._passwords: dict[str, None] = {}
        self._authorities: tuple[Any, ssl.SSLContext] | None = None
        # A pinned certificate is checked by itself, see connect().
        self._unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._unchecked.check_hostname = False
        self._unchecked.verify_mode = ssl.CERT_NONE
        self._refused: dict[tuple[str, Credential], Refusal] = {}
        self._patient = False

    def patient(self) -> 'Connector':
        """For looks that nobody asked for: a refusal holds for a while.

        Hosts count failed logins and may lock the account (contract 11,
        14). The same password is not tried again at the same host within
        ``observe_interval``, whoever tried it; another one is.
        """
        found = copy.copy(self)
        found._patient = True
        return found

    def credential(self, name: str, host: str) -> Credential:
        """A configured credential.

        :param host: whom it is for, for the message.
        :raises CredentialUnknown: it is not configured.
        """
        if name not in self._conf.xenserver.credentials:
            raise CredentialUnknown(credential=name, host=host)
        username, password = options.read_credential(self._conf, name)
        if password is None:
            raise CredentialUnknown(credential=name, host=host)
        self._passwords[password] = None
        return Credential(name, username, password)

    def login(
        self,
        host: records.Host,
        credential: str | None = None,
        timeout: float | None = None,
    ) -> Session:
        """Log in at a host.

        :param credential: name of another one than the host's own.
        :param timeout: seconds for each request, else ``call_timeout``.
        :raises XenAPIError: refused, for instance with HOST_IS_SLAVE.
        :raises Unreachable: nobody is there.
        :raises CredentialUnknown: not configured.
        """
        try:
            tls = self._tls(host)
        except OSError as exc:
            raise Unreachable(
                host=host.name,
                url=host.url,
                reason=f'[xenserver] ca_file cannot be used: {exc}',
            ) from exc
        transport = _Transport(
            timeout or self._conf.compute.call_timeout, tls, host.fingerprint
        )
        account = self.credential(credential or host.credential, host.name)
        self._hold_back(host, account)
        try:
            session = Session(
                host.name, host.url, account, transport, self._passwords
            )
        except XenAPIError as exc:
            if exc.code in codes.LOGIN_REFUSED:
                self._refused[host.url, account] = Refusal(
                    time.monotonic(), exc.code, exc.parameters
                )
            raise
        self._refused.pop((host.url, account), None)
        return session

    def _hold_back(self, host: records.Host, account: Credential) -> None:
        """Spare a host a login that it has just refused.

        :raises XenAPIError: as then.
        """
        refusal = self._refused.get((host.url, account))
        if not self._patient or refusal is None:
            return
        age = time.monotonic() - refusal.since
        if age < self._conf.compute.observe_interval:
            raise XenAPIError(host.name, refusal.code, refusal.parameters)

    def _tls(self, host: records.Host) -> ssl.SSLContext | None:
        if host.url.startswith('http://'):
            return None
        if host.fingerprint:
            return self._unchecked
        return self._checked()

    def _checked(self) -> ssl.SSLContext:
        """By the authorities; read again when their file has changed.

        Reading the system's takes more than all the rest of a login.

        :raises OSError: they cannot be read.
        """
        path = self._conf.xenserver.ca_file
        file = path or ssl.get_default_verify_paths().cafile
        read = (path, os.stat(file).st_mtime_ns if file else None)
        if self._authorities is None or self._authorities[0] != read:
            context = ssl.create_default_context(cafile=path)
            self._authorities = (read, context)
        return self._authorities[1]
