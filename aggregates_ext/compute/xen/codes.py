"""What the codes that hosts answer mean: a sentence, a remedy, a class.

One place for all of xapi#error-codes (with xapi#emergency, xapi#join-checks
and xapi#operator-faults). A *passing* code heals by itself, so that an
operation rests and tries again; every other one needs somebody, and ends it at
once. Codes of our own that an operation can meet are classed here too; their
texts are with those who raise them.
"""

import errno
import re
from collections.abc import Sequence
from typing import NamedTuple

# A password was refused. Each attempt is counted by the host and may alert
# or lock the account (xapi#operator-fault-14): it is not repeated in haste.
LOGIN_REFUSED = frozenset(
    {'SESSION_AUTHENTICATION_FAILED', 'SESSION_AUTHORIZATION_FAILED'}
)
# Codes of our own that pass; all others of ours do not.
OWN_PASSING = frozenset(
    {
        'ANSWER_LOST',
        'FOREIGN_MARK',
        'GUEST_BUSY',
        'HOST_UNREACHABLE',
        'MACHINES_MOVE',
        'MEMBER_AWAY',
        'NO_MASTER',
        'OTHER_MASTER',
        'POOL_BUSY',
        'POOL_REPLACED',
        'RETRY',
        'TWO_MASTERS',
        'UNDER_WAY',
        'WAITING',
    }
)
# Texts of INTERNAL_ERROR that tell of the connection between two hosts.
_CERTIFICATE = re.compile('verify_error|certificate verify failed', re.I)
_CONNECTION = re.compile(
    'stunnel|connection|no route to host|timed? ?out|Http_client|broken pipe',
    re.I,
)
# What else an operating system says: where it names errors, they decide.
_ERRNO = re.compile(r'\bE[A-Z0-9]{2,15}\b')
_NETWORK = frozenset(
    {
        'ECONNABORTED',
        'ECONNREFUSED',
        'ECONNRESET',
        'EHOSTDOWN',
        'EHOSTUNREACH',
        'ENETDOWN',
        'ENETRESET',
        'ENETUNREACH',
        'ENOTCONN',
        'EPIPE',
        'ETIMEDOUT',
    }
)
# Of a guest that is not where its record says.
_GHOST = re.compile('does not exist in xenopsd')
_FULL = re.compile('ENOSPC|EDQUOT|no space left|disk quota', re.I)
_LOCAL = re.compile(
    'read-only file system|too many open files|permission denied|'
    'no such file|cannot allocate memory|input/output error',
    re.I,
)


class Meaning(NamedTuple):
    """What a code says.

    :ivar sentence: what is wrong; ``{0}`` is the first parameter.
    :ivar remedy: what to do about it; for a passing one: whether anything.
    """

    sentence: str
    remedy: str


def _table(*rows: tuple[str, str, str]) -> dict[str, Meaning]:
    return {
        code: Meaning(sentence, remedy)
        for codes, sentence, remedy in rows
        for code in codes.split()
    }


