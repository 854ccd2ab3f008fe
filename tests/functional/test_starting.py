"""Guests that their moves have left halted: started once, at the target."""

import contextlib
from typing import Any

import pytest
import sqlalchemy as sa

from aggregates_ext import exception
from aggregates_ext.compute.moving import repairing
from aggregates_ext.compute.moving import starting
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import moves
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import moves as domain
from aggregates_ext.xensim.machines import powerstate
from tests.functional import service
from tests.functional import test_moving
from tests.functional import test_repairing
from tests.functional import test_two_masters

key = test_moving.key
ask = test_moving.ask
finish = test_moving.finish
read = test_moving.read
running = test_moving.running
turn = test_moving.turn
STARTED = f'Async.{starting.CALL}'
OUTAGE = {'code': records.GUEST_HALTED, 'message': 'It is halted.'}


def start(running: service.Service, move: str) -> bool:
    """Ask for it."""
    found = read(running, move)
    return running.database.write(lambda c: moves.repair(c, found))


def go_on(
    running: service.Service, key: int, move: str, turns: int = 30
) -> records.Move:
    """Take it to its end, or turns."""
    for _ in range(turns):
        turn(running, key, 2)
        found = read(running, move)
        if found.state != moves.STARTING:
            break
    return found


def lie(running: service.Service, guest: str) -> None:
    """A guest is recorded as halted, and runs where it ran."""
    db = running.sim.host('xen1').database
    with running.sim.world.lock:
        powerstate.stop(db, db.by_uuid('VM', guest))


def hidden(
    running: service.Service, key: int, name: str = 'db', target: str = 'xen3'
) -> str:
    """A move that has ended with a guest that runs, recorded as halted."""
    move = ask(running, name, target)
    (found,) = finish(running, key, move)
    assert found.state == 'completed'
    lie(running, found.guest_uuid)
    with running.database.writer() as connection:
        connection.execute(
            sa.update(moves._TABLE)
            .where(moves._TABLE.c.id == found.id)
            .values(state='failed', progress=50, error=OUTAGE)
        )
    return move


@pytest.fixture
def halted(running: service.Service, key: int) -> str:
    """The move of "db" from xen2 to xen3, which has ended it."""
    running.conf.set_override('confirm_interval', 0.01, 'compute')
    known = test_moving.guest(running, 'db').uuid
    running.sim.plant('VM.pool_migrate', step=known, action='halt')
    move = ask(running, 'db', 'xen3')
    (found,) = finish(running, key, move)
    assert found.has_halted
    assert 'force complete' in (found.error or {})['message']
    running.sim.clear_faults()
    return move


def pass_by(running: service.Service, move: str, seconds: float) -> None:
    """Let it have been asked for, and sent, before."""
    found = read(running, move)
    call = {**(found.call or {})}
    for name in call.keys() & {'since', 'at'}:
        call[name] -= seconds
    running.database.write(lambda c: moves.update(c, found, {'call': call}))


def starts(running: service.Service) -> int:
    return len(running.arrivals(STARTED))


@pytest.mark.harms_guests
def test_it_is_started_where_it_was_to_go(
    running: service.Service, key: int, halted: str
) -> None:
    before = test_moving.sessions(running)
    assert start(running, halted)
    turn(running, key)
    found = read(running, halted)
    assert (found.state, found.finished_at) == (moves.STARTING, None)
    assert (found.error or {})['code'] == starting.STARTS
    found = go_on(running, key, halted)
    assert (found.state, found.progress) == ('completed', 100)
    assert (found.call, found.error) == (None, None)
    assert running.sim.places(found.guest_uuid) == ['xen3']
    assert starts(running) == 1
    assert test_moving.sessions(running) == before
    assert not start(running, halted)


def test_one_that_runs_there_all_the_time_is_found(
    running: service.Service, key: int
) -> None:
    move = hidden(running, key)
    assert start(running, move)
    found = go_on(running, key, move)
    assert found.state == 'completed', found
    assert running.sim.places(found.guest_uuid) == ['xen3']
    assert starts(running) == 1
    running.watch(key, 61)
    assert test_moving.guest(running, 'db').power_state == 'Running'


