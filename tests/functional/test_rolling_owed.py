"""What a run has switched off or moved is not forgotten by what follows it.

It is given back by trying the run again, or given up by name: no other run
begins before, and no success of another settles it.
"""

import contextlib
import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from aggregates_ext import exception
from aggregates_ext.compute.moving import turns
from aggregates_ext.db import moves
from aggregates_ext.db import records
from tests.functional import service
from tests.functional import test_moving
from tests.functional import test_rolling
from tests.functional import test_starting
from tests.functional.test_rolling import availability
from tests.functional.test_rolling import finish
from tests.functional.test_rolling import get
from tests.functional.test_rolling import go_on
from tests.functional.test_rolling import lose_availability
from tests.functional.test_rolling import plug
from tests.functional.test_rolling import pool
from tests.functional.test_rolling import roll
from tests.functional.test_rolling import until

running = test_rolling.running
key = test_rolling.key
protected = test_rolling.protected
AUTOSTART = 'pool.add_to_other_config'


def refused(running: service.Service, key: int, uuid: str, said: str) -> None:
    """A second run is refused with what an earlier one owes."""
    before = len(running.operations.get_all(key))
    with pytest.raises(exception.NotGivenBack) as caught:
        roll(running, key, hosts=['xen4'])
    told = str(caught.value)
    for part in (
        'UNFINISHED',
        uuid,
        said,
        'retry_operation',
        'cancel_operation',
    ):
        assert part in told
    assert len(running.operations.get_all(key)) == before
    assert not get(running, uuid).settled
    assert running.state(key) == 'error'


def without_ha(
    running: service.Service, key: int, storage: str
) -> records.Operation:
    """A run that could not switch high availability on again."""
    ended = lose_availability(running, key, storage)
    assert (ended.error or {})['code'] == 'HA_NOT_RESTORED', ended
    plug(running, storage, attached=True)
    return ended


def without_autostart(running: service.Service, key: int) -> records.Operation:
    """A run after which no boot starts guests."""
    before = {**pool(running)['other_config'], 'auto_poweron': 'true'}
    running.sim.set_pool('xen1', other_config=before)
    uuid = roll(running, key, hosts=['xen2'])
    until(running, key, uuid, 'xen2', 'rebooting')
    running.sim.plant(AUTOSTART, code='RBAC_PERMISSION_DENIED', times=0)
    ended = finish(running, key, uuid)
    assert (ended.error or {})['code'] == 'AUTOSTART_NOT_RESTORED', ended
    running.sim.clear_faults()
    return ended


def without_homes(running: service.Service, key: int) -> records.Operation:
    """A run that has restarted xen2, and stopped with its guest elsewhere."""
    uuid = roll(running, key, hosts=['xen2', 'xen3'], pause='before_reboot')
    until(running, key, uuid, 'xen2', 'paused')
    running.rolling.go_on(running.ctx, key, uuid)
    until(running, key, uuid, 'xen3', 'paused')
    running.maintenance.leave(running.ctx, 'xen3')
    running.rolling.go_on(running.ctx, key, uuid)
    ended = finish(running, key, uuid)
    assert ended.state == 'failed', ended
    assert test_rolling.states(ended)['xen2'] == 'done'
    for _ in range(20):
        go_on(running, key)
    assert running.hosts.get('xen3').maintenance is None
    return ended


def test_high_availability_that_is_off_is_not_forgotten(
    running: service.Service, key: int, protected: str
) -> None:
    before = availability(running)
    first = without_ha(running, key, protected)
    refused(running, key, first.uuid, protected)
    again = running.retries.retry(running.ctx, key, first.uuid)
    ended = finish(running, key, again.uuid)
    assert ended.state == 'succeeded', ended
    assert availability(running) == before
    assert running.state(key) == 'active'
    assert (
        finish(
            running, key, roll(running, key, hosts=['xen4'], suspend_ha=True)
        ).state
        == 'succeeded'
    )


