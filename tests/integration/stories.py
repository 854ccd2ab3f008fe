"""Every kind of change to a pool as a story that can be disturbed.

A story names the calls that change something in it, in their order; that
these are all is checked by ``test_crash``.
"""

import dataclasses
import functools
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

from tests.integration import processes
from tests.integration import proxy

MARK = 'pool.add_to_other_config'
UNMARK = 'pool.remove_from_other_config'
NAME = 'pool.set_name_label'
JOIN = 'Async.pool.join'
EJECT = 'Async.pool.eject'
DISABLE = 'host.disable'
ENABLE = 'host.enable'
TELL = 'host.add_to_other_config'
UNTELL = 'host.remove_from_other_config'
DESTROY = 'host.destroy'
RESTART = 'host.restart_agent'
DESIGNATE = 'pool.designate_new_master'
MOVE = 'Async.VM.pool_migrate'
REBOOT = 'Async.host.reboot'
SHUT_DOWN = 'Async.VM.clean_shutdown'
START = 'Async.VM.start_on'


@dataclasses.dataclass
class Scene:
    """An aggregate that is about to change.

    :ivar hosts: free hosts of its own; the first may be a member already.
    :ivar given_up: uuids of the SRs whose disks may be lost.
    :ivar guests: uuids of machines that run, and are to run on.
    """

    site: processes.Site
    client: processes.Client
    key: int
    hosts: Sequence[str]
    given_up: list[str] = dataclasses.field(default_factory=list)
    guests: list[str] = dataclasses.field(default_factory=list)


Act = Callable[[Scene], None]


def _nothing(scene: Scene) -> None:
    """Nothing more is there before."""


@dataclasses.dataclass(frozen=True)
class Story:
    """A change to a pool.

    :ivar calls: that change something, in their order.
    :ivar members: how many hosts are members before.
    :ivar act: asks the API for the change.
    :ivar left: which hosts are members after it, and after it was
        disturbed; more than one answer where more are right.
    :ivar prepare: what else is there before.
    :ivar loses: how many disks are lost, as was accepted.
    :ivar guests_on: the hosts on which its guests run in the end.
    """

    name: str
    calls: tuple[str, ...]
    members: int
    act: Act
    left: tuple[tuple[int, ...], ...]
    prepare: Act = _nothing
    loses: int = 0
    guests_on: tuple[tuple[int, ...], ...] = ()

    def __str__(self) -> str:
        return self.name

    def begin(self, site: processes.Site, client: processes.Client) -> Scene:
        """Make what is there before the change."""
        hosts = site.take_hosts(2)
        key = client.make_pool(site.new_name(), hosts[: self.members])
        scene = Scene(site, client, key, hosts)
        self.prepare(scene)
        return scene


def _add_first(scene: Scene) -> None:
    assert scene.client.add(scene.key, scene.hosts[0]).status == 200


def _add_second(scene: Scene) -> None:
    assert scene.client.add(scene.key, scene.hosts[1]).status == 200


def _remove_first(scene: Scene) -> None:
    assert scene.client.remove(scene.key, scene.hosts[0]).status == 200


def _remove_second(scene: Scene) -> None:
    assert scene.client.remove(scene.key, scene.hosts[1]).status == 200


def _make_second_master(scene: Scene) -> None:
    body = {'set_master': {'host': scene.hosts[1]}}
    path = f'/os-aggregates/{scene.key}/action'
    scene.client.done('POST', path, body)


def _disable_second(scene: Scene) -> None:
    body = {'host': scene.hosts[1], 'binary': 'nova-compute'}
    scene.client.done('PUT', '/os-services/disable', body)


def _enable_second(scene: Scene) -> None:
    body = {'status': 'enable'}
    scene.client.done('PUT', f'/os-hosts/{scene.hosts[1]}', body)


def _be_disabled(scene: Scene) -> None:
    _disable_second(scene)
    assert scene.client.settle(scene.key)['state'] == 'succeeded'
    _stay_disabled(scene)


def _be_disabled_by_hand(scene: Scene) -> None:
    scene.site.sim.set_host(scene.hosts[1], enabled=False)
    _stay_disabled(scene)


def _stay_disabled(scene: Scene) -> None:
    """Hosts start anew for each play, and are enabled with that."""
    scene.site.sim.host(scene.hosts[1]).auto_enable = False


def _have_a_guest(scene: Scene) -> None:
    """The second host has one that runs."""
    name = scene.site.new_name()
    scene.guests.append(scene.site.sim.add_vm(scene.hosts[1], name))


def _enter(scene: Scene) -> None:
    _act(scene, 'enter_maintenance')


def _leave(scene: Scene) -> None:
    _act(scene, 'leave_maintenance')


