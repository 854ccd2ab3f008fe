"""All hosts of a pool are restarted, one after another, and nobody notices.

No guest is ever halted that was not named, and each is at home at the end.
"""

import collections
import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from oslo_config import cfg

from aggregates_ext import exception
from aggregates_ext.compute.maintenance import parts
from aggregates_ext.compute.maintenance import planning
from aggregates_ext.compute.maintenance import powering
from aggregates_ext.compute.maintenance import restarting
from aggregates_ext.compute.xen import connections
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import operations
from aggregates_ext.db import records
from aggregates_ext.xensim.plan import presets
from tests.functional import mortal
from tests.functional import service

NEWEST = list(presets.PRESETS)[-1]
# Releases that have gone otherwise about what a run does.
OLDER = ('xcp-ng-8.2', 'xcp-ng-8.3-lts', 'xenserver-8.4')
each_release = pytest.mark.parametrize('running', OLDER, indirect=True)
GIB = 1 << 30
REBOOT = 'Async.host.reboot'
NAMES = ('xen1', 'xen2', 'xen3', 'xen4')
SPARE = 'xen5'


@pytest.fixture
def running(
    conf: cfg.ConfigOpts, database: Any, request: pytest.FixtureRequest
) -> Iterator[service.Service]:
    """A service whose database has the time of the simulated hosts.

    These are of the newest release, or of that which a test names.
    """
    conf.set_override('retry_interval', 0.01, 'compute')
    names = (*NAMES, SPARE)
    version = getattr(request, 'param', NEWEST)
    described = {'hosts': [{'name': n, 'version': version} for n in names]}
    with mortal.serving(conf, described) as made:
        yield made


@pytest.fixture
def key(running: service.Service) -> int:
    """A pool of four, with a guest on each."""
    return make_pool(running, 1)


def make_pool(running: service.Service, each: int) -> int:
    found = running.create(*NAMES)
    for name in NAMES:
        for number in range(each):
            running.sim.add_vm(name, f'{name}-{number}', memory=GIB)
    running.watch(found, 0)
    return found


def go_on(running: service.Service, key: int, seconds: float = 8.0) -> None:
    """Let time pass, then take what rests one step further."""
    running.clock.advance(seconds)
    with running.database.writer() as connection:
        connection.exec_driver_sql('UPDATE operations SET not_before = NULL')
        connection.exec_driver_sql('UPDATE moves SET not_before = NULL')
    running.manager.work_on(key)


def roll(running: service.Service, key: int, **asked: Any) -> str:
    return running.rolling.begin(
        running.ctx, key, operations.ROLLING_REBOOT, asked
    ).uuid


def get(running: service.Service, uuid: str) -> records.Operation:
    return running.operations.get(uuid)


def finish(
    running: service.Service,
    key: int,
    uuid: str,
    meanwhile: Callable[[], object] = bool,
    seconds: float = 8.0,
) -> records.Operation:
    """Let a restart end."""
    for _ in range(600):
        meanwhile()
        go_on(running, key, seconds)
        found = get(running, uuid)
        if found.state not in ('queued', 'running'):
            return found
    raise AssertionError(found)


def guests(running: service.Service) -> dict[str, tuple[str, list[str]]]:
    """The power state and the real places of each guest, by name."""
    found = {}
    with contextlib.closing(running.login('xen1')) as session:
        for record in session.records('VM').values():
            if '-' in record['name_label']:
                places = running.sim.places(record['uuid'])
                found[record['name_label']] = (record['power_state'], places)
    return found


def at_home(running: service.Service) -> bool:
    return all(
        (state, places) == ('Running', [name.split('-')[0]])
        for name, (state, places) in guests(running).items()
    )


def moves(running: service.Service) -> list[tuple[str, str, str]]:
    """What has moved from where to where, in order."""
    with running.database.reader() as connection:
        found = db_moves.page(
            connection, db_moves.Wanted(states=(db_moves.COMPLETED,)), 1000
        )
    return [
        (move.guest_name, str(move.source), str(move.target))
        for move in reversed(found or [])
    ]


def states(operation: records.Operation) -> dict[str, str]:
    return {
        entry['host']: entry['state']
        for entry in operation.parameters.get(records.Rolling.HOSTS, ())
    }


def test_all_are_restarted(running: service.Service) -> None:
    key = make_pool(running, 3)
    uuid = roll(running, key)
    seen: list[bool] = []

    def look() -> None:
        with contextlib.suppress(Exception):
            seen.append(
                all(
                    state == 'Running' for state, _ in guests(running).values()
                )
            )

    ended = finish(running, key, uuid, look)
    assert (ended.state, ended.error) == ('succeeded', None), ended
    assert set(states(ended).values()) == {'done'}
    assert [e['host'] for e in ended.parameters['roll']] == list(NAMES)
    assert len(running.arrivals(REBOOT)) == 4
    assert all(seen)
    assert at_home(running)
    assert running.state(key) == 'active'
    for name in NAMES:
        host = running.hosts.get(name)
        assert (host.maintenance, host.disabled) == (None, False)


