"""What checks are made of: problems, reports, and both sides of a join."""

import concurrent.futures
import dataclasses
from typing import Any

from aggregates_ext.compute import xenapi

JOIN_CLASSES = ('pool', 'host', 'VM', 'SR', 'PIF', 'VLAN', 'Bond')
Records = dict[str, dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Problem:
    """A requirement that is not met.

    :ivar code: what xapi itself would answer, or a code of ours.
    :ivar found: the values found, in words.
    :ivar remedy: what to do about it.
    """

    code: str
    rule: str
    found: str
    remedy: str

    @property
    def message(self) -> str:
        return f'{self.code}: {self.rule}; found {self.found}. {self.remedy}'

    def as_dict(self) -> dict[str, str]:
        return {**dataclasses.asdict(self), 'message': self.message}


@dataclasses.dataclass(frozen=True)
class Report:
    """What a check found.

    :ivar blockers: what forbids it.
    :ivar warnings: what does not, and should be known.
    :ivar disks: disks that an eject would destroy, SR uuid -> disks.
    """

    blockers: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    disks: dict[str, list[dict[str, Any]]] | None = None

    def disk_uuids(self) -> dict[str, list[str]]:
        """The uuids of those disks, SR uuid -> disks."""
        return {
            sr: [disk['uuid'] for disk in found]
            for sr, found in (self.disks or {}).items()
        }

    def as_dict(self) -> dict[str, Any]:
        return {
            'blockers': [problem.as_dict() for problem in self.blockers],
            'warnings': [problem.as_dict() for problem in self.warnings],
            'disks': self.disks,
        }


@dataclasses.dataclass(frozen=True)
class Side:
    """One side of a join: its master's records by class and reference."""

    records: dict[str, Records]
    servertime: str

    @property
    def pool(self) -> dict[str, Any]:
        (pool,) = self.records['pool'].values()
        return pool

    @property
    def master(self) -> dict[str, Any]:
        found: dict[str, Any] = self.records['host'][self.pool['master']]
        return found

    @property
    def version(self) -> dict[str, str]:
        found: dict[str, str] = self.master['software_version']
        return found

    @property
    def management(self) -> dict[str, Any]:
        """The management interface of the master; empty without one."""
        for pif in self.records['PIF'].values():
            if pif['management'] and pif['host'] == self.pool['master']:
                return pif
        return {}


def read_side(session: xenapi.Session) -> Side:
    """Read what a join depends on: one call a class."""
    records = {name: session.records(name) for name in JOIN_CLASSES}
    (pool,) = records['pool'].values()
    servertime = session.call('host.get_servertime', pool['master'])
    return Side(records, str(servertime))


def read_sides(
    joiner: xenapi.Session, master: xenapi.Session
) -> tuple[Side, Side]:
    """Read both sides in parallel."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(read_side, joiner)
        second = pool.submit(read_side, master)
        return first.result(), second.result()
