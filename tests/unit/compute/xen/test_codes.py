"""Every code of xapi#error-codes has one class, a sentence and a way out."""

import pathlib
import re
import string
from typing import Any

import pytest

from aggregates_ext.compute.observation import views
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures
from tests.unit.compute.rules import rule_tables

DOCUMENT = pathlib.Path(__file__).parents[4] / 'doc/source/xapi/errors.rst'
# What a code calls for there, and whether it passes.
CALLS = {
    'never': False,
    'state': False,
    'version': False,
    'wait': True,
    'lost': True,
}

# xapi#error-codes, by whether trying again can ever help; xapi#emergency tells
# which emergencies end by themselves.
PASSING = [
    'SESSION_INVALID',
    'HOST_STILL_BOOTING',
    'HOST_HAS_NO_MANAGEMENT_IP',
    'HOST_MASTER_CANNOT_TALK_BACK',
    'HOST_IN_EMERGENCY_MODE',
    'JOINING_HOST_CONNECTION_FAILED',
    'JOINING_HOST_SERVICE_FAILED',
    'CANNOT_CONTACT_HOST',
    'HOST_OFFLINE',
    'GET_HOST_UPDATES_FAILED',
    'HOST_NOT_LIVE',
    'TLS_CONNECTION_FAILED',
    'HANDLE_INVALID',
    'UUID_INVALID',
    'HA_ENABLE_IN_PROGRESS',
    'HA_DISABLE_IN_PROGRESS',
    'DESIGNATE_NEW_MASTER_IN_PROGRESS',
    'CLUSTER_CREATE_IN_PROGRESS',
    'TLS_VERIFICATION_ENABLE_IN_PROGRESS',
    'CONFIGURE_REPOSITORIES_IN_PROGRESS',
    'SYNC_UPDATES_IN_PROGRESS',
    'SYNC_BUNDLE_IN_PROGRESS',
    'APPLY_UPDATES_IN_PROGRESS',
    'OTHER_OPERATION_IN_PROGRESS',
    'POOL_SECRET_ROTATION_PENDING',
    'CLUSTERED_SR_DEGRADED',
    'HA_ABORT_NEW_MASTER',
    'EVENTS_LOST',
    'EVENT_FROM_TOKEN_PARSE_FAILURE',
    'SESSION_NOT_REGISTERED',
    'TOO_BUSY',
    'TOO_MANY_PENDING_TASKS',
    'NOT_SUPPORTED_DURING_UPGRADE',
    'JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS',
    'HOST_EVACUATE_IN_PROGRESS',
    'VM_BAD_POWER_STATE',
    'OBJECT_NOLONGER_EXISTS',
]
FINAL = [
    'UPDATEINFO_HASH_MISMATCH',
    'APPLY_UPDATES_FAILED',
    'GET_UPDATES_FAILED',
    'REPOSYNC_FAILED',
    'NO_REPOSITORY_ENABLED',
    'MULTIPLE_UPDATE_REPOSITORIES_ENABLED',
    'NO_REPOSITORIES_CONFIGURED',
    'HOST_EVACUATION_IS_REQUIRED',
    'SESSION_AUTHENTICATION_FAILED',
    'SESSION_AUTHORIZATION_FAILED',
    'RBAC_PERMISSION_DENIED',
    'HOST_IS_SLAVE',
    'HOST_UNKNOWN_TO_MASTER',
    'HOST_ITS_OWN_SLAVE',
    'HOST_BROKEN',
    'HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR',
    'HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED',
    'HOSTS_NOT_COMPATIBLE',
    'HOSTS_NOT_HOMOGENEOUS',
    'POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION',
    'POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA',
    'POOL_JOINING_HOST_MUST_HAVE_SAME_PRODUCT_VERSION',
    'HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY',
    'POOL_JOINING_SM_FEATURES_INCOMPATIBLE',
    'OPERATION_NOT_ALLOWED',
    'LICENCE_RESTRICTION',
    'LICENSE_HOST_POOL_MISMATCH',
    'LICENSE_DOES_NOT_SUPPORT_POOLING',
    'LICENSE_EXPIRED',
    'V6D_FAILURE',
    'JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS',
    'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS',
    'JOINING_HOST_CANNOT_HAVE_RUNNING_OR_SUSPENDED_VMS',
    'JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS',
    'POOL_JOINING_HOST_HAS_BONDS',
    'POOL_JOINING_HOST_HAS_TUNNELS',
    'POOL_JOINING_HOST_HAS_NETWORK_SRIOVS',
    'POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS',
    'POOL_JOINING_HOST_MUST_HAVE_PHYSICAL_MANAGEMENT_NIC',
    'POOL_JOINING_HOST_MUST_ONLY_HAVE_PHYSICAL_PIFS',
    'POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH',
    'POOL_JOINING_EXTERNAL_AUTH_MISMATCH',
    'POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH',
    'POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT',
    'POOL_JOINING_HOST_TRUSTED_CERTIFICATES_CONFLICT',
    'POOL_JOINING_MASTER_CERTIFICATE_NOT_IN_POOL_BUNDLE',
    'POOL_JOINING_POOL_BUNDLE_EMPTY_AFTER_IMPORT',
    'CLUSTERING_ENABLED',
    'POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK',
    'POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK',
    'HA_IS_ENABLED',
    'HA_LOST_STATEFILE',
    'HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN',
    'HOST_DISABLED',
    'HOST_NOT_DISABLED',
    'HOST_DISABLED_UNTIL_REBOOT',
    'HOST_DISABLED_INDEFINITELY',
    'HOST_IS_LIVE',
    'HOST_HAS_RESIDENT_VMS',
    'NO_HOSTS_AVAILABLE',
    'HOST_NOT_ENOUGH_FREE_MEMORY',
    'HOST_EVACUATE_VM_NOT_HA_PROTECTED',
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
    'CANNOT_EVACUATE_HOST',
    'VDI_IN_USE',
    'PBD_EXISTS',
    'SR_HAS_PBD',
    'SR_BACKEND_FAILURE_46',
    'TASK_CANCELLED',
    'MESSAGE_METHOD_UNKNOWN',
    'MESSAGE_PARAMETER_COUNT_MISMATCH',
    'MESSAGE_REMOVED',
    'MESSAGE_DEPRECATED',
    'NOT_IMPLEMENTED',
    'MAP_DUPLICATE_KEY',
    'INVALID_VALUE',
    'VALUE_NOT_SUPPORTED',
    'PERMISSION_DENIED',
    'USER_IS_NOT_LOCAL_SUPERUSER',
    'FEATURE_RESTRICTED',
    'INVALID_EDITION',
    'LICENSE_CANNOT_DOWNGRADE_WHILE_IN_POOL',
    'LICENSE_CHECKOUT_ERROR',
    'LICENSE_PROCESSING_ERROR',
    'MISSING_CONNECTION_DETAILS',
    'HOST_CANNOT_DESTROY_SELF',
    'HOST_IN_USE',
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
    'EVENT_SUBSCRIPTION_PARSE_FAILURE',
    'FIELD_TYPE_ERROR',
    'XMLRPC_UNMARSHAL_FAILURE',
]
# Told by what they begin with.
KINDS = [
    'SR_NOT_ATTACHED',
    'SM_PLUGIN_COMMUNICATION_FAILURE',
    'DEVICE_DETACH_TIMEOUT',
    'PIF_CONFIGURATION_ERROR',
    'NETWORK_UNMANAGED',
    'PIF_NOT_PRESENT',
    'REQUIRED_PIF_IS_UNPLUGGED',
    'INTERFACE_HAS_NO_IP',
    'SLAVE_REQUIRES_MANAGEMENT_INTERFACE',
    'VM_MIGRATE_FAILED',
    'VM_HOST_INCOMPATIBLE_VERSION_MIGRATE',
    'HOST_NOT_ENOUGH_PCPUS',
    'POOL_AUTH_ENABLE_FAILED_UNAVAILABLE',
    'AUTH_SERVICE_ERROR',
    'SUBJECT_CANNOT_BE_RESOLVED',
    'SERVER_CERTIFICATE_EXPIRED',
    'CERTIFICATE_ALREADY_EXISTS',
    'NOT_TRUSTED_CERTIFICATE',
    'CLUSTER_HOST_NOT_JOINED',
    'NO_CLUSTER_HOSTS_REACHABLE',
    'HA_CANNOT_CHANGE_BOND_STATUS_OF_MGMT_IFACE',
    'HA_HOST_IS_ARMED',
    'HA_TOO_FEW_HOSTS',
]


