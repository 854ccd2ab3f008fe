"""A simulator on a stepped clock, and genuine clients for it."""

import pytest
import XenAPI

from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock
from tests.functional.xensim import pools

PASSWORD = 'secret'
MASTER = '10.0.0.11'


class Clients:
    """Genuine clients of the simulated hosts, closed at the end."""

    def __init__(self, sim):
        self.sim = sim
        self._opened = []

    def session(self, name):
        session = XenAPI.Session(self.sim.host(name).url)
        self._opened.append(session)
        return session

    def login(self, name, password=PASSWORD, originator='tests'):
        """A session of the genuine client."""
        session = self.session(name)
        session.login_with_password('root', password, '1.0', originator)
        return session

    def ref(self, name):
        """A bare session reference, for calls without silent re-login."""
        return self.call(name, 'session.login_with_password', 'root', PASSWORD)

    def call(self, name, method, *params):
        """The value of one call, or the failure as a list."""
        proxy = self.session(name)
        answer = getattr(proxy, method)(*params)
        if answer['Status'] == 'Success':
            return answer['Value']
        return ['ERR', *answer['ErrorDescription']]

    def close(self):
        for session in self._opened:
            session('close')()


@pytest.fixture
def clk():
    return clock.SteppedClock()


@pytest.fixture
def described():
    """The topology; a test may override it with a fixture of this name."""
    return topology.DEFAULT


@pytest.fixture
def sim(clk, described):
    with simulator.Simulator(topology.load(described), clock=clk) as simulated:
        yield simulated


@pytest.fixture
def clients(sim):
    opened = Clients(sim)
    yield opened
    opened.close()


@pytest.fixture
def call(clients):
    return clients.call


@pytest.fixture
def join(clients):
    """Join a host to xen1's pool through the plain call."""

    def join(name='xen2', method='pool.join', address=MASTER):
        ref = clients.ref(name)
        return clients.call(name, method, ref, address, 'root', PASSWORD)

    return join


@pytest.fixture
def joined(join, clk, sim):
    """A pool of xen1 and xen2, with xen1 its master."""
    assert join() == ''
    clk.advance(30)
    return sim


@pytest.fixture
def pool(sim, clk, clients):
    """The hosts of pools.described(), xen1 the master."""
    return pools.Pool(sim, clk, clients)
