"""Task records of asynchronous calls (xapi#tasks)."""

import collections.abc
import logging

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.wire import codec
from aggregates_ext.xensim.world import world as worlds

LOG = logging.getLogger(__name__)

UNWANTED = 'destroy_when_finished'


CANCELLABLE = frozenset(
    {
        'VM.clean_reboot',
        'VM.clean_shutdown',
        'VM.migrate_send',
        'VM.pool_migrate',
        'VM.resume',
        'VM.start',
        'VM.start_on',
        'VM.suspend',
        'host.evacuate',
    }
)
"""Calls which react to task.cancel; joins and ejects do not."""

ASKED = frozenset({'VM.pool_migrate'})
"""They are asked and stay pending; nothing tells that they were."""

DEAF = frozenset({'host.evacuate'})
"""They seem to react and do not (xapi#tasks)."""

SHOWN = frozenset(
    {
        'VM.clean_reboot',
        'VM.clean_shutdown',
        'VM.hard_reboot',
        'VM.hard_shutdown',
        'VM.pause',
        'VM.pool_migrate',
        'VM.resume',
        'VM.resume_on',
        'VM.start',
        'VM.start_on',
        'VM.suspend',
        'VM.unpause',
        'host.apply_updates',
        'host.enable',
        'host.evacuate',
        'host.reboot',
        'host.shutdown',
        'pool.sync_updates',
    }
)
"""Calls with a task for as long as they run, also when they are plain."""

BY_MASTER = frozenset({'host.apply_updates'})
"""Calls about a host which its master works on (xapi#updates)."""

UNFINISHED = ('pending', 'cancelling')

Work = collections.abc.Callable[[operations.Context], operations.Steps]


def start(
    context: operations.Context,
    name: str,
    parameters: list[database.Value],
    work: Work,
) -> str:
    """Let a call run in the background; the answer is its task."""
    db = context.db
    ref = create(context, context.method, '')
    context = context._replace(task=ref)
    if name in CANCELLABLE:
        db.row('task', ref)['allowed_operations'] = ['cancel']
    forwarded = name.startswith(('host.', 'VM.')) and name not in BY_MASTER
    if forwarded and parameters:
        context.xapi.forwarded[ref] = _worker(db, parameters[0])
    operations.start(
        context.world,
        context.xapi,
        _follow(context, db, ref, _cancellable(db, ref, work(context))),
    )
    return ref


def show(
    context: operations.Context, name: str, work: Work
) -> operations.Steps:
    """Do a plain call, with a task that is gone when it ends."""
    db = context.db
    ref = create(context, context.method, '')
    if name in CANCELLABLE:
        db.row('task', ref)['allowed_operations'] = ['cancel']
    context = context._replace(task=ref)
    try:
        return (yield from _cancellable(db, ref, work(context)))
    finally:
        context.xapi.cancels.discard(ref)
        db.delete('task', ref)


def _worker(db: database.Database, subject: str) -> str:
    """The host to which a call about a host or a machine is forwarded."""
    if db.exists('VM', subject):
        return str(db.row('VM', subject)['resident_on'])
    return subject


def _cancellable(
    db: database.Database, ref: str, work: operations.Steps
) -> operations.Steps:
    """Do the work, and end before its next step once it is cancelled."""
    try:
        while True:
            try:
                pause = next(work)
            except StopIteration as done:
                return done.value
            before = _let_cancel(db, ref, pause)
            yield pause
            if before is not None and db.exists('task', ref):
                db.row('task', ref)['allowed_operations'] = before
            if db.exists('task', ref) and _status(db, ref) != 'pending':
                raise failure.Failure('TASK_CANCELLED', ref)
    finally:
        work.close()


def _let_cancel(
    db: database.Database, ref: str, pause: operations.Pause
) -> list[str] | None:
    """Any call can be cancelled while it waits for a lock.

    See xapi#pool-operations.
    """
    if not isinstance(pause, operations.Cancellable):
        return None
    if not db.exists('task', ref):
        return None
    row = db.row('task', ref)
    before: list[str] = row['allowed_operations']
    row['allowed_operations'] = ['cancel']
    return list(before)


def unfinished(db: database.Database, ref: str) -> bool:
    """Whether a task has no end yet."""
    return _status(db, ref) in UNFINISHED


def _status(db: database.Database, ref: str) -> str:
    return str(db.row('task', ref)['status'])


def create(context: operations.Context, label: str, description: str) -> str:
    """Add a pending task; it is collected if it never ends."""
    db = context.db
    ref = db.create(
        'task',
        name_label=label,
        name_description=description,
        status='pending',
        type='<none/>',
        created=database.date(context.now),
        resident_on=db.by_uuid('host', context.host.uuid),
    )

    def collect() -> None:
        if db.exists('task', ref) and unfinished(db, ref):
            db.delete('task', ref)

    context.world.later(context.world.times.pending_task, collect)
    return ref


def _follow(
    context: operations.Context,
    db: database.Database,
    ref: str,
    work: operations.Steps,
) -> operations.Steps:
    """Do the work and write its end into the task."""
    try:
        value = yield from work
    except failure.Failure as exc:
        if exc.code == 'TASK_CANCELLED':
            _finish(context, db, ref, status='cancelled')
        else:
            told = exc.description
            _finish(context, db, ref, status='failure', error_info=told)
    except Exception as exc:
        LOG.exception('%s failed inside the simulator', context.method)
        text = ['INTERNAL_ERROR', type(exc).__name__]
        _finish(context, db, ref, status='failure', error_info=text)
    else:
        result = codec.xml_value(value)
        _finish(context, db, ref, status='success', result=result)


def _finish(
    context: operations.Context,
    db: database.Database,
    ref: str,
    **values: database.Value,
) -> None:
    context.xapi.forwarded.pop(ref, None)
    context.xapi.cancels.discard(ref)
    if db.exists('task', ref) and unfinished(db, ref):
        end(context.world, db, ref, **values)


def end(
    world: worlds.World,
    db: database.Database,
    ref: str,
    **values: database.Value,
) -> None:
    """Write the end of a task, and collect it after a time (xapi#tasks)."""
    row = db.row('task', ref)
    now = database.date(world.clock.time())
    row.update(values, progress=1.0, finished=now, allowed_operations=[])
    if row['other_config'].pop(UNWANTED, None):
        db.delete('task', ref)
        return

    def collect() -> None:
        db.delete('task', ref)

    world.later(world.times.completed_task, collect)


def destroy(context: operations.Context, ref: str) -> str:
    """Remove a task; one which still runs is only marked."""
    row = context.db.row('task', ref)
    if row['status'] in UNFINISHED:
        row['other_config'][UNWANTED] = 'true'
    else:
        context.db.delete('task', ref)
    return ''


def cancel(context: operations.Context, ref: str) -> str:
    """Ask a task to end; what it makes of that differs (xapi#tasks)."""
    row = context.db.row('task', ref)
    name = row['name_label'].removeprefix('Async.')
    if name in ASKED and row['status'] in UNFINISHED:
        context.xapi.cancels.add(ref)
    elif 'cancel' in row['allowed_operations'] and name not in DEAF:
        row['status'] = 'cancelling'
    return ''
