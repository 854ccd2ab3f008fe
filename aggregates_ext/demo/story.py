"""The story: each step over HTTP, then its effect on the simulated hosts."""

from collections.abc import Callable
from collections.abc import Collection
from typing import Any
from typing import NamedTuple

from aggregates_ext.demo import conversation
from aggregates_ext.demo import effects
from aggregates_ext.demo import errors
from aggregates_ext.demo import screen as screens
from aggregates_ext.demo import site as sites

NAME = 'rack-1'
MEMBERS = ('xen1', 'xen2', 'xen3')
MISFIT = 'xen4'
HOSTS = (*MEMBERS, MISFIT)
GUESTS = ('shop', 'mail')


class Story:
    """What has been told so far, and how to go on.

    :param site: running services.
    :param screen: where it is told.
    :ivar api: the requests, and which aggregate they are about.
    """

    def __init__(self, site: sites.Site, screen: screens.Screen) -> None:
        self._site = site
        self._screen = screen
        self.api = conversation.Conversation(site, screen)
        self._uuid = ''
        self._lost: list[str] = []
        self._guests: dict[str, str] = {}

    def discover(self) -> None:
        """Ask for the extension, in both representations."""
        self.api.ask('GET', '/v2.1/extensions/os-aggregates')
        self.api.ask(
            'GET',
            f'{conversation.LEGACY}/extensions/os-aggregates',
            headers={'Accept': 'application/xml'},
        )
        self._prove(
            'four hosts, each its own pool; asking changed nothing.',
            effects.alone(self._state(), HOSTS),
        )

    def create(self) -> None:
        """Create an aggregate with metadata."""
        body = {'aggregate': {'name': NAME, 'availability_zone': 'az1'}}
        version = {'OpenStack-API-Version': 'compute 2.41'}
        created = self.api.ask(
            'POST', conversation.BASE, body, headers=version
        )
        aggregate = created.json()['aggregate']
        self.api.id, self._uuid = aggregate['id'], aggregate['uuid']
        self.api.act('set_metadata', metadata={'ssd': 'true', 'rack': '1'})
        self._prove(
            'still four pools; an empty aggregate is none.',
            effects.alone(self._state(), HOSTS),
        )

    def join(self) -> None:
        """Add three hosts, and see one pool."""
        uuids = [
            self.api.change('add_host', brief=host != MEMBERS[0], host=host)
            for host in MEMBERS
        ]
        self._screen.say(
            '',
            'The first host brings its pool, the others join it: each sees '
            'its xapi restart as a slave.',
        )
        self._finish(*uuids)
        self._screen.pool(self.api.wait_for_pool(MEMBERS))
        self._prove(
            f'one pool "{NAME}" of xen1, xen2 and xen3, master xen1, all '
            'live and enabled; xen4 by itself.',
            self._pooled(*MEMBERS) + effects.alone(self._state(), [MISFIT]),
        )

    def refuse_join(self) -> None:
        """Add a host that does not fit, and read every reason."""
        before = self._state()
        refusal = self.api.expect_refusal('add_host', MISFIT)
        self._screen.say('', 'The operation names all reasons at once:')
        blockers = refusal['blockers']
        self._screen.blockers(blockers)
        self._screen.say(
            '',
            'Until somebody takes note the aggregate is in error, which '
            'refuses nothing; reset takes note.',
        )
        self.api.expect_state('error')
        self.api.act('reset', brief=True, host=MISFIT, outcome='free')
        self.api.expect_state('active')
        fewer = [] if len(blockers) >= 4 else ['Reasons are missing.']
        self._prove(
            'xen4, its storage and its pool are as they were; the pool of '
            'the others is complete.',
            fewer
            + effects.unchanged(before, self._state(), MISFIT)
            + self._pooled(*MEMBERS),
        )

    def refuse_eject(self) -> None:
        """Remove a host that holds data, and read what would be lost."""
        before = self._state()
        refusal = self.api.expect_refusal('remove_host', 'xen2')
        self._screen.say('', 'Refused, for an eject wipes local storage:')
        self._screen.blockers(refusal['blockers'])
        self._screen.disks(refusal['disks'])
        self._lost = list(refusal['disks'])
        listed = {
            disk['uuid']
            for found in refusal['disks'].values()
            for disk in found
        }
        real = set(effects.disks_of(before, 'xen2'))
        wrong = [] if listed == real else [f'The disks are {sorted(real)}.']
        self._prove(
            'xen2 is still a member, and no disk was destroyed.',
            wrong
            + effects.unchanged(before, self._state(), 'xen2')
            + effects.destroyed(self._state(), ()),
        )

    def maintain(self) -> None:
        """Take a host with guests out for repair, and back."""
        guests = self._start_guests('xen2')
        self._screen.say(
            '',
            'As "openstack host set --enable-maintenance xen2" sends it:',
        )
        uuid = self.api.change_host('xen2', maintenance_mode='enable')
        self._finish(uuid)
        self.api.expect_maintenance('xen2', 'on')
        self._prove(
            'xen2 is disabled and empty; its guests run on xen1 and xen3, '
            'and nothing has stopped them.',
            self._living(guests, ('xen1', 'xen3')),
        )
        self._screen.say('', 'The repair is done:')
        uuid = self.api.change_host('xen2', maintenance_mode='disable')
        self._finish(uuid)
        self._prove(
            'the guests are back on xen2, which is enabled; nothing has '
            'stopped them.',
            self._living(guests, ('xen2',)) + self._pooled(*MEMBERS),
        )

    def move_guests(self) -> None:
        """Move guests as any client of Nova does."""
        body = {
            'os-migrateLive': {
                'host': 'xen1',
                'block_migration': False,
                'disk_over_commit': False,
            }
        }
        for guest in self._guests.values():
            path = f'/v2.1/servers/{guest}/action'
            self.api.ask('POST', path, body, status=202)
        self.api.wait_for_guests(dict.fromkeys(self._guests, 'xen1'))
        self._prove(
            'both run on xen1, and nothing has stopped them.',
            self._living(self._guests.values(), ('xen1',)),
        )

    def accept_loss(self) -> None:
        """Remove the host again, naming what may be lost."""
        self._leave(
            'xen2',
            ('xen1', 'xen3'),
            'the disks in the named SR are destroyed and no other; xen2 is a pool of its own, xen1 and xen3 are one.',
            accept_data_loss=self._lost,
        )

    def eject(self) -> None:
        """Remove a host without disks."""
        self._leave(
            'xen3',
            ('xen1',),
            'xen3 has rebooted and is a pool of its own; nothing was '
            'destroyed with it.',
        )

    def dismiss(self) -> None:
        """Remove the last host, delete the aggregate."""
        uuid = self.api.change('remove_host', brief=True, host='xen1')
        self._finish(uuid)
        before = self._state()
        self.api.ask('DELETE', self.api.path)
        self.api.ask('GET', self.api.path, status=404)
        phases = self._site.phases()
        self._screen.say('', 'aggregates-ext-manage host list:')
        self._screen.phases(phases)
        bound = [host for host in HOSTS if phases[host] != 'free']
        self._prove(
            'four hosts, each its own pool without name and mark.',
            [f'{host} is {phases[host]}, not free.' for host in bound]
            + effects.alone(self._state(), HOSTS)
            + effects.destroyed(self._state(), before['destroyed_vdis']),
        )

    def _start_guests(self, host: str) -> Collection[str]:
        """Let guests run on a host; their uuids."""
        path = f'/hosts/{host}/vms'
        for name in GUESTS:
            made = self._site.simulator.post(path, {'name': name})
            self._guests[name] = made['uuid']
        self._screen.say(f'{" and ".join(GUESTS)} are started on {host}.')
        self.api.wait_for_guests(dict.fromkeys(GUESTS, host))
        return self._guests.values()

    def _living(
        self, guests: Collection[str], hosts: Collection[str]
    ) -> effects.Differences:
        calls = self._site.simulator.get('/calls')
        return effects.running(
            self._state(), guests, hosts
        ) + effects.uninterrupted(calls)

    def _finish(self, *uuids: str) -> None:
        """See operations succeed."""
        for operation in self.api.follow(*uuids):
            self.api.expect_end(operation, 'succeeded')

    def _leave(
        self, host: str, rest: tuple[str, ...], claim: str, **consent: Any
    ) -> None:
        """Remove a host; see it gone from the pool, and back by itself."""
        before = self._state()
        uuid = self.api.change('remove_host', brief=True, host=host, **consent)
        self._finish(uuid)
        gone = self._pooled(*rest)
        self._screen.say(
            '', f'{host} is out of the pool; it is watched until it is back.'
        )
        self._screen.pool(self.api.wait_for_pool(rest))
        lost = effects.disks_of(before, host) if consent else []
        after = self._state()
        self._prove(
            claim,
            gone
            + self._pooled(*rest)
            + effects.renewed(before, after, host)
            + effects.destroyed(after, [*before['destroyed_vdis'], *lost]),
        )

    def _state(self) -> effects.State:
        """What the simulated hosts really are."""
        state: effects.State = self._site.simulator.get('/state')
        return state

    def _pooled(self, *hosts: str) -> effects.Differences:
        return effects.pooled(self._state(), NAME, self._uuid, hosts)

    def _prove(self, claim: str, differences: effects.Differences) -> None:
        """:raises errors.Unproven: the hosts are not as they should be."""
        if differences:
            raise errors.Unproven(
                f'It should be so: {claim} But: {" ".join(differences)}'
            )
        self._screen.proved(claim)


