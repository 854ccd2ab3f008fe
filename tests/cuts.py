"""Connections to a database that break under the feet of who uses them."""

import socket
from typing import Any

from aggregates_ext.db.engine import watchdog


def break_off(connection: Any) -> None:
    """End a connection of a driver; what is asked on it next fails.

    What was not committed comes to nothing.
    """
    module = type(connection).__module__.partition('.')[0]
    if module == 'pymysql':
        connection._sock.shutdown(socket.SHUT_RDWR)
    elif hasattr(connection, 'fileno'):
        watchdog.shut_down(connection.fileno())
    else:
        # SQLite has nobody at the other end.
        connection.close()


def fail(connection: Any) -> None:
    """Raise what the driver says of a connection that was broken off."""
    connection.cursor().execute('SELECT 1')
    raise AssertionError('the connection still stands')
