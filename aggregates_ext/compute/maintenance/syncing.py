"""Letting the master of a XenServer pool copy what is published for its hosts.

Changes no host; whoever goes on with it may ask for it again
(design#updates).
"""

from aggregates_ext.compute.maintenance import lacking
from aggregates_ext.compute.maintenance import shared
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.rules import updating
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields

OPERATION = 'sync_updates'
# The parameter of the operation that tells how often the master was told.
TIMES = 'syncs'
MOST_SENT = 3
FAILED = 'REPOSYNC_FAILED'


def synchronize(run: compute_run.Run, master: masters.Master) -> None:
    """Return when the mirror of the master is up to date.

    :raises outcomes.Failed: it could not be, or not within its time.
    :raises outcomes.Postpone: it goes on.
    """
    limit = float(run.options.update_timeout)
    if run.elapsed() >= limit:
        raise outcomes.Failed(
            'TIMEOUT',
            f'The master has not synchronized updates for {limit:.0f} s; no '
            'host was touched.',
        )
    run.note(step='the master synchronizes updates')
    session = master.session
    task = shared.task_of_call(run, session)
    if task is None:
        # It cannot begin any more, if it has not.
        run.end_recorded_session()
        _ref, pool = fields.only(session.host, 'pool', session.records('pool'))
        if OPERATION not in pool['current_operations'].values():
            _tell(run, master)
        raise _watch(run)
    if task.status in views.RUNNING:
        raise _watch(run)
    run.note(call=None)
    if task.status != 'success':
        code, *about = task.error or (FAILED,)
        raise outcomes.answered(
            failures.XenAPIError(session.host, code, tuple(about))
        )
    run.remember(**{lacking.SYNCED: True})


def _tell(run: compute_run.Run, master: masters.Master) -> None:
    """Tell the master, from a session of its own.

    :raises outcomes.Failed: it was told often enough.
    """
    times = run.operation.parameters.get(TIMES, 0) + 1
    if times > MOST_SENT:
        raise outcomes.Failed(
            FAILED,
            f'The master was told {MOST_SENT} times to synchronize updates, '
            'and it is not seen that it has. Look at /var/log/xensource.log '
            'there.',
        )
    session = master.login()
    try:
        [pool] = session.records('pool')
        run.change(
            session,
            f'Async.{updating.SYNC}',
            pool,
            False,
            '',
            '',
            known=lambda _connection: {TIMES: times},
        )
    finally:
        session.close()


def _watch(run: compute_run.Run) -> outcomes.Watching:
    """What lets it rest until there is more to see."""
    seconds = shared.LOOKS * float(run.options.watch_interval)
    return outcomes.Watching(seconds, reason='The master synchronizes.')