class Step(NamedTuple):
    """A numbered part of the story."""

    title: str
    tell: Callable[[Story], None]


STEPS: tuple[Step, ...] = (
    Step('The extension', Story.discover),
    Step('An aggregate', Story.create),
    Step('Three hosts become one pool', Story.join),
    Step('A host that does not fit is refused', Story.refuse_join),
    Step('A host that holds data is not wiped', Story.refuse_eject),
    Step('A host is repaired, and no guest notices', Story.maintain),
    Step('Guests move while they run', Story.move_guests),
    Step('Local disks are lost only by name', Story.accept_loss),
    Step('A host leaves and comes back as its own', Story.eject),
    Step('The end of the pool', Story.dismiss),
)
# How many of them leave a pool of three hosts to play with.
UNTIL_POOL = 6


def tell(
    site: sites.Site, screen: screens.Screen, steps: tuple[Step, ...]
) -> Story:
    """Tell the steps in order.

    :raises errors.DemoError: naming the step that failed.
    """
    story = Story(site, screen)
    for number, step in enumerate(steps, 1):
        screen.step(number, len(steps), step.title)
        try:
            step.tell(story)
            site.check()
        except errors.DemoError as exc:
            raise errors.DemoError(
                f'Step {number} ({step.title}) failed. {exc}'
            ) from exc
    return story
