"""The only door to XenAPI: logins, single requests, failures translated.

The genuine client repeats by itself: its transport sends again after a
reset, its session logs in again and repeats up to three times (xapi#client).
Here one request is one request, and SESSION_INVALID is an error like any
other.
"""

import dataclasses
import http.client
import ssl
from collections.abc import Callable
from collections.abc import Collection
from typing import Any
from urllib import parse

import XenAPI

from aggregates_ext.compute.xen import answers
from aggregates_ext.compute.xen import events
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import tls
from aggregates_ext.compute.xen import transport

ORIGINATOR = 'aggregates-ext'
# Only these answer as much as a pool has.
RECORDS = '.get_all_records'
RESULT = 'task.get_result'
# Seconds that a logout may take; a session that is left ends by itself.
LOGOUT = 5.0
# Characters of what is told of an answer that cannot be read.
MAX_REASON = 500


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
        transport: transport.Transport,
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
            self._ref = self._text(
                'session.login_with_password',
                credential.username,
                credential.password,
                '1.0',
                ORIGINATOR,
            )
        except failures.HostError:
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
        """All records of a class by reference, read by ``fields``."""
        answer = self.call(f'{class_}{RECORDS}')
        return fields.read_records(self.host, class_, answer, self._words)

    def records_if_known(self, class_: str) -> dict[str, dict[str, Any]]:
        """The same; none where the host's release does not know the class."""
        try:
            return self.records(class_)
        except failures.XenAPIError as exc:
            if exc.code != 'MESSAGE_METHOD_UNKNOWN':
                raise
            return {}

    def record(self, class_: str, ref: str) -> fields.Record:
        """One record of a class, read by ``fields``."""
        answer = self.call(f'{class_}.get_record', ref)
        return fields.read_record(self.host, class_, answer, self._words)

    def find(self, class_: str, uuid: str) -> str:
        """The reference of a record.

        :raises XenAPIError: with UUID_INVALID: there is none.
        :raises OddAnswer: it is none.
        """
        call = f'{class_}.get_by_uuid'
        answer = self.call(call, uuid)
        found: str = fields.read_value(
            self.host, call, 'ref', answer, self._words
        )
        return found

    def get(self, path: str, **query: str) -> bytes:
        """What this xapi serves beside its calls, for this session.

        :raises Unreachable: it was not asked.
        :raises AnswerLost: it did not answer with that.
        """
        asked = parse.urlencode({'session_id': self._ref, **query})
        way = self._transport
        way.limit = transport.PACKAGES
        place = parse.urlsplit(self._url).netloc
        found: bytes = self._send(
            f'GET {path}', lambda: way.get(place, f'{path}?{asked}')
        )
        return found

    def changes(self, class_: str, token: str) -> events.Events:
        """What became of the records of a class since a token, at once.

        :param token: of the answer before; empty: all that there are.
        :raises OddAnswer: it cannot be told.
        """
        answer = self.call(events.CALL, [class_.lower()], token, 0.0)
        return events.read(self.host, class_, answer, self._words)

    def permissions(self) -> frozenset[str] | None:
        """The calls that the account may make, in lower case.

        None: all of them, for the local superuser.
        """
        answer = self.call('session.get_record', self._ref)
        record = fields.read_record(self.host, 'session', answer, self._words)
        if record['is_local_superuser']:
            return None
        return frozenset(record['rbac_permissions'])

    def uuid(self) -> str:
        """The uuid of this session, by which another login can end it."""
        answer = self.call('session.get_uuid', self._ref)
        found: str = fields.read_value(
            self.host,
            'session.get_uuid',
            'uuid',
            answer,
            # Whatever it is, it is not to be told.
            text.Words([str(answer)]),
        )
        return found

    def end_other(self, session_uuid: str) -> None:
        """End another session of this xapi, if it still exists.

        What was sent with it and has not begun will be refused from then
        on with SESSION_INVALID (xapi#ending-sessions).
        """
        try:
            other = self.call('session.get_by_uuid', session_uuid)
            self._request('session.logout', other)
        except failures.XenAPIError as exc:
            if exc.code not in ('UUID_INVALID', 'SESSION_INVALID'):
                raise

    def leave(self) -> None:
        """Close the connection, and let the session go on."""
        self._transport.close()

    def close(self) -> None:
        """Log out, which may fail without harm, and close the connection."""
        self._transport.timeout = min(self._transport.timeout, LOGOUT)
        try:
            self._request('session.logout', self._ref)
        except (
            failures.XenAPIError,
            failures.Unreachable,
            failures.AnswerLost,
        ):
            # The session died with its xapi, or will by its idle limit.
            self._ref = ''
        finally:
            self._transport.close()

    @property
    def _words(self) -> text.Words:
        return text.Words(self._secrets())

    def read_failure(self, details: object) -> text.Failure:
        """What a host says of an error, in an answer or in a task."""
        return text.read_failure(details, self._secrets())

    def _secrets(self) -> set[str]:
        return {*list(self._passwords), self._ref}

    def _text(self, method: str, *params: Any) -> str:
        """One request that is answered with text."""
        found = self._request(method, *params)
        if not isinstance(found, str) or not found:
            raise self._lost(method, 'it answered with no text')
        return found

    def _lost(self, method: str, reason: str) -> failures.AnswerLost:
        return failures.AnswerLost(host=self.host, call=method, reason=reason)

    def _request(self, method: str, *params: Any) -> Any:
        way = self._transport
        large = method.endswith(RECORDS) or method == events.CALL
        plain = transport.PACKAGES if method == RESULT else transport.PLAIN
        way.limit = way.records if large else plain
        answer = self._send(
            method, lambda: self._client.xenapi_request(method, params)
        )
        return self._value(answer, method)

    def _send(self, what: str, send: Callable[[], Any]) -> Any:
        """Send a request once.

        :param what: for messages.
        """
        way = self._transport
        try:
            return send()
        except transport.WrongFingerprint as exc:
            raise failures.OtherCertificate(
                self.host, self._url, exc.seen
            ) from exc
        except (
            OSError,
            http.client.HTTPException,
            answers.Unreadable,
            UnicodeError,
        ) as exc:
            way.close()
            reason = (
                self._words.tell(str(exc))[:MAX_REASON] or type(exc).__name__
            )
            # Without its cause, which may tell what ``reason`` does not.
            if way.sent:
                raise self._lost(what, reason) from None
            raise _refused(exc)(
                host=self.host, url=self._url, reason=reason, error=exc
            ) from None

    def _value(self, answer: Any, method: str) -> Any:
        if not isinstance(answer, dict):
            answer = {}
        if answer.get('Status') == 'Success' and 'Value' in answer:
            return answer['Value']
        details = answer.get('ErrorDescription')
        if (
            answer.get('Status') != 'Failure'
            or not isinstance(details, list)
            or not details
            or not all(isinstance(detail, str) for detail in details)
        ):
            raise self._lost(method, 'not a XenAPI answer')
        raise failures.XenAPIError(self.host, *self.read_failure(details))


def _refused(exc: Exception) -> type[failures.Unreachable]:
    """What kept a request from being sent."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return failures.NotTrusted
    return failures.TLSRefused if tls.is_final(exc) else failures.Unreachable
