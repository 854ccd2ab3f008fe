"""What to do instead, where an operation cannot be taken back.

By its kind and its state: what undoes a join calls off no maintenance. A test
does in each of these states what is said here.
"""

from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records

# Of one that runs, by its kind. ``{host}`` is its host.
RUNNING = {
    'add_host': 'Wait for its end; or take the host out again with '
    '"remove_host", which may be asked for now.',
    'remove_host': 'Wait for its end; then "add_host" lets the host join '
    'again.',
    'rename': 'Give the aggregate the name that it is to have: its pool is '
    'renamed once more.',
    'set_master': 'Wait for its end; "set_master" of another member may be '
    'asked for now, and follows it.',
    'adopt': 'Wait for its end: it makes the aggregate what its pool is '
    'already.',
    'reapply': 'Wait for its end; "adopt" may be asked for now, and takes '
    'the pool as it is then.',
    'delete': 'Wait for its end; then create an aggregate anew.',
    'set_hosts': 'All its hosts are on their way: wait for the end, then '
    'send the list that is to be.',
    'disable_host': 'Wait for its end; or let the host be enabled again '
    '(status of PUT /os-hosts/{host}), which may be asked for now.',
    'enable_host': 'Wait for its end; or let the host be disabled again '
    '(status of PUT /os-hosts/{host}), which may be asked for now.',
    'enter_maintenance': 'Call it off with "leave_maintenance", which may be '
    'asked for now.',
    'leave_maintenance': 'Call it off with "enter_maintenance", which may be '
    'asked for now.',
    'power_host': 'What a host was told to do cannot be taken back: wait for '
    'the end, which comes within [compute] power_timeout.',
    'update_host': 'Updates that are being installed cannot be taken back: '
    'wait for the end, which comes within [compute] update_timeout.',
    # Until it has looked at its pool: from then on it can be given up.
    **dict.fromkeys(
        db_operations.ROLLING,
        'It has just begun: repeat the request in a moment.',
    ),
}
# Of one in another state.
_ENDED = {
    'succeeded': 'It has done its work.',
    'failed': 'It has ended already.',
    'cancelled': 'It is cancelled already.',
}
# Kinds that a restart of all hosts asks for. It would hold up what is asked
# of one of its hosts beside it.
_STEPS = (
    'enter_maintenance',
    'leave_maintenance',
    *db_operations.ON_EMPTY_HOSTS,
)
_STEP = 'It is a step of operation {whole}: "cancel_operation" gives that up.'
_UNRESOLVED = '"retry_operation" looks again at once what became of it'


def of_cancelling(operation: records.Operation) -> str:
    """What there is to do about one that cannot be cancelled."""
    kind, state, host = operation.kind, operation.state, operation.host
    if state == 'unresolved':
        reset = '; or say with "reset" what became of the host' if host else ''
        return f'{_UNRESOLVED}{reset}.'
    if state in _ENDED:
        return _ENDED[state]
    whole = operation.parameters.get(db_operations.PART_OF)
    if whole is None or kind not in _STEPS:
        return RUNNING[kind].format(host=host)
    step = _STEP.format(whole=whole)
    if kind in db_operations.ON_EMPTY_HOSTS:
        return f'{RUNNING[kind]} {step}'
    return step
