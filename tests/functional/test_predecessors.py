"""What a predecessor has sent cannot begin once its successor has looked.

A database cannot take back a call that is on its way (design#sent-calls). So
whoever takes an operation over ends the session of the recorded call first.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext.compute.xen import failures
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from tests.functional import service

Ask = Callable[[service.Service, int], object]
REQUESTS: dict[str, Ask] = {
    'add_host': lambda s, key: s.members.add_host(s.ctx, key, 'xen3'),
    'remove_host': lambda s, key: s.members.remove_host(s.ctx, key, 'xen2'),
    'by force': lambda s, key: s.members.remove_host(
        s.ctx, key, 'xen2', force=True
    ),
    'set_master': lambda s, key: s.pools.set_master(s.ctx, key, 'xen2'),
    'adopt': lambda s, key: s.pools.adopt(s.ctx, key),
    'reapply': lambda s, key: s.pools.reapply(s.ctx, key),
    'rename': lambda s, key: s.aggregates.update(s.ctx, key, {'name': 'new'}),
    'disable_host': lambda s, key: s.enabling.set_service(
        s.ctx, 'xen2', records.DISABLED
    ),
}
# What changes nothing by itself.
LOOKS = ('session.', '.get_', 'system.', 'event.')


@pytest.fixture(params=REQUESTS)
def key(running: service.Service, request: pytest.FixtureRequest) -> int:
    """The newest operation of an aggregate has sent something to xen1."""
    key = running.create('xen1', 'xen2')
    if request.param == 'by force':
        running.sim.power_off('xen2')
    REQUESTS[request.param](running, key)
    return key


def record(running: service.Service, key: int, session: str) -> None:
    """As a compute service does right before it sends, and then dies."""
    operation = running.operation(key)
    call = {
        'call': 'Async.pool.something',
        'target': 'xen1',
        'session': session,
        'sent_at': time.time(),
    }
    with running.database.writer() as connection:
        db_operations.start(connection, operation.id)
        db_operations.update(connection, operation.id, {'call': call})


def methods(running: service.Service, since: int) -> list[str]:
    return [call.method for call in running.sim.calls[since:]]


def is_change(method: str) -> bool:
    return not any(look in method for look in LOOKS)


def test_session_of_a_predecessor_ends_before_anything_is_changed(
    running: service.Service, key: int
) -> None:
    with contextlib.closing(running.login('xen1')) as session:
        record(running, key, session.uuid())
        since = len(running.sim.calls)
        running.manager.work_on(key)
        sent = methods(running, since)
        ended = sent.index('session.get_by_uuid')
        assert not any(map(is_change, sent[:ended])), sent
        with pytest.raises(failures.XenAPIError, match='SESSION_INVALID'):
            session.call('pool.get_all')


def test_nothing_is_changed_while_whom_it_was_sent_to_cannot_be_asked(
    running: service.Service, key: int
) -> None:
    with contextlib.closing(running.login('xen1')) as session:
        record(running, key, session.uuid())
    running.sim.plant(call='session.get_by_uuid', action='refuse', times=0)
    since = len(running.sim.calls)
    running.manager.work_on(key)
    assert not any(map(is_change, methods(running, since)))
    call: Any = running.operation(key).call
    assert call['session']
