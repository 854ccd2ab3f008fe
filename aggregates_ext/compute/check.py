"""Checks on request: what would forbid a change, without changing anything.

The same requirements as in the operations themselves, asked for through
messaging before a request is accepted, or by ``check_host``.
"""

import contextlib
import socket
from collections.abc import Sequence
from typing import Any

import oslo_messaging

from aggregates_ext import rpc
from aggregates_ext.compute import guard
from aggregates_ext.compute import pool
from aggregates_ext.compute import preflight
from aggregates_ext.compute import requirements
from aggregates_ext.compute import run as compute_run
from aggregates_ext.compute import successor
from aggregates_ext.compute import views
from aggregates_ext.compute import xenapi
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import engine
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import records


class Endpoint:
    """What the compute service answers on the bus (``rpc`` has the history).

    :param wake_up: called for a wake-up.
    """

    target = oslo_messaging.Target(version=rpc.VERSION)

    def __init__(
        self,
        database: engine.Database,
        connector: xenapi.Connector,
        wake_up: Any,
    ) -> None:
        self._database = database
        self._connector = connector
        self._wake_up = wake_up

    def wake_up(self, ctxt: dict[str, Any]) -> None:
        """There is work in the database."""
        self._wake_up()

    def check_host(
        self,
        ctxt: dict[str, Any],
        host: str,
        aggregate_id: int | None,
        purpose: str,
        accept_data_loss: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Every blocker and warning, as ``preflight.Report.as_dict``.

        :param aggregate_id: that it is added to or removed from.
        :param purpose: 'add', 'remove', or 'contact' (can it be worked with).
        """
        with self._database.reader() as connection:
            found = db_hosts.get(connection, host)
            hosts = db_hosts.get_all(connection)
            aggregate = (
                None
                if aggregate_id is None
                else db_aggregates.get(connection, aggregate_id)
            )
            consent = db_hosts.get_consent(connection, host)
        known = found.shown_disks(accept_data_loss)
        if consent and not accept_data_loss:
            accept_data_loss, known = consent['srs'], consent['disks']
        try:
            report = self._check(
                found, hosts, aggregate, purpose, (accept_data_loss, known)
            )
        except xenapi.HostError as exc:
            report = _obstacle(exc.code, str(exc))
        except pool.NoMaster as exc:
            report = _obstacle('NO_MASTER', str(exc))
        if report.disks:
            shown = report.disk_uuids()
            self._database.write(
                lambda connection: db_hosts.update(
                    connection, host, {'shown': shown}
                )
            )
        return report.as_dict()

    def _check(
        self,
        host: records.Host,
        hosts: Sequence[records.Host],
        aggregate: records.Aggregate | None,
        purpose: str,
        consent: tuple[Sequence[str], Sequence[str]],
    ) -> preflight.Report:
        if purpose == 'contact':
            return self._contact(host)
        if aggregate is None:
            raise ValueError(f'a check for {purpose} names no aggregate')
        if purpose == 'remove':
            return self._check_leave(host, hosts, aggregate, consent)
        with contextlib.closing(self._connector.login(host)) as session:
            if aggregate.pool_uuid is None:
                return _check_first(host, aggregate, session)
            with pool.master_of(self._connector, aggregate, hosts) as master:
                return requirements.check_join(
                    *preflight.read_sides(session, master.session)
                )

    def _check_leave(
        self,
        host: records.Host,
        hosts: Sequence[records.Host],
        aggregate: records.Aggregate,
        consent: tuple[Sequence[str], Sequence[str]],
    ) -> preflight.Report:
        if aggregate.pool_uuid is None or host.uuid is None:
            return preflight.Report(disks={})
        with pool.master_of(self._connector, aggregate, hosts) as master:
            report, _heir = successor.settle(
                guard.check_leave(master.session, host.uuid, *consent),
                master.session,
                host,
                [
                    other
                    for other in hosts
                    if other.aggregate_id == aggregate.id
                    and other.phase == 'member'
                ],
            )
        return report

    def _contact(self, host: records.Host) -> preflight.Report:
        """Whether the host answers to its credential.

        A slave answers no login, whatever the password.
        """
        try:
            self._connector.login(host).close()
        except xenapi.XenAPIError as exc:
            if exc.code != 'HOST_IS_SLAVE':
                raise
        return preflight.Report()


def _check_first(
    host: records.Host,
    aggregate: records.Aggregate,
    session: xenapi.Session,
) -> preflight.Report:
    """Whether a host can be the first of a pool."""
    view = views.pool_view(session)
    try:
        pool.check_claim(aggregate, host, view)
    except compute_run.Failed as exc:
        return _obstacle(exc.error['code'], str(exc))
    return preflight.Report()


def _obstacle(code: str, found: str) -> preflight.Report:
    """A report on what kept the check itself from being made."""
    problem = preflight.Problem(
        code,
        'the host must let itself be checked',
        found.rstrip('.'),
        'Mend that, then repeat the request.',
    )
    return preflight.Report(blockers=(problem,))


def get_server(
    transport: oslo_messaging.Transport, endpoint: Endpoint
) -> oslo_messaging.MessageHandlingServer:
    """The server half of ``rpc``, with threads of its own."""
    return oslo_messaging.get_rpc_server(
        transport,
        oslo_messaging.Target(topic=rpc.TOPIC, server=socket.gethostname()),
        [endpoint],
    )
