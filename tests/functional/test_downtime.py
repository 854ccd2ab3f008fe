"""Guests that are shut down by consent: the named ones, and no other."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
import webob

from aggregates_ext import exception
from aggregates_ext.api.edge import wire
from aggregates_ext.compute.maintenance import downtime
from aggregates_ext.compute.maintenance import entering
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.db import records
from aggregates_ext.domain import downtime as wanted
from tests.functional import maintaining
from tests.functional import service
from tests.functional import test_migrations
from tests.integration import documents

GIB = 1 << 30
CLEAN = 'Async.VM.clean_shutdown'
HARD = 'Async.VM.hard_shutdown'
START = 'Async.VM.start_on'
MOVE = 'Async.VM.pool_migrate'


class Site:
    """A pool of three. On xen2 are ``gfree``, which moves, and two that stay.

    :ivar uuids: of the guests by name.
    """

    def __init__(self, running: service.Service) -> None:
        self.running = running
        self.sim = running.sim
        self.key = running.create('xen1', 'xen2', 'xen3')
        self.uuids = {'gfree': self.sim.add_vm('xen2', 'gfree', memory=GIB)}
        for name in ('gtied', 'gusb'):
            self.tie(name)
        self.sim.add_vm('xen2', 'off', power_state='Halted')
        running.watch(self.key, 0)

    def tie(self, name: str, **more: Any) -> None:
        """Add a guest that cannot move."""
        self.uuids[name] = self.sim.add_vm('xen2', name, memory=GIB, **more)
        ref, _state = maintaining.guest(self.running, name)
        self.sim.set_record('xen1', 'VM', ref, VUSBs=['x'])

    def enter(self, *names: str, **more: Any) -> str | None:
        named = [self.uuids[name] for name in names]
        return self.running.maintenance.enter(
            self.running.ctx, 'xen2', shut_down=named, **more
        )

    def leave(self, **more: Any) -> None:
        self.running.maintenance.leave(self.running.ctx, 'xen2', **more)

    def go_on(self, times: int = 1) -> records.Operation:
        for _ in range(times):
            maintaining.go_on(self.running, self.key)
        return self.running.operation(self.key)

    def finish(self) -> records.Operation:
        return maintaining.finish(self.running, self.key)

    def until(self, happened: Callable[[], object]) -> None:
        """Go on until something has happened."""
        for _ in range(40):
            if happened():
                return
            self.go_on()
        raise AssertionError(self.running.operation(self.key))

    def until_sent(self, call: str, times: int = 1) -> None:
        self.until(lambda: self.sent(call) >= times)

    def pass_time(self, seconds: float = 700) -> None:
        """The operation has run for longer."""
        with self.running.database.writer() as connection:
            connection.exec_driver_sql(
                'UPDATE operations SET begun = begun - ?', (seconds,)
            )

    def hang(self, name: str, **more: Any) -> Any:
        """Let a guest not go down when it is asked."""
        return self.sim.plant(
            'VM.clean_shutdown', 'xen1', 'hang', step=self.uuids[name], **more
        )

    def sent(self, call: str) -> int:
        return len(self.running.arrivals(call))

    def where(self) -> dict[str, str]:
        """Where each guest really runs; empty: nowhere."""
        return {
            name: ' '.join(self.sim.places(uuid))
            for name, uuid in self.uuids.items()
        }

    def states(self) -> dict[str, str]:
        """What the newest operation tells of guests."""
        found = self.running.operation(self.key).parameters
        return {
            entry['name']: entry['state']
            for entry in found.get(wanted.GUESTS, {}).values()
        }

    def halted(self) -> list[str]:
        """The guests that the pool shows as down for xen2."""
        found = self.running.overview.get(self.key).halted
        return sorted(guest['name'] for guest in found.get('xen2', []))

    def call(self, name: str, method: str, *more: Any) -> None:
        """Do something to a guest by hand."""
        ref, _state = maintaining.guest(self.running, name)
        with contextlib.closing(self.running.login('xen1')) as session:
            session.call(method, ref, *more)


@pytest.fixture
def site(running: service.Service) -> Site:
    running.conf.set_override('retry_interval', 0.01, 'compute')
    return Site(running)


def test_the_named_go_down_and_come_up_again(site: Site) -> None:
    site.enter('gtied', 'gusb')
    assert site.finish().state == 'succeeded'
    where = site.where()
    assert where['gfree'] in ('xen1', 'xen3')
    assert (where['gtied'], where['gusb']) == ('', '')
    for name in ('gtied', 'gusb'):
        assert maintaining.guest(site.running, name)[1] == 'Halted'
    assert site.states() == {'gtied': 'halted', 'gusb': 'halted'}
    assert site.halted() == ['gtied', 'gusb']
    assert (site.sent(CLEAN), site.sent(HARD)) == (2, 0)
    # They go last: nobody is down for a move that fails.
    assert min(site.running.arrivals(CLEAN)) > max(site.running.arrivals(MOVE))
    site.leave()
    ended = site.finish()
    assert (ended.state, ended.error) == ('succeeded', None)
    assert set(site.where().values()) == {'xen2'}
    assert site.states() == {'gtied': 'running', 'gusb': 'running'}
    assert site.halted() == []
    assert site.sent(START) == 2
    assert maintaining.guest(site.running, 'off')[1] == 'Halted'
    assert site.sim.harmed() == []


def test_what_is_missing_is_listed_and_nothing_is_done(site: Site) -> None:
    site.enter('gtied')
    ended = site.finish()
    assert ended.state == 'failed'
    assert ended.error is not None
    both = sorted(site.uuids[name] for name in ('gtied', 'gusb'))
    assert sorted(ended.error['parameters']['shut_down']) == both
    assert '"gusb" (' in ended.error['message']
    assert all(uuid in ended.error['message'] for uuid in both)
    assert set(site.where().values()) == {'xen2'}
    assert maintaining.is_enabled(site.running)
    assert (site.sent('host.disable'), site.sent(CLEAN)) == (0, 0)


def test_a_named_guest_that_can_move_moves(site: Site) -> None:
    site.enter('gfree', 'gtied', 'gusb')
    assert site.finish().state == 'succeeded'
    assert site.where()['gfree'] in ('xen1', 'xen3')
    assert site.sent(CLEAN) == 2


@pytest.mark.parametrize('call', ['host.disable', MOVE])
def test_one_that_appears_and_is_not_named_stops_it(
    site: Site, call: str
) -> None:
    site.enter('gtied', 'gusb')
    site.until_sent(call)
    site.tie('gnew')
    ended = site.finish()
    assert ended.state == 'failed'
    assert ended.error is not None
    assert site.uuids['gnew'] in ended.error['parameters']['shut_down']
    assert site.sent(CLEAN) == 0
    where = site.where()
    assert [where[n] for n in ('gtied', 'gusb', 'gnew')] == ['xen2'] * 3
    assert maintaining.is_enabled(site.running)
    assert maintaining.host(site.running).maintenance is None


def test_one_that_can_move_after_all_moves(site: Site) -> None:
    site.enter('gtied', 'gusb')
    site.until_sent(MOVE)
    ref, _state = maintaining.guest(site.running, 'gusb')
    db = site.sim.host('xen1').database
    assert db is not None
    db.row('VM', ref)['VUSBs'] = []
    assert site.finish().state == 'succeeded'
    assert site.where()['gusb'] in ('xen1', 'xen3')
    assert site.sent(CLEAN) == 1


def test_one_that_hangs_undoes_it_and_others_come_up(site: Site) -> None:
    site.hang('gusb')
    site.enter('gtied', 'gusb')
    site.until(lambda: site.states().get('gtied') == 'halted')
    site.pass_time()
    ended = site.finish()
    assert ended.state == 'failed'
    assert ended.error is not None
    assert ended.error['code'] == downtime.STAYS_UP
    assert '"gusb" has not gone down' in ended.error['message']
    assert 'started again: "gtied"' in ended.error['message']
    assert site.states() == {'gtied': 'running', 'gusb': 'failed'}
    where = site.where()
    assert (where['gtied'], where['gusb']) == ('xen2', 'xen2')
    assert maintaining.is_enabled(site.running)
    assert (site.sent(HARD), site.sent('task.cancel')) == (0, 1)
    # Nothing of it is left: it does not go down later.
    site.go_on(5)
    assert site.where()['gusb'] == 'xen2'


def test_one_that_hangs_stays_with_the_host_where_that_is_asked(
    site: Site,
) -> None:
    planted = site.hang('gusb')
    site.enter('gtied', 'gusb', stay_on_failure=True)
    site.until(lambda: site.states().get('gtied') == 'halted')
    site.pass_time()
    ended = site.finish()
    assert ended.state == 'failed'
    assert ended.error is not None
    assert 'Guests that are down: "gtied"' in ended.error['message']
    assert not maintaining.is_enabled(site.running)
    assert site.halted() == ['gtied']
    planted.release()
    site.running.retries.retry(site.running.ctx, site.key, ended.uuid)
    assert site.finish().state == 'succeeded'
    assert site.halted() == ['gtied', 'gusb']
    site.leave()
    assert site.finish().state == 'succeeded'
    assert set(site.where().values()) == {'xen2'}


def test_hard_only_where_it_was_allowed_and_in_the_end(site: Site) -> None:
    site.hang('gusb')
    site.enter('gtied', 'gusb', hard=True)
    site.until(lambda: site.states().get('gtied') == 'halted')
    site.go_on(3)
    assert site.sent(HARD) == 0
    site.pass_time()
    assert site.finish().state == 'succeeded'
    assert (site.sent(CLEAN), site.sent(HARD)) == (2, 1)
    assert site.where()['gusb'] == ''
    assert site.states() == {'gtied': 'halted', 'gusb': 'halted'}


def test_one_that_cannot_be_asked_needs_the_hard_way(site: Site) -> None:
    site.tie('gmute', pv_drivers=False)
    names = ('gtied', 'gusb', 'gmute')
    site.enter(*names)
    ended = site.finish()
    assert ended.error is not None
    assert ended.error['code'] == downtime.STAYS_UP
    assert 'VM_LACKS_FEATURE' in ended.error['message']
    assert site.sent(CLEAN) == 0
    site.enter(*names, hard=True)
    assert site.finish().state == 'succeeded'
    assert site.sent(HARD) == 1
    assert site.where()['gmute'] == ''


def test_one_that_does_not_answer_is_asked_again(site: Site) -> None:
    site.sim.plant(
        'VM.clean_shutdown',
        'xen1',
        'fail',
        step=site.uuids['gusb'],
        code='VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT',
        parameters=[],
    )
    site.enter('gtied', 'gusb')
    assert site.finish().state == 'succeeded'
    assert site.sent(CLEAN) == 3


@pytest.mark.parametrize('effect', ['reset', 'drop_answer'])
@pytest.mark.parametrize('call', [CLEAN, START])
def test_an_answer_that_is_lost_is_looked_for(
    site: Site, call: str, effect: str
) -> None:
    site.sim.plant(call, 'xen1', effect)
    site.enter('gtied', 'gusb')
    assert site.finish().state == 'succeeded'
    site.leave()
    ended = site.finish()
    assert (ended.state, ended.error) == ('succeeded', None)
    assert set(site.where().values()) == {'xen2'}
    assert site.sent(call) == (2 if effect == 'drop_answer' else 3)
    assert site.sim.harmed() == []


def test_a_call_that_was_lost_is_sent_again_after_two_looks(
    site: Site,
) -> None:
    """Nothing is seen of it at one look: it may still be on its way."""
    site.call('gusb', 'VM.hard_shutdown')
    site.sim.plant(CLEAN, action='reset')
    site.enter('gtied')
    site.until_sent(CLEAN)
    site.go_on()
    assert site.sent(CLEAN) == 1
    site.go_on()
    assert site.sent(CLEAN) == 2
    assert site.finish().state == 'succeeded'
    assert site.where()['gtied'] == ''


def test_one_that_is_elsewhere_right_before_the_call_stays_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call is recorded already; the last look stops it."""
    original = compute_run.Run._record

    def recorded(self: Any, call: dict[str, Any], *more: Any) -> Any:
        if call['call'] == CLEAN and 'xen1' not in site.where()['gtied']:
            site.call('gtied', 'VM.hard_shutdown')
            site.sim.set_record(
                'xen1',
                'VM',
                maintaining.guest(site.running, 'gtied')[0],
                VUSBs=[],
            )
            there = site.sim.host('xen1').database
            assert there is not None
            ref = there.by_uuid('host', site.sim.host('xen1').uuid)
            site.call('gtied', 'VM.start_on', ref, False, False)
        return original(self, call, *more)

    monkeypatch.setattr(compute_run.Run, '_record', recorded)
    site.call('gusb', 'VM.hard_shutdown')
    site.enter('gtied')
    assert site.finish().state == 'succeeded'
    assert site.where()['gtied'] == 'xen1'
    assert site.sent(CLEAN) == 0


