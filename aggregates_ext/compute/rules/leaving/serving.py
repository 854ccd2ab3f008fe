"""What a host, or a guest on it, serves to the pool as storage.

The address of a member among the servers of storage is the only sign that its
data is on the disks of members (xapi#storage-members).
"""

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.leaving import places

Read = Mapping[str, preflight.Records]
# SR -> what its servers are called.
Servers = Mapping[str, set[str]]


def names_of_host(records: Read, ref: str) -> set[str]:
    """The addresses and the name of a host; not that of each for itself."""
    host = records['host'][ref]
    found = {host.get('address', ''), host.get('hostname', '')}
    for pif in records['PIF'].values():
        if pif['host'] == ref:
            found |= {pif.get('IP', ''), *pif.get('IPv6', ())}
    return {places.normal(name) for name in found if name} - {places.LOCALHOST}


def names_of_guest(records: Read, vm: Mapping[str, Any]) -> set[str]:
    """The addresses that a guest reports."""
    metrics = records['VM_guest_metrics'].get(vm.get('guest_metrics', ''), {})
    found = metrics.get('networks', {}).values()
    return {places.normal(name) for name in found if name} - {places.LOCALHOST}


def servers(records: Read, host_ref: str) -> Servers:
    """The servers of each SR.

    Localhost in the PBD of another host is that other one.
    """
    found: dict[str, set[str]] = {}
    for pbd in records['PBD'].values():
        named = places.servers(pbd['device_config'])
        own = pbd['host'] == host_ref
        if pbd['SR'] in records['SR']:
            known = found.setdefault(pbd['SR'], set())
            known |= named if own else named - {places.LOCALHOST}
    return found


def same(server: str, names: set[str]) -> bool:
    """Whether a server is called so; names may lack their domain."""
    return any(server == name or _is_short(server, name) for name in names)


def _is_short(one: str, other: str) -> bool:
    if '.' in one and '.' in other:
        return False
    return one.partition('.')[0] == other.partition('.')[0]


def among(servers: Servers, names: set[str]) -> Iterator[tuple[str, str]]:
    """The SRs that have one of these names among their servers.

    :returns: reference and server.
    """
    for ref, named in servers.items():
        for server in sorted(named):
            if same(server, names):
                yield ref, server
