"""The ids of requests, from the API to the log of the compute service."""

import logging
from collections.abc import Iterator

import pytest
from oslo_context import context as oslo_context

from aggregates_ext import context
from aggregates_ext import enforcers
from tests.functional import service

CAUSE = 'req-11111111-2222-4333-8444-555555555555'


class Listener(logging.Handler):
    """Keeps who spoke, and for which request."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, str | None, str | None]] = []

    def emit(self, record: logging.LogRecord) -> None:
        current = oslo_context.get_current()
        self.heard.append(
            (
                record.getMessage(),
                current and current.request_id,
                current and current.global_request_id,
            )
        )


@pytest.fixture
def listener() -> Iterator[Listener]:
    """What the compute service logs."""
    handler = Listener()
    logger = logging.getLogger('aggregates_ext.compute')
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.INFO)
    yield handler
    logger.setLevel(before)
    logger.removeHandler(handler)


def test_ids_of_a_request_go_with_its_operation(
    running: service.Service, listener: Listener
) -> None:
    ctx = context.RequestContext(
        user_id='u',
        project_id='p',
        roles=['admin'],
        global_request_id=CAUSE,
        enforcer=enforcers.make(running.conf),
    )
    created = running.aggregates.create('pool1', None)
    change = running.members.add_host(ctx, created.id, 'xen1')
    running.work()
    operation = running.operations.get(str(change.operation))
    assert operation.state == 'succeeded'
    assert operation.request_id == ctx.request_id
    assert operation.parameters['global_request_id'] == CAUSE
    ends = [
        (request_id, cause)
        for message, request_id, cause in listener.heard
        if operation.uuid in message
    ]
    assert ends
    assert set(ends) == {(ctx.request_id, CAUSE)}
    # What is logged for nobody afterwards is not laid on that request.
    after = oslo_context.get_current()
    assert after is None or after.request_id != ctx.request_id


def test_without_a_cause_there_is_none(running: service.Service) -> None:
    created = running.aggregates.create('pool1', None)
    change = running.members.add_host(running.ctx, created.id, 'xen1')
    operation = running.operations.get(str(change.operation))
    assert 'global_request_id' not in operation.parameters
