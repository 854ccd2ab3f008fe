"""What is switched off while the hosts of a pool are restarted, and on again.

High availability, which would make another host the master, and the start of
halted guests with each boot. What was there is written down before it is
switched off, and given back whatever became of the restart (design#rolling).
"""

from typing import Any

from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import text
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import records

# The parameters of the operation that tell what was on before.
HA = records.Rolling.HA
AUTOSTART = records.Rolling.AUTOSTART
# The parameter that tells since when it is being switched on again.
SINCE = 'resuming'
AUTO_POWERON = 'auto_poweron'
DISABLE = 'pool.disable_ha'
ENABLE = 'pool.enable_ha'
# Seconds that high availability may take to be on again.
HA_WAIT = 900.0
# Looks until there is one at what takes a while.
LOOKS = 4


def suspend(
    run: compute_run.Run, master: masters.Master, suspend_ha: bool
) -> None:
    """Switch off what would disturb, as far as it is on.

    :param suspend_ha: whether high availability may be switched off.
    :raises outcomes.Failed: it is on and may not, or it stays on.
    :raises outcomes.Postpone: it goes off.
    """
    switch = _Switch(run, master)
    if switch.pool['ha_enabled']:
        if not suspend_ha:
            raise outcomes.Failed(
                'HA_ON',
                'High availability is on: another host would become the '
                'master when the master restarts. Ask with "suspend_ha": '
                'true, and it is switched off for the time, and on again.',
            )
        switch.ha_off()
    switch.autostart_off()


def resume(
    run: compute_run.Run, master: masters.Master
) -> list[outcomes.Failed]:
    """Switch on again what was switched off.

    :returns: what is not as it was, why, and what to do about it.
    :raises outcomes.Postpone: it goes on.
    """
    switch = _Switch(run, master)
    lost = []
    for name, work in ((AUTOSTART, switch.autostart_on), (HA, switch.ha_on)):
        if run.operation.parameters.get(name):
            try:
                work()
                run.remember(**{name: None})
            except outcomes.Failed as exc:
                lost.append(_not_restored(run, name, str(exc)))
    return lost


def lost(run: compute_run.Run, why: str) -> list[outcomes.Failed]:
    """What was on before and cannot be given back.

    :param why: what keeps it from that.
    """
    parameters = run.operation.parameters
    names = [name for name in (AUTOSTART, HA) if parameters.get(name)]
    return [_not_restored(run, name, why) for name in names]


def _not_restored(
    run: compute_run.Run, name: str, why: str
) -> outcomes.Failed:
    before = run.operation.parameters[name]
    if name == AUTOSTART:
        return outcomes.Failed(
            'AUTOSTART_NOT_RESTORED',
            f'No boot of a host starts guests, as it did before. {why} Set '
            f'it by hand ("xe pool-param-set other-config:{AUTO_POWERON}='
            'true").',
        )
    storage = text.listed(before['storage']) or 'none'
    return outcomes.Failed(
        'HA_NOT_RESTORED',
        'High availability is not as it was before: heartbeat SRs '
        f'{storage}, {before["tolerate"]} failures to tolerate. {why} Switch '
        'it on by hand ("xe pool-ha-enable") when no guest is recorded as '
        'halted that may run since its move.',
    )


