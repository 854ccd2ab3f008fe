"""Both sides of a join, as read from their masters."""

import concurrent.futures
import dataclasses
import functools
import time
from collections.abc import Sequence
from typing import Any

from oslo_log import log as logging

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import releases
from aggregates_ext.compute.xen import xenapi

LOG = logging.getLogger(__name__)
Records = preflight.Records
# What is read of either side.
CLASSES = (
    'pool',
    'host',
    'VM',
    'SR',
    'PIF',
    'network',
    'SM',
    'Cluster',
    'Cluster_host',
    'SDN_controller',
    'pool_update',
    'pool_patch',
    'host_patch',
    'Certificate',
)
# What is read of the joining host besides.
JOINER_CLASSES = (
    *CLASSES,
    'PBD',
    'VLAN',
    'Bond',
    'tunnel',
    'network_sriov',
    'subject',
)


@dataclasses.dataclass(frozen=True)
class Side:
    """One side of a join: its master's records by class and reference.

    :ivar servertime: the clock of the master; empty: not known.
    :ivar read_at: when that was read, in seconds of a clock of ours.
    :ivar permissions: what the account may do; None: everything.
    """

    records: dict[str, Records]
    servertime: str
    read_at: float = 0.0
    permissions: frozenset[str] | None = None

    def all(self, name: str) -> list[dict[str, Any]]:
        """The records of a class."""
        return list(self.records.get(name, {}).values())

    def get(self, name: str, ref: str) -> dict[str, Any]:
        """One record; empty where a reference leads nowhere."""
        return self.records.get(name, {}).get(ref, {})

    @property
    def pool(self) -> dict[str, Any]:
        found: dict[str, Any]
        _ref, found = fields.only('', 'pool', self.records['pool'])
        return found

    @property
    def master_ref(self) -> str:
        return str(self.pool['master'])

    @property
    def master(self) -> dict[str, Any]:
        return self.records['host'][self.master_ref]

    @property
    def version(self) -> dict[str, str]:
        found: dict[str, str] = self.master['software_version']
        return found

    @property
    def management(self) -> dict[str, Any]:
        """The management interface of the master; empty without one."""
        for pif in self.all('PIF'):
            if pif['management'] and pif['host'] == self.master_ref:
                return pif
        return {}


@dataclasses.dataclass(frozen=True)
class Sides:
    """A host that is to join, and the pool that it is to join.

    :ivar enables_tls: whether the join may switch TLS verification on.
    """

    joiner: Side
    master: Side
    enables_tls: bool = False

    @functools.cached_property
    def release(self) -> releases.Release:
        """The release of xapi that checks and copies: the joiner's."""
        return releases.of(self.joiner.master)

    def both(self) -> tuple[tuple[str, Side], ...]:
        """Both sides with what they are called in messages."""
        name = fields.shown(self.joiner.master, 'name_label')
        return (f'host {name}', self.joiner), ('the pool', self.master)


def read_side(
    session: xenapi.Session, classes: Sequence[str] = CLASSES
) -> Side:
    """Read what a join depends on: one call a class, and three more."""
    permissions = session.permissions()
    records = {name: session.records_if_known(name) for name in classes}
    pool, _master = fields.leader(
        session.host, records['pool'], records['host']
    )
    servertime = _servertime(session, pool['master'])
    return Side(records, servertime, time.monotonic(), permissions)


def _servertime(session: xenapi.Session, ref: str) -> str:
    """The clock of a host; empty: not known, and only advice needs it."""
    call = 'host.get_servertime'
    try:
        answer = session.call(call, ref)
        return str(fields.read_value(session.host, call, 'date', answer))
    except (failures.XenAPIError, failures.OddAnswer) as exc:
        LOG.debug('The clock of host %s is not known: %s', session.host, exc)
        return ''


def read_sides(
    joiner: xenapi.Session, master: xenapi.Session
) -> tuple[Side, Side]:
    """Read both sides in parallel."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(read_side, joiner, JOINER_CLASSES)
        second = pool.submit(read_side, master)
        return first.result(), second.result()
