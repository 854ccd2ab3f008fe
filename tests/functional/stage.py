"""A host that is to join a pool, to be judged by us and by the simulator."""

import contextlib
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.joining import requirements
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.rules.leaving import guard
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import transport
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import presets
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock as sim_clock

NEWEST = list(presets.PRESETS)[-1]
ROOT = ('root', 'secret')
READER = ('reader', 'reads')


class Stage:
    """The pool of xen1, and xen2, which may be in it or not.

    The sessions are there before a test changes anything.

    :param version: the release of all hosts.
    :param members: how many more hosts the pool of xen1 has.
    :param here: the account at xen2.
    :param there: the account at xen1.
    :param together: whether xen2 is in the pool already.
    """

    def __init__(
        self,
        stack: contextlib.ExitStack,
        version: str = NEWEST,
        members: int = 0,
        here: tuple[str, str] = ROOT,
        there: tuple[str, str] = ROOT,
        together: bool = False,
    ) -> None:
        names = [f'xen{number + 3}' for number in range(members)]
        pool = ['xen1', *(['xen2'] if together else []), *names]
        described = [
            {
                'name': name,
                'version': version,
                'read_only_users': dict([READER]),
            }
            for name in ('xen1', 'xen2', *names)
        ]
        self.clock = sim_clock.SteppedClock()
        self.sim = stack.enter_context(
            simulator.Simulator(
                topology.load(
                    {'hosts': described, 'pools': [{'hosts': pool}]}
                ),
                clock=self.clock,
            )
        )
        self.account = there
        self.master = self._login(stack, 'xen1', there)
        self.joiner = (
            self.master if together else self._login(stack, 'xen2', here)
        )

    def _login(
        self, stack: contextlib.ExitStack, name: str, account: tuple[str, str]
    ) -> xenapi.Session:
        session = xenapi.Session(
            name,
            self.sim.host(name).url,
            xenapi.Credential('c', *account),
            transport.Transport(60, None, None),
            (),
        )
        stack.callback(session.close)
        return session

    def check_join(self, enables_tls: bool = False) -> preflight.Report:
        """What our requirements say of the join of xen2."""
        return requirements.check_join(
            sides.Sides(
                *sides.read_sides(self.joiner, self.master), enables_tls
            )
        )

    def join(self) -> str:
        """The code with which the simulator refuses it; empty if it joins."""
        address = self.sim.host('xen1').address
        return _refusal(self.joiner, 'pool.join', address, *self.account)

    def check_leave(
        self, accepted: Sequence[str] = (), known: Sequence[str] = ()
    ) -> preflight.Report:
        """What our guard says of the eject of xen2."""
        uuid = self.sim.host('xen2').uuid
        return guard.check_leave(self.master, uuid, accepted, known)

    def eject(self) -> str:
        """The code with which the simulator refuses it; empty if it ejects."""
        return _refusal(self.master, 'pool.eject', self.ref('xen2'))

    def ref(self, name: str) -> str:
        """The reference of a host in the pool of xen1."""
        db = self.sim.host('xen1').database
        return str(db.by_uuid('host', self.sim.host(name).uuid))


def _refusal(session: xenapi.Session, method: str, *params: Any) -> str:
    try:
        session.call(method, *params)
    except failures.XenAPIError as exc:
        return exc.code
    return ''


def codes(problems: Sequence[preflight.Problem]) -> list[str]:
    """The codes of problems, in their order."""
    return [problem.code for problem in problems]


def assert_readable(report: preflight.Report) -> None:
    """Messages have names and uuids, never references."""
    for problem in (*report.blockers, *report.warnings):
        assert 'OpaqueRef' not in problem.message
        assert 'None' not in problem.found
        assert problem.remedy.endswith(('.', ').'))
        assert '{' not in problem.remedy
