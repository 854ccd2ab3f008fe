"""Whether a host is silent: the ground on which it may be given up.

Anything that answers at its address is alive, whatever it says. What keeps
ourselves from asking says nothing about the host (xapi#dead-hosts).
"""

import errno
import socket
import ssl

from aggregates_ext.compute.observation import views
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.db import records

# How the alarm of a forgotten host begins; it outlasts other alarms.
FORGOTTEN = 'Forgotten by force'
# How nobody answers: the port is closed, or nothing comes back.
NOBODY = frozenset(
    {
        errno.ECONNREFUSED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ETIMEDOUT,
    }
)


def find_sign_of_life(
    connector: connections.Connector, host: records.Host
) -> str | None:
    """What a host shows at its own address; None: it is silent.

    :returns: one clause for messages.
    """
    try:
        connector.login(host, timeout=views.LOOK_TIMEOUT).close()
    except failures.XenAPIError as exc:
        return f'answers with {exc.code}'
    except failures.AnswerLost as exc:
        return f'takes connections ({exc.said.rstrip(".")})'
    except failures.CredentialUnknown as exc:
        return f'could not be asked ({exc.said.rstrip(".")})'
    except failures.Unreachable as exc:
        silent = _is_silence(exc.values.get('error'))
        return None if silent else f'shows itself ({exc.said.rstrip(".")})'
    return 'lets us log in'


def _is_silence(cause: BaseException | None) -> bool:
    """Whether nobody was there, as far as a failed connection can tell.

    A name that cannot be resolved or a route that is missing here says
    nothing about the host; a certificate that is refused says that it lives.
    """
    if isinstance(cause, ssl.SSLError | socket.gaierror):
        return False
    if isinstance(cause, TimeoutError):
        return True
    return isinstance(cause, OSError) and cause.errno in NOBODY