def test_nobody_goes_down_while_one_that_is_not_named_remains(
    site: Site,
) -> None:
    site.sim.plant(MOVE, code='VM_LACKS_FEATURE', times=0)
    site.enter('gtied', 'gusb')
    ended = site.finish()
    assert (ended.error or {})['code'] == entering.STUCK
    assert '"gfree"' in (ended.error or {})['message']
    assert set(site.where().values()) == {'xen2'}
    assert site.sent(CLEAN) == 0


def test_another_service_goes_on_at_each_step(site: Site) -> None:
    site.enter('gtied', 'gusb')
    for times in range(2):
        if times:
            site.leave()
        while site.running.operation(site.key).state in ('queued', 'running'):
            site.running.manager = site.running.new_manager()
            site.go_on()
        assert site.running.operation(site.key).state == 'succeeded'
    assert (site.sent(CLEAN), site.sent(START)) == (2, 2)
    assert set(site.where().values()) == {'xen2'}


def test_to_leave_calls_it_off(site: Site) -> None:
    site.hang('gusb')
    site.enter('gtied', 'gusb')
    site.until(lambda: site.states().get('gtied') == 'halted')
    site.leave()
    assert site.finish().state == 'succeeded'
    found = site.running.operations.get_all(site.key)[:2]
    assert [o.state for o in found] == ['succeeded', 'cancelled']
    assert set(site.where().values()) == {'xen2'}
    site.go_on(3)
    assert site.where()['gusb'] == 'xen2'