def fields(text: str) -> set[str]:
    """What a sentence names of the parameters."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize('code', PASSING)
def test_code_that_passes_makes_an_operation_rest(code: str) -> None:
    exc = failures.XenAPIError('xen1', code, ('one', 'two', 'three'))
    obstacle = outcomes.translate(exc)
    assert isinstance(obstacle, outcomes.Postpone)
    assert obstacle.error == {
        'code': code,
        'parameters': ['one', 'two', 'three'],
        'message': str(exc),
    }


@pytest.mark.parametrize('code', FINAL + KINDS)
def test_code_that_does_not_pass_ends_an_operation(code: str) -> None:
    exc = failures.XenAPIError('xen1', code, ('one',))
    failed = outcomes.translate(exc)
    assert isinstance(failed, outcomes.Failed)
    assert failed.error['code'] == code
    assert failed.error['parameters'] == ['one']


@pytest.mark.parametrize('code', PASSING + FINAL + KINDS)
def test_message_has_a_sentence_and_a_way_out(code: str) -> None:
    meaning = codes.meaning(code)
    assert meaning.sentence.endswith('.'), meaning
    assert meaning.remedy.endswith('.'), meaning
    assert fields(meaning.sentence) <= {'0', '1', '2', 'all'}
    # An older release gives fewer parameters, or none.
    bare = str(failures.XenAPIError('xen1', code, ()))
    assert bare.startswith(f'Host xen1 answered {code}: ')
    assert meaning.remedy in bare
    assert '{' not in bare


def test_no_code_is_in_both_classes_or_left_untested() -> None:
    assert not set(codes.PASSING) & set(codes.FINAL)
    assert set(codes.PASSING) == set(PASSING)
    assert set(codes.FINAL) == set(FINAL) - {'SR_BACKEND_FAILURE_46'}


def test_every_emergency_is_classed() -> None:
    assert set(codes.PASSING) | set(codes.FINAL) >= views.STARTING_CODES


@pytest.mark.parametrize(
    ('text', 'passes', 'says'),
    [
        ('Connection failed: connection refused.', True, 'talk to each'),
        ('Stunnel_binary_missing', True, 'talk to each'),
        ('Unix.Unix_error(Unix.ECONNRESET, "read", "")', True, 'network'),
        (
            'Stunnel.Stunnel_verify_error("certificate verify failed")',
            False,
            'xe host-refresh-server-certificate',
        ),
        ('Unix.Unix_error(Unix.ECONNREFUSED, "connect", "")', True, 'network'),
        ('Unix.Unix_error(Unix.EHOSTUNREACH, "connect", "")', True, 'network'),
        ('Unix.Unix_error(Unix.ENETUNREACH, "connect", "")', True, 'network'),
        ('Unix.Unix_error(Unix.ETIMEDOUT, "read", "")', True, 'network'),
        ('Unix.Unix_error(Unix.EPIPE, "write", "")', True, 'network'),
        ('Unix.Unix_error(Unix.ENOSPC, "write", "")', False, 'full'),
        ('Unix.Unix_error(Unix.EDQUOT, "write", "")', False, 'full'),
        ('Unix.Unix_error(Unix.EROFS, "open", "/x")', False, 'internally'),
        ('Unix.Unix_error(Unix.EIO, "write", "")', False, 'internally'),
        ('Unix.Unix_error(Unix.EMFILE, "socket", "")', False, 'internally'),
        ('Unix.Unix_error(Unix.ENOENT, "open", "/x")', False, 'internally'),
        ('Unix.Unix_error(Unix.ENOMEM, "fork", "")', False, 'internally'),
        # What it was about when it failed is not why it failed.
        (
            'Unix.Unix_error(Unix.ENOSPC, "write", "/var/stunnel.log")',
            False,
            'full',
        ),
        ('connection database: No space left on device', False, 'full'),
        ('stunnel: Read-only file system', False, 'internally'),
        ('Http_client.Http_error("503", "x")', True, 'network'),
        ('ELEPHANT: broken pipe', True, 'network'),
        ('Xapi_pool.Cannot_eject_master', False, 'failed internally'),
        ('Not_found', False, 'xensource.log'),
        (
            'Object with type VM and id x/config does not exist in xenopsd',
            False,
            'do not start it',
        ),
    ],
)
def test_internal_error_is_judged_by_its_text(
    text: str, passes: bool, says: str
) -> None:
    assert codes.passes('INTERNAL_ERROR', (text,)) is passes
    message = str(failures.XenAPIError('xen1', 'INTERNAL_ERROR', (text,)))
    assert says in message


def test_unknown_code_is_final_unless_it_says_it_passes() -> None:
    assert not codes.passes('SOMETHING_NEW')
    assert codes.passes('REPAIR_IN_PROGRESS')
    assert 'answered SOMETHING_NEW (a)' in str(
        failures.XenAPIError('xen1', 'SOMETHING_NEW', ('a',))
    )


def test_braces_of_a_host_are_taken_as_they_are() -> None:
    exc = failures.XenAPIError('xen1', 'OPERATION_NOT_ALLOWED', ('{0} {x}',))
    assert 'not allowed now: {0} {x}.' in str(exc)


# Documents and rules say of each code what this table says.


def told_in_documents() -> dict[str, str]:
    """Each code of xapi#error-codes, with what it calls for."""
    found: dict[str, str] = {}
    for row in re.split(r'^   \* - ', DOCUMENT.read_text(), flags=re.M):
        cells = row.split('\n     - ')
        if len(cells) != 3 or cells[1].strip() not in CALLS:
            continue
        found |= dict.fromkeys(
            re.findall('``([A-Z][A-Z0-9_]+)``', cells[0]), cells[1].strip()
        )
    return found


