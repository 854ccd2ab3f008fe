"""Joining a host to the pool: sent once, then judged by evidence.

Every decision is taken on what both sides show, never on what a call
returned: a crash, a lost answer or a second service leads to the same
looks and the same verdicts (design#joined, xapi#join).
"""

import contextlib
import dataclasses
import enum

from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.operations import pool
from aggregates_ext.compute.rules.joining import requirements
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import text
from aggregates_ext.db import addresses
from aggregates_ext.db import records

# What a join itself is on the pool, as far as can be told
# (xapi#pool-operations).
JOINING = frozenset(
    {
        'exchange_certificates_on_join',
        'exchange_ca_certificates_on_join',
        'exchange_crls_on_join',
    }
)


class Verdict(enum.Enum):
    """What a look at both sides says of a join."""

    JOINED = 'joined'
    WAIT = 'wait'
    FUSE = 'fuse'
    FAILED = 'failed'
    NOTHING = 'nothing'
    HALF = 'half'
    ELSEWHERE = 'elsewhere'


@dataclasses.dataclass(frozen=True)
class Seen:
    """Both sides of a join at one moment.

    :ivar listed: the joining host as the pool's master lists it.
    :ivar joiner: what it answers at its own address.
    """

    pool: views.PoolView
    listed: views.HostView | None
    joiner: views.Answer

    def describe(self) -> str:
        """Both sides in words, for whoever has to decide."""
        return (
            f'{views.describe_listing(self.pool, self.listed)} '
            f'The host itself {self.joiner.describe()}.'
        )


def judge(seen: Seen) -> Verdict:
    """The verdict on one look (design#joined, design#half-joined).

    NOTHING and HALF hold only when a second look agrees.
    """
    listed, joiner = seen.listed, seen.joiner
    if joiner.role == 'slave':
        there = addresses.same(joiner.detail, seen.pool.master.address)
        if listed is None:
            return Verdict.WAIT if there else Verdict.ELSEWHERE
        up = listed.live and listed.enabled
        return Verdict.JOINED if there and up else Verdict.WAIT
    if joiner.role != 'master':
        return Verdict.WAIT
    return _judge_master(listed is not None, joiner.tasks)


def _judge_master(listed: bool, tasks: tuple[views.Task, ...]) -> Verdict:
    """The joiner still serves as its old self: its task list tells."""
    states = {task.status for task in tasks}
    if states & views.RUNNING:
        return Verdict.WAIT
    if 'success' in states:
        return Verdict.FUSE
    if listed:
        return Verdict.HALF
    if states & {'failure', 'cancelled'}:
        return Verdict.FAILED
    return Verdict.NOTHING


def add_host(run: compute_run.Run) -> None:
    """Make a host a member of the pool, or found the pool with it.

    :raises outcomes.Failed: it is not a member, and nothing is left.
    :raises outcomes.Unresolved: what became of it is not known.
    :raises outcomes.Postpone: to be tried again.
    """
    run.end_recorded_session()
    aggregate = run.aggregate()
    host = run.host()
    if aggregate.pool_uuid is None:
        if run.sent:
            raise outcomes.Postpone(
                reason=f'Host {host.name} was sent to join a pool that the '
                'aggregate no longer has.'
            )
        pool.add_first_host(run)
        return
    hosts = masters.all_hosts(run)
    with contextlib.closing(
        views.Probe(run.connector, host, views.JOIN_CALL)
    ) as joiner:
        answer = joiner.look()
        _check_login(run, answer)
        if answer.pool and answer.pool.uuid == aggregate.pool_uuid:
            pool.add_first_host(run)
            return
        # One that was sent is followed: the last member waits for it to leave.
        if not run.sent and not any(
            h.phase == 'member' and h.aggregate_id == aggregate.id
            for h in hosts
        ):
            raise outcomes.Waiting(
                reason='The first host of the aggregate is not known to '
                'have founded the pool yet; this one waits for it.'
            )
        with masters.master_of(run.connector, aggregate, hosts) as master:
            _Join(run, host, joiner, master).follow()


def _check_login(run: compute_run.Run, answer: views.Answer) -> None:
    """Do not look again and again with a password that was refused.

    Hosts count that (xapi#operator-fault-14).

    :raises outcomes.Failed: nothing was sent.
    :raises outcomes.Postpone: something was: after a while.
    """
    if answer.code not in codes.LOGIN_REFUSED:
        return
    said = f'Host {run.host_name} {answer.describe()}.'
    if run.sent:
        raise outcomes.Postpone(
            reason=said, code=answer.code, parameters=answer.parameters
        )
    raise outcomes.Failed(answer.code, said, list(answer.parameters))


