"""Checks before a join of software and processors (xapi#join-checks)."""

from aggregates_ext.xensim.join import sides as joinings
from aggregates_ext.xensim.plan import presets
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure


def _same_brand(joining: joinings.Joining) -> bool:
    brands = [
        row['software_version'].get('product_brand')
        or row['software_version'].get('platform_name')
        for row in (joining.here, joining.there)
    ]
    return bool(brands[0] == brands[1])


def same_platform(joining: joinings.Joining) -> None:
    """Check 12: the same platform and brand."""
    same = joining.same_version('platform_version')
    if not (same and _same_brand(joining)):
        raise failure.Failure('HOSTS_NOT_COMPATIBLE')


def homogeneous(joining: joinings.Joining) -> None:
    """Check 13: the same build and vendor of processors."""
    whole = joining.release < presets.WHOLE_FEATURES_UNTIL
    build = ('build_number',) if whole else ()
    same = joining.same_version('xapi', 'git_id', 'xs:linux', *build)
    if not (same and _same_brand(joining)):
        raise failure.Failure(
            'HOSTS_NOT_HOMOGENEOUS', 'Software version differs'
        )
    if not (_same_processors if whole else _same_vendor)(joining):
        raise failure.Failure('HOSTS_NOT_HOMOGENEOUS', 'CPUs differ')


def _same_vendor(joining: joinings.Joining) -> bool:
    vendor = joining.remote.pool['cpu_info'].get('vendor')
    return bool(joining.here['cpu_info'].get('vendor') == vendor)


def _same_processors(joining: joinings.Joining) -> bool:
    """Up to 6.5: vendor and features of the master, under a mask."""
    here, there = joining.here['cpu_info'], joining.there['cpu_info']
    config = joining.remote.pool['other_config']
    mask = config.get('cpuid_feature_mask', 'f' * 64)
    features = [
        _masked(row.get('features', ''), mask) for row in (here, there)
    ]
    vendors = [row.get('vendor') for row in (here, there)]
    return features[0] == features[1] and vendors[0] == vendors[1]


def _masked(features: str, mask: str) -> int:
    """Features, written in hexadecimal with dashes, under a mask."""
    both = [text.replace('-', '') or '0' for text in (features, mask)]
    width = max(len(text) for text in both)
    first, second = (int(text.ljust(width, '0'), 16) for text in both)
    return first & second


def _api_version(row: database.Record) -> str:
    return f'{row["API_version_major"]}.{row["API_version_minor"]}'


def api_version(joining: joinings.Joining) -> None:
    """Check 23: the same version of the API."""
    here, there = _api_version(joining.here), _api_version(joining.there)
    if here != there:
        raise failure.Failure(
            'POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION', here, there
        )


def db_schema(joining: joinings.Joining) -> None:
    """Check 24: the same known schema of the database."""
    here, there = (
        row['software_version'].get('db_schema', '')
        for row in (joining.here, joining.there)
    )
    if here != there or not here:
        raise failure.Failure(
            'POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA', here, there
        )


def _enforced(db: database.Database, host: str) -> set[str]:
    return {
        update['uuid']
        for _, update in db.rows('pool_update')
        if update['enforce_homogeneity'] and host in update['hosts']
    }


def _patches(db: database.Database, host: str) -> set[str]:
    return {
        db.row('pool_patch', db.row('host_patch', ref)['pool_patch'])['uuid']
        for ref in db.where('host_patch', host=host, applied=True)
    }


def updates(joining: joinings.Joining) -> None:
    """Check 25: the same updates, of those which must be everywhere."""
    enforced = joining.release >= presets.ENFORCED_UPDATES_SINCE
    of = _enforced if enforced else _patches
    here = of(joining.local, joining.here_ref)
    if here != of(joining.remote, joining.remote.pool['master']):
        what = 'Updates' if enforced else 'Patches applied'
        hosts = (
            f'on local host {joining.here["name_label"]} and pool host'
            f' {joining.there["name_label"]} differ'
        )
        raise failure.Failure(
            'HOSTS_NOT_HOMOGENEOUS',
            f'{what} {hosts}' if enforced else f'{what} differ',
        )


def sm_features(joining: joinings.Joining) -> None:
    """Check 33: storage drivers here do what those there do."""
    for theirs, driver in joining.remote.rows('SM'):
        ours = next(iter(joining.local.where('SM', type=driver['type'])), '')
        features = joining.local.row('SM', ours)['features'] if ours else {}
        for feature, version in driver['features'].items():
            if features.get(feature, -1) < version:
                raise failure.Failure(
                    'POOL_JOINING_SM_FEATURES_INCOMPATIBLE', theirs, ours
                )