PASSING = _table(
    (
        'SESSION_INVALID',
        'The session ended.',
        'A new one is made, and all is looked at again before anything is '
        'repeated.',
    ),
    (
        'HOST_STILL_BOOTING',
        'The host is still starting.',
        'It is tried again until it is up.',
    ),
    (
        'HOST_HAS_NO_MANAGEMENT_IP',
        'The host is in emergency mode: its management interface has no '
        'address.',
        'If that lasts, look at DHCP and the cable.',
    ),
    (
        'HOST_MASTER_CANNOT_TALK_BACK',
        'The host is in emergency mode: the master cannot reach it at {0}.',
        'If that lasts, look for a firewall, NAT or a duplicate address '
        'between them.',
    ),
    (
        'HOST_IN_EMERGENCY_MODE',
        'The host is in emergency mode: it has lost its master.',
        'If that lasts, restore its link to the master.',
    ),
    (
        'JOINING_HOST_CONNECTION_FAILED JOINING_HOST_SERVICE_FAILED',
        "The joining host could not talk to the master's management service.",
        'If that lasts, look at the network between them and at xapi on the '
        'master.',
    ),
    (
        'CANNOT_CONTACT_HOST HOST_OFFLINE HOST_NOT_LIVE',
        'The master gets no answer from the host.',
        'If that lasts, start the host or mend its network; one that is '
        'lost for good is removed with remove_host and "force": true.',
    ),
    (
        'GET_HOST_UPDATES_FAILED',
        'The master does not learn from a host what it has installed.',
        'If that lasts, restart the toolstack of the host '
        '("xe-toolstack-restart"), and look at its package manager.',
    ),
    (
        'TLS_CONNECTION_FAILED',
        'A TLS connection between the hosts could not be set up.',
        'If that lasts, compare the clocks of the hosts and refresh their '
        'certificates with "xe host-refresh-server-certificate host=UUID".',
    ),
    (
        'TOO_BUSY TOO_MANY_PENDING_TASKS',
        'The host has too much to do.',
        'It is tried again; if that lasts, "xe task-list" on the master shows '
        'what it does.',
    ),
    (
        'NOT_SUPPORTED_DURING_UPGRADE',
        'An update or a rolling upgrade is under way.',
        'It is tried again when that may have ended; if that lasts, finish '
        'it.',
    ),
    (
        'JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS',
        'Something is under way with machines of the joining host.',
        'It is tried again when that may have ended.',
    ),
    (
        'HOST_EVACUATE_IN_PROGRESS',
        'The host is being evacuated.',
        'It is tried again when that may have ended.',
    ),
    (
        'VM_BAD_POWER_STATE',
        'Machine {0} changed its state meanwhile.',
        'All is looked at again.',
    ),
    (
        'OBJECT_NOLONGER_EXISTS',
        'What it is about does not exist any more.',
        'It is looked up anew.',
    ),
    (
        'OTHER_OPERATION_IN_PROGRESS',
        'Another operation ({2}) is under way on the {0}.',
        'It is tried again; a task that hangs is found with "xe task-list" '
        'on the master and cancelled with "xe task-cancel uuid=UUID".',
    ),
    (
        'HA_ENABLE_IN_PROGRESS HA_DISABLE_IN_PROGRESS '
        'DESIGNATE_NEW_MASTER_IN_PROGRESS CLUSTER_CREATE_IN_PROGRESS '
        'TLS_VERIFICATION_ENABLE_IN_PROGRESS '
        'CONFIGURE_REPOSITORIES_IN_PROGRESS SYNC_UPDATES_IN_PROGRESS '
        'SYNC_BUNDLE_IN_PROGRESS APPLY_UPDATES_IN_PROGRESS',
        'Another operation is under way on the pool.',
        'It is tried again when that may have ended; "xe task-list" on the '
        'master shows it.',
    ),
    (
        'POOL_SECRET_ROTATION_PENDING',
        'The secret of the pool is being changed.',
        'It is tried again; if that lasts, "xe pool-secret-rotate" on the '
        'master finishes it.',
    ),
    (
        'CLUSTERED_SR_DEGRADED',
        'A clustered storage is recovering.',
        'It is tried again; if that lasts, look at "xe cluster-host-list" on '
        'the master.',
    ),
    (
        'HA_ABORT_NEW_MASTER',
        'Another change of the master is under way: {0}.',
        'It is tried again; a host keeps such a promise for ten minutes.',
    ),
    (
        'HANDLE_INVALID UUID_INVALID',
        'That {0} does not exist any more.',
        'It is looked up anew.',
    ),
    (
        'EVENTS_LOST EVENT_FROM_TOKEN_PARSE_FAILURE SESSION_NOT_REGISTERED',
        'What changed at the host was missed.',
        'All is looked at again.',
    ),
)

_UPDATE = (
    'Bring both sides to the same release and update level, the pool '
    'first; an operation is then repeated with retry_operation.'
)
_SHUT_DOWN = 'Shut them down on the joining host, then repeat the request.'
_SETTINGS = (
    'Remove them from the joining host; those of the pool are made on it '
    'after the join.'
)
_SPACE = 'Free some (logs, crash dumps, old updates), then repeat the request.'
_MOVE = 'Shut it down or move it by hand, then repeat the request.'