class _Switch:
    """The pool whose settings are changed, at its master."""

    def __init__(self, run: compute_run.Run, master: masters.Master) -> None:
        self._run = run
        self._master = master
        self._session = master.session
        self._ref, self.pool = fields.only(
            self._session.host, 'pool', self._session.records('pool')
        )

    def _change(self, method: str, *params: Any, **known: Any) -> None:
        """Send a call from a session of its own."""
        session = self._master.login()
        try:
            self._run.change(
                session,
                method,
                *params,
                known=(lambda _connection: known) if known else None,
            )
        finally:
            session.close()

    def ha_off(self) -> None:
        """:raises outcomes.Postpone: it goes off; or Failed."""
        run = self._run
        run.note(step='switching high availability off')
        if not self._is_under_way(DISABLE, 'ha_disable'):
            run.end_recorded_session()
            self._change(f'Async.{DISABLE}', **{HA: self._before()})
        raise self._watch('High availability is being switched off.')

    def _before(self) -> dict[str, Any]:
        """How high availability is set up now."""
        known = self._run.operation.parameters.get(HA)
        if known:
            return dict(known)
        pool = self.pool
        return {
            'storage': sorted(self._storage()),
            'configuration': pool['ha_configuration'],
            'tolerate': pool['ha_host_failures_to_tolerate'],
            'overcommit': pool['ha_allow_overcommit'],
        }

    def _storage(self) -> set[str]:
        """The uuids of the SRs that have a statefile."""
        files = set(self.pool['ha_statefiles'])
        srs = self._session.records('SR')
        return {
            srs[disk['SR']]['uuid']
            for ref, disk in self._session.records('VDI').items()
            if files & {ref, disk['uuid']} and disk['SR'] in srs
        }

    def ha_on(self) -> None:
        """Switch high availability on as it was.

        :raises outcomes.Postpone: it goes on.
        :raises outcomes.Failed: it is not as it was.
        """
        run, before = self._run, self._run.operation.parameters[HA]
        if not self.pool['ha_enabled']:
            run.note(step='switching high availability on')
            self._await_repairs()
            if self._is_over():
                raise outcomes.Failed(
                    'TIMEOUT', f'It was not on after {HA_WAIT:.0f} s.'
                )
            if not self._is_under_way(ENABLE, 'ha_enable'):
                self._check_halted()
                run.end_recorded_session()
                srs = self._session.records('SR').items()
                wanted = [
                    ref for ref, sr in srs if sr['uuid'] in before['storage']
                ]
                self._change(
                    f'Async.{ENABLE}', wanted, before['configuration']
                )
            raise self._watch('High availability is being switched on.')
        pool = self.pool
        if pool['ha_allow_overcommit'] != before['overcommit']:
            self._change(
                'pool.set_ha_allow_overcommit', self._ref, before['overcommit']
            )
        if pool['ha_host_failures_to_tolerate'] != before['tolerate']:
            self._change(
                'pool.set_ha_host_failures_to_tolerate',
                self._ref,
                str(before['tolerate']),
            )

    def _await_repairs(self) -> None:
        """:raises outcomes.Waiting: a guest is recorded as halted, or may be.

        It could be started a second time (design#moves-repaired).
        """
        run = self._run
        open_, _now = run.held.read(
            lambda connection: db_moves.open_of(connection, run.aggregate_id)
        )
        mended = (db_moves.REPAIRING, db_moves.STARTING)
        if any(m.state in mended and m.is_under_way for m in open_):
            raise outcomes.Waiting(
                reason='A move of the pool is being repaired; high '
                'availability is switched on when that has ended.'
            )

    def _check_halted(self) -> None:
        """:raises outcomes.Failed: a guest would be started that may run.

        Its record tells that it is halted, since its move (xapi#ha).
        """
        run = self._run
        down = [
            vm['uuid']
            for vm in self._session.records('VM').values()
            if vm['power_state'] == 'Halted'
            and vm['ha_restart_priority'] == 'restart'
            and vm['ha_always_run']
        ]
        moves = run.held.read(
            lambda connection: db_moves.last_of(
                connection, run.aggregate_id, down
            )
        )
        lost = (*db_moves.STUCK, db_moves.STARTING)
        told = [
            f'"{move.guest_name}" on {move.target}'
            for move in moves
            if move.state in lost or move.is_doubtful
        ]
        if told:
            raise outcomes.Failed(
                records.GUEST_HALTED,
                'It would start guests that are recorded as halted, and may '
                f'run where their moves have gone: {text.listed(told)}. Start '
                'each there ("openstack server migration force complete", or '
                '"xe vm-start uuid=UUID on=HOST" where that is refused); where '
                'one surely runs nowhere, start it, or clear its '
                'ha-restart-priority. Then retry this operation.',
            )

    def _is_under_way(self, method: str, operation: str) -> bool:
        """Whether a call goes on.

        :raises outcomes.Failed: ours has ended with an error.
        :raises outcomes.Postpone: with one that passes.
        """
        if operation in self.pool['current_operations'].values():
            return True
        call = self._run.operation.call or {}
        for task in views.tasks(self._session, method):
            if task.ref != call.get('task'):
                continue
            if task.status in views.RUNNING:
                return True
            if task.error:
                self._run.note(call=None)
                code, *said = task.error
                answer = failures.XenAPIError(
                    self._session.host, code, tuple(said)
                )
                raise outcomes.answered(answer)
        return False

    def _is_over(self) -> bool:
        """Whether it has had all the time that it may have."""
        run, now = self._run, self._run.held.clock()
        since = run.operation.parameters.get(SINCE)
        if since is None:
            run.remember(**{SINCE: now})
            return False
        return bool(now - since >= HA_WAIT)

    def autostart_off(self) -> None:
        """Let no boot start guests."""
        if self.pool['other_config'].get(AUTO_POWERON) == 'true':
            self._change(
                'pool.remove_from_other_config',
                self._ref,
                AUTO_POWERON,
                **{AUTOSTART: True},
            )

    def autostart_on(self) -> None:
        """Let boots start guests again."""
        if AUTO_POWERON not in self.pool['other_config']:
            self._change(
                'pool.add_to_other_config', self._ref, AUTO_POWERON, 'true'
            )

    def _watch(self, reason: str) -> outcomes.Watching:
        seconds = LOOKS * float(self._run.options.watch_interval)
        return outcomes.Watching(seconds, reason=reason)
