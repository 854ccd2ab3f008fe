"""Drift: where a pool differs from what it should be, and the ways out.

Identity drift makes it uncertain whose pool it is, or who leads it: it stops
operations. All other drift is shown, and stops nothing (design#drift).
"""

import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from aggregates_ext.compute.observation import rolls
from aggregates_ext.compute.observation import undone
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import text
from aggregates_ext.db import addresses
from aggregates_ext.db import records
from aggregates_ext.domain import operations

NO_MASTER = 'NO_MASTER'
POOL_REPLACED = 'POOL_REPLACED'
FOREIGN_MARK = 'FOREIGN_MARK'
MARK_LOST = 'MARK_LOST'
LABEL = 'LABEL'
MASTER_CHANGED = 'MASTER_CHANGED'
MEMBER_MISSING = 'MEMBER_MISSING'
MEMBER_DEAD = 'MEMBER_DEAD'
HOST_ENABLED = 'HOST_ENABLED'
HOST_JOINED = 'HOST_JOINED'
HOST_UNKNOWN = 'HOST_UNKNOWN'
HOST_OF_OTHER = 'HOST_OF_OTHER'
SAME_HOST = 'SAME_HOST'
NOT_OBSERVED = 'NOT_OBSERVED'
ODD_ANSWER = failures.OddAnswer.code

_BOTH_WAYS = (
    'The action "adopt" makes the aggregate follow the pool, "reapply" the '
    'pool the aggregate.'
)
# What an operation is about to change is not drift.
_NAMING = {operations.RENAME, operations.ADOPT, operations.REAPPLY}
_LEADING = {
    operations.SET_MASTER,
    operations.REMOVE_HOST,
    operations.ADOPT,
    operations.REAPPLY,
}


@dataclasses.dataclass(frozen=True)
class Intent:
    """What a pool is compared with.

    :ivar bound: the aggregate's hosts in any phase.
    :ivar pending: its unfinished operations.
    :ivar away: names of hosts that are away because they are to be.
    """

    aggregate: records.Aggregate
    bound: Sequence[records.Host]
    pending: Sequence[records.Operation]
    away: frozenset[str] = frozenset()

    @property
    def leader_away(self) -> bool:
        """Whether the master of the last look is away, as it is to be."""
        last = (self.aggregate.observation or {}).get('master')
        return any(
            host.name in self.away and host.uuid == last for host in self.bound
        )

    @property
    def kinds(self) -> set[str]:
        return {operation.kind for operation in self.pending}

    @property
    def members(self) -> list[records.Host]:
        return [host for host in self.bound if host.phase == 'member']

    def name(self, uuid: str | None, view: views.PoolView) -> str:
        """A host in words, whoever knows it."""
        for host in self.bound:
            if host.uuid == uuid:
                return f'{host.name} ({uuid})'
        listed = view.hosts.find(uuid)
        return f'{listed.name_label} ({uuid})' if listed else str(uuid)


def find(
    intent: Intent,
    view: views.PoolView,
    strangers: Mapping[str, records.Host],
) -> list[records.Drift]:
    """Where the pool that its master shows differs from the intent.

    :param strangers: registered hosts that are not the aggregate's, by the
        uuid under which the pool has them.
    """
    found = list(_odd(intent, view))
    if intent.members:
        found += _of_the_pool(intent, view)
    for host in intent.members:
        found += _of_a_member(host, view, host.name in intent.away)
    found += _of_services(intent, view)
    found += _doubles(intent.members)
    found += _of_others(intent, view, strangers)
    return found


def _odd(intent: Intent, view: views.PoolView) -> Iterator[records.Drift]:
    """What the master shows and cannot be read."""
    for what, uuid in view.odd:
        names = [host.name for host in intent.bound if host.uuid == uuid]
        yield records.Drift(
            ODD_ANSWER,
            f'The master of the pool gives an answer that cannot be read: '
            f'{what}. It is shown as unknown; look at that record with "xe" '
            'on the master.',
            names[0] if uuid and names else None,
            uuid,
        )


def without_pool(intent: Intent) -> list[records.Drift]:
    """Members of an aggregate that has no pool they could be in."""
    return [
        records.Drift(
            MEMBER_MISSING,
            f'Member {host.name} ({host.uuid}) is in no pool of this '
            'aggregate, which has none. Remove it; then add it again, if it '
            'is to found one.',
            host.name,
            host.uuid,
        )
        for host in intent.members
    ]


def _of_the_pool(
    intent: Intent, view: views.PoolView
) -> Iterator[records.Drift]:
    aggregate = intent.aggregate
    if view.mark is None:
        yield records.Drift(
            MARK_LOST,
            f'The pool has lost its mark {views.MARK} = {aggregate.uuid}. '
            'The actions "adopt" and "reapply" write it again.',
        )
    elif view.mark not in (aggregate.uuid, views.UNKNOWN):
        yield records.Drift(
            FOREIGN_MARK,
            f'The pool is marked {views.MARK} = {view.mark}, not with this '
            f"aggregate's uuid {aggregate.uuid}: it may be another's, and "
            'nothing is changed in it. If that is wrong, remove the mark with '
            f'{views.unmark(view)}.',
        )
    named = view.name_label in (aggregate.name, None)
    if not named and not intent.kinds & _NAMING:
        yield records.Drift(
            LABEL,
            f'The pool is named "{view.name_label}", the aggregate '
            f'"{aggregate.name}". {_BOTH_WAYS}',
        )
    expected = aggregate.master_uuid
    moved = expected not in (None, view.master.uuid)
    if moved and not intent.kinds & _LEADING:
        yield records.Drift(
            MASTER_CHANGED,
            f'The master is {intent.name(view.master.uuid, view)}; it is to '
            f'be {intent.name(expected, view)}. "adopt" keeps it, "reapply" '
            'changes it back, "set_master" names any other.',
            uuid=view.master.uuid,
        )


