"""What a conflict says of itself: whether it passes without an operator."""

import pytest

from aggregates_ext import exception
from tests.functional import service


def test_unfinished_work_passes_and_unresolved_work_does_not(
    running: service.Service,
) -> None:
    key = running.create('xen1')
    running.members.remove_host(running.ctx, key, 'xen1')
    running.pools.reapply(running.ctx, key)
    with pytest.raises(exception.AggregateBusy, match=r'\(reapply\)') as busy:
        running.aggregates.delete(running.ctx, key)
    assert busy.value.passes
    with running.database.writer() as connection:
        connection.exec_driver_sql(
            "UPDATE operations SET state = 'unresolved' WHERE state = 'queued'"
        )
    with pytest.raises(exception.AggregateBusy) as stuck:
        running.aggregates.delete(running.ctx, key)
    assert not stuck.value.passes
