"""What has to be so before a host goes down or is started.

``host.reboot`` and ``host.shutdown`` do not ask for guests (xapi#reboots), so
nothing but these rules stands before them.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from aggregates_ext.compute.rules import moves
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules import upgrades
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import xenapi

REBOOT, SHUTDOWN, STARTUP = ACTIONS = ('reboot', 'shutdown', 'startup')
CLASSES = ('pool', 'host', 'host_metrics', 'VM')
# What an update may ask for instead of a reboot; nobody can ask for it alone.
RESTART = 'restart_toolstack'
# As it is asked for by the repair of a move (design#moves-repaired).
REPAIR = 'repair'
# The members of storage clusters, which older releases do not have.
MEMBERS = 'Cluster_host'
# The label of the task of a clustered SR that is not whole yet.
RECOVERING = 'SR Recovering'
STATEFILE = 'STATEFILE'
# What stays in the operations of a host that goes down until it is back.
GOING_DOWN = frozenset({'reboot', 'shutdown'})
Read = Mapping[str, preflight.Records]
Fields = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Powering:
    """A host that is to go down, or to be started.

    :ivar asked: name of the host that was asked, for messages.
    :ivar records: what its master shows, by class.
    :ivar ref: its reference.
    """

    asked: str
    records: Read
    ref: str

    @property
    def pool(self) -> dict[str, Any]:
        """:raises OddAnswer: there is none, or several."""
        found: dict[str, Any]
        _ref, found = fields.only(self.asked, 'pool', self.records['pool'])
        return found

    @property
    def host(self) -> dict[str, Any]:
        return self.records['host'][self.ref]

    @property
    def is_master(self) -> bool:
        return bool(self.pool['master'] == self.ref)

    @property
    def is_live(self) -> bool:
        """Whether it is, as its master knows."""
        return self.lives(self.ref)

    def lives(self, ref: str) -> bool:
        """Whether a host is live, as its master knows."""
        metrics = self.records['host'][ref]['metrics']
        found = self.records['host_metrics'].get(metrics, {})
        return bool(found.get('live'))

    @property
    def others_enabled(self) -> set[str]:
        """The uuids of the other hosts that take guests."""
        return {
            host['uuid']
            for ref, host in self.records['host'].items()
            if ref != self.ref and host['enabled']
        }

    @property
    def members(self) -> set[str]:
        """The hosts of the storage cluster, by reference, if it is of one."""
        found = {
            member['host']
            for member in self.records.get(MEMBERS, {}).values()
            if member['enabled']
        }
        return found if self.ref in found else set()

    @property
    def boot_time(self) -> str:
        """When its machine has booted, as it is written; empty: not told."""
        return str(self.host['other_config'].get('boot_time', ''))

    @property
    def agent_start_time(self) -> str:
        """When its xapi has started, as it is written; empty: not told."""
        return str(self.host['other_config'].get('agent_start_time', ''))

    @property
    def operations(self) -> frozenset[str]:
        """What is under way on the host."""
        return frozenset(self.host['current_operations'].values())


def read(
    session: xenapi.Session, uuid: str | None, *, guests: bool = True
) -> Powering | None:
    """What a pool shows of a host: one call a class.

    The tasks, which are many, are read of a storage cluster alone.

    :param session: at the master.
    :param uuid: of the host.
    :param guests: whether guests are read, which no rule does without.
    :returns: None: the pool does not list it.
    """
    names = [name for name in CLASSES if guests or name != 'VM']
    records = {name: session.records(name) for name in names}
    records[MEMBERS] = session.records_if_known(MEMBERS)
    if records[MEMBERS]:
        records['task'] = session.records('task')
    for ref, host in records['host'].items():
        if host['uuid'] == uuid:
            return Powering(session.host, records, ref)
    return None


Rule = preflight.Rule[Powering]


def _guests(facts: Powering) -> str:
    """Guests that are on the host, or on their way to it."""
    return text.listed(
        f'"{fields.shown(vm, "name_label")}"'
        for vm in facts.records['VM'].values()
        if not vm['is_control_domain']
        and (
            vm['scheduled_to_be_resident_on'] == facts.ref
            or (
                vm['resident_on'] == facts.ref
                and vm['power_state'] != 'Halted'
            )
        )
    )


def _busy(facts: Powering) -> str:
    running = set(facts.pool['current_operations'].values())
    return text.listed(
        [f'{name} of the pool' for name in sorted(running)]
        + [f'{name} of the host' for name in sorted(facts.operations)]
    )


def _cluster_down(facts: Powering) -> str:
    """Other hosts of its storage cluster that do not count for its quorum."""
    down = [
        fields.shown(facts.records['host'][ref], 'name_label')
        for ref in facts.members - {facts.ref}
        if ref in facts.records['host'] and not facts.lives(ref)
    ]
    return text.listed(sorted(down))


def _recovering(facts: Powering) -> str:
    if not facts.members:
        return ''
    tasks = facts.records.get('task', {}).values()
    found = [task for task in tasks if task['name_label'] == RECOVERING]
    return f'{len(found)} task(s) "{RECOVERING}"' if found else ''


def _under_ha(facts: Powering) -> str:
    return 'on' if facts.pool['ha_enabled'] else ''


def _master_under_ha(facts: Powering) -> str:
    return _under_ha(facts) if facts.is_master else ''


def has_lost_statefile(pool: Fields, host: Fields) -> bool:
    """Whether a host does not reach the state file of high availability.

    What it reaches its master writes down (xapi#ha-statefile).
    """
    armed = pool['ha_enabled'] and pool.get('ha_statefiles')
    return bool(armed) and host.get('ha_statefiles') == []


def _statefile(facts: Powering) -> str:
    lost = has_lost_statefile(facts.pool, facts.host)
    return 'that it does not' if lost else ''


def _master(facts: Powering) -> str:
    return 'that it is' if facts.is_master else ''


HOST_DOWN = Rule(
    'HOST_DOWN',
    'the host must be live',
    'Start it: "startup", or at its console.',
    lambda facts: '' if facts.is_live else 'not live',
)
POOL_BUSY = Rule(
    'POOL_BUSY',
    'no operation may run on the pool or on the host',
    'Wait for its end, or cancel its task ("xe task-list" on the master).',
    _busy,
)
MOVES = Rule(
    moves.CODE,
    moves.RULE,
    moves.REMEDY,
    lambda facts: moves.find(facts.records['VM']),
)
NO_BOOT_TIME = Rule(
    'BOOT_TIME_UNKNOWN',
    'the host must tell when it has booted',
    'Nothing else proves a boot: restart its toolstack, which writes '
    'other_config:boot_time.',
    lambda facts: '' if facts.boot_time else 'no other_config:boot_time',
)
DOWN_RULES: tuple[Rule, ...] = (
    Rule(
        'HOST_NOT_EMPTY',
        'no guest may be on the host, or come to it',
        'Move them, or shut them down: a reboot would halt them. '
        '"enter_maintenance" moves them.',
        _guests,
    ),
    Rule(
        'HOST_NOT_DISABLED',
        'the host must be disabled in its pool',
        'Take it into maintenance again ("reapply").',
        lambda facts: 'enabled' if facts.host['enabled'] else '',
    ),
    HOST_DOWN,
    Rule(
        'MASTER_UNDER_HA',
        'the master must not go down with high availability on',
        'Another host would become the master, and stay it. Switch high '
        'availability off for the time.',
        _master_under_ha,
    ),
    Rule(
        STATEFILE,
        'the host must reach the state file of high availability',
        'Mend that storage first, or switch high availability off: while no '
        'host reaches it, one failure ends the pool.',
        _statefile,
    ),
    POOL_BUSY,
    Rule(
        'CLUSTERED_SR',
        'no other host of the storage cluster of the host may be down',
        'Start it: the others could lose their quorum, and with it their '
        'storage and all guests. One that is lost for good is taken out of '
        'the cluster ("xe cluster-host-force-destroy").',
        _cluster_down,
    ),
    Rule(
        'CLUSTERED_SR_DEGRADED',
        'no clustered storage of the host may be recovering',
        'Wait for the end of its task; if that lasts, look at "xe '
        'cluster-host-list" on the master.',
        _recovering,
    ),
    MOVES,
    NO_BOOT_TIME,
)
STAYS_MASTER = Rule(
    'HOST_IS_MASTER',
    'the master must not be shut down',
    'A pool without its master takes no calls, so nobody here could start '
    'it again. Make another host the master first (set_master).',
    _master,
)
UP_RULES: tuple[Rule, ...] = (
    Rule(
        'HOST_IS_LIVE',
        'a host that is to be started must not be live',
        'If it was switched off just now, its master believes it for up to '
        'ten minutes: ask again then.',
        lambda facts: 'live' if facts.is_live else '',
    ),
    Rule(
        'HOST_POWER_ON_MODE_DISABLED',
        'its pool must know how to switch the host on',
        'Set it on the master ("xe host-set-power-on-mode"), or start the '
        'host by hand.',
        lambda facts: '' if facts.host['power_on_mode'] else 'no mode',
    ),
    MOVES,
    NO_BOOT_TIME,
)
HA_OFF = Rule(
    'HA_ON',
    'high availability must be off while a toolstack starts again',
    'It could fence the host. Let it be switched off for the time: '
    '"suspend_ha": true.',
    _under_ha,
)
REPAIR_RULES: tuple[Rule, ...] = (
    HOST_DOWN,
    POOL_BUSY,
    MOVES,
    Rule(
        'HA_ON',
        'high availability must be off while a move is repaired',
        'Its guest is recorded as halted for a while, so it could be started '
        'a second time. Switch it off for the time ("xe pool-ha-disable").',
        _under_ha,
    ),
)
RULES = {
    REBOOT: DOWN_RULES,
    REPAIR: REPAIR_RULES,
    RESTART: (*DOWN_RULES, HA_OFF),
    SHUTDOWN: (*DOWN_RULES, STAYS_MASTER),
    STARTUP: UP_RULES,
}
_RESTARTS = Rule(
    'MASTER',
    'the host should not be the master',
    'While it restarts the pool takes no calls, and joins, removals and '
    'moves wait.',
    _master,
)
_HA_ON = Rule(
    'HA_ON',
    'high availability should be off while a host is away',
    'One failure less is tolerated for the time.',
    _under_ha,
)
_NO_WAY_UP = Rule(
    'POWER_ON_MODE',
    'its pool should know how to switch the host on again',
    'Set it on the master ("xe host-set-power-on-mode"), or start the host '
    'by hand.',
    lambda facts: '' if facts.host['power_on_mode'] else 'no mode',
)
_AUTOSTART = Rule(
    'AUTO_POWERON',
    'no boot of a host should start guests that are to stay halted',
    'Take auto_poweron off the pool, or off these guests, for the time.',
    lambda facts: (
        'auto_poweron of the pool'
        if facts.pool['other_config'].get('auto_poweron') == 'true'
        else ''
    ),
)
_UPGRADE = Rule(
    upgrades.CODE,
    upgrades.RULE,
    'Upgrade the master first, then all others: a host that starts with a '
    'newer version than the master stays away.',
    lambda facts: upgrades.find(facts.pool),
)
WARNINGS: dict[str, tuple[Rule, ...]] = {
    REBOOT: (_RESTARTS, _HA_ON, _AUTOSTART, _UPGRADE),
    SHUTDOWN: (_HA_ON, _NO_WAY_UP),
    STARTUP: (_AUTOSTART, _UPGRADE),
    RESTART: (),
    REPAIR: (),
}
ALL_WARNINGS = (_RESTARTS, _HA_ON, _NO_WAY_UP, _AUTOSTART, _UPGRADE)


def check(
    found: Powering | None, uuid: str | None, action: str
) -> preflight.Report:
    """Every requirement of one action.

    :param found: of ``read``.
    :param uuid: of the host, for messages.
    :param action: one of ``ACTIONS``, ``RESTART`` or ``REPAIR``.
    """
    if found is None:
        return preflight.Report(
            blockers=(
                preflight.Problem(
                    'NOT_IN_POOL',
                    'only a host that the pool lists goes down or starts here',
                    f'uuid {uuid} not listed',
                    'GET /os-aggregates/ID/pool shows what is in the pool.',
                ),
            )
        )
    return preflight.Report(
        preflight.evaluate(RULES[action], found),
        preflight.evaluate(WARNINGS[action], found),
    )