def test_guests_can_be_left_down(site: Site) -> None:
    site.enter('gtied', 'gusb')
    site.finish()
    site.leave(restore=False)
    ended = site.finish()
    assert ended.state == 'succeeded'
    assert ended.error is not None
    assert ended.error['code'] == downtime.STAYS_DOWN
    assert '"gtied", "gusb"' in ended.error['message']
    assert site.sent(START) == 0


def test_what_others_have_started_stays(site: Site) -> None:
    site.enter('gtied', 'gusb')
    site.finish()
    with contextlib.closing(site.running.login('xen1')) as session:
        hosts = session.records('host').items()
    xen3 = next(ref for ref, h in hosts if h['name_label'] == 'xen3')
    site.call('gusb', 'VM.start_on', xen3, False, False)
    site.leave()
    assert site.finish().state == 'succeeded'
    assert site.where()['gusb'] == 'xen3'
    assert site.sent(START) == 1
    assert site.sim.harmed() == []


def test_one_whose_end_was_not_seen_is_not_started(site: Site) -> None:
    """Its record says halted, as it would after a move that lies."""
    site.hang('gusb')
    site.enter('gtied', 'gusb')
    site.until(lambda: site.states().get('gtied') == 'halted')
    ref, _state = maintaining.guest(site.running, 'gusb')
    for name in ('xen2', 'xen1'):
        site.sim.restart_toolstack(name)
        site.running.clock.advance(60)
    db = site.sim.host('xen1').database
    assert db is not None
    for task in list(db.row('VM', ref)['current_operations']):
        db.row('VM', ref)['current_operations'].pop(task)
    db.row('VM', ref).update(
        power_state='Halted', resident_on='OpaqueRef:NULL'
    )
    for _ in range(30):
        site.running.clock.advance(10)
        if site.go_on().state == 'succeeded':
            break
    assert site.states() == {'gtied': 'halted', 'gusb': 'halted'}
    site.leave()
    ended = site.finish()
    assert ended.state == 'succeeded'
    assert ended.error is not None
    assert (
        '"gusb" was shut down, and is not started' in (ended.error['message'])
    )
    assert site.sent(START) == 1
    assert site.where()['gusb'] == 'xen2'
    assert site.sim.harmed() == []


