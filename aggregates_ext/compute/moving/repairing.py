"""The repair of a move of which nothing proves what became of it.

The toolstack of its source starts anew, and then that of its target: from
then on the records of the pool tell the truth (xapi#moves-that-lie). The other
order ends the guest. Each start is written down before it is asked for, and
seen before the next is (design#moves-repaired).
"""

import copy
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

from oslo_log import log as logging

from aggregates_ext.compute.moving import state
from aggregates_ext.compute.moving import verdicts
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.rules import powering
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import text
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import records

LOG = logging.getLogger(__name__)
CALL = 'Async.host.restart_agent'
# The part of the recorded call that tells how far a repair is.
KEY = 'repair'
# Seconds after which a toolstack that was told to start anew, and has not, is
# told once more. It starts ten seconds after it was told (xapi#restarts).
AGAIN = 90.0


class GivenUp(Exception):
    """A repair that does not come about; the text says why."""


def step(
    site: state.Site, move: records.Move, call: dict[str, Any]
) -> str | None:
    """Take the repair of a move one step further.

    :param call: of the move; how far it is is written into it.
    :returns: what it waits for, in a sentence.
    :raises GivenUp: it does not come about.
    """
    open_, _now = site.held.read(
        lambda connection: db_moves.open_of(connection, move.aggregate_id)
    )
    first = next(m for m in open_ if m.state == db_moves.REPAIRING)
    if first.id != move.id:
        return f'The repair of move {first.uuid} comes before it.'
    return _Repair(site, move, call).go_on(open_)


def order(
    source: str, target: str, moves: Iterable[tuple[str, str]]
) -> list[str]:
    """The hosts whose toolstacks are to start anew, in this order.

    No target before the sources of all moves to it.

    :param source, target: uuids of the ends of a move.
    :param moves: those of all moves of which nothing is known, it too.
    :returns: uuids; the target is the last.
    :raises GivenUp: there is no such order.
    """
    sources: dict[str, list[str]] = {target: [source]}
    for other, end in moves:
        sources.setdefault(end, []).append(other)
    found: list[str] = []
    pending: list[str] = []

    def visit(host: str) -> None:
        if host in pending:
            raise GivenUp(
                'other guests whose moves are unresolved went the other way, '
                'so each order of the toolstacks could end one of them. Look '
                'on the hosts where they run ("xl list"), and abort the moves '
                'of those that run where their records say.'
            )
        pending.append(host)
        for other in sources.get(host, ()):
            if other not in found:
                visit(other)
        pending.pop()
        found.append(host)

    visit(target)
    return found


class _Repair:
    """One step of one repair."""

    def __init__(
        self, site: state.Site, move: records.Move, call: dict[str, Any]
    ) -> None:
        self._site = site
        self._move = move
        self._call = call
        # A copy: what is written is what differs from what was read.
        known = call.get(KEY) or {'since': site.now, 'told': {}}
        self._known = call[KEY] = copy.deepcopy(known)

    def go_on(self, open_: Sequence[records.Move]) -> str:
        """As ``step``.

        :param open_: the open moves of the aggregate.
        """
        ends = self._call['from'], self._call['to']
        moving = [m for m in open_ if m.state == db_moves.SENT]
        if moving:
            names = text.listed(f'"{m.guest_name}"' for m in moving)
            return self._wait(f'Guests are on the move: {names}.')
        stuck = [
            (str(m.call['from']), str(m.call['to']))
            for m in open_
            if m.state in db_moves.STUCK and m.call
        ]
        for uuid in order(*ends, stuck):
            host = self._site.view.hosts.find(uuid)
            if host is None:
                raise GivenUp(f'host {self._name(uuid)} is not in the pool.')
            if not self._has_started(host):
                return self._start(host)
        self._call['repaired'] = verdicts.starts(self._site.view, *ends)
        return 'Both toolstacks have started anew.'

    def _name(self, uuid: str) -> str:
        return self._site.name(uuid) or uuid

    def _wait(self, why: str) -> str:
        """:raises GivenUp: that has lasted too long."""
        age = self._site.now - self._known['since']
        if age >= float(self._site.options.power_timeout):
            raise GivenUp(f'for {age:.0f} s: {why}')
        return why

    def _has_started(self, host: views.HostView) -> bool:
        """Whether its toolstack has started since it was told to.

        And has had the time to look at its guests: the time of its start is
        written while it does that.
        """
        told = self._known['told'].get(host.uuid)
        if told is None or not host.live:
            return False
        if host.agent_start_time in (0, told['started']):
            return False
        seen = told.setdefault('seen', self._site.now)
        wait = float(self._site.options.confirm_interval)
        return bool(self._site.now - seen >= wait)

    def _start(self, host: views.HostView) -> str:
        """Have its toolstack start anew, unless that was just asked for."""
        told = self._known['told'].get(host.uuid)
        name = self._name(host.uuid)
        said = f'The toolstack of host {name} starts anew.'
        if told and ('seen' in told or self._site.now - told['at'] < AGAIN):
            return self._wait(said)
        # Whether it is the only master is asked before anything is sent.
        self._site.master.look()
        session = self._site.master.session
        found = powering.read(session, host.uuid)
        report = powering.check(found, host.uuid, powering.REPAIR)
        if found is None or report.blockers:
            return self._refused(name, report)
        if found.is_master:
            # What it has not written is lost (xapi#late-writes).
            session.call('pool.sync_database')
        self._known['told'][host.uuid] = {
            'at': self._site.now,
            'started': host.agent_start_time,
        }
        self._move = self._site.update(self._move, call=self._call)
        self._site.held.ensure_fresh()
        LOG.warning('Move %s: its repair: %s', self._move.uuid, said)
        try:
            session.call(CALL, found.ref)
        except failures.XenAPIError as exc:
            answer = f'host {name} answered {exc.code}: {exc.said}'
            raise GivenUp(answer) from exc
        return self._wait(said)

    def _refused(self, name: str, report: preflight.Report) -> str:
        """What passes is waited for.

        :raises GivenUp: it does not pass.
        """
        refusal = outcomes.refuse(
            f'The toolstack of host {name} is not started anew:', report
        )
        if isinstance(refusal, outcomes.Failed):
            raise GivenUp(str(refusal))
        return self._wait(str(refusal))
