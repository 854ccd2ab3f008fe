"""The whole service in one process, on simulated hosts and stepped time."""

import contextlib
import time
import xmlrpc.client
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg

from aggregates_ext import conf as options
from aggregates_ext import context
from aggregates_ext import enforcers
from aggregates_ext import rpc
from aggregates_ext.compute import endpoint
from aggregates_ext.compute import manager
from aggregates_ext.compute.run import clock as compute_clock
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import leases
from aggregates_ext.db import records
from aggregates_ext.db import services as db_services
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import aggregates
from aggregates_ext.domain import hosts
from aggregates_ext.domain import intent
from aggregates_ext.domain import operations
from aggregates_ext.domain import overview
from aggregates_ext.domain import pools
from aggregates_ext.domain.maintenance import again
from aggregates_ext.domain.maintenance import enabling
from aggregates_ext.domain.maintenance import entering
from aggregates_ext.domain.maintenance import powering
from aggregates_ext.domain.maintenance import rolling
from aggregates_ext.domain.membership import declared
from aggregates_ext.domain.membership import members
from aggregates_ext.domain.membership import retries
from aggregates_ext.domain.outlook import situation
from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.world import clock as sim_clock

# Seconds between two looks at hosts that are to be a pool.
SELDOM = 4.0
# Seconds after which nothing settles any more.
PATIENCE = 180.0
# Seconds in which a check is answered.
LATE = 60


class Silence:
    """No messaging: nobody is woken, nobody answers."""

    def wake_up(self) -> None: ...

    def check_host(self, *args: Any, **kwargs: Any) -> None:
        return None

    def plan_rolling(self, *args: Any, **kwargs: Any) -> None:
        return None


class SteppedClock(compute_clock.Clock):
    """The service's waits step the simulator's time.

    :param meanwhile: called before each wait: what happens in the world.
    """

    def __init__(
        self,
        clock: sim_clock.SteppedClock,
        meanwhile: Sequence[Callable[[], object]] = (),
    ) -> None:
        super().__init__()
        self._clock = clock
        self._meanwhile = meanwhile

    def monotonic(self) -> float:
        return self._clock.time()

    def sleep(self, seconds: float) -> None:
        super().sleep(0)
        for happen in list(self._meanwhile):
            happen()
        self._clock.advance(seconds)


