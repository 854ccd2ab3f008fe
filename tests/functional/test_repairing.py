"""The repair of moves of which nothing is known: in order, or not at all."""

import contextlib
from typing import Any

import pytest

from aggregates_ext.compute.moving import following
from aggregates_ext.compute.moving import repairing
from aggregates_ext.compute.moving import verdicts
from aggregates_ext.compute.xen import failures
from aggregates_ext.db import moves
from aggregates_ext.db import records
from aggregates_ext.xensim.life import lifecycle
from tests.functional import service
from tests.functional import test_moving

key = test_moving.key
ask = test_moving.ask
finish = test_moving.finish
read = test_moving.read
turn = test_moving.turn
# Seconds in which the record of a guest of the pool is moved half.
HALF = 2.0


@pytest.fixture
def running(running: service.Service) -> service.Service:
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
) -> str | None:
    """A move that nothing proves; None: something does.

    :param end: the host whose toolstack ends.
    """
    move = ask(running, name, target)
    turn(running, key)
    turn(running, key, after)
    running.sim.restart_toolstack(end)
    running.clock.advance(40)
    (found,) = finish(running, key, move, seconds=5)
    return move if found.state == 'unresolved' else None


def go_on(
    running: service.Service, key: int, move: str, turns: int = 60
) -> records.Move:
    """Take its repair to its end, or turns."""
    for _ in range(turns):
        turn(running, key, 5)
        found = read(running, move)
        if found.state != moves.REPAIRING:
            break
    return found


def move_by_hand(running: service.Service, guest: records.Guest) -> None:
    """Somebody else moves a guest to xen3."""
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.find('VM', guest.uuid)
        to = session.call('host.get_by_name_label', 'xen3')[0]
        session.call('Async.VM.pool_migrate', ref, to, {'live': 'true'})


def pass_by(running: service.Service, key: str, seconds: float) -> None:
    """Let a repair, and what it has told, have begun before."""
    move = read(running, key)
    call = move.call or {}
    known = call[repairing.KEY]
    known['since'] -= seconds
    for told in known['told'].values():
        told['at'] -= seconds
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
    running: service.Service, key: int, restarts: list[str]
) -> None:
    move = unresolve(running, key)
    assert move is not None
    restarts.clear()
    assert repair(running, move)
    turn(running, key)
    turn(running, key, 2)
    assert restarts == ['xen2']
    # That of the source has looked at its guests when this is over.
    running.conf.set_override('confirm_interval', 3600.0, 'compute')
    said = read(running, move).error or {}
    assert said['code'] == following.REPAIRED
    assert 'xen2' in said['message']
    go_on(running, key, move, turns=10)
    assert restarts == ['xen2']
    running.conf.set_override('confirm_interval', 0.01, 'compute')
    found = go_on(running, key, move)
    assert found.state == 'completed'
    assert restarts == ['xen2', 'xen3']


def test_another_service_goes_on(
    running: service.Service, key: int, restarts: list[str]
) -> None:
    """What was told before is not told again."""
    move = unresolve(running, key)
    assert move is not None
    restarts.clear()
    repair(running, move)
    for _ in range(40):
        running.manager = running.new_manager()
        if go_on(running, key, move, turns=1).state != moves.REPAIRING:
            break
    assert read(running, move).state == 'completed'
    assert restarts == ['xen2', 'xen3']


