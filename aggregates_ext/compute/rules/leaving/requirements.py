"""The requirements of leaving a pool."""

import json
from typing import Any

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.joining import accounts
from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.rules.leaving import leaver
from aggregates_ext.compute.rules.leaving import localstorage

# The name under which a refusal carries the disks.
DATA_LOSS = 'DATA_LOSS'
# Operations after which a machine is on the host no more.
GOING = frozenset(
    {
        'pool_migrate',
        'migrate_send',
        'clean_shutdown',
        'hard_shutdown',
        'shutdown',
        'destroy',
    }
)
Record = dict[str, Any]
Leaving = leaver.Leaving
Rule = preflight.Rule[leaver.Leaving]


def _role(facts: Leaving) -> str:
    if facts.permissions is None or accounts.EJECT in facts.permissions:
        return ''
    return f'an account without the permission {accounts.EJECT}'


def _busy(facts: Leaving) -> str:
    running = set(facts.pool['current_operations'].values())
    return kinds.listed(running - {'apply_updates'})


def _offline(facts: Leaving) -> str:
    metrics = facts.records['host_metrics'].get(facts.host['metrics'], {})
    return '' if metrics.get('live') else 'not live'


def _updating(facts: Leaving) -> str:
    running = facts.pool['current_operations'].values()
    return 'one' if 'apply_updates' in running else ''


def _operations(record: Record) -> str:
    return kinds.listed(set(record['current_operations'].values()))


def _is_going(vm: Record) -> bool:
    return bool(GOING & set(vm['current_operations'].values()))


def _staying(facts: Leaving) -> str:
    return kinds.listed(
        localstorage.describe_machine(vm)
        for vm in facts.machines()
        if not _is_going(vm)
    )


def _going(facts: Leaving) -> str:
    return kinds.listed(
        f'{_operations(vm)} of {localstorage.describe_machine(vm)}'
        for vm in facts.machines()
        if _is_going(vm)
    )


def _coming(facts: Leaving) -> str:
    return kinds.listed(
        localstorage.describe_machine(vm)
        for vm in facts.machines('scheduled_to_be_resident_on')
        if vm['resident_on'] != facts.ref
    )


def _busy_disks(facts: Leaving) -> str:
    return kinds.listed(
        f'{_operations(vdi)} of {kinds.named(vdi)}'
        for vdi in facts.all('VDI')
        if vdi['SR'] in facts.own and vdi['current_operations']
    )


def _in_use(facts: Leaving) -> str:
    """Disks that the host's control domain holds; their SR stays plugged."""
    domains = {
        ref
        for ref, vm in facts.records['VM'].items()
        if vm['is_control_domain'] and vm['resident_on'] == facts.ref
    }
    held = {
        vbd['VDI']
        for vbd in facts.all('VBD')
        if vbd['VM'] in domains and vbd['currently_attached']
    }
    return kinds.listed(
        kinds.named(vdi)
        for ref, vdi in facts.records['VDI'].items()
        if ref in held
    )


def _to_be_lost(facts: Leaving) -> str:
    """All disks, unless every SR that holds any is given up."""
    if not set(facts.disks) - set(facts.accepted):
        return ''
    return localstorage.describe_disks(facts.disks, facts.names)


def _unknown(facts: Leaving) -> str:
    """Disks that came into storage after it was given up."""
    if set(facts.disks) - set(facts.accepted):
        return ''
    unknown = {
        sr: [disk for disk in found if disk['uuid'] not in facts.known]
        for sr, found in facts.disks.items()
    }
    return localstorage.describe_disks(
        {sr: found for sr, found in unknown.items() if found}, facts.names
    )


def _replicas(facts: Leaving) -> str:
    return kinds.listed(
        f'{sr["type"]} {kinds.named(sr)}'
        for sr in facts.replicas.values()
        if sr['uuid'] not in facts.accepted
    )


def to_accept(facts: Leaving) -> set[str]:
    """The SRs that a consent has to name."""
    return set(facts.disks) | {sr['uuid'] for sr in facts.replicas.values()}


def disk_srs(facts: Leaving) -> str:
    """The same, as a request names them."""
    return json.dumps(sorted(to_accept(facts)))


