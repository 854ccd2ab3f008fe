"""The repair of moves of which nothing is known: in order, or not at all."""

import contextlib
import dataclasses
import types
from typing import Any

import pytest
import sqlalchemy as sa

from aggregates_ext.compute.moving import following
from aggregates_ext.compute.moving import repairing
from aggregates_ext.compute.moving import state
from aggregates_ext.compute.moving import verdicts
from aggregates_ext.compute.observation import rolls
from aggregates_ext.compute.run import meter
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import moves
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import moves as domain_moves
from aggregates_ext.xensim.life import lifecycle
from tests.functional import service
from tests.functional import test_moving
from tests.functional import test_two_masters

key = test_moving.key
ask = test_moving.ask
finish = test_moving.finish
read = test_moving.read
turn = test_moving.turn
# Seconds in which the record of a guest of the pool is moved half.
HALF = 2.0


@pytest.fixture
def running(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> service.Service:
    monkeypatch.setattr(repairing, 'BEGINS', 0.0)
    running.conf.set_override('retry_interval', 0.01, 'compute')
    running.conf.set_override('confirm_interval', 0.01, 'compute')
    return running


@pytest.fixture(autouse=True)
def restarts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts whose toolstacks were told to start anew, in order."""
    found: list[str] = []
    honest = lifecycle.restart

    def restart(world: Any, host: Any, *rest: Any) -> None:
        found.append(host.name)
        honest(world, host, *rest)

    monkeypatch.setattr(lifecycle, 'restart', restart)
    return found


def repair(running: service.Service, move: str) -> bool:
    found = read(running, move)
    return running.database.write(lambda c: moves.repair(c, found))


def unresolve(
    running: service.Service,
    key: int,
    name: str = 'db',
    target: str = 'xen3',
    end: str = 'xen2',
    after: float = HALF,
    xenopsd: bool = False,
) -> str | None:
    """A move that nothing proves; None: something does.

    :param end: the host whose toolstack ends.
    :param xenopsd: whether the move ends with it.
    """
    move = ask(running, name, target)
    turn(running, key)
    turn(running, key, after)
    running.sim.restart_toolstack(end, xenopsd)
    running.clock.advance(40)
    (found,) = finish(running, key, move, seconds=5)
    return move if found.state == 'unresolved' else None


def unresolve_two(
    running: service.Service, key: int, host: str, target: str
) -> list[str]:
    """A move of "db" from xen2 to xen3, and one of a guest of another host."""
    running.sim.add_vm(host, 'app', memory=1 << 30)
    running.watch(key, 0)
    asked = [ask(running, 'db', 'xen3'), ask(running, 'app', target)]
    turn(running, key)
    turn(running, key, HALF)
    running.sim.restart_toolstack('xen1')
    running.clock.advance(40)
    found = finish(running, key, *asked, seconds=5)
    assert {move.state for move in found} == {'unresolved'}
    return asked


@pytest.fixture
def stuck(running: service.Service, key: int, restarts: list[str]) -> str:
    """A move of "db" from xen2 to xen3 of which nothing is known."""
    move = unresolve(running, key)
    assert move is not None
    restarts.clear()
    return move


def go_on(
    running: service.Service, key: int, move: str, turns: int = 60
) -> records.Move:
    """Take its repair to its end, or turns."""
    for _ in range(turns):
        turn(running, key, 5)
        found = read(running, move)
        if found.state not in (moves.REPAIRING, moves.STARTING):
            break
    return found


def move_by_hand(running: service.Service, guest: records.Guest) -> None:
    """Somebody else moves a guest to xen3."""
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.find('VM', guest.uuid)
        to = session.call('host.get_by_name_label', 'xen3')[0]
        session.call('Async.VM.pool_migrate', ref, to, {'live': 'true'})


def pass_by(
    running: service.Service, key: str, seconds: float, *, seen: bool = False
) -> None:
    """Let a repair, and what it has told, have begun before.

    :param seen: and what it has seen.
    """
    move = read(running, key)
    call = move.call or {}
    known = call[repairing.KEY]
    known['since'] -= seconds
    for told in known['told'].values():
        told['at'] -= seconds
        if seen:
            told['seen'] -= seconds
    running.database.write(lambda c: moves.update(c, move, {'call': call}))


@pytest.mark.parametrize('end', ['xen1', 'xen2', 'xen3'])
@pytest.mark.parametrize('after', [0.2, 1.0, 2.0, 3.0, 3.6])
def test_the_guest_runs_once_whatever_had_ended(
    running: service.Service,
    key: int,
    restarts: list[str],
    end: str,
    after: float,
) -> None:
    """The toolstack of the source starts anew first, then the target's."""
    move = unresolve(running, key, end=end, after=after)
    if move is None:
        return
    restarts.clear()
    assert repair(running, move)
    found = go_on(running, key, move)
    assert found.state in ('completed', 'failed'), found
    where = running.sim.places(found.guest_uuid)
    if end == 'xen3' and not where:
        # The one thing that has ended it: its target, before the repair.
        assert (found.error or {})['code'] == records.GUEST_HALTED
    else:
        assert len(where) == 1, found
    assert restarts == ['xen2', 'xen3'][: len(restarts)]
    assert restarts
    assert test_moving.sent(running) == 1
    starts = [c.method for c in running.sim.calls if 'VM.start' in c.method]
    assert starts == []


def test_each_start_is_seen_before_the_next(
    running: service.Service, key: int, restarts: list[str], stuck: str
) -> None:
    assert repair(running, stuck)
    turn(running, key)
    turn(running, key, 2)
    assert restarts == ['xen2']
    # That of the source has looked at its guests when this is over.
    running.conf.set_override('confirm_interval', 3600.0, 'compute')
    said = read(running, stuck).error or {}
    assert said['code'] == following.REPAIRED
    assert 'xen2' in said['message']
    go_on(running, key, stuck, turns=10)
    assert restarts == ['xen2']
    running.conf.set_override('confirm_interval', 0.01, 'compute')
    found = go_on(running, key, stuck)
    assert found.state == 'completed'
    assert restarts == ['xen2', 'xen3']


def test_each_start_is_written_down_before_it_is_asked_for(
    running: service.Service,
    key: int,
    stuck: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever comes after knows what may start anew, and ends its session."""
    known: list[list[str]] = []
    names = {running.hosts.get(n).uuid: n for n in ('xen2', 'xen3')}
    honest = xenapi.Session.call

    def call(self: xenapi.Session, method: str, *rest: Any) -> Any:
        if method == repairing.CALL:
            told = (read(running, stuck).call or {})[repairing.KEY]['told']
            known.append([names[uuid] for uuid in told])
            assert list(told.values())[-1]['session'] == self.uuid()
        return honest(self, method, *rest)

    monkeypatch.setattr(xenapi.Session, 'call', call)
    repair(running, stuck)
    assert go_on(running, key, stuck).state == 'completed'
    assert known == [['xen2'], ['xen2', 'xen3']]


def test_a_master_synchronizes_before_its_toolstack_starts(
    running: service.Service, key: int
) -> None:
    """What it has not written of other guests would be lost."""
    _, move = unresolve_two(running, key, 'xen1', 'xen3')
    before = len(running.sim.calls)
    repair(running, move)
    assert go_on(running, key, move).state == 'completed'
    calls = [c.method for c in running.sim.calls[before:]]
    sync, first = map(calls.index, ('pool.sync_database', repairing.CALL))
    assert sync < first
    assert calls.count('pool.sync_database') == 1


def test_not_where_two_masters_lead(
    running: service.Service, key: int, restarts: list[str], stuck: str
) -> None:
    """Each has guests of its own in its records."""
    test_two_masters.split(running, key, watched=False)
    restarts.clear()
    repair(running, stuck)
    go_on(running, key, stuck, turns=3)
    assert restarts == []


def test_nothing_is_told_that_nobody_would_wait_for(
    running: service.Service, key: int, restarts: list[str], stuck: str
) -> None:
    repair(running, stuck)
    turn(running, key)
    turn(running, key, 5)
    assert restarts == ['xen2']
    pass_by(running, stuck, running.conf.compute.power_timeout)
    found = go_on(running, key, stuck)
    assert found.state == 'unresolved'
    assert 'xen3 is to start anew' in (found.error or {})['message']
    assert restarts == ['xen2']


def test_another_service_goes_on(
    running: service.Service, key: int, restarts: list[str], stuck: str
) -> None:
    """What was told before is not told again."""
    repair(running, stuck)
    for _ in range(40):
        running.manager = running.new_manager()
        if go_on(running, key, stuck, turns=1).state != moves.REPAIRING:
            break
    assert read(running, stuck).state == 'completed'
    assert restarts == ['xen2', 'xen3']


def test_what_did_not_arrive_is_told_again(
    running: service.Service,
    key: int,
    restarts: list[str],
    stuck: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(test_moving, 'SENT', repairing.CALL)
    test_moving._lose_answers(monkeypatch, arrives=False)
    repair(running, stuck)
    go_on(running, key, stuck, turns=5)
    assert restarts == []
    pass_by(running, stuck, repairing.AGAIN)
    found = go_on(running, key, stuck)
    assert found.state == 'completed'
    assert restarts == ['xen2', 'xen3']


def test_not_while_high_availability_could_start_it(
    running: service.Service, key: int, restarts: list[str], stuck: str
) -> None:
    running.sim.set_pool('xen1', ha_enabled=True)
    repair(running, stuck)
    found = go_on(running, key, stuck)
    assert found.state == 'unresolved'
    assert found.error is not None
    assert found.error['code'] == records.UNPROVEN
    assert 'xe pool-ha-disable' in found.error['message']
    assert restarts == []
    running.sim.set_pool('xen1', ha_enabled=False)
    repair(running, stuck)
    assert go_on(running, key, stuck).state == 'completed'


def test_not_while_somebody_moves_a_guest(
    running: service.Service, key: int, restarts: list[str], stuck: str
) -> None:
    known = test_moving.guest(running, 'web')
    move_by_hand(running, known)
    repair(running, stuck)
    turn(running, key)
    assert 'MACHINES_MOVE' in (read(running, stuck).error or {})['message']
    assert restarts == []
    assert go_on(running, key, stuck).state == 'completed'


def test_no_guest_is_sent_meanwhile(
    running: service.Service, key: int, restarts: list[str], stuck: str
) -> None:
    """And the repair waits for those that are on their way."""
    first = ask(running, 'web', 'xen3')
    turn(running, key)
    assert read(running, first).state == 'sent'
    repair(running, stuck)
    turn(running, key)
    assert '"web"' in (read(running, stuck).error or {})['message']
    finish(running, key, first)
    go_on(running, key, stuck, turns=2)
    assert restarts == ['xen2']
    later = ask(running, 'web', 'xen2')
    turn(running, key)
    assert read(running, later).state == 'queued'
    assert 'start anew' in (read(running, later).error or {})['message']
    assert go_on(running, key, stuck).state == 'completed'
    (ended,) = finish(running, key, later)
    assert ended.state == 'completed'


def test_one_that_was_told_twice_may_start_twice(
    running: service.Service,
    key: int,
    restarts: list[str],
    stuck: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is waited for, and so is what each start makes of guests."""
    monkeypatch.setattr(repairing, 'BEGINS', 3600.0)
    repair(running, stuck)
    go_on(running, key, stuck, turns=6)
    # It has started, and what is told last may come still.
    assert restarts == ['xen2']
    monkeypatch.setattr(repairing, 'BEGINS', 0.0)
    running.conf.set_override('confirm_interval', 500.0, 'compute')
    go_on(running, key, stuck, turns=2)
    pass_by(running, stuck, 1000.0, seen=True)
    # It starts once more, and has to look at its guests again.
    running.sim.restart_toolstack('xen2')
    running.clock.advance(40)
    restarts.clear()
    go_on(running, key, stuck, turns=3)
    assert restarts == []
    running.conf.set_override('confirm_interval', 0.01, 'compute')
    assert go_on(running, key, stuck).state == 'completed'
    assert restarts == ['xen3']


def test_it_does_not_end_while_a_start_is_on_its_way(
    running: service.Service,
    key: int,
    restarts: list[str],
    stuck: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither as it should, nor given up: other moves would go on."""
    monkeypatch.setattr(repairing, 'BEGINS', 3600.0)
    repair(running, stuck)
    turn(running, key)
    assert read(running, stuck).state == moves.REPAIRING
    with monkeypatch.context() as patch:
        patch.setattr(following._Following, '_is_at', lambda *_: True)
        turn(running, key)
    found = read(running, stuck)
    assert found.state == moves.REPAIRING
    assert 'It ends soon' in (found.error or {})['message']

    def find_no_order(*_: Any) -> None:
        raise repairing.GivenUp('there is none')

    monkeypatch.setattr(repairing, '_order_of', find_no_order)
    turn(running, key)
    found = read(running, stuck)
    assert found.state == moves.REPAIRING
    assert 'It ends soon' in (found.error or {})['message']
    pass_by(running, stuck, repairing.AGAIN)
    turn(running, key)
    assert read(running, stuck).state == 'unresolved'


def abort(running: service.Service, move: str) -> None:
    found = read(running, move)
    assert running.database.write(lambda c: moves.cancel(c, found))


def test_to_abort_it_waits_for_what_was_told(
    running: service.Service,
    key: int,
    restarts: list[str],
    stuck: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No guest is sent while a toolstack may start anew."""
    monkeypatch.setattr(repairing, 'BEGINS', 3600.0)
    before = test_moving.sessions(running)
    repair(running, stuck)
    turn(running, key)
    abort(running, stuck)
    other = ask(running, 'web', 'xen3')
    found = go_on(running, key, stuck, turns=2)
    assert found.state == moves.REPAIRING
    assert read(running, other).state == 'queued'
    assert test_moving.sessions(running) == before
    monkeypatch.setattr(repairing, 'BEGINS', 0.0)
    found = go_on(running, key, stuck)
    assert (found.state, found.cancelled) == ('failed', True)
    assert restarts == ['xen2']
    # Its record tells that since then, and there is a way on.
    assert found.has_halted
    assert 'start it on xen3' in (found.error or {})['message']
    assert finish(running, key, other)[0].state == 'completed'
    assert repair(running, stuck)
    assert go_on(running, key, stuck).state == 'completed'
    assert running.sim.places(found.guest_uuid) == ['xen3']


def test_to_abort_it_waits_until_what_was_told_has_looked(
    running: service.Service, key: int, restarts: list[str], stuck: str
) -> None:
    """The record of the guest tells what that has made of it only then."""
    repair(running, stuck)
    turn(running, key)
    abort(running, stuck)
    turn(running, key)
    assert read(running, stuck).state == moves.REPAIRING
    assert go_on(running, key, stuck).has_halted
    assert restarts == ['xen2']


def test_to_abort_it_trusts_no_record_of_a_guest_that_did_not_arrive(
    running: service.Service,
    key: int,
    stuck: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was told may yet make it tell that the guest is halted."""
    honest = following._Following._guest
    monkeypatch.setattr(
        following._Following,
        '_guest',
        lambda self: {**(honest(self) or {}), 'power_state': 'Running'},
    )
    repair(running, stuck)
    turn(running, key)
    abort(running, stuck)
    found = go_on(running, key, stuck)
    assert found.has_halted
    assert 'may be recorded as halted' in (found.error or {})['message']


def test_to_abort_one_whose_repair_was_given_up_tells_what_that_did(
    running: service.Service, key: int, restarts: list[str], stuck: str
) -> None:
    repair(running, stuck)
    while not restarts:
        turn(running, key, 5)
    running.sim.plant(repairing.CALL, code='RBAC_PERMISSION_DENIED', times=0)
    found = go_on(running, key, stuck)
    assert (found.state, restarts) == ('unresolved', ['xen2'])
    abort(running, stuck)
    running.sim.power_off('xen1')
    assert go_on(running, key, stuck, turns=2).state == moves.REPAIRING
    running.sim.power_on('xen1')
    assert go_on(running, key, stuck).has_halted


def test_to_abort_one_of_a_pool_that_does_not_answer_keeps_the_warning(
    running: service.Service, key: int, stuck: str
) -> None:
    running.sim.power_off('xen1')
    turn(running, key)
    found = read(running, stuck)
    assert (found.error or {})['code'] != records.UNPROVEN
    abort(running, stuck)
    found = read(running, stuck)
    assert found.is_doubtful
    assert 'do not start it on xen2' in (found.error or {})['message']


def test_what_is_told_counts_from_the_end_of_its_session(
    running: service.Service,
    key: int,
    restarts: list[str],
    stuck: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It can arrive until then, however long ago it was sent."""
    monkeypatch.setattr(repairing, 'BEGINS', 3600.0)
    repair(running, stuck)
    turn(running, key)
    pass_by(running, stuck, 3601.0)
    abort(running, stuck)
    found = go_on(running, key, stuck, turns=2)
    assert found.state == moves.REPAIRING
    pass_by(running, stuck, 3601.0)
    assert go_on(running, key, stuck, turns=2).state == 'failed'


def test_what_is_told_counts_from_when_it_is_sent(
    running: service.Service,
    key: int,
    stuck: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not from the beginning of a turn that has looked at much before."""
    looked: list[float] = []
    honest = repairing.powering.read

    def read_late(*given: Any) -> Any:
        result = honest(*given)
        with running.database.reader() as connection:
            looked.append(engine.read_clock(connection))
        return result

    monkeypatch.setattr(repairing.powering, 'read', read_late)
    repair(running, stuck)
    turn(running, key)
    [told] = (read(running, stuck).call or {})[repairing.KEY]['told'].values()
    assert told['at'] >= looked[0]


def test_what_has_left_no_trace_is_quiet_from_the_end_of_its_session(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can arrive until then, however long a turn has looked before."""
    looked: list[float] = []
    honest = verdicts.records_hold

    def look_long(*given: Any) -> bool:
        result = honest(*given)
        with running.database.reader() as connection:
            looked.append(engine.read_clock(connection))
        return result

    monkeypatch.setattr(verdicts, 'records_hold', look_long)
    test_moving._lose_answers(monkeypatch, arrives=False)
    move = ask(running, 'db', 'xen3')
    while not looked:
        turn(running, key)
    assert (read(running, move).call or {})['quiet'] >= looked[0]


def test_one_that_is_wanted_again_does_not_end_by_an_old_look(
    running: service.Service, key: int, stuck: str
) -> None:
    repair(running, stuck)
    abort(running, stuck)
    old = read(running, stuck)
    repair(running, stuck)
    finished = running.database.write(lambda c: moves.finish(c, old, 'failed'))
    assert not finished
    assert read(running, stuck).state == moves.REPAIRING
    finished = running.database.write(
        lambda c: moves.finish(c, old, 'completed')
    )
    assert finished


def test_one_that_is_wanted_again_stops_no_other(
    running: service.Service, key: int, stuck: str
) -> None:
    """Of the operation that both are parts of."""
    repair(running, stuck)
    abort(running, stuck)
    other = ask(running, 'web', 'xen3')
    running.pools.set_master(running.ctx, key, 'xen2')
    operation = running.operation(key)
    with running.database.writer() as connection:
        connection.execute(
            sa.update(moves._TABLE).values(operation_id=operation.id)
        )
    old = read(running, stuck)
    repair(running, stuck)
    held: Any = types.SimpleNamespace(write=running.database.write)
    said = (records.GUEST_HALTED, 'It was halted.')
    assert not state.finish(held, meter.Meter(), old, moves.FAILED, *said)
    assert read(running, other).state == moves.QUEUED
    assert not read(running, stuck).cancelled


def test_an_answer_that_was_lost_is_told_by_what_is_wanted(
    running: service.Service, key: int, stuck: str
) -> None:
    """Whether the COMMIT was made that was not answered."""

    def told() -> tuple[bool, bool]:
        move = read(running, stuck)
        with running.database.reader() as connection:
            return (
                domain_moves._is_repaired(connection, move),
                domain_moves._is_cancelled(connection, move),
            )

    with running.database.writer() as connection:
        # As one that was told to stop while it went.
        connection.exec_driver_sql('UPDATE moves SET cancelled = true')
    assert told() == (False, False)
    repair(running, stuck)
    assert told() == (True, False)
    abort(running, stuck)
    assert told() == (False, True)
    go_on(running, key, stuck)
    assert told()[1]


def test_an_abort_meets_one_that_goes_on_meanwhile(
    running: service.Service,
    key: int,
    stuck: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [None]
    honest = moves.cancel

    def cancel(*given: Any) -> Any:
        return answers.pop() if answers else honest(*given)

    monkeypatch.setattr(domain_moves.db_moves, 'cancel', cancel)
    move = read(running, stuck)
    asked = domain_moves.Moves(running.enabling._intent)
    asked.abort(move.guest_uuid, move.id, tuple(domain_moves.STATUSES))
    assert read(running, stuck).cancelled


def test_to_abort_it_before_anything_was_told_ends_it(
    running: service.Service, key: int, restarts: list[str], stuck: str
) -> None:
    """Also during a look, and where the pool does not answer."""
    repair(running, stuck)
    honest = repairing.powering.read

    def read_meanwhile(*given: Any) -> Any:
        abort(running, stuck)
        return honest(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repairing.powering, 'read', read_meanwhile)
        turn(running, key)
    assert restarts == []
    running.sim.power_off('xen1')
    found = go_on(running, key, stuck, turns=2)
    assert found.state == 'failed'
    assert 'do not start it on xen2' in (found.error or {})['message']
    assert not found.has_halted


def test_to_abort_it_ends_it_where_its_pool_does_not_answer(
    running: service.Service, key: int, restarts: list[str], stuck: str
) -> None:
    """When what was told cannot come about any more."""
    repair(running, stuck)
    turn(running, key)
    running.sim.power_off('xen1')
    abort(running, stuck)
    assert go_on(running, key, stuck, turns=2).state == moves.REPAIRING
    pass_by(running, stuck, running.conf.compute.power_timeout)
    found = go_on(running, key, stuck, turns=2)
    # What was told may have made it be recorded so.
    assert found.has_halted
    assert 'start it on xen3' in (found.error or {})['message']


def test_one_that_was_given_up_is_wanted_again(
    running: service.Service, key: int, restarts: list[str], stuck: str
) -> None:
    repair(running, stuck)
    abort(running, stuck)
    assert repair(running, stuck)
    assert go_on(running, key, stuck).state == 'completed'


def test_a_clock_that_jumps_back_does_not_hold_it(
    running: service.Service,
    key: int,
    restarts: list[str],
    stuck: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(repairing, 'BEGINS', 15.0)
    repair(running, stuck)
    turn(running, key)
    turn(running, key)
    pass_by(running, stuck, -3600.0)
    abort(running, stuck)
    assert go_on(running, key, stuck, turns=2).state == 'failed'


def test_guests_that_are_on_their_way_count_in_the_order_that_is_told(
    running: service.Service, key: int, stuck: str
) -> None:
    """They may become such ones, while somebody restarts toolstacks."""
    move = ask(running, 'web', 'xen2')
    running.sim.plant(
        'VM.pool_migrate',
        action='hang',
        step=test_moving.guest(running, 'web').uuid,
    )
    turn(running, key)
    assert read(running, move).state == 'sent'
    turn(running, key)
    said = (read(running, stuck).error or {})['message']
    assert 'has started: xen1, xen2, xen3; or' in said


def test_what_is_refused_gives_it_up_at_once(
    running: service.Service,
    key: int,
    restarts: list[str],
    stuck: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No toolstack starts for that."""
    monkeypatch.setattr(repairing, 'BEGINS', 3600.0)
    running.sim.plant(repairing.CALL, code='RBAC_PERMISSION_DENIED', times=0)
    repair(running, stuck)
    found = go_on(running, key, stuck, turns=2)
    assert found.state == 'unresolved'
    assert 'RBAC_PERMISSION_DENIED' in (found.error or {})['message']
    assert restarts == []


def test_one_that_lasts_is_given_up(
    running: service.Service, key: int, restarts: list[str], stuck: str
) -> None:
    known = test_moving.guest(running, 'web')
    running.sim.plant('VM.pool_migrate', action='hang', step=known.uuid)
    move_by_hand(running, known)
    repair(running, stuck)
    found = go_on(running, key, stuck, turns=5)
    assert found.state == moves.REPAIRING
    pass_by(running, stuck, running.conf.compute.power_timeout)
    found = go_on(running, key, stuck)
    assert found.state == 'unresolved'
    assert 'given up' in (found.error or {})['message']
    assert 'MACHINES_MOVE' in (found.error or {})['message']
    assert repairing.KEY not in (found.call or {})
    assert restarts == []


def test_a_host_is_told_twice_at_most(
    running: service.Service,
    key: int,
    restarts: list[str],
    stuck: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever it says of when its toolstack has started."""
    monkeypatch.setattr(repairing._Repair, '_has_started', lambda *_: False)
    repair(running, stuck)
    for _ in range(4):
        go_on(running, key, stuck, turns=5)
        pass_by(running, stuck, repairing.AGAIN)
    assert restarts == ['xen2', 'xen2']
    pass_by(running, stuck, running.conf.compute.power_timeout)
    found = go_on(running, key, stuck)
    assert found.state == 'unresolved'
    assert restarts == ['xen2', 'xen2']


def test_sessions_of_it_do_not_last(
    running: service.Service, key: int, restarts: list[str], stuck: str
) -> None:
    """What was told with one, and comes late, is refused."""
    before = test_moving.sessions(running)
    repair(running, stuck)
    turn(running, key)
    [told] = (read(running, stuck).call or {})[repairing.KEY]['told'].values()
    assert told['session']
    turn(running, key)
    [told] = (read(running, stuck).call or {})[repairing.KEY]['told'].values()
    assert told['session'] is None
    assert test_moving.sessions(running) == before


def test_what_a_host_says_keeps_no_other_from_its_turn(
    running: service.Service,
    key: int,
    restarts: list[str],
    stuck: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    def refuse(*_arguments: Any, **_more: Any) -> Any:
        raise failures.Unreachable(
            host='xen1', url='http://x', reason='nobody is there'
        )

    monkeypatch.setattr(repairing.powering, 'read', refuse)
    repair(running, stuck)
    found = go_on(running, key, stuck, turns=3)
    assert found.state == moves.REPAIRING
    assert 'nobody is there' in (found.error or {})['message']
    pass_by(running, stuck, running.conf.compute.power_timeout)
    assert go_on(running, key, stuck).state == 'unresolved'


def test_whatever_the_clocks_of_hosts_say(
    running: service.Service, key: int
) -> None:
    """The source has started first, and says later; the guest is there."""
    move = unresolve(running, key, xenopsd=True)
    assert move is not None
    source = running.sim.host('xen2')
    source.spec = dataclasses.replace(source.spec, clock_offset=3600.0)
    repair(running, move)
    found = go_on(running, key, move)
    assert found.state == 'failed', found
    assert running.sim.places(found.guest_uuid) == ['xen2']


def test_not_where_a_host_hides_when_it_has_started(
    running: service.Service, key: int, restarts: list[str], stuck: str
) -> None:
    """Nothing would tell that it has been started anew."""
    for _ref, row in running.sim.host('xen1').database.rows('host'):
        if row['name_label'] == 'xen2':
            del row['other_config']['agent_start_time']
    repair(running, stuck)
    found = go_on(running, key, stuck)
    assert found.state == 'unresolved'
    assert 'does not tell' in (found.error or {})['message']
    assert restarts == []


def test_a_toolstack_that_starts_at_each_look_ends_it(
    running: service.Service,
    key: int,
    restarts: list[str],
    stuck: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No look finds them as they were when the repair was done."""
    monkeypatch.setattr(verdicts, 'records_hold', lambda *_: False)
    monkeypatch.setattr(following._Following, '_is_at', lambda *_: False)
    repair(running, stuck)
    found = go_on(running, key, stuck)
    assert found.state == 'unresolved'
    assert 'once more' in (found.error or {})['message']
    assert repairing.REPAIRED not in (found.call or {})
    assert restarts == ['xen2', 'xen3']


def test_not_while_an_operation_is_at_work(
    running: service.Service, key: int, restarts: list[str], stuck: str
) -> None:
    """As a removal by force is, which waits for no move."""
    running.pools.set_master(running.ctx, key, 'xen2')
    with running.database.writer() as connection:
        connection.exec_driver_sql(
            'UPDATE operations SET parameters = \'{"changed": true}\', '
            "state = 'unresolved'"
        )
    repair(running, stuck)
    found = go_on(running, key, stuck, turns=3)
    assert found.state == moves.REPAIRING
    assert 'is at work in the pool' in (found.error or {})['message']
    assert restarts == []


def test_nothing_that_was_told_arrives_after_the_end(
    running: service.Service,
    key: int,
    restarts: list[str],
    stuck: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its session is ended first, also where the guest is seen to be there."""
    repair(running, stuck)
    turn(running, key)
    found = read(running, stuck)
    [told] = (found.call or {})[repairing.KEY]['told'].values()
    late = running.login('xen1')
    told['session'] = late.uuid()
    running.database.write(
        lambda c: moves.update(c, found, {'call': found.call})
    )
    monkeypatch.setattr(following._Following, '_is_at', lambda *_: True)
    assert go_on(running, key, stuck).state == 'completed'
    with pytest.raises(failures.XenAPIError, match='SESSION_INVALID'):
        late.call('pool.get_all')


def test_two_are_repaired_one_after_the_other(
    running: service.Service, key: int, restarts: list[str]
) -> None:
    """Both sources first, since both guests went to one host."""
    asked = unresolve_two(running, key, 'xen1', 'xen3')
    found = [read(running, move) for move in asked]
    turn(running, key)
    for move, sources in zip(asked, ('xen2, xen1', 'xen1, xen2'), strict=True):
        said = (read(running, move).error or {})['message']
        assert f'has started: {sources}, xen3; or' in said
    restarts.clear()
    for move in asked:
        repair(running, move)
    for move in asked:
        assert go_on(running, key, move).state == 'completed'
    assert sorted(restarts[:2]) == ['xen1', 'xen2']
    assert restarts[2] == 'xen3'
    for one in found:
        assert running.sim.places(one.guest_uuid) == ['xen3']


def test_one_is_repaired_while_another_is_not(
    running: service.Service, key: int, restarts: list[str]
) -> None:
    """Each is asked for by itself, whichever is the older one."""
    first, second = unresolve_two(running, key, 'xen1', 'xen3')
    restarts.clear()
    repair(running, second)
    assert go_on(running, key, second).state == 'completed'
    assert restarts == ['xen1', 'xen2', 'xen3']


def test_one_whose_host_leaves_meanwhile_is_given_up(
    running: service.Service,
    key: int,
    stuck: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where that was told to start anew, it is waited for all the same."""
    repair(running, stuck)
    turn(running, key)
    assert read(running, stuck).state == moves.REPAIRING
    gone, honest = running.hosts.get('xen2').uuid, rolls.Roll.find
    monkeypatch.setattr(
        rolls.Roll,
        'find',
        lambda self, uuid: None if uuid == gone else honest(self, uuid),
    )
    turn(running, key)
    found = read(running, stuck)
    assert 'It ends soon' in (found.error or {})['message']
    pass_by(running, stuck, repairing.AGAIN)
    # Its record is of no use to anybody then.
    assert go_on(running, key, stuck, turns=4).is_doubtful


def test_where_no_order_is_right_none_is_told(
    running: service.Service, key: int, restarts: list[str]
) -> None:
    """Each of both hosts may have a guest that its own start would end."""
    asked = unresolve_two(running, key, 'xen3', 'xen2')
    restarts.clear()
    for move in asked:
        turn(running, key)
        said = (read(running, move).error or {})['message']
        assert 'Restart no toolstack: other guests' in said
        repair(running, move)
        found = go_on(running, key, move)
        assert found.state == 'unresolved'
        assert 'the repair was given up' in (found.error or {})['message']
    assert restarts == []


def test_one_that_is_asked_for_during_a_look_is_not_forgotten(
    running: service.Service,
    key: int,
    restarts: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    move = unresolve(running, key)
    assert move is not None
    honest = verdicts.records_hold

    def ask_meanwhile(*arguments: Any) -> bool:
        monkeypatch.setattr(verdicts, 'records_hold', honest)
        assert repair(running, move)
        return honest(*arguments)

    monkeypatch.setattr(verdicts, 'records_hold', ask_meanwhile)
    turn(running, key)
    assert read(running, move).state == moves.REPAIRING
    assert go_on(running, key, move).state == 'completed'


def test_what_is_known_is_not_repaired(
    running: service.Service, key: int, restarts: list[str]
) -> None:
    move = ask(running, 'db', 'xen3')
    assert not repair(running, move)
    turn(running, key)
    assert not repair(running, move)
    finish(running, key, move)
    assert not repair(running, move)


@pytest.mark.parametrize(
    ('others', 'expected'),
    [
        ([], ['a', 'b']),
        ([('c', 'b')], ['a', 'c', 'b']),
        ([('c', 'a')], ['c', 'a', 'b']),
        ([('b', 'c')], ['a', 'b']),
        ([('d', 'c'), ('c', 'a'), ('d', 'a')], ['d', 'c', 'a', 'b']),
        ([('b', 'a')], None),
        ([('b', 'c'), ('c', 'a')], None),
    ],
)
def test_no_target_before_the_sources_of_what_went_there(
    others: list[tuple[str, str]], expected: list[str] | None
) -> None:
    known = [('a', 'b'), *others]
    if expected is None:
        with pytest.raises(repairing.GivenUp, match='the other way'):
            repairing.order('a', 'b', known)
    else:
        assert repairing.order('a', 'b', known) == expected
