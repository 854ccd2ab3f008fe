"""Checks on request: what would forbid a change, without changing anything.

The same requirements as in the operations themselves, asked for through
messaging before a request is accepted, or by ``check_host``.
"""

import concurrent.futures
import contextlib
import socket
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Sequence
from typing import Any

import oslo_messaging
from oslo_db import exception as db_exc
from oslo_log import log as logging

from aggregates_ext import exception
from aggregates_ext import rpc
from aggregates_ext.compute import shares
from aggregates_ext.compute.maintenance import entering
from aggregates_ext.compute.maintenance import planning
from aggregates_ext.compute.maintenance import powering
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.observation import witness
from aggregates_ext.compute.operations import pool
from aggregates_ext.compute.rules import bindings
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules import successor
from aggregates_ext.compute.rules.evacuating import rolling
from aggregates_ext.compute.rules.joining import requirements
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.rules.leaving import guard
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine

LOG = logging.getLogger(__name__)
# Checks at once of one host, and of hosts of one aggregate: its master is
# asked by all of them. oslo.messaging has 64 threads
# (executor_thread_pool_size).
HOST_SHARE = 4
AGGREGATE_SHARE = 16


class Endpoint:
    """What the compute service answers on the bus (``rpc`` has the history).

    :param wake_up: called for a wake-up.
    """

    target = oslo_messaging.Target(version=rpc.VERSION)

    def __init__(
        self,
        database: engine.Database,
        connector: connections.Connector,
        wake_up: Any,
    ) -> None:
        self._database = database
        self._connector = connector
        self._wake_up = wake_up
        self._shares = shares.Shares()
        self._find = masters.finder(self._read)

    def _read(self, work: Callable[[Any], Any]) -> Any:
        """Read in one transaction."""
        with self._database.reader() as connection:
            return work(connection)

    def wake_up(self, ctxt: dict[str, Any]) -> None:
        """There is work in the database."""
        LOG.debug('Woken up')
        self._wake_up()

    # No bugs, so without a traceback in the log. The caller is told a class.
    @oslo_messaging.expected_exceptions(  # type: ignore[untyped-decorator]
        exception.AggregatesError, db_exc.DBError
    )
    def check_host(
        self,
        ctxt: dict[str, Any],
        host: str,
        aggregate_id: int | None,
        purpose: str,
        accept_data_loss: Sequence[str] = (),
        shut_down: Sequence[str] = (),
        hard: bool = False,
        network: str | None = None,
    ) -> dict[str, Any]:
        """Every blocker and warning, as ``preflight.Report.as_dict``.

        It ends within ``observe_timeout``, whatever the host does.

        :param aggregate_id: that it is added to, removed from or in.
        :param purpose: 'add', 'remove', 'maintenance', 'reboot', 'shutdown',
            'startup', or 'contact' (can it be worked with).
        :param shut_down: uuids of guests that maintenance may shut down.
        :param hard: whether it may do so hard.
        :param network: uuid of that which its guests are to move over.
        """
        LOG.debug('Asked about host %s: %s', host, purpose)
        with self._database.reader() as connection:
            found = db_hosts.get(connection, host)
            hosts, aggregate = _aggregate(connection, aggregate_id)
            consent = db_hosts.get_consent(connection, host)
        known = found.shown_disks(accept_data_loss)
        if consent and not accept_data_loss:
            accept_data_loss, known = consent['srs'], consent['disks']
        wanted: dict[Hashable, int] = {f'host {host}': HOST_SHARE}
        if aggregate is not None:
            wanted[f'aggregate {aggregate.id}'] = AGGREGATE_SHARE
        with self._shares.take(wanted) as full:
            if full is not None:
                return preflight.Report(blockers=(_busy(full),)).as_dict()
            try:
                connector = self._connector.within()
                if purpose == 'maintenance' and aggregate is not None:
                    report = entering.check_host(
                        connector,
                        found,
                        hosts,
                        aggregate,
                        shut_down,
                        hard=hard,
                        network=network,
                        find=self._find,
                    )
                elif purpose in powering.CALLS and aggregate is not None:
                    report = powering.check_host(
                        connector,
                        found,
                        hosts,
                        aggregate,
                        purpose,
                        self._find,
                    )
                else:
                    report = _Check(connector, self._find).check(
                        found,
                        hosts,
                        aggregate,
                        purpose,
                        (accept_data_loss, known),
                    )
            except exception.AggregatesError as exc:
                report = preflight.Report(blockers=(_obstacle(exc),))
        if report.disks:
            shown = report.disk_uuids()
            self._database.write(
                lambda connection: db_hosts.update(
                    connection, host, {'shown': shown}
                )
            )
        return report.as_dict()

    @oslo_messaging.expected_exceptions(  # type: ignore[untyped-decorator]
        exception.AggregatesError, db_exc.DBError
    )
    def plan_rolling(
        self, ctxt: dict[str, Any], aggregate_id: int, asked: dict[str, Any]
    ) -> dict[str, Any]:
        """What a restart of all hosts would do, and what forbids it.

        It ends within ``observe_timeout``, whatever the hosts do.

        :param asked: the parameters of the operation.
        :returns: as ``planning.told``.
        """
        with self._database.reader() as connection:
            aggregate = db_aggregates.get(connection, aggregate_id)
            hosts = db_hosts.get_all(connection, aggregate_id)
        wanted: dict[Hashable, int] = {
            f'aggregate {aggregate.id}': AGGREGATE_SHARE
        }
        with self._shares.take(wanted) as full:
            if full is not None:
                return _no_plan(_busy(full))
            try:
                return planning.look(
                    self._connector.within(),
                    hosts,
                    aggregate,
                    asked,
                    self._find,
                )
            except exception.AggregatesError as exc:
                return _no_plan(_obstacle(exc))


