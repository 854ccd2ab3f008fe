"""host.evacuate and what it answers before.

See xapi#maintenance-calls and xapi#evacuation-plan.
"""

import functools

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.calls import tasks
from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.machines import evacuationplan
from aggregates_ext.xensim.machines import haplan
from aggregates_ext.xensim.machines import migration
from aggregates_ext.xensim.machines import moving
from aggregates_ext.xensim.plan import presets
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure

BATCH = 10

Moves = list[tuple[str, str]]
Options = dict[str, str]


def get_vms_which_prevent_evacuation(
    context: operations.Context, ref: str
) -> dict[str, list[str]]:
    """Why machines cannot leave a host: one reason each."""
    db = context.db
    db.row('host', ref)
    return {
        vm: reason.description
        for vm, reason in evacuationplan.prevented(db, ref).items()
    }


def assert_can_evacuate(context: operations.Context, ref: str) -> str:
    """All reasons in one text."""
    db = context.db
    db.row('host', ref)
    reasons = evacuationplan.prevented(db, ref).values()
    if reasons:
        text = '|'.join(','.join(reason.description) for reason in reasons)
        raise failure.Failure('CANNOT_EVACUATE_HOST', text)
    return ''


def evacuate(
    context: operations.Context, ref: str, network: str = '', batch: int = 0
) -> operations.Steps:
    """Move all machines away; the host stays as enabled as it is.

    :param network: over which they go; an older host is not told of it.
    """
    db = context.db
    options = {'live': 'true'}
    if network not in ('', database.NULL):
        options['network'] = network
    haplan.assert_kept(db, haplan.Change(disabled=ref))
    task = host_exclusion.occupy(db, ref, 'evacuate', context.task)
    try:
        yield from _move_all(context, ref, batch, options)
    finally:
        host_exclusion.release(db, ref, task)
    return ''


def _move_all(
    context: operations.Context, ref: str, batch: int, options: Options
) -> operations.Steps:
    """Nothing moves before each target is seen to take what is sent to it."""
    db = context.db
    moves: Moves = []
    for vm, outcome in evacuationplan.plan(db, ref).items():
        if isinstance(outcome, failure.Failure):
            raise outcome
        moves.append((vm, outcome))
    if 'network' in options:
        for target in sorted({target for _, target in moves}):
            migration.address_on(db, target, options['network'])
    yield from _move(context, ref, moves, batch, options)
    if left := evacuationplan.residents(db, ref):
        raise failure.Failure(
            'INTERNAL_ERROR',
            f'evacuate: {len(left)} VMs are still resident on {ref}',
        )
    return ''


def _window(context: operations.Context, batch: int) -> tuple[int, bool]:
    """How many leave at once, and whether the next waits for all of them."""
    release = context.host.preset.release
    if release < presets.EVACUATION_BATCHES_SINCE:
        return 1, True
    return batch or BATCH, release < presets.EVACUATION_WINDOW_SINCE


def _move(
    context: operations.Context,
    host: str,
    moves: Moves,
    batch: int,
    options: Options,
) -> operations.Steps:
    """Move some at once; after a failure the others are left alone."""
    db = context.db
    size, whole = _window(context, batch)
    left, running = list(moves), list[str]()
    try:
        while left or running:
            if not running or not whole:
                while left and len(running) < size:
                    vm, target = left.pop(0)
                    running.append(_start(context, host, vm, target, options))
            yield context.world.times.evacuation_poll
            for task in list(running):
                if _is_done(db, task):
                    running.remove(task)
                    db.delete('task', task)
            done = len(moves) - len(left) - len(running)
            context.progress(done / len(moves))
    finally:
        for task in running:
            db.delete('task', task)
    return ''


def _start(
    context: operations.Context,
    host: str,
    vm: str,
    target: str,
    options: Options,
) -> str:
    work = functools.partial(
        migration.pool_migrate, vm=vm, host=target, options=options
    )
    method = f'Async.{migration.CALL}'
    own = context._replace(method=method, session=moving.OWN)
    task = tasks.start(own, migration.CALL, [vm], work)
    context.db.row('task', task).update(
        subtask_of=context.task, resident_on=host
    )
    return task


def _is_done(db: database.Database, task: str) -> bool:
    """Whether a move has ended; a failed one raises what it failed of.

    A machine which stopped by itself meanwhile has left, too.
    """
    if not db.exists('task', task):
        return True
    row = db.row('task', task)
    error = row['error_info']
    if error and error[0] != 'VM_BAD_POWER_STATE':
        raise failure.Failure(*error)
    if row['status'] == 'cancelled':
        raise failure.Failure(
            'INTERNAL_ERROR', 'unexpected status of migration task'
        )
    return row['status'] not in tasks.UNFINISHED