@each_release
def test_hosts_of_each_release_are_restarted(running: service.Service) -> None:
    """With high availability off for the time."""
    key = make_pool(running, 1)
    protect(running, key)
    before = availability(running)
    assert before['ha_enabled']
    uuid = roll(running, key, suspend_ha=True)
    ended = finish(running, key, uuid)
    assert (ended.state, ended.error) == ('succeeded', None), ended
    assert len(running.arrivals(REBOOT)) == 4
    assert at_home(running)
    assert availability(running) == before
    assert pool(running)['master'] == row(running, 'xen1')['ref']
    assert running.state(key) == 'active'
    for name in NAMES:
        host = running.hosts.get(name)
        assert (host.maintenance, host.disabled) == (None, False)


def entry(operation: records.Operation, host: str) -> dict[str, Any]:
    return next(e for e in operation.parameters['roll'] if e['host'] == host)


def until(
    running: service.Service,
    key: int,
    uuid: str,
    host: str,
    state: str,
) -> records.Operation:
    """Let a restart go on until a host is so far."""
    for _ in range(400):
        found = get(running, uuid)
        if states(found).get(host) == state:
            return found
        go_on(running, key)
    raise AssertionError(get(running, uuid))


def pool(running: service.Service, host: str = 'xen1') -> dict[str, Any]:
    return dict(running.sim.host(host).database.pool)


def row(running: service.Service, name: str) -> dict[str, Any]:
    """A host as the database of its master has it."""
    for ref, found in running.sim.host('xen1').database.rows('host'):
        if found['name_label'] == name:
            return {'ref': ref, **found}
    raise LookupError(name)


def test_no_guest_is_moved_more_often_than_it_has_to_be(
    running: service.Service, key: int
) -> None:
    """Away once, to a host that it need not leave again, and home.

    Not to the emptiest one, which restarts later and has no other to send it
    to than that which was emptied last.
    """
    running.sim.add_vm('xen1', 'xen1-8', memory=8 * GIB)
    running.sim.add_vm('xen3', 'xen3-4', memory=4 * GIB)
    chosen = ['xen2', 'xen3', 'xen4']
    ended = finish(running, key, roll(running, key, hosts=chosen))
    assert states(ended) == dict.fromkeys(chosen, 'done')
    assert at_home(running)
    moved = collections.Counter(guest for guest, _from, _to in moves(running))
    assert list(moved.values()) == [2] * 4
    ended = finish(
        running, key, roll(running, key, hosts=['xen3'], restore=False)
    )
    assert ended.state == 'succeeded'
    assert not at_home(running)
    assert all(s == 'Running' for s, _ in guests(running).values())


def test_it_pauses_with_an_empty_host_until_somebody_lets_it_go_on(
    running: service.Service, key: int
) -> None:
    uuid = roll(running, key, hosts=['xen2', 'xen3'], pause='before_reboot')
    for number, host in enumerate(('xen2', 'xen3')):
        until(running, key, uuid, host, 'paused')
        for _ in range(5):
            go_on(running, key, 5_000)
        waiting = get(running, uuid)
        assert (waiting.state, states(waiting)[host]) == ('running', 'paused')
        assert 'continue_operation' in (waiting.error or {})['message']
        assert len(running.arrivals(REBOOT)) == number
        running.rolling.go_on(running.ctx, key, uuid)
        until(running, key, uuid, host, 'rebooting')
        with pytest.raises(exception.OperationNotPaused):
            running.rolling.go_on(running.ctx, key, uuid)
    ended = finish(running, key, uuid)
    assert ended.state == 'succeeded'
    assert at_home(running)


def test_a_second_one_is_refused(running: service.Service, key: int) -> None:
    uuid = roll(running, key)
    with pytest.raises(exception.AggregateBusy, match=uuid):
        roll(running, key, hosts=['xen2'])
    go_on(running, key)
    with pytest.raises(exception.AggregateBusy, match=uuid):
        roll(running, key)


