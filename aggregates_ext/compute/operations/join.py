"""Joining a host to the pool: sent once, then judged by evidence.

Every decision is taken on what both sides show, never on what a call
returned: a crash, a lost answer or a second service leads to the same
looks and the same verdicts (design#joined, xapi#join).
"""

import contextlib

from oslo_log import log as logging

from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.operations import halfjoin
from aggregates_ext.compute.operations import pool
from aggregates_ext.compute.operations import verdicts
from aggregates_ext.compute.rules.joining import requirements
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.rules.joining import trust
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import records

LOG = logging.getLogger(__name__)

# What a join itself is on the pool, as far as can be told
# (xapi#pool-operations).
JOINING = frozenset(
    {
        'exchange_certificates_on_join',
        'exchange_ca_certificates_on_join',
        'exchange_crls_on_join',
    }
)


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
    hosts = masters.bound(run)
    with contextlib.closing(
        views.Probe(run.connector, host, views.JOIN_CALL)
    ) as joiner:
        answer = joiner.look()
        _check_login(run, answer)
        if answer.pool and answer.pool.uuid == aggregate.pool_uuid:
            pool.add_first_host(run)
            return
        # One that was sent is followed: the last member waits for it to leave.
        if not run.sent and not any(h.phase == 'member' for h in hosts):
            raise outcomes.Waiting(
                reason='The first host of the aggregate is not known to '
                'have founded the pool yet; this one waits for it.'
            )
        with masters.of_run(run, aggregate, hosts) as master:
            _Join(run, host, joiner, master).follow()


