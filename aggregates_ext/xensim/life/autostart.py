"""Guests that start when any host of their pool has booted (xapi#boots)."""

import contextlib
import functools

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.calls import tasks
from aggregates_ext.xensim.machines import power
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
    serving, pool = master.xapi, master.database.pool
    if not xapi.on_boot or serving is None:
        return
    if pool['other_config'].get(KEY) == 'true':
        context = operations.Context(world, master, serving, METHOD, '')
        operations.start(world, serving, _start_all(context))


def _start_all(context: operations.Context) -> operations.Steps:
    """One after another; nobody is told of those that do not start."""
    for vm in _chosen(context):
        start = functools.partial(
            power.start, ref=vm, paused=False, force=False
        )
        with contextlib.suppress(failure.Failure):
            yield from tasks.show(context, METHOD, start)
    return ''


def _chosen(context: operations.Context) -> list[str]:
    halted = context.db.where(
        'VM', power_state='Halted', is_a_template=False, is_a_snapshot=False
    )
    return [
        vm
        for vm in halted
        if context.db.row('VM', vm)['other_config'].get(KEY) == 'true'
    ]
