"""What a message says to do is done, and the request then succeeds.

For each code whose situation can be made here: it is made, the refusal is
seen, the remedy is carried out as the message words it, and the request is
repeated. An ``xe`` command is the XenAPI call behind it. ``NOT_CARRIED_OUT``
has every other code, with the reason.
"""

import contextlib
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

import pytest

from aggregates_ext import conf as options
from aggregates_ext.compute.rules import bindings
from aggregates_ext.compute.rules.joining import requirements
from aggregates_ext.compute.rules.leaving import (
    requirements as leaving_requirements,
)
from aggregates_ext.compute.xen import codes
from tests.functional import byhand
from tests.functional import service
from tests.functional import test_credentials
from tests.functional import test_enabling
from tests.functional.xensim import test_join_checks_all as checks

TLS = 'pool.enable_tls_verification'
Service = service.Service
Act = Callable[[Service], object]


class Case(NamedTuple):
    """A situation and the way out of it.

    :ivar says: the remedy, in words of the message.
    :ivar remedy: the same, carried out.
    :ivar request: that is refused: add or remove xen2.
    :ivar members: the hosts that are in the aggregate before.
    """

    code: str
    situation: Act
    says: str
    remedy: Act
    request: str = 'add'
    members: tuple[str, ...] = ('xen1',)


def call(host: str, method: str, *params: Any) -> Act:
    """A call of XenAPI, as ``xe`` would make it there."""

    def act(running: Service) -> None:
        with contextlib.closing(running.login(host)) as session:
            session.call(method, *params)

    return act


def on(host: str, class_: str, name: str, method: str, *params: Any) -> Act:
    """A call about the record of a class that has a name."""

    def act(running: Service) -> None:
        with contextlib.closing(running.login(host)) as session:
            (ref,) = session.call(f'{class_}.get_by_name_label', name)
            session.call(method, ref, *params)

    return act


def on_host(master: str, host: str, method: str) -> Act:
    """A call about a host, which its pool is asked."""

    def act(running: Service) -> None:
        with contextlib.closing(running.login(master)) as session:
            uuid = running.sim.host(host).uuid
            ref = session.call('host.get_by_uuid', uuid)
            session.call(method, ref)

    return act


def then(*acts: Act) -> Act:
    """One after another."""

    def act(running: Service) -> None:
        for each in acts:
            each(running)

    return act


def wait(running: Service) -> None:
    running.clock.advance(byhand.WHILE)


def state(change: Callable[[Any], object]) -> Act:
    """A situation of the simulated world."""
    return lambda running: change(running.sim)


def vm(power_state: str = 'Running') -> Act:
    return lambda running: running.sim.add_vm('xen2', 'web', power_state)


def disk(running: Service) -> None:
    running.sim.add_sr('xen2', 'data', vdis=[{'name': 'customer'}])


def two_purposes(running: Service) -> None:
    for host, purpose in (('xen1', 'nbd'), ('xen2', 'insecure_nbd')):
        running.sim.add_record(
            host, 'network', name_label='storage', purpose=[purpose]
        )


def stale_record(running: Service) -> None:
    """What an earlier attempt has left in the pool."""
    running.sim.add_record(
        'xen1',
        'host',
        uuid=running.sim.host('xen2').uuid,
        name_label='xen2',
        hostname='xen2',
        edition='xcp-ng',
        metrics=running.sim.add_record('xen1', 'host_metrics'),
    )


def dead_other(running: Service) -> None:
    """The joining host leads a pool, whose other host is dead."""
    byhand.join(running, 'xen3', 'xen2')
    running.sim.power_off('xen3')
    wait(running)


def led_by_another(running: Service) -> None:
    byhand.join(running, 'xen2', 'xen3')


def set_password(password: str) -> Act:
    """The account that xen2 alone has, with a password."""

    def act(running: Service) -> None:
        running.conf.set_override('password', password, 'xenserver:own')

    return act


def own_account(running: Service) -> None:
    """xen2 has an account of its own, whose password is wrong."""
    configure('own')(running)
    set_password('wrong')(running)
    running.hosts.change('xen2', {'credential': 'own'})


def configure(name: str) -> Act:
    """List a credential, and set its user name and password."""

    def act(running: Service) -> None:
        known = running.conf.xenserver.credentials
        running.conf.set_override('credentials', [*known, name], 'xenserver')
        group = options.register_credential(running.conf, name)
        host = running.sim.host('xen2')
        running.conf.set_override('username', host.username, group)
        running.conf.set_override('password', host.password, group)

    return act


