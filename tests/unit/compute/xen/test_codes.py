"""Every code of xapi#error-codes has one class, a sentence and a way out."""

import string

import pytest

from aggregates_ext.compute.observation import views
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures

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
    'HA_ABORT_NEW_MASTER',
    'EVENTS_LOST',
    'EVENT_FROM_TOKEN_PARSE_FAILURE',
    'SESSION_NOT_REGISTERED',
]
FINAL = [
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
    'NOT_SUPPORTED_DURING_UPGRADE',
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
    'JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS',
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
    'VM_BAD_POWER_STATE',
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


@pytest.mark.parametrize('code', FINAL)
def test_code_that_does_not_pass_ends_an_operation(code: str) -> None:
    exc = failures.XenAPIError('xen1', code, ('one',))
    failed = outcomes.translate(exc)
    assert isinstance(failed, outcomes.Failed)
    assert failed.error['code'] == code
    assert failed.error['parameters'] == ['one']


@pytest.mark.parametrize('code', PASSING + FINAL)
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
        ('Xapi_pool.Cannot_eject_master', False, 'failed internally'),
        ('Not_found', False, 'xensource.log'),
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
