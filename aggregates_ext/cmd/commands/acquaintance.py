"""First contact with hosts: what they show, and whether it is believed.

XenServer makes its own certificate, for which no authority vouches: a
fingerprint is had from the host's console, or here, where a person judges
it or says that none will.
"""

import contextlib
import hashlib
import socket
import ssl
import textwrap
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from urllib import parse

from oslo_config import cfg

from aggregates_ext import exception
from aggregates_ext.compute.xen import tls
from aggregates_ext.db import addresses
from aggregates_ext.domain import hosts

# Seconds.
LIMIT = 10.0
YES = ('y', 'yes')


def meet(
    conf: cfg.ConfigOpts, registrations: Sequence[Any], ask: bool
) -> Iterator[dict[str, Any]]:
    """The registrations with fingerprints, of hosts that are believed.

    One that has a fingerprint, and one whose certificate an authority vouches
    for, stays as it is. What becomes of the others is printed.

    :param ask: a person; else each one is believed.
    :raises exception.Invalid: of a registration; nobody can be asked.
    """
    checked = [hosts.check(registration) for registration in registrations]
    contexts = tls.Contexts(conf)
    for values in checked:
        if values['fingerprint'] or not values['url'].startswith('https:'):
            yield values
            continue
        name, url = values['name'], values['url']
        try:
            seen = _look(contexts, values['credential'], url)
        except (OSError, ValueError) as exc:
            print(f'{name} at {url} is left out: {exc}')
            continue
        if seen is None:
            yield values
        elif not ask or _is_believed(name, url, seen):
            if not ask:
                print(f'{name} at {url} is believed: {_grouped(seen)}')
            yield values | {'fingerprint': seen}
        else:
            print(f'{name} is left out.')


def _look(contexts: tls.Contexts, credential: str, url: str) -> str | None:
    """The SHA-256 of a certificate; None: an authority vouches for it.

    :raises OSError: nobody is there who speaks TLS.
    """
    with contextlib.suppress(ssl.SSLCertVerificationError):
        _certificate(contexts.context(credential, pinned=False), url)
        return None
    shown = _certificate(contexts.context(credential, pinned=True), url)
    return hashlib.sha256(shown).hexdigest()


def _certificate(context: ssl.SSLContext, url: str) -> bytes:
    parts = parse.urlsplit(url)
    host, port = parts.hostname or '', parts.port or addresses.PORTS['https']
    with (
        socket.create_connection((host, port), LIMIT) as plain,
        context.wrap_socket(plain, server_hostname=host) as channel,
    ):
        return channel.getpeercert(binary_form=True) or b''


def _is_believed(name: str, url: str, seen: str) -> bool:
    """Ask whether a host shows its own certificate.

    :raises exception.Invalid: there is nobody to ask.
    """
    print(f'{name} at {url} shows a certificate with the SHA-256')
    print(f'  {_grouped(seen)}')
    try:
        answer = input('Is that what its console shows? [y/N] ')
    except EOFError:
        raise exception.Invalid(
            reason='--ask needs somebody who answers; nothing is registered.'
        ) from None
    return answer.strip().lower() in YES


def _grouped(digits: str) -> str:
    """A fingerprint as openssl and consoles of hosts show it."""
    return ':'.join(textwrap.wrap(digits.upper(), 2))