def _act(scene: Scene, action: str, **more: Any) -> None:
    body = {action: {'host': scene.hosts[1], **more}}
    path = f'/os-aggregates/{scene.key}/action'
    scene.client.done('POST', path, body)


def _reboot(scene: Scene, number: int) -> None:
    """Reboot a host, of whose last boot its pool tells."""
    host = scene.hosts[number]
    body = {'power_host': {'host': host, 'action': 'reboot'}}
    path = f'/os-aggregates/{scene.key}/action'
    scene.client.done('POST', path, body)


def _be_empty(scene: Scene, number: int) -> None:
    """Be in maintenance; the guest runs on the other host."""
    name = scene.site.new_name()
    guest = scene.site.sim.add_vm(scene.hosts[1 - number], name)
    scene.guests.append(guest)
    host = scene.hosts[number]
    path = f'/os-aggregates/{scene.key}/action'
    scene.client.done('POST', path, {'enter_maintenance': {'host': host}})
    ended = scene.client.settle(scene.key)
    assert ended['state'] == 'succeeded', ended
    scene.site.sim.host(host).auto_enable = False


def _be_in_maintenance(scene: Scene) -> None:
    _have_a_guest(scene)
    _enter(scene)
    ended = scene.client.settle(scene.key)
    assert ended['state'] == 'succeeded', ended
    _stay_disabled(scene)


def _have_a_tied_guest(scene: Scene) -> None:
    """The second host has one that cannot move."""
    _have_a_guest(scene)
    db = scene.site.sim.host(scene.hosts[0]).database
    assert db is not None
    ref = db.by_uuid('VM', scene.guests[0])
    scene.site.sim.set_record(scene.hosts[0], 'VM', ref, VUSBs=['x'])


def _enter_with_it_down(scene: Scene) -> None:
    _act(scene, 'enter_maintenance', shut_down=scene.guests)


def _be_in_maintenance_with_it_down(scene: Scene) -> None:
    _have_a_tied_guest(scene)
    _enter_with_it_down(scene)
    ended = scene.client.settle(scene.key)
    assert ended['state'] == 'succeeded', ended
    _stay_disabled(scene)


def rename(scene: Scene) -> None:
    """Give the aggregate another name."""
    body = {'aggregate': {'name': scene.site.new_name()}}
    scene.client.done('PUT', f'/os-aggregates/{scene.key}', body)


def _remove_while_a_disk_appears(scene: Scene) -> None:
    """The disk comes when the host is disabled: the eject is called off."""
    master, host = scene.hosts
    added: list[str] = []

    def add_disk() -> None:
        if not added:
            disks = [{'name': 'data'}]
            added.append(scene.site.sim.add_sr(host, 'late', vdis=disks))

    scene.site.traffic.plant(
        proxy.Rule(DISABLE, host=master, nth=0, after=add_disk)
    )
    _remove_second(scene)


def _show_disks(scene: Scene) -> None:
    """The removal is refused, and tells what would be lost."""
    sim, host = scene.site.sim, scene.hosts[1]
    scene.given_up.append(sim.add_sr(host, 'old', vdis=[{'name': 'old'}]))
    _remove_second(scene)
    ended = scene.client.settle(scene.key)
    assert ended['error']['code'] == 'DATA_LOSS', ended


def _remove_with_its_disks(scene: Scene) -> None:
    body = {
        'remove_host': {
            'host': scene.hosts[1],
            'accept_data_loss': scene.given_up,
        }
    }
    scene.client.done('POST', f'/os-aggregates/{scene.key}/action', body)


def _add_half(scene: Scene) -> None:
    """The join fails when the role of the host is written already."""
    scene.site.sim.plant(JOIN, scene.hosts[1], 'half_join')
    _add_second(scene)


def _add_less_than_half(scene: Scene) -> None:
    """The join fails when the master lists the host, and no role is."""
    scene.site.sim.plant(JOIN, scene.hosts[1], 'fail', step='S8')
    _add_second(scene)


def _add_first_that_cannot_be_named(scene: Scene) -> None:
    scene.site.sim.plant(NAME, scene.hosts[0], 'fail')
    _add_first(scene)