def test_high_availability_stays_off_where_it_would_start_a_guest_twice(
    running: service.Service, key: int, protected: str
) -> None:
    """It runs where it was moved to, and is recorded as halted."""
    before = availability(running)
    ended = without_ha(running, key, protected)
    move = test_starting.hidden(running, key, 'xen3-0', 'xen4')
    known = test_moving.read(running, move)
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.find('VM', known.guest_uuid)
    running.sim.set_record(
        'xen1', 'VM', ref, ha_restart_priority='restart', ha_always_run=True
    )
    tried = running.retries.retry(running.ctx, key, ended.uuid).uuid
    ended = finish(running, key, tried)
    assert (ended.error or {})['code'] == 'HA_NOT_RESTORED'
    said = (ended.error or {})['message']
    assert '"xen3-0" on xen4' in said
    assert 'when no guest is recorded as halted that may run' in said
    assert not pool(running)['ha_enabled']
    assert running.sim.places(known.guest_uuid) == ['xen4']
    assert test_starting.start(running, move)
    for _ in range(20):
        go_on(running, key)
    assert test_moving.read(running, move).state == 'completed'
    tried = running.retries.retry(running.ctx, key, ended.uuid).uuid
    assert finish(running, key, tried).state == 'succeeded'
    assert availability(running) == before
    assert running.sim.places(known.guest_uuid) == ['xen4']


@pytest.mark.parametrize(
    'known',
    [
        {'state': 'failed', 'error': {'code': records.UNPROVEN}},
        {'state': moves.UNRESOLVED, 'finished_at': None, 'ended': 0},
    ],
)
def test_high_availability_stays_off_for_all_that_may_run(
    running: service.Service,
    key: int,
    protected: str,
    monkeypatch: pytest.MonkeyPatch,
    known: dict[str, Any],
) -> None:
    """Also where a move was given up, or nobody knows how it ended."""
    ended = without_ha(running, key, protected)
    move = test_starting.hidden(running, key, 'xen3-0', 'xen4')
    guest = test_moving.read(running, move).guest_uuid
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.find('VM', guest)
    running.sim.set_record(
        'xen1', 'VM', ref, ha_restart_priority='restart', ha_always_run=True
    )
    nothing = turns.Turned.NOTHING
    monkeypatch.setattr(turns.Mover, 'turn', lambda *_: nothing)
    with running.database.writer() as connection:
        connection.execute(
            sa.update(moves._TABLE)
            .where(moves._TABLE.c.uuid == move)
            .values(**known)
        )
    tried = running.retries.retry(running.ctx, key, ended.uuid).uuid
    said = (finish(running, key, tried).error or {})['message']
    assert '"xen3-0" on xen4' in said
    assert running.sim.places(guest) == ['xen4']


@pytest.mark.parametrize('state', [moves.REPAIRING, moves.STARTING])
def test_high_availability_waits_for_the_repair_of_a_move(
    running: service.Service,
    key: int,
    protected: str,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
) -> None:
    """It could start the guest, which is recorded as halted meanwhile."""
    before = availability(running)
    nothing = turns.Turned.NOTHING
    ended = without_ha(running, key, protected)
    known = test_moving.guest(running, 'xen2-0')
    monkeypatch.setattr(turns.Mover, 'turn', lambda *_: nothing)
    with running.database.writer() as connection:
        move = moves.insert(connection, str(uuid.uuid4()), known, {}, 'xen3')
        moves.update(connection, move, {'state': state, 'call': {'open': 1}})
    tried = running.retries.retry(running.ctx, key, ended.uuid).uuid
    for _ in range(10):
        go_on(running, key)
    found = get(running, tried)
    assert found.state in ('queued', 'running'), found
    assert 'being repaired' in (found.error or {})['message']
    assert not pool(running)['ha_enabled']
    with running.database.writer() as connection:
        moves.finish(connection, move, moves.FAILED)
    assert finish(running, key, tried).state == 'succeeded'
    assert availability(running) == before


def test_autostart_that_is_off_is_not_forgotten(
    running: service.Service, key: int
) -> None:
    first = without_autostart(running, key)
    refused(running, key, first.uuid, 'auto_poweron')
    again = running.retries.retry(running.ctx, key, first.uuid)
    assert finish(running, key, again.uuid).state == 'succeeded'
    assert pool(running)['other_config']['auto_poweron'] == 'true'


