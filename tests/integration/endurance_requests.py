"""What clients and operators ask for in the endurance test, at random."""

import contextlib
import random
import xmlrpc.client
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from tests.integration import endurance_site

AGGREGATES = 3
GIB = 1 << 30
READS = (
    '/os-aggregates',
    '/os-aggregates/overview',
    '/os-services',
    '/os-hosts',
    '/os-hypervisors/detail',
    '/os-availability-zone/detail',
    '/servers/detail?all_tenants=1',
    '/os-migrations',
)


class Requests:
    """Everything that may be asked for; what is refused is as well.

    :ivar accepted: uuids of disks that somebody has given up.
    :ivar removals: how often each host may have been told to leave.
    :ivar touched: guests that somebody has stopped or started by hand since
        all was quiet.
    """

    def __init__(self, site: endurance_site.Site, dice: random.Random) -> None:
        self._site = site
        self._dice = dice
        self._names = 0
        self.guests: list[str] = []
        self.accepted: set[str] = set()
        self.removals: dict[str, int] = {}
        self.touched: set[str] = set()
        self._acts: Mapping[Callable[[], object], int] = {
            self._read: 10,
            self._create: 1,
            self._delete: 1,
            self._add: 8,
            self._remove: 5,
            self._rename: 2,
            self._tag: 2,
            self._set_master: 1,
            self._set_service: 2,
            self._enter: 3,
            self._leave: 4,
            self._power: 1,
            self._roll: 1,
            self._go_on: 2,
            self._migrate: 5,
            self._abort: 1,
            self._cancel: 1,
            self._retry: 1,
            self._stop_guest: 1,
            self._start_guest: 2,
        }

    def begin(self) -> None:
        """A pool with guests, and hosts beside it with disks of their own."""
        site = self._site
        names = list(site.sim.world.hosts)
        site.clients[0].make_pool('main', names[:3])
        for number, size in enumerate((1, 2, 1, 3, 2)):
            host = names[number % 3]
            self.guests.append(
                site.sim.add_vm(host, f'g{number}', memory=size * GIB)
            )
        self.put_disks()

    def put_disks(self) -> None:
        """Let every second host have a disk in storage of its own."""
        hosts = self._site.sim.state()['hosts']
        for name in list(hosts)[1::2]:
            if not any(sr['vdis'] for sr in hosts[name]['srs']):
                self._names += 1
                self._site.sim.add_sr(
                    name, f'sr-{self._names}', vdis=[{'name': 'disk'}]
                )

    def act(self) -> str:
        """Ask for one thing; the answer: what it was."""
        acts = list(self._acts)
        [act] = self._dice.choices(acts, list(self._acts.values()))
        act()
        return act.__name__.strip('_')

    # What is there to be asked about, as the API tells it.

    def aggregates(self) -> list[dict[str, Any]]:
        """All aggregates; none without an answer."""
        answer = self._site.ask('GET', '/os-aggregates')
        found: list[dict[str, Any]] = []
        if answer is not None and answer.status == 200:
            found = answer.body['aggregates']
        return found

    def _pick(self, among: Any) -> Any:
        found = list(among)
        return self._dice.choice(found) if found else None

    def _member(self) -> tuple[int, str] | None:
        """A host that is in an aggregate, and which."""
        found: tuple[int, str] | None = self._pick(
            (aggregate['id'], host)
            for aggregate in self.aggregates()
            for host in aggregate['hosts']
        )
        return found

    def _operations(self, *states: str) -> list[dict[str, Any]]:
        aggregate = self._pick(self.aggregates())
        if aggregate is None:
            return []
        path = f'/os-aggregates/{aggregate["id"]}/operations'
        answer = self._site.ask('GET', path)
        if answer is None or answer.status != 200:
            return []
        return [o for o in answer.body['operations'] if o['state'] in states]

    def _do(self, key: int, action: str, /, **fields: Any) -> Any:
        path = f'/os-aggregates/{key}/action'
        return self._site.ask('POST', path, {action: fields})

    # Requests.

    def _read(self) -> None:
        self._site.ask('GET', self._dice.choice(READS))

    def _create(self) -> None:
        if len(self.aggregates()) < AGGREGATES:
            self._names += 1
            body = {'aggregate': {'name': f'pool-{self._names}'}}
            self._site.ask('POST', '/os-aggregates', body)

    def _delete(self) -> None:
        aggregate = self._pick(self.aggregates())
        if aggregate is not None and not aggregate['hosts']:
            self._site.ask('DELETE', f'/os-aggregates/{aggregate["id"]}')

    def _add(self) -> None:
        found = self.aggregates()
        taken = {host for one in found for host in one['hosts']}
        host = self._pick(set(self._site.sim.world.hosts) - taken)
        if found and host is not None:
            self._do(self._pick(found)['id'], 'add_host', host=host)

    def _remove(self) -> None:
        member = self._member()
        if member is None:
            return
        key, host = member
        fields: dict[str, Any] = {}
        if self._dice.random() < 0.5:
            srs = self._site.sim.state()['hosts'][host]['srs']
            fields['accept_data_loss'] = [
                sr['uuid'] for sr in srs if sr['vdis']
            ]
            self.accepted.update(v['uuid'] for sr in srs for v in sr['vdis'])
        self.removals[host] = self.removals.get(host, 0) + 1
        answer = self._do(key, 'remove_host', host=host, **fields)
        if answer is not None and 400 <= answer.status < 500:
            self.removals[host] -= 1

    def _rename(self) -> None:
        aggregate = self._pick(self.aggregates())
        if aggregate is not None:
            self._names += 1
            body = {'aggregate': {'name': f'pool-{self._names}'}}
            self._site.ask('PUT', f'/os-aggregates/{aggregate["id"]}', body)

    def _tag(self) -> None:
        aggregate = self._pick(self.aggregates())
        if aggregate is not None:
            tags = {'n': str(self._dice.randrange(100))}
            self._do(aggregate['id'], 'set_metadata', metadata=tags)

    def _set_master(self) -> None:
        if member := self._member():
            self._do(member[0], 'set_master', host=member[1])

    def _set_service(self) -> None:
        host = self._pick(self._site.sim.world.hosts)
        verb = self._dice.choice(('enable', 'enable', 'disable'))
        body = {'host': host, 'binary': 'nova-compute'}
        self._site.ask('PUT', f'/os-services/{verb}', body)

    def _enter(self) -> None:
        if member := self._member():
            stay = self._dice.random() < 0.3
            self._do(
                member[0],
                'enter_maintenance',
                host=member[1],
                stay_on_failure=stay,
            )

    def _leave(self) -> None:
        if member := self._member():
            restore = self._dice.random() < 0.5
            self._do(
                member[0],
                'leave_maintenance',
                host=member[1],
                restore=restore,
            )

    def _power(self) -> None:
        if member := self._member():
            self._do(member[0], 'power_host', host=member[1], action='reboot')

    def _roll(self) -> None:
        aggregate = self._pick(
            one for one in self.aggregates() if len(one['hosts']) > 1
        )
        if aggregate is not None:
            pause = self._dice.choice(('none', 'before_reboot'))
            self._do(aggregate['id'], 'rolling_reboot', pause=pause)

    def _go_on(self) -> None:
        for operation in self._operations('running', 'queued'):
            if operation['kind'] == 'rolling_reboot':
                self.go_on(operation['aggregate_id'], operation['uuid'])

    def go_on(self, key: int, uuid: str) -> None:
        """Let a restart of all hosts go on, where it waits for that."""
        self._do(key, 'continue_operation', operation=uuid)

    def _migrate(self) -> None:
        guest = self._dice.choice(self.guests)
        host = self._pick([None, *self._site.sim.world.hosts])
        body = {
            'os-migrateLive': {
                'host': host,
                'block_migration': False,
                'disk_over_commit': False,
            }
        }
        self._site.ask('POST', f'/servers/{guest}/action', body)

    def _abort(self) -> None:
        answer = self._site.ask('GET', '/os-migrations?status=running')
        if answer is None or answer.status != 200:
            return
        if move := self._pick(answer.body['migrations']):
            path = f'/servers/{move["instance_uuid"]}/migrations/{move["id"]}'
            self._site.ask('DELETE', path)

    def _cancel(self) -> None:
        if found := self._pick(self._operations('queued', 'running')):
            self._do(
                found['aggregate_id'],
                'cancel_operation',
                operation=found['uuid'],
            )

    def _retry(self) -> None:
        if found := self._pick(self._operations('failed')[:3]):
            self._do(
                found['aggregate_id'],
                'retry_operation',
                operation=found['uuid'],
            )

    # What is done by hand, in the pool.

    def _stop_guest(self) -> None:
        guest = self._dice.choice(self.guests)
        self.touched.add(guest)
        self._by_hand(guest, 'clean_shutdown')

    def _start_guest(self) -> None:
        self.start_guest(self._dice.choice(self.guests))

    def start_guest(self, guest: str) -> None:
        """Start a guest that is off."""
        if not self._site.sim.places(guest):
            self.touched.add(guest)
            self._by_hand(guest, 'start', False, False)

    def _by_hand(self, guest: str, verb: str, *rest: Any) -> None:
        """Ask the master of a guest's pool; it may refuse."""
        for pool in self._site.sim.state()['pools']:
            url = self._site.door(pool['master'])
            with (
                contextlib.suppress(OSError, LookupError, xmlrpc.client.Error),
                xmlrpc.client.ServerProxy(url) as master,
            ):
                session = self._call(
                    master.session.login_with_password, 'root',
                    endurance_site.PASSWORD,
                )  # fmt: skip
                ref = self._call(master.VM.get_by_uuid, session, guest)
                self._call(getattr(master.VM, verb), session, ref, *rest)
                self._call(master.session.logout, session)

    def _call(self, method: Any, *params: Any) -> Any:
        return method(*params)['Value']
