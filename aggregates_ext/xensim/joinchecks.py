"""The checks before a join, in their order (contract 4.2)."""

import collections.abc
import dataclasses

from aggregates_ext.xensim import database
from aggregates_ext.xensim import failure
from aggregates_ext.xensim import host as hosts

SIZE_LIMIT = 3
NOT_ALLOWED = 'OPERATION_NOT_ALLOWED'


@dataclasses.dataclass(frozen=True)
class Joining:
    """The two sides of a join."""

    joiner: hosts.Host
    local: database.Database
    master: hosts.Host
    remote: database.Database

    @property
    def here(self) -> database.Record:
        """The record of the joiner in its own database."""
        return self.local.row(
            'host', self.local.by_uuid('host', self.joiner.uuid)
        )

    @property
    def there(self) -> database.Record:
        """The record of the master in the target pool."""
        return self.remote.row('host', self.remote.pool['master'])


Check = collections.abc.Callable[[Joining], None]


def licence(local: database.Database) -> None:
    """Check a: before the master is spoken to."""
    if local.pool['restrictions'].get('restrict_pooling') == 'true':
        raise failure.Failure('LICENCE_RESTRICTION')


def pool_size(joining: Joining) -> None:
    """Check 1: a licence may limit the size of pools."""
    restrictions = joining.local.pool['restrictions']
    limited = restrictions.get('restrict_pool_size') == 'true'
    if limited and len(joining.remote.rows('host')) >= SIZE_LIMIT:
        raise failure.Failure('LICENCE_RESTRICTION', 'Pool_size')


def has_management(joining: Joining) -> None:
    """Check 2: the first boot is over."""
    if not joining.local.where('PIF', management=True):
        raise failure.Failure('HOST_STILL_BOOTING')


def joiner_ha(joining: Joining) -> None:
    """Check 3: no high availability here."""
    if joining.local.pool['ha_enabled']:
        raise failure.Failure('HA_IS_ENABLED')


def master_ha(joining: Joining) -> None:
    """Check 6: nor there."""
    if joining.remote.pool['ha_enabled']:
        raise failure.Failure('HA_IS_ENABLED')


def not_itself(joining: Joining) -> None:
    """Check 7: the master is another host."""
    if joining.there['uuid'] == joining.joiner.uuid:
        member = len(joining.local.rows('host')) > 1
        raise failure.Failure(
            NOT_ALLOWED,
            'Host is already part of a pool'
            if member
            else 'Host cannot become slave of itself',
        )


def alone(joining: Joining) -> None:
    """Check 8: no other hosts here, not even dead ones."""
    if len(joining.local.rows('host')) > 1:
        raise failure.Failure('JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS')


def no_running_vms(joining: Joining) -> None:
    """Check 9: suspended and paused ones pass."""
    control = joining.here['control_domain']
    running = joining.local.where('VM', power_state='Running')
    if any(vm != control for vm in running):
        raise failure.Failure('JOINING_HOST_CANNOT_HAVE_RUNNING_VMS')


def no_busy_vms(joining: Joining) -> None:
    """Check 10: nothing is being done to a machine here."""
    if any(vm['current_operations'] for _, vm in joining.local.rows('VM')):
        raise failure.Failure(
            'JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS'
        )


def no_guidance(joining: Joining) -> None:
    """Check 11: no update waits for a restart on either side."""
    code = 'HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY'
    if joining.here['pending_guidances']:
        ref = joining.local.by_uuid('host', joining.joiner.uuid)
        raise failure.Failure(code, ref)
    if joining.there['pending_guidances']:
        raise failure.Failure(code, joining.remote.pool['master'])


def _versions(joining: Joining, *names: str) -> bool:
    here = joining.here['software_version']
    there = joining.there['software_version']
    return all(here.get(name) == there.get(name) for name in names)


def _same_brand(joining: Joining) -> bool:
    brands = [
        row['software_version'].get('product_brand')
        or row['software_version'].get('platform_name')
        for row in (joining.here, joining.there)
    ]
    return bool(brands[0] == brands[1])