def test_homes_of_guests_are_not_forgotten(
    running: service.Service, key: int
) -> None:
    first = without_homes(running, key)
    assert not test_rolling.at_home(running)
    refused(running, key, first.uuid, 'xen2-0')
    again = running.retries.retry(running.ctx, key, first.uuid)
    until(running, key, again.uuid, 'xen3', 'paused')
    running.rolling.go_on(running.ctx, key, again.uuid)
    assert finish(running, key, again.uuid).state == 'succeeded'
    assert test_rolling.at_home(running)
    assert finish(running, key, roll(running, key, hosts=['xen4'])).state == (
        'succeeded'
    )


def test_what_stays_is_told_when_it_is_given_up(
    running: service.Service, key: int
) -> None:
    """Then another run begins; until that the first can be tried still."""
    first = without_homes(running, key)
    let_be = running.operations.cancel(running.ctx, key, first.uuid)
    assert (let_be.state, let_be.settled) == ('failed', True)
    told = (let_be.error or {})['message']
    assert told.startswith((first.error or {})['message'])
    assert '"xen2-0" of host xen2' in told
    assert (let_be.error or {})['code'] == (first.error or {})['code']
    assert get(running, first.uuid) == let_be
    assert running.state(key) == 'active'
    with pytest.raises(exception.OperationNotCancellable):
        running.operations.cancel(running.ctx, key, first.uuid)
    other = finish(running, key, roll(running, key, hosts=['xen4']))
    assert other.state == 'succeeded', other
    assert not test_rolling.at_home(running)


def test_who_tries_it_again_owes_what_it_owed(
    running: service.Service, key: int
) -> None:
    """One of them is named, and they are given up together."""
    first = without_autostart(running, key)
    running.sim.plant(AUTOSTART, code='RBAC_PERMISSION_DENIED', times=0)
    again = running.retries.retry(running.ctx, key, first.uuid)
    assert finish(running, key, again.uuid).state == 'failed'
    running.sim.clear_faults()
    refused(running, key, again.uuid, 'auto_poweron')
    assert not get(running, first.uuid).settled
    running.operations.cancel(running.ctx, key, again.uuid)
    assert get(running, first.uuid).settled
    assert running.state(key) == 'active'
    assert 'auto_poweron' not in pool(running)['other_config']
    # Nobody has begun another one.
    last = running.retries.retry(running.ctx, key, again.uuid)
    assert finish(running, key, last.uuid).state == 'succeeded'
    assert pool(running)['other_config']['auto_poweron'] == 'true'


def test_to_give_another_try_up_gives_all_back(
    running: service.Service, key: int
) -> None:
    first = without_autostart(running, key)
    again = running.retries.retry(running.ctx, key, first.uuid)
    running.operations.cancel(running.ctx, key, again.uuid)
    assert finish(running, key, again.uuid).state in ('cancelled', 'succeeded')
    assert pool(running)['other_config']['auto_poweron'] == 'true'
    assert get(running, first.uuid).settled
    assert running.state(key) == 'active'


def test_to_adopt_the_pool_does_not_settle_it(
    running: service.Service, key: int
) -> None:
    first = without_autostart(running, key)
    adopted = running.pools.adopt(running.ctx, key)
    assert finish(running, key, adopted.uuid).state == 'succeeded'
    refused(running, key, first.uuid, 'auto_poweron')


def test_one_that_has_given_all_back_is_no_obstacle(
    running: service.Service, key: int
) -> None:
    """It has switched off, and on again; nobody was moved."""
    before = {**pool(running)['other_config'], 'auto_poweron': 'true'}
    running.sim.set_pool('xen1', other_config=before)
    uuid = roll(running, key, hosts=['xen2'])
    until(running, key, uuid, 'xen2', 'entering')
    assert 'auto_poweron' not in pool(running)['other_config']
    running.maintenance.leave(running.ctx, 'xen2')
    ended = finish(running, key, uuid)
    assert ended.state == 'failed', ended
    assert pool(running)['other_config'] == before
    other = finish(running, key, roll(running, key, hosts=['xen4']))
    assert other.state == 'succeeded', other
    assert get(running, uuid).settled