def _aggregate(
    connection: Any, aggregate_id: int | None
) -> tuple[list[records.Host], records.Aggregate | None]:
    """The hosts that are bound to an aggregate, and the aggregate."""
    if aggregate_id is None:
        return [], None
    return (
        db_hosts.get_all(connection, aggregate_id),
        db_aggregates.get(connection, aggregate_id),
    )


def _no_plan(problem: preflight.Problem) -> dict[str, Any]:
    report = preflight.Report(blockers=(problem,))
    return planning.told(rolling.RollingPlan(report))


class _Check:
    """One check of a host.

    :param connector: for as long as it may take.
    :param find: registered hosts by their address.
    """

    def __init__(
        self, connector: connections.Connector, find: witness.Find
    ) -> None:
        self._connector = connector
        self._find = find

    def check(
        self,
        host: records.Host,
        hosts: Sequence[records.Host],
        aggregate: records.Aggregate | None,
        purpose: str,
        consent: tuple[Sequence[str], Sequence[str]],
    ) -> preflight.Report:
        """What forbids the purpose, and what is to be known before.

        :raises exception.AggregatesError: it could not be made.
        """
        if purpose == 'contact':
            return self._contact(host)
        if aggregate is None:
            raise ValueError(f'a check for {purpose} names no aggregate')
        unfit = preflight.evaluate(
            bindings.REMOVE_RULES
            if purpose == 'remove'
            else bindings.ADD_RULES,
            bindings.Binding(host, aggregate),
        )
        if unfit:
            return preflight.Report(blockers=unfit)
        if purpose == 'remove':
            return self._check_leave(host, hosts, aggregate, consent)
        if aggregate.pool_uuid is None:
            founder = _founder(host, hosts)
            if founder is not None:
                return self._check_beside(host, founder, aggregate)
            return self._check_alone(host, aggregate)
        return self._check_join(host, hosts, aggregate)

    def _check_alone(
        self, host: records.Host, aggregate: records.Aggregate
    ) -> preflight.Report:
        with contextlib.closing(self._connector.login(host)) as session:
            return _check_first(host, aggregate, session)

    def _check_beside(
        self,
        host: records.Host,
        founder: records.Host,
        aggregate: records.Aggregate,
    ) -> preflight.Report:
        """Against the host that is to found the pool, as it is now.

        What cannot be asked refuses nothing: the next one founds it then.
        """

        def master() -> sides.Side:
            with contextlib.closing(self._connector.login(founder)) as session:
                return sides.read_side(session)

        joiner, other = self._read(host, master)
        if isinstance(other.exception(), exception.AggregatesError):
            LOG.debug('The founder %s: %s', founder.name, other.exception())
            return self._check_alone(host, aggregate)
        return self._judge(joiner.result(), other.result())

    def _check_join(
        self,
        host: records.Host,
        hosts: Sequence[records.Host],
        aggregate: records.Aggregate,
    ) -> preflight.Report:
        """What keeps either side from being read is told of both."""

        def master() -> sides.Side:
            with masters.master_of(
                self._connector, aggregate, hosts, find=self._find
            ) as master:
                master.look()
                return sides.read_side(master.session)

        looks = self._read(host, master)
        problems = [problem for look in looks if (problem := _failed(look))]
        if problems:
            return preflight.Report(blockers=tuple(problems))
        return self._judge(*(look.result() for look in looks))

    def _judge(self, own: sides.Side, pools: sides.Side) -> preflight.Report:
        return requirements.check_join(
            sides.Sides(own, pools, self._connector.enables_tls)
        )

    def _read(
        self, host: records.Host, master: Callable[[], sides.Side]
    ) -> list[concurrent.futures.Future[sides.Side]]:
        """Both sides, logged in to and read in parallel."""

        def joiner() -> sides.Side:
            with contextlib.closing(self._connector.login(host)) as session:
                return sides.read_side(session, sides.JOINER_CLASSES)

        with concurrent.futures.ThreadPoolExecutor(2) as both:
            return [both.submit(joiner), both.submit(master)]

    def _check_leave(
        self,
        host: records.Host,
        hosts: Sequence[records.Host],
        aggregate: records.Aggregate,
        consent: tuple[Sequence[str], Sequence[str]],
    ) -> preflight.Report:
        if aggregate.pool_uuid is None or host.uuid is None:
            return preflight.Report(disks={})
        with masters.master_of(
            self._connector, aggregate, hosts, find=self._find
        ) as master:
            master.look()
            report, _heir = successor.settle(
                guard.check_leave(master.session, host.uuid, *consent),
                master.session,
                host,
                hosts,
            )
        return report

    def _contact(self, host: records.Host) -> preflight.Report:
        """Whether the host answers to its credential.

        A slave answers no login, whatever the password.
        """
        try:
            self._connector.login(host).close()
        except failures.XenAPIError as exc:
            if exc.code != 'HOST_IS_SLAVE':
                raise
        return preflight.Report()


