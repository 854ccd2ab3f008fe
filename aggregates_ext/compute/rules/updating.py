"""What has to be so before the hosts of a pool are updated (design#updates)."""

import dataclasses
import math
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import updates
from aggregates_ext.compute.xen import xenapi

Records = preflight.Records
Problem = preflight.Problem
# What an update asks for that is a restart of the host, or of its toolstack.
REBOOTS = ('reboot_host', 'RebootHost')
RESTARTS = (*REBOOTS, 'restart_toolstack', 'RestartToolstack')
# What is asked of guests.
RESTARTS_OF_GUESTS = ('restart_vm', 'RestartVM')
GUIDANCE = (
    'pending_guidances',
    'pending_guidances_recommended',
    'pending_guidances_full',
)
# When a tool has installed packages on a host of XCP-ng, and when that has
# booted: keys of other_config, in seconds.
INSTALLED, BOOTED = 'rpm_patch_installation_time', 'boot_time'
BY_HAND = 'UPDATED_BY_HAND'
MASTER_FIRST = 'MASTER_FIRST'
READINESS = 'pool.check_update_readiness'
SYNC = 'pool.sync_updates'
# What it tells that rules of a restart tell with names.
_TOLD = frozenset({'HA_IS_ENABLED', 'HOST_OFFLINE'})
_CALLS = {True: (updates.CALL,), False: ('host.apply_updates', READINESS)}


@dataclasses.dataclass(frozen=True)
class Updating:
    """A pool whose hosts are to be updated.

    :ivar hosts: all that are in it, by reference.
    :ivar repositories: that its master mirrors.
    :ivar master: the reference of its master.
    :ivar enabled: references of those repositories that are in use; None:
        its release knows none.
    :ivar permissions: what the account may do; None: everything.
    :ivar pending: what hosts would install, by reference: those that are
        meant, and the master.
    :ivar meant: references of those that are meant.
    :ivar syncs: whether its master is to synchronize before.
    """

    hosts: Records
    repositories: Records
    master: str
    enabled: tuple[str, ...] | None = ()
    permissions: frozenset[str] | None = None
    pending: Mapping[str, updates.Pending] = dataclasses.field(
        default_factory=dict
    )
    meant: frozenset[str] = frozenset()
    syncs: bool = False

    @property
    def is_xcp_ng(self) -> bool:
        return all(updates.is_xcp_ng(host) for host in self.hosts.values())

    @property
    def sources(self) -> list[Mapping[str, Any]]:
        """The repositories in use that have updates."""
        used = (self.repositories.get(ref, {}) for ref in self.enabled or ())
        return [record for record in used if record.get('update')]

    @property
    def hash(self) -> str:
        """What is to be installed, as XenServer names it; empty: nothing."""
        return str(self.sources[0]['hash']) if self.sources else ''


def read(
    session: xenapi.Session,
    hosts: Records,
    pool: Mapping[str, Any],
    permissions: frozenset[str] | None,
) -> Updating:
    """How a pool gets its updates.

    :param session: at the master.
    """
    enabled = pool.get('repositories')
    return Updating(
        hosts,
        session.records_if_known('Repository'),
        pool['master'],
        None if enabled is None else tuple(enabled),
        permissions,
    )


Rule = preflight.Rule[Updating]


def _foreign(facts: Updating) -> str:
    """Hosts that are not updated by what the others are updated by."""
    if facts.is_xcp_ng or facts.enabled is not None:
        return ''
    return text.listed(
        {
            str(host['software_version'].get('product_version', 'unknown'))
            for host in facts.hosts.values()
        }
    )


def _role(facts: Updating) -> str:
    if facts.permissions is None:
        return ''
    wanted = (*_CALLS[facts.is_xcp_ng], *((SYNC,) if facts.syncs else ()))
    return text.listed(
        call for call in wanted if call.lower() not in facts.permissions
    )


def _unsynced(facts: Updating) -> str:
    if facts.is_xcp_ng or facts.enabled is None:
        return ''
    if len(facts.sources) != 1:
        return f'{len(facts.sources)} repositories with updates in use'
    if facts.hash or facts.syncs:
        return ''
    return 'a repository that was never synchronized'


