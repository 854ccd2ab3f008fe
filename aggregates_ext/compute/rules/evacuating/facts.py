"""A pool whose guests are to move, as its master shows it."""

import collections
import copy
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import xenapi

MIB = 2**20
# Guests that take memory of a host.
LOADED = ('Running', 'Paused')
CLASSES = ('pool', 'host', 'host_metrics', 'VM', 'SR', 'PBD', 'VDI', 'VBD')
# Releases differ in these.
OPTIONAL = (
    'VM_metrics',
    'VM_guest_metrics',
    'VM_group',
    'VIF',
    'PIF',
    'network',
    'VGPU',
    'VGPU_type',
    'PGPU',
)
# What tells how much is free on hosts.
ROOM = ('host', 'host_metrics', 'VM')
Record = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Known:
    """What moves in a pool depend on: the records of its classes.

    :ivar asked: name of the host that was asked, for messages.
    :ivar permissions: what the account may do; None: everything.
    """

    records: Mapping[str, preflight.Records]
    asked: str = ''
    permissions: frozenset[str] | None = None

    def all(self, name: str) -> list[Record]:
        """The records of a class."""
        return list(self.records.get(name, {}).values())

    def get(self, name: str, ref: str) -> Record:
        """One record; empty where a reference leads nowhere."""
        return self.records.get(name, {}).get(ref, {})

    def changed(self, name: str, ref: str, **values: Any) -> 'Known':
        """The same pool, with other values in one record."""
        return self._with(name, {ref: values})

    def moved(self, places: Mapping[str, str]) -> 'Known':
        """The same pool, when guests have moved.

        :param places: by the reference of a guest, that of its new host.
        """
        return self._with(
            'VM',
            {
                ref: {
                    'resident_on': place,
                    'scheduled_to_be_resident_on': preflight.NULL,
                }
                for ref, place in places.items()
            },
        )

    def _with(self, name: str, values: Mapping[str, Record]) -> 'Known':
        """A copy that shares all records but those with other values."""
        found = dict(self.records[name])
        for ref, changes in values.items():
            found[ref] = copy.copy(found[ref])
            found[ref].update(changes)
        return dataclasses.replace(self, records={**self.records, name: found})

    @functools.cached_property
    def pool(self) -> Record:
        """The record of the pool.

        :raises OddAnswer: there is none, or several.
        """
        found: Record
        _ref, found = fields.only(self.asked, 'pool', self.records['pool'])
        return found

    def is_live(self, ref: str) -> bool:
        """Whether a host is, as the master knows it."""
        metrics = self.get(
            'host_metrics', self.records['host'][ref]['metrics']
        )
        return bool(metrics.get('live'))

    @functools.cached_property
    def guests(self) -> dict[str, list['Guest']]:
        """The guests that are loaded, by the reference of their host."""
        found: dict[str, list[Guest]] = collections.defaultdict(list)
        for ref, vm in self.records['VM'].items():
            if self._is_guest(vm) and vm['power_state'] in LOADED:
                found[vm['resident_on']].append(Guest(self, ref))
        return dict(found)

    def _is_guest(self, vm: Record) -> bool:
        return not (
            vm['is_a_template']
            or vm['is_a_snapshot']
            or vm['is_control_domain']
        )

    def guest(self, uuid: str) -> 'Guest | None':
        """A guest that is loaded; None: there is no such guest."""
        for guests in self.guests.values():
            for guest in guests:
                if guest.uuid == uuid:
                    return guest
        return None

    def at(self, ref: str) -> 'Guest':
        """A guest by its reference.

        :raises OddAnswer: it was not there when this was read.
        """
        if ref in self.records['VM']:
            return Guest(self, ref)
        raise failures.OddAnswer(
            host=self.asked, what='a guest has just come to the pool'
        )

    def free(self, ref: str) -> int:
        """Bytes of memory that a host has for guests that come.

        As xapi counts, which counts on squeezing each guest to its least
        memory; those that are on their way count too (xapi#migration-rules).

        :raises OddAnswer: it cannot be told.
        """
        host = self.records['host'][ref]
        metrics = self.get('host_metrics', host['metrics'])
        total = int(metrics['memory_total']) if metrics else 0
        overhead = int(host['memory_overhead'])
        return total - overhead - self._taken.get(ref, 0)

    @functools.cached_property
    def _taken(self) -> dict[str, int]:
        """The memory of what is on each host, or is to come to it."""
        taken: dict[str, int] = collections.defaultdict(int)
        for vm in self.records['VM'].values():
            if vm['is_a_template'] or vm['is_a_snapshot']:
                continue
            places = {vm['scheduled_to_be_resident_on']}
            if vm['power_state'] in LOADED:
                places.add(vm['resident_on'])
            for ref in places - {preflight.NULL}:
                taken[ref] += needed(vm)
        return taken

    @functools.cached_property
    def drives(self) -> dict[str, list[Record]]:
        """The drives that are not empty, by the guest that has them."""
        found: dict[str, list[Record]] = collections.defaultdict(list)
        for vbd in self.all('VBD'):
            if not vbd['empty']:
                found[vbd['VM']].append(vbd)
        return found

    @functools.cached_property
    def interfaces(self) -> dict[str, list[str]]:
        """The networks of each guest."""
        found: dict[str, list[str]] = collections.defaultdict(list)
        for vif in self.all('VIF'):
            found[vif['VM']].append(vif['network'])
        return found

    @functools.cached_property
    def plugged(self) -> set[tuple[str, str]]:
        """Each SR with each host that has it plugged."""
        return {
            (pbd['SR'], pbd['host'])
            for pbd in self.all('PBD')
            if pbd['currently_attached']
        }

    @functools.cached_property
    def _wired(self) -> dict[str, set[str]]:
        """The hosts that have an interface on each network."""
        found: dict[str, set[str]] = collections.defaultdict(set)
        for pif in self.all('PIF'):
            found[pif['network']].add(pif['host'])
        return found

    @functools.cached_property
    def _inside(self) -> dict[str, set[str]]:
        """The hosts on which running guests use each network."""
        found: dict[str, set[str]] = collections.defaultdict(set)
        for ref, networks in self.interfaces.items():
            vm = self.get('VM', ref)
            if vm and vm['power_state'] == 'Running':
                for network in networks:
                    found[network].add(vm['resident_on'])
        return found

    def reaches(self, ref: str, network: str) -> bool:
        """Whether a host has a network (xapi#migration-rules)."""
        if network in self._wired:
            return ref in self._wired[network]
        record = self.get('network', network)
        config = record.get('other_config') or {}
        if config.get('assume_network_is_shared') == 'true':
            return True
        if not record.get('managed', True):
            return True
        homes = self._inside.get(network, set())
        return not homes or ref in homes

    def apart(self, vm: Record) -> list[str]:
        """The groups of a guest whose members are to be spread.

        That is no more than a wish: what cannot be told is none.
        """
        try:
            groups = vm.get('groups') or []
        except failures.OddAnswer:
            return []
        return [ref for ref in groups if ref in self._spread]

    @functools.cached_property
    def _spread(self) -> set[str]:
        """The groups whose members are to be spread."""
        return {
            ref
            for ref, group in self.records.get('VM_group', {}).items()
            if fields.collect(group, 'placement', '', []) == 'anti_affinity'
        }


