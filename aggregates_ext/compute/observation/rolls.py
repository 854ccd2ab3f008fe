"""The hosts that a master lists, as far as they can be read.

What is odd in one of them is not known of that one, and spoils nothing else
(design#odd-answers).
"""

import collections
import dataclasses
import re
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from aggregates_ext.compute.rules import updating
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import releases
from aggregates_ext.compute.xen import values
from aggregates_ext.compute.xen import xenapi

# Characters of a name that are kept; no aggregate has one so long.
LABEL_CUT = 300
LABELS_SHOWN = 5
# What is kept of what updates ask for: xapi has seven words for all.
GUIDANCE_CUT = 64
GUIDANCES_KEPT = 16
_COUNT = re.compile('[0-9]{1,6}')
# Keys in other_config of a host that is in maintenance for XenCenter, and
# what the first one says then (xapi#maintenance-keys).
MODE = 'MAINTENANCE_MODE'
MOVED = 'MAINTENANCE_MODE_EVACUATED_VMS_MIGRATED'
IS_ON = 'true'


@dataclasses.dataclass(frozen=True)
class HostView:
    """A host as its pool's master lists it.

    What is not known is empty, or None where that says something else.

    :ivar agent_start_time: 0: not told.
    :ivar release: of its xapi, see ``releases.of``.
    :ivar software: its ``software_version``; empty: not told.
    :ivar operations: what is under way on the host.
    :ivar keys: XenCenter's, as far as it has them; None: not told.
    :ivar processors, memory, memory_free: 0: not told; bytes.
    :ivar guidances: what its updates still ask for; None: not known.
    :ivar needs_reboot: whether one of them asks for that; None: not known.
    """

    ref: str
    uuid: str
    name_label: str
    address: str
    enabled: bool | None
    live: bool | None
    agent_start_time: float
    version: str = ''
    release: releases.Release = ()
    software: Mapping[str, str] = dataclasses.field(default_factory=dict)
    operations: frozenset[str] = frozenset()
    keys: Mapping[str, str] | None = None
    processors: int = 0
    memory: int = 0
    memory_free: int = 0
    guidances: tuple[str, ...] | None = ()
    needs_reboot: bool | None = False

    @property
    def is_in_maintenance(self) -> bool | None:
        """Whether it is so for XenCenter, whoever has written that."""
        return None if self.keys is None else self.keys.get(MODE) == IS_ON

    @property
    def is_done(self) -> bool:
        """Whether it is known that no update asks for anything any more."""
        return self.guidances == () and self.needs_reboot is False


class Roll(dict[str, HostView]):
    """The hosts that a master lists, by uuid.

    That one is not among them is known only where all can be told apart.

    :ivar unnamed: those that cannot, and count nevertheless.
    """

    def __init__(
        self,
        hosts: Mapping[str, HostView],
        unnamed: tuple[HostView, ...] = (),
        reason: failures.OddAnswer | None = None,
    ) -> None:
        super().__init__(hosts)
        self.unnamed = unnamed
        self._reason = reason

    def __len__(self) -> int:
        return super().__len__() + len(self.unnamed)

    def __contains__(self, uuid: object) -> bool:
        """:raises OddAnswer: it may be one that cannot be told apart."""
        return self.get(uuid) is not None

    def get(self, uuid: Any, default: Any = None) -> Any:
        """:raises OddAnswer: it may be one that cannot be told apart."""
        found = self.find(uuid)
        if found is None and self._reason is not None:
            raise self._reason
        return default if found is None else found

    def check(self) -> None:
        """Make sure that it can be seen later that a host has gone.

        :raises OddAnswer: it could not.
        """
        if self._reason is not None:
            raise self._reason

    def find(self, uuid: Any) -> HostView | None:
        """One that is there for sure; else nothing is concluded."""
        return super().get(uuid)


class Oddity(NamedTuple):
    """What is not known of a pool, in words, and of which host of it."""

    what: str
    uuid: str | None = None


def read(
    session: xenapi.Session,
) -> tuple[dict[str, HostView], Roll, list[Oddity]]:
    """The hosts that a master lists: two calls, whatever their number.

    :returns: them by reference and by uuid, and what of them is odd.
    """
    metrics = session.records('host_metrics')
    odd: list[Oddity] = []
    hosts = {
        ref: _host_view(ref, host, metrics, odd)
        for ref, host in session.records('host').items()
    }
    return hosts, _enroll(session.host, hosts, odd), odd


