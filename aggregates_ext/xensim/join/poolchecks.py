"""Checks before a join of pools, machines and storage (xapi#join-checks)."""

from aggregates_ext.xensim.join import sides as joinings
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure

SIZE_LIMIT = 3

EDITION_ORDERS = {
    'free': 0,
    'express': 0,
    'trial': 4,
    'standard': 1,
    'standard-per-socket': 1,
    'advanced': 2,
    'enterprise': 3,
    'enterprise-per-socket': 3,
    'premium': 3,
    'platinum': 3,
    'xcp-ng': -1,
}
"""How editions rank: check 21 compares ranks where names differ."""


def size_exceeded(
    restrictions: database.Record, members: database.Database
) -> bool:
    """Whether a licence forbids one more host (xapi#join-check-1)."""
    limited = restrictions.get('restrict_pool_size') == 'true'
    return limited and len(members.rows('host')) >= SIZE_LIMIT


def pool_size(joining: joinings.Joining) -> None:
    """Check 1: a licence may limit the size of pools."""
    restrictions = joining.local.pool['restrictions']
    if size_exceeded(restrictions, joining.remote):
        raise failure.Failure('LICENCE_RESTRICTION', 'Pool_size')


def joiner_ha(joining: joinings.Joining) -> None:
    """Check 3: no high availability here."""
    if joining.local.pool['ha_enabled']:
        raise failure.Failure('HA_IS_ENABLED')


def no_cluster_host(joining: joinings.Joining) -> None:
    """Check 4: this host is in no cluster."""
    for ref in joining.local.where(
        'Cluster_host', host=joining.here_ref, enabled=True
    ):
        raise failure.Failure('CLUSTERING_ENABLED', ref)


def master_ha(joining: joinings.Joining) -> None:
    """Check 6: no high availability there."""
    if joining.remote.pool['ha_enabled']:
        raise failure.Failure('HA_IS_ENABLED')


def not_itself(joining: joinings.Joining) -> None:
    """Check 7: the master is another host."""
    if joining.there['uuid'] == joining.joiner.uuid:
        member = len(joining.local.rows('host')) > 1
        raise failure.Failure(
            joinings.NOT_ALLOWED,
            'Host is already part of a pool'
            if member
            else 'Host cannot become slave of itself',
        )


def alone(joining: joinings.Joining) -> None:
    """Check 8: no other hosts here, not even dead ones."""
    if len(joining.local.rows('host')) > 1:
        raise failure.Failure('JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS')


def no_running_vms(joining: joinings.Joining) -> None:
    """Check 9: suspended and paused ones pass."""
    control = joining.here['control_domain']
    running = joining.local.where('VM', power_state='Running')
    if any(vm != control for vm in running):
        raise failure.Failure('JOINING_HOST_CANNOT_HAVE_RUNNING_VMS')


def no_busy_vms(joining: joinings.Joining) -> None:
    """Check 10: nothing is being done to a machine here."""
    if any(vm['current_operations'] for _, vm in joining.local.rows('VM')):
        raise failure.Failure(
            'JOINING_HOST_CANNOT_HAVE_VMS_WITH_CURRENT_OPERATIONS'
        )


def no_guidance(joining: joinings.Joining) -> None:
    """Check 11: no update waits for a restart on either side."""
    code = 'HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY'
    if joining.here['pending_guidances']:
        raise failure.Failure(code, joining.here_ref)
    if joining.there['pending_guidances']:
        raise failure.Failure(code, joining.remote.pool['master'])


def no_shared_srs(joining: joinings.Joining) -> None:
    """Check 14: no shared storage here but the tools."""
    if joining.local.where('SR', shared=True, is_tools_sr=False):
        raise failure.Failure('JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS')


def external_auth(joining: joinings.Joining) -> None:
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


def _rank(edition: str) -> int:
    """The rank of an edition; one nobody knows has no daemon's answer."""
    try:
        return EDITION_ORDERS[edition]
    except KeyError:
        raise failure.Failure('V6D_FAILURE') from None


def edition(joining: joinings.Joining) -> None:
    """Check 21: the edition, or the rank of the pool's lowest one."""
    here = joining.here['edition']
    pool = [row['edition'] for _, row in joining.remote.rows('host')]
    lowest = min(pool, key=_rank)
    if here == lowest or _rank(here) == _rank(lowest):
        return
    raise failure.Failure(
        'LICENSE_HOST_POOL_MISMATCH',
        f'host edition {here} differs from the edition {lowest} of the pool',
    )


def _no_updates(db: database.Database) -> None:
    if 'apply_updates' in db.pool['current_operations'].values():
        raise failure.Failure('NOT_SUPPORTED_DURING_UPGRADE')


def no_updates_here(joining: joinings.Joining) -> None:
    """Check 31: no updates are being applied here."""
    _no_updates(joining.local)


def no_updates_there(joining: joinings.Joining) -> None:
    """Check 32: no updates are being applied there."""
    _no_updates(joining.remote)