_CONSENT = (
    'Move the disks away, or repeat the removal with "accept_data_loss": {} '
    'to destroy them.'
)

_ROLE = Rule(
    'RBAC_PERMISSION_DENIED',
    'the account at the master must be allowed to manage pools',
    'Use an account with the role pool-operator or pool-admin: correct the '
    'credential of the pool.',
    _role,
)
# In the order of xapi#eject-checks; what xapi does not check comes last.
LEAVE_RULES: tuple[Rule, ...] = (
    _ROLE,
    Rule(
        'POOL_SECRET_ROTATION_PENDING',
        'no rotation of the pool secret may be pending',
        'Wait for its end; one that stopped is repeated with "xe '
        'pool-secret-rotate".',
        lambda facts: 'one' if facts.pool.get('is_psr_pending') else '',
    ),
    Rule(
        'OTHER_OPERATION_IN_PROGRESS',
        'no operation may run on the pool',
        'Wait for its end, or cancel its task.',
        _busy,
    ),
    Rule(
        'NOT_SUPPORTED_DURING_UPGRADE',
        'no update may run in the pool',
        'Wait for its end.',
        _updating,
    ),
    Rule(
        'HOST_OFFLINE',
        'the host that leaves must be live',
        'Start it; one that is gone for good is taken out with remove_host '
        'and "force": true.',
        _offline,
    ),
    Rule(
        'HOST_IS_MASTER',
        'the master cannot be ejected from a pool that has other hosts',
        'Remove the other hosts first, or make another one the master with '
        'the action set_master.',
        lambda facts: (
            'this host as the master'
            if facts.pool['master'] == facts.ref
            else ''
        ),
    ),
    Rule(
        'HA_IS_ENABLED',
        'high availability must be off in the pool',
        'Switch it off, and on again after the removal.',
        lambda facts: 'on' if facts.pool['ha_enabled'] else '',
    ),
    Rule(
        'OPERATION_NOT_ALLOWED',
        'no machine may be on the host that leaves unless halted',
        'Migrate them to another host of the pool, or shut them down.',
        _staying,
    ),
    Rule(
        'OTHER_OPERATION_IN_PROGRESS',
        'machines that leave the host must have left it',
        'Wait for the end of it.',
        _going,
    ),
    Rule(
        'VDI_IN_USE',
        'no disk may be attached to the control domain of the host',
        'Detach it (VBD.unplug), or wait for the end of the backup that '
        'uses it.',
        _in_use,
    ),
    Rule(
        'OPERATION_NOT_ALLOWED',
        'no machine may be about to start on the host that leaves',
        'Start them on another host of the pool.',
        _coming,
        stricter='they would be on it when it leaves',
    ),
    Rule(
        'OTHER_OPERATION_IN_PROGRESS',
        'no operation may run on the host that leaves',
        'Wait for its end.',
        lambda facts: _operations(facts.host),
        stricter='what runs there is torn down by the reboot',
    ),
    Rule(
        'OTHER_OPERATION_IN_PROGRESS',
        'no operation may run on disks in the storage of the host',
        'Wait for its end.',
        _busy_disks,
        stricter='a copy that is under way would be lost',
    ),
    Rule(
        DATA_LOSS,
        'the eject destroys the local storage of the host, which must hold '
        'no disks',
        _CONSENT,
        _to_be_lost,
        stricter='xapi asks nobody before it destroys them',
        fill=disk_srs,
    ),
    Rule(
        DATA_LOSS,
        'only disks that were shown before a consent are covered by it',
        _CONSENT,
        _unknown,
        stricter='nobody knew of them when the others were given up',
        fill=disk_srs,
    ),
    Rule(
        'REPLICAS_LOST',
        'no copy of what the pool stores on disks of its members may be on '
        'the host',
        'Take the host out of that storage first, by its own means, and then '
        'destroy the PBD or take it off the servers there; or repeat the '
        'removal with "accept_data_loss": {} to lose what is only there.',
        _replicas,
        stricter='xapi does not know of copies; one less may be the last',
        fill=disk_srs,
    ),
)
# Of the last host nothing but a change of names is asked.
LAST_RULES: tuple[Rule, ...] = (_ROLE,)
