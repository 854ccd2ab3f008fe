"""What hosts would install, as their pool or they themselves tell.

XenServer's master mirrors repositories and knows what each host lacks; a host
of XCP-ng asks its own repositories, by a plug-in (xapi#updates).
"""

import html
import json
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import values
from aggregates_ext.compute.xen import xenapi

XCP_NG = 'XCP-ng'
PATH = '/updates'
PLUGIN = 'updater.py'
CALL = 'host.call_plugin'
# Seconds between two looks at hosts that ask their repositories, and that
# they may take.
INTERVAL, PATIENCE = 0.5, 120.0
# Packages and words of guidance of one host, and values of one answer in JSON:
# far beyond what there is.
MOST = values.MOST_ITEMS
MOST_VALUES = 200_000
# What the plug-in says, in words alone, while it does something else.
BUSY_WORDS = ('updater plugin is busy', 'Update already in progress')
BUSY = 'OTHER_OPERATION_IN_PROGRESS'
pause = time.sleep


class Pending(NamedTuple):
    """What one host would install.

    :ivar packages: their names with their new versions.
    :ivar guidance: what it asks for afterwards, as its source spells it.
    """

    packages: tuple[str, ...] = ()
    guidance: tuple[str, ...] = ()


def is_xcp_ng(host: Mapping[str, Any]) -> bool:
    """Whether a host gets its updates by a plug-in of its own."""
    brand = host['software_version'].get('product_brand')
    return bool(brand == XCP_NG)


def pending(
    session: xenapi.Session, hosts: Mapping[str, Mapping[str, Any]]
) -> dict[str, Pending]:
    """What hosts would install, by reference; nothing is changed.

    :param session: at the master.
    :param hosts: their records, all of one product.
    :raises HostError: it could not be told.
    """
    if not hosts:
        return {}
    if all(is_xcp_ng(host) for host in hosts.values()):
        return _ask_plugins(session, tuple(hosts))
    return _ask_master(session, tuple(hosts))


def _ask_master(
    session: xenapi.Session, refs: Sequence[str]
) -> dict[str, Pending]:
    """What the mirror of the master has for hosts."""
    answer = session.get(PATH, host_refs=';'.join(refs))
    found = dict(_read(session, PATH, answer, _of_mirror))
    missing = [ref for ref in refs if ref not in found]
    if missing:
        raise failures.OddAnswer(
            host=session.host,
            what=f'the answer to GET {PATH} lacks {len(missing)} of the hosts '
            'that it was asked about',
        )
    return found


def _of_mirror(said: Any) -> Iterator[tuple[str, Pending]]:
    for host in said['hosts']:
        found = host['guidance']
        if not isinstance(found, dict):
            raise TypeError
        livepatches = [
            f'livepatch of {_word(patch["component"])}'
            for patch in _listed(host['livepatches'])
        ]
        packages = [_word(name) for name in _listed(host['RPMS'])]
        guidance = {
            _word(word)
            for kind, words in found.items()
            if kind != 'livepatch' or livepatches
            for word in _listed(words)
        }
        yield (
            _word(host['ref']),
            Pending((*packages, *livepatches), tuple(sorted(guidance))),
        )


def _ask_plugins(
    session: xenapi.Session, refs: Sequence[str]
) -> dict[str, Pending]:
    """Let hosts ask their repositories, all at once.

    :raises XenAPIError: one could not; others are not waited for.
    :raises AnswerLost: it takes too long.
    """
    until = time.monotonic() + PATIENCE
    tasks = {ref: _ask_plugin(session, ref) for ref in refs}
    found: dict[str, Pending] = {}
    while len(found) < len(tasks):
        for ref in tasks.keys() - found.keys():
            try:
                packages = _packages(session, tasks[ref])
            except failures.XenAPIError as exc:
                # Somebody else asks it, or it installs something.
                tasks[ref] = _ask_again(session, ref, exc)
                continue
            if packages is not None:
                found[ref] = Pending(packages)
        if len(found) < len(tasks):
            if time.monotonic() > until:
                raise failures.AnswerLost(
                    host=session.host,
                    call=f'{CALL} {PLUGIN}',
                    reason=f'hosts ask their repositories for {PATIENCE:.0f} s',
                )
            pause(INTERVAL)
    return found


def _ask_plugin(session: xenapi.Session, ref: str) -> str:
    """Let a host ask its repositories; the task of that."""
    task = session.call(f'Async.{CALL}', ref, PLUGIN, 'check_update', {})
    return str(task)


def _ask_again(
    session: xenapi.Session, ref: str, error: failures.XenAPIError
) -> str:
    """Ask a host once more that was busy."""
    if error.code != BUSY:
        raise error
    return _ask_plugin(session, ref)


def meaning(error: Sequence[str]) -> tuple[str, ...]:
    """Code and parameters of what went wrong with a task.

    That the plug-in is busy it tells in words (xapi#updater).
    """
    said = ' '.join(error)
    if any(words in said for words in BUSY_WORDS):
        return BUSY, 'host', PLUGIN
    return tuple(error)


def _packages(session: xenapi.Session, task: str) -> tuple[str, ...] | None:
    """What a host has told; None: it asks still."""
    record = session.record('task', task)
    if record['status'] == 'pending':
        return None
    if record['status'] != 'success':
        failure = session.read_failure(record['error_info'])
        code, *about = meaning((failure.code, *failure.parameters))
        raise failures.XenAPIError(session.host, code, tuple(about))
    said = str(session.call(xenapi.RESULT, task))
    session.call('task.destroy', task)
    # As XML-RPC wraps a text.
    inner = said.removeprefix('<value>').removesuffix('</value>')
    return tuple(_read(session, PLUGIN, html.unescape(inner), _of_plugin))


def _of_plugin(said: Any) -> Iterator[str]:
    for package in _listed(said):
        name, version, release = (
            _word(package[key]) for key in ('name', 'version', 'release')
        )
        yield f'{name}-{version}-{release}'


def _read(
    session: xenapi.Session,
    what: str,
    said: bytes | str,
    read: Callable[[Any], Iterator[Any]],
) -> list[Any]:
    """What a host has told as JSON.

    :raises OddAnswer: it is none, or of another shape.
    """
    text = said if isinstance(said, bytes) else said.encode()
    try:
        # Each takes far more memory than it has bytes.
        if sum(map(text.count, (b',', b'[', b'{'))) > MOST_VALUES:
            raise ValueError
        return list(read(json.loads(text)))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise failures.OddAnswer(
            host=session.host,
            what=f'what {what} answered is not the JSON that it is to be',
        ) from None


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > MOST:
        raise ValueError
    return value


def _word(value: Any) -> str:
    if not isinstance(value, str) or len(value) > values.LONGEST_NAME:
        raise ValueError
    return value
