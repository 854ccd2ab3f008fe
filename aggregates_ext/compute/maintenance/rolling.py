"""Restarting or updating the hosts of a pool in turn, with all guests live.

The pool is looked at as a whole, then each host has its turn; at the end
guests come home and what was off is on again (design#rolling, design#updates).
"""

from typing import Any

from aggregates_ext.compute.maintenance import homes
from aggregates_ext.compute.maintenance import lacking
from aggregates_ext.compute.maintenance import planning
from aggregates_ext.compute.maintenance import restarting
from aggregates_ext.compute.maintenance import shared
from aggregates_ext.compute.maintenance import suspending
from aggregates_ext.compute.maintenance import syncing
from aggregates_ext.compute.maintenance import updating
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.rules import bindings
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import text
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records

Entry = dict[str, Any]
RESTARTS = 'GUESTS_TO_RESTART'
# What an earlier try has written of a host that counts still.
KEPT = ('entered', 'held')


def take_all(run: compute_run.Run) -> None:
    """Restart all hosts of a pool, or some; or update them.

    :raises outcomes.Failed: it has stopped, and why.
    :raises outcomes.Postpone: to be gone on with.
    """
    _Rolling(run).step()


def time_for_the_end(options: Any) -> float:
    """Seconds in which guests come home and all is on again."""
    return float(shared.MOVES_EACH * options.move_timeout + suspending.HA_WAIT)


class _Rolling:
    """One step of such a run."""

    def __init__(self, run: compute_run.Run) -> None:
        self._run = run

    @property
    def _asked(self) -> dict[str, Any]:
        """What was asked for, and what was found out since."""
        return self._run.operation.parameters

    @property
    def _done(self) -> str:
        return 'updated' if self._asked.get('update') else 'restarted'

    def step(self) -> None:
        """Go on, as far as it goes now."""
        if 'master' not in self._asked:
            self._begin()
        if restarting.OVER not in self._asked:
            restarting.Turns(self._run).go_on()
        self._wind_up()

    def _begin(self) -> None:
        """Look at the whole pool, and write down in which order it goes.

        :raises outcomes.Failed: something forbids it.
        """
        run = self._run
        run.note(step='checking the pool')
        members = masters.bound(run)
        if not members:
            # No host will answer, however long it waits.
            raise outcomes.Failed(
                bindings.NOT_A_MEMBER,
                f'No host is {self._done}: aggregate {run.aggregate_id} has '
                'none any more.',
            )
        with planning.at_master(run) as master:
            view = master.look()
            found = master.session.records('host')
            if lacking.waits_for_sync(self._asked, found):
                syncing.synchronize(run, master)
            # Of what this tries again.
            before = self._asked.get(records.Rolling.HOSTS, ())
            named = self._asked.get('hosts')
            if before and not self._asked.get('update'):
                named = records.Rolling.left(run.operation)
            chosen = planning.choose(members, named, view.master.uuid)
            plan = planning.plan(master.session, chosen, members, self._asked)
            if plan.report.blockers:
                raise outcomes.refuse(
                    f'The hosts of the pool are not {self._done}:',
                    plan.report,
                )
        known = {entry['host']: entry for entry in before}
        # What lacks updates again has another turn.
        turns = {host.name for host in plan.hosts}
        entries = {
            name: entry
            for name, entry in known.items()
            if entry['state'] in records.Rolling.ENDED and name not in turns
        }
        for host in chosen:
            if host.name not in entries:
                entries[host.name] = _turn(host, known.get(host.name, {}))
        run.remember(
            **{
                records.Rolling.HOSTS: list(entries.values()),
                'master': view.master.uuid,
                'changed': True,
                updating.HASH: plan.hash,
            }
        )

    def _wind_up(self) -> None:
        """Bring guests home, switch on what was off, and end.

        :raises outcomes.Failed: it had stopped, or not all is as it was.
        """
        run, over = self._run, self._asked[restarting.OVER]
        try:
            lost, left, restarts = self._restore(over)
        except (failures.HostError, outcomes.Postpone) as exc:
            going_on = isinstance(exc, outcomes.Watching)
            if going_on or run.elapsed() < time_for_the_end(run.options):
                raise
            lost, left, restarts = suspending.lost(run, str(exc)), [], ''
        warnings = [
            entry['warning']
            for entry in self._asked[records.Rolling.HOSTS]
            if entry.get('warning')
        ]
        _conclude(run, over, lost, [*warnings, *left], restarts)

    def _restore(
        self, over: Entry
    ) -> tuple[list[outcomes.Failed], list[str], str]:
        """What is not on again, and who is not at home, in sentences.

        And one on the guests that are to be restarted.

        :raises outcomes.Postpone: it goes on.
        """
        run = self._run
        left: list[str] = []
        restarts = ''
        run.end_recorded_session()
        with planning.at_master(run) as master:
            view = master.look()
            if over['code'] in (restarting.SUCCEEDED, restarting.GIVEN_UP):
                left = homes.bring(run, master.session, view)
                if self._asked.get(records.Rolling.AWAY):
                    # Who is left now is told.
                    run.remember(**{records.Rolling.AWAY: None})
                if self._asked.get('update'):
                    restarts = updating.guests_to_restart(master.session)
            return suspending.resume(run, master), left, restarts


def _turn(host: records.Host, before: Entry) -> Entry:
    """A turn that a host is to have.

    :param before: how far it was when this was tried before.
    """
    kept: Entry = {n: before[n] for n in KEPT if n in before}
    return {
        'host': host.name,
        'state': records.Rolling.WAITING,
        'again': bool(kept),
        **kept,
    }


def _conclude(
    run: compute_run.Run,
    over: Entry,
    lost: list[outcomes.Failed],
    left: list[str],
    restarts: str,
) -> None:
    """End the operation.

    :param lost: what is not switched on again, which is a failure.
    :param left: who is not where he was, which is told.
    :param restarts: who is to be restarted, which is told too.
    """
    if over['code'] not in (restarting.SUCCEEDED, restarting.GIVEN_UP):
        raise outcomes.Failed(
            over['code'],
            ' '.join([over['message'], *map(str, lost)]),
            over['found'],
            'When it is mended, "retry_operation" goes on with it.',
        )
    if lost:
        code = lost[0].error['code']
        told = [*map(str, lost), text.listed(left, shared.MOST_TOLD, ' ')]
        raise outcomes.Failed(code, ' '.join(filter(None, told)))
    error = None
    if left or restarts or over['message']:
        told = [over['message'], text.listed(left, shared.MOST_TOLD, ' ')]
        code = RESTARTS if restarts and not over['message'] else over['code']
        error = {
            'code': shared.LEFTOVERS if left else code,
            'message': ' '.join(filter(None, [*told, restarts])),
        }
    state = 'cancelled' if over['code'] == restarting.GIVEN_UP else 'succeeded'
    run.write(
        lambda connection: db_operations.finish(
            connection, run.operation, state, error
        )
    )