FINAL = _table(
    (
        'SESSION_AUTHENTICATION_FAILED',
        'The user name or password was not accepted.',
        'Correct the credential in the configuration of the compute '
        'service and send it SIGHUP; a host that was in a pool has the '
        'password of that pool. It is not tried again with the same '
        'password.',
    ),
    (
        'SESSION_AUTHORIZATION_FAILED RBAC_PERMISSION_DENIED '
        'PERMISSION_DENIED USER_IS_NOT_LOCAL_SUPERUSER',
        'The account is valid, but may not manage pools there.',
        'Give it the role pool-operator, or use root.',
    ),
    (
        'HOST_IS_SLAVE',
        'It belongs to a pool led by {0}.',
        'Eject it there first, if it is to be its own.',
    ),
    (
        'HOST_UNKNOWN_TO_MASTER',
        'The host is in emergency mode: its master does not know it.',
        'Use "xe pool-emergency-reset-master master-address=ADDRESS" on it, '
        'with the address of the right master, or "xe pool-emergency-transition-to-master" to make it its own '
        'pool.',
    ),
    (
        'HOST_ITS_OWN_SLAVE',
        'The host is in emergency mode: it is told to follow itself.',
        'Use "xe pool-emergency-transition-to-master" on it.',
    ),
    (
        'HOST_BROKEN',
        'The host is in emergency mode: a change of its role has failed.',
        'Use "xe pool-emergency-transition-to-master" or "xe '
        'pool-emergency-reset-master master-address=ADDRESS" on it.',
    ),
    (
        'HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR',
        'The host is in emergency mode: it is newer than its master ({0}).',
        'Update the master first.',
    ),
    (
        'HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED',
        'The host is in emergency mode: the pool has high availability on, '
        'and the host has it off.',
        'Switch high availability off in the pool, restart the toolstack '
        'of the host ("xe-toolstack-restart"), then switch it on again.',
    ),
    (
        'HOSTS_NOT_COMPATIBLE',
        'The hosts run different products or platform versions.',
        'Install the same product and version on both.',
    ),
    ('HOSTS_NOT_HOMOGENEOUS', 'The hosts differ: {0}.', _UPDATE),
    (
        'POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION '
        'POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA '
        'POOL_JOINING_HOST_MUST_HAVE_SAME_PRODUCT_VERSION',
        'The joining host runs another release ({0}) than the master ({1}).',
        _UPDATE,
    ),
    (
        'HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY',
        'An update on the host still needs a restart.',
        'Restart what the update asks for (host or toolstack), then repeat '
        'the request.',
    ),
    (
        'UPDATEINFO_HASH_MISMATCH',
        'The master has synchronized other updates meanwhile.',
        'Ask again: that installs those.',
    ),
    (
        'APPLY_UPDATES_FAILED GET_UPDATES_FAILED REPOSYNC_FAILED',
        'Its package manager has failed: {all}.',
        'Look at its log, /var/log/xensource.log, and mend it.',
    ),
    (
        'NO_REPOSITORY_ENABLED MULTIPLE_UPDATE_REPOSITORIES_ENABLED '
        'NO_REPOSITORIES_CONFIGURED',
        'The pool has not one repository to be updated from.',
        'Enable one ("xe pool-set-repositories").',
    ),
    (
        'HOST_EVACUATION_IS_REQUIRED',
        'Guests are on the host, and the update asks for a restart of it.',
        'Move them.',
    ),
    (
        'POOL_JOINING_SM_FEATURES_INCOMPATIBLE',
        "A storage driver of the joining host is older than the pool's.",
        _UPDATE,
    ),
    (
        'OPERATION_NOT_ALLOWED',
        'It is not allowed now: {0}.',
        'Change that, then repeat the request.',
    ),
    (
        'LICENCE_RESTRICTION LICENSE_DOES_NOT_SUPPORT_POOLING',
        'The licence does not permit a pool, or one of this size: {0}.',
        'Apply a licence that does, on the joining host and in the pool.',
    ),
    (
        'LICENSE_HOST_POOL_MISMATCH V6D_FAILURE',
        'The licences of host and pool differ: {0}.',
        'Apply the same edition to both with "xe host-apply-edition '
        'edition=EDITION host-uuid=UUID"; products are not mixed.',
    ),
    (
        'FEATURE_RESTRICTED INVALID_EDITION '
        'LICENSE_CANNOT_DOWNGRADE_WHILE_IN_POOL LICENSE_CHECKOUT_ERROR '
        'LICENSE_PROCESSING_ERROR MISSING_CONNECTION_DETAILS',
        'The licence of the host could not be applied: {all}.',
        'Look at its licence server, and at "xe host-license-view '
        'host-uuid=UUID".',
    ),
    (
        'LICENSE_EXPIRED',
        'The licence has expired.',
        'Renew it, then repeat the request.',
    ),
    (
        'JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS',
        'The host leads other hosts; only a stand-alone one can join.',
        'Eject the others first; records of dead ones are removed with "xe '
        'host-forget uuid=UUID".',
    ),
    (
        'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS '
        'JOINING_HOST_CANNOT_HAVE_RUNNING_OR_SUSPENDED_VMS',
        'There are machines on the joining host that are not halted.',
        _SHUT_DOWN,
    ),
    (
        'JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS',
        'The joining host has shared storage attached.',
        'Detach and forget it there; the storage of the pool is attached '
        'after the join.',
    ),
    (
        'POOL_JOINING_HOST_HAS_BONDS',
        'The joining host has bonded interfaces.',
        _SETTINGS,
    ),
    (
        'POOL_JOINING_HOST_HAS_TUNNELS',
        'The joining host has tunnels.',
        _SETTINGS,
    ),
    (
        'POOL_JOINING_HOST_HAS_NETWORK_SRIOVS',
        'The joining host has SR-IOV networks.',
        _SETTINGS,
    ),
    (
        'POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS',
        'The joining host has VLANs beside that of its management.',
        _SETTINGS,
    ),
    (
        'POOL_JOINING_HOST_MUST_HAVE_PHYSICAL_MANAGEMENT_NIC '
        'POOL_JOINING_HOST_MUST_ONLY_HAVE_PHYSICAL_PIFS',
        'The joining host has interfaces that are not physical ones.',
        _SETTINGS,
    ),
    (
        'POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH',
        'The management networks use different VLANs: {0} on the joining '
        'host, {1} in the pool (-1 means untagged).',
        'Move the management interface of the joining host to the VLAN of '
        'the pool.',
    ),
    (
        'POOL_JOINING_EXTERNAL_AUTH_MISMATCH',
        'The directories (Active Directory) of host and pool differ.',
        'Join the host to the directory of the pool, or leave it.',
    ),
    (
        'POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH',
        'Certificates are verified on one side only.',
        'Use "xe pool-enable-tls-verification" where it is off; an eject '
        'switches it off.',
    ),
    (
        'POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT',
        'Both sides have a CA certificate of one name that differs: {all}.',
        'Remove it from the joining host with '
        '"xe pool-uninstall-ca-certificate name=NAME".',
    ),
    (
        'POOL_JOINING_HOST_TRUSTED_CERTIFICATES_CONFLICT',
        'Both sides trust one certificate for different purposes.',
        'Remove it from the joining host with '
        '"xe pool-uninstall-ca-certificate name=NAME".',
    ),
    (
        'POOL_JOINING_MASTER_CERTIFICATE_NOT_IN_POOL_BUNDLE '
        'POOL_JOINING_POOL_BUNDLE_EMPTY_AFTER_IMPORT',
        'The internal certificates of the pool are incomplete.',
        'Use "xe host-refresh-server-certificate host=UUID" for every host '
        'of the pool and "xe pool-certificate-sync", then repeat the request.',
    ),
    (
        'CLUSTERING_ENABLED',
        'Storage clustering is on at the joining host.',
        'Switch it off there.',
    ),
    (
        'POOL_JOINING_POOL_CANNOT_ENABLE_CLUSTERING_ON_VLAN_NETWORK '
        'POOL_JOINING_HOST_MUST_HAVE_ONLY_ONE_IP_ON_CLUSTERING_NETWORK',
        "The network of the pool's storage cluster does not fit the host.",
        'Give the host exactly one address on that network, which must not '
        'be a VLAN.',
    ),
    (
        'HA_IS_ENABLED',
        'High availability is on.',
        'Switch it off in the pool with "xe pool-ha-disable", and on again '
        'afterwards.',
    ),
    (
        'HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN',
        'High availability could no longer protect its machines.',
        'Switch it off, or lower the number of failures to tolerate.',
    ),
    (
        'HA_LOST_STATEFILE',
        'The host does not reach the state file of high availability, without '
        'which the whole pool could be lost.',
        'Mend the storage that has it ("xe pool-param-get uuid=UUID '
        'param-name=ha-statefiles"), or switch high availability off for the '
        'time.',
    ),
    (
        'HOST_DISABLED',
        'The host is in maintenance.',
        'Enable it with "xe host-enable uuid=UUID", then repeat the request.',
    ),
    (
        'HOST_NOT_DISABLED',
        'The host is not in maintenance.',
        'Disable it first with "xe host-disable uuid=UUID".',
    ),
    (
        'HOST_DISABLED_UNTIL_REBOOT HOST_DISABLED_INDEFINITELY',
        'The host stays disabled until it is rebooted or enabled by hand.',
        'Reboot it, or use "xe host-enable uuid=UUID".',
    ),
    (
        'HOST_IS_LIVE',
        'The host is still running.',
        'Take it out with remove_host without "force", which ejects it.',
    ),
    (
        'HOST_CANNOT_DESTROY_SELF',
        'A host cannot forget itself.',
        'Forget it on the master of the pool.',
    ),
    (
        'HOST_IN_USE',
        'The host is still in use, by {1} {2}.',
        'Remove that, then repeat the request.',
    ),
    (
        'OUT_OF_SPACE',
        'There is no space left on the host: {0}.',
        _SPACE,
    ),
    (
        'CHANGE_PASSWORD_REJECTED',
        'The host did not take the password of the pool: {0}.',
        'Look at the rules for passwords on the host.',
    ),
    (
        'SSL_VERIFY_ERROR',
        'The hosts do not trust the certificates of each other: {0}.',
        'Use "xe host-refresh-server-certificate host=UUID" for both, then '
        'repeat the request.',
    ),
    (
        'TLS_VERIFICATION_NOT_ENABLED_IN_POOL',
        'The pool does not verify certificates.',
        'Use "xe pool-enable-tls-verification" in it.',
    ),
    (
        'REPOSITORY_CLEANUP_FAILED',
        'The host could not remove its update repositories, which a join '
        'does near its end.',
        '/var/log/xensource.log of the host names the directory that is '
        'missing or cannot be written: make it, then repeat the request.',
    ),
    (
        'XAPI_HOOK_FAILED XENAPI_MISSING_PLUGIN XENAPI_PLUGIN_FAILURE',
        'A hook or a plug-in of the host failed: {all}.',
        'Mend that script below /etc/xapi.d on the host, or remove it, then '
        'repeat the request.',
    ),
    (
        'OPERATION_PARTIALLY_FAILED',
        'A part of it failed: {0}.',
        'Mend what /var/log/xensource.log of the host names, then repeat the '
        'request.',
    ),
    (
        'NOT_A_CODE',
        'That is no error of XenAPI: {0}.',
        'Look at what answers at the address of the host.',
    ),
    (
        'HOST_HAS_RESIDENT_VMS',
        'Machines are still recorded on this host.',
        'Migrate them, or say that they are halted with "xe '
        'vm-reset-powerstate uuid=UUID force=true".',
    ),
    (
        'NO_HOSTS_AVAILABLE',
        'No other enabled host can take its machines.',
        'Enable another host, or shut machines down.',
    ),
    (
        'HOST_NOT_ENOUGH_FREE_MEMORY',
        'The other hosts lack memory.',
        'Shut machines down, or add a host.',
    ),
    (
        'HOST_EVACUATE_VM_NOT_HA_PROTECTED',
        'Machine {0} is not protected by high availability and blocks the '
        'evacuation.',
        'Switch high availability off for the time, or shut it down.',
    ),
    (
        'VM_REQUIRES_SR VM_REQUIRES_NETWORK '
        'VM_INCOMPATIBLE_WITH_THIS_HOST VM_HAS_PCI_ATTACHED VM_HAS_VGPU '
        'VM_HAS_VUSBS VM_HAS_SRIOV_VIF VM_LACKS_FEATURE '
        'VM_MISSING_PV_DRIVERS VM_IS_IMMOBILE VM_NON_SUSPENDABLE '
        'VM_REQUIRES_GPU VM_REQUIRES_IOMMU OPERATION_BLOCKED',
        'Machine {0} cannot be moved.',
        _MOVE,
    ),
    (
        'CANNOT_EVACUATE_HOST',
        'Some machines cannot leave the host: {all}.',
        _MOVE,
    ),
    (
        'VDI_IN_USE PBD_EXISTS SR_HAS_PBD',
        'Storage on the host is still in use: {0}.',
        'Detach it (an ISO in a drive counts too), then repeat the request.',
    ),
    (
        'TASK_CANCELLED',
        'Somebody cancelled it at the host.',
        'Repeat the request.',
    ),
    (
        'MESSAGE_METHOD_UNKNOWN MESSAGE_PARAMETER_COUNT_MISMATCH '
        'MESSAGE_REMOVED MESSAGE_DEPRECATED NOT_IMPLEMENTED',
        'This release of the hypervisor does not know the call.',
        'Update the host to a release that is supported.',
    ),
    (
        'MAP_DUPLICATE_KEY INVALID_VALUE VALUE_NOT_SUPPORTED '
        'EVENT_SUBSCRIPTION_PARSE_FAILURE FIELD_TYPE_ERROR '
        'XMLRPC_UNMARSHAL_FAILURE',
        'The host does not take the value: {all}.',
        'Repeat the request; if it is refused again, report it.',
    ),
)