def unknown_account(running: Service) -> None:
    running.hosts.change('xen2', {'credential': 'other'})


def wrong_url(running: Service) -> None:
    running.hosts.change('xen2', {'url': 'http://127.0.0.1:1'})


def right_url(running: Service) -> None:
    running.hosts.change('xen2', {'url': running.sim.host('xen2').url})


def disable_others(running: Service) -> None:
    """Nobody can take over from a master."""
    on_host('xen2', 'xen1', 'host.disable')(running)


def give_up_disks(running: Service) -> None:
    """What the refusal shows is given up by name."""
    (key,) = (a.id for a in running.aggregates.get_all())
    disks = running.error(key)['parameters']['disks']
    running.hosts.accept_data_loss('xen2', list(disks), 'operator')


CASES = [
    Case(
        'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS',
        vm(),
        'Shut them down',
        on('xen2', 'VM', 'web', 'VM.hard_shutdown'),
    ),
    Case(
        'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS',
        vm('Suspended'),
        'Shut them down',
        on('xen2', 'VM', 'web', 'VM.hard_shutdown'),
    ),
    Case(
        'HA_IS_ENABLED',
        state(checks.pool('xen2', ha_enabled=True)),
        'xe pool-ha-disable',
        call('xen2', 'pool.disable_ha'),
    ),
    Case(
        'HA_IS_ENABLED',
        state(checks.pool('xen1', ha_enabled=True)),
        'xe pool-ha-disable',
        call('xen1', 'pool.disable_ha'),
    ),
    Case(
        'POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH',
        state(checks.pool('xen1', tls_verification_enabled=False)),
        TLS,
        call('xen1', TLS),
    ),
    Case(
        'JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS',
        dead_other,
        'xe host-forget uuid=UUID',
        on_host('xen2', 'xen3', 'host.destroy'),
    ),
    Case(
        'HOST_IS_SLAVE',
        led_by_another,
        'Eject it there first',
        # The join switches on what the eject has switched off.
        lambda running: byhand.eject(running, 'xen2', 'xen3'),
    ),
    Case(
        'STALE_RECORD',
        stale_record,
        'Restart the toolstack of the host first',
        then(
            on_host('xen2', 'xen2', 'host.restart_agent'),
            wait,
            on_host('xen1', 'xen2', 'host.destroy'),
        ),
    ),
    Case(
        'SESSION_AUTHENTICATION_FAILED',
        own_account,
        'Correct the credential',
        set_password('secret'),
    ),
    Case(
        'CREDENTIAL_UNKNOWN',
        unknown_account,
        'List it in [xenserver] credentials',
        configure('other'),
    ),
    Case(
        'HOST_IS_MASTER',
        disable_others,
        'Mend what keeps one of them',
        on_host('xen2', 'xen1', 'host.enable'),
        'remove',
        ('xen2', 'xen1'),
    ),
    Case(
        'HA_IS_ENABLED',
        state(checks.pool('xen1', ha_enabled=True)),
        'Switch it off',
        call('xen1', 'pool.disable_ha'),
        'remove',
        ('xen1', 'xen2'),
    ),
    Case(
        'OPERATION_NOT_ALLOWED',
        vm(),
        'or shut them down',
        on('xen1', 'VM', 'web', 'VM.hard_shutdown'),
        'remove',
        ('xen1', 'xen2'),
    ),
    Case(
        'DATA_LOSS',
        disk,
        'accept_data_loss',
        give_up_disks,
        'remove',
        ('xen1', 'xen2'),
    ),
]

