"""Where guests really run, whatever records say (xapi#moves-that-lie)."""

import collections

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds

LOST = 'lost'


def machine(
    world: worlds.World, db: database.Database, ref: str
) -> hosts.Host | None:
    """The machine behind the record of a host."""
    if not db.exists('host', ref):
        return None
    return world.by_uuid(db.row('host', ref)['uuid'])


def begin(host: hosts.Host | None, guest: str) -> None:
    """A guest runs on a machine from now on."""
    if host is not None and guest not in host.domains:
        host.domains.append(guest)


def arrive(world: worlds.World, host: hosts.Host | None, guest: str) -> None:
    """A guest begins to run on a machine; if on a second one, it is told."""
    begin(host, guest)
    if len(places(world, guest)) > 1:
        world.ran_twice.append(guest)


def lose(world: worlds.World, host: hosts.Host | None, guest: str) -> None:
    """A guest ends, and nobody told it to."""
    end(host, guest)
    world.lost.append(guest)


def end(host: hosts.Host | None, guest: str) -> None:
    """A guest does not run on a machine any more."""
    if host is not None and guest in host.domains:
        host.domains.remove(guest)


def places(world: worlds.World, guest: str) -> list[str]:
    """The names of the hosts on which a guest runs: one, if all is well."""
    return [
        name for name, host in world.hosts.items() if guest in host.domains
    ]


def twice(world: worlds.World) -> list[str]:
    """The uuids of guests that run on more than one host."""
    found = collections.Counter(
        guest for host in world.hosts.values() for guest in host.domains
    )
    return sorted(guest for guest, count in found.items() if count > 1)


def lose_power(world: worlds.World, host: hosts.Host) -> None:
    """All that runs on a machine is gone, and what is on its way too."""
    host.domains.clear()
    for source in world.hosts.values():
        for copy in list(source.copies):
            if host in (copy.source, copy.target):
                copy.state = LOST
                source.copies.remove(copy)


def forget_moves(world: worlds.World, host: hosts.Host) -> None:
    """xenopsd restarts: what it sends stays, what it receives is lost."""
    for copy in host.copies:
        if copy.guest not in host.domains:
            world.lost.append(copy.guest)
        copy.state = LOST
    host.copies.clear()
    for source in world.hosts.values():
        for copy in source.copies:
            copy.deaf = copy.deaf or copy.target is host


def assert_runs(
    world: worlds.World, db: database.Database, ref: str
) -> hosts.Host:
    """The machine of a guest; a ghost's record names the wrong one."""
    row = db.row('VM', ref)
    host = machine(world, db, row['resident_on'])
    if host is None or row['uuid'] not in host.domains:
        raise unknown(row['uuid'])
    return host


def unknown(guest: str) -> failure.Failure:
    """What xenopsd says of a guest that it does not have."""
    return failure.Failure(
        'INTERNAL_ERROR',
        f'Object with type VM and id {guest}/config does not exist in xenopsd',
    )
