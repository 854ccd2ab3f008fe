"""What is written down of changes of master, for whoever comes later.

``pool.designate_new_master`` is written into the parameters of the operation
before it is sent, with the database's time; so no crash, retry, other
operation or other service sends a second one too early
(design#change-of-master).
"""

from typing import Any

from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records

CALL = 'pool.designate_new_master'
KEY = db_operations.DESIGNATED


def allowance(operation: records.Operation, timeout: float) -> float:
    """The seconds that a change of master adds to an operation's limit."""
    return timeout if KEY in operation.parameters else 0.0


def tell(run: compute_run.Run) -> str:
    """A sentence for what goes wrong after the master has changed."""
    done = sent(run).get('done')
    return f' Host {sent(run)["name"]} is the master now.' if done else ''


def await_others(run: compute_run.Run) -> None:
    """Let an operation wait while a change of master is under way.

    It is under way for anybody, whatever became of the operation that sent
    it, until its result is known or its window is over.

    :raises outcomes.Waiting: one is.
    """
    for operation, age in _designations(run):
        if operation.parameters[KEY].get('done'):
            continue
        if operation.id == run.operation.id:
            continue
        if age < run.options.designate_wait:
            raise outcomes.Waiting(
                reason=f'Operation {operation.uuid} has changed the master '
                f'{age:.0f} s ago, and how that ends is being watched.'
            )


def await_window(run: compute_run.Run) -> None:
    """Keep a change of master from being sent too early after another.

    After one that is proven, with all members back, nothing stands against
    the next (xapi#designate-errors).

    :raises outcomes.Waiting: it would be.
    """
    for operation, age in _designations(run):
        found = operation.parameters[KEY]
        if found.get('done') and not found['late']:
            continue
        if age < run.options.designate_wait:
            raise outcomes.Waiting(
                reason=f'Operation {operation.uuid} sent a change of master '
                f'{age:.0f} s ago; the next is not sent before '
                f'{run.options.designate_wait:.0f} s have passed.'
            )
        known = operation.parameters[KEY].get('done')
        if operation.state in ('running', 'unresolved') and not known:
            raise outcomes.Waiting(
                reason=f'The change of master of operation {operation.uuid} '
                'is unresolved; this waits until it is known, or reset.'
            )


def _designations(
    run: compute_run.Run,
) -> list[tuple[records.Operation, float]]:
    """The operations that sent the call and may count, and how long ago."""
    return run.held.read(
        lambda connection: db_operations.designations(
            connection, run.aggregate_id, run.options.designate_wait
        )
    )


def sent(run: compute_run.Run) -> dict[str, Any]:
    """What is written down of the call that this operation has sent."""
    return run.operation.parameters.get(KEY) or {}


def is_open(run: compute_run.Run) -> bool:
    """Whether the call was sent, and its outcome is not known."""
    return bool(sent(run)) and not sent(run).get('done')


def write(
    connection: Any, run: compute_run.Run, found: dict[str, Any] | None
) -> None:
    """Write what is known of the call, and whether it may have been sent."""
    parameters = dict(run.operation.parameters)
    parameters.pop(KEY, None)
    values: dict[str, Any] = {}
    if found is not None:
        parameters[KEY] = found
    if found is None or found.get('done'):
        values['call'] = None
    parameters['changed'] = found is not None and not found.get('done')
    db_operations.update(
        connection, run.operation.id, {**values, 'parameters': parameters}
    )


def forget(run: compute_run.Run) -> None:
    """Nothing has happened: the call may be sent again."""
    run.write(lambda connection: write(connection, run, None))
