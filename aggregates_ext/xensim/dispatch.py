"""One call, from its arrival to its outcome (xapi#simulated-behaviour-2)."""

import dataclasses
import logging

from aggregates_ext.xensim import methods
from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.calls import rbac
from aggregates_ext.xensim.calls import sessions
from aggregates_ext.xensim.calls import signatures
from aggregates_ext.xensim.calls import tasks
from aggregates_ext.xensim.life import lifecycle
from aggregates_ext.xensim.plan import versions
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.wire import codec
from aggregates_ext.xensim.world import faults
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import world as worlds

LOG = logging.getLogger(__name__)

ON_ARRIVAL = ('refuse', 'reset', 'hang', 'delay', 'fail', 'die', 'drop_answer')


def respond(
    world: worlds.World, host: hosts.Host, request: codec.Request
) -> database.Value:
    """Answer a request which arrived at a host."""
    with world.lock:
        xapi = host.xapi
        if xapi is None:
            raise failure.ConnectionLost
        session = request.parameters[0] if request.parameters else ''
        context = operations.Context(
            world, host, xapi, request.method, str(session)
        )
        _note_arrival(context)
    try:
        return operations.run(world, xapi, _handle(context, request))
    except (failure.Failure, failure.ConnectionLost):
        raise
    except Exception as exc:
        LOG.exception('%s failed inside the simulator', request.method)
        text = type(exc).__name__
        raise failure.Failure('INTERNAL_ERROR', text) from exc


def _note_arrival(context: operations.Context) -> None:
    world = context.world
    db = world.database_of(context.host)
    originator = None
    if db is not None and db.exists('session', context.session):
        originator = db.row('session', context.session)['originator']
    world.calls.append(
        worlds.Arrival(
            context.host.name, context.method, originator, context.now
        )
    )


def _handle(
    context: operations.Context, request: codec.Request
) -> operations.Steps:
    """The call with the faults around it."""
    fault = context.world.faults.take(
        ON_ARRIVAL, context.method, context.host.name
    )
    if fault is not None:
        yield from _before(context, fault)
    try:
        value = yield from _call(context, request)
    except failure.Failure:
        _after(context, fault)
        raise
    _after(context, fault)
    return value


def _before(
    context: operations.Context, fault: faults.Fault
) -> operations.Steps:
    if fault.action == 'hang':
        yield fault
    elif fault.action == 'delay':
        yield fault.pause
    elif fault.action == 'fail':
        raise failure.Failure(fault.code, *fault.parameters)
    elif fault.action == 'reset':
        raise failure.ConnectionLost
    elif fault.action == 'refuse':
        lifecycle.refuse(context.world, context.host, fault.seconds)
        raise failure.ConnectionLost
    elif fault.action == 'die' and fault.when == 'before':
        die(context)


def _after(context: operations.Context, fault: faults.Fault | None) -> None:
    if fault is None:
        return
    if fault.action == 'drop_answer':
        raise failure.ConnectionLost
    if fault.action == 'die' and fault.when == 'after':
        die(context)


def die(context: operations.Context) -> None:
    """Kill xapi; its watchdog starts it again."""
    down = context.world.times.restart
    lifecycle.kill(context.world, context.host)
    lifecycle.restart(context.world, context.host, down)
    raise failure.ConnectionLost


def _call(
    context: operations.Context, request: codec.Request
) -> operations.Steps:
    """Emergency, method, arity, kinds, session, execution."""
    prefix = next(
        (mark for mark in methods.PREFIXES if request.method.startswith(mark)),
        '',
    )
    name = methods.canonical(request.method.removeprefix(prefix))
    if context.xapi.emergency is not None and name not in methods.EMERGENCY:
        raise context.xapi.emergency
    method = _find(context.host.spec.version, name)
    if method is None:
        raise failure.Failure('MESSAGE_METHOD_UNKNOWN', request.method)
    session, parameters = signatures.split(name, method, request.parameters)
    context = context._replace(session=session)
    if prefix and name.partition('.')[0] in signatures.NOT_ASYNCHRONOUS:
        raise failure.Failure(
            'Fault', f'No async mode for this operation (rpc: {name})'
        )
    if method.session and not _free(context, name):
        yield from sessions.check(context)
        rbac.check(context, name)

    def work(context: operations.Context) -> operations.Steps:
        outcome = method.function(context, *parameters)
        return (yield from operations.steps(outcome))

    if prefix:
        return tasks.start(context, name, parameters, work)
    if name in tasks.SHOWN:
        return (yield from tasks.show(context, name, work))
    return (yield from work(context))


def _find(version: str, name: str) -> signatures.Method | None:
    """A method as a product has it (xapi#simulated-behaviour-14)."""
    method = methods.find(name)
    if method is None or not versions.knows(version, name):
        return None
    taken = versions.parameters(version, name)
    if taken is None:
        return method
    needed = len(method.parameters) - method.optional
    return dataclasses.replace(
        method,
        parameters=method.parameters[:taken],
        optional=taken - needed,
    )


def _free(context: operations.Context, name: str) -> bool:
    """Emergency calls need no database for their local session."""
    local = context.session in context.xapi.local_sessions
    return local and name in methods.EMERGENCY
