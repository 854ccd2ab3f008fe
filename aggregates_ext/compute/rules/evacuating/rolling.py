"""The plan of a rolling reboot: hosts emptied in turn (design#rolling-plan).

The whole run is rehearsed on the records of the pool: each host is checked
as a single one is, on what the pool will show when its turn comes.
"""

import collections
import dataclasses
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.rules import networks
from aggregates_ext.compute.rules import powering
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules import upgrades
from aggregates_ext.compute.rules.evacuating import evacuation
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import planning
from aggregates_ext.compute.rules.evacuating import rehearsal
from aggregates_ext.compute.rules.evacuating import ways
from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.xen import text
from aggregates_ext.db import records

Problem = preflight.Problem


@dataclasses.dataclass(frozen=True)
class Run:
    """A pool whose hosts are to restart one after another.

    :ivar suspend_ha: whether high availability is to be off for the time.
    :ivar network: uuid of that which guests are to move over; None: any.
    """

    known: facts.Known
    suspend_ha: bool = False
    network: str | None = None


def _ha_on(run: Run) -> str:
    return 'on' if run.known.pool['ha_enabled'] and not run.suspend_ha else ''


def _not_live(run: Run) -> str:
    known = run.known
    return kinds.listed(
        kinds.named(host)
        for ref, host in known.records['host'].items()
        if not known.is_live(ref)
    )


def _statefile(run: Run) -> str:
    known = run.known
    return kinds.listed(
        kinds.named(host)
        for host in known.all('host')
        if powering.has_lost_statefile(known.pool, host)
    )


Rule = preflight.Rule[Run]
RULES: tuple[Rule, ...] = (
    Rule(
        'HA_ON',
        'high availability must be off while hosts restart in turn',
        'Let it be switched off for the time: "suspend_ha": true.',
        _ha_on,
    ),
    Rule(
        'HOST_NOT_LIVE',
        'every host of the pool must be live',
        'Start it, or mend its network.',
        _not_live,
    ),
    Rule(
        powering.STATEFILE,
        'every host of the pool must reach the state file of high '
        'availability',
        'Mend that storage first: what is switched off for the time could not '
        'be switched on again.',
        _statefile,
    ),
)
# What single hosts would tell again and again: rules about their pool, which
# are asked once, and what the rules above tell of all hosts.
OF_THE_POOL = frozenset(
    {
        'RBAC_PERMISSION_DENIED',
        'LICENCE_RESTRICTION',
        'OTHER_IN_MAINTENANCE',
        'VERSIONS_DIFFER',
        'WLB_ON',
        upgrades.CODE,
        networks.UNKNOWN,
    }
)
TOLD_ONCE = OF_THE_POOL | {rule.code for rule in RULES}


@dataclasses.dataclass(frozen=True)
class HostPlan:
    """What becomes of the guests of one host when its turn comes.

    :ivar name: of the host.
    :ivar answer: what its check finds then.
    :ivar master: whether it is the master.
    :ivar moves: those away from it, the largest first.
    :ivar room: what is free when they are through.
    """

    name: str
    answer: evacuation.Answer
    master: bool
    moves: tuple[rehearsal.Move, ...] = ()
    room: rehearsal.Room = rehearsal.Room()

    @property
    def blockers(self) -> tuple[Problem, ...]:
        """What forbids it, without what is about the pool."""
        return _of_the_host(self.answer.report.blockers)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What does not, without what is about the pool."""
        return _of_the_host(self.answer.report.warnings)

    def as_dict(self) -> dict[str, Any]:
        return {
            'host': self.name,
            'master': self.master,
            'moves': [move.as_dict() for move in self.moves],
            'shut_down': [
                {
                    'guest': step.guest.uuid,
                    'name': step.guest.name,
                    'memory': planning.size(step.guest) or None,
                }
                for step in self.answer.down
            ],
            'consent': list(self.answer.consent),
            **self.room.as_dict(),
            'blockers': [problem.as_dict() for problem in self.blockers],
            'warnings': [problem.as_dict() for problem in self.warnings],
        }


def _of_the_host(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(one for one in problems if one.code not in TOLD_ONCE)


@dataclasses.dataclass(frozen=True)
class RollingPlan:
    """What a rolling reboot would do, and what forbids it.

    :ivar report: of the whole run; each entry names its hosts.
    :ivar hosts: one for each host, in the order of the run.
    :ivar unknown: what was to be shut down and is no guest on any of them.
    :ivar consent: uuids of all guests that have to be named.
    :ivar homes: the moves home at the end, in their order.
    :ivar away: those that home has no room for then, or does not take.
    :ivar updates: what hosts would install, by name; None: it is a restart.
    :ivar hash: what that is as a whole, where XenServer names it.
    """

    report: preflight.Report
    hosts: tuple[HostPlan, ...] = ()
    unknown: tuple[str, ...] = ()
    consent: tuple[str, ...] = ()
    homes: tuple[rehearsal.Move, ...] = ()
    away: tuple[rehearsal.Move, ...] = ()
    updates: Mapping[str, Any] | None = None
    hash: str = ''

    @property
    def worst(self) -> HostPlan | None:
        """The host during whose absence least memory is free."""
        return min(self.hosts, key=lambda one: one.room.free, default=None)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; memory in bytes, ``moves`` without those home."""
        worst, hosts = self.worst, [host.as_dict() for host in self.hosts]
        if self.updates is not None:
            for host in hosts:
                host['updates'] = self.updates.get(host['host'])
        return {
            'hosts': hosts,
            'worst': worst and {'host': worst.name, **worst.room.as_dict()},
            'moves': sum(len(host.moves) for host in self.hosts),
            'homes': [move.as_dict() for move in self.homes],
            'away': [move.as_dict() for move in self.away],
            'consent': list(self.consent),
        }


