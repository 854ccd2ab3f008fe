"""What the aggregates themselves forbid, whatever the hosts say."""

import dataclasses
from collections.abc import Sequence

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.xen import text
from aggregates_ext.db import records


@dataclasses.dataclass(frozen=True)
class Binding:
    """A host, and the aggregate that it is to enter or to leave, or is in.

    :ivar hosts: those of the aggregate, where it matters who they are.
    """

    host: records.Host
    aggregate: records.Aggregate
    hosts: Sequence[records.Host] = ()


Rule = preflight.Rule[Binding]
NOT_A_MEMBER = 'NOT_A_MEMBER'


def _where(host: records.Host) -> str:
    if host.aggregate_id is None:
        return f'host {host.name} in none'
    return f'host {host.name} in aggregate {host.aggregate_id}, {host.phase}'


def _zones(facts: Binding) -> str:
    own, zone = facts.host.availability_zone, facts.aggregate.availability_zone
    if None in (own, zone) or own == zone:
        return ''
    return f'{own} of host {facts.host.name}, {zone} of the aggregate'


ADD_RULES: tuple[Rule, ...] = (
    Rule(
        'HOST_NOT_FREE',
        'a host is added once, and to one aggregate at a time',
        'Remove it there first, and wait until it is free.',
        lambda facts: (
            '' if facts.host.aggregate_id is None else _where(facts.host)
        ),
    ),
    Rule(
        'ZONE_MISMATCH',
        'a host must be of the zone of the aggregate',
        'Choose an aggregate of that zone.',
        _zones,
    ),
)


def _elsewhere(facts: Binding) -> str:
    host = facts.host
    here = host.aggregate_id == facts.aggregate.id
    return '' if here and host.phase == 'member' else _where(host)


REMOVE_RULES: tuple[Rule, ...] = (
    Rule(
        NOT_A_MEMBER,
        'only a host of the aggregate can be removed from it',
        'Name a host that the aggregate lists.',
        lambda facts: (
            ''
            if facts.host.aggregate_id == facts.aggregate.id
            else _where(facts.host)
        ),
    ),
)
POWER_RULES: tuple[Rule, ...] = (
    Rule(
        NOT_A_MEMBER,
        'only a member of the aggregate is updated, rebooted, shut down or '
        'started',
        'Name a host that the aggregate lists, when it has joined.',
        _elsewhere,
    ),
    Rule(
        'NOT_IN_MAINTENANCE',
        'only a host in maintenance is updated, rebooted, shut down or '
        'started',
        'Take it into maintenance first ("enter_maintenance").',
        lambda facts: (
            ''
            if facts.host.maintenance == records.IN_MAINTENANCE
            else facts.host.maintenance or 'a host in service'
        ),
    ),
)
MAINTENANCE_RULES: tuple[Rule, ...] = (
    Rule(
        NOT_A_MEMBER,
        'only a member of the aggregate can be put into maintenance',
        'Name a host that the aggregate lists, when it has joined.',
        _elsewhere,
    ),
)


def _changing(facts: Binding) -> str:
    """Hosts whose join or removal is queued, at work or unresolved."""
    return text.listed(
        f'{host.name} ({host.phase})'
        for host in facts.hosts
        if host.phase in ('joining', 'leaving')
    )


_CODE = 'MEMBERS_CHANGE'
_RULE = 'no host of the aggregate should be about to join its pool or leave it'
# What waits for what: design#moves and design#power.
MAINTENANCE_WARNINGS: tuple[Rule, ...] = (
    Rule(
        _CODE,
        _RULE,
        'They wait for one another: no guest is sent away while a join or '
        'removal is at work, and none of these begins while guests are on '
        'the move.',
        _changing,
    ),
)
POWER_WARNINGS: tuple[Rule, ...] = (
    Rule(
        _CODE,
        _RULE,
        'They wait for one another: the host is told nothing while a join or '
        'removal is at work, and none of these begins from then on until '
        'this has ended.',
        _changing,
    ),
)
