"""The story of a restart: all hosts of a pool, while all guests run."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext.demo import effects
from aggregates_ext.demo import errors
from aggregates_ext.demo import screen as screens
from aggregates_ext.demo import site as sites
from aggregates_ext.demo import telling

GIB = 2**30
MEMBERS = ('xen1', 'xen2', 'xen3', 'xen4')
# Name of the guest -> where it is at home.
HOMES = {
    f'{kind}{number}': host
    for number, host in enumerate(MEMBERS, 1)
    for kind in ('web', 'app', 'db')
}
STORAGE = 'NFS'
ASKED = {'suspend_ha': True}


class Story(telling.Story):
    """A pool that is protected by high availability is restarted."""

    PLAN = tuple({'name': host} for host in MEMBERS)

    def __init__(self, site: sites.Site, screen: screens.Screen) -> None:
        super().__init__(site, screen)
        self._guests: dict[str, str] = {}
        self._nowhere: set[str] = set()
        self._looks = 0

    @property
    def steps(self) -> Sequence[telling.Step]:
        """All steps, in order."""
        step = telling.Step
        return (
            step('Four hosts become one pool', self.form),
            step('Twelve guests, and high availability', self.fill),
            step('What a restart of all hosts would do', self.plan),
            step('All hosts restart, and no guest notices', self.restart),
        )

    @property
    def tries(self) -> telling.Tries:
        """What to try with the pool."""
        name = telling.NAME
        ask = {'pause': 'before_reboot', **ASKED}
        return telling.Tries(
            (
                f'aggregate show {name}',
                f'{telling.SERVERS} --host xen2',
            ),
            (
                f'show {name}',
                f'rolling reboot --dry-run --suspend-ha {name}',
                f'host maintenance set --wait {name} xen2',
                f'host maintenance unset --wait {name} xen2',
                f'operation list {name}',
            ),
            ('pool', 'operations'),
            (
                {'rolling_reboot': {'dry_run': True, **ASKED}},
                {'rolling_reboot': {'hosts': ['xen3', 'xen4'], **ask}},
            ),
        )

    def form(self) -> None:
        """Form the pool."""
        self._create()
        self._add(MEMBERS)
        self._prove(
            f'one pool "{telling.NAME}" of four hosts, master xen1.',
            self._pooled(*MEMBERS),
        )

    def fill(self) -> None:
        """Give it shared storage, guests and high availability."""
        simulator = self._site.simulator
        disks = [{'name': name, 'size': 10 * GIB} for name in HOMES]
        storage = {'name': STORAGE, 'shared': True, 'vdis': disks}
        sr = simulator.post(f'/hosts/{MEMBERS[0]}/srs', storage)['uuid']
        for name, host in HOMES.items():
            guest = {'name': name, 'vdis': [name]}
            made = simulator.post(f'/hosts/{host}/vms', guest)
            self._guests[name] = made['uuid']
        self._screen.say(
            f'Shared storage "{STORAGE}", and three guests on each host, with '
            'their disks in it.'
        )
        self.api.wait_for_guests(HOMES)
        self._screen.say(
            '',
            'High availability is switched on by XenAPI, as with "xe '
            'pool-ha-enable".',
        )
        self._protect(sr)
        state = self._state()
        self._prove(
            'twelve guests run at home, and high availability is on.',
            self._at_home(state) + effects.protected(state, MEMBERS[0], sr),
        )

    def _protect(self, sr: str) -> None:
        session = self._site.xenapi(MEMBERS[0])
        ref = session.call('SR.get_by_uuid', sr)
        session.call('pool.enable_ha', [ref], {})
        [pool] = session.call('pool.get_all')
        session.call('pool.set_ha_host_failures_to_tolerate', pool, '1')

    def plan(self) -> None:
        """Ask what would be; nothing is done."""
        before = self._state()
        answer = self.api.act(
            'rolling_reboot', brief=True, dry_run=True, **ASKED
        )
        plan = answer.json()['plan']
        self._show(plan)
        if plan['blockers']:
            raise errors.DemoError('Something forbids the restart.')
        changed = [
            difference
            for host in MEMBERS
            for difference in effects.unchanged(before, self._state(), host)
        ]
        self._prove('nothing has changed.', changed)

    def _show(self, plan: Mapping[str, Any]) -> None:
        """Show a plan in short."""
        self._screen.grid(
            ('host', 'moves', 'free memory meanwhile'),
            [
                (
                    f'{h["host"]}{" (master)" if h["master"] else ""}',
                    ', '.join(f'{m["name"]} to {m["to"]}' for m in h['moves']),
                    _size(h['memory_free']),
                )
                for h in plan['hosts']
            ],
        )
        worst = plan['worst']
        self._screen.say(
            f'{plan["moves"]} moves, and {len(plan["homes"])} home at the '
            f'end. At worst, without {worst["host"]}, '
            f'{_size(worst["memory_free"])} are free on the others.'
        )
        for kind in ('warnings', 'blockers'):
            if plan[kind]:
                self._screen.say(f'{len(plan[kind])} {kind}:')
                self._screen.blockers(plan[kind])

    def restart(self) -> None:
        """Restart all hosts, and look at the guests all the while."""
        before = self._state()
        uuid = self.api.change('rolling_reboot', brief=True, **ASKED)
        ended = self.api.watch(uuid, self._look)
        self.api.expect_end(ended, 'succeeded')
        error = ended['error']
        after = self._state()
        self._prove(
            'each host has booted once; no guest was down at any moment, nor '
            f'at one of {self._looks} looks; all are at home; high '
            'availability is on as before, and the master is xen1.',
            ([error['message']] if error else [])
            + effects.booted(before, after, MEMBERS)
            + self._at_home(after)
            + effects.halted(after, self._guests.values())
            + effects.uninterrupted(self._calls())
            + effects.led(before, after, MEMBERS[0])
            + self._pooled(*MEMBERS),
        )

    def _look(self) -> None:
        """See that all guests run.

        One that is just arriving runs nowhere for a moment: two looks tell.

        :raises errors.Unproven: one does not.
        """
        self._looks += 1
        state, guests = self._state(), self._guests.values()
        runs = {g for host in state['hosts'].values() for g in host['domains']}
        nowhere = set(guests) - runs
        down = [f'Guest {g} is down.' for g in nowhere & self._nowhere]
        self._nowhere = nowhere
        differences = effects.halted(state, guests) + down
        if differences:
            raise errors.Unproven(
                f'All guests should run. But: {" ".join(differences)}'
            )

    def _at_home(self, state: effects.State) -> effects.Differences:
        return [
            difference
            for name, home in HOMES.items()
            for difference in effects.running(
                state, [self._guests[name]], [home]
            )
        ]


def _size(memory: float | None) -> str:
    return 'unknown' if memory is None else f'{memory / GIB:.0f} GiB'