# What no call of the simulator can mend, or nobody has to.
HEALS = 'it passes by itself: test_waits and test_preflight'
NO_CALL = 'the simulator knows the state, and not the calls that end it'
NO_STATE = 'the simulator has no such state; its code is planted elsewhere'
INSTALL = 'another release or a machine of its own has to be installed'
LATER = 'xapi answers it in a call that no request here leads to'
NOT_CARRIED_OUT = {
    **dict.fromkeys(codes.PASSING, HEALS),
    'MACHINES_MOVE': HEALS,
    'HOST_NOT_FREE': 'refused before it is queued: test_requests',
    'ZONE_MISMATCH': 'refused before it is queued: test_requests',
    'NOT_A_MEMBER': 'refused before it is queued: test_requests',
    'REPLICAS_LOST': 'the consent is that of DATA_LOSS: test_storage_guard',
    'ADDRESS_CLASH': INSTALL,
    **dict.fromkeys(
        [
            'APPLY_UPDATES_FAILED',
            'HOST_EVACUATION_IS_REQUIRED',
            'NO_REPOSITORY_ENABLED',
            'UPDATEINFO_HASH_MISMATCH',
        ],
        'of no join or removal: test_updates',
    ),
    **dict.fromkeys(
        [
            'GET_UPDATES_FAILED',
            'MULTIPLE_UPDATE_REPOSITORIES_ENABLED',
            'NO_REPOSITORIES_CONFIGURED',
            'REPOSYNC_FAILED',
        ],
        'of repositories, which are not simulated in such depth',
    ),
    'HA_LOST_STATEFILE': 'of no join or removal: test_power',
    **dict.fromkeys(
        [
            'LICENCE_RESTRICTION',
            'LICENSE_HOST_POOL_MISMATCH',
            'V6D_FAILURE',
            'CLUSTERING_ENABLED',
            'POOL_JOINING_EXTERNAL_AUTH_MISMATCH',
            'POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK',
            'POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK',
            'JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS',
            'POOL_JOINING_HOST_HAS_BONDS',
            'POOL_JOINING_HOST_HAS_TUNNELS',
            'POOL_JOINING_HOST_HAS_NETWORK_SRIOVS',
            'POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS',
            'POOL_JOINING_HOST_MUST_HAVE_PHYSICAL_MANAGEMENT_NIC',
            'POOL_JOINING_HOST_MUST_ONLY_HAVE_PHYSICAL_PIFS',
            'POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH',
            'POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT',
            'POOL_JOINING_HOST_TRUSTED_CERTIFICATES_CONFLICT',
            'HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY',
            'VDI_IN_USE',
            'RBAC_PERMISSION_DENIED',
        ],
        NO_CALL,
    ),
    **dict.fromkeys(
        [
            'HOSTS_NOT_COMPATIBLE',
            'HOSTS_NOT_HOMOGENEOUS',
            'POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION',
            'POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA',
            'POOL_JOINING_HOST_MUST_HAVE_SAME_PRODUCT_VERSION',
            'POOL_JOINING_SM_FEATURES_INCOMPATIBLE',
            'HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR',
        ],
        INSTALL,
    ),
    **dict.fromkeys(
        [
            'HOST_UNKNOWN_TO_MASTER',
            'HOST_ITS_OWN_SLAVE',
            'HOST_BROKEN',
            'HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED',
            'SESSION_AUTHORIZATION_FAILED',
            'PERMISSION_DENIED',
            'USER_IS_NOT_LOCAL_SUPERUSER',
            'LICENSE_DOES_NOT_SUPPORT_POOLING',
            'FEATURE_RESTRICTED',
            'INVALID_EDITION',
            'LICENSE_CANNOT_DOWNGRADE_WHILE_IN_POOL',
            'LICENSE_CHECKOUT_ERROR',
            'LICENSE_PROCESSING_ERROR',
            'MISSING_CONNECTION_DETAILS',
            'LICENSE_EXPIRED',
            'POOL_JOINING_MASTER_CERTIFICATE_NOT_IN_POOL_BUNDLE',
            'POOL_JOINING_POOL_BUNDLE_EMPTY_AFTER_IMPORT',
            'JOINING_HOST_CANNOT_HAVE_RUNNING_OR_SUSPENDED_VMS',
            'HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN',
            'OUT_OF_SPACE',
            'CHANGE_PASSWORD_REJECTED',
            'SSL_VERIFY_ERROR',
            'TLS_VERIFICATION_NOT_ENABLED_IN_POOL',
            'REPOSITORY_CLEANUP_FAILED',
            'XAPI_HOOK_FAILED',
            'XENAPI_MISSING_PLUGIN',
            'XENAPI_PLUGIN_FAILURE',
            'OPERATION_PARTIALLY_FAILED',
            'NOT_A_CODE',
            'TASK_CANCELLED',
            'MESSAGE_METHOD_UNKNOWN',
            'MESSAGE_PARAMETER_COUNT_MISMATCH',
            'MESSAGE_REMOVED',
            'MESSAGE_DEPRECATED',
            'NOT_IMPLEMENTED',
            'MAP_DUPLICATE_KEY',
            'INVALID_VALUE',
            'VALUE_NOT_SUPPORTED',
            'EVENT_SUBSCRIPTION_PARSE_FAILURE',
            'FIELD_TYPE_ERROR',
            'XMLRPC_UNMARSHAL_FAILURE',
            'PBD_EXISTS',
            'SR_HAS_PBD',
            'HOST_IN_USE',
        ],
        NO_STATE,
    ),
    **dict.fromkeys(
        [
            'HOST_DISABLED',
            'HOST_NOT_DISABLED',
            'HOST_DISABLED_UNTIL_REBOOT',
            'HOST_DISABLED_INDEFINITELY',
            'HOST_CANNOT_DESTROY_SELF',
            'HOST_IS_LIVE',
            'HOST_HAS_RESIDENT_VMS',
            'NO_HOSTS_AVAILABLE',
            'HOST_NOT_ENOUGH_FREE_MEMORY',
            'HOST_EVACUATE_VM_NOT_HA_PROTECTED',
            'CANNOT_EVACUATE_HOST',
            'VM_REQUIRES_SR',
            'VM_REQUIRES_NETWORK',
            'VM_INCOMPATIBLE_WITH_THIS_HOST',
            'VM_HAS_PCI_ATTACHED',
            'VM_HAS_VGPU',
            'VM_HAS_VUSBS',
            'VM_HAS_SRIOV_VIF',
            'VM_LACKS_FEATURE',
            'VM_MISSING_PV_DRIVERS',
            'VM_IS_IMMOBILE',
            'VM_NON_SUSPENDABLE',
            'VM_REQUIRES_GPU',
            'VM_REQUIRES_IOMMU',
            'OPERATION_BLOCKED',
        ],
        LATER,
    ),
}


