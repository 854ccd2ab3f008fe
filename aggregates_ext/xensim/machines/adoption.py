"""What a xapi makes of the guests that it finds at its start.

See xapi#moves-that-lie.
"""

from aggregates_ext.xensim.exclusion import guest
from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.machines import powerstate
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.world import domains
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import memory
from aggregates_ext.xensim.world import world as worlds


def settle(
    world: worlds.World, db: database.Database, ref: str, host: hosts.Host
) -> None:
    """Bring guests and records of a host together: the records win.

    A guest that is told to run elsewhere is killed, one that is told to be
    halted is taken on, and one that is not there is halted.
    """
    for identity in list(host.domains):
        for vm in db.where('VM', uuid=identity):
            row = db.row('VM', vm)
            if row['power_state'] == 'Halted':
                powerstate.run(db, vm, ref)
            elif row['resident_on'] != ref:
                _kill(world, host, identity)
    for vm in db.where('VM', resident_on=ref, is_control_domain=False):
        row = db.row('VM', vm)
        loaded = row['power_state'] in memory.LOADED
        if loaded and row['uuid'] not in host.domains:
            powerstate.stop(db, vm)


def _kill(world: worlds.World, host: hosts.Host, guest: str) -> None:
    """End what is told to run elsewhere: it is lost, unless it does."""
    domains.end(host, guest)
    if not domains.places(world, guest):
        world.lost.append(guest)


def forget_operations(db: database.Database) -> None:
    """No operation outlives the xapi of a master."""
    for ref, row in db.rows('VM'):
        row['current_operations'] = {}
        row['scheduled_to_be_resident_on'] = database.NULL
        guest.refresh(db, ref)
    for _, row in db.rows('host'):
        row['current_operations'] = {}
        row['allowed_operations'] = host_exclusion.allowed(row)