def _of_a_member(
    host: records.Host, view: views.PoolView, away: bool
) -> Iterator[records.Drift]:
    listed = view.hosts.find(host.uuid)
    if listed is None and view.hosts.unnamed:
        yield records.Drift(
            ODD_ANSWER,
            f'Whether member {host.name} ({host.uuid}) is in the pool is not '
            f'known: the master lists {len(view.hosts.unnamed)} host(s) that '
            'cannot be told apart.',
            host.name,
            host.uuid,
        )
    elif listed is None:
        yield records.Drift(
            MEMBER_MISSING,
            f'Member {host.name} ({host.uuid}) is not in the pool. "adopt" '
            'lets it go, "reapply" joins it again.',
            host.name,
            host.uuid,
        )
    elif listed.live is False and not away:
        yield records.Drift(
            MEMBER_DEAD,
            f'Member {host.name} ({host.uuid}) is not live. Start it or '
            'mend its network; one that is gone for good is taken out with '
            'remove_host and "force": true.',
            host.name,
            host.uuid,
        )


def _of_services(
    intent: Intent, view: views.PoolView
) -> Iterator[records.Drift]:
    """Hosts that somebody has enabled; what a start did is undone."""
    busy = undone.busy(intent.pending)
    for host, listed in undone.find(intent.members, view, busy):
        if not undone.has_started(host, listed):
            wanted, adopted = 'is to be disabled', 'leaves it enabled'
            if host.maintenance is not None:
                wanted = 'is to be in maintenance'
                adopted = 'ends its maintenance'
            yield records.Drift(
                HOST_ENABLED,
                f'Member {host.name} ({host.uuid}) {wanted}, and was enabled '
                'in the pool by somebody. "reapply" disables it again, '
                f'"adopt" {adopted}.{_ended(host, listed)}',
                host.name,
                host.uuid,
            )


def _ended(host: records.Host, listed: views.HostView) -> str:
    """Who has ended a maintenance, where that is to be seen."""
    if host.maintenance is None or listed.is_in_maintenance is not False:
        return ''
    return (
        f' Its {rolls.MODE} is gone too, as when XenCenter or "xe '
        'host-enable" ends a maintenance.'
    )


def _doubles(members: Sequence[records.Host]) -> Iterator[records.Drift]:
    """Members whose URLs lead to one machine."""
    first: dict[tuple[str, int | None], records.Host] = {}
    for host in members:
        other = first.setdefault(addresses.target(host.url), host)
        if other is not host:
            yield records.Drift(
                SAME_HOST,
                f'Hosts {other.name} and {host.name} are registered with '
                f'the same URL {host.url}. Register each host with its own.',
                host.name,
                host.uuid,
            )


def _of_others(
    intent: Intent,
    view: views.PoolView,
    strangers: Mapping[str, records.Host],
) -> Iterator[records.Drift]:
    """Hosts in the pool that are not to be in it."""
    busy = {operation.host for operation in intent.pending}
    own = {host.uuid: host for host in intent.bound}
    for uuid, seen in sorted(view.hosts.items()):
        host = own.get(uuid) or strangers.get(uuid)
        if host is None:
            yield _unknown(seen)
        elif host.name in busy:
            continue
        elif host.aggregate_id not in (None, intent.aggregate.id):
            yield records.Drift(
                HOST_OF_OTHER,
                f'Host {host.name} ({uuid}) is in the pool, and {host.phase} '
                f'in aggregate {host.aggregate_id}. Resolve that there '
                'first: remove it, or adopt its pool.',
                host.name,
                uuid,
            )
        elif host.phase in ('free', 'returning'):
            yield records.Drift(
                HOST_JOINED,
                f'Host {host.name} ({uuid}) is in the pool, and {host.phase} '
                'here: it was joined by hand. "adopt" makes it a member, '
                '"reapply" ejects it.',
                host.name,
                uuid,
            )


def _unknown(seen: views.HostView) -> records.Drift:
    return records.Drift(
        HOST_UNKNOWN,
        f'Host {seen.name_label} ({seen.uuid}, {seen.address}) is in the '
        f'pool and not registered. Register it ({register(seen)}) and '
        '"adopt" it, or eject it by hand.',
        uuid=seen.uuid,
    )


def register(seen: views.HostView) -> str:
    """The command that registers a host as its pool shows it."""
    address = seen.address
    authority = f'[{address}]' if ':' in address else address
    return text.command(
        'aggregates-ext-manage',
        *('host', 'add', seen.name_label),
        *('--url', f'https://{authority}'),
    )
