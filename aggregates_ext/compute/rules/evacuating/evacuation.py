"""The requirements of taking a host out of service (design#evacuation)."""

import dataclasses
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules import upgrades
from aggregates_ext.compute.rules.evacuating import advice
from aggregates_ext.compute.rules.evacuating import blockers
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import hosts
from aggregates_ext.compute.rules.evacuating import planning
from aggregates_ext.compute.rules.evacuating import shutdowns
from aggregates_ext.compute.rules.evacuating import targets
from aggregates_ext.compute.rules.evacuating import ways
from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.rules.leaving import leaver
from aggregates_ext.compute.xen import releases
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import records

# What a role below pool-operator may not do, in lower case as they are told.
CALLS = ('host.disable', 'vm.pool_migrate')
# What xapi's own plan says of guests: a code by reference.
Advice = Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Evacuation:
    """A host that is to be emptied.

    :ivar ref: its reference.
    :ivar others: the other hosts of the pool.
    :ivar steps: the plan of those that move.
    :ivar shut_down: uuids of guests that are shut down instead.
    :ivar advice: what xapi's own plan says of guests, by reference.
    """

    known: facts.Known
    ref: str
    others: tuple[hosts.Candidate, ...]
    steps: tuple[planning.Step, ...]
    shut_down: Collection[str] = ()
    advice: Advice = dataclasses.field(default_factory=dict)

    @property
    def pool(self) -> facts.Record:
        return self.known.pool

    @property
    def host(self) -> facts.Record:
        return self.known.records['host'][self.ref]

    @property
    def enabled(self) -> list[hosts.Host]:
        """The other hosts of the pool that are enabled and live."""
        return [
            one.host
            for one in self.others
            if one.host.record['enabled'] and self.known.is_live(one.host.ref)
        ]


Rule = preflight.Rule[Evacuation]


def _role(facts: Evacuation) -> str:
    allowed = facts.known.permissions
    missing = [
        call for call in CALLS if allowed is not None and call not in allowed
    ]
    return f'one without {kinds.listed(missing)}' if missing else ''


def _busy(facts: Evacuation) -> str:
    pool = set(facts.pool['current_operations'].values())
    host = set(facts.host['current_operations'].values())
    return kinds.listed(
        [f'{name} of the pool' for name in pool]
        + [f'{name} of the host' for name in host]
    )


def _licence(facts: Evacuation) -> str:
    restrictions = facts.pool['restrictions']
    restricted = restrictions.get('restrict_xen_motion') == 'true'
    return 'restrict_xen_motion' if restricted and facts.steps else ''


def _ha_plan(facts: Evacuation) -> str:
    """What breaks the plan for certain; xapi counts memory besides."""
    pool = facts.pool
    if not pool['ha_enabled'] or pool['ha_allow_overcommit']:
        return ''
    if not facts.host['enabled']:
        return ''
    tolerated = int(pool['ha_host_failures_to_tolerate'])
    left = len(facts.enabled)
    if left > tolerated:
        return ''
    return f'{tolerated} failures to tolerate, with {left} other hosts enabled'


def _no_target(facts: Evacuation) -> str:
    if not facts.steps or any(one.fits for one in facts.others):
        return ''
    why = hosts.unfit(facts.others)
    return targets.describe(why) or 'no other host in the pool'


# What comes before each guest.
POOL_RULES: tuple[Rule, ...] = (
    Rule(
        'RBAC_PERMISSION_DENIED',
        'the account at the master must be allowed to disable hosts and to '
        'move guests',
        'Use an account with the role pool-operator or pool-admin: correct '
        'the credential of the pool.',
        _role,
    ),
    Rule(
        'HOST_NOT_LIVE',
        'the host must be live',
        'Start it, or mend its network.',
        lambda facts: '' if facts.known.is_live(facts.ref) else 'not live',
    ),
    Rule(
        'POOL_BUSY',
        'no operation may run on the pool or on the host',
        'Wait for its end, or cancel its task ("xe task-list" on the master).',
        _busy,
    ),
    Rule(
        'LAST_ENABLED',
        'another host of the pool must be enabled',
        'Enable another one first.',
        lambda facts: '' if facts.enabled else 'none',
    ),
    Rule(
        'HA_PLAN',
        'high availability must tolerate that the host is away',
        'Lower ha_host_failures_to_tolerate to {}, or switch high '
        'availability off for the time.',
        _ha_plan,
        fill=lambda facts: str(max(0, len(facts.enabled) - 1)),
    ),
    Rule(
        'LICENCE_RESTRICTION',
        'the licence of the pool must allow guests to move',
        'Apply an edition that allows it (host.apply_edition), or shut the '
        'guests down.',
        _licence,
    ),
    Rule(
        blockers.NO_TARGET,
        'a member of the aggregate must take the guests of the host',
        'Mend what keeps one of them from that.',
        _no_target,
    ),
)