STORIES = (
    Story('first', (MARK, NAME), 0, _add_first, ((0,),)),
    Story('join', (JOIN,), 1, _add_second, ((0, 1),)),
    Story('eject', (DISABLE, EJECT), 2, _remove_second, ((0,),)),
    Story(
        'eject-accepted',
        (DISABLE, EJECT),
        2,
        _remove_with_its_disks,
        ((0,),),
        _show_disks,
        loses=1,
    ),
    Story('last', (NAME, UNMARK), 1, _remove_first, ((),)),
    Story('rename', (NAME,), 1, rename, ((0,),)),
    Story(
        'eject-refused',
        (DISABLE, ENABLE),
        2,
        _remove_while_a_disk_appears,
        ((0, 1),),
    ),
    Story('half-join', (JOIN, RESTART), 1, _add_half, ((0, 1),)),
    Story(
        'join-given-up',
        (JOIN, RESTART, DESTROY),
        1,
        _add_less_than_half,
        ((0,),),
    ),
    Story('set-master', (DESIGNATE,), 2, _make_second_master, ((0, 1),)),
    Story(
        'eject-master',
        (DESIGNATE, DISABLE, EJECT),
        2,
        _remove_first,
        ((1,),),
    ),
    Story('disable', (DISABLE,), 2, _disable_second, ((0, 1),)),
    Story('enable', (ENABLE,), 2, _enable_second, ((0, 1),), _be_disabled),
    Story(
        'disable-taken-over',
        (ENABLE, DISABLE),
        2,
        _disable_second,
        ((0, 1),),
        _be_disabled_by_hand,
    ),
    Story(
        'first-given-back',
        (MARK, NAME, UNMARK),
        0,
        _add_first_that_cannot_be_named,
        ((), (0,)),
    ),
)
# How often is looked while guests move hangs on time.
MAINTENANCE = (
    Story(
        'enter-maintenance',
        (DISABLE, MOVE, TELL, TELL),
        2,
        _enter,
        ((0, 1),),
        _have_a_guest,
        guests_on=((0,),),
    ),
    Story(
        'leave-maintenance',
        (UNTELL, UNTELL, ENABLE, MOVE),
        2,
        _leave,
        ((0, 1),),
        _be_in_maintenance,
        # One that was on its way when a toolstack ended stays.
        guests_on=((1,), (0,)),
    ),
    Story(
        'enter-shutting-down',
        (DISABLE, SHUT_DOWN, TELL),
        2,
        _enter_with_it_down,
        ((0, 1),),
        _have_a_tied_guest,
        guests_on=((),),
    ),
    Story(
        'leave-starting',
        (UNTELL, ENABLE, START),
        2,
        _leave,
        ((0, 1),),
        _be_in_maintenance_with_it_down,
        guests_on=((1,),),
    ),
)
POWER = (
    Story(
        'reboot-a-member',
        (REBOOT,),
        2,
        functools.partial(_reboot, number=1),
        ((0, 1),),
        functools.partial(_be_empty, number=1),
        guests_on=((0,),),
    ),
    Story(
        'reboot-the-master',
        (REBOOT,),
        2,
        functools.partial(_reboot, number=0),
        ((0, 1),),
        functools.partial(_be_empty, number=0),
        guests_on=((1,),),
    ),
)
BY_NAME = {story.name: story for story in STORIES}


def check(story: Story, scene: Scene) -> None:
    """The end is one that the membership says, and nothing was lost.

    :raises AssertionError: it is not.
    """
    members = scene.client.show(scene.key)['hosts']
    right = [[scene.hosts[n] for n in left] for left in story.left]
    assert members in right, scene.client.operations(scene.key)
    check_peace(scene)
    assert len(scene.site.sim.destroyed_vdis) == story.loses
    places = [scene.site.sim.places(guest) for guest in scene.guests]
    ends = [[scene.hosts[n] for n in ends] for ends in story.guests_on]
    assert all(place in ends for place in places), places
    assert scene.site.sim.harmed() == []


def check_sent(story: Story, sent: Sequence[str]) -> None:
    """Nothing was sent again whose answer was not noted.

    It would undo what somebody did in between. A story that may end
    otherwise when it is disturbed was refused something, and begins again.

    :param sent: what has changed something, in its order.
    :raises AssertionError: something was.
    """
    if len(story.left) == 1:
        assert sorted(sent) == sorted(story.calls), sent
    else:
        assert set(sent) <= set(story.calls), sent
        assert max(map(sent.count, sent)) <= 2, sent


def check_peace(scene: Scene) -> None:
    """Aggregate and pools agree, and hosts that are free are their own pool.

    :raises AssertionError: they do not.
    """
    site, client, key = scene.site, scene.client, scene.key
    processes.check_agreement(site, client, key)
    for host in set(scene.hosts) - set(client.show(key)['hosts']):
        processes.wait_for(
            f'{host} is its own pool',
            functools.partial(_is_alone, site, host),
        )
        pool = site.pool_of(host)
        assert pool['name_label'] == ''
        assert processes.MARK not in pool['other_config']


def _is_alone(site: processes.Site, host: str) -> bool:
    pools = [
        pool
        for pool in site.sim.state()['pools']
        if host in [member['name'] for member in pool['hosts']]
    ]
    return len(pools) == 1 and len(pools[0]['hosts']) == 1