RULES: tuple[Rule, ...] = (
    Rule(
        'UPDATES_NOT_KNOWN',
        'the pool must get updates from repositories of its master '
        '(XenServer 8), or each host from its own (XCP-ng)',
        'Update it as its product wants that, and ask for "rolling_reboot" '
        'with "pause": "before_reboot".',
        _foreign,
    ),
    Rule(
        'RBAC_PERMISSION_DENIED',
        'the account at the master must be allowed to install updates',
        'Use an account with the role pool-operator for XenServer, '
        'pool-admin for XCP-ng: correct the credential of the pool.',
        _role,
    ),
    Rule(
        'NO_REPOSITORY_ENABLED',
        'the master must have synchronized one repository with updates',
        'Enable one ("xe pool-set-repositories"), and let it synchronize: '
        '"sync": true.',
        _unsynced,
    ),
)


def _master_left_out(facts: Updating) -> str:
    lacks = facts.pending.get(facts.master, updates.Pending()).packages
    if not lacks or facts.master in facts.meant:
        return ''
    return f'{len(lacks)} updates of the master that it is not to get'


def _waiting(facts: Updating) -> str:
    """Hosts that take no update before they have done what one asks for."""
    return text.listed(
        fields.shown(facts.hosts[ref], 'name_label')
        for ref in facts.meant
        if facts.pending.get(ref, updates.Pending()).packages
        and facts.hosts[ref].get('pending_guidances')
    )


def by_hand(left_out: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """That hosts may wait for a reboot of which nothing tells.

    :param left_out: hosts that ask for none.
    """
    silent = [host for host in left_out if updates.is_xcp_ng(host)]
    if silent:
        yield Problem(
            BY_HAND,
            'a host should tell that it waits for a reboot',
            text.listed(fields.shown(host, 'name_label') for host in silent)
            + ' left out',
            'XCP-ng tells nothing of packages that were installed by hand: '
            'where they were, ask without "only_if_needed", and name these '
            'hosts.',
        )


PENDING_RULES: tuple[Rule, ...] = (
    Rule(
        MASTER_FIRST,
        'no host may be newer than the master',
        'Name the master among the hosts, or update it first.',
        _master_left_out,
    ),
    Rule(
        'HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY',
        'what an earlier update asks for must be done before the next one',
        'Restart these hosts first: "rolling_reboot" with "hosts".',
        _waiting,
    ),
)


def check(session: xenapi.Session, facts: Updating) -> Iterator[Problem]:
    """What forbids an update that the rules of a restart do not tell.

    :param session: at the master.
    :param facts: with what is pending.
    """
    yield from preflight.evaluate(PENDING_RULES, facts)
    if facts.is_xcp_ng:
        return
    [pool] = session.records('pool')
    for said in _readiness(session, pool):
        code, *about = map(str, said)
        if code not in _TOLD:
            yield Problem(
                code,
                'the pool must be ready to be updated',
                text.listed(about) or 'that it is not',
                codes.explain(code, about).remedy,
            )


def _readiness(session: xenapi.Session, pool: str) -> list[list[Any]]:
    """Why the master would not update, as codes with parameters."""
    answer = session.call(READINESS, pool, False)
    if isinstance(answer, list) and all(
        isinstance(said, list) and said for said in answer
    ):
        return answer
    raise failures.OddAnswer(
        host=session.host, what=f'the answer to {READINESS} is no such list'
    )


def needs_reboot(host: Mapping[str, Any]) -> bool:
    """Whether an update of a host asks for a reboot.

    Of XCP-ng that is known only where a tool has written down when it has
    installed packages, as Xen Orchestra does (xapi#updated-by-hand).
    """
    older = host.get('updates_requiring_reboot') or ()
    if older or wants(host, REBOOTS):
        return True
    told = host['other_config']
    installed = _seconds(told.get(INSTALLED))
    booted = _seconds(told.get(BOOTED))
    if installed is None or booted is None:
        return False
    return installed > booted


def _seconds(told: object) -> float | None:
    """A moment as hosts write it into other_config, in seconds."""
    try:
        found = float(str(told))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def wants(record: Mapping[str, Any], words: tuple[str, ...]) -> bool:
    """Whether an update asks for something, after it was installed.

    :param record: of a host, or of a guest.
    :param words: how that begins.
    """
    return any(asked.startswith(words) for asked in guidances(record))


def guidances(record: Mapping[str, Any]) -> Iterator[str]:
    """What updates still ask for, the most urgent first.

    :param record: of a host, or of a guest.
    :raises OddAnswer: it is not known.
    """
    for name in GUIDANCE:
        yield from map(str, record.get(name) or ())