def _others_off(facts: Evacuation) -> str:
    enabled = {host.ref for host in facts.enabled}
    return kinds.listed(
        one.host.name for one in facts.others if one.host.ref not in enabled
    )


def _versions(facts: Evacuation) -> str:
    here = facts.host['software_version']
    return kinds.listed(
        f'{one.host.name} ({found})'
        for one in facts.others
        if (
            found := releases.differ(one.host.record['software_version'], here)
        )
    )


def _wlb(facts: Evacuation) -> str:
    return 'on' if facts.pool.get('wlb_enabled') else ''


def _suspended(facts: Evacuation) -> str:
    """Guests whose memory lies where this host alone can read it."""
    known = facts.known
    found = []
    for vm in known.all('VM'):
        if vm['power_state'] != 'Suspended' or vm['is_a_snapshot']:
            continue
        sr = known.get('VDI', vm['suspend_VDI']).get('SR')
        if {host for one, host in known.plugged if one == sr} == {facts.ref}:
            found.append(kinds.named(vm))
    return kinds.listed(found)


AUTO_POWERON = 'auto_poweron'


def _autostart(facts: Evacuation) -> str:
    """Halted guests that each boot of a host starts, and those to be."""
    if facts.pool['other_config'].get(AUTO_POWERON) != 'true':
        return ''
    return kinds.listed(
        kinds.named(vm)
        for vm in facts.known.all('VM')
        if not vm['is_a_template']
        and not vm['is_a_snapshot']
        and vm['other_config'].get(AUTO_POWERON) == 'true'
        and (vm['power_state'] == 'Halted' or vm['uuid'] in facts.shut_down)
    )


def _advised(facts: Evacuation) -> str:
    """Guests that xapi's own evacuation would refuse, and a move may not."""
    return kinds.listed(
        f'{step.name}: {facts.advice[step.guest.ref]}'
        for step in facts.steps
        if step.target is not None and facts.advice.get(step.guest.ref)
    )


WARNINGS: tuple[Rule, ...] = (
    Rule(
        'HA_ON',
        'high availability should be off while a host is away',
        'Whether its plan is kept is judged again when the host is disabled '
        'and with each move; reboot the host only when it is disabled and '
        'empty.',
        lambda facts: 'on' if facts.pool['ha_enabled'] else '',
    ),
    Rule(
        'MASTER',
        'the host should not be the master',
        'It stays the master: while it restarts the pool takes no calls, and '
        'joins and ejects wait. Make another one the master first '
        '(set_master) if it stays away for long.',
        lambda facts: (
            'that it is' if facts.pool['master'] == facts.ref else ''
        ),
    ),
    Rule(
        'OTHER_IN_MAINTENANCE',
        'all other hosts of the pool should take guests',
        'Look whether what is left bears the failure of a host.',
        _others_off,
    ),
    Rule(
        'VERSIONS_DIFFER',
        'all hosts of the pool should have one version',
        'Guests do not move to an older host, and so not back from a newer '
        'one; update the master first.',
        _versions,
    ),
    Rule(
        upgrades.CODE,
        upgrades.RULE,
        'Upgrade the master first, then all others: until then guests move to '
        'hosts of the same or a newer version alone, so they may not come '
        'back.',
        lambda facts: upgrades.find(facts.pool),
    ),
    Rule(
        'GUIDANCE_PENDING',
        'nothing that an update asks for should be pending on the host',
        'The host cannot be enabled again before that is done.',
        lambda facts: kinds.listed(facts.host.get('pending_guidances') or ()),
    ),
    Rule(
        'WLB_ON',
        'no other balancer should move guests',
        'Workload balancing may move them meanwhile; it moves none to a '
        'disabled host.',
        _wlb,
    ),
    Rule(
        'LOCAL_SUSPEND',
        'no suspended guest should need the storage of the host',
        'It cannot be resumed while the host is away: resume it before, or '
        'leave it suspended.',
        _suspended,
    ),
    Rule(
        'AUTO_POWERON',
        'no boot of a host should start guests that are to stay halted',
        'Take auto_poweron off the pool, or off these guests, for the time.',
        _autostart,
    ),
    Rule(
        'EVACUATION_REFUSED',
        'the evacuation of the pool itself should take all guests too',
        'They are moved one by one here, which that evacuation cannot do; '
        'do not start it by hand.',
        _advised,
    ),
)


