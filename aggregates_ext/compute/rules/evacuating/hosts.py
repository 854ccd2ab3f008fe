"""Which other hosts of a pool take guests, whoever they are."""

import dataclasses
from collections.abc import Sequence

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import releases
from aggregates_ext.db import records

# What a host does whose guests are about to leave.
GOING = frozenset({'evacuate', 'reboot', 'shutdown'})
Problem = preflight.Problem


@dataclasses.dataclass(frozen=True)
class Host:
    """Another host of the pool than the one that guests leave.

    :ivar source: the reference of the host that they leave.
    :ivar member: as which it is registered in the aggregate; None: it is
        only in the pool.
    """

    known: facts.Known
    ref: str
    source: str
    member: records.Host | None

    @property
    def record(self) -> facts.Record:
        return self.known.records['host'][self.ref]

    @property
    def name(self) -> str:
        if self.member is not None:
            return self.member.name
        return fields.shown(self.record, 'name_label')


def _stranger(host: Host) -> str:
    member = host.member
    if member is None:
        return f'{host.record["uuid"]}, which is only in the pool'
    return '' if member.phase == 'member' else f'{member.phase}'


def _going(host: Host) -> str:
    running = set(host.record['current_operations'].values())
    return kinds.listed(running & GOING)


def _older(host: Host) -> str:
    source = host.known.records['host'][host.source]
    return releases.older(
        host.record['software_version'], source['software_version']
    )


_HostRule = preflight.Rule[Host]
HOST_RULES: tuple[_HostRule, ...] = (
    _HostRule(
        'NOT_A_MEMBER',
        'guests move to members of the aggregate alone',
        'Add it to the aggregate.',
        _stranger,
        stricter='nobody here answers for a host that is only in the pool',
    ),
    _HostRule(
        'HOST_NOT_LIVE',
        'a host that guests move to must be live',
        'Start it.',
        lambda host: '' if host.known.is_live(host.ref) else 'not live',
    ),
    _HostRule(
        'HOST_DISABLED',
        'a host that guests move to must be enabled in its pool',
        'Enable it.',
        lambda host: '' if host.record['enabled'] else 'disabled',
    ),
    _HostRule(
        'HOST_DISABLED',
        'a host that guests move to must not be meant to be disabled',
        'Enable it as a compute service.',
        lambda host: (
            'to be disabled' if host.member and host.member.disabled else ''
        ),
        stricter='it is about to be disabled again',
    ),
    _HostRule(
        'OTHER_OPERATION_IN_PROGRESS',
        'a host that guests move to must not be about to be emptied',
        'Wait for the end of it.',
        _going,
        stricter='guests would have to leave it again, or go down with it',
    ),
    _HostRule(
        'NOT_SUPPORTED_DURING_UPGRADE',
        'guests move to hosts of the same or a newer version',
        'Update it first.',
        _older,
        stricter='xapi asks it of single moves in a rolling upgrade alone, '
        'and guests break on older hosts',
    ),
)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A host that was looked at, whoever is to move to it.

    :ivar problems: why no guest may move to it; none: some may.
    """

    host: Host
    problems: tuple[Problem, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether guests may move to it."""
        return not self.problems


def registered(
    known: facts.Known, source: str, members: Sequence[records.Host]
) -> list[Host]:
    """All hosts of a pool, that which guests leave too, by their names.

    :param source: the reference of the host that guests leave.
    :param members: the hosts of the aggregate, in any phase.
    """
    by_uuid = {member.uuid: member for member in members if member.uuid}
    found = []
    for ref, record in known.records['host'].items():
        uuid = fields.collect(record, 'uuid', None, [])
        found.append(Host(known, ref, source, by_uuid.get(uuid)))
    return sorted(found, key=lambda host: host.name)


def candidates(
    known: facts.Known, source: str, members: Sequence[records.Host]
) -> tuple[Candidate, ...]:
    """All other hosts of a pool, in the order of their names.

    :param source: the reference of the host that guests leave.
    :param members: the hosts of the aggregate, in any phase.
    """
    return tuple(
        Candidate(host, preflight.evaluate(HOST_RULES, host))
        for host in registered(known, source, members)
        if host.ref != source
    )


def unfit(others: Sequence[Candidate]) -> dict[str, tuple[Problem, ...]]:
    """Why no guest may move to hosts, by name."""
    return {one.host.name: one.problems for one in others if one.problems}


def fit(others: Sequence[Candidate]) -> dict[str, str]:
    """The names of the hosts that take guests, by reference."""
    return {one.host.ref: one.host.name for one in others if one.fits}
