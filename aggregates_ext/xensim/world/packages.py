"""What is published for a pool, and what of it is on its hosts.

See xapi#updates.
"""

import dataclasses
import re
import typing

from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds

KINDS = ('mandatory', 'recommended', 'full')
LIVEPATCH = 'livepatch'
"""What is asked for in place of the recommended, where it was applied."""

GUIDANCES = {
    'reboot_host': 'RebootHost',
    'restart_toolstack': 'RestartToolstack',
    'evacuate_host': 'EvacuateHost',
    'restart_device_model': 'RestartDeviceModel',
    'restart_vm': 'RestartVM',
}
"""What an update can ask for: as records have it, and as the list has it."""

_PACKAGE = re.compile(
    r'(?P<name>.+)-(?P<version>[^-]+)-(?P<release>[^-]+)\.(?P<arch>[^-.]+)'
)

_COVERED = {
    'reboot_host': {
        'restart_toolstack',
        'evacuate_host',
        'restart_device_model',
    },
    'evacuate_host': {'restart_device_model'},
    'restart_vm': {'restart_device_model'},
}


def publish(
    world: worlds.World,
    pool: str,
    packages: list[str],
    guidance: dict[str, list[str]],
    versions: dict[str, str],
) -> str:
    """Put an update into the remote repository of a pool.

    :param pool: its uuid
    :return: the name of the update
    :raises ValueError: no package or none that is named so, or an unknown
        kind or guidance
    """
    if not packages:
        raise ValueError('an update has one package at least')
    for text in packages:
        parsed(text)
    unknown = {
        *guidance.keys() - {*KINDS, LIVEPATCH},
        *{one for asked in guidance.values() for one in asked}
        - GUIDANCES.keys(),
    }
    if unknown:
        raise ValueError(f'no kind of guidance: {", ".join(sorted(unknown))}')
    count = sum(len(one.releases) for one in world.mirrors.values())
    release = worlds.Release(
        f'UPD-{count + 1}',
        list(packages),
        {kind: list(asked) for kind, asked in guidance.items()},
        dict(versions),
        world.clock.time(),
    )
    mirror = world.mirrors.setdefault(pool, worlds.Mirror())
    mirror.releases.append(release)
    return release.name


def parsed(package: str) -> dict[str, str]:
    """name, version, release and arch of a package.

    :raises ValueError: it is not name-version-release.arch
    """
    found = _PACKAGE.fullmatch(package)
    if found is None:
        raise ValueError(
            f'a package is name-version-release.arch, not {package!r}'
        )
    return found.groupdict()


def missing(
    world: worlds.World, pool: str, host: hosts.Host, synced: bool
) -> list[worlds.Release]:
    """The updates which a host has not got, the oldest first.

    :param synced: of those alone which the pool's mirror has
    """
    mirror = world.mirrors.get(pool, worlds.Mirror())
    found = mirror.releases[: mirror.synced] if synced else mirror.releases
    return [one for one in found if one.name not in host.packages]


def is_patched(releases: list[worlds.Release]) -> bool:
    """Whether a livepatch takes effect; a boot that must be makes it idle."""
    mandatory = {
        one
        for release in releases
        for one in release.guidance.get('mandatory', ())
    }
    return 'reboot_host' not in mandatory and any(
        LIVEPATCH in release.guidance for release in releases
    )


def reduced(releases: list[worlds.Release]) -> dict[str, list[str]]:
    """What updates ask for together, each thing once, where it is strictest.

    See xapi#updates.
    """
    patched = is_patched(releases)
    found: dict[str, list[str]] = {}
    taken: set[str] = set()
    for kind in KINDS:
        asked: set[str] = set()
        for release in releases:
            patch = kind == 'recommended' and patched
            own = LIVEPATCH in release.guidance and patch
            asked |= {*release.guidance.get(LIVEPATCH if own else kind, ())}
        asked = _without_covered(asked)
        left = _without_covered(taken | asked) - taken
        found[kind] = [one for one in GUIDANCES if one in left]
        taken |= asked
    return found


def _without_covered(asked: set[str]) -> set[str]:
    """A boot restarts the toolstack too."""
    for higher, lower in _COVERED.items():
        if higher in asked:
            asked = asked - lower
    return asked


@dataclasses.dataclass
class Installation:
    """yum at work on a host; it needs no xapi."""

    host: hosts.Host
    releases: list[worlds.Release]
    booted: bool
    """Whether versions wait for a boot; a start of xapi is enough else."""
    state: typing.Literal['running', 'done', 'failed'] = 'running'

    def fail(self) -> None:
        """It ends, and nothing is installed."""
        if self.state == 'running':
            self.state = 'failed'
            self.host.installation = None

    def finish(self) -> None:
        """All is on the disk, unless the machine went down meanwhile."""
        host = self.host
        if self.state != 'running':
            return
        if host.installation is not self:
            self.state = 'failed'
            return
        self.state = 'done'
        host.installation = None
        for release in self.releases:
            if release.name not in host.packages:
                host.packages.append(release.name)
            waiting = host.update if self.booted else host.renewed
            waiting |= release.versions


def install(
    world: worlds.World,
    host: hosts.Host,
    releases: list[worlds.Release],
    booted: bool,
) -> Installation:
    """Let yum begin; it goes on whoever has asked for it is gone or not."""
    running = Installation(host, releases, booted)
    host.installation = running
    world.later(world.times.yum, running.finish)
    return running
