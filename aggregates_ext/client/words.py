"""What the API tells of pools, hosts and operations, in words for a table.

Lines of text for people; programs get the data itself. A field that an API
does not tell is left out.
"""

import collections
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

Data = Mapping[str, Any]
INDENT = '  '


def lines(rendered: Iterable[str]) -> str:
    """One text of many lines."""
    return '\n'.join(rendered)


def commas(items: Iterable[Any]) -> str:
    """Items in one line."""
    return ', '.join(map(str, items))


def phases(entries: Iterable[Data]) -> str:
    """How many hosts of a pool are in each phase."""
    found = collections.Counter(
        entry.get('phase') or 'not in the aggregate' for entry in entries
    )
    return commas(f'{number} {phase}' for phase, number in found.items())


def codes(entries: Iterable[Data]) -> str:
    """What a pool differs in, each code once."""
    return commas(dict.fromkeys(entry.get('code') for entry in entries))


def under_way(entries: Iterable[Data]) -> str:
    """Operations that count for the state, each in a line."""
    return lines(
        f'{entry.get("kind")} {entry.get("host") or ""}'.rstrip()
        + f': {entry.get("state")}'
        for entry in entries
    )


def named(entry: Data, name: str = 'name') -> str:
    """A guest or disk by what it is called, and its uuid."""
    uuid = entry.get('uuid') or entry.get('guest')
    return f'{entry.get(name)} ({uuid})'


def size(number: Any) -> str:
    """Bytes as GiB."""
    if not isinstance(number, int | float):
        return 'unknown size'
    return f'{number / 2**30:.1f} GiB'


def host(entry: Data, master: str | None) -> str:
    """A host of a pool in one line, with what is wrong with it."""
    found = [entry.get('phase') or 'not in the aggregate']
    if entry.get('name') == master and master:
        found.append('master')
    found += condition(entry)
    shut_down = entry.get('shut_down') or ()
    if shut_down:
        found.append(f'shut down for it: {", ".join(map(named, shut_down))}')
    found += entry.get('drift') or ()
    if entry.get('alarm'):
        found.append(entry['alarm'])
    return f'{entry.get("name")}: {", ".join(map(str, found))}'


def condition(entry: Data) -> Iterator[str]:
    """Whether a host lives, takes guests, and is out of service."""
    for name, yes, no in (
        ('live', 'live', 'not live'),
        ('enabled', 'enabled', 'not enabled'),
    ):
        if entry.get(name) is not None:
            yield yes if entry[name] else no
    if entry.get('service') == 'disabled':
        yield f'to be disabled: {entry.get("disabled_reason") or "no reason"}'
    if entry.get('maintenance') not in (None, 'off'):
        yield f'maintenance {entry["maintenance"]}'
    elif entry.get('xencenter_maintenance'):
        yield 'in maintenance by another tool'
    if entry.get('needs_reboot'):
        yield 'needs a reboot'
    if entry.get('pending_guidances'):
        yield f'its updates ask for {commas(entry["pending_guidances"])}'


def drift(entries: Iterable[Data]) -> str:
    """What differs between a pool and its aggregate, since when."""
    return lines(
        f'{entry.get("code")}: {entry.get("message")} '
        f'(since {entry.get("since")})'
        for entry in entries
    )


def standing(entries: Iterable[Data]) -> str:
    """Operations that count for the state, with what ends that."""
    return lines(line for entry in entries for line in _standing(entry))


def _standing(entry: Data) -> Iterator[str]:
    who = [entry.get('kind'), entry.get('host')]
    step = entry.get('step') if entry.get('state') == 'running' else None
    state = f'{entry.get("state")}{f", {step}" if step else ""}'
    yield f'{" ".join(str(w) for w in who if w)}: {state} ({entry.get("uuid")})'
    if entry.get('code'):
        yield f'{INDENT}{entry["code"]}: {entry.get("message")}'
    if entry.get('remedy'):
        yield f'{INDENT}{entry["remedy"]}'


def problems(entries: Iterable[Data]) -> str:
    """Blockers or warnings: each with rule, values and remedy."""
    return lines(line for entry in entries for line in _problem(entry))


def _problem(entry: Data) -> Iterator[str]:
    yield str(entry.get('code'))
    for name in ('rule', 'found', 'remedy'):
        if entry.get(name):
            yield f'{INDENT}{name}: {entry[name]}'
    if entry.get('hosts'):
        yield f'{INDENT}hosts: {", ".join(map(str, entry["hosts"]))}'
    if entry.get('heals'):
        yield f'{INDENT}It passes by itself; the operation waits for that.'


