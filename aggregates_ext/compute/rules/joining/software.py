"""Software and processors: releases, builds, updates, drivers."""

from collections.abc import Iterator

from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import releases

_UPDATE = 'Update the older side.'


def _guidances(facts: sides.Sides) -> str:
    if facts.release < releases.GUIDANCES:
        return ''
    return kinds.listed(
        f'{guidance} on host {kinds.label(side.master)}'
        for _, side in facts.both()
        for guidance in side.master.get('pending_guidances', [])
    )


GUIDANCES = kinds.Rule(
    'HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY',
    'no update of the host or the master may wait for a restart',
    'Follow the guidance first: restart what it names.',
    _guidances,
)


def _brand(side: sides.Side) -> str:
    version = side.version
    brand = version.get('product_brand') or version.get('platform_name')
    return f'{brand} {version.get("platform_version")}'


PLATFORM = kinds.same(
    'HOSTS_NOT_COMPATIBLE',
    'product and platform version must be the same',
    'Update the older side. XenServer and XCP-ng cannot be mixed.',
    _brand,
)


def _build(facts: sides.Sides) -> str:
    names = ['xapi', 'git_id', 'xs:linux']
    if facts.release < releases.WHOLE_FEATURES_UNTIL:
        names.append('build_number')
    here, there = facts.joiner.version, facts.master.version
    host = kinds.label(facts.joiner.master)
    return kinds.listed(
        f'{name} {here.get(name, "absent")} on host {host}, '
        f'{there.get(name, "absent")} in the pool'
        for name in names
        if here.get(name) != there.get(name)
    )


BUILD = kinds.Rule(
    'HOSTS_NOT_HOMOGENEOUS',
    'the build of xapi and the Linux pack must be the same',
    _UPDATE,
    _build,
)


def _vendor(facts: sides.Sides) -> str:
    here = facts.joiner.master['cpu_info'].get('vendor')
    pool = facts.master.pool.get('cpu_info')
    if pool is None or facts.release < releases.WHOLE_FEATURES_UNTIL:
        pool = facts.master.master['cpu_info']
    there = pool.get('vendor')
    if here == there:
        return ''
    host = kinds.label(facts.joiner.master)
    return f'{here} on host {host}, {there} in the pool'


VENDOR = kinds.Rule(
    'HOSTS_NOT_HOMOGENEOUS',
    'the CPU vendor must be the same',
    'Use hosts of one vendor in a pool.',
    _vendor,
)


def _masked(features: str, mask: str) -> int:
    """Features, in hexadecimal with dashes, under a mask."""
    digits, bits = (text.replace('-', '') or '0' for text in (features, mask))
    width = max(len(digits), len(bits))
    number, cover = (
        fields.parse(
            'a word of features',
            lambda text: int(text.ljust(width, '0'), 16),
            text,
        )
        for text in (digits, bits)
    )
    return int(number & cover)


def _whole_features(facts: sides.Sides) -> str:
    if facts.release >= releases.WHOLE_FEATURES_UNTIL:
        return ''
    config = facts.master.pool['other_config']
    mask = config.get('cpuid_feature_mask', 'f' * 64)
    here, there = (
        side.master['cpu_info'].get('features', '') for _, side in facts.both()
    )
    if _masked(here, mask) == _masked(there, mask):
        return ''
    host = kinds.label(facts.joiner.master)
    return (
        f'{here or "none"} on host {host}, {there or "none"} in the pool, '
        f'under the mask {config.get("cpuid_feature_mask", "none")}'
    )


WHOLE_FEATURES = kinds.Rule(
    'HOSTS_NOT_HOMOGENEOUS',
    'up to XenServer 6.5 the CPU features must be the same under the mask '
    'of the pool',
    'Mask the features of the host (host.set_cpu_features), or of the pool '
    '(other_config:cpuid_feature_mask).',
    _whole_features,
)


def _api_version(side: sides.Side) -> str:
    return '.'.join(map(str, releases.api_version(side.master)))


API_VERSION = kinds.same(
    'POOL_JOINING_HOST_MUST_HAVE_SAME_API_VERSION',
    'the API version must be the same',
    _UPDATE,
    _api_version,
    since=releases.SAME_API_VERSION,
)


def _schema(facts: sides.Sides) -> str:
    if facts.release < releases.SAME_API_VERSION:
        return ''
    here, there = (
        side.version.get('db_schema', '') for _, side in facts.both()
    )
    if here and here == there:
        return ''
    host = kinds.label(facts.joiner.master)
    return f'{here or "none"} on host {host}, {there or "none"} in the pool'


SCHEMA = kinds.Rule(
    'POOL_JOINING_HOST_MUST_HAVE_SAME_DB_SCHEMA',
    'the database schema must be known and the same',
    _UPDATE,
    _schema,
)


def _enforced(side: sides.Side) -> dict[str, str]:
    """Updates of the master that all hosts must have, by uuid."""
    return {
        update['uuid']: kinds.named(update)
        for update in side.all('pool_update')
        if update.get('enforce_homogeneity')
        and side.master_ref in update['hosts']
    }


def _patches(side: sides.Side) -> dict[str, str]:
    """Hotfixes of the master, by uuid (before enforced updates came)."""
    found = {}
    for applied in side.all('host_patch'):
        patch = side.get('pool_patch', applied['pool_patch'])
        if patch and applied['applied'] and applied['host'] == side.master_ref:
            found[patch['uuid']] = kinds.named(patch)
    return found


def _updates(facts: sides.Sides) -> str:
    enforced = facts.release >= releases.ENFORCED_UPDATES
    of = _enforced if enforced else _patches
    return '; '.join(_updates_apart(facts, *map(of, _pair(facts))))


def _pair(facts: sides.Sides) -> tuple[sides.Side, sides.Side]:
    return facts.joiner, facts.master


def _updates_apart(
    facts: sides.Sides, here: dict[str, str], there: dict[str, str]
) -> Iterator[str]:
    names = [kinds.label(side.master) for side in _pair(facts)]
    for name, mine, others in zip(
        names, (here, there), (there, here), strict=True
    ):
        alone = [mine[uuid] for uuid in mine if uuid not in others]
        if alone:
            yield f'{kinds.listed(alone)} on host {name} alone'


UPDATES = kinds.Rule(
    'HOSTS_NOT_HOMOGENEOUS',
    'the updates that all hosts must have must be the same',
    'Apply them on the side that lacks them.',
    _updates,
)


def _drivers(facts: sides.Sides) -> str:
    if facts.release < releases.SM_FEATURES:
        return ''
    ours = {
        sm['type']: sm.get('features', {}) for sm in facts.joiner.all('SM')
    }
    return kinds.listed(
        _describe_driver(sm['type'], lacking, sm['type'] in ours)
        for sm in facts.master.all('SM')
        if (lacking := _lacking(sm, ours.get(sm['type'], {})))
    )


def _lacking(driver: dict[str, dict[str, str]], ours: dict[str, str]) -> str:
    """The features of a driver of the pool that ours has not, or older."""
    return kinds.listed(
        f'{feature} {version}'
        for feature, version in driver.get('features', {}).items()
        if int(ours.get(feature, -1)) < int(version)
    )


def _describe_driver(name: str, lacking: str, known: bool) -> str:
    if not known:
        return f'no driver "{name}" on the host'
    return f'driver "{name}" of the host without {lacking}'


DRIVERS = kinds.Rule(
    'POOL_JOINING_SM_FEATURES_INCOMPATIBLE',
    'the storage drivers of the host must do what those of the pool do',
    'Update the host, or install the missing driver there.',
    _drivers,
)