_STORAGE = Meaning(
    'Storage of the host fails or is still in use: {all}.',
    'Look at "xe pbd-list host-uuid=UUID" and at /var/log/SMlog of the host; '
    'detach or mend it there, then repeat the request.',
)
_BUNDLE = Meaning(
    'The hosts do not trust the certificates of each other: {0}.',
    FINAL['POOL_JOINING_POOL_BUNDLE_EMPTY_AFTER_IMPORT'].remedy,
)
_TROUBLE = Meaning(
    'The hosts could not talk to each other: {0}.',
    'If that lasts, look at the network between them.',
)
_INTERNAL = Meaning(
    'The hypervisor failed internally: {0}.',
    'Its own log (/var/log/xensource.log) tells more: mend what it names, '
    'then repeat the request.',
)
_ELSEWHERE = Meaning(
    'The guest is not on the host that its record says: {0}.',
    'A toolstack has ended while it was on the move, so it may run on another '
    'host: do not start it. With high availability off, restart the toolstack '
    'of the host that its record says ("xe-toolstack-restart"), and only then '
    'that of the host where it runs ("xl list").',
)
_BUSY = Meaning(
    'Another operation is under way.', 'It is tried again when that ended.'
)
_DISK = Meaning('A disk of the host is full: {0}.', _SPACE)
# Kinds of codes, by what they begin with; a code in a table is more exact.
# Every one of them needs somebody.
_KINDS = (
    ('SR_ VDI_ PBD_ VBD_ DEVICE_ SM_PLUGIN_', _STORAGE),
    (
        'PIF_ NETWORK_ VLAN_ BRIDGE_ INCOMPATIBLE_PIF_ INTERFACE_ '
        'REQUIRED_PIF_ SLAVE_REQUIRES_MANAGEMENT_',
        Meaning(
            'An interface or a network of the host is in the way: {all}.',
            'Mend or remove it on the host ("xe pif-list host-uuid=UUID"), '
            'then repeat the request.',
        ),
    ),
    (
        'VM_ VGPU_ PGPU_ HOST_NOT_ENOUGH_',
        Meaning('A machine cannot be moved: {all}.', _MOVE),
    ),
    (
        'AUTH_ POOL_AUTH_ SUBJECT_',
        Meaning(
            'The directory (Active Directory) of the host cannot be used: '
            '{all}.',
            'Join the host to it anew, or let it leave ("xe '
            'pool-disable-external-auth"), then repeat the request.',
        ),
    ),
    (
        'CERTIFICATE_ SERVER_CERTIFICATE_ TRUSTED_CERTIFICATE_ CRL_ '
        'NOT_TRUSTED_CERTIFICATE',
        Meaning(
            'A certificate of the host or the pool does not do: {all}.',
            'Compare the clocks, and look at "xe certificate-list".',
        ),
    ),
    (
        'CLUSTER_ CLUSTERED_ CLUSTERING_ NO_CLUSTER_ NO_COMPATIBLE_CLUSTER_',
        Meaning(
            'The storage cluster is not in order: {all}.',
            'Look at "xe cluster-list" and "xe cluster-host-list".',
        ),
    ),
    (
        'HA_',
        Meaning(
            'High availability is in the way: {all}.',
            'Switch it off in the pool, and on again afterwards.',
        ),
    ),
)
_OTHER = Meaning(
    'This service does not know that code.',
    'Look it up in the manual of the hypervisor and in '
    '/var/log/xensource.log of the host, then repeat the request.',
)