def test_what_did_not_arrive_is_told_again(
    running: service.Service,
    key: int,
    restarts: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    move = unresolve(running, key)
    assert move is not None
    restarts.clear()
    monkeypatch.setattr(test_moving, 'SENT', repairing.CALL)
    test_moving._lose_answers(monkeypatch, arrives=False)
    repair(running, move)
    go_on(running, key, move, turns=5)
    assert restarts == []
    pass_by(running, move, repairing.AGAIN)
    found = go_on(running, key, move)
    assert found.state == 'completed'
    assert restarts == ['xen2', 'xen3']


def test_not_while_high_availability_could_start_it(
    running: service.Service, key: int, restarts: list[str]
) -> None:
    move = unresolve(running, key)
    assert move is not None
    restarts.clear()
    running.sim.set_pool('xen1', ha_enabled=True)
    repair(running, move)
    found = go_on(running, key, move)
    assert found.state == 'unresolved'
    assert found.error is not None
    assert found.error['code'] == following.UNPROVEN
    assert 'xe pool-ha-disable' in found.error['message']
    assert restarts == []
    running.sim.set_pool('xen1', ha_enabled=False)
    repair(running, move)
    assert go_on(running, key, move).state == 'completed'


def test_not_while_somebody_moves_a_guest(
    running: service.Service, key: int, restarts: list[str]
) -> None:
    move = unresolve(running, key)
    assert move is not None
    restarts.clear()
    known = test_moving.guest(running, 'web')
    move_by_hand(running, known)
    repair(running, move)
    turn(running, key)
    assert 'MACHINES_MOVE' in (read(running, move).error or {})['message']
    assert restarts == []
    assert go_on(running, key, move).state == 'completed'


def test_no_guest_is_sent_meanwhile(
    running: service.Service, key: int, restarts: list[str]
) -> None:
    """And the repair waits for those that are on their way."""
    move = unresolve(running, key)
    assert move is not None
    restarts.clear()
    first = ask(running, 'web', 'xen3')
    turn(running, key)
    assert read(running, first).state == 'sent'
    repair(running, move)
    turn(running, key)
    assert '"web"' in (read(running, move).error or {})['message']
    finish(running, key, first)
    go_on(running, key, move, turns=2)
    assert restarts == ['xen2']
    later = ask(running, 'web', 'xen2')
    turn(running, key)
    assert read(running, later).state == 'queued'
    assert 'start anew' in (read(running, later).error or {})['message']
    assert go_on(running, key, move).state == 'completed'
    (ended,) = finish(running, key, later)
    assert ended.state == 'completed'


def test_one_that_lasts_is_given_up(
    running: service.Service, key: int, restarts: list[str]
) -> None:
    move = unresolve(running, key)
    assert move is not None
    restarts.clear()
    known = test_moving.guest(running, 'web')
    running.sim.plant('VM.pool_migrate', action='hang', step=known.uuid)
    move_by_hand(running, known)
    repair(running, move)
    found = go_on(running, key, move, turns=5)
    assert found.state == moves.REPAIRING
    pass_by(running, move, running.conf.compute.power_timeout)
    found = go_on(running, key, move)
    assert found.state == 'unresolved'
    assert 'given up' in (found.error or {})['message']
    assert 'MACHINES_MOVE' in (found.error or {})['message']
    assert repairing.KEY not in (found.call or {})
    assert restarts == []


def test_a_host_is_told_twice_at_most(
    running: service.Service,
    key: int,
    restarts: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever it says of when its toolstack has started."""
    move = unresolve(running, key)
    assert move is not None
    restarts.clear()
    monkeypatch.setattr(repairing._Repair, '_has_started', lambda *_: False)
    repair(running, move)
    for _ in range(4):
        go_on(running, key, move, turns=5)
        pass_by(running, move, repairing.AGAIN)
    assert restarts == ['xen2', 'xen2']
    pass_by(running, move, running.conf.compute.power_timeout)
    found = go_on(running, key, move)
    assert found.state == 'unresolved'
    assert restarts == ['xen2', 'xen2']


def test_sessions_of_it_do_not_last(
    running: service.Service, key: int, restarts: list[str]
) -> None:
    """What was told with one, and comes late, is refused."""
    move = unresolve(running, key)
    assert move is not None
    restarts.clear()
    before = test_moving.sessions(running)
    repair(running, move)
    turn(running, key)
    [told] = (read(running, move).call or {})[repairing.KEY]['told'].values()
    assert told['session']
    turn(running, key)
    [told] = (read(running, move).call or {})[repairing.KEY]['told'].values()
    assert told['session'] is None
    assert test_moving.sessions(running) == before


def test_what_a_host_says_keeps_no_other_from_its_turn(
    running: service.Service,
    key: int,
    restarts: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    move = unresolve(running, key)
    assert move is not None
    restarts.clear()

    def refuse(*_arguments: Any, **_more: Any) -> Any:
        raise failures.Unreachable(
            host='xen1', url='http://x', reason='nobody is there'
        )

    monkeypatch.setattr(repairing.powering, 'read', refuse)
    repair(running, move)
    found = go_on(running, key, move, turns=3)
    assert found.state == moves.REPAIRING
    assert 'nobody is there' in (found.error or {})['message']
    pass_by(running, move, running.conf.compute.power_timeout)
    assert go_on(running, key, move).state == 'unresolved'


def test_two_are_repaired_one_after_the_other(
    running: service.Service, key: int, restarts: list[str]
) -> None:
    """Both sources first, since both guests went to one host."""
    running.sim.add_vm('xen1', 'app', memory=1 << 30)
    running.watch(key, 0)
    asked = [ask(running, 'db', 'xen3'), ask(running, 'app', 'xen3')]
    turn(running, key)
    turn(running, key, HALF)
    running.sim.restart_toolstack('xen1')
    running.clock.advance(40)
    found = finish(running, key, *asked, seconds=5)
    assert {move.state for move in found} == {'unresolved'}
    restarts.clear()
    for move in asked:
        repair(running, move)
    for move in asked:
        assert go_on(running, key, move).state == 'completed'
    assert sorted(restarts[:2]) == ['xen1', 'xen2']
    assert restarts[2] == 'xen3'
    for one in found:
        assert running.sim.places(one.guest_uuid) == ['xen3']


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