def disks(found: Mapping[str, Iterable[Data]] | None) -> str:
    """The disks that an eject would destroy, by SR."""
    if found is None:
        return 'not known: they could not be read'
    told = []
    for sr, entries in found.items():
        told.append(f'SR {sr}')
        for entry in entries:
            users = ', '.join(map(str, entry.get('used_by') or ()))
            used = f', used by {users}' if users else ''
            told.append(
                f'{INDENT}{named(entry)}, {size(entry.get("size"))}{used}'
            )
    return lines(told)


def evacuation(entries: Iterable[Data] | None) -> str:
    """Where each guest of a host would go."""
    if entries is None:
        return 'none could be made, see blockers'
    return lines(
        f'{named(entry, "guest")}, {size(entry.get("memory"))}: '
        + (
            f'to {entry["target"]}'
            if entry.get('target')
            else f'stays, {entry.get("reason") or entry.get("code")}'
        )
        for entry in entries
    )


def reason(operation: Data) -> str:
    """Why an operation is as it is, in one line; nothing: there is none."""
    error = operation.get('error') or {}
    if not error:
        return ''
    retry_at = operation.get('retry_at')
    again = f' Tried again at {retry_at}.' if retry_at else ''
    return f'{error.get("code")}: {error.get("message")}{again}'


def error(found: Data | None) -> str:
    """The error of an operation; its reasons are in the message."""
    return reason({'error': found or {}})


def move(entry: Data) -> str:
    """A guest that moves to another host, and how far it is."""
    to = entry.get('to') or 'a host to be chosen'
    told = f'{entry.get("name")} from {entry.get("from")} to {to}'
    return f'{told}: {entry.get("state")}{_because(entry)}'


def guest(entry: Data) -> str:
    """A guest that is shut down or started again."""
    return f'{entry.get("name")}: {entry.get("state")}{_because(entry)}'


def _because(entry: Data) -> str:
    return f', {entry["error"]}' if entry.get('error') else ''


def rolled(entry: Data) -> str:
    """How far one host is that is taken in turn."""
    told = str(entry.get('state'))
    if entry.get('moved'):
        told += f', {entry["moved"]} guests moved'
    if entry.get('to_install') is not None:
        told += f', {entry["to_install"]} packages'
    if entry.get('warning'):
        told += f', {entry["warning"]}'
    return told


def rolled_hosts(entries: Iterable[Data]) -> str:
    """How far each host is, in the order of their turns."""
    return lines(f'{entry.get("host")}: {rolled(entry)}' for entry in entries)


def change(entry: Data) -> str:
    """How far a host is that joins or leaves by a list."""
    step = entry.get('step') if entry.get('state') == 'running' else None
    said = f'{entry.get("change")} {entry.get("host")}: {entry.get("state")}'
    return f'{said}{f", {step}" if step else ""}'


def listed_hosts(entries: Iterable[Data]) -> str:
    """What a list of hosts would do with each, and what forbids it."""
    return lines(line for entry in entries for line in _listed(entry))


def _listed(entry: Data) -> Iterator[str]:
    yield f'{entry.get("host")}: {entry.get("change")}'
    for title in ('blockers', 'warnings'):
        for problem in entry.get(title) or ():
            yield f'{INDENT}{title.removesuffix("s")} {problem.get("message")}'
    # Nobody looks for those of a host that joins.
    if entry.get('change') == 'remove':
        told = disks(entry.get('disks', {}))
        yield from (f'{INDENT}{line}' for line in told.splitlines())


def planned_hosts(entries: Iterable[Data]) -> str:
    """What a run would do at each host's turn."""
    return lines(line for entry in entries for line in _planned(entry))


def _planned(entry: Data) -> Iterator[str]:
    master = ', the master' if entry.get('master') else ''
    yield f'{entry.get("host")}{master}'
    updates = entry.get('updates')
    if updates:
        count = len(updates.get('packages') or ())
        reboot = 'reboots' if updates.get('reboot') else 'does not reboot'
        yield f'{INDENT}installs {count} packages, {reboot}'
    for found in entry.get('moves') or ():
        yield f'{INDENT}{home(found)}'
    for found in entry.get('shut_down') or ():
        yield f'{INDENT}{named(found)} is shut down'
    tightest = entry.get('tightest') or {}
    if tightest:
        free = size(tightest.get('memory_free'))
        yield f'{INDENT}{free} are free on {tightest.get("host")} then'


def home(entry: Data) -> str:
    """A move that is planned."""
    return (
        f'{named(entry)} from {entry.get("from")} to {entry.get("to")}, '
        f'{size(entry.get("memory"))}'
    )


def homes(entries: Iterable[Data]) -> str:
    """Moves that are planned, or would not come about."""
    return lines(home(entry) for entry in entries)


def worst(found: Data | None) -> str:
    """The host during whose absence least memory is free."""
    if not found:
        return ''
    return f'{found.get("host")}: {size(found.get("memory_free"))} free'


def fields(found: Data | None) -> str:
    """What a request said, by name."""
    return lines(f'{name}: {value}' for name, value in (found or {}).items())
