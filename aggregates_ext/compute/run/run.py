"""One run of one operation: what its steps share.

The steps end a run by returning, when the operation has succeeded, or with
one of ``outcomes``.
"""

import dataclasses
import time
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging

from aggregates_ext import exception
from aggregates_ext.compute.run import clock as compute_clock
from aggregates_ext.compute.run import lease as compute_lease
from aggregates_ext.compute.run import meter as compute_meter
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records

LOG = logging.getLogger(__name__)
# Seconds that may pass between the last look and the call it allows.
CHECK_AGE = 5.0

# The parameter of what waits for moves of guests to end.
FOR_MOVES = 'moves'

# Reads what is to be written into the parameters with a call.
Known = Callable[[Any], dict[str, Any]]


def _any_error(code: str) -> bool:
    """The rule: what a call was answered with an error did not happen."""
    return True


class Run:
    """An operation under a lease.

    :ivar operation: as last read or written.
    :ivar has_sent: whether a call that changes something was sent now.
    """

    def __init__(
        self,
        held: compute_lease.Held,
        connector: connections.Connector,
        clock: compute_clock.Clock,
        conf: cfg.ConfigOpts,
        operation: records.Operation,
        elapsed: float,
        meter: compute_meter.Meter = compute_meter.NONE,
    ) -> None:
        self._meter = meter
        self.held = held
        self.connector = connector
        self.clock = clock
        self.options = conf.compute
        self.operation = operation
        self.has_sent = False
        self._began = clock.monotonic() - elapsed

    @property
    def aggregate_id(self) -> int:
        return self.operation.aggregate_id

    @property
    def changed(self) -> bool:
        """Whether a call that changes something may have been sent."""
        return bool(self.operation.parameters.get('changed'))

    @property
    def sent(self) -> bool:
        """Whether the join or eject itself may run, or have run."""
        return bool(self.operation.parameters.get('sent'))

    @property
    def host_name(self) -> str:
        """The host that the operation is about."""
        if self.operation.host is None:
            raise ValueError(f'{self.operation.kind} is about no host')
        return self.operation.host

    @property
    def asked(self) -> dict[str, str | None]:
        """Who asked, for operations that are a part of this one."""
        operation = self.operation
        return {
            'request_id': operation.request_id,
            'user_id': operation.user_id,
            'project_id': operation.project_id,
            'global_request_id': operation.parameters.get('global_request_id'),
        }

    def elapsed(self) -> float:
        """Seconds since the operation was first run."""
        return self.clock.monotonic() - self._began

    def aggregate(self) -> records.Aggregate:
        """The aggregate as it is now."""
        return self.held.read(
            lambda connection: db_aggregates.get(connection, self.aggregate_id)
        )

    def host(self) -> records.Host:
        """The host of the operation as it is now."""
        return self.held.read(
            lambda connection: db_hosts.get(connection, self.host_name)
        )

    def write(self, work: Callable[[Any], Any]) -> None:
        """Write under the lease, and read the operation again."""

        def both(connection: Any) -> records.Operation:
            work(connection)
            return db_operations.get(connection, self.operation.uuid)

        self.operation = self.held.write(both)
        self._meter.at(self.operation)

    def note(self, **values: Any) -> None:
        """Write columns of the operation, if they change."""
        if any(
            getattr(self.operation, name) != value
            for name, value in values.items()
        ):
            self.write(
                lambda connection: db_operations.update(
                    connection, self.operation.id, values
                )
            )

    def remember(self, **found: Any) -> None:
        """Keep what was found out in the operation's parameters."""
        self.note(parameters={**self.operation.parameters, **found})

    def learn(
        self, host: records.Host, uuid: str, address: str
    ) -> records.Host:
        """Keep the identity and address of a host.

        :returns: the host with them.
        :raises Failed: it is another machine than before, or the uuid is
            another registered host's.
        :raises Postpone: the same, when it has been sent somewhere already.
        """
        if host.uuid not in (None, uuid):
            raise self._stop(
                'HOST_REPLACED',
                f'Host {host.name} was registered when its XenServer uuid '
                f'was {host.uuid}; at {host.url} now answers {uuid}. Check '
                'its address; a reinstalled host is to be removed and '
                'registered anew.',
            )
        values = {'uuid': uuid, 'address': address}
        if (host.uuid, host.address) != (uuid, address):
            try:
                self.write(
                    lambda connection: db_hosts.update(
                        connection, host.name, values
                    )
                )
            except exception.Conflict as exc:
                raise self._stop('HOST_UUID_TAKEN', str(exc)) from exc
        return dataclasses.replace(host, uuid=uuid, address=address)

    def _stop(self, code: str, message: str) -> Exception:
        """What ends an operation, unless its outcome is still to be seen."""
        if self.sent:
            return outcomes.Postpone(reason=message, code=code)
        return outcomes.Failed(code, message)

    def change(
        self,
        session: xenapi.Session,
        method: str,
        *params: Any,
        check: Callable[[], object] | None = None,
        known: Known | None = None,
        proves: Callable[[str], bool] = _any_error,
    ) -> Any:
        """Send a call that changes a pool: recorded before, sent once.

        The record names the session, so that whoever takes over can end it
        before looking (design#sent-calls). It is cleared by a definite answer.

        What became of the call is told by three classes that nothing else
        raises. Any other error says nothing of it: those of the database
        leave the record, and whoever comes next looks at the hosts.

        :param session: fresh for this attempt.
        :param check: a last look, right before the call; what it raises
            keeps the call from being sent.
        :param known: what else is true once it is sent, for the parameters;
            written with the record, and taken back with it.
        :param proves: whether an error with that code proves that nothing
            has happened; else what was written stays.
        :raises outcomes.NotSent: it has not left.
        :raises outcomes.Answered: with an error.
        :raises outcomes.Unknown: no answer; the next attempt looks.
        """
        record = {
            'call': method,
            'target': session.host,
            'session': session.uuid(),
            'sent_at': time.time(),
        }
        asynchronous = method.startswith('Async.')
        take_back = self._record(record, asynchronous, known)
        self.has_sent = True
        try:
            self._check_last(check)
        except exception.LeaseLost:
            raise
        except exception.AggregatesError:
            take_back()
            raise
        try:
            result = session.call(method, *params)
        except failures.AnswerLost as exc:
            raise outcomes.Unknown(
                reason=f'{exc.said} What became of it is being found out.',
                code=exc.code,
            ) from exc
        except failures.Unreachable as exc:
            take_back()
            raise outcomes.NotSent(
                reason=str(exc), code=exc.code, parameters=exc.parameters
            ) from exc
        except failures.XenAPIError as exc:
            if proves(exc.code):
                take_back()
            else:
                self.note(call=None)
            raise outcomes.answered(exc) from exc
        task = {**record, 'session': None, 'task': result}
        self.note(call=task if asynchronous else None)
        return result

    def _record(
        self, call: dict[str, Any], asynchronous: bool, known: Known | None
    ) -> Callable[[], None]:
        """Write the call that may be under way, and what it makes true.

        :returns: takes that back, and nothing that was found out since.
        """
        before = {'changed': False, 'sent': False, **self.operation.parameters}
        new: dict[str, Any] = {
            'changed': True,
            'sent': before['sent'] or asynchronous,
        }

        def work(connection: Any) -> None:
            new.update(known(connection) if known else {})
            values = {'call': call, 'parameters': {**before, **new}}
            db_operations.update(connection, self.operation.id, values)

        def take_back() -> None:
            kept = {
                name: value
                for name, value in self.operation.parameters.items()
                if name not in new
            }
            restored = {name: before[name] for name in new if name in before}
            self.note(call=None, parameters={**kept, **restored})

        self.write(work)
        return take_back

    def _check_last(self, check: Callable[[], object] | None) -> None:
        """Look a last time, and let no time pass between that and the call.

        :raises Postpone: it took too long; what was seen may have changed.
        """
        began = time.monotonic()
        if check is not None:
            check()
        self.held.ensure_fresh()
        if check is not None and time.monotonic() - began > CHECK_AGE:
            raise outcomes.Postpone(
                reason='The last look before the call took longer than '
                f'{CHECK_AGE:.0f} s; it is repeated.'
            )

    def end_recorded_session(self) -> None:
        """Make sure that a recorded call without an answer cannot begin now.

        :raises Postpone: the host it was sent to cannot be asked.
        """
        call = self.operation.call
        if not call or not call['session']:
            return
        try:
            target = self.held.read(
                lambda connection: db_hosts.get(connection, call['target'])
            )
        except exception.HostNotFound as exc:
            raise outcomes.Postpone(
                reason=f'A call sent to host {call["target"]} may still '
                'take effect, and it cannot be asked: it is not registered '
                'any more.'
            ) from exc
        accounts: list[records.Aggregate | None] = [None]
        aggregate = self.aggregate()
        other = target.credential != aggregate.credential
        if other and connections.may_have(target, aggregate):
            accounts.append(aggregate)
        self._end_session(target, call['session'], accounts)
        self.note(call={**call, 'session': None})

    def _end_session(
        self,
        target: records.Host,
        uuid: str,
        accounts: Sequence[records.Aggregate | None],
    ) -> None:
        """:param accounts: to log in with, see ``Connector.login``."""
        reason: failures.HostError | None = None
        for aggregate in accounts:
            try:
                session = self.connector.login(target, aggregate)
                try:
                    session.end_other(uuid)
                finally:
                    session.close()
            except failures.HostError as exc:
                # A slave's xapi has restarted since: no session survived.
                if exc.code == 'HOST_IS_SLAVE':
                    return
                reason = exc
            else:
                return
        raise outcomes.Postpone(
            reason=f'A call sent to host {target.name} may still take '
            f'effect, and it cannot be asked: {reason}',
            code=reason.code if reason else 'RETRY',
        )


