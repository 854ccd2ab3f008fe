"""The story of an aggregate's life: a pool is formed, used and dissolved."""

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext.demo import conversation
from aggregates_ext.demo import effects
from aggregates_ext.demo import screen as screens
from aggregates_ext.demo import site as sites
from aggregates_ext.demo import telling

MEMBERS = ('xen1', 'xen2', 'xen3')
MISFIT = 'xen4'
HOSTS = (*MEMBERS, MISFIT)
GUESTS = ('shop', 'mail')
GIB = 2**30
# Three hosts that fit together, and one that fits nowhere.
PLAN: Sequence[Mapping[str, Any]] = (
    {'name': 'xen1'},
    {
        'name': 'xen2',
        'srs': [
            {
                'name': 'Local storage',
                'vdis': [
                    {'name': 'web-root', 'size': 20 * GIB},
                    {'name': 'web-data', 'size': 100 * GIB},
                ],
            }
        ],
    },
    {'name': 'xen3'},
    {
        'name': 'xen4',
        'vlans': [{'tag': 5}],
        'software_version': {
            'platform_version': '3.2.1',
            'product_version': '8.2.1',
        },
        'vms': [{'name': 'billing', 'power_state': 'Running'}],
        'srs': [
            {'name': 'Local storage'},
            {'name': 'NFS', 'type': 'nfs', 'shared': True},
        ],
    },
)


class Story(telling.Story):
    """An aggregate from its first host to its last."""

    PLAN = PLAN
    # They leave a pool of three hosts to play with.
    KEPT = 6

    def __init__(self, site: sites.Site, screen: screens.Screen) -> None:
        super().__init__(site, screen)
        self._lost: list[str] = []
        self._guests: dict[str, str] = {}

    @property
    def steps(self) -> Sequence[telling.Step]:
        """All steps, in order."""
        step = telling.Step
        return (
            step('The extension', self.discover),
            step('An aggregate', self.create),
            step('Three hosts become one pool', self.join),
            step('A host that does not fit is refused', self.refuse_join),
            step('A host that holds data is not wiped', self.refuse_eject),
            step('A host is repaired, and no guest notices', self.maintain),
            step('Guests move while they run', self.move_guests),
            step('Local disks are lost only by name', self.accept_loss),
            step('A host leaves and comes back as its own', self.eject),
            step('The end of the pool', self.dismiss),
        )

    @property
    def tries(self) -> telling.Tries:
        """What to try with the pool."""
        name = telling.NAME
        return telling.Tries(
            (
                'aggregate list --long',
                f'aggregate show {name}',
                f'aggregate set --property ssd=false {name}',
                f'aggregate remove host {name} xen3',
                f'{telling.SERVERS} --host xen2',
                'host set --enable-maintenance xen2',
            ),
            (
                'list',
                f'show {name}',
                f'host add --wait {name} xen3',
            ),
            ('pool', 'operations'),
            ({'remove_host': {'host': 'xen2'}},),
        )

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
        self._create()
        self.api.act('set_metadata', metadata={'ssd': 'true', 'rack': '1'})
        self._prove(
            'still four pools; an empty aggregate is none.',
            effects.alone(self._state(), HOSTS),
        )

    def join(self) -> None:
        """Add three hosts, and see one pool."""
        self._add(MEMBERS)
        self._prove(
            f'one pool "{telling.NAME}" of xen1, xen2 and xen3, master xen1, all '
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
            'the disks in the named SR are destroyed and no other; xen2 is a '
            'pool of its own, xen1 and xen3 are one.',
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
        return effects.running(
            self._state(), guests, hosts
        ) + effects.uninterrupted(self._calls())

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
