"""Guests that start by themselves.

When any host of their pool has booted (xapi#boots), and when high availability
is switched on (xapi#ha).
"""

import collections.abc
import contextlib
import functools

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.calls import tasks
from aggregates_ext.xensim.machines import power
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds

KEY = 'auto_poweron'
"""In other_config of a pool, and of those of its guests that start."""

METHOD = 'VM.start'


def begin(world: worlds.World, host: hosts.Host, xapi: hosts.Xapi) -> None:
    """Start them all, wherever they fit, if this start is that of a boot."""
    master = host
    if xapi.master is not None:
        found = world.serving_master(xapi.master)
        if found is None or not world.reaches(host, found):
            return
        master = found
    if (
        xapi.on_boot
        and master.database.pool['other_config'].get(KEY) == 'true'
    ):
        start(world, master, _chosen(master.database))


def start(
    world: worlds.World,
    master: hosts.Host,
    guests: collections.abc.Sequence[str],
) -> None:
    """Let the xapi of a master start guests."""
    if master.xapi is not None:
        context = operations.Context(world, master, master.xapi, METHOD, '')
        operations.start(world, master.xapi, _start_all(context, guests))


def _start_all(
    context: operations.Context, guests: collections.abc.Sequence[str]
) -> operations.Steps:
    """One after another; nobody is told of those that do not start."""
    for vm in guests:
        start = functools.partial(
            power.start, ref=vm, paused=False, force=False
        )
        with contextlib.suppress(failure.Failure):
            yield from tasks.show(context, METHOD, start)
    return ''


def _chosen(db: database.Database) -> list[str]:
    halted = db.where(
        'VM', power_state='Halted', is_a_template=False, is_a_snapshot=False
    )
    return [
        vm
        for vm in halted
        if db.row('VM', vm)['other_config'].get(KEY) == 'true'
    ]