def test_one_that_cannot_start_is_told(site: Site) -> None:
    site.enter('gtied', 'gusb')
    site.finish()
    site.sim.plant(
        'VM.start_on',
        'xen1',
        'fail',
        step=site.uuids['gusb'],
        times=0,
        code='HOST_NOT_ENOUGH_FREE_MEMORY',
        parameters=['1', '0'],
    )
    site.leave()
    ended = site.finish()
    assert ended.state == 'succeeded'
    assert ended.error is not None
    assert (
        '"gusb" was shut down, and could not be started'
        in (ended.error['message'])
    )
    assert site.states() == {'gtied': 'running', 'gusb': 'failed'}
    where = site.where()
    assert (where['gtied'], where['gusb']) == ('xen2', '')


def test_asked_again_with_another_consent(site: Site) -> None:
    first = site.enter('gtied', 'gusb')
    site.go_on()
    assert site.enter('gusb', 'gtied') == first
    assert site.enter() == first
    with pytest.raises(exception.Conflict):
        site.enter('gtied', 'gusb', hard=True)
    with pytest.raises(exception.Conflict):
        site.enter('gtied')


def test_one_that_is_down_already_is_no_matter(site: Site) -> None:
    site.call('gusb', 'VM.hard_shutdown')
    site.enter('gtied', 'gusb')
    assert site.finish().state == 'succeeded'
    assert site.halted() == ['gtied']


