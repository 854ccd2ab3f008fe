"""What can go wrong between us and a host, each with its code."""

import re
from typing import Any

from aggregates_ext import exception
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import text

_ADDRESS = re.compile(r'[!-~]{1,255}')


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
        told = text.clean(', '.join(parameters))
        sentence, self.remedy = codes.explain(code, parameters)
        super().__init__(
            f'Host {host} answered {code}{f" ({told})" if told else ""}: '
            + text.clean(sentence, 2 * text.LIMIT)
        )


class Unreachable(HostError):
    """No connection came about: nothing was sent.

    ``values['error']`` is what the network said, where it said anything.
    """

    code = 'HOST_UNREACHABLE'
    message = 'Host {host} cannot be reached at {url}: {reason}.'
    remedy = (
        'Start it or mend the network to it; if the URL is not its own, '
        'correct it with "aggregates-ext-manage host set {host} --url '
        'https://ADDRESS".'
    )

    def __init__(self, **kwargs: Any) -> None:
        if 'reason' in kwargs:
            kwargs['reason'] = kwargs['reason'].rstrip('.')
        super().__init__(**kwargs)


class OtherCertificate(Unreachable):
    """A host shows another certificate than the registered one.

    :ivar parameters: the fingerprint that was seen.
    """

    code = 'CERTIFICATE_CHANGED'
    message = (
        'Host {host} shows a certificate at {url} that is not the '
        'registered one: its SHA-256 fingerprint is {seen}, and no password '
        'was sent.'
    )
    remedy = (
        'An ejected or reinstalled host has a new certificate; anything '
        'else may be an attack. Compare it at the console of the host, then '
        'accept it with "aggregates-ext-manage host set {host} --fingerprint '
        '{seen}".'
    )

    def __init__(self, host: str, url: str, seen: str) -> None:
        super().__init__(host=host, url=url, seen=seen)
        self.parameters = (seen,)


class TLSRefused(Unreachable):
    """Host and service find no TLS that both accept, now or later."""

    code = 'TLS_REFUSED'
    message = (
        'Host {host} at {url} and this service do not agree on TLS: '
        '{reason}. Nothing was sent, and it is not tried again.'
    )
    remedy = (
        'Where the host is of an old release, see tls_minimum and '
        'tls_ciphers of its credential; else look whether its URL is that '
        'of an xapi.'
    )


class NotTrusted(TLSRefused):
    """A certificate that no known authority has signed, or of another name."""

    message = (
        'The certificate of host {host} at {url} is not trusted: {reason}. '
        'Nothing was sent, and it is not tried again.'
    )
    remedy = (
        'Compare its SHA-256 fingerprint at the console of the host '
        '("openssl x509 -noout -fingerprint -sha256 -in '
        '/etc/xensource/xapi-ssl.pem") and register it with '
        '"aggregates-ext-manage host set {host} --fingerprint SHA256", or '
        'name its authority in [xenserver] ca_file.'
    )


class ClearText(Unreachable):
    """A host is registered where a password would go in clear."""

    code = 'CLEAR_TEXT_REFUSED'
    message = (
        'Host {host} is registered at {url}: a password would cross the '
        'network in clear, so nothing was sent.'
    )
    remedy = (
        'Register it with https, by "aggregates-ext-manage host set {host} '
        '--url https://ADDRESS".'
    )


class AnswerLost(HostError):
    """The request may have arrived; no answer to it came back."""

    code = 'ANSWER_LOST'
    message = 'Host {host} gave no answer to {call}: {reason}.'
    remedy = (
        'If that lasts, look at the load of the host and the network to it.'
    )

    def __init__(self, reason: str, **kwargs: Any) -> None:
        super().__init__(reason=reason.rstrip('.'), **kwargs)


class NotEntitled(HostError):
    """The account of a pool stays among the hosts that have it.

    A bug shows so: whom to ask is chosen before (design#credentials).
    """

    code = 'HOST_NOT_ENTITLED'
    message = (
        'Host {host} is not asked with credential {credential} of aggregate '
        '{aggregate_id}: it is not its own, and the host is no member of '
        'that aggregate. Nothing was sent.'
    )


class OddAnswer(HostError):
    """A host answers what cannot be, where it matters (design#odd-answers).

    :ivar what: what is odd, as a clause.
    """

    code = 'ODD_ANSWER'
    message = (
        'Host {host} gives an answer that cannot be read: {what}. Nothing is '
        'concluded from it.'
    )
    remedy = 'Look at that record with "xe" there, and mend it.'

    def __init__(self, host: str, what: str) -> None:
        super().__init__(host=host, what=what)
        self.what = what


def named_master(exc: XenAPIError) -> str:
    """The address in HOST_IS_SLAVE.

    :raises OddAnswer: there is none.
    """
    address = exc.parameters[0] if exc.parameters else ''
    if not _ADDRESS.fullmatch(address):
        raise OddAnswer(
            host=exc.host, what='HOST_IS_SLAVE names no address of a master'
        )
    return address


class CredentialUnknown(HostError):
    """No configuration has the credential."""

    code = 'CREDENTIAL_UNKNOWN'
    message = 'Credential {credential} of host {host} is not configured.'
    remedy = (
        'List it in [xenserver] credentials and set username and password in '
        '[xenserver:{credential}] of the compute services, and send them '
        'SIGHUP.'
    )
