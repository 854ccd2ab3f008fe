"""What was seen of the hosts of a pool, and what that is worth since.

A look in which no master showed the pool leaves what was seen before: with
its time, and as no more than that. So does the end of all looks. Whether a
host is live is not known then (design#observation).
"""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

# What databases may round off a time, in seconds.
ROUNDING = 0.001
# A host counts as up until so many looks did not show it.
LOOKS = 3
# Seconds, at the least.
SHORTEST = 60.0
# In these phases a host is not in the pool, whatever was seen before.
OUTSIDE = ('joining', 'returning')


class Waiting(NamedTuple):
    """What the updates of a host still ask for.

    :ivar guidances: in the words of xapi; None: not known.
    :ivar reboot: whether one of them asks for that; None: not known.
    """

    guidances: Sequence[str] | None
    reboot: bool | None


@dataclasses.dataclass(frozen=True)
class Sight:
    """A pool as a master showed it last.

    :ivar seen_at: when that was; None: never.
    :ivar missed: the last look did not show it.
    :ivar recent: it is not too long ago.
    :ivar hosts: by XenServer uuid.
    :ivar guests: how many are on a host, and their processors, by its uuid;
        None: they were not seen yet.
    :ivar waiting: the hosts that are not known to wait for nothing, by uuid;
        None: not told, as by a release before.
    """

    seen_at: float | None
    missed: bool
    recent: bool
    hosts: Mapping[str, dict[str, Any]]
    guests: Mapping[str, Sequence[int]] | None
    waiting: Mapping[str, dict[str, Any]] | None

    @classmethod
    def of(
        cls,
        observation: Mapping[str, Any] | None,
        observed_at: float | None,
        now: float,
        interval: float,
    ) -> 'Sight':
        """What an aggregate keeps of the looks at its pool.

        :param observed_at: when somebody looked last.
        :param interval: seconds between two looks.
        """
        found = observation or {}
        seen_at = found.get('seen_at')
        return cls(
            seen_at,
            seen_at is None or seen_at < (observed_at or 0.0) - ROUNDING,
            is_recent(seen_at, now, interval),
            {host['uuid']: host for host in found.get('hosts', ())},
            found.get('guests', {}).get('hosts'),
            found.get('waiting'),
        )

    def guests_on(self, uuid: str) -> int | None:
        """How many guests are on a host; None: they were not seen yet."""
        return None if self.guests is None else self.guests.get(uuid, (0,))[0]

    def waits(self, uuid: str) -> Waiting:
        """What the updates of a host ask for that the pool lists."""
        if self.waiting is None:
            return Waiting(None, None)
        found = self.waiting.get(uuid, {'guidances': (), 'reboot': False})
        return Waiting(found['guidances'], found['reboot'])

    def tells(self, phase: str | None, phase_since: float | None) -> bool:
        """Whether it says how a host is now.

        :param phase: None: the pool alone knows the host.
        """
        before = self.seen_at is not None and self.seen_at < (
            phase_since or 0.0
        )
        gone = phase in OUTSIDE and before
        return self.recent and not self.missed and not gone


def is_recent(seen_at: float | None, now: float, interval: float) -> bool:
    """Whether a host counts as up for what was seen of it.

    :param interval: seconds between two looks.
    """
    limit = max(SHORTEST, LOOKS * interval)
    return seen_at is not None and now - seen_at <= limit