def ask(running: Service, key: int, request: str) -> str:
    """Make the request, and wait; how it ended."""
    act = {
        'add': running.members.add_host,
        'remove': running.members.remove_host,
    }[request]
    act(running.ctx, key, 'xen2')
    return running.settle(key)


@pytest.mark.parametrize(
    'case', CASES, ids=lambda case: f'{case.request} {case.code}'
)
def test_what_a_message_says_to_do_helps(running: Service, case: Case) -> None:
    key = running.create(*case.members)
    case.situation(running)
    assert ask(running, key, case.request) == 'failed'
    error = running.error(key)
    assert error['code'] == case.code, error
    assert case.says in error['message']
    case.remedy(running)
    wait(running)
    assert ask(running, key, case.request) == 'succeeded', running.error(key)


@pytest.mark.parametrize(
    ('trouble', 'says', 'remedy'),
    [
        (
            lambda running: running.sim.power_off('xen2'),
            'Start it',
            lambda running: running.sim.power_on('xen2'),
        ),
        (wrong_url, '--url', right_url),
    ],
)
def test_what_a_resting_operation_says_to_do_helps(
    running: Service, trouble: Act, says: str, remedy: Act
) -> None:
    key = running.create('xen1')
    trouble(running)
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    error = running.operation(key).error
    assert error is not None
    assert error['code'] == 'HOST_UNREACHABLE'
    assert says in error['message']
    remedy(running)
    wait(running)
    running.retries.retry(running.ctx, key, running.operation(key).uuid)
    assert running.settle(key) == 'succeeded', running.error(key)


@test_credentials.openssl
def test_a_certificate_that_nobody_knows_is_registered_as_it_is_told(
    make_service: Callable[..., Service],
) -> None:
    running = make_service(
        {'tls': True, 'hosts': [{'name': 'xen1'}, {'name': 'xen2'}]}
    )
    key = running.aggregates.create('pool', None).id
    running.members.add_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'failed'
    error = running.error(key)
    assert error['code'] == 'TLS_REFUSED'
    assert 'host set xen2 --fingerprint SHA256' in error['message']
    seen = test_credentials.fingerprint(running, 'xen2')
    running.hosts.change('xen2', {'fingerprint': seen})
    running.members.add_host(running.ctx, key, 'xen2')
    assert running.settle(key) == 'succeeded', running.error(key)


def lose_master(running: Service) -> None:
    running.sim.power_off('xen1')
    wait(running)


def another_leads(running: Service) -> None:
    byhand.promote(running, 'xen2')
    byhand.recover(running, 'xen2')


def forget(running: Service) -> None:
    (key,) = (a.id for a in running.aggregates.get_all())
    running.members.remove_host(running.ctx, key, 'xen2', force=True)
    assert running.settle(key) == 'succeeded', running.error(key)


