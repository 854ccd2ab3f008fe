"""What the simulated hosts must really be after each step.

Each function compares a state that the simulator itself reports with what
is claimed, and returns the differences as sentences.
"""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

MARK = 'aggregates-ext:aggregate'
# The ends of the calls that interrupt a guest; a move is none of them.
ENDING = (
    'shutdown',
    'reboot',
    'suspend',
    'pause',
    'start',
    'start_on',
    'destroy',
)
State = dict[str, Any]
Differences = list[str]


def pool_with(state: State, host: str) -> dict[str, Any] | None:
    """The pool whose master lists a host."""
    for pool in state['pools']:
        if host in [member['name'] for member in pool['hosts']]:
            found: dict[str, Any] = pool
            return found
    return None


def pooled(
    state: State, name: str, uuid: str, hosts: Sequence[str]
) -> Differences:
    """One pool with that name and mark, the first host as its master."""
    named = [pool for pool in state['pools'] if pool['name_label'] == name]
    if len(named) != 1:
        return [f'{len(named)} pools are named "{name}", not one.']
    pool = named[0]
    differences = []
    found = sorted(member['name'] for member in pool['hosts'])
    if found != sorted(hosts):
        differences.append(
            f'Pool "{name}" has {", ".join(found)}, not {", ".join(hosts)}.'
        )
    if pool['master'] != hosts[0]:
        differences.append(f'The master is {pool["master"]}, not {hosts[0]}.')
    if pool['other_config'].get(MARK) != uuid:
        differences.append(f'The pool is not marked with {uuid}.')
    return differences + [
        f'{member["name"]} is not live and enabled in the pool.'
        for member in pool['hosts']
        if not (member['live'] and member['enabled'])
    ]


def alone(state: State, hosts: Collection[str]) -> Differences:
    """Each of the hosts is the master of its own unnamed, unmarked pool."""
    differences = []
    for host in hosts:
        pool = pool_with(state, host)
        if pool is None:
            differences.append(f'No pool has {host}.')
            continue
        if len(pool['hosts']) != 1 or pool['master'] != host:
            differences.append(f'{host} is not its own pool.')
        if pool['name_label'] or MARK in pool['other_config']:
            differences.append(f'The pool of {host} has a name or a mark.')
    return differences


def unchanged(before: State, after: State, host: str) -> Differences:
    """Nothing of a host, its storage and its pool is another than before."""
    differences = []
    if before['hosts'][host] != after['hosts'][host]:
        differences.append(f'Host {host} has changed.')
    if pool_with(before, host) != pool_with(after, host):
        differences.append(f'The pool of {host} has changed.')
    return differences


def renewed(before: State, after: State, host: str) -> Differences:
    """A host has come back as another pool than that it was in."""
    old, new = before['hosts'][host], after['hosts'][host]
    differences = alone(after, [host])
    if new['pool_uuid'] == old['pool_uuid']:
        differences.append(f'{host} is still in pool {old["pool_uuid"]}.')
    if new['role'] != 'master' or new['phase'] != 'running':
        differences.append(f'{host} is a {new["role"]}, {new["phase"]}.')
    return differences


def destroyed(state: State, disks: Collection[str]) -> Differences:
    """Exactly these disks have been destroyed since the beginning."""
    found = sorted(state['destroyed_vdis'])
    if found == sorted(disks):
        return []
    return [f'Destroyed are the disks {found}, not {sorted(disks)}.']


def disks_of(state: State, host: str) -> list[str]:
    """The uuids of the disks in the storage that only a host sees."""
    return [
        disk['uuid']
        for sr in state['hosts'][host]['srs']
        if not sr['shared']
        for disk in sr['vdis']
    ]


def running(
    state: State, guests: Collection[str], hosts: Collection[str]
) -> Differences:
    """Each guest has lived through everything, on one of these hosts."""
    differences = []
    for guest in guests:
        found = [n for n, h in state['hosts'].items() if guest in h['domains']]
        if len(found) != 1 or found[0] not in hosts:
            differences.append(f'Guest {guest} runs on {found}.')
        if guest in state['lost'] or guest in state['ran_twice']:
            differences.append(f'Guest {guest} was lost, or has run twice.')
    return differences


def halted(state: State, guests: Collection[str]) -> Differences:
    """None of the guests has gone down, until now and at any moment."""
    differences = []
    for guest in guests:
        if guest in state['ended'] or guest in state['lost']:
            differences.append(f'Guest {guest} has gone down.')
        if guest in state['ran_twice']:
            differences.append(f'Guest {guest} has run twice.')
    return differences


def booted(before: State, after: State, hosts: Collection[str]) -> Differences:
    """Each of the hosts, and no other, has booted exactly once."""
    differences = []
    for name, host in after['hosts'].items():
        times = host['boots'] - before['hosts'][name]['boots']
        if times != int(name in hosts):
            differences.append(f'{name} has booted {times} times.')
    return differences


def protected(state: State, host: str, sr: str) -> Differences:
    """High availability is on in the pool of a host, with that heartbeat."""
    pool = pool_with(state, host) or {}
    found = pool.get('high_availability', {})
    if found.get('enabled') and found.get('srs') == [sr]:
        return []
    return [f'High availability of the pool of {host} is {found}.']


def led(before: State, after: State, host: str) -> Differences:
    """Master and high availability of a pool are as they were."""
    old, new = (pool_with(state, host) or {} for state in (before, after))
    return [
        f'{name} is {new.get(name)}, not {old.get(name)}.'
        for name in ('master', 'high_availability')
        if old.get(name) != new.get(name)
    ]


def uninterrupted(calls: Sequence[Mapping[str, Any]]) -> Differences:
    """No call has stopped a guest, or started one again."""
    methods = {call['method'] for call in calls}
    return [
        f'{method} was called.'
        for method in sorted(methods)
        if '.VM.' in f'.{method}' and method.endswith(ENDING)
    ]
