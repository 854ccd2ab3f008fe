"""The API asked, answer by answer, with both sides on the screen."""

import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from aggregates_ext.demo import client
from aggregates_ext.demo import errors
from aggregates_ext.demo import runs
from aggregates_ext.demo import screen as screens
from aggregates_ext.demo import site as sites

BASE = '/v2.1/os-aggregates'
LEGACY = '/v1.1/demo'
LIMIT = 120.0
# A restart of all hosts, as slow as real ones restart.
RUN_LIMIT = 1800.0
POLL = 0.2


class Conversation:
    """Requests about one aggregate, and what their answers must be.

    :param site: running services.
    :param screen: where both sides are shown.
    :ivar id: the aggregate, once there is one.
    """

    def __init__(self, site: sites.Site, screen: screens.Screen) -> None:
        self._site = site
        self._screen = screen
        self.id = 0

    @property
    def path(self) -> str:
        """The aggregate."""
        return f'{BASE}/{self.id}'

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        status: int = 200,
        brief: bool = False,
    ) -> client.Answer:
        """Send a request and show both sides.

        :raises errors.DemoError: the status is another.
        """
        request = client.Request(method, path, body, headers or {})
        self._screen.request(request)
        answer = self._site.api.send(request)
        wrong = answer.status != status
        self._screen.answer(answer, brief and not wrong)
        if wrong:
            raise errors.DemoError(
                f'{method} {path} answered {answer.status}, not {status}.'
            )
        return answer

    def act(
        self, action: str, *, brief: bool = False, **fields: Any
    ) -> client.Answer:
        """Send an action that is carried out at once."""
        body = {action: fields}
        return self.ask('POST', f'{self.path}/action', body, brief=brief)

    def change(self, action: str, **options: Any) -> str:
        """Send an action that is carried out later; its operation.

        :raises errors.DemoError: the answer names none.
        """
        operation = self.act(action, **options).operation
        if operation is None:
            raise errors.DemoError(f'{action} has named no operation.')
        return operation

    def follow(self, *uuids: str) -> list[dict[str, Any]]:
        """Show operations until all have ended.

        :raises errors.DemoError: they take too long.
        """
        path = f'{self.path}/operations'
        self._screen.say('', f'GET {path}, again and again:')
        with screens.Operations(self._screen.console) as shown:
            for _ in self._patience('The operations have not ended'):
                found = {
                    operation['uuid']: operation
                    for operation in self._site.api.get(path)['operations']
                }
                operations = [found[uuid] for uuid in uuids if uuid in found]
                for operation in operations:
                    shown.update(operation)
                ended = [o for o in operations if o['finished_at']]
                if len(ended) == len(uuids):
                    break
        return operations

    def watch(self, uuid: str, look: Callable[[], None]) -> dict[str, Any]:
        """Show a restart of all hosts until it has ended.

        :param look: called at each look.
        :raises errors.DemoError: it takes too long.
        """
        path = f'{BASE}/operations/{uuid}'
        self._screen.say('', f'GET {path}, again and again:')
        late = self._patience('The restart has not ended', RUN_LIMIT)
        with runs.Display(self._screen.console) as shown:
            for _ in late:
                operation: dict[str, Any]
                operation = self._site.api.get(path)['operation']
                shown.update(operation)
                look()
                if operation['finished_at']:
                    break
        return operation

    def wait_for_pool(self, members: tuple[str, ...]) -> dict[str, Any]:
        """The pool as soon as it is seen with these hosts and no other."""
        path = f'{self.path}/pool'
        self._screen.say('', f'GET {path}, again and again:')
        shown = ''
        for _ in self._patience(f'The pool is not {", ".join(members)}'):
            pool: dict[str, Any] = self._site.api.get(path)['pool']
            phases = ', '.join(
                f'{host["name"]} {host["phase"]}' for host in pool['hosts']
            )
            if phases != shown:
                self._screen.say(f'  {phases}')
                shown = phases
            seen = {h['name'] for h in pool['hosts'] if h['live']}
            if len(pool['hosts']) == len(members) and seen == set(members):
                break
        return pool

    def change_host(self, host: str, **fields: str) -> str:
        """Change a host where Nova's clients do; its operation.

        :raises errors.DemoError: the answer names none.
        """
        path = f'/v2.1/os-hosts/{host}'
        operation = self.ask('PUT', path, fields).operation
        if operation is None:
            raise errors.DemoError(f'{fields} has named no operation.')
        return operation

    def wait_for_guests(self, places: Mapping[str, str]) -> None:
        """See each guest on its host, and no move under way.

        :param places: name of the guest -> name of the host.
        """
        path = '/v2.1/servers/detail?all_tenants=1'
        self._screen.say('', f'GET {path}, again and again:')
        shown: list[str] = []
        for _ in self._patience('The guests are not where they belong'):
            found = {
                server['name']: (
                    server['OS-EXT-SRV-ATTR:host'],
                    server['status'],
                )
                for server in self._site.api.get(path)['servers']
            }
            lines = [
                f'  {name} on {host}: {status}'
                for name, (host, status) in sorted(found.items())
                if name in places
            ]
            if lines != shown:
                self._screen.say(*lines)
                shown = lines
            if all(found.get(n) == (h, 'ACTIVE') for n, h in places.items()):
                break

    def expect_refusal(self, action: str, host: str) -> dict[str, Any]:
        """Send a change that a check refuses, and return what it found.

        :raises errors.DemoError: it is carried out, or fails otherwise.
        """
        [operation] = self.follow(self.change(action, brief=True, host=host))
        self.expect_end(operation, 'failed')
        found = operation['error']['parameters']
        if not isinstance(found, dict) or 'blockers' not in found:
            raise errors.DemoError(
                f'{action} {host} failed, and not by a check: '
                f'{operation["error"]["message"]}'
            )
        return found

    def expect_state(self, state: str) -> None:
        """:raises errors.DemoError: operational_state is another."""
        path = f'{LEGACY}/os-aggregates/{self.id}'
        found = self._site.api.get(path)['aggregate']['operational_state']
        self._screen.say('', f'GET {path}', f'  operational_state: {found}')
        if found != state:
            raise errors.DemoError(
                f'operational_state is {found}, not {state}.'
            )

    def expect_maintenance(self, host: str, state: str) -> None:
        """:raises errors.DemoError: maintenance of a host is another."""
        path = f'{self.path}/pool'
        pool = self._site.api.get(path)['pool']
        found = {h['name']: h['maintenance'] for h in pool['hosts']}
        self._screen.say('', f'GET {path}', f'  maintenance: {found}')
        if found.get(host) != state:
            raise errors.DemoError(
                f'maintenance of {host} is {found.get(host)}, not {state}.'
            )

    def expect_end(self, operation: dict[str, Any], state: str) -> None:
        """:raises errors.DemoError: an operation ended otherwise."""
        if operation['state'] == state:
            return
        error = operation['error'] or {}
        raise errors.DemoError(
            f'{operation["kind"]} {operation["host"]} {operation["state"]}, '
            f'instead of {state}: {error.get("message")}'
        )

    def _patience(
        self, otherwise: str, limit: float = LIMIT
    ) -> Iterator[None]:
        """Look again and again, while all services run.

        :param limit: seconds.
        :raises errors.DemoError: it takes too long, or a service has ended.
        """
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            yield
            self._site.check()
            time.sleep(POLL)
        raise errors.DemoError(f'{otherwise} after {limit:.0f} s.')