def is_known(code: str) -> bool:
    """Whether a code is in this table, and no secret that looks like one."""
    return code in PASSING or code in FINAL or code == 'INTERNAL_ERROR'


def passes(code: str, parameters: Sequence[str] = ()) -> bool:
    """Whether what a code tells of heals by itself.

    :param parameters: of the answer; INTERNAL_ERROR is told by its text.
    """
    if code == 'INTERNAL_ERROR':
        return meaning(code, parameters) is _TROUBLE
    return (
        code in PASSING or code in OWN_PASSING or code.endswith('_IN_PROGRESS')
    )


def meaning(code: str, parameters: Sequence[str] = ()) -> Meaning:
    """What a code of XenAPI says; one that is unknown says nothing."""
    known = PASSING.get(code) or FINAL.get(code)
    if known is not None:
        return known
    if code == 'INTERNAL_ERROR':
        return _internal(' '.join(parameters))
    if code.endswith('_IN_PROGRESS'):
        return _BUSY
    for beginnings, kind in _KINDS:
        if code.startswith(tuple(beginnings.split())):
            return kind
    return _OTHER


def _internal(text: str) -> Meaning:
    """What a text of INTERNAL_ERROR says (xapi#internal-errors)."""
    if _CERTIFICATE.search(text):
        return _BUNDLE
    if _GHOST.search(text):
        return _ELSEWHERE
    if _FULL.search(text):
        return _DISK
    named = set(_ERRNO.findall(text)) & set(errno.errorcode.values())
    if named or _LOCAL.search(text):
        return _TROUBLE if named and named <= _NETWORK else _INTERNAL
    return _TROUBLE if _CONNECTION.search(text) else _INTERNAL


def explain(code: str, parameters: Sequence[str] = ()) -> Meaning:
    """What an answer says, with its values."""
    found = meaning(code, parameters)
    # What an older release leaves out is not known.
    values = [*parameters, *['unknown'] * 3]
    sentence = found.sentence.format(
        *values, all=', '.join(parameters) or 'unknown'
    )
    return Meaning(sentence.replace('..', '.'), found.remedy)
