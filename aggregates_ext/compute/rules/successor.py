"""Who may become the master of a pool: all requirements at once.

``pool.designate_new_master`` names one reason, or stops half-way; so what is
known to forbid it is read before (xapi#change-of-master and xapi#exclusion).
"""

import dataclasses
import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.rules import moves
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules import upgrades
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import records

CLASSES = ('pool', 'host', 'host_metrics', 'VM')
# What tells the release of a host; a master is of the newest in its pool.
VERSIONS = ('platform_version', 'product_version', 'xapi')
IS_MASTER = 'HOST_IS_MASTER'
Read = Mapping[str, preflight.Records]
Problem = preflight.Problem


def read(session: xenapi.Session) -> Read:
    """What a change of master depends on: one call a class."""
    return {name: session.records(name) for name in CLASSES}


def _leader(found: Read) -> tuple[dict[str, Any], dict[str, Any]]:
    return fields.leader('', found['pool'], found['host'])


def _name(host: Mapping[str, Any]) -> str:
    return fields.shown(host, 'name_label')


def _is_live(found: Read, host: Mapping[str, Any]) -> bool:
    metrics = found['host_metrics'].get(host['metrics'], {})
    return bool(metrics.get('live'))


def _version(host: Mapping[str, Any], name: str) -> tuple[int, ...]:
    digits = re.findall(r'[0-9]{1,9}', host['software_version'].get(name, ''))
    return tuple(map(int, digits))


def _older(host: Mapping[str, Any], master: Mapping[str, Any]) -> list[str]:
    """In what a host is older than the master, in words."""
    return [
        f'{name} {host["software_version"].get(name)}, the master has '
        f'{master["software_version"].get(name)}'
        for name in VERSIONS
        if _version(host, name) < _version(master, name)
    ]


def check_pool(known: Read) -> list[Problem]:
    """What forbids any change of master in a pool."""
    pool, _master = _leader(known)
    silent = sorted(
        _name(host)
        for host in known['host'].values()
        if not _is_live(known, host)
    )
    rules = (
        (
            pool['ha_enabled'],
            'HA_IS_ENABLED',
            'high availability must be off in the pool',
            'on',
            'Switch it off, and on again afterwards.',
        ),
        (
            upgrades.find(pool),
            upgrades.CODE,
            'no rolling upgrade may be under way in the pool',
            'one; the master is upgraded first, and stays the master',
            'Bring all hosts to the same release first.',
        ),
        (
            silent,
            'HOST_OFFLINE',
            'every host of the pool must be live: all have to agree',
            f'{text.listed(silent)} not live',
            'Start what is down; a host that is gone for good is taken out '
            'with remove_host and "force": true.',
        ),
        (
            pool.get('is_psr_pending'),
            'POOL_SECRET_ROTATION_PENDING',
            'the pool secret must not be being rotated',
            'a rotation that has not ended',
            'Wait for its end.',
        ),
        (
            pool['current_operations'],
            'OTHER_OPERATION_IN_PROGRESS',
            'no other operation may run on the pool',
            ', '.join(sorted(pool['current_operations'].values())),
            'Wait for its end.',
        ),
    )
    return [
        Problem(code, rule, found, remedy, heals=codes.passes(code))
        for broken, code, rule, found, remedy in rules
        if broken
    ] + moves.check(known['VM'])


def check_host(
    found: Read, uuid: str | None, disabled: bool = False
) -> list[Problem]:
    """What forbids one host to be the master.

    :param disabled: it is to be, whatever it is.
    """
    hosts = {host['uuid']: host for host in found['host'].values()}
    _pool, master = _leader(found)
    if uuid not in hosts:
        return [
            Problem(
                'NOT_IN_POOL',
                'only a host that the pool lists can be its master',
                f'uuid {uuid} not listed',
                'GET /os-aggregates/ID/pool shows what is in the pool.',
            )
        ]
    host = hosts[uuid]
    problems = []
    if disabled or not host['enabled']:
        problems.append(
            Problem(
                'HOST_DISABLED',
                'the new master must be enabled',
                f'{_name(host)} disabled',
                'Enable it first.',
            )
        )
    if not _is_live(found, host):
        problems.append(
            Problem(
                'HOST_OFFLINE',
                'the new master must be live',
                f'{_name(host)} not live',
                'Start it first.',
            )
        )
    older = _older(host, master)
    if older:
        problems.append(
            Problem(
                'OLDER_VERSION',
                'the new master must not be older than the master',
                '; '.join(older),
                'Update it first.',
            )
        )
    return problems


