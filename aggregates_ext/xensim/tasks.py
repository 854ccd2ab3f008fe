"""Task records of asynchronous calls (contract 9, join_cases.txt)."""

import logging

from aggregates_ext.xensim import database
from aggregates_ext.xensim import failure
from aggregates_ext.xensim import operations
from aggregates_ext.xensim import wire

LOG = logging.getLogger(__name__)

UNWANTED = 'destroy_when_finished'


def start(context: operations.Context, work: operations.Steps) -> str:
    """Let a call run in the background; the answer is its task."""
    db = context.db
    ref = create(context, context.method, '')
    operations.start(
        context.world, context.xapi, _follow(context, db, ref, work)
    )
    return ref


def create(context: operations.Context, label: str, description: str) -> str:
    """Add a pending task."""
    return context.db.create(
        'task',
        name_label=label,
        name_description=description,
        status='pending',
        type='<none/>',
        created=database.date(context.now),
        resident_on=context.db.by_uuid('host', context.host.uuid),
    )


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
        _finish(context, db, ref, status='failure', error_info=exc.description)
    except Exception as exc:
        LOG.exception('%s failed inside the simulator', context.method)
        text = ['INTERNAL_ERROR', type(exc).__name__]
        _finish(context, db, ref, status='failure', error_info=text)
    else:
        result = wire.xml_value(value)
        _finish(context, db, ref, status='success', result=result)


def _finish(
    context: operations.Context,
    db: database.Database,
    ref: str,
    **values: database.Value,
) -> None:
    if not db.exists('task', ref):
        return
    row = db.row('task', ref)
    row.update(values, progress=1.0, finished=database.date(context.now))
    if row['other_config'].pop(UNWANTED, None):
        db.delete('task', ref)


def destroy(context: operations.Context, ref: str) -> str:
    """Remove a task; one which still runs is only marked."""
    row = context.db.row('task', ref)
    if row['status'] == 'pending':
        row['other_config'][UNWANTED] = 'true'
    else:
        context.db.delete('task', ref)
    return ''


def cancel(context: operations.Context, ref: str) -> str:
    """Ask a task to end; joins and ejects do not react (contract 9)."""
    row = context.db.row('task', ref)
    if 'cancel' in row['allowed_operations']:
        row['status'] = 'cancelling'
    return ''
