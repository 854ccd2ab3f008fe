"""The checks before a join: which there are, in their order.

See xapi#join-checks.
"""

from aggregates_ext.xensim.join import certificatechecks
from aggregates_ext.xensim.join import networkchecks
from aggregates_ext.xensim.join import poolchecks
from aggregates_ext.xensim.join import sides as joinings
from aggregates_ext.xensim.join import versionchecks
from aggregates_ext.xensim.plan import presets
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure

HOMOGENEITY = 13

CHECKS: tuple[tuple[int, joinings.Check], ...] = (
    (1, poolchecks.pool_size),
    (2, networkchecks.has_management),
    (3, poolchecks.joiner_ha),
    (4, poolchecks.no_cluster_host),
    (5, networkchecks.cluster_network),
    (6, poolchecks.master_ha),
    (7, poolchecks.not_itself),
    (8, poolchecks.alone),
    (9, poolchecks.no_running_vms),
    (10, poolchecks.no_busy_vms),
    (11, poolchecks.no_guidance),
    (12, versionchecks.same_platform),
    (HOMOGENEITY, versionchecks.homogeneous),
    (14, poolchecks.no_shared_srs),
    (15, networkchecks.no_bonds),
    (16, networkchecks.no_tunnels),
    (17, networkchecks.no_sriovs),
    (18, networkchecks.only_management_vlan),
    (19, networkchecks.management_vlan),
    (20, poolchecks.external_auth),
    (21, poolchecks.edition),
    (22, networkchecks.network_backend),
    (23, versionchecks.api_version),
    (24, versionchecks.db_schema),
    (25, versionchecks.updates),
    (26, networkchecks.address_type),
    (27, networkchecks.nbd_purposes),
    (28, certificatechecks.tls_verification),
    (29, certificatechecks.ca_certificates),
    (30, certificatechecks.trusted_certificates),
    (31, poolchecks.no_updates_here),
    (32, poolchecks.no_updates_there),
    (33, versionchecks.sm_features),
)
"""The numbers of xapi#join-checks."""


def licence(local: database.Database) -> None:
    """Check a: before the master is spoken to."""
    if local.pool['restrictions'].get('restrict_pooling') == 'true':
        raise failure.Failure('LICENCE_RESTRICTION')


def applicable(release: tuple[int, ...]) -> list[tuple[int, joinings.Check]]:
    """The checks which a release of xapi makes (xapi#join-checks)."""
    checks = []
    for number, check in CHECKS:
        if release >= presets.CHECKS_SINCE.get(number, ()):
            checks.append((number, check))
        elif number == 15:
            checks.append((number, networkchecks.only_physical))
    return checks


def run(joining: joinings.Joining, force: bool) -> None:
    """Raise the failure of the first check which does not pass."""
    for number, check in applicable(joining.release):
        if not (force and number == HOMOGENEITY):
            check(joining)