def check(
    found: Read, uuid: str | None, disabled: bool = False
) -> preflight.Report:
    """Every requirement of making one host the master.

    :param disabled: it is to be, whatever it is.
    """
    problems = check_pool(found)
    codes = {problem.code for problem in problems}
    own = [p for p in check_host(found, uuid, disabled) if p.code not in codes]
    return preflight.Report(blockers=(*own, *problems))


def choose(
    found: Read, leaving: str | None, members: Sequence[records.Host]
) -> tuple[records.Host | None, list[Problem]]:
    """Who takes over from a master that leaves.

    The most recent version first, then by name.

    :param leaving: the XenServer uuid of the master.
    :param members: the registered members of the aggregate.
    :returns: nobody, with the reasons, where nobody can.
    """
    problems = check_pool(found)
    others = [host for host in members if host.uuid != leaving]
    reasons = {
        host.name: check_host(found, host.uuid, host.disabled)
        for host in others
    }
    able = [host for host in others if not reasons[host.name]]
    if not able:
        problems.insert(0, _nobody(found, leaving, members, reasons))
    if problems:
        return None, problems
    by_uuid = {host['uuid']: host for host in found['host'].values()}
    able.sort(key=lambda host: host.name)
    able.sort(
        key=lambda host: [
            _version(by_uuid[str(host.uuid)], name) for name in VERSIONS
        ],
        reverse=True,
    )
    return able[0], []


def _nobody(
    found: Read,
    leaving: str | None,
    members: Sequence[records.Host],
    reasons: Mapping[str, Sequence[Problem]],
) -> Problem:
    """Why no member can take over, member by member."""
    known = {host.uuid for host in members} | {leaving}
    told = [
        f'{name}: {", ".join(f"{p.code}, {p.found}" for p in problems)}'
        for name, problems in sorted(reasons.items())
    ]
    told += sorted(
        f'{_name(host)} ({host["uuid"]}): in the pool, and no member '
        'of the aggregate'
        for host in found['host'].values()
        if host['uuid'] not in known
    )
    words = text.listed(told, between='; ')
    return Problem(
        IS_MASTER,
        'the master leaves last, or after another member of the aggregate '
        'that is enabled, live and of no older version has become the master',
        words or 'no other host',
        'Mend what keeps one of them, or remove the other hosts first.',
        details=words.items,
    )


def settle(
    report: preflight.Report,
    session: xenapi.Session,
    leaving: records.Host,
    bound: Sequence[records.Host],
) -> tuple[preflight.Report, records.Host | None]:
    """What an eject guard's report becomes when another host takes over.

    :param report: of ``guard.check_leave`` for the host that leaves.
    :param bound: the hosts of its aggregate, in any phase.
    :returns: the report with what a change of master adds to it, and who
        would become the master; None: nobody has to, or can, or all others
        leave before it.
    """
    others = tuple(p for p in report.blockers if p.code != IS_MASTER)
    if len(others) == len(report.blockers):
        return report, None
    found = read(session)
    if _all_leave(found, leaving, bound):
        return dataclasses.replace(report, blockers=others), None
    members = [host for host in bound if host.phase == 'member']
    chosen, problems = choose(found, leaving.uuid, members)
    codes = {problem.code for problem in others}
    added = tuple(p for p in problems if p.code not in codes)
    warnings = report.warnings
    if chosen is not None:
        warnings = (*warnings, _notice(leaving, chosen))
    settled = preflight.Report((*others, *added), warnings, report.disks)
    return settled, chosen


def _all_leave(
    found: Read, last: records.Host, bound: Sequence[records.Host]
) -> bool:
    """Whether a pool is being emptied: its other hosts leave already."""
    others = {host['uuid'] for host in found['host'].values()} - {last.uuid}
    return others <= {host.uuid for host in bound if host.phase == 'leaving'}


def _notice(leaving: records.Host, chosen: records.Host) -> Problem:
    return Problem(
        'MASTER_CHANGES',
        'the master is ejected when another host has become the master',
        f'{leaving.name} as the master',
        f'Host {chosen.name} is made the master first; the toolstack of '
        'every host restarts with that, machines run on.',
    )
