"""Watching a change of master until its outcome is known.

The verdict comes from what the old and the new master answer at their own
addresses, never from what the call returned (design#change-of-master,
xapi#change-of-master).
"""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from oslo_log import log as logging

from aggregates_ext.compute.mastership import designations
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import codes
from aggregates_ext.db import addresses
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine

LOG = logging.getLogger(__name__)
# The pool operation that runs as long as the call does.
RUNNING = 'designate_new_master'
# Seconds between two looks with a password that a host refuses.
REFUSED_PAUSE = 60.0


@dataclasses.dataclass(frozen=True)
class Seen:
    """Both sides of a change of master at one moment.

    :ivar target: what the new master answers at its own address.
    :ivar former: what the old one answers.
    """

    target: views.Answer
    former: views.Answer

    def has_moved(self, pool_uuid: str | None, target_uuid: str) -> bool:
        """Whether the new one is the master, and the old one is not."""
        view = self.target.pool
        return (
            view is not None
            and view.uuid == pool_uuid
            and view.master.uuid == target_uuid
            and self.former.role != 'master'
        )

    def is_as_before(self, pool_uuid: str | None) -> bool:
        """Whether the old one is the master still, and nothing runs."""
        view = self.former.pool
        return (
            view is not None
            and view.uuid == pool_uuid
            and RUNNING not in view.operations.values()
            and self.target.role == 'slave'
            and addresses.same(self.target.detail, view.master.address)
        )


