"""Starting and stopping guests: each call waits for its turn."""

import collections.abc

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.calls import tasks
from aggregates_ext.xensim.exclusion import guest
from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.machines import moving
from aggregates_ext.xensim.machines import placement
from aggregates_ext.xensim.machines import powerstate
from aggregates_ext.xensim.machines import upgrading
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import domains
from aggregates_ext.xensim.world import memory
from aggregates_ext.xensim.world import processors


def start(
    context: operations.Context, ref: str, paused: bool, force: bool
) -> operations.Steps:
    """Start a machine where it fits, at home if it can be."""
    db = context.db
    yield from guest.turn(db, context.world.times, ref, 'start')
    row = powerstate.assert_in(db, ref, 'Halted')
    fitting = placement.possible(db, ref)
    if not fitting:
        raise _nowhere(db, ref)
    home = row['affinity'] in fitting
    host = row['affinity'] if home else fitting[0]
    yield from _load(context, ref, host, 'start', paused)
    return ''


def _nowhere(db: database.Database, ref: str) -> failure.Failure:
    """With one host which is enabled, why it does not take a machine."""
    enabled = db.where('host', enabled=True)
    if len(enabled) == 1:
        try:
            placement.assert_fits(db, ref, enabled[0])
        except failure.Failure as exc:
            return exc
    return failure.Failure('NO_HOSTS_AVAILABLE')


def start_on(
    context: operations.Context,
    ref: str,
    host: str,
    paused: bool,
    force: bool,
) -> operations.Steps:
    """Start a machine on one host."""
    db = context.db
    upgrading.assert_takes(db, host)
    yield from guest.turn(db, context.world.times, ref, 'start_on')
    powerstate.assert_in(db, ref, 'Halted')
    placement.assert_fits(db, ref, host)
    yield from _load(context, ref, host, 'start_on', paused)
    return ''


def resume(
    context: operations.Context, ref: str, paused: bool, force: bool
) -> operations.Steps:
    """Load a suspended machine where it fits."""
    db = context.db
    yield from guest.turn(db, context.world.times, ref, 'resume')
    powerstate.assert_in(db, ref, 'Suspended')
    fitting = placement.possible(db, ref)
    if not fitting:
        raise _nowhere(db, ref)
    yield from _load(context, ref, fitting[0], 'resume', paused)
    return ''


def resume_on(
    context: operations.Context,
    ref: str,
    host: str,
    paused: bool,
    force: bool,
) -> operations.Steps:
    """Load a suspended machine on one host."""
    db = context.db
    upgrading.assert_takes(db, host)
    yield from guest.turn(db, context.world.times, ref, 'resume_on')
    powerstate.assert_in(db, ref, 'Suspended')
    placement.assert_fits(db, ref, host)
    yield from _load(context, ref, host, 'resume_on', paused)
    return ''


def _load(
    context: operations.Context,
    ref: str,
    host: str,
    operation: str,
    paused: bool,
) -> operations.Steps:
    """A machine that runs there unknown to its record is found.

    See xapi#moves-that-lie.
    """
    db, task = context.db, context.task
    row = db.row('VM', ref)
    before = row['power_state']
    kind = 'vm_start' if operation.startswith('start') else 'vm_resume'
    host_exclusion.occupy(db, host, kind, task)
    guest.occupy(db, ref, operation, task)
    row['scheduled_to_be_resident_on'] = host
    try:
        yield from _fault(context, ref)
        yield context.world.times.vm_start
        machine = domains.machine(context.world, db, host)
        found = machine is not None and row['uuid'] in machine.domains
        domains.arrive(context.world, machine, row['uuid'])
        state = 'Paused' if paused and not found else 'Running'
        powerstate.run(db, ref, host, state)
        row['ha_always_run'] = row['ha_restart_priority'] == 'restart'
        if kind == 'vm_start' and not found:
            processors.boot(db, ref)
        if found:
            raise failure.Failure('VM_BAD_POWER_STATE', ref, before, state)
    finally:
        if task in row['current_operations']:
            row['scheduled_to_be_resident_on'] = database.NULL
        guest.release(db, ref, task)
        host_exclusion.release(db, host, task)
        memory.refresh(db, host)


Change = collections.abc.Callable[[operations.Context, str], None]


def _change(
    context: operations.Context,
    ref: str,
    operation: str,
    states: tuple[str, ...],
    change: Change,
) -> operations.Steps:
    """Wait for the turn, look, and act where the guest runs then."""
    db, task = context.db, context.task
    yield from guest.turn(db, context.world.times, ref, operation)
    powerstate.assert_in(db, ref, *states)
    broken_off = _asking(db, ref)
    guest.occupy(db, ref, operation, task)
    try:
        yield from moving.break_off(context, db, ref)
        yield from _end_asking(context, ref, broken_off)
        yield from _fault(context, ref)
        row = powerstate.assert_in(db, ref, *states)
        if row['power_state'] in memory.LOADED:
            domains.assert_runs(context.world, db, ref)
        yield context.world.times.vm_stop
        change(context, ref)
    finally:
        guest.release(db, ref, task)
    return ''


