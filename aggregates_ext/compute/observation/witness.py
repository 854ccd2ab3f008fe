"""Whether the members of a pool agree with its master on who leads them.

After an emergency transition there can be two masters of one pool, with one
pool uuid (xapi#two-masters); neither knows of the other. Only the members at
their own addresses can tell: a slave answers a bare login with HOST_IS_SLAVE
and the address of its master, before there is a session.

Whom to ask, so that the number of questions does not grow with the pool:

- one member in turn;
- each that the master does not list, or not as live, and each that gave a
  wrong answer or none when it was asked last;
- all, when the master is another one or was restarted since the last look,
  or another host has fallen silent or come back. So is every way in which a
  second master comes about while the first is away.

What remains is a slave that is promoted while its master goes on: the master
notices within ten minutes, or the turn comes to it. An eject does not rely
on that: its victim is asked itself.
"""

import dataclasses
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.observation import views
from aggregates_ext.compute.xen import connections
from aggregates_ext.db import addresses
from aggregates_ext.db import records

TWO_MASTERS = 'TWO_MASTERS'
WRONG_ADDRESS = 'WRONG_ADDRESS'
MEMBER_ELSEWHERE = 'MEMBER_ELSEWHERE'
# Seconds after which no further member is asked in one look.
ASK_BUDGET = 15.0

Find = Callable[[str], Sequence[records.Host]]


@dataclasses.dataclass(frozen=True)
class Testimony:
    """What members answered.

    :ivar drift: what of it contradicts the master.
    :ivar turns: by host, the number of the look in which it was asked last.
    """

    drift: tuple[records.Drift, ...]
    turns: dict[str, int]


