"""All hosts of a pool are updated, one after another, and nobody notices.

XenServer installs what its master has synchronized, XCP-ng what each host
finds (design#updates).
"""

import contextlib
import dataclasses
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from oslo_config import cfg
from oslo_utils import uuidutils

from aggregates_ext import exception
from aggregates_ext.compute.maintenance import planning
from aggregates_ext.compute.maintenance import powering as power
from aggregates_ext.compute.maintenance import shared
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import updates
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import operations
from aggregates_ext.db import records
from aggregates_ext.domain.maintenance import powering
from tests.functional import mortal
from tests.functional import service
from tests.functional import test_moving as moving
from tests.functional import test_rolling as rolling

NAMES = ('xen1', 'xen2', 'xen3')
XENSERVER, XCP_NG = PRODUCTS = ('xenserver-8.4', 'xcp-ng-8.3')
CALLS = {
    XENSERVER: 'Async.host.apply_updates',
    XCP_NG: 'Async.host.call_plugin',
}
RESTART = 'Async.host.restart_agent'
REBOOTS = {'mandatory': ['reboot_host']}
NEWER = {'xapi': '26.99', 'xapi_build': '26.99.0', 'platform_version': '3.9.9'}


@pytest.fixture(
    params=[XENSERVER, pytest.param(XCP_NG, marks=pytest.mark.long)]
)
def product(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def running(
    conf: cfg.ConfigOpts,
    database: Any,
    product: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[service.Service]:
    """A pool of three, with a guest on each, and something to install."""
    conf.set_override('retry_interval', 0.01, 'compute')
    described = {'hosts': [{'name': n, 'version': product} for n in NAMES]}
    with mortal.serving(conf, described) as made:
        monkeypatch.setattr(updates, 'pause', made.clock.advance)
        yield made


@pytest.fixture
def key(running: service.Service, product: str) -> int:
    """A pool of three, with a guest on each, whose hosts lack packages."""
    found = make_pool(running, product)
    publish(running, product)
    return found


def make_pool(running: service.Service, product: str) -> int:
    found = running.create(*NAMES)
    for name in NAMES:
        running.sim.add_vm(name, f'{name}-0', memory=rolling.GIB)
    running.watch(found, 0)
    if product == XENSERVER:
        running.sim.enable_repository('xen1')
    return found


def publish(
    running: service.Service,
    product: str,
    guidance: dict[str, list[str]] | None = None,
    versions: dict[str, str] | None = None,
    synced: bool = True,
) -> None:
    running.sim.publish(
        'xen1',
        packages=['kernel-4.19.19-8.0.40.x86_64', 'xen-4.17.5-9.x86_64'],
        guidance=REBOOTS if guidance is None else guidance,
        versions=NEWER if versions is None else versions,
    )
    if product == XENSERVER and synced:
        sync(running)


def sync(running: service.Service) -> str:
    """Let the master synchronize."""
    session = running.login('xen1')
    [pool] = session.records('pool')
    task = session.call('Async.pool.sync_updates', pool, False, '', '')
    running.clock.advance(60)
    assert session.record('task', task)['status'] == 'success'
    session.close()
    return str(running.sim.host('xen1').database.pool['repositories'])


def update(running: service.Service, key: int, **asked: Any) -> str:
    kind = operations.ROLLING_UPDATE
    return running.rolling.begin(running.ctx, key, kind, asked).uuid


def told(running: service.Service, key: int) -> list[str]:
    """The hosts that were told to install something, as often, in order."""
    found: list[str] = []
    for operation in reversed(running.operations.get_all(key)):
        if operation.kind == operations.UPDATE_HOST:
            times = operation.parameters.get('times', 0)
            found += [str(operation.host)] * times
    return found


def version(running: service.Service, name: str) -> str:
    return str(rolling.row(running, name)['software_version']['xapi_build'])


def finish(
    running: service.Service,
    key: int,
    uuid: str,
    meanwhile: Callable[[], object] = bool,
) -> records.Operation:
    return rolling.finish(running, key, uuid, meanwhile, seconds=20)


def plan(running: service.Service, key: int, **asked: Any) -> dict[str, Any]:
    return planning.look(
        connections.Connector(running.conf),
        running.hosts.get_all(),
        running.aggregates.get(key),
        {'update': True, 'suspend_ha': True, 'restore': True, **asked},
    )


def codes(found: dict[str, Any]) -> list[str]:
    return [problem['code'] for problem in found['blockers']]


@pytest.mark.parametrize('product', PRODUCTS, indirect=True)
def test_all_are_updated_the_master_first(
    running: service.Service, key: int, product: str
) -> None:
    on_them: list[list[str]] = []

    def look(host: str) -> None:
        on_them.append(
            [
                name
                for name, (_state, places) in rolling.guests(running).items()
                if host in places
            ]
        )

    seen: list[str] = []

    def meanwhile() -> None:
        assert running.sim.harmed() == []
        for name in told(running, key)[len(seen) :]:
            seen.append(name)
            look(name)

    uuid = update(running, key)
    ended = finish(running, key, uuid, meanwhile)
    assert (ended.state, ended.error) == ('succeeded', None), ended
    assert set(rolling.states(ended).values()) == {'done'}
    assert [e['to_install'] for e in ended.parameters['roll']] == [2, 2, 2]
    assert told(running, key) == list(NAMES)
    assert on_them == [[], [], []]
    assert len(running.arrivals(rolling.REBOOT)) == 3
    assert {version(running, name) for name in NAMES} == {'26.99.0'}
    assert rolling.at_home(running)
    assert running.state(key) == 'active'
    again = finish(running, key, update(running, key))
    assert set(rolling.states(again).values()) <= {'skipped'}
    assert told(running, key) == list(NAMES)
    assert len(running.arrivals(rolling.REBOOT)) == 3


def test_it_pauses_with_an_empty_host_before_anything_is_installed(
    running: service.Service, key: int, product: str
) -> None:
    uuid = update(running, key, hosts=['xen1'], pause='before_update')
    rolling.until(running, key, uuid, 'xen1', 'paused')
    for _ in range(3):
        rolling.go_on(running, key, 5_000)
    assert told(running, key) == []
    running.rolling.go_on(running.ctx, key, uuid)
    ended = finish(running, key, uuid)
    assert ended.state == 'succeeded', ended
    assert told(running, key) == ['xen1']


def test_it_is_given_up_with_the_host_that_installs(
    running: service.Service, key: int, product: str
) -> None:
    """Which restarts still, and takes its guests again."""
    uuid = update(running, key)
    rolling.until(running, key, uuid, 'xen1', 'updating')
    running.operations.cancel(running.ctx, key, uuid)
    ended = finish(running, key, uuid)
    assert ended.state == 'cancelled', ended
    assert told(running, key) == ['xen1']
    assert version(running, 'xen1') == '26.99.0'
    assert rolling.row(running, 'xen1')['enabled']
    assert running.hosts.get('xen1').maintenance is None
    assert rolling.at_home(running)


@pytest.mark.parametrize('action', ['drop_answer', 'reset'])
def test_an_answer_is_lost(
    running: service.Service, key: int, product: str, action: str
) -> None:
    """What the host shows tells whether it was told."""
    # The first calls of the plug-in ask what there is: plan, turn, itself.
    nth = 1 if product == XENSERVER else 4
    running.sim.plant(CALLS[product], 'xen1', action, nth=nth)
    uuid = update(running, key, hosts=['xen1'])
    ended = finish(running, key, uuid)
    assert ended.state == 'succeeded', ended
    assert version(running, 'xen1') == '26.99.0'
    assert len(running.arrivals(rolling.REBOOT)) == 1
    assert told(running, key) == ['xen1'] * (2 if action == 'reset' else 1)


@pytest.mark.parametrize('host', ['xen1', 'xen2'])
@pytest.mark.parametrize('seconds', [5, 120])
def test_a_toolstack_that_dies_while_packages_are_installed(
    running: service.Service,
    key: int,
    product: str,
    host: str,
    seconds: float,
) -> None:
    """They are installed all the same, and no guidance may tell of them."""
    names = list(dict.fromkeys(['xen1', host]))
    uuid = update(running, key, hosts=names)
    rolling.until(running, key, uuid, host, 'updating')
    while told(running, key) != names:
        rolling.go_on(running, key, 1)
    running.sim.restart_toolstack(host)
    rolling.go_on(running, key, seconds)
    ended = rolling.finish(running, key, uuid, seconds=min(seconds, 20))
    assert ended.state == 'succeeded', ended
    assert {version(running, name) for name in names} == {'26.99.0'}
    assert len(running.arrivals(rolling.REBOOT)) == len(names)
    assert rolling.at_home(running)


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
@pytest.mark.parametrize('host', ['xen1', 'xen2'])
def test_guidance_that_is_lost_with_the_master_is_made_up_for(
    running: service.Service, key: int, product: str, host: str
) -> None:
    """It dies, and comes back when all packages are there."""
    names = list(dict.fromkeys(['xen1', host]))
    running.sim.plant(CALLS[product], host, 'die', step='yum')
    uuid = update(running, key, hosts=names)
    rolling.until(running, key, uuid, host, 'updating')
    while told(running, key) != names:
        rolling.go_on(running, key, 1)
    rolling.go_on(running, key, 300)
    ended = finish(running, key, uuid)
    assert ended.state == 'succeeded', ended
    assert told(running, key) == [*names, host]
    assert {version(running, name) for name in names} == {'26.99.0'}
    assert len(running.arrivals(rolling.REBOOT)) == len(names)


@pytest.mark.parametrize(
    ('product', 'step'),
    [(XENSERVER, 'yum'), (XENSERVER, 'installed'), (XCP_NG, 'yum')],
    indirect=['product'],
)
def test_packages_that_cannot_be_installed_stop_it(
    running: service.Service, key: int, product: str, step: str
) -> None:
    """The host stays in maintenance; the next try goes on with it.

    And reboots it, whatever the first one has left there.
    """
    running.sim.plant(CALLS[product], None, 'fail', step=step, nth=2)
    uuid = update(running, key)
    ended = finish(running, key, uuid)
    assert ended.state == 'failed', ended
    assert rolling.states(ended) == {
        'xen1': 'done',
        'xen2': 'stopped',
        'xen3': 'waiting',
    }
    assert running.hosts.get('xen2').maintenance == 'on'
    assert running.state(key) == 'error'
    again = running.retries.retry(running.ctx, key, uuid)
    ended = finish(running, key, again.uuid)
    assert ended.state == 'succeeded', ended
    assert {version(running, name) for name in NAMES} == {'26.99.0'}
    assert rolling.at_home(running)
    assert running.state(key) == 'active'
    assert running.hosts.get('xen2').maintenance is None


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
@pytest.mark.parametrize(
    ('guidance', 'boots', 'starts'),
    [
        ({}, 0, 0),
        ({'recommended': ['restart_toolstack']}, 0, 1),
        ({'mandatory': ['restart_toolstack']}, 0, 1),
        ({'full': ['restart_toolstack', 'reboot_host']}, 1, 0),
        ({'mandatory': ['restart_device_model']}, 0, 0),
    ],
)
def test_guidance_tells_whether_a_host_restarts(
    running: service.Service,
    product: str,
    guidance: dict[str, list[str]],
    boots: int,
    starts: int,
) -> None:
    """A toolstack alone, where that is all that is asked for."""
    key = make_pool(running, product)
    publish(running, product, guidance, {})
    hosts = ['xen1', 'xen2']
    for host in plan(running, key, hosts=hosts)['hosts']:
        assert host['updates']['reboot'] is bool(boots)
    ended = finish(running, key, update(running, key, hosts=hosts))
    assert (ended.state, ended.error) == ('succeeded', None), ended
    assert len(running.arrivals(rolling.REBOOT)) == 2 * boots
    assert len(running.arrivals(RESTART)) == 2 * starts
    for name in hosts:
        row = rolling.row(running, name)
        assert row['enabled']
        for field in ('', '_recommended', '_full'):
            assert row[f'pending_guidances{field}'] == []
    assert rolling.at_home(running)


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
def test_guests_that_are_to_be_restarted_are_told_at_the_end(
    running: service.Service, product: str
) -> None:
    """By name, but those that are off; no guest is restarted."""
    key = make_pool(running, product)
    running.sim.add_vm('xen1', 'off', memory=rolling.GIB, power_state='Halted')
    publish(running, product, {'full': ['reboot_host', 'restart_vm']})
    ended = finish(running, key, update(running, key))
    assert ended.state == 'succeeded'
    assert ended.error == {
        'code': 'GUESTS_TO_RESTART',
        'message': '3 guest(s) have what was installed only when their '
        'owners have restarted them: "xen1-0", "xen2-0", "xen3-0".',
    }
    assert rolling.at_home(running)
    assert running.sim.harmed() == []


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
def test_no_toolstack_starts_again_while_a_guest_moves(
    running: service.Service, product: str
) -> None:
    """Whoever moves it: its record would lie for good."""
    key = make_pool(running, product)
    publish(running, product, {'mandatory': ['restart_toolstack']}, {})
    asked = {'hosts': ['xen1', 'xen2']}
    ended = finish(running, key, update(running, key, hosts=['xen1']))
    assert ended.state == 'succeeded', ended
    running.sim.add_vm('xen3', 'by hand', memory=16 * rolling.GIB)
    seen: list[int] = []

    def look() -> None:
        with contextlib.closing(running.login('xen1')) as session:
            found = session.records('VM').items()
            [(ref, vm)] = (f for f in found if f[1]['name_label'] == 'by hand')
            if told(running, key) == asked['hosts'] and not seen:
                there = rolling.row(running, 'xen1')['ref']
                session.call('Async.VM.pool_migrate', ref, there, {})
                seen.append(1)
            elif vm['current_operations']:
                seen.append(len(running.arrivals(RESTART)))

    ended = finish(running, key, update(running, key, hosts=['xen2']), look)
    assert ended.state == 'succeeded', ended
    assert (len(seen) > 5, set(seen)) == (True, {1})
    assert len(running.arrivals(RESTART)) == 2


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
@pytest.mark.parametrize('versions', [{}, NEWER])
def test_a_master_that_synchronizes_meanwhile_stops_it(
    running: service.Service, product: str, versions: dict[str, str]
) -> None:
    """No host gets what no plan has shown; a new try takes it.

    The master first, once more, if its guests may go to the others still.
    """
    key = make_pool(running, product)
    publish(running, product, versions=versions)
    uuid = update(running, key)
    rolling.until(running, key, uuid, 'xen2', 'entering')
    publish(running, product)
    ended = finish(running, key, uuid)
    assert ended.state == 'failed'
    assert (ended.error or {})['code'] == 'UPDATEINFO_HASH_MISMATCH'
    assert rolling.states(ended)['xen2'] == 'stopped'
    again = running.retries.retry(running.ctx, key, uuid)
    ended = finish(running, key, again.uuid)
    if versions:
        assert (ended.error or {})['code'] == 'NO_TARGET'
        return
    assert ended.state == 'succeeded', ended
    assert told(running, key)[2:] == ['xen1', 'xen2', 'xen3']
    assert set(rolling.states(ended).values()) == {'done'}
    assert rolling.at_home(running)


def test_no_guest_begins_to_move_while_a_host_installs(
    running: service.Service, key: int, product: str
) -> None:
    """A toolstack that starts again would lose sight of it."""
    uuid = update(running, key, hosts=['xen1'])
    rolling.until(running, key, uuid, 'xen1', 'updating')
    while told(running, key) != ['xen1']:
        rolling.go_on(running, key, 1)
    sent = len(running.arrivals('Async.VM.pool_migrate'))
    moving.ask(running, 'xen3-0')
    for _ in range(3):
        rolling.go_on(running, key, 5)
        assert rolling.states(rolling.get(running, uuid)) == {
            'xen1': 'updating'
        }
    assert len(running.arrivals('Async.VM.pool_migrate')) == sent
    assert finish(running, key, uuid).state == 'succeeded'


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
def test_another_installation_is_not_taken_for_its_own(
    running: service.Service, key: int
) -> None:
    """One of other updates goes on with the host: it waits for that."""
    uuid = update(running, key, hosts=['xen1'], pause='before_update')
    rolling.until(running, key, uuid, 'xen1', 'paused')
    other = uuidutils.generate_uuid()
    where = ({'user_id': 'user'}, key, 'xen1', operations.UPDATE_HOST)
    with running.database.writer() as connection:
        powering.queue(connection, *where, {'hash': 'a'}, other)
        with pytest.raises(exception.AggregateBusy, match=other):
            powering.queue(connection, *where, {'hash': 'b'}, uuid)
        same = powering.queue(connection, *where, {'hash': 'a'}, uuid)
        assert same.uuid == other


def test_a_plan_tells_what_each_host_would_install(
    running: service.Service, key: int, product: str
) -> None:
    found = plan(running, key)
    assert found['blockers'] == []
    assert [host['host'] for host in found['hosts']] == list(NAMES)
    for host in found['hosts']:
        assert host['updates']['reboot'] is True
        names = host['updates']['packages']
        assert [name.split('-4.1')[0] for name in names] == ['kernel', 'xen']
        guidance = ['RebootHost'] if product == XENSERVER else []
        assert host['updates']['guidance'] == guidance
    assert told(running, key) == []


def test_a_master_that_lacks_some_is_not_left_out(
    running: service.Service, key: int, product: str
) -> None:
    assert codes(plan(running, key, hosts=['xen2'])) == ['MASTER_FIRST']
    ended = finish(running, key, update(running, key, hosts=['xen2']))
    assert (ended.error or {})['code'] == 'MASTER_FIRST'
    ended = finish(running, key, update(running, key, hosts=['xen1']))
    assert ended.state == 'succeeded', ended
    assert codes(plan(running, key, hosts=['xen2'])) == []


def test_a_toolstack_that_starts_late_in_a_long_installation(
    running: service.Service, key: int, product: str
) -> None:
    running.sim.world.times = dataclasses.replace(
        running.sim.world.times, yum=900.0
    )
    uuid = update(running, key, hosts=['xen1'])
    rolling.until(running, key, uuid, 'xen1', 'updating')
    while told(running, key) != ['xen1']:
        rolling.go_on(running, key, 1)
    for _ in range(8):
        rolling.go_on(running, key, 90)
    running.sim.restart_toolstack('xen1')
    ended = finish(running, key, uuid)
    assert ended.state == 'succeeded', ended
    assert version(running, 'xen1') == '26.99.0'
    assert running.hosts.get('xen1').maintenance is None


@pytest.mark.parametrize('way', ['retry', 'new', 'cancel'])
def test_packages_without_their_reboot_are_not_forgotten(
    running: service.Service, key: int, product: str, way: str
) -> None:
    """Nor by a new request, nor by giving the next try up."""
    running.sim.plant(rolling.REBOOT, None, 'fail', code='PERMISSION_DENIED')
    asked = {'hosts': ['xen1'], 'pause': 'before_update'}
    uuid = update(running, key, **asked)
    rolling.until(running, key, uuid, 'xen1', 'paused')
    running.rolling.go_on(running.ctx, key, uuid)
    ended = finish(running, key, uuid)
    assert (ended.state, rolling.states(ended)) == (
        'failed',
        {'xen1': 'stopped'},
    )
    assert running.hosts.get('xen1').maintenance == 'on'
    if way == 'new':
        uuid = update(running, key, **asked)
    else:
        uuid = running.retries.retry(running.ctx, key, uuid).uuid
    rolling.until(running, key, uuid, 'xen1', 'paused')
    if way == 'cancel':
        running.operations.cancel(running.ctx, key, uuid)
    else:
        running.rolling.go_on(running.ctx, key, uuid)
    ended = finish(running, key, uuid)
    wanted = 'cancelled' if way == 'cancel' else 'succeeded'
    assert ended.state == wanted, ended
    assert version(running, 'xen1') == '26.99.0'
    assert running.hosts.get('xen1').maintenance is None
    assert rolling.at_home(running)


@pytest.mark.parametrize('product', [XCP_NG], indirect=True)
def test_what_is_published_meanwhile_goes_to_the_master_first(
    running: service.Service, key: int, product: str
) -> None:
    uuid = update(running, key, pause='before_update')
    rolling.until(running, key, uuid, 'xen1', 'paused')
    running.rolling.go_on(running.ctx, key, uuid)
    rolling.until(running, key, uuid, 'xen2', 'paused')
    publish(running, product, versions={})
    running.rolling.go_on(running.ctx, key, uuid)
    ended = finish(running, key, uuid)
    assert (ended.error or {})['code'] == 'MASTER_FIRST', ended
    assert told(running, key) == ['xen1']


@pytest.mark.parametrize('product', [XCP_NG], indirect=True)
def test_a_plug_in_that_is_busy_is_asked_again(
    running: service.Service, key: int
) -> None:
    with contextlib.closing(running.login('xen1')) as session:
        for ref in session.records('host'):
            given = (ref, 'updater.py', 'check_update', {})
            session.call('Async.host.call_plugin', *given)
        assert codes(plan(running, key)) == []


@pytest.mark.parametrize('product', [XCP_NG], indirect=True)
@pytest.mark.parametrize(
    'said',
    [
        '',
        'null',
        '{}',
        '[1]',
        '[{"name": "kernel"}]',
        '[{"name": 1, "version": "2", "release": "3"}]',
        '[' * 100_000,
        # As it is to be, but for a field that nobody reads.
        '[{"name": "a", "version": "1", "release": "2", "url": ['
        + '0,' * 300_000
        + '0]}]',
    ],
    ids=lambda said: said[:12],
)
def test_odd_answers_of_a_plug_in_are_told(
    running: service.Service,
    key: int,
    monkeypatch: pytest.MonkeyPatch,
    said: str,
) -> None:
    honest = xenapi.Session.call

    def call(session: xenapi.Session, method: str, *params: Any) -> Any:
        answer = honest(session, method, *params)
        return f'<value>{said}</value>' if method == xenapi.RESULT else answer

    monkeypatch.setattr(xenapi.Session, 'call', call)
    with pytest.raises(failures.OddAnswer, match='JSON'):
        plan(running, key)


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
@pytest.mark.parametrize(
    'said',
    [
        b'',
        b'[]',
        b'{"hosts": 5}',
        b'{"hosts": []}',
        b'{"hosts": [{"ref": "OpaqueRef:1"}]}',
        b'{"hosts": [{"ref": "r", "guidance": [], "livepatches": [],'
        b' "RPMS": []}]}',
        b'\xff',
    ],
)
def test_odd_lists_of_a_master_are_told(
    running: service.Service,
    key: int,
    monkeypatch: pytest.MonkeyPatch,
    said: bytes,
) -> None:
    monkeypatch.setattr(xenapi.Session, 'get', lambda *_args, **_kwargs: said)
    with pytest.raises(failures.OddAnswer, match='/updates'):
        plan(running, key)


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
def test_a_host_that_an_earlier_update_asks_to_restart_does_so(
    running: service.Service, product: str
) -> None:
    """Without another update; before it gets one, it has to."""
    key = make_pool(running, product)
    sync(running)
    running.sim.set_host('xen2', pending_guidances=['reboot_host'])
    [host] = plan(running, key)['hosts']
    assert (host['host'], host['updates']['reboot']) == ('xen2', True)
    ended = finish(running, key, update(running, key))
    assert ended.state == 'succeeded', ended
    assert told(running, key) == []
    assert len(running.arrivals(rolling.REBOOT)) == 1
    running.sim.set_host('xen2', pending_guidances=['reboot_host'])
    publish(running, product)
    wanted = 'HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY'
    assert codes(plan(running, key)) == [wanted]


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
def test_a_pool_without_a_repository_is_told(
    running: service.Service, key: int
) -> None:
    running.sim.set_pool('xen1', repositories=[])
    assert codes(plan(running, key)) == ['NO_REPOSITORY_ENABLED']
    running.sim.enable_repository('xen1')
    assert codes(plan(running, key)) == ['NO_REPOSITORY_ENABLED']
    sync(running)
    assert codes(plan(running, key)) == []


@pytest.mark.parametrize('product', ['xenserver-7.1'], indirect=True)
def test_a_product_that_is_updated_otherwise_is_told(
    running: service.Service,
) -> None:
    key = running.create(*NAMES)
    running.watch(key, 0)
    assert codes(plan(running, key)) == ['UPDATES_NOT_KNOWN']


def syncs(running: service.Service) -> int:
    """How often the master was told to synchronize."""
    return len(running.arrivals('Async.pool.sync_updates'))


def test_a_master_that_never_synchronized_does_so_first(
    running: service.Service, product: str
) -> None:
    """Before that nobody knows who lacks anything."""
    key = make_pool(running, product)
    publish(running, product, synced=False)
    before = syncs(running)
    seen = plan(running, key, sync=True)
    assert codes(seen) == []
    assert len(seen['hosts']) == 3
    if product == XENSERVER:
        assert codes(plan(running, key)) == ['NO_REPOSITORY_ENABLED']
    assert syncs(running) == before
    ended = finish(running, key, update(running, key, sync=True))
    assert (ended.state, ended.error) == ('succeeded', None), ended
    assert told(running, key) == list(NAMES)
    assert {version(running, name) for name in NAMES} == {'26.99.0'}
    assert syncs(running) - before == (1 if product == XENSERVER else 0)


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
def test_hosts_that_lack_nothing_then_are_left_alone(
    running: service.Service, key: int, product: str
) -> None:
    done = finish(running, key, update(running, key, sync=True))
    assert told(running, key) == list(NAMES)
    reboots = len(running.arrivals(rolling.REBOOT))
    again = finish(running, key, update(running, key, sync=True))
    assert (done.state, again.state) == ('succeeded', 'succeeded')
    assert set(rolling.states(again).values()) <= {'skipped'}
    assert len(running.arrivals(rolling.REBOOT)) == reboots


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
@pytest.mark.parametrize('action', ['drop_answer', 'reset'])
def test_an_answer_of_the_master_that_synchronizes_is_lost(
    running: service.Service, product: str, action: str
) -> None:
    key = make_pool(running, product)
    publish(running, product, synced=False)
    before = syncs(running)
    running.sim.plant('Async.pool.sync_updates', 'xen1', action)
    ended = finish(running, key, update(running, key, sync=True))
    assert ended.state == 'succeeded', ended
    assert told(running, key) == list(NAMES)
    assert syncs(running) - before == 2


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
def test_a_toolstack_that_dies_while_it_synchronizes(
    running: service.Service, product: str
) -> None:
    key = make_pool(running, product)
    publish(running, product, synced=False)
    before = syncs(running)
    uuid = update(running, key, sync=True)
    while syncs(running) == before:
        rolling.go_on(running, key, 1)
    running.manager = running.new_manager()
    running.sim.restart_toolstack('xen1')
    ended = finish(running, key, uuid)
    assert ended.state == 'succeeded', ended
    assert told(running, key) == list(NAMES)
    assert syncs(running) - before == 2


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
def test_a_master_that_cannot_synchronize_is_told(
    running: service.Service, product: str
) -> None:
    """No host is touched, and the next try synchronizes once more."""
    key = make_pool(running, product)
    publish(running, product, synced=False)
    running.sim.plant(
        'Async.pool.sync_updates',
        'xen1',
        'fail',
        times=0,
        code='REPOSYNC_FAILED',
        parameters=(),
    )
    uuid = update(running, key, sync=True)
    ended = finish(running, key, uuid)
    assert ended.state == 'failed', ended
    assert (ended.error or {})['code'] == 'REPOSYNC_FAILED'
    assert running.arrivals(rolling.REBOOT) == []
    assert all(rolling.row(running, name)['enabled'] for name in NAMES)
    running.sim.clear_faults()
    again = running.retries.retry(running.ctx, key, uuid)
    ended = finish(running, key, again.uuid)
    assert ended.state == 'succeeded', ended
    assert told(running, key) == list(NAMES)


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
def test_a_task_of_the_master_that_fails_is_told(
    running: service.Service, product: str
) -> None:
    """It was taken, and has come to nothing: it is not sent again."""
    key = make_pool(running, product)
    publish(running, product, synced=False)
    pool = running.sim.host('xen1').database.pool
    pool['restrictions'] = {**pool['restrictions'], 'restrict_updates': 'true'}
    before = syncs(running)
    ended = finish(running, key, update(running, key, sync=True))
    assert ended.state == 'failed', ended
    assert (ended.error or {})['code'] == 'LICENCE_RESTRICTION'
    assert syncs(running) - before == 1
    assert running.arrivals(rolling.REBOOT) == []


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
def test_a_master_is_told_three_times_to_synchronize(
    running: service.Service, product: str
) -> None:
    key = make_pool(running, product)
    publish(running, product, synced=False)
    before = syncs(running)
    running.sim.plant('Async.pool.sync_updates', 'xen1', 'reset', times=0)
    ended = finish(running, key, update(running, key, sync=True))
    assert ended.state == 'failed', ended
    assert (ended.error or {})['code'] == 'REPOSYNC_FAILED'
    assert syncs(running) - before == 3


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
def test_what_somebody_else_synchronizes_is_waited_for(
    running: service.Service, product: str
) -> None:
    """But not for ever; nothing is sent beside it."""
    key = make_pool(running, product)
    publish(running, product, synced=False)
    before = syncs(running)
    running.sim.start_pool_operation('xen1', 'sync_updates')
    uuid = update(running, key, sync=True)
    for _ in range(5):
        rolling.go_on(running, key)
    resting = rolling.get(running, uuid)
    assert resting.state == 'queued'
    assert resting.step == 'the master synchronizes updates'
    running.conf.set_override('update_timeout', 1.0, 'compute')
    ended = finish(running, key, uuid)
    assert (ended.error or {})['code'] == 'TIMEOUT', ended
    assert syncs(running) == before


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
def test_it_is_given_up_while_the_master_synchronizes(
    running: service.Service, product: str
) -> None:
    """What the master does is waited for; no host is touched."""
    key = make_pool(running, product)
    publish(running, product, synced=False)
    before = syncs(running)
    uuid = update(running, key, sync=True)
    while syncs(running) == before:
        rolling.go_on(running, key, 1)
    running.operations.cancel(running.ctx, key, uuid)
    ended = finish(running, key, uuid)
    assert ended.state == 'cancelled', ended
    assert told(running, key) == []
    assert running.arrivals(rolling.REBOOT) == []
    assert all(rolling.row(running, name)['enabled'] for name in NAMES)
    assert running.state(key) == 'active'


@pytest.mark.parametrize('product', [XENSERVER], indirect=True)
def test_what_is_left_of_a_run_installs_what_the_others_have(
    running: service.Service, key: int, product: str
) -> None:
    """So it does not synchronize once more."""
    running.sim.plant(CALLS[product], None, 'fail', step='yum', nth=2)
    before = syncs(running)
    uuid = update(running, key, sync=True)
    assert finish(running, key, uuid).state == 'failed'
    again = running.retries.retry(running.ctx, key, uuid)
    assert finish(running, key, again.uuid).state == 'succeeded'
    assert told(running, key) == ['xen1', 'xen2', 'xen2', 'xen3']
    assert syncs(running) - before == 1


@pytest.mark.parametrize('product', [XCP_NG], indirect=True)
def test_a_host_that_waits_for_its_reboot_is_known_by_a_key(
    running: service.Service, key: int
) -> None:
    """What was installed by hand is not, and a plan says so."""

    def install(seconds: object) -> None:
        told = {'boot_time': '1000.5', 'rpm_patch_installation_time': seconds}
        running.sim.set_host('xen2', other_config=told)

    for never in ('1000', '', 'x', 'nan', 'inf'):
        install(never)
        assert (
            plan(running, key, update=None, only_if_needed=True)['hosts'] == []
        )
    install('1001.25')
    found = plan(running, key, update=None, only_if_needed=True)
    assert [host['host'] for host in found['hosts']] == ['xen2']
    (warning,) = (
        one for one in found['warnings'] if one['code'] == 'UPDATED_BY_HAND'
    )
    assert 'xen1' in warning['found']
    assert 'xen2' not in warning['found']
    uuid = running.rolling.begin(
        running.ctx,
        key,
        operations.ROLLING_REBOOT,
        {'hosts': ['xen2', 'xen3'], 'only_if_needed': True},
    ).uuid
    ended = finish(running, key, uuid)
    assert ended.state == 'succeeded', ended
    assert rolling.states(ended) == {'xen2': 'done', 'xen3': 'skipped'}
    assert plan(running, key, update=None, only_if_needed=True)['hosts'] == []


def install_by_hand(running: service.Service, name: str) -> None:
    """What ``yum update`` on a host does."""
    with contextlib.closing(running.login('xen1')) as session:
        refs = {h['name_label']: r for r, h in session.records('host').items()}
        task = session.call(
            CALLS[XCP_NG], refs[name], updates.PLUGIN, 'update', {}
        )
        running.clock.advance(200)
        assert session.record('task', task)['status'] == 'success'


@pytest.mark.parametrize('product', [XCP_NG], indirect=True)
def test_a_master_that_comes_back_newer_than_the_others(
    running: service.Service, key: int
) -> None:
    """All restart; who has left an older host for it cannot go home."""
    kind = operations.ROLLING_REBOOT
    asked = {'pause': 'before_reboot'}
    uuid = running.rolling.begin(running.ctx, key, kind, asked).uuid
    rolling.until(running, key, uuid, 'xen1', 'paused')
    install_by_hand(running, 'xen1')

    def let_go_on() -> None:
        found = rolling.states(running.operations.get(uuid))
        if 'paused' in found.values():
            with contextlib.suppress(exception.Conflict):
                running.rolling.go_on(running.ctx, key, uuid)

    ended = finish(running, key, uuid, let_go_on)
    assert ended.state == 'succeeded', ended
    assert set(rolling.states(ended).values()) == {'done'}
    found = rolling.guests(running)
    assert [state for state, _places in found.values()] == ['Running'] * 3
    away = [
        name
        for name, (_state, places) in found.items()
        if places != [name.split('-')[0]]
    ]
    assert away
    assert (ended.error or {})['code'] == shared.LEFTOVERS
    for name in away:
        assert found[name][1] == ['xen1']
        assert name in (ended.error or {})['message']
    assert (
        rolling.pool(running)['master'] == rolling.row(running, 'xen1')['ref']
    )


@pytest.mark.parametrize('product', [XCP_NG], indirect=True)
def test_a_host_that_comes_back_newer_than_its_master_stops_it(
    running: service.Service, key: int
) -> None:
    """It cannot join its master again before that is as new."""
    kind = operations.ROLLING_REBOOT
    asked = {'hosts': ['xen2', 'xen3'], 'pause': 'before_reboot'}
    uuid = running.rolling.begin(running.ctx, key, kind, asked).uuid
    rolling.until(running, key, uuid, 'xen2', 'paused')
    install_by_hand(running, 'xen2')
    running.rolling.go_on(running.ctx, key, uuid)
    rolling.until(running, key, uuid, 'xen2', 'rebooting')
    for _ in range(4):
        rolling.go_on(running, key)
    running.clock.advance(2000)
    ended = finish(running, key, uuid)
    assert (ended.error or {})['code'] == power.NOT_BACK, ended
    assert rolling.states(ended) == {'xen2': 'stopped', 'xen3': 'waiting'}
    found = rolling.guests(running)
    assert [state for state, _places in found.values()] == ['Running'] * 3
    assert all(places != ['xen2'] for _state, places in found.values())