def wait_for_pool(others: Collection[str]) -> str:
    """The step of a join or eject that others hold up inside xapi."""
    names = ', '.join(sorted(others))
    return f'waiting for another operation in the pool: {names}'[:255]


def await_joins(run: Run, host: str | None = None) -> None:
    """Let an operation wait for joins that may still come about.

    Those that rest after an answer was lost are among them.

    :param host: only those of one host.
    :raises outcomes.Waiting: there is one.
    """
    for other in run.held.read(
        lambda connection: db_operations.get_all(
            connection,
            run.aggregate_id,
            states=('running', 'unresolved'),
            kinds=('add_host',),
        )
    ):
        open_ = other.state == 'unresolved' or other.parameters.get('sent')
        if open_ and host in (None, other.host):
            raise outcomes.Waiting(
                reason=f'The join of host {other.host} (operation '
                f'{other.uuid}) is {other.state} and may still come about; '
                'this waits until it is known, or reset.'
            )


def await_moves(run: Run) -> None:
    """Let an operation wait for guests that move, before it sends anything.

    Whatever starts a toolstack meanwhile leaves records that lie
    (design#moves). A removal by force does not wait: its host may be dead,
    and the move with it.

    :raises outcomes.Waiting: there is one.
    """
    operation = run.operation
    if operation.kind not in db_operations.STRUCTURAL or run.changed:
        return
    if operation.parameters.get('force'):
        return
    open_, _now = run.held.read(
        lambda connection: db_moves.open_of(connection, run.aggregate_id)
    )
    moving = [move for move in open_ if move.is_under_way]
    if moving:
        names = text.listed(f'"{move.guest_name}"' for move in moving)
        raise outcomes.Waiting(
            reason=f'Guests are on the move: {names}. This begins when they '
            'have arrived; one that is unresolved says in its migration what '
            'it needs.',
            parameters=[FOR_MOVES],
        )
