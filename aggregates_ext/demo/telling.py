"""What stories have in common: steps told in order, each proved."""

import abc
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import ClassVar
from typing import NamedTuple

from aggregates_ext.demo import conversation
from aggregates_ext.demo import effects
from aggregates_ext.demo import errors
from aggregates_ext.demo import screen as screens
from aggregates_ext.demo import site as sites

NAME = 'rack-1'
# Those of all projects are refused by a client that takes Keystone's API for
# version 2, though it asks no Keystone here.
SERVERS = '--os-identity-api-version 3 server list --all-projects'


class Step(NamedTuple):
    """A numbered part of a story."""

    title: str
    tell: Callable[[], None]


class Tries(NamedTuple):
    """What to try where everything is left running.

    :ivar stack: arguments of the command openstack.
    :ivar plugin: the same with the plug-in, behind "aggregate pool".
    :ivar paths: of GET requests, below the aggregate.
    :ivar actions: bodies of actions of the aggregate.
    """

    stack: Sequence[str]
    plugin: Sequence[str]
    paths: Sequence[str]
    actions: Sequence[Mapping[str, Any]]


class Story(abc.ABC):
    """What has been told so far, and how to go on.

    :param site: running services.
    :param screen: where it is told.
    :cvar PLAN: the simulated hosts, as the simulator's topology has them.
    :cvar KEPT: how many steps are told where everything is to be left
        running; None: all.
    :ivar api: the requests, and which aggregate they are about.
    """

    PLAN: ClassVar[Sequence[Mapping[str, Any]]]
    KEPT: ClassVar[int | None] = None

    def __init__(self, site: sites.Site, screen: screens.Screen) -> None:
        self._site = site
        self._screen = screen
        self.api = conversation.Conversation(site, screen)
        self._uuid = ''

    @property
    @abc.abstractmethod
    def steps(self) -> Sequence[Step]:
        """All steps, in order."""

    @property
    @abc.abstractmethod
    def tries(self) -> Tries:
        """What to try afterwards."""

    def tell(self, *, keep: bool) -> int:
        """Tell the steps in order; their number.

        :param keep: whether everything is to be left running.
        :raises errors.DemoError: naming the step that failed.
        """
        steps = self.steps[: self.KEPT] if keep else self.steps
        for number, step in enumerate(steps, 1):
            self._screen.step(number, len(steps), step.title)
            try:
                step.tell()
                self._site.check()
            except errors.DemoError as exc:
                raise errors.DemoError(
                    f'Step {number} ({step.title}) failed. {exc}'
                ) from exc
        return len(steps)

    def _create(self) -> None:
        """Create the aggregate that the story is about."""
        body = {'aggregate': {'name': NAME, 'availability_zone': 'az1'}}
        version = {'OpenStack-API-Version': 'compute 2.41'}
        created = self.api.ask(
            'POST', conversation.BASE, body, headers=version
        )
        aggregate = created.json()['aggregate']
        self.api.id, self._uuid = aggregate['id'], aggregate['uuid']

    def _add(self, hosts: tuple[str, ...]) -> None:
        """Add hosts, and see one pool."""
        uuids = [
            self.api.change('add_host', brief=host != hosts[0], host=host)
            for host in hosts
        ]
        self._screen.say(
            '',
            'The first host brings its pool, the others join it: each sees '
            'its xapi restart as a slave.',
        )
        self._finish(*uuids)
        self._screen.pool(self.api.wait_for_pool(hosts))

    def _finish(self, *uuids: str) -> None:
        """See operations succeed."""
        for operation in self.api.follow(*uuids):
            self.api.expect_end(operation, 'succeeded')

    def _state(self) -> effects.State:
        """What the simulated hosts really are."""
        state: effects.State = self._site.simulator.get('/state')
        return state

    def _calls(self) -> Sequence[Mapping[str, Any]]:
        """The calls that have arrived at them."""
        calls: Sequence[Mapping[str, Any]] = self._site.simulator.get('/calls')
        return calls

    def _pooled(self, *hosts: str) -> effects.Differences:
        return effects.pooled(self._state(), NAME, self._uuid, hosts)

    def _prove(self, claim: str, differences: effects.Differences) -> None:
        """:raises errors.Unproven: the hosts are not as they should be."""
        if differences:
            raise errors.Unproven(
                f'It should be so: {claim} But: {" ".join(differences)}'
            )
        self._screen.proved(claim)