def _founder(
    host: records.Host, hosts: Sequence[records.Host]
) -> records.Host | None:
    """The host that is to found the pool before another one joins it.

    :param hosts: those of the aggregate.
    """
    joining = [
        other
        for other in hosts
        if other.phase == 'joining' and other.name != host.name
    ]
    return min(joining, key=lambda h: (h.phase_since or 0, h.id), default=None)


def _check_first(
    host: records.Host,
    aggregate: records.Aggregate,
    session: xenapi.Session,
) -> preflight.Report:
    """Whether a host can be the first of a pool.

    :raises outcomes.Failed: its pool is not ours to take.
    """
    pool.check_claim(aggregate, host, views.pool_view(session))
    return requirements.check_first(
        sides.read_side(session, sides.JOINER_CLASSES)
    )


def _failed(
    look: concurrent.futures.Future[sides.Side],
) -> preflight.Problem | None:
    """What kept a side from being read."""
    exc = look.exception()
    if exc is None:
        return None
    if not isinstance(exc, exception.AggregatesError):
        raise exc
    return _obstacle(exc)


def _busy(subject: Hashable) -> preflight.Problem:
    """What keeps a check from being made while others hang."""
    return preflight.Problem(
        'TOO_MANY_CHECKS',
        'checks of one host or aggregate leave room for those of others',
        f'as many checks of {subject} under way as may be, which its hosts '
        'have not answered yet',
        'Look whether its hosts answer, then repeat the request.',
        True,
    )


def _obstacle(exc: exception.AggregatesError) -> preflight.Problem:
    """What kept the check itself from being made."""
    heals = False
    if isinstance(exc, failures.HostError):
        code = exc.code
        # A host that does not answer may have a wrong URL.
        heals = isinstance(exc, failures.XenAPIError) and codes.passes(
            code, exc.parameters
        )
    elif isinstance(exc, outcomes.Failed | outcomes.Postpone):
        code = exc.error['code']
    else:
        raise exc
    return preflight.Problem(
        code,
        'the host must let itself be checked',
        exc.said.rstrip('.'),
        exc.way_out or 'Repeat the request when that has changed.',
        heals,
    )


def get_server(
    transport: oslo_messaging.Transport, endpoint: Endpoint
) -> oslo_messaging.MessageHandlingServer:
    """The server half of ``rpc``, with threads of its own."""
    return oslo_messaging.get_rpc_server(
        transport,
        oslo_messaging.Target(topic=rpc.TOPIC, server=socket.gethostname()),
        [endpoint],
    )
