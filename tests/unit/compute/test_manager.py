"""The order of operations: per host, with rests, others go on."""

import datetime

from aggregates_ext.compute import manager
from aggregates_ext.db import records


def operation(number: int, host: str, not_before: float | None = None):
    return records.Operation(
        id=number,
        uuid=str(number),
        kind='add_host',
        aggregate_id=1,
        host=host,
        state='queued',
        settled=False,
        step=None,
        progress=0,
        attempts=0,
        not_before=not_before,
        begun=None,
        parameters={},
        call=None,
        error=None,
        request_id=None,
        user_id=None,
        project_id=None,
        created_at=datetime.datetime(2012, 3, 30),
        started_at=None,
        finished_at=None,
    )


def test_first_comes_first() -> None:
    first, second = operation(1, 'a'), operation(2, 'b')
    assert manager.next_due([first, second], 10) is first


def test_resting_operation_lets_other_hosts_pass() -> None:
    resting, other = operation(1, 'a', not_before=20), operation(2, 'b')
    assert manager.next_due([resting, other], 10) is other
    assert manager.next_due([resting, other], 20) is resting


def test_operations_of_one_host_keep_their_order() -> None:
    resting, behind = operation(1, 'a', not_before=20), operation(2, 'a')
    assert manager.next_due([resting, behind], 10) is None


def test_nothing_to_do() -> None:
    assert manager.next_due([], 10) is None
