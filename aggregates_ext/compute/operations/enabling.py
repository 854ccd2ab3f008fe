"""Disabling and enabling a host: sent once, proven by ``host.enabled``.

A disabled host runs what it runs and starts nothing (xapi#maintenance-calls).
Where its release has ``auto_enable`` it stays so over its starts
(design#service).
"""

import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import observe
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.operations import census
from aggregates_ext.compute.operations import keys
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import releases
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records

DISABLE = 'host.disable'
ENABLE = 'host.enable'
# Operations of a host that goes down, whatever it is told meanwhile
# (xapi#reboots).
GOING_DOWN = frozenset({'reboot', 'shutdown'})
_WORDS = {DISABLE: 'disabled', ENABLE: 'enabled'}


def disable_host(run: compute_run.Run) -> None:
    """Let a host take no machines.

    :raises outcomes.Failed: it takes them as before.
    :raises outcomes.Postpone: to be tried again.
    """
    with changing(run) as change:
        change.disable()
        told = None
        if run.host().maintenance == records.IN_MAINTENANCE:
            told = change.write_keys()
        change.finish(enabled=False, error=told)


def enable_host(run: compute_run.Run) -> None:
    """Let a host take machines.

    :raises outcomes.Failed: it takes none, as before.
    :raises outcomes.Postpone: to be tried again.
    """
    with changing(run) as change:
        told = change.remove_keys()
        change.enable()
        change.finish(enabled=True, error=told)


@contextlib.contextmanager
def changing(run: compute_run.Run) -> Iterator['Change']:
    """At the master, when no call of before can begin any more."""
    run.end_recorded_session()
    aggregate, hosts = run.aggregate(), masters.bound(run)
    if aggregate.pool_uuid is None:
        raise _not_listed(run)
    with masters.of_run(run, aggregate, hosts) as master:
        yield Change(run, master)


def _not_listed(run: compute_run.Run) -> outcomes.Failed:
    return outcomes.Failed(
        'NOT_IN_POOL',
        f'Host {run.host_name} is not in the pool of aggregate '
        f'{run.aggregate_id}, so it is neither disabled nor enabled there. '
        'GET /os-aggregates/ID/pool shows what is in the pool.',
    )