class Service:
    """API domain, compute service and simulated hosts, run by hand.

    :ivar sim: the simulated hosts, all registered under their names.
    :ivar meanwhile: called before each wait of the compute service.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        database: engine.Database,
        sim: simulator.Simulator,
        clock: sim_clock.SteppedClock,
    ) -> None:
        self.conf = conf
        self.database = database
        self.sim = sim
        self.clock = clock
        self.meanwhile: list[Callable[[], object]] = []
        self.ctx = context.RequestContext(
            user_id='user',
            project_id='project',
            roles=['admin'],
            enforcer=enforcers.make(conf),
        )
        self.hosts = hosts.Hosts(database)
        intended = intent.Intent(database, Silence(), 0)
        self.aggregates = aggregates.Aggregates(intended)
        self.members = members.Members(intended)
        self.membership = declared.Membership(intended)
        self.overview = overview.Overview(database)
        self.operations = operations.Operations(database)
        self.pools = pools.Pools(intended)
        self.enabling = enabling.Enabling(intended)
        self.maintenance = entering.Maintenance(intended)
        self.powering = powering.Powering(intended)
        self.rolling = rolling.Rolling(intended)
        self.retries = retries.Retries(intended, self.members, again.ask_again)
        self.outlook = situation.Outlook(database)
        self.manager = self.new_manager()
        self.beat()

    def beat(self, lifetime: float = 1e9) -> None:
        """The compute service says that it works."""
        self.database.write(
            lambda connection: db_services.beat(
                connection, 'by hand', 'here', lifetime
            )
        )

    def new_manager(self) -> manager.Manager:
        """Another compute service on the same database."""
        return manager.Manager(
            self.conf,
            self.database,
            connections.Connector(self.conf),
            SteppedClock(self.clock, self.meanwhile),
        )

    def register(self) -> None:
        """Register all simulated hosts with the account they have."""
        hosts = [self.sim.host(name) for name in self.sim.state()['hosts']]
        accounts = sorted({(h.username, h.password) for h in hosts})
        credentials = dict(zip(accounts, 'abcdefgh', strict=False))
        self.conf.set_override(
            'credentials', list(credentials.values()), 'xenserver'
        )
        for (username, password), name in credentials.items():
            group = options.register_credential(self.conf, name)
            self.conf.set_override('username', username, group)
            self.conf.set_override('password', password, group)
        self.hosts.add(
            [
                {
                    'name': host.name,
                    'url': host.url,
                    'credential': credentials[host.username, host.password],
                }
                for host in hosts
            ]
        )

    def work(self, rounds: int = 30) -> None:
        """Let the compute service do all that is due, and wait for it."""
        for _ in range(rounds):
            with self.database.reader() as connection:
                due = leases.candidates(connection, 1e9, 100)
            for aggregate_id in due:
                self.manager.work_on(aggregate_id)
            if not due:
                return

    def watch(self, aggregate_id: int, seconds: float) -> None:
        """Let time pass, then look at a pool once."""
        self.clock.advance(seconds)
        self.manager.work_on(aggregate_id)

    def create(self, *names: str, name: str = 'pool') -> int:
        """An aggregate with hosts that have joined.

        They are looked at now and then while they join: what is asked twice
        in a second costs more than all the rest, and is tried elsewhere.
        """
        key = self.aggregates.create(name, None).id
        for host in names:
            self.members.add_host(self.ctx, key, host)
        before = self.conf.compute.watch_interval
        self.conf.set_override('watch_interval', SELDOM, 'compute')
        self.work()
        self.conf.set_override('watch_interval', before, 'compute')
        return key

    def operation(self, aggregate_id: int) -> records.Operation:
        """The newest operation of an aggregate."""
        return self.operations.get_all(aggregate_id)[0]

    def rests(self, aggregate_id: int) -> float:
        """Seconds until the newest operation is gone on with."""
        with self.database.reader() as connection:
            now = engine.read_clock(connection)
        return (self.operation(aggregate_id).not_before or now) - now

    def settle(self, aggregate_id: int) -> str:
        """Work until nothing is unfinished; how the newest operation ended.

        What rests already is waited for.
        """
        self.conf.set_override('retry_interval', 0.01, 'compute')
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.work()
            if self.state(aggregate_id) != 'changing':
                return self.operation(aggregate_id).state
        raise AssertionError(self.operation(aggregate_id))

    def error(self, aggregate_id: int) -> dict[str, Any]:
        """What the newest operation says that is wrong."""
        operation = self.operation(aggregate_id)
        assert operation.error is not None, operation
        return operation.error

    def arrivals(self, method: str) -> list[float]:
        """When a call has come to any host, in simulated time."""
        return [call.time for call in self.sim.calls if call.method == method]

    def state(self, aggregate_id: int) -> str:
        """The operational state of an aggregate."""
        return operations.operational_state(self.aggregates.get(aggregate_id))

    def login(self, host: str) -> xenapi.Session:
        """A session at a simulated host, to do things by hand."""
        return connections.Connector(self.conf).login(self.hosts.get(host))

    def when_sent(self, method: str, act: Callable[[], object]) -> None:
        """Do something once a call has come to a host and was answered."""

        def look() -> None:
            if self.arrivals(method):
                self.meanwhile.remove(look)
                act()

        self.meanwhile.append(look)

    def promote(self, host: str) -> None:
        """Make a slave a master at its own console, as when its is lost."""
        found = self.sim.host(host)
        with xmlrpc.client.ServerProxy(found.url) as proxy:
            console: Any = proxy
            login = console.session.slave_local_login_with_password
            session = login(found.username, found.password)['Value']
            answer = console.pool.emergency_transition_to_master(session)
        assert answer['Status'] == 'Success', answer

    def pool_of(self, host: str) -> dict[str, Any]:
        """The pool that a simulated host is really in."""
        for pool in self.sim.state()['pools']:
            if host in [member['name'] for member in pool['hosts']]:
                return pool
        raise LookupError(host)


@contextlib.contextmanager
def answering(running: Service) -> Iterator[rpc.ComputeAPI]:
    """A compute service that answers checks, and who asks it."""
    rpc.get_transport(running.conf)
    running.conf.set_override('transport_url', 'fake:/')
    running.conf.set_override('rpc_response_timeout', LATE)
    transport = rpc.get_transport(running.conf)
    assert transport is not None
    server = endpoint.get_server(
        transport,
        endpoint.Endpoint(
            running.database, connections.Connector(running.conf), lambda: None
        ),
    )
    server.start()
    yield rpc.ComputeAPI(transport, check_timeout=LATE)
    server.stop()
    server.wait()
