"""The eject guard: what would be destroyed, and what forbids it.

An eject wipes the local storage of the host that leaves (contract 5.2), so
it is refused while that storage holds disks which nobody gave up by name.
"""

import json
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute import preflight
from aggregates_ext.compute import xenapi

CLASSES = ('pool', 'host', 'VM', 'SR', 'PBD', 'VDI')
# SRs of these types show devices; an eject destroys nothing in them.
DEVICE_TYPES = ('udev',)
# The name under which a refusal carries the disks, see ``local_disks``.
DATA_LOSS = 'DATA_LOSS'
Records = preflight.Records
Disks = dict[str, list[dict[str, Any]]]


def local_disks(
    records: Mapping[str, Records], host_ref: str
) -> tuple[Disks, dict[str, str]]:
    """The disks in storage that only one host sees.

    :returns: disks by SR uuid (uuid, name, size in bytes), and the names of
        those SRs.
    """
    seen_by: dict[str, set[str]] = {}
    for pbd in records['PBD'].values():
        seen_by.setdefault(pbd['SR'], set()).add(pbd['host'])
    disks: Disks = {}
    names = {}
    for ref, sr in records['SR'].items():
        own = seen_by.get(ref) == {host_ref} and not sr['shared']
        if not own or sr['type'] in DEVICE_TYPES or sr.get('is_tools_sr'):
            continue
        found = [
            {
                'uuid': vdi['uuid'],
                'name': vdi['name_label'],
                'size': int(vdi['virtual_size']),
            }
            for vdi in records['VDI'].values()
            if vdi['SR'] == ref
        ]
        if found:
            disks[sr['uuid']] = sorted(found, key=lambda d: str(d['uuid']))
            names[sr['uuid']] = sr['name_label']
    return disks, names


def _describe(disks: Disks, names: Mapping[str, str]) -> str:
    return '; '.join(
        f'SR {sr} "{names[sr]}" holds '
        + ', '.join(
            f'"{disk["name"]}" ({disk["uuid"]}, '
            f'{disk["size"] / 2**30:.1f} GiB)'
            for disk in found
        )
        for sr, found in disks.items()
    )


def _check_disks(
    disks: Disks,
    names: Mapping[str, str],
    accepted: Collection[str],
    known: Collection[str],
) -> preflight.Problem | None:
    """Whether the consent covers what is there, and nothing else came.

    :param accepted: uuids of the SRs that were given up.
    :param known: uuids of the disks that had been shown when they were.
    """
    remedy = (
        'Move the disks away, or repeat the removal with '
        f'"accept_data_loss": {json.dumps(sorted(disks))} to destroy them.'
    )
    if set(disks) - set(accepted):
        return preflight.Problem(
            DATA_LOSS,
            'the eject destroys the local storage of the host, which must '
            'hold no disks',
            _describe(disks, names),
            remedy,
        )
    unknown = {
        sr: [disk for disk in found if disk['uuid'] not in known]
        for sr, found in disks.items()
    }
    unknown = {sr: found for sr, found in unknown.items() if found}
    if unknown:
        return preflight.Problem(
            DATA_LOSS,
            'only disks that were shown before a consent are covered by it',
            _describe(unknown, names),
            remedy,
        )
    return None


def _check_surplus(
    disks: Disks, accepted: Collection[str]
) -> preflight.Problem | None:
    surplus = sorted(set(accepted) - set(disks))
    if not surplus:
        return None
    return preflight.Problem(
        'CONSENT_MISMATCH',
        'accept_data_loss names exactly the SRs that hold disks',
        f'{", ".join(surplus)} named, which hold none here',
        f'Name {sorted(disks) or "none"}.',
    )


def _check_machines(
    records: Mapping[str, Records], host_ref: str
) -> preflight.Problem | None:
    machines = [
        f'"{vm["name_label"]}" ({vm["power_state"]})'
        for vm in records['VM'].values()
        if host_ref
        in (vm['resident_on'], vm.get('scheduled_to_be_resident_on'))
        and vm['power_state'] != 'Halted'
        and not vm['is_control_domain']
    ]
    if not machines:
        return None
    return preflight.Problem(
        'OPERATION_NOT_ALLOWED',
        'no machine may be on the host that leaves unless halted',
        ', '.join(sorted(machines)),
        'Migrate them to another host of the pool, or shut them down.',
    )


def _check_pool(
    pool: Mapping[str, Any], host_ref: str, alone: bool
) -> list[preflight.Problem]:
    problems = []
    if pool['master'] == host_ref and not alone:
        problems.append(
            preflight.Problem(
                'HOST_IS_MASTER',
                'the master cannot be ejected from a pool that has other '
                'hosts',
                'this host as the master',
                'Remove the other hosts first, or make another one the '
                'master with the action set_master.',
            )
        )
    if pool['ha_enabled'] and not alone:
        problems.append(
            preflight.Problem(
                'HA_IS_ENABLED',
                'high availability must be off in the pool',
                'on',
                'Switch it off, and on again after the removal.',
            )
        )
    if 'apply_updates' in pool['current_operations'].values():
        problems.append(
            preflight.Problem(
                'NOT_SUPPORTED_DURING_UPGRADE',
                'no update may run in the pool',
                'one running',
                'Wait for its end.',
            )
        )
    return problems


def check_leave(
    session: xenapi.Session,
    host_uuid: str,
    accepted: Sequence[str],
    known: Collection[str],
) -> preflight.Report:
    """Every requirement of leaving, read on one session of the master.

    A pool's last host is not ejected, so nothing of it is destroyed and
    only a change of names is asked of it.

    :param host_uuid: the XenServer uuid of the host that leaves.
    :param accepted: uuids of the SRs whose disks may be lost.
    :param known: uuids of the disks that had been shown at the consent.
    """
    records = {name: session.records(name) for name in CLASSES}
    (pool,) = records['pool'].values()
    refs = {host['uuid']: ref for ref, host in records['host'].items()}
    if host_uuid not in refs:
        return preflight.Report(disks={})
    host_ref = refs[host_uuid]
    alone = len(refs) == 1
    blockers = _check_pool(pool, host_ref, alone)
    if alone:
        return preflight.Report(blockers=tuple(blockers), disks={})
    disks, names = local_disks(records, host_ref)
    for problem in (
        _check_machines(records, host_ref),
        _check_disks(disks, names, accepted, known),
    ):
        if problem is not None:
            blockers.append(problem)
    surplus = _check_surplus(disks, accepted)
    return preflight.Report(
        blockers=tuple(blockers),
        warnings=() if surplus is None else (surplus,),
        disks=disks,
    )