class Change:
    """One change of a host, on the master of its pool.

    :ivar listed: the host as its master has listed it last.
    """

    def __init__(self, run: compute_run.Run, master: masters.Master) -> None:
        self._run = run
        self._master = master
        self._host = run.host()
        self._view, self.listed = self._look()

    def _look(self) -> tuple[views.PoolView, views.HostView]:
        """The pool and the host in it as they are now.

        :raises outcomes.Failed: it is not in the pool.
        :raises failures.OddAnswer: it is not told whether it is enabled.
        """
        view = self._master.look()
        listed = view.hosts.get(self._host.uuid)
        if listed is None:
            raise _not_listed(self._run)
        if listed.enabled is None:
            raise failures.OddAnswer(
                host=self._master.host.name,
                what=f'whether host {self._host.name} is enabled is not told',
            )
        return view, listed

    @property
    def session(self) -> xenapi.Session:
        """One at the master, for what changes nothing."""
        return self._master.session

    def login(self) -> xenapi.Session:
        """Another one there, for a call that is recorded."""
        return self._master.login()

    def starts(self) -> dict[str, float]:
        """When the toolstacks of the host and of its master have started."""
        return {
            host.uuid: host.agent_start_time
            for host in (self.listed, self._view.master)
        }

    def finish_as(
        self,
        enabled: bool,
        work: Callable[[Any, float], None],
        error: dict[str, Any] | None = None,
    ) -> None:
        """End the operation by what is seen of the host.

        :param work: writes what is true of the host then; gets the start of
            its xapi.
        :param error: what could not be done beside.
        :raises outcomes.Postpone: it is not as it was made.
        """
        run, name, view = self._run, self._host.name, self._view
        if self.listed.enabled != enabled:
            raise outcomes.Postpone(
                reason=f'Host {name} was to be '
                f'{"enabled" if enabled else "disabled"}, which was '
                'answered, and is not seen so; it is tried again.'
            )
        start = self.listed.agent_start_time

        def both(connection: Any) -> None:
            work(connection, start)
            observe.keep(connection, run.aggregate_id, view)
            db_operations.finish(connection, run.operation, 'succeeded', error)

        run.write(both)

    def where(self, ref: str) -> str | None:
        """The uuid of the host with a reference."""
        for host in self._view.hosts.values():
            if host.ref == ref:
                return host.uuid
        return None

    def disable(self, since: float = 0.0) -> None:
        """Disable the host, if it is not so as it is to be.

        :param since: when that began, in seconds of the operation.
        :raises outcomes.Failed: it takes machines as before.
        :raises outcomes.Postpone: to be tried again.
        """
        if not self.listed.enabled and not self.is_own():
            self.take_over()
        if self.listed.enabled:
            self.send(DISABLE, *self.for_good(), since=since, disabling=True)

    def enable(self, since: float = 0.0) -> None:
        """Enable the host, if it is disabled.

        :param since: when that began, in seconds of the operation.
        :raises outcomes.Failed: it takes none, as before.
        :raises outcomes.Postpone: to be tried again.
        """
        if not self.listed.enabled:
            self.refuse_going_down()
            self.send(ENABLE, since=since)

    def write_keys(
        self, moved: Sequence[str] | None = None, *, late: bool = False
    ) -> dict[str, Any] | None:
        """Let XenCenter know that the host is in maintenance.

        :param moved: uuids of the guests that were moved away; None: what
            it knows of them stays.
        :param late: whether there is no time left for it.
        :returns: what could not be done; it stops nothing.
        :raises outcomes.Postpone: to be tried again.
        """
        if not self._run.options.xencenter_keys:
            return None
        return self._tell(
            keys.missing(self.listed.keys or {}, moved), late=late
        )

    def remove_keys(self, since: float = 0.0) -> dict[str, Any] | None:
        """Let XenCenter know that the host is not, before it is enabled.

        A XenCenter would disable it again (xapi#maintenance-keys).

        :param since: when that began, in seconds of the operation.
        :returns: what could not be done; it stops nothing.
        :raises outcomes.Postpone: to be tried again.
        """
        late = self._run.elapsed() - since >= self._limit
        return self._tell(keys.left(self.listed.keys or {}), late=late)

    def _tell(
        self, calls: Sequence[keys.Call], *, late: bool
    ) -> dict[str, Any] | None:
        if not calls:
            return None
        told = keys.send(
            self._run, self._master.login, self.listed.ref, calls, late=late
        )
        self._view, self.listed = self._look()
        return told

    @property
    def _limit(self) -> float:
        """Seconds that a change may take."""
        return float(self._run.options.join_timeout)

    def is_own(self) -> bool:
        """Whether a disabled host was disabled by us, as it is to be."""
        own = self._run.operation.parameters.get('disabling')
        return bool(own) or self._host.disabled_start is not None

    def take_over(self) -> None:
        """Enable a host that somebody else has disabled, to disable it so.

        To disable it as it is does nothing: it would not stay so over its
        next start (xapi#maintenance-calls). With high availability on it is
        left as it is, for to disable it again may be refused.

        :raises outcomes.Postpone: it cannot be enabled for now.
        """
        _ref, pool = fields.only(
            self._master.host.name, 'pool', self._master.pools
        )
        if self.listed.operations & GOING_DOWN or pool['ha_enabled']:
            return
        # Where it cannot be enabled it does not enable itself either.
        with contextlib.suppress(outcomes.Failed):
            self.send(ENABLE)

    def for_good(self) -> tuple[bool, ...]:
        """The arguments that keep a host disabled over its starts.

        None where master or host do not know of it: they would ignore it.
        """
        known = min(self._view.master.release, self.listed.release)
        return (False,) if known >= releases.AUTO_ENABLE else ()

    def refuse_going_down(self) -> None:
        """:raises outcomes.Postpone: it would go down all the same."""
        if self.listed.operations & GOING_DOWN:
            raise outcomes.Postpone(
                reason=f'Host {self._host.name} is going down or starting '
                'again; it is enabled when it is back.',
                code='OTHER_OPERATION_IN_PROGRESS',
                parameters=sorted(self.listed.operations),
            )

    def send(
        self,
        method: str,
        *arguments: Any,
        since: float = 0.0,
        **known: Any,
    ) -> None:
        """Send a call from a session of its own, and look again.

        :param since: when its time began, in seconds of the operation.
        :param known: what is true of the operation once it is sent.
        :raises outcomes.Failed: it was refused, or the time is over.
        """
        run, word = self._run, _WORDS[method]
        if run.elapsed() - since >= self._limit:
            raise outcomes.Failed(
                'TIMEOUT',
                f'Host {self._host.name} could not be {word} within '
                f'{self._limit:.0f} s.',
            )
        run.note(step=f'the host is being {word}', progress=50)
        with contextlib.closing(self._master.login()) as session:
            try:
                run.change(
                    session,
                    method,
                    self.listed.ref,
                    *arguments,
                    known=lambda _connection: known,
                )
            except outcomes.AnsweredForGood as exc:
                raise outcomes.Failed(
                    exc.answer.code,
                    f'Host {self._host.name} is not {word}: {exc.answer.said}',
                    list(exc.answer.parameters),
                    exc.answer.way_out,
                ) from exc
        self._view, self.listed = self._look()

    def finish(
        self, *, enabled: bool, error: dict[str, Any] | None = None
    ) -> None:
        """End the operation by what is seen of the host.

        :param error: what could not be done beside.
        :raises outcomes.Postpone: it is not as it was made.
        """
        name = self._host.name
        self.finish_as(
            enabled,
            lambda connection, start: db_hosts.update(
                connection,
                name,
                {'disabled_start': None if enabled else start},
            ),
            error,
        )


