"""A host that is to leave its pool, as the pool's master shows it."""

import dataclasses
import functools
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.leaving import localstorage

Record = dict[str, Any]


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
        (pool,) = self.records['pool'].values()
        return pool

    @property
    def host(self) -> Record:
        return self.records['host'][self.ref]

    @functools.cached_property
    def own(self) -> dict[str, Record]:
        """The SRs that this host alone sees, by reference."""
        return localstorage.own_srs(self.records, self.ref)

    @functools.cached_property
    def disks(self) -> preflight.Disks:
        """What would be destroyed, by SR uuid."""
        return localstorage.local_disks(self.records, self.ref)

    @functools.cached_property
    def names(self) -> dict[str, str]:
        """The names of SRs by uuid."""
        return {sr['uuid']: sr['name_label'] for sr in self.all('SR')}

    def machines(self, field: str = 'resident_on') -> Iterator[Record]:
        """Machines on the host that are not halted, but for its own.

        :param field: which reference to the host counts.
        """
        for vm in self.all('VM'):
            here = vm.get(field) == self.ref and vm['power_state'] != 'Halted'
            if here and not vm['is_control_domain']:
                yield vm