@dataclasses.dataclass(frozen=True)
class Guest:
    """A guest that is loaded on a host."""

    known: Known
    ref: str

    @property
    def record(self) -> Record:
        return self.known.records['VM'][self.ref]

    @property
    def uuid(self) -> str:
        """Its uuid; empty where that cannot be read."""
        return str(fields.collect(self.record, 'uuid', '', []))

    @property
    def name(self) -> str:
        return fields.shown(self.record, 'name_label')

    @property
    def home(self) -> str:
        """The reference of the host that it is on."""
        return str(self.record['resident_on'])

    @property
    def goal(self) -> str:
        """The reference of the host that it is to be on; or a null one."""
        field = 'scheduled_to_be_resident_on'
        return str(fields.collect(self.record, field, preflight.NULL, []))

    @property
    def memory(self) -> int:
        """Bytes that its target must have.

        :raises OddAnswer: it cannot be told.
        """
        return needed(self.record)

    @functools.cached_property
    def disks(self) -> list[tuple[Record, Record]]:
        """What is in its drives: the drive and the disk."""
        found = []
        for vbd in self.known.drives.get(self.ref, ()):
            if vdi := self.known.get('VDI', vbd['VDI']):
                found.append((vbd, vdi))
        return found


def needed(vm: Mapping[str, Any]) -> int:
    """Bytes that a guest takes of a host at least (xapi#migration-rules)."""
    whole = -(-int(vm['memory_dynamic_min']) // MIB) * MIB
    return whole + int(vm['memory_overhead'])


def read(session: xenapi.Session) -> Known:
    """Read what moves in a pool depend on: one call a class, and one more.

    :param session: at the master.
    """
    permissions = session.permissions()
    records = {name: session.records(name) for name in CLASSES}
    records |= {name: session.records_if_known(name) for name in OPTIONAL}
    fields.leader(session.host, records['pool'], records['host'])
    return Known(records, session.host, permissions)


def read_room(session: xenapi.Session) -> Known:
    """Read who is where and takes how much: one call a class.

    :param session: at the master.
    """
    records = {name: session.records(name) for name in ROOM}
    group = 'VM_group'
    return Known(
        {**records, group: session.records_if_known(group)}, session.host
    )
