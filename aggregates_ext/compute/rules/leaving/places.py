"""Where storage lies, by what its driver says (xapi#storage-drivers).

The type of an SR is its driver, and cannot be changed. Its flag ``shared``
can be set on anything (xapi#storage-records).
"""

import enum
import ipaddress
import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

# The key that makes a library of images one in a local directory.
LEGACY = 'legacy_mode'
# What names servers in a device_config.
SERVERS = (
    'server',
    'backupservers',
    'target',
    'multiSession',
    'masterhost',
    'location',
)
LOCALHOST = 'localhost'
Config = Mapping[str, str]


class Place(enum.Enum):
    """Where the driver of a type keeps data."""

    NOWHERE = 'nowhere that an eject touches'
    HOST = 'on disks of the host'
    ADAPTER = 'behind an adapter, which may be one of local disks'
    SERVER = 'on a server'
    CLUSTER = 'on servers that may be members of the pool'
    MEMBERS = 'on disks of members of the pool'
    UNKNOWN = 'where nobody knows'


DRIVERS: Mapping[str, Place] = {
    'btrfs': Place.HOST,
    'cephfs': Place.CLUSTER,
    'cifs': Place.SERVER,
    'dummy': Place.NOWHERE,
    'ext': Place.HOST,
    'file': Place.HOST,
    'gfs2': Place.ADAPTER,
    'glusterfs': Place.CLUSTER,
    'hba': Place.ADAPTER,
    'iscsi': Place.SERVER,
    'largeblock': Place.HOST,
    'linstor': Place.MEMBERS,
    'lvhd': Place.HOST,
    'lvhdofcoe': Place.SERVER,
    'lvhdohba': Place.ADAPTER,
    'lvhdoiscsi': Place.SERVER,
    'lvm': Place.HOST,
    'lvmofcoe': Place.SERVER,
    'lvmohba': Place.ADAPTER,
    'lvmoiscsi': Place.SERVER,
    'moosefs': Place.CLUSTER,
    'nfs': Place.SERVER,
    'shm': Place.HOST,
    'smb': Place.SERVER,
    'udev': Place.NOWHERE,
    'xfs': Place.HOST,
    'zfs': Place.HOST,
}


def place_of(sr: Mapping[str, Any], configs: Iterable[Config]) -> Place:
    """Where the driver of an SR keeps data.

    :param configs: the device_config of its PBDs.
    """
    kind = sr['type'].lower()
    if kind == 'iso':
        remote = [_is_on_server(config) for config in configs]
        return Place.SERVER if remote and all(remote) else Place.HOST
    return DRIVERS.get(kind, Place.UNKNOWN)


def _is_on_server(config: Config) -> bool:
    """Whether a library of images is on a server.

    Without a type the driver takes ``:/`` for NFS, and mounts all else.
    """
    location = config.get('location', '')
    if LEGACY in config:
        return False
    if location.startswith(('//', '\\')):
        return True
    mark = ':' if 'type' in config else ':/'
    return mark in location and not location.startswith('/')


def servers(config: Config) -> set[str]:
    """The servers that a device_config names, as ``normal`` has them."""
    if LEGACY in config:
        return set()
    return {
        normal(server)
        for key in SERVERS
        for part in re.split(r'[,|]', config.get(key, ''))
        for server in _split(key, part.strip())
    }


def _split(key: str, part: str) -> Iterator[str]:
    """The server in ``//server/share``, ``server:/path``, ``[::1]:/path``."""
    if key == 'backupservers' and '[' not in part:
        yield from filter(None, part.split(':'))
    elif part.startswith(('//', '\\')):
        yield from [piece for piece in re.split(r'[/\\]', part) if piece][:1]
    elif part.startswith('['):
        yield part[1:].partition(']')[0]
    elif _address(part):
        yield part
    elif part and not part.startswith('/'):
        yield part.partition(':')[0]


def normal(server: str) -> str:
    """An address or a name in its one spelling; what is the host itself."""
    address = _address(server)
    if address is None:
        name = server.lower().rstrip('.')
        return LOCALHOST if name.partition('.')[0] == LOCALHOST else name
    return LOCALHOST if address.is_loopback else str(address)


def _address(
    text: str,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.partition('/')[0])
    except ValueError:
        return None