def _asking(db: database.Database, ref: str) -> list[str]:
    """The tasks of what a guest has to do itself."""
    running = db.row('VM', ref)['current_operations']
    return [task for task, name in running.items() if name in guest.ASKING]


def _end_asking(
    context: operations.Context, ref: str, broken_off: list[str]
) -> operations.Steps:
    """A guest that is stopped hard is not asked any more."""
    for task in broken_off:
        if context.db.exists('task', task):
            tasks.cancel(context, task)
    while set(broken_off) & set(_asking(context.db, ref)):
        yield context.world.times.guest_wait


def _fault(context: operations.Context, ref: str) -> operations.Steps:
    """A guest that does not do as it is told (xapi#shutdowns).

    One that hangs has acknowledged, and is waited for until it is told to
    end, or xapi has waited long enough.
    """
    method = context.method.rpartition('Async.')[2]
    fault = context.world.faults.take(
        ('fail', 'hang', 'delay'),
        method,
        context.host.name,
        context.db.row('VM', ref)['uuid'],
    )
    if fault is None:
        return
    if fault.action == 'fail':
        yield fault.pause
        raise failure.Failure(fault.code, *fault.parameters)
    times = context.world.times
    limit = fault.pause if fault.action == 'delay' else times.shutdown_wait
    waited = 0.0
    while waited < limit and not fault.released.is_set():
        yield times.shutdown_poll
        waited += times.shutdown_poll
    if fault.action == 'hang' and not fault.released.is_set():
        raise failure.Failure('VM_SHUTDOWN_TIMEOUT', ref, f'{limit:.0f}.')


def _halt(context: operations.Context, ref: str) -> None:
    _leave(context, ref, 'Halted')


def _suspend(context: operations.Context, ref: str) -> None:
    _leave(context, ref, 'Suspended')


def _leave(context: operations.Context, ref: str, state: str) -> None:
    db = context.db
    row = db.row('VM', ref)
    machine = domains.machine(context.world, db, row['resident_on'])
    domains.end(machine, row['uuid'])
    context.world.ended.append(row['uuid'])
    row['ha_always_run'] = False
    powerstate.stop(db, ref, state)


def _pause(context: operations.Context, ref: str) -> None:
    context.db.row('VM', ref)['power_state'] = 'Paused'


def _go_on(context: operations.Context, ref: str) -> None:
    context.db.row('VM', ref)['power_state'] = 'Running'


def _boot(context: operations.Context, ref: str) -> None:
    """It runs anew, on what its host runs."""
    db = context.db
    row = db.row('VM', ref)
    newest = upgrading.is_newest(db, row['resident_on'])
    done = powerstate.RESTARTED if newest else powerstate.RESUMED
    powerstate.forget_guidance(row, *done)
    processors.boot(db, ref)
    _go_on(context, ref)


def hard_shutdown(context: operations.Context, ref: str) -> operations.Steps:
    """Stop a machine, and its move."""
    states = ('Paused', 'Suspended', 'Running')
    return _change(context, ref, 'hard_shutdown', states, _halt)


def hard_reboot(context: operations.Context, ref: str) -> operations.Steps:
    """Reboot a machine, and stop its move."""
    states = ('Paused', 'Running')
    return _change(context, ref, 'hard_reboot', states, _boot)


def clean_shutdown(context: operations.Context, ref: str) -> operations.Steps:
    """Ask a machine to stop, when it has arrived."""
    return _clean(context, ref, 'clean_shutdown', _halt)


def clean_reboot(context: operations.Context, ref: str) -> operations.Steps:
    """Ask a machine to reboot, when it has arrived."""
    return _clean(context, ref, 'clean_reboot', _boot)


def suspend(context: operations.Context, ref: str) -> operations.Steps:
    """Write the memory of a machine down; it leaves its host."""
    return _clean(context, ref, 'suspend', _suspend)


def _clean(
    context: operations.Context, ref: str, operation: str, change: Change
) -> operations.Steps:
    guest.assert_driven(context.db, ref, operation)
    return (yield from _change(context, ref, operation, ('Running',), change))


def pause(context: operations.Context, ref: str) -> operations.Steps:
    """Hold a machine in memory."""
    return _change(context, ref, 'pause', ('Running',), _pause)


def unpause(context: operations.Context, ref: str) -> operations.Steps:
    """Let a machine run again."""
    return _change(context, ref, 'unpause', ('Paused',), _go_on)


def power_state_reset(context: operations.Context, ref: str) -> str:
    """Call a machine halted, unless its host is alive."""
    db = context.db
    host = db.row('VM', ref)['resident_on']
    if db.exists('host', host):
        if host_exclusion.is_live(db, db.row('host', host)):
            raise failure.Failure('HOST_IS_LIVE', host)
        powerstate.stop(db, ref)
    return ''
