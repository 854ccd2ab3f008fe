"""What a look at both sides of a join says (design#joined)."""

import dataclasses
import enum

from aggregates_ext.compute.observation import views
from aggregates_ext.db import addresses


class Verdict(enum.Enum):
    """What a look at both sides says of a join."""

    JOINED = 'joined'
    WAIT = 'wait'
    FUSE = 'fuse'
    FAILED = 'failed'
    NOTHING = 'nothing'
    HALF = 'half'
    ELSEWHERE = 'elsewhere'


@dataclasses.dataclass(frozen=True)
class Seen:
    """Both sides of a join at one moment.

    :ivar listed: the joining host as the pool's master lists it.
    :ivar joiner: what it answers at its own address.
    """

    pool: views.PoolView
    listed: views.HostView | None
    joiner: views.Answer

    def describe(self) -> str:
        """Both sides in one sentence, for whoever has to decide."""
        listing = views.describe_listing(self.pool, self.listed)
        return (
            f'{listing.rstrip(".")}, and the host itself '
            f'{self.joiner.describe()}.'
        )


def judge(seen: Seen) -> Verdict:
    """The verdict on one look (design#joined, design#half-joined).

    NOTHING and HALF hold only when a second look agrees.
    """
    listed, joiner = seen.listed, seen.joiner
    if joiner.role == 'slave':
        there = addresses.same(joiner.detail, seen.pool.master.address)
        if listed is None:
            return Verdict.WAIT if there else Verdict.ELSEWHERE
        up = listed.live and listed.enabled
        return Verdict.JOINED if there and up else Verdict.WAIT
    if joiner.role != 'master':
        return Verdict.WAIT
    return _judge_master(listed is not None, joiner.tasks)


def _judge_master(listed: bool, tasks: tuple[views.Task, ...]) -> Verdict:
    """The joiner still serves as its old self: its task list tells."""
    states = {task.status for task in tasks}
    if states & views.RUNNING:
        return Verdict.WAIT
    if 'success' in states:
        return Verdict.FUSE
    if listed:
        return Verdict.HALF
    if states & {'failure', 'cancelled'}:
        return Verdict.FAILED
    return Verdict.NOTHING
