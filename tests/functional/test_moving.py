"""Moves of guests: carried out, followed, and never more than is proven."""

import contextlib
import datetime
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from aggregates_ext.compute.moving import following
from aggregates_ext.compute.moving import sending
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import guestpages
from aggregates_ext.db import hosts
from aggregates_ext.db import leases
from aggregates_ext.db import moves
from aggregates_ext.db import records
from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.calls import tasks
from tests.functional import service
from tests.functional import test_two_masters

SENT = 'Async.VM.pool_migrate'
GIB = 1 << 30


@pytest.fixture
def running(running: service.Service) -> service.Service:
    running.conf.set_override('retry_interval', 0.01, 'compute')
    return running


@pytest.fixture
def key(running: service.Service) -> int:
    """A pool of three; "web" runs on xen1, its master, "db" on xen2."""
    found = running.create('xen1', 'xen2', 'xen3')
    running.sim.add_vm('xen1', 'web', memory=2 * GIB)
    running.sim.add_vm('xen2', 'db', memory=2 * GIB)
    running.watch(found, 0)
    return found


def guest(running: service.Service, name: str) -> records.Guest:
    with running.database.reader() as connection:
        found = guestpages.page(
            connection,
            guestpages.Wanted(name=name),
            guestpages.Order(),
            2,
        )
    assert found is not None
    (only,) = found
    return only


def ask(
    running: service.Service,
    name: str,
    wanted: str | None = None,
    operation: int | None = None,
) -> str:
    """Queue a move; its uuid."""
    known = guest(running, name)
    made = running.database.write(
        lambda c: moves.insert(
            c, str(uuid.uuid4()), known, {}, wanted, operation
        )
    )
    return made.uuid


def read(running: service.Service, key: str) -> records.Move:
    with running.database.reader() as connection:
        return moves.get(connection, key)


def turn(running: service.Service, key: int, seconds: float = 0.0) -> None:
    """Let time pass, then take what is due one step further."""
    running.clock.advance(seconds)
    with running.database.writer() as connection:
        for move in moves.open_of(connection, key)[0]:
            moves.rest(connection, [move], -1.0)
    running.manager.work_on(key)


def age(running: service.Service, key: str, seconds: float) -> None:
    """Let a move have been sent before."""
    with running.database.writer() as connection:
        known = read(running, key)
        call = {**(known.call or {}), 'at': (known.call or {})['at'] - seconds}
        moves.update(connection, known, {'call': call})


def finish(
    running: service.Service, key: int, *asked: str, seconds: float = 1.0
) -> list[records.Move]:
    """Let moves end, or become unresolved."""
    for _ in range(80):
        turn(running, key, seconds)
        found = [read(running, move) for move in asked]
        if all(m.state not in ('queued', 'sent') for m in found):
            return found
    raise AssertionError(found)


def sent(running: service.Service) -> int:
    return len(running.arrivals(SENT))


def sessions(running: service.Service) -> int:
    return len(running.sim.host('xen1').database.where('session'))


def test_a_guest_is_moved(running: service.Service, key: int) -> None:
    before = sessions(running)
    move = ask(running, 'web', 'xen3')
    turn(running, key)
    under_way = read(running, move)
    assert (under_way.state, under_way.target) == ('sent', 'xen3')
    turn(running, key, 1.5)
    assert 0 < read(running, move).progress < 100
    status = running.sim.places(under_way.guest_uuid)
    assert status == ['xen1']
    (ended,) = finish(running, key, move)
    assert (ended.state, ended.progress) == ('completed', 100)
    assert (ended.call, ended.error) == (None, None)
    assert running.sim.places(ended.guest_uuid) == ['xen3']
    assert guest(running, 'web').host == 'xen3'
    assert sent(running) == 1
    assert sessions(running) == before


def test_without_a_wish_the_emptiest_host_is_taken(
    running: service.Service, key: int
) -> None:
    running.sim.add_vm('xen2', 'big', memory=8 * GIB)
    move = ask(running, 'web')
    (ended,) = finish(running, key, move)
    assert (ended.state, ended.target) == ('completed', 'xen3')