class _Join:
    """One join, looked at from both sides until its outcome is known."""

    def __init__(
        self,
        run: compute_run.Run,
        host: records.Host,
        joiner: views.Probe,
        master: masters.Master,
    ) -> None:
        self._run = run
        self._host = host
        self._uuid = host.uuid or ''
        self._joiner = joiner
        self._master = master

    def follow(self) -> None:
        """Look until the host is a member; send the join when none runs."""
        run = self._run
        last: Verdict | None = None
        since = 0.0
        while True:
            seen = self._look()
            verdict = judge(seen)
            if verdict is Verdict.FAILED and not run.sent:
                # The task of an earlier operation; it is removed on sending.
                verdict = Verdict.NOTHING
            now = run.clock.monotonic()
            if verdict is not last:
                last, since = verdict, now
            if verdict is Verdict.JOINED:
                pool.become_member(run, self._master.session.credential.name)
                return
            if self._may_send(verdict, now - since):
                self._send()
                last = None
            else:
                self._consider(seen, verdict, now - since)
            run.clock.sleep(run.options.watch_interval)

    def _look(self) -> Seen:
        # The joiner first: once its task is seen to have ended, what the
        # master lists after that is all that the join has left there.
        answer = self._joiner.look()
        _check_login(self._run, answer)
        if answer.pool is not None:
            # Before anything is concluded: it may be another machine, or
            # share its uuid with a registered one.
            self._uuid = answer.pool.master.uuid
            self._host = self._run.learn(
                self._host, self._uuid, answer.pool.master.address
            )
        view = self._master.look()
        return Seen(view, view.hosts.get(self._uuid), answer)

    def _may_send(self, verdict: Verdict, lasting: float) -> bool:
        """Whether a join is due: after a call of ours two looks must agree.

        :raises outcomes.Failed: it is due, and the time is over.
        """
        run = self._run
        if verdict is not Verdict.NOTHING:
            return False
        if run.sent and lasting < run.options.watch_interval:
            return False
        if run.elapsed() >= run.options.join_timeout:
            raise outcomes.Failed(
                'TIMEOUT',
                f'Host {self._host.name} could not be joined within '
                f'{run.options.join_timeout:.0f} s. It is its own pool.',
            )
        return True

    def _consider(self, seen: Seen, verdict: Verdict, lasting: float) -> None:
        """Act on a verdict that is not the end, or not a good one.

        :param lasting: seconds for which the verdict has been the same.
        """
        run = self._run
        if verdict is Verdict.NOTHING:
            # A second look has to agree.
            return
        if verdict is Verdict.FAILED:
            self._fail(seen)
        if verdict is Verdict.HALF:
            if lasting >= run.options.confirm_interval:
                self._end_half(seen)
            return
        overdue = run.elapsed() >= run.options.join_timeout
        stuck = verdict is Verdict.FUSE and lasting >= run.options.fuse_wait
        if not run.sent:
            self._check_unsent(seen, verdict, overdue)
        elif overdue or stuck:
            raise outcomes.Unresolved(
                'UNRESOLVED',
                f'Whether host {self._host.name} joins is not known after '
                f'{run.elapsed():.0f} s. {seen.describe()} It is looked at '
                'again with each observation; if it needs help, repair it '
                'and use the action reset to say what became of it.',
            )
        _note_progress(run, seen, verdict)

    def _check_unsent(
        self, seen: Seen, verdict: Verdict, overdue: bool
    ) -> None:
        """What keeps a join from being sent.

        :raises outcomes.Failed: for a reason that stays.
        :raises outcomes.Postpone: others need not wait for this host.
        """
        name = self._host.name
        code, parameters = seen.joiner.code, seen.joiner.parameters
        if verdict is Verdict.ELSEWHERE:
            raise outcomes.Failed(
                'HOST_IS_SLAVE',
                f'Host {name} already belongs to a pool led by '
                f'{seen.joiner.detail}. Eject it there first.',
                [seen.joiner.detail],
            )
        if overdue:
            raise outcomes.Failed(
                'TIMEOUT',
                f'Host {name} could not be joined within '
                f'{self._run.options.join_timeout:.0f} s. {seen.describe()}',
                [code, *parameters] if code else [],
            )
        if seen.joiner.role != 'master':
            said = f'Host {name} {seen.joiner.describe()}.'
            if code and not codes.passes(code, parameters):
                raise outcomes.Failed(code, said, list(parameters))
            raise outcomes.Postpone(
                reason=said, code=code or 'RETRY', parameters=parameters
            )

    def _send(self) -> None:
        """Check both sides, then send the join from the joiner's own session.

        Never while the master lists the host: a second join in the window
        "succeeds" and duplicates interfaces (xapi#join-odd-cases).
        """
        run, host = self._run, self._host
        run.note(step='checking the host', progress=5)
        with contextlib.closing(run.connector.login(host)) as session:
            joiner, master = sides.read_sides(session, self._master.session)
            # A name or an address may lead to another machine by now.
            run.learn(host, joiner.master['uuid'], joiner.master['address'])
            report = requirements.check_join(joiner, master)
            if report.blockers:
                raise outcomes.refuse(
                    f'Host {host.name} cannot join the pool of aggregate '
                    f'{run.aggregate_id}:',
                    report,
                )
            views.forget_tasks(session, views.JOIN_CALL)
            account = self._master.session.credential
            run.note(step='joining', progress=10)
            run.change(
                session,
                f'Async.{views.JOIN_CALL}',
                master.master['address'],
                account.username,
                account.password,
            )

    def _fail(self, seen: Seen) -> None:
        """End a join by what the joiner's own task says of it.

        :raises outcomes.Failed: for a reason that does not heal.
        :raises outcomes.Postpone: for one that may.
        """
        failure = _failure(self._run, seen)
        if isinstance(failure, outcomes.Postpone):
            with contextlib.closing(
                self._run.connector.login(self._host)
            ) as session:
                views.forget_tasks(session, views.JOIN_CALL)
            self._run.note(
                call=None,
                parameters={**self._run.operation.parameters, 'sent': False},
            )
        raise failure

    def _end_half(self, seen: Seen) -> None:
        """End a join that stopped half-way; never a record of others.

        :raises outcomes.Failed: what it had left is removed, or is not
            this operation's to remove.
        """
        if not self._run.sent:
            raise outcomes.Failed(
                'STALE_RECORD',
                f'{seen.describe()} No join of this operation was sent, so '
                'the record is left from an earlier attempt, or made by '
                f'hand. Remove it with {self._forget()}, then repeat the '
                'request.',
            )
        self._clean_up(seen)

    def _forget(self) -> str:
        return text.command('xe', 'host-forget', f'uuid={self._uuid}')

    def _clean_up(self, seen: Seen) -> None:
        """Remove the dead record of a half-done join from the pool.

        :raises outcomes.Failed: the reason of the join, when it is done.
        :raises outcomes.Unresolved: the master keeps the record.
        """
        run, host = self._run, self._host
        run.note(step='removing a half-done join from the pool')
        with contextlib.closing(self._master.login()) as session:
            ref = seen.listed.ref if seen.listed else ''
            try:
                run.change(session, 'host.destroy', ref)
            except outcomes.Failed as exc:
                raise outcomes.Unresolved(
                    'HALF_JOINED',
                    f'The join of host {host.name} was left half-done. '
                    f'{seen.describe()} Its record could not be removed: '
                    f'{exc} Restart the toolstack of the host, remove the '
                    f'record with {self._forget()} and use the action reset.',
                    exc.error,
                ) from exc
        if any(task.error for task in seen.joiner.tasks):
            raise _failure(run, seen)
        raise outcomes.Failed(
            'HALF_JOINED',
            f'The join of host {host.name} stopped half-way; what it had '
            'left in the pool is removed, and the host is its own pool '
            'again. Its storage may have to be plugged again: restart its '
            'toolstack.',
        )


