"""What counts as silence, and what never does."""

import errno
import socket
import ssl
import types
from typing import Any

import pytest

from aggregates_ext.compute.observation import silence
from aggregates_ext.compute.xen import failures

HOST: Any = types.SimpleNamespace(name='xen2')


def look(failure: Exception) -> str | None:
    """What is concluded from how a login fails."""

    def login(host: Any, timeout: float) -> None:
        raise failure

    connector: Any = types.SimpleNamespace(login=login)
    return silence.find_sign_of_life(connector, HOST)


def unreachable(cause: Exception) -> failures.Unreachable:
    return failures.Unreachable(
        host='xen2', url='https://x', reason='r', error=cause
    )


@pytest.mark.parametrize(
    ('cause', 'silent'),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, 'refused'), True),
        (TimeoutError('timed out'), True),
        (OSError(errno.EHOSTUNREACH, 'no route to host'), True),
        (OSError(errno.ENETUNREACH, 'network is unreachable'), False),
        (ConnectionResetError(errno.ECONNRESET, 'reset'), False),
        (ssl.SSLError('another fingerprint'), False),
        (ssl.SSLCertVerificationError('self-signed'), False),
        (socket.gaierror(socket.EAI_NONAME, 'unknown name'), False),
        (FileNotFoundError(errno.ENOENT, 'no CA file'), False),
    ],
)
def test_failed_connection(cause: Exception, silent: bool) -> None:
    assert (look(unreachable(cause)) is None) is silent


@pytest.mark.parametrize(
    'failure',
    [
        failures.XenAPIError('xen2', 'HOST_IS_SLAVE', ('10.0.0.1',)),
        failures.XenAPIError('xen2', 'HOST_UNKNOWN_TO_MASTER', ()),
        failures.XenAPIError('xen2', 'SESSION_AUTHENTICATION_FAILED', ()),
        failures.AnswerLost(host='xen2', call='login', reason='timed out'),
        failures.CredentialUnknown(host='xen2', credential='c'),
    ],
)
def test_answers_of_any_kind_are_life(failure: Exception) -> None:
    assert look(failure)