def plan(
    known: facts.Known,
    order: Sequence[records.Host],
    members: Sequence[records.Host],
    shut_down: Collection[str] = (),
    *,
    hard: bool = False,
    suspend_ha: bool = False,
    restore: bool = True,
    network: str | None = None,
) -> RollingPlan:
    """Every requirement of a rolling reboot, and what it would do.

    Who is shut down starts again on the same host, when that has restarted.
    A guest that would have to be named and is not stays where it is, so that
    the hosts after that are checked all the same.

    :param known: what the master shows; it is left as it is.
    :param order: the hosts that restart, in this order.
    :param members: the hosts of the aggregate, in any phase.
    :param shut_down: uuids of guests that may be shut down, where they cannot
        move.
    :param hard: whether they may be shut down hard.
    :param suspend_ha: whether high availability is to be off for the time.
    :param restore: whether guests come home at the end.
    :param network: uuid of that which they are to move over; None: that of
        the pool.
    :raises OddAnswer: it cannot be told.
    """
    run = rehearsal.Rehearsal(known, order, members, network)
    turns = [run.empty(at, shut_down, hard=hard) for at in range(len(order))]
    found = [
        _host_plan(host, turn) for host, turn in zip(order, turns, strict=True)
    ]
    strangers = [
        set(turn.answer.unknown) for turn in turns if turn.ref is not None
    ] or [set(shut_down)]
    homes, away = run.homes() if restore else ([], [])
    return RollingPlan(
        _report(run, found, Run(known, suspend_ha, network)),
        tuple(found),
        tuple(sorted(set.intersection(*strangers))),
        tuple(dict.fromkeys(u for one in found for u in one.answer.consent)),
        tuple(homes),
        tuple(away),
    )


def _host_plan(host: records.Host, turn: rehearsal.Turn) -> HostPlan:
    """What becomes of a host, and whether its boot could be proven."""
    known, ref, answer = turn.known, turn.ref, turn.answer
    if ref is None:
        return HostPlan(host.name, answer, master=False)
    boots = powering.Powering(known.asked, known.records, ref)
    blockers = (
        *answer.report.blockers,
        *preflight.evaluate((powering.NO_BOOT_TIME,), boots),
    )
    report = dataclasses.replace(answer.report, blockers=blockers)
    return HostPlan(
        host.name,
        answer._replace(report=report),
        known.pool['master'] == ref,
        turn.moves,
        turn.room,
    )


def _report(
    run: rehearsal.Rehearsal, found: Sequence[HostPlan], asked: Run
) -> preflight.Report:
    """What was found of the pool, and then of each host."""
    pool = run.pool(step for one in found for step in one.answer.plan)
    way = ways.Way(asked.known, '', {}, asked.network)
    return preflight.Report(
        blockers=(
            *preflight.evaluate(RULES, asked),
            *preflight.evaluate(ways.RULES, way),
            *preflight.evaluate(_of_the_pool(evacuation.POOL_RULES), pool),
            *_together((one.name, one.blockers) for one in found),
        ),
        warnings=(
            *preflight.evaluate(_of_the_pool(evacuation.WARNINGS), pool),
            *_together((one.name, one.warnings) for one in found),
        ),
    )


def _of_the_pool(
    rules: Sequence[evacuation.Rule],
) -> Iterator[evacuation.Rule]:
    return (rule for rule in rules if rule.code in OF_THE_POOL)


def _together(
    found: Iterable[tuple[str, Sequence[Problem]]],
) -> Iterator[Problem]:
    """Problems with the hosts that they are about, those alike as one."""
    alike: dict[Problem, list[str]] = collections.defaultdict(list)
    for name, problems in found:
        for problem in problems:
            alike[problem].append(name)
    for problem, names in alike.items():
        told = f'{text.listed(names)}: {problem.found}'
        yield dataclasses.replace(problem, found=told)