def test_a_consent_for_another_host(site: Site) -> None:
    site.uuids['gelse'] = site.sim.add_vm('xen1', 'gelse')
    site.enter('gtied', 'gusb', 'gelse')
    ended = site.finish()
    assert ended.error is not None
    assert ended.error['code'] == 'GUEST_UNKNOWN'
    assert site.sent('host.disable') == 0


def test_the_samples_of_the_guide(site: Site) -> None:
    """What it names is shut down, and told as it says."""
    api = test_migrations.Api(site.running)
    site.call('gtied', 'VM.hard_shutdown')
    site.call('gusb', 'VM.hard_shutdown')
    site.tie('gpu')
    start = '{"enter_maintenance": {\n    "host": "xen2",\n    "shut'
    body = json.loads(documents.block('user.rst', start))
    xml = documents.block('user.rst', '<enter_maintenance host="xen2" hard')
    request = webob.Request.blank('/', method='POST', body=xml.encode())
    request.content_type = 'application/xml'
    assert wire.read(request, xml=True) == body
    path = f'os-aggregates/{site.key}'
    api(f'{path}/action', method='POST', body=body)
    assert site.finish().state == 'succeeded'
    uuid = site.running.operation(site.key).uuid
    told = json.loads(documents.block('user.rst', '{"guests"'))
    shown = api(f'os-aggregates/operations/{uuid}')['operation']
    assert shown['guests'] == told['guests']
    assert shown['asked'] == {
        'hard': False,
        'shut_down': body['enter_maintenance']['shut_down'],
    }
    hosts = {h['name']: h for h in api(f'{path}/pool')['pool']['hosts']}
    down = [{'name': 'gpu', 'uuid': told['guests'][0]['uuid']}]
    assert hosts['xen2']['shut_down'] == down
    assert hosts['xen1']['shut_down'] == []
    for block in documents.all_blocks('user.rst'):
        if block.text.startswith('{"pool"'):
            (sample,) = json.loads(block.text).values()
            assert sample['hosts'][0].keys() == hosts['xen2'].keys()
    check = {'check_host': {'host': 'xen1', 'for': 'maintenance'}}
    api(f'{path}/action', method='POST', body=check, status=503)
