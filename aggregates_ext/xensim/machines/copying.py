"""What xenopsd does of a move: it needs no xapi (xapi#moves)."""

from aggregates_ext.xensim.world import domains
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds

WORKERS = 4
"""How many guests leave a host at a time."""

STEPS = 20
SHARES = 22
"""The progress counts two steps that are told later."""

QUEUED, COPYING, SWITCHING = 'queued', 'copying', 'switching'
ARRIVED, CANCELLED, LOST = 'arrived', 'cancelled', domains.LOST
STOPPED, MISSING, REFUSED = 'stopped', 'missing', 'refused'

UNDER_WAY = frozenset({QUEUED, COPYING, SWITCHING})
AT_WORK = frozenset({COPYING, SWITCHING})

RETRY = 1.0


def begin(world: worlds.World, copy: hosts.Copy) -> None:
    """Send a guest away, when its turn comes."""
    copy.source.copies.append(copy)
    world.streams.append(
        worlds.Stream(
            copy.guest, copy.source.name, copy.target.name, copy.address
        )
    )
    _fill(world, copy.source)


def progress(copy: hosts.Copy) -> float:
    """How much of the memory has been sent."""
    return copy.steps / SHARES


def waiting(host: hosts.Host) -> int:
    """How many guests wait for a worker."""
    return sum(copy.state == QUEUED for copy in host.copies)


def find(world: worlds.World, guest: str) -> hosts.Copy | None:
    """The move of a guest, if there is one."""
    for host in world.hosts.values():
        for copy in host.copies:
            if copy.guest == guest:
                return copy
    return None


def cancel(world: worlds.World, copy: hosts.Copy) -> None:
    """Stop a copy; one that waits only when its turn comes.

    See xapi#moves-cancelled.
    """
    if copy.cancelled:
        return
    copy.cancelled = True

    def stop() -> None:
        if copy.state == COPYING:
            _end(world, copy, CANCELLED)

    world.later(world.times.move_cancel, stop)


def _fill(world: worlds.World, source: hosts.Host) -> None:
    """Begin what workers are free for, and not in the order of arrival."""
    busy = [copy for copy in source.copies if copy.state in AT_WORK]
    guests = {copy.guest for copy in busy}
    for copy in reversed(list(source.copies)):
        if len(busy) >= WORKERS:
            return
        if copy.state == QUEUED and copy.guest not in guests:
            busy.append(copy)
            guests.add(copy.guest)
            _begin(world, copy)


def _begin(world: worlds.World, copy: hosts.Copy) -> None:
    if copy.cancelled:
        _later_end(world, copy, CANCELLED)
    elif copy.guest not in copy.source.domains:
        _later_end(world, copy, MISSING)
    else:
        copy.state = COPYING
        _next(world, copy)


def _later_end(world: worlds.World, copy: hosts.Copy, state: str) -> None:
    copy.state = SWITCHING
    world.later(0.0, lambda: _end(world, copy, state))


def _next(world: worlds.World, copy: hosts.Copy) -> None:
    seconds = copy.seconds / STEPS
    world.later(seconds, lambda: _step(world, copy))


def _step(world: worlds.World, copy: hosts.Copy) -> None:
    """Send a part; nothing is sent while one end is away."""
    if copy.state != COPYING:
        return
    if copy.guest not in copy.source.domains:
        _end(world, copy, STOPPED)
    elif not world.reaches(copy.source, copy.target):
        world.later(RETRY, lambda: _step(world, copy))
    else:
        copy.steps += 1
        if copy.steps < STEPS:
            _next(world, copy)
        else:
            _switch(world, copy)


def _switch(world: worlds.World, copy: hosts.Copy) -> None:
    """The guest runs nowhere for a moment, then at the target."""
    copy.state = SWITCHING
    domains.end(copy.source, copy.guest)

    def arrive() -> None:
        if copy.state != SWITCHING:
            return
        if copy.deaf:
            world.lost.append(copy.guest)
        else:
            domains.arrive(world, copy.target, copy.guest)
        _end(world, copy, REFUSED if copy.deaf else ARRIVED)

    world.later(world.times.move_switch, arrive)


def _end(world: worlds.World, copy: hosts.Copy, state: str) -> None:
    if copy not in copy.source.copies:
        return
    copy.state = state
    copy.source.copies.remove(copy)
    _fill(world, copy.source)