@pytest.mark.parametrize('state', ['entering', 'paused', 'rebooting'])
def test_it_is_given_up(
    running: service.Service, key: int, state: str
) -> None:
    """The host at hand takes guests again, and all guests are at home."""
    uuid = roll(running, key, hosts=['xen3', 'xen2'], pause='before_reboot')
    until(running, key, uuid, 'xen3', 'paused')
    running.rolling.go_on(running.ctx, key, uuid)
    until(running, key, uuid, 'xen2', 'entering')
    if state != 'entering':
        until(running, key, uuid, 'xen2', 'paused')
    if state == 'rebooting':
        running.rolling.go_on(running.ctx, key, uuid)
        until(running, key, uuid, 'xen2', 'rebooting')
    running.operations.cancel(running.ctx, key, uuid)
    ended = finish(running, key, uuid)
    assert ended.state == 'cancelled', ended
    assert (ended.error or {})['code'] == 'GIVEN_UP'
    assert states(ended) == {'xen3': 'done', 'xen2': 'stopped'}
    assert at_home(running)
    assert running.hosts.get('xen2').maintenance is None
    assert row(running, 'xen2')['enabled']
    told = 2 if state == 'rebooting' else 1
    assert len(running.arrivals(REBOOT)) == told
    assert running.state(key) == 'active'
    assert running.overview.get(key).standing == []


def test_before_it_has_begun_it_is_taken_back(
    running: service.Service, key: int
) -> None:
    uuid = roll(running, key)
    found = running.operations.cancel(running.ctx, key, uuid)
    assert found.state == 'cancelled'
    go_on(running, key)
    assert len(running.arrivals(REBOOT)) == 0


def test_it_ends_when_all_hosts_have_left_before(
    running: service.Service, key: int
) -> None:
    """It was asked for behind their removals, and would wait for a master."""
    uuid = roll(running, key)
    with running.database.writer() as connection:
        connection.exec_driver_sql(
            "UPDATE hosts SET aggregate_id = NULL, phase = 'free'"
        )
    ended = finish(running, key, uuid)
    assert ended.state == 'failed'
    assert (ended.error or {})['code'] == 'NOT_A_MEMBER'


def test_what_is_named_and_no_member_is_refused(
    running: service.Service, key: int
) -> None:
    ended = finish(running, key, roll(running, key, hosts=['xen2', 'xen9']))
    assert ended.state == 'failed'
    assert (ended.error or {})['code'] == 'NOT_A_MEMBER'
    assert 'xen9' in (ended.error or {})['message']
    assert len(running.arrivals('host.disable')) == 0


def test_joins_ejects_and_changes_of_master_wait(
    running: service.Service,
) -> None:
    """And nothing waits behind them that they wait for."""
    key = running.create('xen1', 'xen2', 'xen3')
    running.sim.add_vm('xen2', 'xen2-0', memory=GIB)
    running.watch(key, 0)
    uuid = roll(running, key, hosts=['xen2'], pause='before_reboot')
    until(running, key, uuid, 'xen2', 'paused')
    running.members.add_host(running.ctx, key, 'xen4')
    running.members.remove_host(running.ctx, key, 'xen3')
    running.pools.set_master(running.ctx, key, 'xen2')
    asked = running.operations.get_all(key, limit=3)
    before = running.pool_of('xen1')
    for _ in range(5):
        go_on(running, key, 90)
        for operation in asked:
            found = get(running, operation.uuid)
            assert found.state == 'queued', found
            assert uuid in (found.error or {})['message']
    assert running.pool_of('xen1') == before
    running.rolling.go_on(running.ctx, key, uuid)
    assert finish(running, key, uuid).state == 'succeeded'
    for operation in reversed(asked):
        assert finish(running, key, operation.uuid).state == 'succeeded'
    after = running.pool_of('xen2')
    assert {h['name'] for h in after['hosts']} == {'xen1', 'xen2', 'xen4'}
    assert after['master'] == 'xen2'


def test_a_host_in_maintenance_stays_in_it(
    running: service.Service, key: int
) -> None:
    """It is restarted too, since that is what was asked."""
    running.maintenance.enter(running.ctx, 'xen3', key, 'memory')
    for _ in range(40):
        go_on(running, key)
    assert running.hosts.get('xen3').maintenance == 'on'
    ended = finish(running, key, roll(running, key, hosts=['xen2', 'xen3']))
    assert ended.state == 'succeeded', ended
    assert running.hosts.get('xen3').maintenance == 'on'
    assert len(running.arrivals(REBOOT)) == 2