def forget_version(sim: simulator.Simulator, name: str) -> None:
    db = sim.host('xen1').database
    row = db.row('host', db.by_uuid('host', sim.host(name).uuid))
    row['software_version'] = {}


def test_where_guests_cannot_be_told_the_emptiest_host_is_taken(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is odd in one guest is in the way of no other one."""

    def read(session: xenapi.Session) -> facts.Known:
        raise failures.OddAnswer(host=session.host, what='a guest is odd')

    running.sim.add_vm('xen2', 'big', memory=8 * GIB)
    monkeypatch.setattr(facts, 'read_room', read)
    (ended,) = finish(running, key, ask(running, 'web'))
    assert (ended.state, ended.target) == ('completed', 'xen3')


@pytest.mark.parametrize(
    ('change', 'why'),
    [
        (lambda s: s.set_host('xen3', enabled=False), 'it is disabled'),
        (lambda s: s.power_off('xen3'), 'it does not answer its master'),
        (
            lambda s: s.set_host(
                'xen3', current_operations={'x': 'shutdown', 'y': 'vm_start'}
            ),
            'it is about to be emptied: shutdown',
        ),
        (
            lambda s: forget_version(s, 'xen3'),
            'it is not told whether it is of an older version',
        ),
    ],
)
def test_a_target_that_takes_none_is_told(
    running: service.Service,
    key: int,
    change: Callable[[Any], object],
    why: str,
) -> None:
    change(running.sim)
    running.clock.advance(700)
    move = ask(running, 'web', 'xen3')
    (ended,) = finish(running, key, move)
    assert ended.state == 'failed'
    assert ended.error is not None
    assert ended.error['code'] == sending.NO_TARGET
    assert why in ended.error['message']
    assert sent(running) == 0


def test_what_is_to_be_disabled_is_no_target(
    running: service.Service, key: int
) -> None:
    """Though its pool has it enabled for now, as after its start."""
    with running.database.writer() as connection:
        hosts.update(connection, 'xen3', {'service': records.DISABLED})
    (ended,) = finish(running, key, ask(running, 'web', 'xen3'))
    assert ended.error is not None
    assert 'xen3: it is to be disabled' in ended.error['message']
    assert sent(running) == 0


def test_a_guest_that_cannot_start_there_is_not_sent(
    running: service.Service, key: int
) -> None:
    running.sim.add_vm('xen1', 'huge', memory=1 << 50)
    running.watch(key, 61)
    (ended,) = finish(running, key, ask(running, 'huge'))
    assert ended.error is not None
    assert 'HOST_NOT_ENOUGH_FREE_MEMORY' in ended.error['message']
    assert sent(running) == 0


def test_one_that_stopped_or_left_is_not_moved(
    running: service.Service, key: int
) -> None:
    asked = [ask(running, 'web', 'xen3'), ask(running, 'db', 'xen3')]
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.call('VM.get_by_uuid', guest(running, 'web').uuid)
        session.call('VM.hard_shutdown', ref)
    found = finish(running, key, *asked)
    assert found[0].error is not None
    assert found[0].error['code'] == sending.NOT_RUNNING
    assert found[1].state == 'completed'


def test_another_target_is_tried(running: service.Service, key: int) -> None:
    """Where the first one is full meanwhile, by its own answer."""
    running.sim.plant(
        'VM.pool_migrate',
        step=guest(running, 'web').uuid,
        code='HOST_NOT_ENOUGH_FREE_MEMORY',
        parameters=['1', '0'],
    )
    (ended,) = finish(running, key, ask(running, 'web'))
    assert ended.state == 'completed'
    assert len(ended.tried) == 1
    assert ended.target not in ended.tried


def test_a_refusal_about_the_guest_ends_it(
    running: service.Service, key: int
) -> None:
    running.sim.plant(
        'VM.pool_migrate',
        step=guest(running, 'web').uuid,
        code='VM_IS_IMMOBILE',
        parameters=['OpaqueRef:vm'],
    )
    (ended,) = finish(running, key, ask(running, 'web'))
    assert ended.state == 'failed'
    assert ended.error is not None
    assert ended.error['code'] == 'VM_IS_IMMOBILE'
    assert running.sim.places(ended.guest_uuid) == ['xen1']


def test_a_refusal_of_the_call_itself(
    running: service.Service, key: int
) -> None:
    running.sim.plant(SENT, code='HOST_DISABLED', parameters=['OpaqueRef:h'])
    (ended,) = finish(running, key, ask(running, 'web'))
    assert ended.state == 'completed'
    assert len(ended.tried) == 1


@pytest.mark.harms_guests
def test_a_guest_that_a_failure_halts_is_told_loudly(
    running: service.Service, key: int, caplog: pytest.LogCaptureFixture
) -> None:
    """And it is started by nobody."""
    running.conf.set_override('confirm_interval', 0.01, 'compute')
    known = guest(running, 'web').uuid
    running.sim.plant('VM.pool_migrate', step=known, action='halt')
    (ended,) = finish(running, key, ask(running, 'web', 'xen3'))
    assert ended.state == 'failed'
    assert ended.error is not None
    assert ended.error['code'] == records.GUEST_HALTED
    assert 'start it on xen3 and on no other host' in ended.error['message']
    assert ended.error['message'] in caplog.text
    assert running.sim.harmed() == [f'{known} was lost']


def test_one_that_is_taken_back_right_before_is_not_sent(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request was answered: nobody moves the guest any more."""
    move = ask(running, 'web', 'xen3')
    honest = xenapi.Session.call

    def call(session: xenapi.Session, method: str, *params: Any) -> Any:
        if method == 'VM.assert_can_boot_here':
            with running.database.writer() as connection:
                moves.cancel(connection, read(running, move))
        return honest(session, method, *params)

    with monkeypatch.context() as late:
        late.setattr(xenapi.Session, 'call', call)
        turn(running, key)
    turn(running, key)
    assert read(running, move).state == 'cancelled'
    assert sent(running) == 0
    assert running.sim.places(guest(running, 'web').uuid) == ['xen1']


def test_one_that_is_taken_back_as_it_fails_is_not_sent_again(
    running: service.Service, key: int
) -> None:
    running.sim.plant(SENT, code='HOST_DISABLED', parameters=['OpaqueRef:h'])
    move = ask(running, 'web')
    turn(running, key)
    assert read(running, move).state == 'queued'
    with running.database.writer() as connection:
        connection.exec_driver_sql('UPDATE moves SET cancelled = 1')
    turn(running, key)
    assert read(running, move).state == 'cancelled'
    assert sent(running) == 1


def test_so_many_at_a_time(running: service.Service, key: int) -> None:
    for number in range(8):
        running.sim.add_vm('xen1', f'g{number}', memory=GIB)
    running.watch(key, 61)
    asked = [ask(running, f'g{number}') for number in range(8)]
    most: int = 0
    for _ in range(300):
        turn(running, key, 0.7)
        found = [read(running, move) for move in asked]
        under_way = [m for m in found if m.state == 'sent']
        most = max(most, len(under_way))
        targets = [m.target for m in under_way]
        assert all(targets.count(t) <= sending.ARRIVALS for t in targets)
        if all(m.state == 'completed' for m in found):
            break
    assert most == 3
    assert {m.state for m in found} == {'completed'}
    assert sent(running) == 8


def test_a_lost_answer_is_found_by_the_guest(
    running: service.Service,
    key: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The call has arrived, its answer has not: it is not sent again."""
    _lose_answers(monkeypatch, arrives=True)
    (ended,) = finish(running, key, ask(running, 'web', 'xen3'))
    assert ended.state == 'completed'
    assert sent(running) == 1
    assert running.sim.places(ended.guest_uuid) == ['xen3']


def test_a_call_that_never_arrived_is_sent_again(
    running: service.Service,
    key: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _lose_answers(monkeypatch, arrives=False)
    (ended,) = finish(running, key, ask(running, 'web', 'xen3'))
    assert ended.state == 'completed'
    assert ended.attempts == 2
    assert sent(running) == 1


def _lose_answers(monkeypatch: pytest.MonkeyPatch, *, arrives: bool) -> None:
    honest = xenapi.Session.call
    lost: list[str] = []

    def call(session: xenapi.Session, method: str, *params: Any) -> Any:
        if method != SENT or lost:
            return honest(session, method, *params)
        lost.append(method)
        if arrives:
            honest(session, method, *params)
        raise failures.AnswerLost(host=session.host, call=method, reason='cut')

    monkeypatch.setattr(xenapi.Session, 'call', call)


@pytest.mark.parametrize('end', ['xen1', 'xen2', 'xen3'])
@pytest.mark.parametrize('after', [0.2, 1.0, 2.0, 3.0, 3.6])
def test_toolstacks_that_start_meanwhile(
    running: service.Service, key: int, end: str, after: float
) -> None:
    """The guest of xen2 goes to xen3; whatever ends, it runs once.

    What is not proven is told, and settled by the repair that is told.
    """
    move = ask(running, 'db', 'xen3')
    turn(running, key)
    turn(running, key, after)
    running.sim.restart_toolstack(end)
    running.clock.advance(40)
    (found,) = finish(running, key, move, seconds=5)
    if found.state == 'unresolved':
        assert found.error is not None
        assert found.error['code'] == records.UNPROVEN
        for name in ('xen2', 'xen3'):
            running.sim.restart_toolstack(name)
            running.clock.advance(60)
        for _ in range(20):
            turn(running, key, 5)
        found = read(running, move)
    assert found.state in ('completed', 'failed'), found
    where = running.sim.places(found.guest_uuid)
    assert len(where) == 1, found
    if found.state == 'completed':
        assert where == ['xen3']
    assert sent(running) == 1
    starts = [c.method for c in running.sim.calls if 'start' in c.method]
    assert starts == []


def test_what_a_toolstack_cancels_at_its_start_goes_on(
    running: service.Service, key: int
) -> None:
    """Its tasks are cancelled, and what they were to do is not."""
    running.conf.set_override('confirm_interval', 0.01, 'compute')
    move = ask(running, 'db', 'xen3')
    turn(running, key)
    turn(running, key, 2.0)
    task = (read(running, move).call or {})['task']
    running.sim.restart_toolstack('xen2')
    world, master = running.sim.world, running.sim.host('xen1')
    with world.lock:
        tasks.end(world, master.database, task, status='cancelled')
    # Before that tells its master that it has started.
    turn(running, key)
    assert read(running, move).state == 'sent'
    running.clock.advance(40)
    (found,) = finish(running, key, move, seconds=5)
    assert found.state == 'unresolved', found
    assert running.sim.places(found.guest_uuid) == ['xen3']
    for name in ('xen2', 'xen3'):
        running.sim.restart_toolstack(name)
        running.clock.advance(60)
    for _ in range(20):
        turn(running, key, 5)
    assert read(running, move).state == 'completed'
    assert running.sim.places(found.guest_uuid) == ['xen3']


@pytest.mark.parametrize('ours', [False, True])
def test_what_is_cancelled_in_peace_stays(
    running: service.Service, key: int, ours: bool
) -> None:
    """Also by somebody else; and nothing is left of its task."""
    move = ask(running, 'db', 'xen3')
    turn(running, key)
    turn(running, key, 1.0)
    task = (read(running, move).call or {})['task']
    if ours:
        with running.database.writer() as connection:
            asked = moves.cancel(connection, read(running, move))
        assert asked == 'sent'
    else:
        with contextlib.closing(running.login('xen1')) as session:
            session.call('task.cancel', task)
    running.conf.set_override('confirm_interval', 3600.0, 'compute')
    for _ in range(5):
        turn(running, key, 1.0)
    assert read(running, move).state == 'sent'
    running.conf.set_override('confirm_interval', 0.01, 'compute')
    (found,) = finish(running, key, move)
    assert found.state == 'cancelled'
    assert running.sim.places(found.guest_uuid) == ['xen2']
    assert sent(running) == 1
    assert not running.sim.host('xen1').database.exists('task', task)


def test_a_move_of_somebody_else_is_not_taken_for_ours(
    running: service.Service, key: int
) -> None:
    """Who cancels one and sends another has a task of their own."""
    running.conf.set_override('confirm_interval', 0.01, 'compute')
    move = ask(running, 'db', 'xen3')
    turn(running, key)
    turn(running, key, 1.0)
    call = read(running, move).call or {}
    with contextlib.closing(running.login('xen1')) as session:
        session.call('task.cancel', call['task'])
        turn(running, key, 1.0)
        assert (read(running, move).call or {})['stopped'] == call['task']
        to = session.call('host.get_by_name_label', 'xen1')[0]
        other = session.call(SENT, call['guest'], to, {'live': 'true'})
    (found,) = finish(running, key, move)
    assert found.state == 'cancelled'
    assert running.sim.places(found.guest_uuid) == ['xen1']
    assert running.sim.host('xen1').database.exists('task', other)


def test_structural_work_waits_for_moves(
    running: service.Service, key: int
) -> None:
    move = ask(running, 'web', 'xen3')
    turn(running, key)
    running.pools.set_master(running.ctx, key, 'xen2')
    running.manager.work_on(key)
    error = running.error(key)
    assert error['code'] == 'WAITING'
    assert '"web"' in error['message']
    # What came later waits for it.
    later = ask(running, 'db', 'xen3')
    turn(running, key)
    assert read(running, later).state == 'queued'
    assert (read(running, later).error or {})['code'] == 'WAITING'
    finish(running, key, move)
    assert running.settle(key) == 'succeeded', running.error(key)
    (ended,) = finish(running, key, later)
    assert ended.state == 'completed'


def test_another_service_goes_on(running: service.Service, key: int) -> None:
    move = ask(running, 'web', 'xen3')
    turn(running, key)
    running.manager = running.new_manager()
    (ended,) = finish(running, key, move)
    assert ended.state == 'completed'
    assert sent(running) == 1


def test_a_move_that_hangs_is_given_up(
    running: service.Service, key: int
) -> None:
    """And an operator's word ends it."""
    running.conf.set_override('move_timeout', 1.0, 'compute')
    running.sim.plant(
        'VM.pool_migrate', action='hang', step=guest(running, 'web').uuid
    )
    move = ask(running, 'web', 'xen3')
    turn(running, key)
    age(running, move, 60)
    turn(running, key)
    assert read(running, move).state == 'unresolved'
    with running.database.writer() as connection:
        assert moves.cancel(connection, read(running, move)) == 'failed'
    assert read(running, move).state == 'failed'
    assert isinstance(read(running, move).finished_at, datetime.datetime)


def test_names_of_moves_are_those_of_guests() -> None:
    assert set(following.MOVES) == set(guestpages.MOVES)


def test_nothing_is_sent_where_two_lead(
    running: service.Service, key: int
) -> None:
    """Whether there is another master is asked before each call."""
    move = ask(running, 'db', 'xen3')
    test_two_masters.split(running, key, watched=False)
    for _ in range(3):
        turn(running, key, 5)
    assert read(running, move).state == 'queued'
    assert (read(running, move).error or {})['code'] == 'TWO_MASTERS'
    assert sent(running) == 0


def test_without_a_master_it_waits(
    running: service.Service, key: int, caplog: pytest.LogCaptureFixture
) -> None:
    move = ask(running, 'db', 'xen3')
    running.sim.power_off('xen1')
    turn(running, key, 60)
    assert (read(running, move).error or {})['code'] == 'NO_MASTER'
    assert 'a bug' not in caplog.text
    running.sim.power_on('xen1')
    running.clock.advance(120)
    (ended,) = finish(running, key, move)
    assert ended.state == 'completed'


def test_a_bug_spoils_no_look(
    running: service.Service,
    key: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The pool is looked at all the same, and nothing is tried in haste."""
    move = ask(running, 'db', 'xen3')
    before = running.aggregates.get(key).observed_at or 0

    def fail(*_arguments: object) -> None:
        raise KeyError('x')

    with monkeypatch.context() as failing:
        failing.setattr(sending, 'send_all', fail)
        turn(running, key)
    assert 'a bug' in caplog.text
    assert (read(running, move).error or {})['code'] == 'INTERNAL'
    assert (running.aggregates.get(key).observed_at or 0) > before
    with running.database.reader() as connection:
        assert moves.open_of(connection, key)[0][0].not_before is not None
        assert leases.candidates(connection, 1e9, 10) == []
    (ended,) = finish(running, key, move)
    assert ended.state == 'completed'
