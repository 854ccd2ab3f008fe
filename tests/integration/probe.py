"""Tries what a service may not do, and tells what came of it as JSON.

Run in place of a service, by its unit, with the name of the service.
"""

import ctypes
import errno
import json
import mmap
import os
import pathlib
import socket
import sys
from collections.abc import Callable

LIBC = ctypes.CDLL(None, use_errno=True)
NEW_USER = 0x10000000
NO_RANDOM_ADDRESSES = 0x0040000
STATE = pathlib.Path('/var/lib/aggregates_ext')
LOGS = pathlib.Path('/var/log/aggregates_ext')
SECRETS = pathlib.Path('/etc/aggregates_ext')
OTHER = {'api': 'compute', 'compute': 'api'}


def call(function: str, *arguments: int) -> None:
    """Call the C library.

    :raises OSError: it has failed.
    """
    if getattr(LIBC, function)(*arguments) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def write(path: pathlib.Path) -> None:
    path.write_text('here')
    path.unlink()


def set_user_bit() -> None:
    file = STATE / 'probe'
    file.write_text('')
    try:
        file.chmod(0o4755)
    finally:
        file.unlink()


def enter(directory: pathlib.Path) -> None:
    """Nobody may, where something else stands in its place."""
    if not directory.stat().st_mode & 0o777:
        raise OSError(errno.EACCES, 'it is not to be reached')


def attempts(service: str) -> dict[str, Callable[[], object]]:
    """What is tried, by what it is called."""
    write_code = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    return {
        'write to the state': lambda: write(STATE / 'probe'),
        'write a log': lambda: write(LOGS / service / 'probe'),
        'write to /usr': lambda: write(pathlib.Path('/usr/probe')),
        'write to /etc': lambda: write(SECRETS / 'probe'),
        'write to /opt': lambda: write(pathlib.Path('/opt/probe')),
        'write to /var': lambda: write(pathlib.Path('/var/lib/probe')),
        'make a cgroup': lambda: os.mkdir('/sys/fs/cgroup/probe'),
        'see homes': lambda: os.listdir('/home'),
        'see secrets of the other': lambda: enter(
            SECRETS / f'{OTHER[service]}.conf.d'
        ),
        'see /tmp of all': lambda: os.stat('/tmp/of-the-machine'),  # noqa: S108
        'see devices': lambda: os.stat('/dev/of-the-machine'),
        'see other processes': lambda: os.stat('/proc/1'),
        'see the kernel': lambda: os.stat('/proc/meminfo'),
        'send on the network': lambda: socket.socket(socket.AF_INET),
        'send frames': lambda: socket.socket(
            socket.AF_PACKET, socket.SOCK_DGRAM
        ),
        'ask for routes': lambda: socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW
        ),
        'make a namespace': lambda: call('unshare', NEW_USER),
        'write code': lambda: mmap.mmap(-1, 4096, prot=write_code),
        'set the bit of a user': set_user_bit,
        'change the user': lambda: os.setuid(os.getuid()),
        'change a priority': lambda: os.setpriority(os.PRIO_PROCESS, 0, 0),
        'change how it is run': lambda: call(
            'personality', NO_RANDOM_ADDRESSES
        ),
    }


def attempt(act: Callable[[], object]) -> str:
    """The name of the error, or "done"."""
    try:
        act()
    except OSError as exc:
        return errno.errorcode[exc.errno or 0]
    return 'done'


def main() -> None:
    """Try all of it."""
    told = {name: attempt(act) for name, act in attempts(sys.argv[1]).items()}
    print(json.dumps(told))


if __name__ == '__main__':
    main()
