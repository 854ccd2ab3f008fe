"""Which release of xapi a host runs, as far as its records tell.

``software_version`` names it as ``xapi_build`` on newer products; ``xapi``
there is no release on older ones. Their version of the API tells the
product, and so the oldest release that it can be (xapi#versions).
"""

import re
from collections.abc import Mapping
from typing import Any

from aggregates_ext.compute.xen import text

Release = tuple[int, ...]
# Version of the API -> the first release of a product that has it.
LADDER: tuple[tuple[Release, Release], ...] = (
    ((2, 23), (26,)),
    ((2, 21), (23,)),
    ((2, 15), (1, 249)),
    ((2, 14), (1, 214)),
    ((2, 12), (1, 160)),
    ((2, 11), (1, 110)),
    ((2, 10), (1, 93)),
    ((2, 8), (1, 55)),
    ((2, 7), (1, 23)),
    ((2, 6), (1, 14)),
    ((2, 5), (1, 9, 80)),
)
# Before these, processors and builds must be equal as a whole, and all
# interfaces physical (xapi#join-check-13, xapi#join-check-15).
WHOLE_FEATURES_UNTIL: Release = (1, 9)
PHYSICAL_PIFS_UNTIL: Release = (1, 35)
# The releases in which checks came (xapi#join-checks).
POOL_SIZE: Release = (1, 54)
SAME_API_VERSION: Release = (1, 32)
ENFORCED_UPDATES: Release = (1, 40)
NBD_PURPOSES: Release = (1, 55)
TLS: Release = (1, 297)
CA_CERTIFICATES: Release = (1, 302)
UPDATES_RUNNING: Release = (1, 301)
GUIDANCES: Release = (24, 10)
SM_FEATURES: Release = (24, 37)
CLUSTER_NETWORK: Release = (25, 8)
TRUSTED_CERTIFICATES: Release = (26, 13)
# Since then a join occupies the pool that it goes to (xapi#join-steps, S2).
EXCHANGE: Release = (1, 298)
# Since then a host can stay disabled over its starts (xapi#maintenance-calls).
AUTO_ENABLE: Release = (25, 31)
# Since then a move can go over a network of its own (xapi#migration-network).
MIGRATION_NETWORK: Release = (1, 297)
# Since then secrets are copied for a management VLAN alone (xapi#join-copies).
SECRETS_LOST: Release = (1, 45)
# Characters of a version that are told; no product has as many.
LONGEST = 100
# What must not go down when a guest moves (xapi#rolling-upgrade).
MOVING = ('platform_version', 'xapi_build', 'xen')


def api_version(host: Mapping[str, Any]) -> Release:
    """The version of the API of a host."""
    return int(host['API_version_major']), int(host['API_version_minor'])


def of(host: Mapping[str, Any]) -> Release:
    """The release of xapi of a host, or the oldest that it can be."""
    built = host['software_version'].get('xapi_build', '')
    number = re.match(r'[0-9]{1,9}(\.[0-9]{1,9})*', built)
    named = tuple(map(int, number[0].split('.'))) if number else ()
    spoken = api_version(host)
    least = (release for since, release in LADDER if spoken >= since)
    return max(named, next(least, ()))


def older(version: Mapping[str, str], other: Mapping[str, str]) -> str:
    """In what a host is older than one that guests leave; empty: in nothing.

    They do not go to it then, whoever chooses where they go. xapi asks the
    same, of a single move in a rolling upgrade alone (xapi#rolling-upgrade).

    :param version: ``software_version`` of the host.
    :param other: that of the one that they leave.
    """
    return ' and '.join(
        f'{name} {_told(version, name)} against {_told(other, name)}'
        for name in MOVING
        if _numbers(version, name) < _numbers(other, name)
    )


def differ(version: Mapping[str, str], other: Mapping[str, str]) -> str:
    """In what a host is older or newer than another; empty: in nothing."""
    return ', '.join(
        f'{name} {_told(version, name)}'
        for name in MOVING
        if _numbers(version, name) != _numbers(other, name)
    )


def _told(version: Mapping[str, str], name: str) -> str:
    return str(text.clean(version.get(name) or 'none'))[:LONGEST]


def _numbers(version: Mapping[str, str], name: str) -> Release:
    """To be compared, as xapi does: nothing counts after a second dash."""
    told = '-'.join(version.get(name, '0.0.0').split('-')[:2])
    return tuple(
        int(part)
        for part in re.split('[-.]', told)
        if re.fullmatch('[0-9]{1,9}', part)
    )
