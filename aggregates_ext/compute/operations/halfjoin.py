"""Ending a join that stopped half-way: restart, look, only then clean up.

xapi writes the role of the joiner before the last steps of a join. One that
fails there answers an error, serves on as its own master, and becomes a slave
with its next start; without its record at the master that start fails for
ever (xapi#join-late-failures). So its toolstack is restarted first. Who is a
slave of our master then is a member; only the record of one that is still its
own master is taken out of the pool.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.operations import verdicts
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import text
from aggregates_ext.db import records

RESTART = 'host.restart_agent'
DESTROY = 'host.destroy'
# What is written down of the restart: when the toolstack had started before,
# how often the call was sent, with what the join had failed, and whether the
# record was removed after it.
KEY = 'restarted'
# One that did not come to the host may be sent a second time.
RESTARTS = 2


def end(
    run: compute_run.Run,
    host: records.Host,
    master: masters.Master,
    seen: verdicts.Seen,
    lasting: float,
) -> None:
    """Go a step further with a half-joined host; never for others.

    :param lasting: seconds for which it has looked so.
    :raises outcomes.Failed: what it had left is removed, or is not this
        operation's to remove.
    :raises outcomes.Unresolved: it cannot be restarted, or its record not
        be removed.
    """
    if not run.sent:
        raise outcomes.Failed(
            'STALE_RECORD',
            f'{seen.describe()} No join of this operation was sent, so the '
            'record is left from an earlier attempt, or made by hand. '
            'Restart the toolstack of the host first: if it is a slave then, '
            'the action "adopt" makes it a member; only if it is still its '
            f'own master remove the record with {_forget(host)} and repeat '
            'the request.',
        )
    known = run.operation.parameters.get(KEY) or {}
    started = _started(seen)
    if known and started and started != known['started']:
        _clean_up(run, host, master, seen)
    elif not known:
        _restart(run, host, seen)
    elif run.operation.state == 'unresolved':
        raise _stuck(host, seen, 'it has not started anew since.')
    elif lasting >= run.options.fuse_wait:
        if known['sent'] >= RESTARTS:
            raise _stuck(host, seen, 'it was asked to, and has not started.')
        _restart(run, host, seen)


def _forget(host: records.Host) -> str:
    return text.command('xe', 'host-forget', f'uuid={host.uuid}')


def _started(seen: verdicts.Seen) -> float:
    """When the toolstack of the joiner has started; 0: it does not say."""
    pool = seen.joiner.pool
    return pool.master.agent_start_time if pool is not None else 0.0


def _restart(
    run: compute_run.Run, host: records.Host, seen: verdicts.Seen
) -> None:
    """Restart the toolstack of the joiner, by its own call.

    With that its tasks are gone, so what the join failed with is kept. So is
    when it had started, also after a refusal: somebody else may restart it.

    :raises outcomes.Unresolved: the host refuses.
    """
    before = run.operation.parameters.get(KEY) or {}
    known = {
        'started': _started(seen),
        'sent': before.get('sent', 0) + 1,
        'error': before.get('error') or find_error(run, seen),
    }
    run.note(step='restarting the toolstack of the host')
    with contextlib.closing(run.connector.login(host)) as session:
        own = views.pool_view(session).master
        try:
            run.change(
                session,
                RESTART,
                own.ref,
                known=lambda connection: {KEY: known},
                proves=lambda code: False,
            )
        except outcomes.AnsweredForGood as exc:
            raise _stuck(host, seen, exc.answer.said) from exc


def _stuck(
    host: records.Host, seen: verdicts.Seen, why: str
) -> outcomes.Unresolved:
    return outcomes.Unresolved(
        'HALF_JOINED',
        f'The join of host {host.name} was left half-done: '
        f'{seen.describe()} Its toolstack must be restarted before anything '
        f'is removed, and could not be: {why} Restart it at its console '
        '("xe-toolstack-restart") and leave its record in the pool alone; '
        'what it is then is seen by itself.',
    )


def _clean_up(
    run: compute_run.Run,
    host: records.Host,
    master: masters.Master,
    seen: verdicts.Seen,
) -> None:
    """Remove the dead record of a host that is its own master for sure.

    :raises outcomes.Failed: the reason of the join, when it is done.
    :raises outcomes.Unresolved: the master keeps the record.
    """
    known = {**run.operation.parameters[KEY], 'cleaned': True}
    run.note(step='removing a half-done join from the pool')
    with contextlib.closing(master.login()) as session:
        ref = seen.listed.ref if seen.listed else ''
        try:
            run.change(
                session, DESTROY, ref, known=lambda connection: {KEY: known}
            )
        except outcomes.AnsweredForGood as exc:
            raise outcomes.Unresolved(
                'HALF_JOINED',
                f'The join of host {host.name} was left half-done: '
                f'{seen.describe()} Its toolstack has been restarted, so its '
                f'record can go, and could not be removed: {exc.answer.said} '
                f'Remove it with {_forget(host)} and use the action reset.',
                exc.error,
            ) from exc
    finish(run)


def finish(run: compute_run.Run) -> None:
    """End a join that was half-done and of which nothing is left.

    :raises outcomes.Failed: for a reason that stays, or for none.
    :raises outcomes.Postpone: for one that passes: it may be sent again.
    """
    known = run.operation.parameters.get(KEY)
    if not known:
        return
    if not known['error']:
        raise outcomes.Failed(
            'HALF_JOINED',
            f'The join of host {run.host_name} stopped half-way; what it had '
            'left in the pool is removed, and the host is its own pool '
            'again, also after a restart of its toolstack.',
        )
    failure = explain(run, known['error'])
    if isinstance(failure, outcomes.Failed):
        raise outcomes.Failed(
            failure.error['code'],
            f'{failure.said} What the join had left in the pool is removed, '
            'and the host is its own pool again.',
            failure.error['parameters'],
            failure.way_out,
        )
    if isinstance(failure, outcomes.Postpone):
        kept: dict[str, Any] = {**run.operation.parameters, 'sent': False}
        del kept[KEY]
        run.note(call=None, parameters=kept)
    raise failure


def find_error(run: compute_run.Run, seen: verdicts.Seen) -> list[str] | None:
    """What the joiner's own task says of a join that failed."""
    sent = (run.operation.call or {}).get('task')
    ended = [task for task in seen.joiner.tasks if task.status != 'success']
    if not ended:
        return None
    task = next((t for t in ended if t.ref == sent), ended[-1])
    return list(task.error) or ['TASK_CANCELLED']


def explain(run: compute_run.Run, error: Sequence[str]) -> Exception:
    """What becomes of an operation whose join has failed with an error."""
    code, *parameters = error
    if code in codes.LOGIN_REFUSED:
        return outcomes.Failed(
            code,
            f'Host {run.host_name} could not log in to the master of the '
            'pool with the account that the pool has in the configuration.',
            parameters,
            'Correct its credential, send the compute services SIGHUP, then '
            'repeat the request.',
        )
    return outcomes.translate(
        failures.XenAPIError(run.host_name, code, tuple(parameters))
    )