def _check_login(run: compute_run.Run, answer: views.Answer) -> None:
    """Do not look again and again with a password that was refused.

    Hosts count that (xapi#operator-fault-14).

    :raises outcomes.Failed: nothing was sent.
    :raises outcomes.Postpone: something was: after a while.
    """
    if answer.code not in codes.LOGIN_REFUSED:
        return
    said = f'Host {run.host_name} {answer.describe()}. {answer.remedy}'
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
        last: verdicts.Verdict | None = None
        since = 0.0
        while True:
            seen = self._look()
            verdict = verdicts.judge(seen)
            if verdict is verdicts.Verdict.FAILED and not run.sent:
                # The task of an earlier operation; it is removed on sending.
                verdict = verdicts.Verdict.NOTHING
            now = run.clock.monotonic()
            if verdict is not last:
                last, since = verdict, now
            if verdict is verdicts.Verdict.JOINED:
                pool.become_member(
                    run, self._master.session.credential.name, seen.pool
                )
                return
            if self._may_send(verdict, now - since):
                self._send()
                last = None
            else:
                self._consider(seen, verdict, now - since)
            run.clock.sleep(run.options.watch_interval)

    def _look(self) -> verdicts.Seen:
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
        return verdicts.Seen(view, view.hosts.get(self._uuid), answer)

    def _may_send(self, verdict: verdicts.Verdict, lasting: float) -> bool:
        """Whether a join is due: after a call of ours two looks must agree.

        :raises outcomes.Failed: it is due, and the time is over.
        """
        run = self._run
        if verdict is not verdicts.Verdict.NOTHING:
            return False
        halfjoin.finish(run)
        if run.sent and lasting < run.options.watch_interval:
            return False
        if run.elapsed() >= run.options.join_timeout:
            raise outcomes.Failed(
                'TIMEOUT',
                f'Host {self._host.name} could not be joined within '
                f'{run.options.join_timeout:.0f} s. It is its own pool.',
                remedy='Look at what it does ("xe task-list" on it), then '
                'repeat the join with the action retry_operation.',
            )
        return True

    def _consider(
        self, seen: verdicts.Seen, verdict: verdicts.Verdict, lasting: float
    ) -> None:
        """Act on a verdict that is not the end, or not a good one.

        :param lasting: seconds for which the verdict has been the same.
        """
        run = self._run
        if verdict is verdicts.Verdict.NOTHING:
            # A second look has to agree.
            return
        if verdict is verdicts.Verdict.FAILED:
            self._fail(seen)
        if verdict is verdicts.Verdict.HALF:
            if lasting >= run.options.confirm_interval:
                halfjoin.end(run, self._host, self._master, seen, lasting)
            return
        overdue = run.elapsed() >= run.options.join_timeout
        stuck = (
            verdict is verdicts.Verdict.FUSE
            and lasting >= run.options.fuse_wait
        )
        if not run.sent:
            self._check_unsent(seen, verdict, overdue)
        elif overdue or stuck:
            raise outcomes.Unresolved(
                'UNRESOLVED',
                f'Whether host {self._host.name} joins is not known after '
                f'{run.elapsed():.0f} s: {seen.describe()} It is looked at '
                'again with each observation; if it needs help, repair it '
                'and use the action reset to say what became of it.',
            )
        _note_progress(run, seen, verdict)

    def _check_unsent(
        self, seen: verdicts.Seen, verdict: verdicts.Verdict, overdue: bool
    ) -> None:
        """What keeps a join from being sent.

        :raises outcomes.Failed: for a reason that stays.
        :raises outcomes.Postpone: others need not wait for this host.
        """
        name = self._host.name
        code, parameters = seen.joiner.code, seen.joiner.parameters
        if verdict is verdicts.Verdict.ELSEWHERE:
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
                seen.joiner.remedy
                or 'Look at what it does, then repeat the join with the '
                'action retry_operation.',
            )
        if seen.joiner.role != 'master':
            said = f'Host {name} {seen.joiner.describe()}. '
            said += seen.joiner.remedy
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
            facts = self._check(session, run.connector.enables_tls)
            if trust.is_tls_due(facts):
                self._enable_tls(session)
                facts = self._check(session, False)
            account = self._master.session.credential
            run.note(step='joining', progress=10)
            run.change(
                session,
                f'Async.{views.JOIN_CALL}',
                facts.master.master['address'],
                account.username,
                account.password,
                check=lambda: views.forget_tasks(session, views.JOIN_CALL),
            )

    def _check(
        self, session: xenapi.Session, enables_tls: bool
    ) -> sides.Sides:
        """Read both sides, and judge what was read.

        :raises outcomes.Failed: with every reason.
        :raises outcomes.Postpone: all of them pass by themselves.
        """
        run, host = self._run, self._host
        facts = sides.Sides(
            *sides.read_sides(session, self._master.session), enables_tls
        )
        own = facts.joiner.master
        # A name or an address may lead to another machine by now.
        run.learn(host, own['uuid'], own['address'])
        report = requirements.check_join(facts)
        if report.blockers:
            raise outcomes.refuse(
                f'Host {host.name} cannot join the pool of aggregate '
                f'{run.aggregate_id}:',
                report,
            )
        return facts

    def _enable_tls(self, session: xenapi.Session) -> None:
        """Switch on at the host what an eject has switched off.

        It changes the host's own pool and no other, and nothing is to be
        seen of it there beside: whatever becomes of the call, the next look
        tells whether it is still due.
        """
        run = self._run
        known = {'changed': run.changed, 'tls_verification': 'enabled'}
        run.note(step='switching TLS verification on at the host', progress=8)
        run.change(session, trust.ENABLE_TLS, known=lambda connection: known)
        LOG.info('Host %s: TLS verification is on', self._host.name)

    def _fail(self, seen: verdicts.Seen) -> None:
        """End a join by what the joiner's own task says of it.

        :raises outcomes.Failed: for a reason that does not heal.
        :raises outcomes.Postpone: for one that may.
        """
        error = halfjoin.find_error(self._run, seen)
        failure = halfjoin.explain(self._run, error or ['TASK_CANCELLED'])
        if isinstance(failure, outcomes.Postpone):
            self._run.note(
                call=None,
                parameters={**self._run.operation.parameters, 'sent': False},
            )
        raise failure


def _note_progress(
    run: compute_run.Run, seen: verdicts.Seen, verdict: verdicts.Verdict
) -> None:
    """Tell in words how far it is; it never goes back."""
    reached = _reached(seen, verdict)
    if reached and reached[1] >= run.operation.progress:
        run.note(step=reached[0], progress=reached[1])


def _reached(
    seen: verdicts.Seen, verdict: verdicts.Verdict
) -> tuple[str, int] | None:
    """Step and progress (xapi#join-timeline); None: nothing new."""
    if verdict is verdicts.Verdict.FUSE:
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