def same_platform(joining: Joining) -> None:
    """Check 12: the same platform and brand."""
    if not (_versions(joining, 'platform_version') and _same_brand(joining)):
        raise failure.Failure('HOSTS_NOT_COMPATIBLE')


def homogeneous(joining: Joining) -> None:
    """Check 13: the same build and vendor of processors."""
    same = _versions(joining, 'xapi', 'git_id', 'xs:linux')
    if not (same and _same_brand(joining)):
        raise failure.Failure(
            'HOSTS_NOT_HOMOGENEOUS', 'Software version differs'
        )
    vendor = joining.remote.pool['cpu_info'].get('vendor')
    if joining.here['cpu_info'].get('vendor') != vendor:
        raise failure.Failure('HOSTS_NOT_HOMOGENEOUS', 'CPUs differ')


def no_shared_srs(joining: Joining) -> None:
    """Check 14: no shared storage here but the tools."""
    if joining.local.where('SR', shared=True, is_tools_sr=False):
        raise failure.Failure('JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS')


def no_bonds(joining: Joining) -> None:
    """Check 15: no bonds here."""
    if joining.local.rows('Bond'):
        raise failure.Failure('POOL_JOINING_HOST_HAS_BONDS')


def only_management_vlan(joining: Joining) -> None:
    """Check 18: no VLANs here but that of management."""
    for _, vlan in joining.local.rows('VLAN'):
        if not joining.local.row('PIF', vlan['untagged_PIF'])['management']:
            raise failure.Failure('POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS')


def management_pif(db: database.Database, host: str) -> str:
    """The management interface of a host (contract 3.2)."""
    for ref in db.where('PIF', host=host, management=True):
        return ref
    raise failure.Failure('INTERNAL_ERROR', 'Not_found')


def _management_pifs(joining: Joining) -> list[database.Record]:
    local, remote = joining.local, joining.remote
    here = local.by_uuid('host', joining.joiner.uuid)
    there = remote.pool['master']
    return [
        local.row('PIF', management_pif(local, here)),
        remote.row('PIF', management_pif(remote, there)),
    ]


def management_vlan(joining: Joining) -> None:
    """Check 19: management is on the same VLAN."""
    here, there = (pif['VLAN'] for pif in _management_pifs(joining))
    if here != there:
        raise failure.Failure(
            'POOL_JOINING_HOST_MANAGEMENT_VLAN_DOES_NOT_MATCH',
            str(here),
            str(there),
        )


def external_auth(joining: Joining) -> None:
    """Check 20: the same directory."""
    here, there = (
        (
            row['external_auth_type'],
            row['external_auth_service_name'].lower(),
        )
        for row in (joining.here, joining.there)
    )
    if here != there:
        raise failure.Failure('POOL_JOINING_EXTERNAL_AUTH_MISMATCH')


def edition(joining: Joining) -> None:
    """Check 21: the same edition."""
    if joining.here['edition'] != joining.there['edition']:
        raise failure.Failure(
            'LICENSE_HOST_POOL_MISMATCH',
            'host edition differs from the edition of the pool',
        )


def network_backend(joining: Joining) -> None:
    """Check 22: the same network backend."""
    if not _versions(joining, 'network_backend'):
        raise failure.Failure(NOT_ALLOWED, 'Network backends differ')


def api_version(joining: Joining) -> None:
    """Check 23: the same version of the API."""
    here, there = (
        f'{row["API_version_major"]}.{row["API_version_minor"]}'
        for row in (joining.here, joining.there)
    )
    if here != there:
        raise failure.Failure(
            'POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION', here, there
        )


def db_schema(joining: Joining) -> None:
    """Check 24: the same known schema of the database."""
    here, there = (
        row['software_version'].get('db_schema', '')
        for row in (joining.here, joining.there)
    )
    if here != there or not here:
        raise failure.Failure(
            'POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA', here, there
        )


