"""Undoing an entry into maintenance that has failed (design#maintenance).

The host is made as it was before, unless it is to stay as it is; guests that
were moved stay where they are.
"""

from typing import Any

from aggregates_ext.compute.maintenance import downtime
from aggregates_ext.compute.maintenance import shared
from aggregates_ext.compute.operations import enabling
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.domain import downtime as wanted

# The parameter of an operation that is being undone: why it has failed.
FAILING = 'failing'


def note_failure(
    run: compute_run.Run, code: str, message: str, found: Any
) -> None:
    """Write down that it has failed: from now on it is undone."""
    failing = {
        'code': code,
        'message': message,
        'found': found,
        'at': run.elapsed(),
    }
    run.remember(**{FAILING: failing})


def has_failed(run: compute_run.Run) -> bool:
    """Whether it is being undone."""
    return FAILING in run.operation.parameters


def undo(
    run: compute_run.Run,
    change: enabling.Change,
    going: downtime.Downtime,
) -> outcomes.Failed:
    """Go on with it, as far as it goes now.

    Guests that were shut down are started again.

    :returns: what the operation ends with.
    :raises outcomes.Postpone: it is not done yet.
    """
    asked, left = run.operation.parameters, None
    failing = asked[FAILING]
    going.settle((wanted.STOPPING,))
    if asked.get('again') or asked.get('stay'):
        became = 'It stays disabled, as was asked.'
        _keep_start(run, change)
    else:
        became = 'It takes guests as before.'
        left = change.remove_keys(failing['at'])
        if asked.get('disabling'):
            try:
                change.enable(failing['at'])
            except outcomes.Failed as exc:
                became = f'It stays disabled: {exc}'
        if going.start_again(wanted.halted([run.operation])):
            raise shared.watch(run, 'Guests are started again.')
    return outcomes.Failed(
        failing['code'],
        f'{failing["message"]} {became} Guests that were moved stay where '
        f'they are.{_fates(run)}{" " + left["message"] if left else ""}',
        failing['found'],
    )


def _keep_start(run: compute_run.Run, change: enabling.Change) -> None:
    """What its xapi has proven: its next start is known as one."""
    start = change.listed.agent_start_time
    run.write(
        lambda connection: db_hosts.update(
            connection, run.host_name, {'disabled_start': start}
        )
    )


def _fates(run: compute_run.Run) -> str:
    """What became of guests that were shut down, as one more sentence."""
    entries = downtime.find(run).values()
    told = ''
    for state, words in (
        (wanted.HALTED, 'Guests that are down'),
        (wanted.RUNNING, 'Guests that were started again'),
    ):
        names = [e['name'] for e in entries if e['state'] == state]
        if names:
            told += f' {words}: {shared.names(names)}.'
    for entry in entries:
        if (entry['error'] or {}).get('code') == downtime.STAYS_DOWN:
            told += f' {entry["error"]["message"]}'
    return told