@pytest.mark.parametrize('arrives', [True, False])
def test_what_is_not_answered_is_looked_for_and_sent_once_more(
    running: service.Service,
    key: int,
    monkeypatch: pytest.MonkeyPatch,
    arrives: bool,
) -> None:
    move = hidden(running, key)
    monkeypatch.setattr(test_moving, 'SENT', STARTED)
    test_moving._lose_answers(monkeypatch, arrives=arrives)
    start(running, move)
    found = go_on(running, key, move, turns=4)
    if not arrives:
        assert found.state == moves.STARTING
        assert starts(running) == 0
        first = (found.call or {})['session']
        pass_by(running, move, starting.AGAIN)
        found = go_on(running, key, move, turns=1)
        assert (found.call or {})['session'] != first
        with (
            contextlib.closing(running.login('xen1')) as session,
            pytest.raises(failures.XenAPIError, match='UUID_INVALID'),
        ):
            session.call('session.get_by_uuid', first)
        found = go_on(running, key, move)
    assert found.state == 'completed'
    assert starts(running) == 1


def test_it_is_sent_twice_at_most(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever becomes of its answers; then somebody is told."""
    honest = xenapi.Session.call
    sent = []

    def lose(session: xenapi.Session, method: str, *params: Any) -> Any:
        if method != STARTED:
            return honest(session, method, *params)
        sent.append(method)
        raise failures.AnswerLost(host='xen1', call=method, reason='cut')

    monkeypatch.setattr(xenapi.Session, 'call', lose)
    move = hidden(running, key)
    start(running, move)
    for expected in (1, 2, 2):
        found = go_on(running, key, move, turns=3)
        assert found.state == moves.STARTING
        assert len(sent) == expected
        pass_by(running, move, starting.AGAIN)
    assert 'asked for 2 times' in (found.error or {})['message']
    pass_by(running, move, running.conf.compute.power_timeout)
    found = go_on(running, key, move)
    assert found.has_halted
    assert 'asked for 2 times' in (found.error or {})['message']


def test_another_service_goes_on(running: service.Service, key: int) -> None:
    move = hidden(running, key)
    start(running, move)
    for _ in range(20):
        running.manager = running.new_manager()
        if go_on(running, key, move, turns=1).state != moves.STARTING:
            break
    assert read(running, move).state == 'completed'
    assert starts(running) == 1


@pytest.mark.harms_guests
def test_what_is_refused_is_told_and_may_be_asked_for_again(
    running: service.Service, key: int, halted: str
) -> None:
    running.sim.set_host('xen3', enabled=False)
    start(running, halted)
    found = go_on(running, key, halted)
    assert found.has_halted
    message = (found.error or {})['message']
    assert 'on no other host' in message
    assert 'It was not started: HOST_DISABLED' in message
    assert found.call is None
    assert running.sim.places(found.guest_uuid) == []
    running.sim.set_host('xen3', enabled=True)
    start(running, halted)
    assert go_on(running, key, halted).state == 'completed'


@pytest.mark.harms_guests
def test_one_that_somebody_has_started_elsewhere_is_told(
    running: service.Service, key: int, halted: str
) -> None:
    found = read(running, halted)
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.find('VM', found.guest_uuid)
        host = session.call('host.get_by_name_label', 'xen1')[0]
        session.call('VM.start_on', ref, host, False, False)
    start(running, halted)
    found = go_on(running, key, halted)
    assert found.has_halted
    assert 'It is running on host xen1.' in (found.error or {})['message']
    assert starts(running) == 0
    lie(running, found.guest_uuid)
    assert not start(running, halted)


def test_one_that_is_gone_is_told(running: service.Service, key: int) -> None:
    move = hidden(running, key)
    db = running.sim.host('xen1').database
    db.delete('VM', db.by_uuid('VM', read(running, move).guest_uuid))
    start(running, move)
    found = go_on(running, key, move)
    assert found.has_halted
    assert 'not in the pool' in (found.error or {})['message']


def test_where_its_target_has_left_it_is_told(
    running: service.Service, key: int
) -> None:
    move = hidden(running, key)
    with running.database.writer() as connection:
        connection.exec_driver_sql("UPDATE moves SET target = 'xen9'")
    start(running, move)
    found = go_on(running, key, move)
    assert found.has_halted
    assert 'Host xen9 is not in the pool.' in (found.error or {})['message']
    assert starts(running) == 0


def test_it_waits_for_what_is_at_work_but_not_for_ever(
    running: service.Service, key: int
) -> None:
    move = hidden(running, key)
    running.pools.set_master(running.ctx, key, 'xen2')
    with running.database.writer() as connection:
        connection.exec_driver_sql(
            'UPDATE operations SET parameters = \'{"changed": true}\', '
            "state = 'unresolved'"
        )
    start(running, move)
    found = go_on(running, key, move, turns=3)
    assert found.state == moves.STARTING
    assert 'is at work in the pool' in (found.error or {})['message']
    pass_by(running, move, running.conf.compute.power_timeout)
    found = go_on(running, key, move)
    assert found.has_halted
    assert 'is at work in the pool' in (found.error or {})['message']
    assert starts(running) == 0


def test_one_that_starts_is_not_started_again(
    running: service.Service, key: int
) -> None:
    """However long that takes, and whoever has asked for it."""
    move = hidden(running, key)
    guest = read(running, move).guest_uuid
    running.sim.plant('VM.start_on', action='hang', step=guest)
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.find('VM', guest)
        host = session.call('host.get_by_name_label', 'xen3')[0]
        session.call(STARTED, ref, host, False, False)
    before = starts(running)
    start(running, move)
    found = go_on(running, key, move, turns=3)
    assert found.state == moves.STARTING
    assert 'It starts.' in (found.error or {})['message']
    assert starts(running) == before


def test_no_toolstack_starts_anew_meanwhile(
    running: service.Service, key: int
) -> None:
    """For the move of another guest."""
    stuck = test_repairing.unresolve(running, key, 'db')
    assert stuck is not None
    move = hidden(running, key, 'web', 'xen2')
    guest = read(running, move).guest_uuid
    running.sim.plant('VM.start_on', action='hang', step=guest)
    start(running, move)
    turn(running, key)
    assert starts(running) == 1
    test_repairing.repair(running, stuck)
    turn(running, key)
    said = (read(running, stuck).error or {})['message']
    assert 'Guests are on the move: "web".' in said
    assert running.arrivals(repairing.CALL) == []


def test_changes_of_the_master_wait_for_it(
    running: service.Service, key: int
) -> None:
    move = hidden(running, key)
    guest = read(running, move).guest_uuid
    running.sim.plant('VM.start_on', action='hang', step=guest)
    start(running, move)
    turn(running, key)
    assert starts(running) == 1
    running.pools.set_master(running.ctx, key, 'xen2')
    running.work(key)
    [operation] = running.database.write(
        lambda c: db_operations.get_all(c, key, states=db_operations.OPEN)
    )
    assert operation.state == 'queued', operation
    assert '"db"' in (operation.error or {})['message']


def test_what_no_look_can_read_is_waited_for(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And keeps no other move from its turn."""

    def refuse(*_arguments: Any, **_more: Any) -> Any:
        raise failures.Unreachable(
            host='xen1', url='http://x', reason='nobody is there'
        )

    move = hidden(running, key)
    other = ask(running, 'web', 'xen3')
    monkeypatch.setattr(starting._Start, '_guest', refuse)
    start(running, move)
    found = go_on(running, key, move, turns=3)
    assert 'nobody is there' in (found.error or {})['message']
    assert finish(running, key, other)[0].state == 'completed'
    pass_by(running, move, running.conf.compute.power_timeout)
    assert go_on(running, key, move).has_halted


def abort(running: service.Service, move: str) -> None:
    found = read(running, move)
    assert running.database.write(lambda c: moves.cancel(c, found))


def test_to_abort_it_before_it_is_sent_leaves_it_as_it_was(
    running: service.Service, key: int
) -> None:
    move = hidden(running, key)
    start(running, move)
    abort(running, move)
    found = go_on(running, key, move)
    assert (found.has_halted, found.cancelled) == (True, True)
    assert 'did not want it any more' in (found.error or {})['message']
    assert starts(running) == 0
    assert start(running, move)
    assert not read(running, move).cancelled


def test_one_that_is_aborted_during_a_look_is_not_sent(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = hidden(running, key)
    start(running, move)
    honest = starting._Start._send

    def send(self: Any, ref: str) -> bool:
        abort(running, move)
        return honest(self, ref)

    monkeypatch.setattr(starting._Start, '_send', send)
    turn(running, key)
    assert starts(running) == 0
    monkeypatch.setattr(starting._Start, '_send', honest)
    assert go_on(running, key, move).has_halted
    assert starts(running) == 0


def test_one_that_is_wanted_again_goes_on(
    running: service.Service, key: int
) -> None:
    move = hidden(running, key)
    start(running, move)
    abort(running, move)
    assert start(running, move)
    assert go_on(running, key, move).state == 'completed'


def test_it_does_not_end_while_it_is_seen_to_start(
    running: service.Service, key: int
) -> None:
    """However long that takes: what restarts toolstacks would begin."""
    move = hidden(running, key)
    guest = read(running, move).guest_uuid
    running.sim.plant('VM.start_on', action='hang', step=guest)
    start(running, move)
    turn(running, key)
    pass_by(running, move, 2 * running.conf.compute.power_timeout)
    found = go_on(running, key, move, turns=3)
    assert found.state == moves.STARTING
    assert found.is_under_way


def test_what_passes_keeps_nothing_waiting(
    running: service.Service, key: int
) -> None:
    """A start that was refused is not on its way."""
    move = hidden(running, key)
    guest = read(running, move).guest_uuid
    running.sim.plant(
        'VM.start_on', step=guest, code='HOST_STILL_BOOTING', times=0
    )
    running.conf.set_override('retry_interval', 3600.0, 'compute')
    start(running, move)
    found = go_on(running, key, move, turns=3)
    assert found.state == moves.STARTING, found
    assert not found.is_under_way
    assert (found.call or {})['session'] is None
    running.sim.clear_faults()
    before = starts(running)
    go_on(running, key, move, turns=3)
    assert starts(running) == before
    running.conf.set_override('retry_interval', 0.01, 'compute')
    assert go_on(running, key, move).state == 'completed'


def test_what_passes_does_not_count(
    running: service.Service, key: int
) -> None:
    """However often it is refused so."""
    move = hidden(running, key)
    guest = read(running, move).guest_uuid
    running.sim.plant(
        'VM.start_on', step=guest, code='HOST_STILL_BOOTING', times=0
    )
    start(running, move)
    go_on(running, key, move, turns=12)
    assert starts(running) > starting.MOST_SENT
    running.sim.clear_faults()
    assert go_on(running, key, move).state == 'completed'


def test_one_that_has_risen_meanwhile_is_no_failure(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at its record and that at its task."""
    move = hidden(running, key)
    start(running, move)
    turn(running, key)
    ended = views.Task('t', starting.CALL, 'success', 1.0, ())
    honest = starting._Start._task

    def task(self: Any) -> Any:
        running.clock.advance(30)
        honest(self)
        return ended

    monkeypatch.setattr(starting._Start, '_task', task)
    monkeypatch.setattr(starting, '_starts', lambda *_: False)
    turn(running, key)
    assert read(running, move).state == 'completed'


def test_to_abort_it_ends_it_where_its_pool_does_not_answer(
    running: service.Service, key: int
) -> None:
    """At once, where nothing was sent; what was sent may be on its way."""
    move = hidden(running, key)
    start(running, move)
    running.sim.power_off('xen1')
    abort(running, move)
    assert go_on(running, key, move, turns=2).has_halted
    running.sim.power_on('xen1')
    running.clock.advance(120)
    guest = read(running, move).guest_uuid
    running.sim.plant('VM.start_on', action='hang', step=guest)
    start(running, move)
    turn(running, key)
    assert read(running, move).is_under_way
    running.sim.power_off('xen1')
    abort(running, move)
    assert go_on(running, key, move, turns=2).state == moves.STARTING
    pass_by(running, move, running.conf.compute.power_timeout)
    assert go_on(running, key, move).has_halted


def test_not_while_the_operation_goes_on_that_it_is_a_part_of(
    running: service.Service, key: int
) -> None:
    """That looks for guests which are halted, and stops then."""
    move = hidden(running, key)
    running.pools.set_master(running.ctx, key, 'xen2')
    operation = running.operation(key)
    with running.database.writer() as connection:
        connection.execute(
            sa.update(moves._TABLE).values(operation_id=operation.id)
        )
    found = read(running, move)
    asked = domain.Moves(running.enabling._intent)
    with pytest.raises(exception.MoveInState, match=operation.uuid):
        asked.repair(found.guest_uuid, found.id)
    running.operations.cancel(running.ctx, key, operation.uuid)
    asked.repair(found.guest_uuid, found.id)
    assert read(running, move).state == moves.STARTING


def test_what_is_noted_of_its_guest_until_the_answer_counts(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at the pool that ends right before may have seen it run."""
    move = hidden(running, key)
    found = read(running, move)
    honest = domain.db_aggregates.lock

    def lock(connection: Any, aggregate_id: int) -> Any:
        moves.have_run(connection, aggregate_id, [found.guest_uuid])
        return honest(connection, aggregate_id)

    monkeypatch.setattr(domain.db_aggregates, 'lock', lock)
    asked = domain.Moves(running.enabling._intent)
    with pytest.raises(exception.MoveInState, match='has moved, or run'):
        asked.repair(found.guest_uuid, found.id)


@pytest.mark.parametrize('code', records.DOUBTFUL)
def test_one_that_was_seen_to_run_is_in_doubt_no_more(
    running: service.Service, key: int, code: str
) -> None:
    move = hidden(running, key)
    with running.database.writer() as connection:
        connection.execute(
            sa.update(moves._TABLE).values(error={'code': code, 'message': ''})
        )
    found = read(running, move)
    assert found.is_doubtful
    running.database.write(
        lambda c: moves.have_run(c, key, [found.guest_uuid])
    )
    assert not read(running, move).is_doubtful


def test_a_start_is_counted_from_when_it_is_sent(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not from the beginning of a turn that has looked at much before."""
    looked: list[float] = []
    honest = starting._Start._check_age

    def check_age(self: Any, why: str) -> None:
        honest(self, why)
        with running.database.reader() as connection:
            looked.append(engine.read_clock(connection))

    monkeypatch.setattr(starting._Start, '_check_age', check_age)
    move = hidden(running, key)
    start(running, move)
    turn(running, key)
    assert (read(running, move).call or {})['at'] >= looked[0]


def test_to_abort_it_waits_for_what_was_sent(
    running: service.Service, key: int
) -> None:
    """What changes the pool begins when that is over, and not before."""
    move = hidden(running, key)
    guest = read(running, move).guest_uuid
    before = test_moving.sessions(running)
    running.sim.plant('VM.start_on', action='hang', step=guest)
    start(running, move)
    turn(running, key)
    abort(running, move)
    running.pools.set_master(running.ctx, key, 'xen2')
    found = go_on(running, key, move, turns=4)
    assert found.state == moves.STARTING
    assert 'It starts.' in (found.error or {})['message']
    assert running.operation(key).state == 'queued'
    running.sim.clear_faults()
    for task in running.sim.host('xen1').database.where('task'):
        with (
            contextlib.closing(running.login('xen1')) as session,
            contextlib.suppress(failures.XenAPIError),
        ):
            session.call('task.cancel', task)
    found = go_on(running, key, move)
    assert found.state in ('completed', 'failed'), found
    assert test_moving.sessions(running) == before


@pytest.mark.parametrize('lost', [True, False])
def test_to_abort_it_ends_its_session(
    running: service.Service,
    key: int,
    monkeypatch: pytest.MonkeyPatch,
    lost: bool,
) -> None:
    before = test_moving.sessions(running)
    move = hidden(running, key)
    monkeypatch.setattr(test_moving, 'SENT', STARTED)
    test_moving._lose_answers(monkeypatch, arrives=not lost)
    start(running, move)
    turn(running, key)
    abort(running, move)
    found = go_on(running, key, move)
    assert found.has_halted if lost else found.state == 'completed'
    assert test_moving.sessions(running) == before


def test_it_is_written_down_before_it_is_asked_for(
    running: service.Service,
    key: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever comes after asks no third time, and ends its session."""
    move = hidden(running, key)
    known: list[dict[str, Any]] = []
    honest = xenapi.Session.call

    def call(self: xenapi.Session, method: str, *rest: Any) -> Any:
        if method == STARTED:
            known.append(read(running, move).call or {})
            assert known[-1]['session'] == self.uuid()
        return honest(self, method, *rest)

    monkeypatch.setattr(xenapi.Session, 'call', call)
    start(running, move)
    assert go_on(running, key, move).state == 'completed'
    assert [(call['sent'], call['open']) for call in known] == [(1, True)]


def test_nothing_is_started_where_two_lead(
    running: service.Service, key: int
) -> None:
    move = hidden(running, key)
    test_two_masters.split(running, key, watched=False)
    start(running, move)
    found = go_on(running, key, move, turns=3)
    assert found.state == moves.STARTING
    assert 'xen2' in (found.error or {})['message'], found
    assert starts(running) == 0


def test_a_record_that_tells_of_the_source_proves_nothing(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may lie still, and can be asked for again when it does no more."""
    # It has told so all the time.
    monkeypatch.setattr(moves, 'have_run', lambda *_: None)
    move = hidden(running, key)
    found = read(running, move)
    db = running.sim.host('xen1').database
    source = running.sim.host('xen2').uuid
    with running.sim.world.lock:
        ref = db.by_uuid('VM', found.guest_uuid)
        powerstate.run(db, ref, db.by_uuid('host', source))
    assert start(running, move)
    ended = go_on(running, key, move)
    assert ended.is_doubtful
    assert 'proves nothing' in (ended.error or {})['message']
    lie(running, found.guest_uuid)
    assert start(running, move)
    assert go_on(running, key, move).state == 'completed'
    assert running.sim.places(found.guest_uuid) == ['xen3']


@pytest.mark.harms_guests
def test_one_that_has_run_elsewhere_since_is_not_started(
    running: service.Service, key: int, halted: str
) -> None:
    """Its record may lie of another place than that of its move."""
    found = read(running, halted)
    running.watch(key, 61)
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.find('VM', found.guest_uuid)
        host = session.call('host.get_by_name_label', 'xen1')[0]
        session.call('VM.start_on', ref, host, False, False)
    running.watch(key, 61)
    lie(running, found.guest_uuid)
    running.watch(key, 61)
    assert not start(running, halted)
    assert read(running, halted).has_halted
    assert running.sim.places(found.guest_uuid) == ['xen1']


def test_a_repair_and_a_start_do_not_wait_for_one_another(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repairing, 'BEGINS', 0.0)
    running.conf.set_override('confirm_interval', 0.01, 'compute')
    stuck = test_repairing.unresolve(running, key, 'db')
    assert stuck is not None
    move = hidden(running, key, 'web', 'xen2')
    start(running, move)
    test_repairing.repair(running, stuck)
    for _ in range(60):
        turn(running, key, 5)
    assert read(running, stuck).state == 'completed', read(running, stuck)
    assert read(running, move).state == 'completed'


def test_what_waits_for_moves_waits_for_no_start_that_waits_for_it(
    running: service.Service, key: int
) -> None:
    move = hidden(running, key)
    start(running, move)
    running.pools.set_master(running.ctx, key, 'xen2')
    for _ in range(30):
        turn(running, key, 5)
    assert running.operation(key).state not in ('queued', 'running')
    assert go_on(running, key, move).state == 'completed'


def test_it_ends_where_its_pool_does_not_answer(
    running: service.Service, key: int
) -> None:
    move = hidden(running, key)
    running.sim.power_off('xen1')
    start(running, move)
    found = go_on(running, key, move, turns=3)
    assert found.state == moves.STARTING
    pass_by(running, move, running.conf.compute.power_timeout)
    found = go_on(running, key, move)
    assert found.has_halted
    assert (
        'It was not started: No host answers' in (found.error or {})['message']
    )


@pytest.mark.harms_guests
def test_its_reason_is_told_once(
    running: service.Service, key: int, halted: str
) -> None:
    running.sim.set_host('xen3', enabled=False)
    for _ in range(3):
        start(running, halted)
        found = go_on(running, key, halted)
    message = (found.error or {})['message']
    assert message.count('It was not started') == 1


def test_one_that_has_stopped_again_is_not_started_again(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its owner, before anybody has looked."""
    move = hidden(running, key)
    guest = read(running, move).guest_uuid
    host = running.sim.host('xen3')
    with running.sim.world.lock:
        host.domains.remove(guest)
    start(running, move)
    turn(running, key)
    running.clock.advance(30)
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.find('VM', guest)
        session.call('VM.hard_shutdown', ref)
    found = go_on(running, key, move)
    assert found.has_halted
    assert 'has stopped since' in (found.error or {})['message']
    assert starts(running) == 1


def test_only_the_last_move_of_a_guest_is_opened_again(
    running: service.Service, key: int
) -> None:
    """And none while another one is open."""
    first = hidden(running, key)
    start(running, first)
    assert go_on(running, key, first).state == 'completed'
    with running.database.writer() as connection:
        connection.exec_driver_sql(
            "UPDATE moves SET state = 'failed', error = '{\"code\": "
            '"GUEST_HALTED", "message": "x"}\''
        )
    running.watch(key, 61)
    second = ask(running, 'db', 'xen1')
    assert not start(running, first)
    assert finish(running, key, second)[0].state == 'completed'
    assert not start(running, first)
    assert not start(running, second)
