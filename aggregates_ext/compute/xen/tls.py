"""TLS to hosts: what is verified, how old it may be, what never passes."""

import os
import re
import ssl
from typing import Any

from oslo_config import cfg

from aggregates_ext import conf as options

VERSIONS = {
    'TLSv1': ssl.TLSVersion.TLSv1,
    'TLSv1.1': ssl.TLSVersion.TLSv1_1,
    'TLSv1.2': ssl.TLSVersion.TLSv1_2,
    'TLSv1.3': ssl.TLSVersion.TLSv1_3,
}
_TEXT = re.compile(r'\[SSL\]([a-z0-9 ]+)\(_ssl')
OLD = frozenset({'TLSv1', 'TLSv1.1'})
# Without it OpenSSL 3 signs nothing with SHA-1, which they all do.
OLD_CIPHERS = 'DEFAULT:@SECLEVEL=0'
# Alerts of a host that may be in order a moment later; every other one is
# about versions, ciphers or certificates.
PASSING_ALERTS = ('INTERNAL_ERROR', 'USER_CANCELLED', 'CLOSE_NOTIFY')
# What this side says of a host with which it will not speak.
FINAL = frozenset(
    {
        'BAD_PROTOCOL_VERSION_NUMBER',
        'CA_KEY_TOO_SMALL',
        'CA_MD_TOO_WEAK',
        'DH_KEY_TOO_SMALL',
        'EE_KEY_TOO_SMALL',
        'HTTP_REQUEST',
        'LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED',
        'NO_CIPHERS_AVAILABLE',
        'NO_PROTOCOLS_AVAILABLE',
        'UNKNOWN_PROTOCOL',
        'UNSAFE_LEGACY_RENEGOTIATION_DISABLED',
        'UNSUPPORTED_PROTOCOL',
        'WRONG_CIPHER_RETURNED',
        'WRONG_SIGNATURE_TYPE',
        'WRONG_SSL_VERSION',
        'WRONG_VERSION_NUMBER',
    }
)


def is_final(exc: BaseException) -> bool:
    """Whether a handshake fails in the same way until somebody acts."""
    if not isinstance(exc, ssl.SSLError):
        return False
    reason = _reason(exc)
    if 'ALERT' in reason:
        return not reason.endswith(PASSING_ALERTS)
    return isinstance(exc, ssl.SSLCertVerificationError) or reason in FINAL


def _reason(exc: ssl.SSLError) -> str:
    """What OpenSSL calls the trouble; empty: it is none of OpenSSL.

    A Python that is older than its OpenSSL has no name for it, and its text.
    """
    named: str | None = getattr(exc, 'reason', None)
    if named:
        return named
    told = _TEXT.search(str(exc))
    return told[1].strip().upper().replace(' ', '_') if told else ''


class Contexts:
    """The ways to speak TLS that the configuration asks for, each made once.

    Reading the system's authorities takes more than all the rest of a login.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        # By what makes them differ, each with what it was read from.
        self._made: dict[Any, tuple[Any, ssl.SSLContext]] = {}

    def context(self, credential: str, pinned: bool) -> ssl.SSLContext:
        """How to speak with a host.

        The authorities are read again when their file has changed.

        :param credential: whose password will go that way.
        :param pinned: the certificate is checked by itself.
        :raises OSError: what is configured cannot be used.
        """
        minimum, ciphers = options.read_tls(self._conf, credential)
        path = None if pinned else self._conf.xenserver.ca_file
        file = path or ssl.get_default_verify_paths().cafile
        changed = os.stat(file).st_mtime_ns if file and not pinned else None
        key, read = (pinned, minimum, ciphers), (path, changed)
        found = self._made.get(key)
        if found is None or found[0] != read:
            found = read, _make(path, pinned, minimum, ciphers)
            self._made[key] = found
        return found[1]


def _make(
    path: str | None, pinned: bool, minimum: str | None, ciphers: str | None
) -> ssl.SSLContext:
    if pinned:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    else:
        made = ssl.create_default_context(cafile=path)
    if minimum is not None:
        made.minimum_version = VERSIONS[minimum]
    if ciphers is None and minimum in OLD:
        ciphers = OLD_CIPHERS
    if ciphers is not None:
        made.set_ciphers(ciphers)
    return made