def _host_view(
    ref: str,
    host: dict[str, Any],
    metrics: dict[str, dict[str, Any]],
    odd: list[Oddity],
) -> HostView:
    """A host as far as it can be read; what cannot is noted."""
    notes: list[str] = []
    uuid = fields.collect(host, 'uuid', '', notes)
    version = fields.collect(host, 'software_version', {}, notes)
    running = fields.collect(host, 'current_operations', {}, notes)
    config = fields.collect(host, 'other_config', None, notes)
    view = HostView(
        ref=ref,
        uuid=uuid,
        name_label=fields.collect(host, 'name_label', '', notes)[:LABEL_CUT],
        address=fields.collect(host, 'address', '', notes),
        enabled=fields.collect(host, 'enabled', None, notes),
        live=_is_live(host, metrics, notes),
        version=version.get('product_version', '')[:LABEL_CUT],
        agent_start_time=_start_time(host, config or {}, notes),
        release=_release(host),
        software=version,
        operations=frozenset(running.values()),
        keys=_keys(config),
        processors=_processors(host),
        memory=_memory(host, metrics, 'memory_total'),
        memory_free=_memory(host, metrics, 'memory_free'),
        guidances=_guidances(host),
        needs_reboot=_needs_reboot(host),
    )
    if notes:
        odd.append(Oddity('; '.join(notes), uuid or None))
    return view


def _keys(config: Mapping[str, str] | None) -> dict[str, str] | None:
    """Those of XenCenter."""
    if config is None:
        return None
    return {key: config[key] for key in (MODE, MOVED) if key in config}


def _is_live(
    host: dict[str, Any], metrics: dict[str, Any], notes: list[str]
) -> bool | None:
    """Whether the master hears a host; None: it does not tell."""
    try:
        found = metrics.get(host['metrics'])
        if found is not None:
            return bool(found['live'])
    except failures.OddAnswer as exc:
        notes.append(exc.what)
        return None
    notes.append(f'metrics of {fields.called(host, "host")} lead nowhere')
    return None


def _release(host: dict[str, Any]) -> releases.Release:
    """The release of xapi; none where it cannot be read: the oldest."""
    try:
        return releases.of(host)
    except failures.OddAnswer:
        return ()


def _processors(host: dict[str, Any]) -> int:
    """How many there are; nothing but figures depends on it."""
    config = fields.collect(host, 'cpu_info', {}, [])
    count = config.get('cpu_count', '')
    return int(count) if _COUNT.fullmatch(count) else 0


def _memory(host: dict[str, Any], metrics: dict[str, Any], field: str) -> int:
    """Bytes; nothing but figures depends on it."""
    try:
        found = metrics.get(host['metrics'])
        return 0 if found is None else max(0, int(found[field]))
    except failures.OddAnswer:
        return 0


def _guidances(host: dict[str, Any]) -> tuple[str, ...] | None:
    """What its updates ask for, each once; it is shown and nothing else."""
    try:
        told = dict.fromkeys(
            word[:GUIDANCE_CUT] for word in updating.guidances(host) if word
        )
    except failures.OddAnswer:
        return None
    return tuple(told)[:GUIDANCES_KEPT]


def _needs_reboot(host: dict[str, Any]) -> bool | None:
    """The verdict of a restart of all hosts that leaves out the others."""
    try:
        return updating.needs_reboot(host)
    except failures.OddAnswer:
        return None


def _start_time(
    host: dict[str, Any], config: Mapping[str, str], notes: list[str]
) -> float:
    text = config.get('agent_start_time', '0')
    try:
        return float(
            fields.parse(
                f'agent_start_time of {fields.called(host, "host")}',
                values.KINDS['real'].read,
                text,
            )
        )
    except failures.OddAnswer as exc:
        notes.append(exc.what)
        return 0.0


def _enroll(
    asked: str, hosts: Mapping[str, HostView], odd: list[Oddity]
) -> Roll:
    """The hosts by uuid; two with one cannot be told apart."""
    counted = collections.Counter(host.uuid for host in hosts.values())
    named = {
        host.uuid: host
        for host in hosts.values()
        if host.uuid and counted[host.uuid] == 1
    }
    unnamed = tuple(h for h in hosts.values() if h.uuid not in named)
    if not unnamed:
        return Roll(named)
    labels = ', '.join(
        f'"{h.name_label}" ({h.uuid or "without a readable uuid"})'
        for h in unnamed[:LABELS_SHOWN]
    )
    what = (
        f'{len(unnamed)} of {len(hosts)} hosts in the pool cannot be told '
        f'apart: {labels}'
    )
    odd.append(Oddity(what))
    reason = failures.OddAnswer(host=asked, what=what)
    return Roll(named, unnamed, reason)