def updates(joining: Joining) -> None:
    """Check 25: the same updates, of those which must be everywhere."""
    here, there = (
        {
            update['uuid']
            for _, update in db.rows('pool_update')
            if update['enforce_homogeneity']
        }
        for db in (joining.local, joining.remote)
    )
    if here != there:
        raise failure.Failure(
            'HOSTS_NOT_HOMOGENEOUS',
            f'Updates on local host {joining.here["name_label"]} and pool'
            f' host {joining.there["name_label"]} differ',
        )


def address_type(joining: Joining) -> None:
    """Check 26: both managed over IPv4, or both over IPv6."""
    here, there = (
        pif['primary_address_type'] for pif in _management_pifs(joining)
    )
    if here != there:
        raise failure.Failure(NOT_ALLOWED, 'Primary address type differs')


def nbd_purposes(joining: Joining) -> None:
    """Check 27: not nbd here and insecure_nbd there."""
    purposes = {
        purpose
        for db in (joining.local, joining.remote)
        for _, network in db.rows('network')
        for purpose in network['purpose']
    }
    if {'nbd', 'insecure_nbd'} <= purposes:
        raise failure.Failure(
            NOT_ALLOWED,
            'Incompatible network purposes: nbd and insecure_nbd',
        )


def tls_verification(joining: Joining) -> None:
    """Check 28: both verify certificates, or neither."""
    field = 'tls_verification_enabled'
    if joining.local.pool[field] != joining.remote.pool[field]:
        raise failure.Failure('POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH')


def ca_certificates(joining: Joining) -> None:
    """Check 29: a name means the same certificate."""
    here, there = (
        {
            row['name']: row['fingerprint_sha256']
            for _, row in db.rows('Certificate')
            if row['type'] == 'ca'
        }
        for db in (joining.local, joining.remote)
    )
    clashes = [
        name for name in here if here[name] != there.get(name, here[name])
    ]
    if clashes:
        raise failure.Failure(
            'POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT', *sorted(clashes)
        )


def no_updates_running(joining: Joining) -> None:
    """Checks 31 and 32: no updates are being applied."""
    for db in (joining.local, joining.remote):
        if 'apply_updates' in db.pool['current_operations'].values():
            raise failure.Failure('NOT_SUPPORTED_DURING_UPGRADE')


def sm_features(joining: Joining) -> None:
    """Check 33: storage drivers here do what those there do."""
    for theirs, driver in joining.remote.rows('SM'):
        ours = next(
            iter(joining.local.where('SM', type=driver['type'])), database.NULL
        )
        features = (
            joining.local.row('SM', ours)['features']
            if ours != database.NULL
            else {}
        )
        for feature, version in driver['features'].items():
            if features.get(feature, -1) < version:
                raise failure.Failure(
                    'POOL_JOINING_SM_FEATURES_INCOMPATIBLE',
                    theirs,
                    '' if ours == database.NULL else ours,
                )


HOMOGENEITY = 13

CHECKS: tuple[tuple[int, Check], ...] = (
    (1, pool_size),
    (2, has_management),
    (3, joiner_ha),
    (6, master_ha),
    (7, not_itself),
    (8, alone),
    (9, no_running_vms),
    (10, no_busy_vms),
    (11, no_guidance),
    (12, same_platform),
    (HOMOGENEITY, homogeneous),
    (14, no_shared_srs),
    (15, no_bonds),
    (18, only_management_vlan),
    (19, management_vlan),
    (20, external_auth),
    (21, edition),
    (22, network_backend),
    (23, api_version),
    (24, db_schema),
    (25, updates),
    (26, address_type),
    (27, nbd_purposes),
    (28, tls_verification),
    (29, ca_certificates),
    (31, no_updates_running),
    (33, sm_features),
)
"""Numbers of contract 4.2; absent: clusters (4, 5), tunnels (16), SR-IOV
(17) and trusted certificates (30), whose classes are not simulated.
"""


def run(joining: Joining, force: bool) -> None:
    """Raise the failure of the first check which does not pass."""
    for number, check in CHECKS:
        if not (force and number == HOMOGENEITY):
            check(joining)
