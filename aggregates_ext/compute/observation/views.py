"""What is seen of hosts and pools, read in a fixed number of calls."""

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

from aggregates_ext.compute.observation import rolls
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import records

MARK = 'aggregates-ext:aggregate'
# What stands for a mark that cannot be read.
UNKNOWN = 'unknown'
LOOK_TIMEOUT = 5.0
JOIN_CALL = 'pool.join'
# The states of a task that has not ended.
RUNNING = frozenset({'pending', 'cancelling'})
# Answers of a xapi that runs and is not yet, or not any more, in order
# (xapi#emergency).
STARTING_CODES = frozenset(
    {
        'HOST_STILL_BOOTING',
        'HOST_HAS_NO_MANAGEMENT_IP',
        'HOST_ITS_OWN_SLAVE',
        'HOST_MASTER_CANNOT_TALK_BACK',
        'HOST_UNKNOWN_TO_MASTER',
        'HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR',
        'HOST_BROKEN',
        'HOST_IN_EMERGENCY_MODE',
        'HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED',
    }
)


HostView = rolls.HostView


@dataclasses.dataclass(frozen=True)
class PoolView:
    """A pool as its master shows it.

    :ivar operations: what is under way on the pool, task -> operation;
        others wait for it inside xapi, up to two hours (xapi#pool-operations).
    :ivar odd: what was answered and is not known, therefore.
    """

    ref: str
    uuid: str
    name_label: str | None
    mark: str | None
    master: HostView
    hosts: rolls.Roll
    operations: dict[str, str] = dataclasses.field(default_factory=dict)
    odd: tuple[rolls.Oddity, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """To be kept, and shown by ``GET /os-aggregates/{id}/pool``."""
        return {
            'name_label': self.name_label,
            'master': self.master.uuid,
            'started': self.master.agent_start_time,
            'hosts': [
                {
                    'uuid': host.uuid,
                    'name_label': host.name_label,
                    'address': host.address or None,
                    'enabled': host.enabled,
                    'live': host.live,
                    'xencenter_maintenance': host.is_in_maintenance,
                    'version': host.version,
                    'vcpus': host.processors,
                    'memory': host.memory,
                    'memory_free': host.memory_free,
                }
                for host in sorted(self.hosts.values(), key=lambda h: h.uuid)
            ],
            # Most hosts wait for nothing, and are not among them.
            'waiting': {
                host.uuid: {
                    'guidances': host.guidances,
                    'reboot': host.needs_reboot,
                }
                for host in self.hosts.values()
                if not host.is_done
            },
        }


@dataclasses.dataclass(frozen=True)
class Task:
    """An asynchronous call in a host's task list."""

    ref: str
    call: str
    status: str
    progress: float
    error: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Answer:
    """How a host answers a login at its own address.

    :ivar role: master, slave, starting, refused or silent.
    :ivar detail: the master's address for a slave, else what was said.
    :ivar code: why there was no look: of XenAPI, or one of ours.
    :ivar pool: its pool, where it is a master.
    :ivar remedy: what to do about that, in sentences.
    """

    role: str
    detail: str = ''
    pool: PoolView | None = None
    tasks: tuple[Task, ...] = ()
    code: str = ''
    parameters: tuple[str, ...] = ()
    remedy: str = ''

    @property
    def strange(self) -> bool:
        """Whether no slave would answer so.

        A slave answers HOST_IS_SLAVE to any password (xapi#login), and has
        the certificate that it had: an eject makes a new one.
        """
        return (
            self.role == 'master'
            or self.code in codes.LOGIN_REFUSED
            or self.code == failures.OtherCertificate.code
        )

    def describe(self) -> str:
        """One clause for messages."""
        if self.role == 'master' and self.pool is not None:
            return (
                f'answers as the master of pool {self.pool.uuid} '
                f'with {len(self.pool.hosts)} host(s)'
            )
        if self.role == 'slave':
            return f'answers as a slave of {self.detail}'
        if self.role == 'starting':
            return f'is starting ({self.detail})'
        return f'does not let us look ({self.detail.rstrip(".")})'


def unmark(pool: PoolView) -> str:
    """The command that takes the mark off a pool."""
    return text.command(
        'xe',
        'pool-param-remove',
        f'uuid={pool.uuid}',
        'param-name=other-config',
        f'param-key={MARK}',
    )


def describe_listing(pool: PoolView, listed: HostView | None) -> str:
    """What a master says of a host, as one sentence for messages."""
    if listed is None and pool.hosts.unnamed:
        return (
            f'The master of pool {pool.uuid} lists hosts that cannot be told '
            'apart; the host may be one of them.'
        )
    if listed is None:
        return f'The master of pool {pool.uuid} does not list the host.'
    return (
        f'The master of pool {pool.uuid} lists the host with '
        f'live={listed.live} and enabled={listed.enabled}.'
    )


def pool_view(
    session: xenapi.Session,
    pools: dict[str, Any] | None = None,
    lenient: bool = False,
) -> PoolView:
    """The pool of a master: three calls, whatever its size.

    :param pools: the pool records, if they have just been read.
    :param lenient: for a look on which nothing is built: whose pool it is,
        and what runs in it, need not be known.
    :raises OddAnswer: what is needed is not known.
    """
    found = session.records('pool') if pools is None else pools
    pool_ref, pool = fields.only(session.host, 'pool', found)
    hosts, roll, odd = rolls.read(session)
    notes: list[str] = []
    name_label = fields.collect(pool, 'name_label', None, notes)
    if lenient:
        config = fields.collect(pool, 'other_config', None, notes)
        running = fields.collect(pool, 'current_operations', {}, notes)
    else:
        config, running = pool['other_config'], pool['current_operations']
    if config is None:
        config = {MARK: UNKNOWN}
    master = hosts.get(pool['master'])
    if master is None or roll.find(master.uuid) is not master:
        raise failures.OddAnswer(
            host=session.host,
            what=f'the master of {fields.called(pool, "pool")} is none of the '
            f'{len(hosts)} hosts that are listed with a uuid',
        )
    return PoolView(
        ref=pool_ref,
        uuid=pool['uuid'],
        name_label=name_label,
        mark=config.get(MARK),
        master=master,
        hosts=roll,
        operations=dict(running),
        odd=(*map(rolls.Oddity, notes), *odd),
    )


def tasks(session: xenapi.Session, call: str) -> tuple[Task, ...]:
    """The asynchronous runs of one call that the host still lists.

    :raises OddAnswer: a task may be one of them, or may run, or not.
    """
    return tuple(
        Task(
            ref=ref,
            call=task['name_label'],
            status=task['status'],
            progress=fields.collect(task, 'progress', 0.0, []),
            error=_error(session, task),
        )
        for ref, task in session.records('task').items()
        if task['name_label'] == f'Async.{call}'
    )


def _error(
    session: xenapi.Session, task: Mapping[str, Any]
) -> tuple[str, ...]:
    """Code and parameters of what went wrong; nothing where nothing did."""
    try:
        details = task['error_info']
    except failures.OddAnswer as exc:
        return exc.code, exc.what
    if not details:
        return ()
    found = session.read_failure(details)
    return (found.code, *found.parameters)


def forget_tasks(session: xenapi.Session, *calls: str) -> None:
    """Remove ended runs of calls, which would be taken for the next ones.

    :param session: that of the record of the next one: who is frozen here
        removes none of whoever has taken over, and ended it
        (design#sent-calls).
    """
    for call in calls:
        for task in tasks(session, call):
            if task.status not in RUNNING:
                session.call('task.destroy', task.ref)


class Probe:
    """Looks at one host again and again, on one session while it lasts.

    :param call: the call whose tasks are of interest.
    """

    def __init__(
        self, connector: connections.Connector, host: records.Host, call: str
    ) -> None:
        self._connector = connector
        self._host = host
        self._call = call
        self._session: xenapi.Session | None = None

    def look(self) -> Answer:
        """How the host answers now; never raises for what a host does."""
        try:
            if self._session is None:
                self._session = self._connector.login(
                    self._host, timeout=LOOK_TIMEOUT
                )
            return Answer(
                'master',
                pool=pool_view(self._session),
                tasks=tasks(self._session, self._call),
            )
        except failures.XenAPIError as exc:
            ended = self._session is not None
            self.close()
            if ended and exc.code in ('SESSION_INVALID', 'HOST_IS_SLAVE'):
                return self.look()
            return _refusal(exc)
        except (failures.Unreachable, failures.AnswerLost) as exc:
            self.close()
            return _answer('silent', exc)
        except failures.HostError as exc:
            self.close()
            return _answer('refused', exc)

    def close(self) -> None:
        """Log out."""
        if self._session is not None:
            session, self._session = self._session, None
            session.close()


def _refusal(exc: failures.XenAPIError) -> Answer:
    if exc.code == 'HOST_IS_SLAVE':
        try:
            return Answer('slave', failures.named_master(exc))
        except failures.OddAnswer as odd:
            return _answer('refused', odd)
    if exc.code in STARTING_CODES:
        return dataclasses.replace(_answer('starting', exc), detail=exc.code)
    return _answer('refused', exc)


def _answer(role: str, exc: failures.HostError) -> Answer:
    """What a host is, of which no more is known than a failure tells."""
    return Answer(
        role,
        exc.said.rstrip('.'),
        code=exc.code,
        parameters=exc.parameters,
        remedy=exc.way_out,
    )


def ask(
    connector: connections.Connector,
    host: records.Host,
    aggregate: records.Aggregate | None,
) -> Answer:
    """How a host answers a bare login: a slave before there is a session.

    :param aggregate: with the account of its pool; None: the host's own.
    """
    try:
        session = connector.login(host, aggregate, LOOK_TIMEOUT)
        with contextlib.closing(session):
            return Answer('master', pool=pool_view(session))
    except failures.XenAPIError as exc:
        return _refusal(exc)
    except (failures.Unreachable, failures.AnswerLost) as exc:
        return _answer('silent', exc)
    except failures.HostError as exc:
        return _answer('refused', exc)


def look(
    connector: connections.Connector, host: records.Host, call: str
) -> Answer:
    """Look at a host once."""
    probe = Probe(connector, host, call)
    try:
        return probe.look()
    finally:
        probe.close()