TOLD = told_in_documents()


@pytest.mark.parametrize('code', sorted(TOLD))
def test_document_says_of_a_code_whether_it_passes(code: str) -> None:
    assert codes.passes(code) is CALLS[TOLD[code]]


def test_every_code_is_in_the_document() -> None:
    """Some by the end of their name, or by their kind."""
    ends = [code for code in codes.FINAL if '_JOINING_' in f'_{code}']
    kinds = [code for code in codes.FINAL if code.startswith('VM_')]
    ours = {'NOT_A_CODE', *ends, *kinds}
    assert {*codes.PASSING, *codes.FINAL} - TOLD.keys() - ours == set()


RULES = [
    (title, rule)
    for title, rules in rule_tables.SECTIONS.items()
    if not title.startswith('Worth knowing')
    for rule in rules
]


@pytest.mark.parametrize(('title', 'rule'), RULES)
def test_operation_does_what_its_rule_says(title: str, rule: Any) -> None:
    """It rests where the rule heals, and ends where it does not.

    A rule has no word of its own in that; what a check found is refused as
    what xapi would have answered.
    """
    problem = preflight.Problem(rule.code, 'rule', 'x', 'y.', rule.heals)
    refused = outcomes.refuse('It:', preflight.Report((problem,)))
    rests = isinstance(refused, outcomes.Postpone)
    assert rests is rule.heals is codes.passes(rule.code)
    if isinstance(refused, outcomes.Postpone):
        error = refused.error
        assert codes.passes(error['code'], error['parameters'])


def test_what_an_operation_is_said_to_wait_for_passes() -> None:
    """doc/source/admin.rst tells what to do about each."""
    text = (DOCUMENT.parents[1] / 'admin.rst').read_text()
    part = text.split('\nan operation rests\n')[1].split('``INTERNAL``')[0]
    told = re.findall('``([A-Z][A-Z0-9_]+)``', part)
    assert len(told) > 5
    assert [code for code in told if not codes.passes(code)] == []
