"""A host that is to leave its pool, as the pool's master shows it."""

import dataclasses
import functools
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.leaving import localstorage
from aggregates_ext.compute.rules.leaving import places
from aggregates_ext.compute.rules.leaving import serving
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields

Record = dict[str, Any]


def find(asked: str, hosts: preflight.Records, uuid: str) -> str | None:
    """The reference of a host; None: it is not there.

    :param asked: name of the host that lists them, for messages.
    :raises OddAnswer: whether it is there, and which it is, is not known.
    """
    uuids = {
        ref: fields.collect(host, 'uuid', None, [])
        for ref, host in hosts.items()
    }
    found = [ref for ref, known in uuids.items() if known == uuid]
    if len(found) == 1:
        return found[0]
    unread = list(uuids.values()).count(None)
    if found or unread:
        raise failures.OddAnswer(
            host=asked,
            what=f'{len(found)} hosts have the uuid {uuid}, and {unread} '
            'none that can be read',
        )
    return None


@dataclasses.dataclass(frozen=True)
class Leaving:
    """A host that is to leave a pool of several, as its master shows it.

    :ivar accepted: uuids of the SRs whose disks may be lost.
    :ivar known: uuids of the disks that had been shown at the consent.
    :ivar permissions: what the account may do; None: everything.
    """

    records: Mapping[str, preflight.Records]
    ref: str
    accepted: Collection[str] = ()
    known: Collection[str] = ()
    permissions: frozenset[str] | None = None

    def all(self, name: str) -> list[Record]:
        """The records of a class."""
        return list(self.records[name].values())

    @property
    def pool(self) -> Record:
        found: dict[str, Any]
        _ref, found = fields.only('', 'pool', self.records['pool'])
        return found

    @property
    def host(self) -> Record:
        return self.records['host'][self.ref]

    @functools.cached_property
    def unplaced(self) -> dict[str, Record]:
        """The SRs of which nothing tells on which host they are."""
        return localstorage.unplaced(self.records)

    @functools.cached_property
    def at_stake(self) -> dict[str, Record]:
        """The SRs that an eject destroys, or may, by reference."""
        return {
            **localstorage.lying(self.records, self.ref),
            **self.unplaced,
        }

    @functools.cached_property
    def forgotten(self) -> dict[str, Record]:
        """The SRs that survive, and whose records do not."""
        return localstorage.forgotten(self.records, self.ref)

    @property
    def own(self) -> dict[str, Record]:
        """The SRs that leave the pool with the host, by reference."""
        return {**self.at_stake, **self.forgotten}

    @functools.cached_property
    def disks(self) -> preflight.Disks:
        """What would be destroyed, by SR uuid."""
        return localstorage.disks_in(self.records, self.at_stake)

    def place(self, sr_ref: str) -> places.Place:
        """Where an SR is, as this host reaches it."""
        return localstorage.place(self.records, sr_ref, self.ref)

    @functools.cached_property
    def servers(self) -> serving.Servers:
        """The servers of each SR, by reference."""
        return serving.servers(self.records, self.ref)

    @functools.cached_property
    def served(self) -> dict[str, str]:
        """The SRs that the host serves: reference -> what it is called."""
        names = serving.names_of_host(self.records, self.ref)
        return dict(serving.among(self.servers, names | {places.LOCALHOST}))

    @functools.cached_property
    def used(self) -> set[str]:
        """The SRs that the host has a PBD for."""
        return {
            pbd['SR'] for pbd in self.all('PBD') if pbd['host'] == self.ref
        }

    @functools.cached_property
    def replicas(self) -> dict[str, Record]:
        """The SRs of which a copy is on the disks of the host."""
        held: Mapping[places.Place, Collection[str]] = {
            places.Place.MEMBERS: self.used,
            places.Place.CLUSTER: self.served,
        }
        return {
            ref: sr
            for ref, sr in self.records['SR'].items()
            if ref in held.get(self.place(ref), ())
        }

    @functools.cached_property
    def names(self) -> dict[str, str]:
        """The names of SRs by uuid."""
        return {
            fields.shown(sr, 'uuid'): fields.shown(sr, 'name_label')
            for sr in self.all('SR')
        }

    def machines(self, field: str = 'resident_on') -> Iterator[Record]:
        """Machines on the host that are not halted, but for its own.

        :param field: which reference to the host counts.
        """
        for vm in self.all('VM'):
            here = vm.get(field) == self.ref and vm['power_state'] != 'Halted'
            if here and not vm['is_control_domain']:
                yield vm
