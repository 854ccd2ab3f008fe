"""How xapi ends and starts: fuses, restarts, power, being a slave anew."""

import collections.abc

from aggregates_ext.xensim.life import booting
from aggregates_ext.xensim.life import hello
from aggregates_ext.xensim.life import latewrites
from aggregates_ext.xensim.life import liveness
from aggregates_ext.xensim.life import mastery
from aggregates_ext.xensim.life import succession
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import domains
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds

Action = collections.abc.Callable[[], None]


def start(
    world: worlds.World, host: hosts.Host, storage: float | None = None
) -> None:
    """Start xapi in the role which the role file says.

    :param storage: when a master has its storage; None: as always
    """
    if host.xapi is not None or not host.powered or host.held:
        return
    booting.install(host)
    succession.settle(world, host)
    succession.give_way(world, host)
    host.xapi = xapi = hosts.Xapi(host.master)
    xapi.on_boot = host.booted is not None
    reopen(host)
    if host.broken:
        _start_as_broken(world, host, xapi)
    elif xapi.master is None:
        times = world.times
        mastery.begin(world, host, xapi, storage or times.master_returns)
        world.wake()
    else:

        def crash() -> None:
            restart(world, host, world.times.restart)

        hello.Start(world, host, xapi, crash).begin()


def stop(world: worlds.World, host: hosts.Host) -> None:
    """End xapi: connections break, sessions and tasks are lost."""
    xapi, host.xapi = host.xapi, None
    if xapi is not None:
        xapi.end()
        if host.door is not None:
            host.door.close()
        liveness.fall_silent(world, host)


def restart(world: worlds.World, host: hosts.Host, down: float) -> None:
    """End xapi, and start it again after a time."""
    stop(world, host)
    host.held = False
    world.later(down, lambda: start(world, host))


def kill(world: worlds.World, host: hosts.Host) -> None:
    """End xapi at once: it writes nothing any more (xapi#late-writes)."""
    if host.xapi is not None and not host.xapi.is_slave:
        latewrites.lose(world, host)
    stop(world, host)


def reboot(world: worlds.World, host: hosts.Host) -> None:
    """End the machine at once, and boot it, unless it is not to return."""
    power_off(world, host)
    if world.faults.take(('no_return',), '', host.name) is None:
        power_on(world, host)


def hold(world: worlds.World, host: hosts.Host) -> None:
    """Kill xapi for good; the machine stays up (xapi#dead-hosts)."""
    kill(world, host)
    host.held = True


def let_go(world: worlds.World, host: hosts.Host) -> None:
    """Start xapi again by hand, where it was killed for good."""
    host.held = False
    start(world, host)


def light_fuse(
    world: worlds.World, host: hosts.Host, xapi: hosts.Xapi, end: Action
) -> None:
    """Change the role when the fuse has burnt (xapi#model)."""
    xapi.fused = True

    def burnt() -> None:
        if xapi.alive:
            end()

    world.later(world.times.fuse, burnt)


def power_off(world: worlds.World, host: hosts.Host) -> None:
    """Pull the plug."""
    kill(world, host)
    domains.lose_power(world, host)
    host.powered, host.held = False, False
    host.installation, host.checked_until = None, 0.0
    if succession.is_watched(host):
        world.later(world.times.ha_succession, lambda: _succeed(world, host))


def _succeed(world: worlds.World, old: hosts.Host) -> None:
    """With high availability on, a master that is away is succeeded."""
    for member in succession.depose(world, old):
        restart(world, member, world.times.exit_to_listen)


def power_on(world: worlds.World, host: hosts.Host) -> None:
    """Switch the machine on; it boots."""
    if not host.powered:
        host.powered = True
        host.boots += 1
        host.booted = world.clock.time()
        world.later(world.times.reboot, lambda: start(world, host))


def cut_off(world: worlds.World, host: hosts.Host, cut: bool) -> None:
    """Take a running host off the network, or put it back."""
    if host.reachable is not cut:
        return
    host.reachable = not cut
    if host.door is None or host.xapi is None:
        return
    if cut:
        host.door.deafen()
        liveness.fall_silent(world, host)
    else:
        host.door.close()
        reopen(host)
        if host.xapi.is_slave:
            liveness.heartbeat(world, host)
        world.wake()


def refuse(
    world: worlds.World, host: hosts.Host, seconds: float | None
) -> None:
    """Close the port while the process behind it goes on."""
    if host.door is not None:
        host.door.close()
    if seconds is not None:
        world.later(seconds, lambda: reopen(host))


def reopen(host: hosts.Host) -> None:
    """Take connections again, if there is a process to serve them."""
    if host.door is not None and host.xapi is not None and host.reachable:
        host.door.open()


def part(
    world: worlds.World,
    sender: hosts.Host,
    receiver: hosts.Host,
    cut: bool,
) -> None:
    """Lose what one host sends to another, or let it through again."""
    world.partitions.discard((sender.name, receiver.name))
    if cut:
        world.partitions.add((sender.name, receiver.name))
    follows = sender.master == receiver.address
    if follows and cut:
        liveness.fall_silent(world, sender)
    elif follows and sender.xapi is not None and not sender.xapi.emergency:
        liveness.heartbeat(world, sender)
    world.wake()


def _start_as_broken(
    world: worlds.World, host: hosts.Host, xapi: hosts.Xapi
) -> None:
    """Stay in emergency mode, and try again after a time (xapi#emergency)."""
    xapi.emergency = failure.Failure('HOST_BROKEN')

    def again() -> None:
        if xapi.alive:
            restart(world, host, world.times.restart)

    world.later(world.times.emergency_restart, again)
