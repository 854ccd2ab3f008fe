"""The simulator as Python sees it: hosts, faults, changes at run time."""

import functools
import pathlib
import types
import typing

from aggregates_ext.xensim import changes
from aggregates_ext.xensim import dispatch
from aggregates_ext.xensim import pages
from aggregates_ext.xensim.install import contents
from aggregates_ext.xensim.install import hosts as installation
from aggregates_ext.xensim.install import interfaces
from aggregates_ext.xensim.life import disks
from aggregates_ext.xensim.life import latewrites
from aggregates_ext.xensim.life import lifecycle
from aggregates_ext.xensim.life import liveness
from aggregates_ext.xensim.plan import described
from aggregates_ext.xensim.plan import presets
from aggregates_ext.xensim.plan import topology as topologies
from aggregates_ext.xensim.wire import acceptor
from aggregates_ext.xensim.wire import server
from aggregates_ext.xensim.wire import tls
from aggregates_ext.xensim.world import clock as clocks
from aggregates_ext.xensim.world import domains
from aggregates_ext.xensim.world import faults
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import memory
from aggregates_ext.xensim.world import report
from aggregates_ext.xensim.world import world as worlds


class Simulator(changes.Changes):
    """Simulated hosts, each with a port of its own on loopback."""

    def __init__(
        self,
        topology: topologies.Topology,
        clock: clocks.Clock,
        saved: pathlib.Path | None = None,
    ) -> None:
        """Take the disks from a file, if it exists; it is written at the end.

        :param saved: the file; None: the hosts are always new
        """
        self.clock = clock
        self._saved = saved
        self.world = worlds.World(clock, topology.times)
        self._acceptor = acceptor.Acceptor()
        self._ports: list[server.Port] = []
        self._identities = tls.Identities()
        self.world.certify = self._certify
        installation.install(self.world, topology)
        for number, spec in enumerate(topology.hosts):
            self.host(spec.name).spec = self._identities.complete(
                self.host(spec.name).spec, f'topology.hosts[{number}]'
            )
        self._restored = saved is not None and disks.load(self.world, saved)

    def __enter__(self) -> 'Simulator':
        try:
            self.start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Open the ports of all hosts."""
        self.clock.start()
        self._acceptor.start()
        with self.world.lock:
            for host in self.world.hosts.values():
                respond = functools.partial(dispatch.respond, self.world, host)
                port = server.Port(host.spec.port, respond, self._acceptor)
                port.speaks_json = host.preset.release >= presets.JSON_SINCE
                port.fetch = functools.partial(pages.fetch, self.world, host)
                port.tls = tls.context(host.spec)
                self._ports.append(port)
                host.door, host.port = port, port.number
                if not self._restored:
                    host.xapi = hosts.Xapi(host.master)
                    port.open()
                elif host.powered:
                    lifecycle.start(self.world, host)
                else:
                    liveness.fall_silent(self.world, host)

    def _certify(self, host: hosts.Host) -> None:
        """Give a host a new certificate; its next connections show it."""
        host.spec = self._identities.renew(host.spec)
        if isinstance(host.door, server.Port):
            host.door.tls = tls.context(host.spec)

    def stop(self) -> None:
        """Save the disks, close all ports and let go all calls."""
        try:
            if self._saved is not None:
                self.save()
        finally:
            self._close()

    def _close(self) -> None:
        self.world.faults.clear()
        with self.world.lock:
            for host in self.world.hosts.values():
                lifecycle.stop(self.world, host)
        for port in self._ports:
            port.release()
        self._ports.clear()
        self._acceptor.stop()
        self.clock.stop()

    def save(self) -> None:
        """Write what is on the disks of the hosts, as it is now."""
        if self._saved is None:
            raise ValueError('there is no file to save to')
        disks.save(self.world, self._saved)

    @property
    def calls(self) -> list[worlds.Arrival]:
        """The last calls which arrived, in order."""
        with self.world.lock:
            return list(self.world.calls)

    @property
    def streams(self) -> list[worlds.Stream]:
        """The last moves of guests that have begun, in order."""
        with self.world.lock:
            return list(self.world.streams)

    @property
    def destroyed_vdis(self) -> list[str]:
        """The uuids of disks which an eject destroyed."""
        return self.world.destroyed_vdis

    def state(self) -> dict[str, typing.Any]:
        """All pools and hosts, as plain data."""
        with self.world.lock:
            return report.state(self.world)

    def plant(
        self,
        call: str | None = None,
        host: str | None = None,
        action: str = 'fail',
        times: int = 1,
        **params: typing.Any,
    ) -> faults.Fault:
        """Let something go wrong; see faults.Fault for the parameters."""
        fault = faults.Fault(action, call, host, times=times, **params)
        with self.world.lock:
            if action == 'refuse' and call is None:
                for name in [host] if host else self.world.hosts:
                    lifecycle.refuse(
                        self.world, self.host(name), fault.seconds
                    )
                return fault
            self.world.faults.plant(fault)
            if action == latewrites.ACTION:
                for name in [host] if host else self.world.hosts:
                    latewrites.begin(self.world, self.host(name), fault)
            return fault

    def clear_faults(self) -> None:
        """Remove all faults and let go what hangs in them."""
        with self.world.lock:
            self.world.faults.clear()
            for host in self.world.hosts.values():
                lifecycle.reopen(host)

    def power_off(self, name: str) -> None:
        """Pull the plug of a host."""
        with self.world.lock:
            lifecycle.power_off(self.world, self.host(name))

    def power_on(self, name: str) -> None:
        """Switch a host on."""
        with self.world.lock:
            lifecycle.power_on(self.world, self.host(name))

    def restart_toolstack(self, name: str, xenopsd: bool = False) -> None:
        """Restart the xapi of a host.

        :param xenopsd: whether that starts anew too, as it does with
            xe-toolstack-restart; it forgets the moves it takes part in
        """
        with self.world.lock:
            if xenopsd:
                domains.forget_moves(self.world, self.host(name))
            lifecycle.restart(
                self.world, self.host(name), self.world.times.restart
            )

    def stop_xapi(self, name: str) -> None:
        """Kill the xapi of a host for good; its machine stays up."""
        with self.world.lock:
            lifecycle.hold(self.world, self.host(name))

    def start_xapi(self, name: str) -> None:
        """Start an xapi which was killed for good."""
        with self.world.lock:
            lifecycle.let_go(self.world, self.host(name))

    def set_reachable(self, name: str, reachable: bool) -> None:
        """Cut a host off the network, or connect it again."""
        with self.world.lock:
            lifecycle.cut_off(self.world, self.host(name), not reachable)

    def partition(
        self, sender: str, receiver: str, parted: bool = True
    ) -> None:
        """Lose what one host sends to another, or let it through again."""
        with self.world.lock:
            lifecycle.part(
                self.world, self.host(sender), self.host(receiver), parted
            )

    def add_sr(
        self,
        host: str,
        name: str,
        shared: bool = False,
        vdis: list[dict[str, typing.Any]] | None = None,
        **more: typing.Any,
    ) -> str:
        """Add an SR to a host, or to all of its pool; the answer: uuid.

        One whose driver keeps it on disks lies on those of the host.
        """
        data = {'name': name, 'shared': shared, 'vdis': vdis or [], **more}
        repository = described.build(topologies.Repository, data, 'sr')
        topologies.complete_repository(repository, host)
        with self.world.lock:
            db, ref = self._record(host)
            seen_by = [ref]
            if shared:
                seen_by = [ref for ref, _ in db.rows('host')]
            contents.add_sr(db, repository, seen_by, self.host(host))
        return str(repository.uuid)

    def add_vm(
        self,
        host: str,
        name: str,
        power_state: str = 'Running',
        vdis: list[str] | None = None,
        **more: typing.Any,
    ) -> str:
        """Add a machine with disks which exist; the answer: uuid."""
        machine = topologies.Machine(
            name,
            topologies.identity(host, 'vm', name),
            power_state,
            vdis=vdis or [],
            **more,
        )
        with self.world.lock:
            db, ref = self._record(host)
            contents.add_vm(db, machine, ref)
            if machine.power_state in memory.LOADED:
                domains.begin(self.host(host), machine.uuid)
        return machine.uuid

    def places(self, guest: str) -> list[str]:
        """The hosts on which a machine runs, by its uuid: one if all is well.

        Records can be wrong about it (xapi#moves-that-lie).
        """
        with self.world.lock:
            return domains.places(self.world, guest)

    def harmed(self) -> list[str]:
        """What no story may do to guests: a line for each to whom it did.

        A plug that a test pulled is no such thing.
        """
        with self.world.lock:
            return [
                *(f'{guest} ran twice' for guest in self.world.ran_twice),
                *(f'{guest} was lost' for guest in self.world.lost),
            ]

    def add_vlan(self, host: str, tag: int, management: bool = False) -> None:
        """Add a VLAN to a host."""
        with self.world.lock:
            db, ref = self._record(host)
            physical = db.where('PIF', host=ref, device='eth0', VLAN=-1)[0]
            interfaces.add_vlan(
                db,
                self.host(host),
                ref,
                physical,
                topologies.Vlan(tag, management),
            )

    def add_bond(self, host: str, devices: list[str]) -> None:
        """Add a bond to a host."""
        with self.world.lock:
            db, ref = self._record(host)
            number = len(db.rows('Bond'))
            bond = topologies.Bond(devices)
            interfaces.add_bond(db, self.host(host), ref, number, bond)
