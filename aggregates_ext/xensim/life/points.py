"""Steps of long calls, where planted faults hit (xapi#simulation-faults)."""

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.life import lifecycle
from aggregates_ext.xensim.records import failure


def at(context: operations.Context, step: str, host: str) -> operations.Steps:
    """Where a planted fault hits a step of the call.

    :param step: S1 to S10 of a join, E1 to E3 of an eject
    :param host: the host that the call is about
    """
    fault = context.world.faults.take(
        ('fail', 'hang', 'delay', 'die'), context.method, host, step
    )
    if fault is None:
        return
    if fault.action == 'hang':
        yield fault
    elif fault.action == 'delay':
        yield fault.pause
    elif fault.action == 'die':
        down = context.world.times.restart
        lifecycle.kill(context.world, context.host)
        lifecycle.restart(context.world, context.host, down)
        yield operations.FOREVER
    else:
        raise failure.Failure(fault.code, *fault.parameters)