def _failure(run: compute_run.Run, seen: Seen) -> Exception:
    """What the joiner's own task says of a join that failed."""
    sent = (run.operation.call or {}).get('task')
    ended = [task for task in seen.joiner.tasks if task.status != 'success']
    task = next((t for t in ended if t.ref == sent), ended[-1])
    code, *parameters = task.error or ('TASK_CANCELLED',)
    if code in codes.LOGIN_REFUSED:
        return outcomes.Failed(
            code,
            f'Host {run.host_name} could not log in to the master of the '
            'pool with the account that the pool has in the configuration. '
            'Correct its credential, send the compute services SIGHUP, then '
            'repeat the request.',
            parameters,
        )
    return outcomes.translate(
        failures.XenAPIError(run.host_name, code, tuple(parameters))
    )


def _note_progress(run: compute_run.Run, seen: Seen, verdict: Verdict) -> None:
    """Tell in words how far it is; it never goes back."""
    reached = _reached(seen, verdict)
    if reached and reached[1] >= run.operation.progress:
        run.note(step=reached[0], progress=reached[1])


def _reached(seen: Seen, verdict: Verdict) -> tuple[str, int] | None:
    """Step and progress (xapi#join-timeline); None: nothing new."""
    if verdict is Verdict.FUSE:
        return 'joined, xapi of the host restarts soon', 40
    if seen.listed is None:
        others = set(seen.pool.operations.values()) - JOINING
        if others:
            return compute_run.wait_for_pool(others), 20
        return 'the host copies its records', 20
    if seen.joiner.role == 'slave' and seen.listed.live:
        return 'the host attaches its storage', 80
    if seen.joiner.role != 'master':
        return 'the host starts as a slave', 60
    return None