def test_a_host_that_does_not_come_back_stops_it(
    running: service.Service, key: int
) -> None:
    """It stays in maintenance, named; a retry goes on from there."""
    uuid = roll(running, key, hosts=['xen2', 'xen3', 'xen4'])
    until(running, key, uuid, 'xen3', 'entering')
    running.sim.plant(host='xen3', action='no_return')
    until(running, key, uuid, 'xen3', 'rebooting')
    for _ in range(4):
        go_on(running, key)
    running.clock.advance(2000)
    ended = finish(running, key, uuid)
    assert ended.state == 'failed'
    assert (ended.error or {})['code'] == 'HOST_NOT_BACK'
    assert 'xen3' in (ended.error or {})['message']
    assert states(ended) == {
        'xen2': 'done',
        'xen3': 'stopped',
        'xen4': 'waiting',
    }
    assert running.hosts.get('xen3').maintenance == 'on'
    assert running.state(key) == 'error'
    let_be = running.operations.cancel(running.ctx, key, uuid)
    assert (let_be.state, let_be.settled) == ('failed', True)
    running.sim.clear_faults()
    running.sim.power_on('xen3')
    again = running.retries.retry(running.ctx, key, uuid)
    ended = finish(running, key, again.uuid)
    assert ended.state == 'succeeded', ended
    assert set(states(ended).values()) == {'done'}
    assert at_home(running)
    assert running.state(key) == 'active'
    # The first time of xen3 came to nothing that was seen.
    assert len(running.arrivals(REBOOT)) == 4


@pytest.mark.parametrize(
    'twice', [False, pytest.param(True, marks=pytest.mark.long)]
)
def test_a_host_that_comes_back_with_the_old_boot_time(
    running: service.Service, key: int, twice: bool
) -> None:
    """Only its toolstack has started: it is told once more, or stops it."""
    uuid = roll(running, key, hosts=['xen3', 'xen4'])
    before = row(running, 'xen3')['other_config']['boot_time']
    running.sim.plant(host='xen3', action='no_boot', times=0 if twice else 1)
    ended = finish(running, key, uuid)
    booted = row(running, 'xen3')['other_config']['boot_time'] != before
    assert at_home(running) is not twice
    if not twice:
        assert (ended.state, booted) == ('succeeded', True), ended
        assert len(running.arrivals(REBOOT)) == 3
        return
    assert not booted
    assert (ended.error or {})['code'] == powering.NOT_BACK, ended
    assert 'the old boot_time' in (ended.error or {})['message']
    assert states(ended) == {'xen3': 'stopped', 'xen4': 'waiting'}
    assert running.hosts.get('xen3').maintenance == 'on'
    assert len(running.arrivals(REBOOT)) == 2
    assert {state for state, _places in guests(running).values()} == {
        'Running'
    }