def find_disabled(
    run: compute_run.Run, session: xenapi.Session, counted: census.Census
) -> frozenset[str]:
    """Uuids of the hosts of a pool that somebody has disabled.

    Where there are new ones two looks have to agree: all hosts are disabled
    for some seconds when the toolstack of the master starts (xapi#restarts).
    """
    off = _disabled(counted.view)
    known = {host.uuid for host in counted.bound if host.disabled}
    if off <= known:
        return off
    run.note(step='looking again which hosts are disabled')
    run.clock.sleep(run.options.confirm_interval)
    return off & _disabled(views.pool_view(session))


def _disabled(view: views.PoolView) -> frozenset[str]:
    return frozenset(
        uuid for uuid, host in view.hosts.items() if host.enabled is False
    )


def follow(
    connection: Any, counted: census.Census, off: frozenset[str]
) -> list[str]:
    """Let the hosts of a pool be disabled that are so, and no others.

    :param off: uuids of those that are disabled.
    :returns: what was done, in sentences.
    """
    result = []
    for seen, host in [*counted.present, *counted.surplus]:
        disabled = seen.uuid in off
        if seen.enabled is None or host.disabled == disabled:
            continue
        db_hosts.update(
            connection,
            host.name,
            {
                'service': records.DISABLED if disabled else records.ENABLED,
                'maintenance': host.maintenance if disabled else None,
                'maintenance_of': host.maintenance_of if disabled else None,
                'disabled_reason': None,
                'disabled_start': seen.agent_start_time if disabled else None,
            },
        )
        word = 'disabled' if disabled else 'enabled'
        result.append(f'Host {host.name} is to be {word}, as it is.')
    return result