def action(name: str) -> Act:
    """An action of the API."""

    def act(running: Service) -> None:
        (key,) = (a.id for a in running.aggregates.get_all())
        getattr(running.pools, name)(running.ctx, key)
        assert running.settle(key) == 'succeeded', running.error(key)

    return act


def expect_master(running: Service) -> None:
    """The aggregate follows the new master, and the old one is away."""
    (key,) = (a.id for a in running.aggregates.get_all())
    found = byhand.codes(running, key)
    assert 'NO_MASTER' not in found, found
    running.members.remove_host(running.ctx, key, 'xen1', force=True)
    assert running.settle(key) == 'succeeded', running.error(key)
    action('adopt')(running)


def disable_and_enable_by_hand(running: Service) -> None:
    """A host is to be disabled, and somebody enables it."""
    test_enabling.ask(running, 'xen2')
    test_enabling.enable_by_hand(running, 'xen2')


# What an observation shows: a change by hand, its code, the way out.
DRIFT: list[tuple[str, Act, str, Act]] = [
    (
        'NO_MASTER',
        lose_master,
        'pool-emergency-transition-to-master',
        then(another_leads, expect_master),
    ),
    (
        'MEMBER_DEAD',
        lambda running: running.sim.power_off('xen2'),
        'remove_host and "force": true',
        forget,
    ),
    (
        'MEMBER_DEAD',
        lambda running: running.sim.power_off('xen2'),
        'Start it',
        lambda running: running.sim.power_on('xen2'),
    ),
    (
        'LABEL',
        state(checks.pool('xen1', name_label='by hand')),
        '"adopt"',
        action('adopt'),
    ),
    (
        'LABEL',
        state(checks.pool('xen1', name_label='by hand')),
        '"reapply"',
        action('reapply'),
    ),
    (
        'MARK_LOST',
        lambda running: byhand.set_mark(running, 'xen1', None),
        '"adopt" and "reapply"',
        action('adopt'),
    ),
    (
        'FOREIGN_MARK',
        lambda running: byhand.set_mark(running, 'xen1', 'x'),
        'remove the mark',
        then(
            lambda running: byhand.set_mark(running, 'xen1', None),
            action('reapply'),
        ),
    ),
    (
        'MASTER_CHANGED',
        lambda running: byhand.designate(running, 'xen2', 'xen1'),
        '"adopt" keeps it',
        action('adopt'),
    ),
    (
        'HOST_JOINED',
        lambda running: byhand.join(running, 'xen3', 'xen1'),
        '"adopt" makes it a member',
        action('adopt'),
    ),
    (
        'MEMBER_MISSING',
        lambda running: byhand.eject(running, 'xen2', 'xen1'),
        '"adopt" lets it go',
        action('adopt'),
    ),
    (
        'HOST_ENABLED',
        disable_and_enable_by_hand,
        '"reapply" disables it again',
        action('reapply'),
    ),
    (
        'HOST_ENABLED',
        disable_and_enable_by_hand,
        '"adopt" leaves it enabled',
        action('adopt'),
    ),
]


@pytest.mark.parametrize(
    ('code', 'change', 'says', 'remedy'),
    DRIFT,
    ids=[f'{code} {says}' for code, _change, says, _remedy in DRIFT],
)
def test_what_drift_says_to_do_helps(
    running: Service, code: str, change: Act, says: str, remedy: Act
) -> None:
    key = running.create('xen1', 'xen2')
    change(running)
    running.watch(key, byhand.WHILE)
    found = {d.code: d.message for d in running.aggregates.get(key).drift}
    assert code in found, found
    assert says in found[code]
    remedy(running)
    for _ in range(3):
        running.watch(key, byhand.WHILE)
    assert running.aggregates.get(key).drift == ()
    assert running.state(key) == 'active'


def test_every_code_is_in_one_of_the_tables() -> None:
    tables = (
        bindings.ADD_RULES,
        bindings.REMOVE_RULES,
        requirements.JOIN_RULES,
        requirements.FIRST_RULES,
        leaving_requirements.LEAVE_RULES,
        leaving_requirements.LAST_RULES,
    )
    every = {rule.code for table in tables for rule in table}
    every |= {*codes.PASSING, *codes.FINAL}
    carried = {case.code for case in CASES}
    assert every - carried - set(NOT_CARRIED_OUT) == set()
    assert carried & set(NOT_CARRIED_OUT) == set()
    assert all(NOT_CARRIED_OUT.values())