def test_a_host_that_lacks_storage_stops_it(
    running: service.Service, key: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = roll(running, key, hosts=['xen3', 'xen4'])
    running.sim.plant(host='xen3', action='no_storage', times=0)
    until(running, key, uuid, 'xen3', 'rebooting')
    monkeypatch.setattr(powering, 'LATER_WAIT', 0.0)
    monkeypatch.setattr(powering, 'PLUG_WAIT', 0.0)
    ended = finish(running, key, uuid)
    assert (ended.error or {})['code'] == restarting.NOT_WHOLE, ended
    assert states(ended) == {'xen3': 'stopped', 'xen4': 'waiting'}
    assert running.hosts.get('xen3').maintenance == 'on'


def test_another_master_stops_it(running: service.Service, key: int) -> None:
    """Members must not be newer than their master, so it goes first."""
    uuid = roll(
        running, key, hosts=['xen2', 'xen3', 'xen4'], pause='before_reboot'
    )
    until(running, key, uuid, 'xen2', 'paused')
    with contextlib.closing(running.login('xen1')) as session:
        session.call('pool.designate_new_master', row(running, 'xen4')['ref'])
    running.clock.advance(120)
    running.rolling.go_on(running.ctx, key, uuid)
    ended = finish(running, key, uuid)
    assert (ended.error or {})['code'] == restarting.MASTER_CHANGED, ended
    assert states(ended) == {
        'xen2': 'done',
        'xen3': 'stopped',
        'xen4': 'waiting',
    }
    again = running.retries.retry(running.ctx, key, uuid)
    found = until(running, key, again.uuid, 'xen4', 'paused')
    assert list(states(found)) == ['xen2', 'xen4', 'xen3']


def test_a_guest_that_cannot_move_is_shut_down_on_its_own_host_alone(
    running: service.Service, key: int
) -> None:
    uuid = running.sim.add_vm('xen3', 'xen3-9', memory=GIB)
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.find('VM', uuid)
    running.sim.set_record(
        'xen1', 'VM', ref, blocked_operations={'pool_migrate': 'pinned'}
    )
    asked = roll(running, key, hosts=['xen2', 'xen3'], shut_down=[uuid])
    down: set[tuple[str, str]] = set()

    def look() -> None:
        found = states(get(running, asked))
        now = [h for h, s in found.items() if s in ('entering', 'rebooting')]
        state, _places = guests(running)['xen3-9']
        down.update((host, state) for host in now)

    ended = finish(running, key, asked, look)
    assert ended.state == 'succeeded', ended
    assert ('xen2', 'Running') in down
    assert ('xen3', 'Halted') in down
    assert ('xen2', 'Halted') not in down
    assert at_home(running)


def test_only_hosts_of_which_an_update_asks_for_it(
    running: service.Service, key: int
) -> None:
    running.sim.set_host('xen3', pending_guidances_recommended=['reboot_host'])
    uuid = roll(
        running, key, hosts=['xen2', 'xen3', 'xen4'], only_if_needed=True
    )
    ended = finish(running, key, uuid)
    assert states(ended) == {
        'xen2': 'skipped',
        'xen3': 'done',
        'xen4': 'skipped',
    }
    assert len(running.arrivals(REBOOT)) == 1


def test_a_maintenance_that_is_called_off_stops_it(
    running: service.Service, key: int
) -> None:
    uuid = roll(running, key, hosts=['xen2', 'xen3'])
    until(running, key, uuid, 'xen2', 'entering')
    running.maintenance.leave(running.ctx, 'xen2')
    ended = finish(running, key, uuid)
    assert (ended.error or {})['code'] == 'CALLED_OFF', ended
    assert states(ended) == {'xen2': 'stopped', 'xen3': 'waiting'}
    for _ in range(20):
        go_on(running, key)
    assert running.hosts.get('xen2').maintenance is None
    assert at_home(running)
    assert len(running.arrivals(REBOOT)) == 0


def test_what_starts_guests_at_each_boot_is_off_for_the_time(
    running: service.Service, key: int
) -> None:
    before = {**pool(running)['other_config'], 'auto_poweron': 'true'}
    running.sim.set_pool('xen1', other_config=before)
    uuid = roll(running, key, hosts=['xen2'])
    until(running, key, uuid, 'xen2', 'rebooting')
    assert 'auto_poweron' not in pool(running)['other_config']
    assert finish(running, key, uuid).state == 'succeeded'
    assert pool(running)['other_config'] == before


@pytest.fixture
def protected(running: service.Service, key: int) -> str:
    """High availability is on in the pool; the SR that it is on."""
    return protect(running, key)


def protect(running: service.Service, key: int) -> str:
    storage = running.sim.add_sr('xen1', 'nfs', shared=True, type='nfs')
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.find('SR', storage)
        session.call('pool.enable_ha', [ref], {'timeout': '60'})
        for pool_ref in session.records('pool'):
            session.call(
                'pool.set_ha_host_failures_to_tolerate', pool_ref, '1'
            )
    running.watch(key, 0)
    return storage


def availability(running: service.Service) -> dict[str, Any]:
    return {
        name: value
        for name, value in pool(running).items()
        if name.startswith('ha_') and name != 'ha_plan_exists_for'
    }


def test_high_availability_is_off_for_the_time(
    running: service.Service, key: int, protected: str
) -> None:
    before = availability(running)
    assert before['ha_enabled']
    assert before['ha_configuration'] == {'timeout': '60'}
    ended = finish(running, key, roll(running, key, hosts=['xen1']))
    assert (ended.error or {})['code'] == 'HA_ON', ended
    assert 'suspend_ha' in (ended.error or {})['message']
    uuid = roll(running, key, hosts=['xen1', 'xen2'], suspend_ha=True)
    until(running, key, uuid, 'xen1', 'rebooting')
    assert not pool(running)['ha_enabled']
    ended = finish(running, key, uuid)
    assert (ended.state, ended.error) == ('succeeded', None), ended
    assert availability(running) == before
    assert pool(running)['master'] == row(running, 'xen1')['ref']
    assert at_home(running)
    sent = running.arrivals('Async.pool.enable_ha')
    assert len(sent) == 1


@pytest.mark.parametrize('given_up', [False, True])
def test_high_availability_is_on_again_whatever_becomes_of_it(
    running: service.Service, key: int, protected: str, given_up: bool
) -> None:
    before = availability(running)
    uuid = roll(running, key, hosts=['xen2', 'xen3'], suspend_ha=True)
    until(running, key, uuid, 'xen2', 'entering')
    assert not pool(running)['ha_enabled']
    if given_up:
        running.operations.cancel(running.ctx, key, uuid)
    else:
        running.maintenance.leave(running.ctx, 'xen2')
    ended = finish(running, key, uuid)
    assert ended.state == ('cancelled' if given_up else 'failed')
    assert availability(running) == before


def plug(running: service.Service, storage: str, *, attached: bool) -> None:
    """Attach an SR to xen4, or detach it."""
    database = running.sim.host('xen1').database
    refs = {r for r, sr in database.rows('SR') if sr['uuid'] == storage}
    here = row(running, 'xen4')['ref']
    for ref, pbd in list(database.rows('PBD')):
        if pbd['SR'] in refs and pbd['host'] == here:
            running.sim.set_record(
                'xen1', 'PBD', ref, currently_attached=attached
            )


def lose_availability(
    running: service.Service, key: int, storage: str
) -> records.Operation:
    """Let a restart of xen2 end without what it has switched off.

    :param storage: uuid of that which is away at the end.
    """
    with contextlib.closing(running.login('xen1')) as session:
        named = [
            record['uuid']
            for record in session.records('VM').values()
            if record['name_label'] == 'xen2-0'
        ]
    uuid = roll(running, key, hosts=['xen2'], suspend_ha=True, shut_down=named)
    until(running, key, uuid, 'xen2', 'rebooting')
    plug(running, storage, attached=False)
    return finish(running, key, uuid)


def test_what_is_not_on_again_is_told(
    running: service.Service, key: int, protected: str
) -> None:
    """And is on again when it is gone on with, since that is kept."""
    before = availability(running)
    ended = lose_availability(running, key, protected)
    uuid = ended.uuid
    assert (ended.state, (ended.error or {}).get('code')) == (
        'failed',
        'HA_NOT_RESTORED',
    )
    told = (ended.error or {})['message']
    assert protected in told
    assert 'SR_NO_PBDS' in told
    assert states(ended) == {'xen2': 'done'}
    assert running.state(key) == 'error'
    plug(running, protected, attached=True)
    again = running.retries.retry(running.ctx, key, uuid)
    ended = finish(running, key, again.uuid)
    assert ended.state == 'succeeded', ended
    assert availability(running) == before
    assert len(running.arrivals(REBOOT)) == 1


def test_high_availability_that_somebody_switches_on_stops_it(
    running: service.Service, key: int, protected: str
) -> None:
    """Without leave to suspend it; what was switched off comes back first."""
    with contextlib.closing(running.login('xen1')) as session:
        session.call('pool.disable_ha')
    before = {**pool(running)['other_config'], 'auto_poweron': 'true'}
    running.sim.set_pool('xen1', other_config=before)
    uuid = roll(running, key, hosts=['xen2', 'xen3'], pause='before_reboot')
    until(running, key, uuid, 'xen2', 'paused')
    with contextlib.closing(running.login('xen1')) as session:
        session.call('pool.enable_ha', [], {})
    running.rolling.go_on(running.ctx, key, uuid)
    ended = finish(running, key, uuid)
    assert (ended.error or {})['code'] == 'HA_ON', ended
    assert states(ended) == {'xen2': 'done', 'xen3': 'stopped'}
    assert pool(running)['other_config'] == before
    assert pool(running)['ha_enabled']


def test_a_maintenance_that_somebody_else_asks_for_stays(
    running: service.Service, key: int
) -> None:
    """He has asked before its turn; it is restarted all the same."""
    uuid = roll(running, key, hosts=['xen2', 'xen3'])
    until(running, key, uuid, 'xen2', 'rebooting')
    running.maintenance.enter(running.ctx, 'xen3', key, 'memory')
    ended = finish(running, key, uuid)
    assert ended.state == 'succeeded', ended
    assert running.hosts.get('xen3').maintenance == 'on'
    assert running.hosts.get('xen2').maintenance is None
    assert len(running.arrivals(REBOOT)) == 2


def test_a_guest_that_somebody_has_moved_since_stays_there(
    running: service.Service, key: int
) -> None:
    uuid = roll(running, key, hosts=['xen2'], pause='before_reboot')
    until(running, key, uuid, 'xen2', 'paused')
    with contextlib.closing(running.login('xen1')) as session:
        records_ = session.records('VM').items()
        ref, vm = next(e for e in records_ if e[1]['name_label'] == 'xen2-0')
        there = {row(running, name)['ref']: name for name in NAMES[2:]}
        there.pop(vm['resident_on'], None)
        target, name = there.popitem()
        session.call('VM.pool_migrate', ref, target, {'live': 'true'})
    running.rolling.go_on(running.ctx, key, uuid)
    ended = finish(running, key, uuid)
    assert (ended.state, ended.error) == ('succeeded', None)
    assert guests(running)['xen2-0'] == ('Running', [name])


def test_a_master_that_is_away_for_a_quarter_of_an_hour(
    running: service.Service, key: int
) -> None:
    uuid = roll(running, key, hosts=['xen1', 'xen2'])
    running.sim.plant(host='xen1', action='no_return')
    until(running, key, uuid, 'xen1', 'rebooting')
    for _ in range(10):
        go_on(running, key, 90)
    running.sim.clear_faults()
    running.sim.power_on('xen1')
    ended = finish(running, key, uuid)
    assert ended.state == 'succeeded', ended
    assert at_home(running)
    assert len(running.arrivals(REBOOT)) == 2


def test_a_master_that_stays_away_stops_it(
    running: service.Service, key: int
) -> None:
    """And what was off is on again when it is there."""
    before = {**pool(running)['other_config'], 'auto_poweron': 'true'}
    running.sim.set_pool('xen1', other_config=before)
    uuid = roll(running, key, hosts=['xen2', 'xen3'], pause='before_reboot')
    until(running, key, uuid, 'xen2', 'paused')
    with running.database.writer() as connection:
        # Its turn is over; that of the next one begins without a master.
        found = get(running, uuid)
        done = {**entry(found, 'xen2'), 'state': 'done', 'ended': 0.0}
        hosts = [done, entry(found, 'xen3')]
        operations.update(
            connection,
            found.id,
            {'parameters': {**found.parameters, 'roll': hosts}},
        )
    running.sim.stop_xapi('xen1')
    for _ in range(30):
        go_on(running, key, 100)
    assert states(get(running, uuid)) == {'xen2': 'done', 'xen3': 'stopped'}
    assert get(running, uuid).state == 'running'
    running.sim.start_xapi('xen1')
    ended = finish(running, key, uuid)
    assert (ended.error or {})['code'] == 'TIMEOUT', ended
    assert pool(running)['other_config'] == before


def test_autostart_that_is_not_on_again_is_told(
    running: service.Service, key: int
) -> None:
    before = {**pool(running)['other_config'], 'auto_poweron': 'true'}
    running.sim.set_pool('xen1', other_config=before)
    uuid = roll(running, key, hosts=['xen2'])
    until(running, key, uuid, 'xen2', 'rebooting')
    running.sim.plant(
        'pool.add_to_other_config', code='RBAC_PERMISSION_DENIED', times=0
    )
    ended = finish(running, key, uuid)
    assert (ended.error or {})['code'] == 'AUTOSTART_NOT_RESTORED', ended
    running.sim.clear_faults()
    again = running.retries.retry(running.ctx, key, uuid)
    assert finish(running, key, again.uuid).state == 'succeeded'
    assert pool(running)['other_config'] == before
    assert len(running.arrivals(REBOOT)) == 1


def test_a_rename_does_not_wait(running: service.Service, key: int) -> None:
    uuid = roll(running, key, hosts=['xen2'], pause='before_reboot')
    until(running, key, uuid, 'xen2', 'paused')
    running.aggregates.update(running.ctx, key, {'name': 'new'})
    with running.database.writer() as connection:
        connection.exec_driver_sql(
            "UPDATE operations SET not_before = 1e12 WHERE kind LIKE 'roll%'"
        )
    running.work()
    assert running.operation(key).state == 'succeeded'
    assert pool(running)['name_label'] == 'new'
    assert get(running, uuid).state == 'running'


def test_a_host_that_is_forgotten_meanwhile_stops_it(
    running: service.Service, key: int
) -> None:
    uuid = roll(running, key, hosts=['xen2', 'xen3'], pause='before_reboot')
    until(running, key, uuid, 'xen2', 'paused')
    with running.database.writer() as connection:
        connection.exec_driver_sql("DELETE FROM hosts WHERE name = 'xen3'")
    running.rolling.go_on(running.ctx, key, uuid)
    ended = finish(running, key, uuid)
    assert (ended.error or {})['code'] == parts.CALLED_OFF, ended
    assert states(ended) == {'xen2': 'done', 'xen3': 'stopped'}


def test_a_plan_leaves_out_what_needs_no_restart(
    running: service.Service, key: int
) -> None:
    running.sim.set_host('xen3', updates_requiring_reboot=['OpaqueRef:u'])
    told = planning.look(
        connections.Connector(running.conf),
        running.hosts.get_all(),
        running.aggregates.get(key),
        {'only_if_needed': True},
    )
    assert [host['host'] for host in told['hosts']] == ['xen3']


def test_a_guest_that_comes_to_the_next_host_goes_and_comes_home_too(
    running: service.Service, key: int
) -> None:
    """Started by hand there, while the host before it restarts."""
    uuid = roll(running, key, hosts=['xen1', 'xen2'])
    until(running, key, uuid, 'xen1', 'rebooting')
    running.sim.add_vm('xen2', 'xen2-new', memory=GIB)
    ended = finish(running, key, uuid)
    assert ended.state == 'succeeded', ended
    assert running.sim.harmed() == []
    assert 'xen2-new' in guests(running)
    assert at_home(running)


def test_a_host_that_is_ejected_by_hand_stops_it(
    running: service.Service, key: int
) -> None:
    """It is named; the others are as they were, and no guest is lost."""
    uuid = roll(running, key, hosts=['xen2', 'xen4', 'xen3'])
    until(running, key, uuid, 'xen2', 'rebooting')
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.find('host', running.sim.host('xen4').uuid)
        for vm in session.records('VM').values():
            if vm['name_label'] == 'xen4-0':
                guest = session.find('VM', vm['uuid'])
        session.call('VM.clean_shutdown', guest)
        session.call('pool.eject', ref)
    ended = finish(running, key, uuid)
    assert ended.state == 'failed', ended
    assert states(ended) == {
        'xen2': 'done',
        'xen4': 'stopped',
        'xen3': 'waiting',
    }
    assert 'xen4' in (ended.error or {})['message']
    assert len(running.arrivals(REBOOT)) == 1


def test_a_host_that_joins_by_hand_meanwhile_is_left_alone(
    running: service.Service, key: int
) -> None:
    """Nobody has asked for it: not for a restart, and not for guests."""
    uuid = roll(running, key)
    until(running, key, uuid, 'xen2', 'rebooting')
    account = running.sim.host('xen1')
    with contextlib.closing(running.login(SPARE)) as session:
        session.call(
            'pool.join', account.address, account.username, account.password
        )
    ended = finish(running, key, uuid)
    assert ended.state == 'succeeded', ended
    assert set(states(ended)) == set(NAMES)
    assert set(states(ended).values()) == {'done'}
    assert at_home(running)
    assert len(running.arrivals(REBOOT)) == len(NAMES)
    assert all(SPARE not in move for move in moves(running))


def test_a_host_that_comes_back_disabled_until_its_reboot_stops_it(
    running: service.Service, key: int
) -> None:
    """It would take no guest, and what is asked of it is refused."""
    uuid = roll(running, key, hosts=['xen3', 'xen4'])
    until(running, key, uuid, 'xen3', 'rebooting')
    running.sim.plant(
        call='host.enable',
        action='fail',
        times=0,
        code='HOST_DISABLED_UNTIL_REBOOT',
        parameters=(),
    )
    ended = finish(running, key, uuid)
    assert ended.state == 'failed', ended
    assert states(ended) == {'xen3': 'stopped', 'xen4': 'waiting'}
    assert 'HOST_DISABLED_UNTIL_REBOOT' in (ended.error or {})['message']
    assert len(running.arrivals(REBOOT)) == 1


@pytest.mark.parametrize('action', ['reboot', 'shutdown'])
def test_it_waits_for_nothing_that_waits_for_it(
    running: service.Service, key: int, action: str
) -> None:
    """What a hand asks of its host goes before what waits for its end."""
    uuid = roll(running, key, hosts=['xen3'], pause='before_reboot')
    until(running, key, uuid, 'xen3', 'paused')
    running.pools.set_master(running.ctx, key, 'xen3')
    by_hand = running.powering.power(running.ctx, 'xen3', action)
    go_on(running, key)
    running.rolling.go_on(running.ctx, key, uuid)
    ended = finish(running, key, uuid)
    assert get(running, by_hand).state == 'succeeded'
    # Whoever has switched it off is to switch it on.
    expected = 'succeeded' if action == 'reboot' else 'failed'
    assert ended.state == expected, ended


@pytest.mark.harms_guests
def test_a_guest_that_its_move_halts_stops_it(
    running: service.Service,
) -> None:
    """Before its host is restarted, and before the next one goes."""
    key = make_pool(running, 2)
    running.conf.set_override('move_concurrency', 1, 'compute')
    running.conf.set_override('confirm_interval', 0.01, 'compute')
    with contextlib.closing(running.login('xen1')) as session:
        there = row(running, 'xen3')['ref']
        lost, other = (
            vm['uuid']
            for vm in session.records('VM').values()
            if vm['resident_on'] == there and not vm['is_control_domain']
        )
    for uuid in (lost, other):
        running.sim.plant('VM.pool_migrate', step=uuid, action='halt')
    ended = finish(running, key, roll(running, key, hosts=['xen3', 'xen4']))
    assert (ended.error or {})['code'] == records.GUEST_HALTED, ended
    assert states(ended) == {'xen3': 'stopped', 'xen4': 'waiting'}
    assert len(running.arrivals(REBOOT)) == 0
    assert len(running.sim.harmed()) == 1