class Watch:
    """What becomes of a change of master that was sent.

    :param target: the new master.
    """

    def __init__(self, run: compute_run.Run, target: records.Host) -> None:
        self._run = run
        self._target = target
        self._pool_uuid = run.aggregate().pool_uuid
        self._back: set[str] = set()
        self._before_since: float | None = None
        self._locked_out = False
        self._ended = False
        self._fenced_at: float | None = None
        self._began = run.clock.monotonic()
        if run.operation.state == 'unresolved':
            now = run.held.clock()
            self._began -= now - designations.sent(run).get('at', now)

    @property
    def pause(self) -> float:
        """Seconds until the next look: hosts count logins that fail."""
        interval = float(self._run.options.watch_interval)
        return max(interval, REFUSED_PAUSE) if self._locked_out else interval

    def look(self) -> list[str] | None:
        """Look once.

        :returns: names of the members that are not back, when the change is
            done; None: look again, or send again if nothing is open.
        :raises outcomes.Failed: nothing has happened.
        :raises outcomes.Unresolved: the time is over.
        """
        self._locked_out = False
        fenced = self._fence()
        seen = self._see()
        if seen.has_moved(self._pool_uuid, str(self._target.uuid)):
            late = self._late(seen)
            if not late or self._is_over():
                return self._conclude(seen, late)
            self._run.note(step='the members come back', progress=30)
        elif fenced and seen.is_as_before(self._pool_uuid):
            self._consider_nothing(seen)
            return None
        else:
            self._check_time(seen)
        self._before_since = None
        return None

    def _age(self) -> float:
        """Seconds for which the call has been watched.

        By no clock that can be set; so they begin anew with each service
        that takes over. One that is unresolved was watched long enough.
        """
        return float(self._run.clock.monotonic() - self._began)

    def _is_over(self) -> bool:
        return self._age() >= float(self._run.options.master_timeout)

    def _fence(self) -> bool:
        """Make sure that what was sent cannot begin any more."""
        run = self._run
        could_begin = bool((run.operation.call or {}).get('session'))
        try:
            run.end_recorded_session()
        except outcomes.Postpone as exc:
            LOG.debug('Operation %s: %s', run.operation.uuid, exc)
            return False
        self._ended |= could_begin
        if self._fenced_at is None:
            self._fenced_at = run.clock.monotonic()
        return True

    def _is_past(self) -> bool:
        """Whether what had begun before it was fenced would be seen by now.

        It may have been held back, and have begun a moment ago: what counts
        is how long it cannot begin any more.
        """
        run = self._run
        if run.operation.state == 'unresolved':
            # With each observation; the next one is late enough.
            return not self._ended
        now = run.clock.monotonic()
        since = now if self._fenced_at is None else self._fenced_at
        return bool(now - since >= run.options.designate_wait)

    def _consider_nothing(self, seen: Seen) -> None:
        """Nothing has happened: true when the window is over, seen twice."""
        run = self._run
        now = run.clock.monotonic()
        if not self._is_past():
            self._before_since = None
            if run.operation.state == 'unresolved':
                self._check_time(seen)
        elif self._before_since is None:
            self._before_since = now
        elif now - self._before_since >= run.options.watch_interval:
            self._end_nothing(seen)

    def _see(self) -> Seen:
        former = find_host(self._run, designations.sent(self._run)['from'])
        return Seen(
            self._ask(self._target),
            views.Answer('silent', 'it is not registered')
            if former is None
            else self._ask(former),
        )

    def _ask(self, host: records.Host) -> views.Answer:
        answer = views.look(self._run.connector, host, designations.CALL)
        self._locked_out |= answer.code in codes.LOGIN_REFUSED
        return answer

    def _late(self, seen: Seen) -> list[str]:
        """The members that are not back as slaves of the new master.

        A host that was disabled before need not be enabled. Those that have
        been seen back are not asked again.
        """
        view = seen.target.pool
        if view is None:
            return []
        late = []
        for host in masters.bound(self._run):
            if host.uuid in (None, self._target.uuid):
                continue
            listed = view.hosts.get(host.uuid)
            if listed is None:
                continue
            if not self._is_back(host, listed, view.master.address):
                late.append(host.name)
        return late

    def _is_back(
        self, host: records.Host, listed: views.HostView, address: str
    ) -> bool:
        sent = designations.sent(self._run)
        enabled = listed.uuid in sent['enabled']
        # Until it has started anew, what is listed is what the old master
        # left to the new one; the time is 0 where it is not told.
        started = listed.agent_start_time
        stale = started and started == sent['started'].get(listed.uuid)
        if stale or not listed.live or (enabled and not listed.enabled):
            return False
        if host.name not in self._back:
            answer = self._ask(host)
            follows = addresses.same(answer.detail, address)
            if answer.role == 'slave' and follows:
                self._back.add(host.name)
        return host.name in self._back

    def _conclude(self, seen: Seen, late: list[str]) -> list[str]:
        """Write the change down: another host is the master from now on."""
        view = seen.target.pool
        if view is None:
            raise ValueError('a master that shows no pool')
        alarms = {name: self._alarm(name) for name in late}
        write_master(self._run, view, late, alarms)
        LOG.info(
            'Aggregate %s: host %s is the master of pool %s',
            self._run.aggregate_id,
            self._target.name,
            view.uuid,
        )
        for alarm in alarms.values():
            LOG.error('Aggregate %s: %s', self._run.aggregate_id, alarm)
        return late

    def _alarm(self, name: str) -> str:
        return (
            f'Host {name} is not back as an enabled slave '
            f'{self._age():.0f} s after host {self._target.name} was made '
            'the master. Look at it; "xe host-enable uuid=UUID" or a restart '
            'of its toolstack may help.'
        )

    def _check_time(self, seen: Seen) -> None:
        """:raises outcomes.Unresolved: the time is over."""
        if not self._is_over():
            self._run.note(step='the hosts restart', progress=20)
            return
        former = find_host(self._run, designations.sent(self._run)['from'])
        said = designations.sent(self._run).get('said')
        raise outcomes.Unresolved(
            'UNRESOLVED',
            'Who is the master of pool '
            f'{self._pool_uuid} is not known {self._age():.0f} s after the '
            f'change of master was sent. Host {self._target.name}, the new '
            f'one, {seen.target.describe()}; '
            f'{former.name if former else "the old one"}, the old one, '
            f'{seen.former.describe()}.'
            f'{" The call itself said: " + said["message"] if said else ""} '
            'It is looked at again with each observation; if it needs help, '
            'repair it, then use the action reset of host '
            f'{self._run.host_name} with outcome member.',
        )

    def _end_nothing(self, seen: Seen) -> None:
        """Nothing has happened: say so, or send what never arrived.

        :raises outcomes.Failed: with what the call was answered, or
            because the time is over.
        """
        run = self._run
        said = designations.sent(run).get('said')
        designations.forget(run)
        if said is None and run.elapsed() < run.options.master_timeout:
            return
        error = said or {
            'code': 'TIMEOUT',
            'parameters': [],
            'message': 'The change of master had no effect.',
        }
        raise outcomes.Failed(
            error['code'],
            f'{error["message"]} The master is who it was: it '
            f'{seen.former.describe()}, and host {self._target.name} '
            f'{seen.target.describe()}.',
            error['parameters'],
        )


def find_host(run: compute_run.Run, uuid: str) -> records.Host | None:
    """The registered host with a XenServer uuid."""
    found = run.held.read(
        lambda connection: db_hosts.find(connection, uuids=[uuid])
    )
    return found[0] if found else None


def write_master(
    run: compute_run.Run,
    view: views.PoolView,
    late: Sequence[str] = (),
    alarms: Mapping[str, str] | None = None,
) -> None:
    """Write down who is the master from now on.

    :param late: names of the members that are not back.
    :param alarms: sentences on hosts, by name.
    """
    aggregate = run.aggregate()
    last = aggregate.observation or {}

    def work(connection: Any) -> None:
        now = engine.read_clock(connection)
        # Nobody has been asked about the new master: all turns begin anew.
        seen = {
            **view.as_dict(),
            'seen_at': now,
            'turns': {},
            'guests': last.get('guests', {}),
        }
        db_pools.set_master(connection, run.aggregate_id, view.master.uuid)
        db_pools.set_observation(
            connection, run.aggregate_id, seen, aggregate.drift, now
        )
        for name, alarm in (alarms or {}).items():
            db_hosts.update(connection, name, {'alarm': alarm})
        if designations.sent(run):
            known = {
                **designations.sent(run),
                'done': True,
                'late': list(late),
            }
            designations.write(connection, run, known)

    run.write(work)
