"""What should be known of a host that leaves, and of what stays behind."""

from collections.abc import Collection
from collections.abc import Mapping

from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.rules.leaving import leaver
from aggregates_ext.compute.rules.leaving import localstorage
from aggregates_ext.compute.rules.leaving import places
from aggregates_ext.compute.rules.leaving import requirements
from aggregates_ext.compute.rules.leaving import serving
from aggregates_ext.compute.xen import fields

# Bytes in an SR beyond its disks that may be its own administration.
OVERHEAD = 2**30
Leaving = leaver.Leaving
Place = places.Place
Rule = requirements.Rule


def _surplus(facts: Leaving) -> str:
    return kinds.listed(
        f'SR {sr}, which holds none here'
        for sr in set(facts.accepted) - requirements.to_accept(facts)
    )


def _unstartable(facts: Leaving) -> str:
    return kinds.listed(
        {
            machine
            for found in facts.disks.values()
            for disk in found
            for machine in disk['used_by']
        }
    )


def _forgotten(facts: Leaving) -> str:
    return kinds.listed(map(kinds.named, facts.forgotten.values()))


def _unplaced(facts: Leaving) -> str:
    """Storage that counts because nothing tells that it is elsewhere."""
    found = []
    for ref, sr in facts.at_stake.items():
        where = facts.place(ref)
        if ref in facts.unplaced:
            found.append(f'{kinds.named(sr)} without a host that has a PBD')
        elif where is not Place.HOST:
            found.append(f'{sr["type"]} {kinds.named(sr)}, {where.value}')
    return kinds.listed(found)


def _served(facts: Leaving) -> str:
    """Storage that goes with the host, or with a guest on it."""
    srs = facts.records['SR']
    found = [
        f'{kinds.named(srs[ref])} at {server}'
        for ref, server in facts.served.items()
        if ref not in facts.replicas
    ]
    for vm in facts.machines():
        at = serving.names_of_guest(facts.records, vm)
        found += [
            f'{kinds.named(srs[ref])} at {server}, the guest '
            + localstorage.describe_machine(vm)
            for ref, server in serving.among(facts.servers, at)
        ]
    return kinds.listed(found)


def _on_members(facts: Leaving) -> str:
    """Storage of which a part may be on the host, though nothing says so."""
    members = {
        name
        for ref in facts.records['host']
        for name in serving.names_of_host(facts.records, ref)
    }
    where: Mapping[Place, Collection[str]] = {
        Place.MEMBERS: facts.records['SR'],
        Place.CLUSTER: dict(serving.among(facts.servers, members)),
        Place.UNKNOWN: facts.used,
    }
    return kinds.listed(
        f'{sr["type"]} {kinds.named(sr)}'
        for ref, sr in facts.records['SR'].items()
        if ref in where.get(facts.place(ref), ())
        and ref not in facts.replicas
        and ref not in facts.at_stake
    )


def _unaccounted(facts: Leaving) -> str:
    """Space in the host's own storage that no known disk takes."""
    found = []
    for sr in facts.at_stake.values():
        disks = facts.disks.get(sr['uuid'], [])
        known = sum(disk['physical_utilisation'] for disk in disks)
        rest = int(sr['physical_utilisation']) - known
        if rest > OVERHEAD:
            found.append(
                f'{rest / localstorage.GIB:.1f} GiB in {kinds.named(sr)}'
            )
    return kinds.listed(found)


def _default_srs(facts: Leaving) -> str:
    fields = ('default_SR', 'suspend_image_SR', 'crash_dump_SR')
    return kinds.listed(
        f'{field} {kinds.named(facts.own[facts.pool[field]])}'
        for field in fields
        if facts.pool[field] in facts.own
    )


def _at_home(facts: Leaving) -> str:
    return kinds.listed(
        localstorage.describe_machine(vm)
        for vm in facts.all('VM')
        if vm['affinity'] == facts.ref
        and not vm['is_control_domain']
        and not vm['is_a_template']
        and not vm['is_a_snapshot']
    )


def _left(facts: Leaving) -> str:
    others = [
        host for ref, host in facts.records['host'].items() if ref != facts.ref
    ]
    enabled = [host for host in others if host['enabled']]
    if not enabled:
        return 'none that is enabled'
    return f'one, {kinds.named(others[0])}' if len(others) == 1 else ''


def _clustered(facts: Leaving) -> str:
    return kinds.listed(
        f'cluster member {fields.shown(member, "uuid")}'
        for member in facts.all('Cluster_host')
        if member['host'] == facts.ref and member['enabled']
    )


def _tasks(facts: Leaving) -> str:
    return kinds.listed(
        f'{kinds.label(task)} ({fields.shown(task, "uuid")})'
        for task in facts.all('task')
        if task['resident_on'] == facts.ref and task['status'] == 'pending'
    )


LEAVE_WARNINGS: tuple[Rule, ...] = (
    Rule(
        'CONSENT_MISMATCH',
        'accept_data_loss names exactly the SRs that hold disks',
        'Name {}.',
        _surplus,
        fill=requirements.disk_srs,
    ),
    Rule(
        'MACHINES_LOSE_DISKS',
        'machines should not be left without their disks',
        'They stay as records that cannot start: move their disks away, or '
        'remove them.',
        _unstartable,
    ),
    Rule(
        'DATA_UNACCOUNTED',
        'storage of the host should hold nothing but known disks',
        'Scan it ("xe sr-scan uuid=UUID"), and look what is there: it is destroyed.',
        _unaccounted,
    ),
    Rule(
        'STORAGE_FORGOTTEN',
        'storage should be seen by another host too',
        'Its data survives, its record in the pool may not: attach it to '
        'another host first (PBD.create), or introduce it again.',
        _forgotten,
    ),
    Rule(
        'STORAGE_UNPLACED',
        'where storage is should be known',
        'It counts as storage of the host: if it is elsewhere, show it by '
        'plugging it on another host (PBD.create, PBD.plug); if its host is '
        'gone, forget it (SR.forget).',
        _unplaced,
    ),
    Rule(
        'STORAGE_SERVED',
        'no storage of the pool should be served by the host',
        'Move its disks elsewhere first: the pool loses it, and what is on '
        'disks of the host is destroyed.',
        _served,
    ),
    Rule(
        'STORAGE_ON_MEMBERS',
        'storage should not be on disks of members of the pool',
        'Look whether a part of it is on this host, and move that first.',
        _on_members,
    ),
    Rule(
        'DEFAULT_SR_LEAVES',
        'the pool should not keep new disks in storage of the host',
        'Choose another SR in the pool.',
        _default_srs,
    ),
    Rule(
        'HOME_OF_MACHINES',
        'machines should have another home server',
        'Set their affinity to another host, or to none.',
        _at_home,
    ),
    Rule(
        'CLUSTERING_ENABLED',
        'the host should be in no cluster',
        'It leaves the cluster too: look at the quorum of the rest.',
        _clustered,
    ),
    Rule(
        'TASKS_RUNNING',
        'no task should run on the host',
        'Wait for their end: they are lost.',
        _tasks,
    ),
    Rule(
        'FEW_HOSTS_LEFT',
        'other hosts should be left for machines, and for high availability',
        'Enable or add hosts.',
        _left,
    ),
)
