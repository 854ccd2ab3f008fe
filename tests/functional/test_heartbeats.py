"""Operations that nobody takes up say so."""

import pytest

from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import services as db_services
from aggregates_ext.domain import history
from tests.functional import service


def steps(running: service.Service, key: int) -> set[str | None]:
    """What each way to read the newest operation says."""
    (found,) = running.operations.get_all(key, limit=1)
    (listed,) = history.History(running.database, 0).get_all(limit=1)
    return {
        found.step,
        listed.step,
        running.operations.get(found.uuid).step,
    }


@pytest.fixture
def waiting(running: service.Service) -> int:
    """An aggregate with an operation that nobody has taken up."""
    key = running.aggregates.create('pool', None).id
    running.members.add_host(running.ctx, key, 'xen1')
    return key


@pytest.mark.parametrize(
    ('lifetime', 'step'),
    [
        (None, 'waiting: no compute service runs'),
        (-1.0, 'waiting: no compute service has looked for 0 s'),
        (30.0, None),
    ],
)
def test_an_operation_tells_that_nobody_takes_it_up(
    running: service.Service,
    waiting: int,
    lifetime: float | None,
    step: str | None,
) -> None:
    running.database.write(lambda c: db_services.delete(c, 'by hand'))
    if lifetime is not None:
        running.beat(lifetime)
    assert steps(running, waiting) == {step}
    with running.database.writer() as connection:
        (operation,) = db_operations.get_all(connection)
        db_operations.update(connection, operation.id, {'step': 'joining'})
    found = 'joining' if step is None else step.replace('waiting: ', '(', 1)
    expected = found if step is None else f'joining {found})'
    assert steps(running, waiting) == {expected}


def test_one_that_has_ended_waits_for_nobody(
    running: service.Service, waiting: int
) -> None:
    running.work()
    assert steps(running, waiting) == {'done'}