class Witnesses:
    """The members of a pool, to be asked beside its master.

    :param aggregate: with its last observation; where it has no account
        yet, each host is asked with its own.
    :ivar bound: its hosts in any phase; only members are asked.
    :param find: the hosts that may be asked, by an address that XenAPI
        tells.
    """

    def __init__(
        self,
        connector: connections.Connector,
        aggregate: records.Aggregate,
        bound: Sequence[records.Host],
        find: Find,
    ) -> None:
        self._connector = connector
        self._aggregate = aggregate
        self.bound = bound
        self._find = find

    def hear(self, view: views.PoolView) -> Testimony:
        """Ask those whose turn it is.

        :param view: the pool as the master shows it.
        """
        last = self._aggregate.observation or {}
        turns = dict(last.get('turns', {}))
        turn = max(turns.values(), default=0) + 1
        members = [
            host
            for host in self.bound
            if host.phase == 'member' and host.uuid != view.master.uuid
        ]
        ends = time.monotonic() + ASK_BUDGET
        found = {}
        for host in self._choose(members, view, turns):
            if time.monotonic() > ends:
                break
            answer = views.ask(self._connector, host, self._aggregate)
            turns[host.name] = turn
            if answer.role in ('silent', 'starting'):
                # Its next word counts: it is asked until it has one.
                del turns[host.name]
            found[host.name] = self._weigh(host, answer, view)
        names = {host.name for host in members}
        return Testimony(
            tuple(entry for entry in found.values() if entry is not None),
            {name: n for name, n in turns.items() if name in names},
        )

    def follows(
        self, host: records.Host, view: views.PoolView
    ) -> tuple[bool, views.Answer]:
        """Whether a host itself says that it is a slave of the master.

        :returns: that, and what it said.
        """
        answer = views.ask(self._connector, host, None)
        return answer.role == 'slave' and self._leads(answer, view), answer

    def _leads(self, answer: views.Answer, view: views.PoolView) -> bool:
        """Whether a slave names the master, by any of its addresses."""
        return addresses.same(answer.detail, view.master.address) or any(
            host.uuid == view.master.uuid for host in self._find(answer.detail)
        )

    def _choose(
        self,
        members: Sequence[records.Host],
        view: views.PoolView,
        turns: Mapping[str, int],
    ) -> list[records.Host]:
        """Whom to ask, the most telling first."""
        suspects = {
            entry.host
            for entry in self._aggregate.drift
            if entry.code in (TWO_MASTERS, WRONG_ADDRESS, MEMBER_ELSEWHERE)
        }
        leaders = {
            self._aggregate.master_uuid,
            (self._aggregate.observation or {}).get('master'),
        }

        def is_suspect(host: records.Host) -> bool:
            listed = view.hosts.find(host.uuid)
            return (
                listed is None
                or not listed.live
                or host.name not in turns
                or host.name in suspects
                or host.uuid in leaders
            )

        ordered = sorted(
            members,
            key=lambda h: (not is_suspect(h), turns.get(h.name, 0), h.name),
        )
        if has_moved(self._aggregate.observation, view):
            return ordered
        return ordered[: sum(map(is_suspect, members)) + 1]

    def _weigh(
        self,
        host: records.Host,
        answer: views.Answer,
        view: views.PoolView,
    ) -> records.Drift | None:
        """What an answer says against the master; None: nothing."""
        if answer.strange:
            return self._judge(host, host, answer, view)
        if answer.role != 'slave' or self._leads(answer, view):
            return None
        for leader in self._find(answer.detail):
            other = views.ask(self._connector, leader, self._aggregate)
            verdict = self._judge(host, leader, other, view)
            if verdict is None or verdict.code == TWO_MASTERS:
                return verdict
        return records.Drift(
            MEMBER_ELSEWHERE,
            f'Member {host.name} {answer.describe()}, and not of the master '
            f'of this pool at {view.master.address}. Check that its '
            'registered URL is its own; if it is, lead it back with '
            '"xe pool-emergency-reset-master master-address=ADDRESS" on it, or '
            '"xe pool-recover-slaves" on the master.',
            host.name,
            host.uuid,
        )

    def _judge(
        self,
        member: records.Host,
        asked: records.Host,
        answer: views.Answer,
        view: views.PoolView,
    ) -> records.Drift | None:
        """What it means that a host does not answer as a slave.

        :param asked: the member itself, or the one that it names as master.
        """
        pool = answer.pool
        if pool is None or pool.uuid != self._aggregate.pool_uuid:
            return self._judge_other(member, answer)
        if pool.master.uuid != view.master.uuid:
            return two_masters(view, pool, asked)
        if member is not asked:
            return None
        return self._mistaken(member, pool.master.uuid)

    def _judge_other(
        self, member: records.Host, answer: views.Answer
    ) -> records.Drift:
        """The member is not in this pool, or its URL not the member's."""
        pool = answer.pool
        if pool is not None and pool.master.uuid != member.uuid:
            return self._mistaken(member, pool.master.uuid)
        return records.Drift(
            MEMBER_ELSEWHERE,
            f'Member {member.name} {answer.describe()}, and not as a slave '
            'of the master of this pool. If it has left the pool, "adopt" '
            'lets the membership follow and "reapply" joins it again.',
            member.name,
            member.uuid,
        )

    def _mistaken(self, member: records.Host, uuid: str) -> records.Drift:
        return records.Drift(
            WRONG_ADDRESS,
            f'At {member.url}, the URL of member {member.name} '
            f'({member.uuid}), another host answers: {self._name(uuid)}. '
            'Register each host with its own URL.',
            member.name,
            member.uuid,
        )

    def _name(self, uuid: str) -> str:
        names = [host.name for host in self.bound if host.uuid == uuid]
        return f'{names[0]} ({uuid})' if names else uuid


def has_moved(
    observation: Mapping[str, Any] | None, view: views.PoolView
) -> bool:
    """Whether a pool is not as last seen, so that all are to be asked.

    A host that is new to it does not count: it comes with our own joins,
    and its turn is the next.
    """
    if observation is None:
        return True
    if observation['master'] != view.master.uuid:
        return True
    if observation.get('started') != view.master.agent_start_time:
        return True
    return any(
        listed.live != host['live']
        for host in observation['hosts']
        if (listed := view.hosts.find(host['uuid'])) is not None
    )


def two_masters(
    view: views.PoolView, other: views.PoolView, asked: records.Host
) -> records.Drift:
    """Two hosts lead one pool, each with records of its own."""
    return records.Drift(
        TWO_MASTERS,
        f'Pool {view.uuid} has two masters: {view.master.name_label} '
        f'({view.master.uuid}, {view.master.address}) and '
        f'{other.master.name_label} ({other.master.uuid}, '
        f'{other.master.address}). Nothing is changed in it until there is '
        'one: decide which is right and call "xe pool-recover-slaves" on it.',
        asked.name,
        other.master.uuid,
    )