class Answer(NamedTuple):
    """What a check found.

    :ivar plan: a step for each guest that would move, the largest first.
    :ivar unknown: what was to be shut down and is no guest on the host.
    :ivar down: a step for each guest that would be shut down.
    :ivar consent: uuids of all guests that have to be named.
    :ivar others: the other hosts of the pool.
    """

    report: preflight.Report
    plan: tuple[planning.Step, ...] = ()
    unknown: tuple[str, ...] = ()
    down: tuple[planning.Step, ...] = ()
    consent: tuple[str, ...] = ()
    others: tuple[hosts.Candidate, ...] = ()

    def of_the_request(self) -> preflight.Report:
        """The report, with what is wrong with the consent that was given."""
        blockers = (*shutdowns.refuse(self.unknown), *self.report.blockers)
        return dataclasses.replace(self.report, blockers=blockers)


def look(
    session: xenapi.Session,
    host: records.Host,
    members: Sequence[records.Host],
    shut_down: Collection[str] = (),
    *,
    hard: bool = False,
    network: str | None = None,
) -> Answer:
    """The same as ``check``, on what a pool shows now, and with its advice.

    A fixed number of calls, whatever is in the pool.

    :param session: at the master.
    :raises failures.HostError: it cannot be told.
    """
    known = facts.read(session)
    ref = find(known, host)
    found = advice.ask(session, ref) if ref else {}
    return check(
        known, host, members, shut_down, found, hard=hard, network=network
    )


def check(
    known: facts.Known,
    host: records.Host,
    members: Sequence[records.Host],
    shut_down: Collection[str] = (),
    advised: Advice | None = None,
    *,
    hard: bool = False,
    prefer: targets.Prefer = targets.no_matter,
    network: str | None = None,
) -> Answer:
    """Every requirement of emptying a host, and where its guests would go.

    :param host: the host that is to be emptied.
    :param members: the hosts of its aggregate, in any phase.
    :param shut_down: uuids of guests that may be shut down, where they cannot
        move; one that is not on the host forbids nothing.
    :param advised: of ``advice.ask``.
    :param hard: whether they may be shut down hard.
    :param network: uuid of that which guests are to move over; None: that of
        the pool.
    """
    ref = find(known, host)
    if ref is None:
        return Answer(preflight.Report(blockers=(blockers.absent(host),)))
    others = hosts.candidates(known, ref, members)
    steps, ledger = planning.plan(known, ref, others, shut_down, prefer)
    moving, down = shutdowns.split(steps, shut_down)
    gone = {step.guest.uuid for step in down}
    found = Evacuation(known, ref, others, moving, gone, advised or {})
    ends = {ref: host.name, **hosts.fit(others)} if moving else {}
    way = ways.Way(known, ref, ends, network)
    report = preflight.Report(
        blockers=(
            *preflight.evaluate(POOL_RULES, found),
            *preflight.evaluate(ways.RULES, way),
            *blockers.find(moving, others, ledger),
            *shutdowns.find(down, hard=hard),
        ),
        warnings=(
            *preflight.evaluate(WARNINGS, found),
            *preflight.evaluate(ways.WARNINGS, way),
        ),
        plan=[step.as_dict() for step in moving],
    )
    return Answer(
        report,
        moving,
        shutdowns.unknown(known, ref, shut_down),
        down,
        shutdowns.consent(steps),
        others,
    )


def find(known: facts.Known, host: records.Host) -> str | None:
    """The reference of a host; None: the pool does not list it."""
    return leaver.find(known.asked, known.records['host'], str(host.uuid))
