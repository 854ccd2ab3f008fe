"""The repair of a move of which nothing proves what became of it.

The toolstack of its source starts anew, and then that of its target: from
then on the records of the pool tell the truth (xapi#moves-that-lie). The other
order ends the guest. Each start is written down before it is asked for, and
seen before the next is (design#moves-repaired).
"""

import contextlib
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from oslo_log import log as logging

from aggregates_ext.compute.moving import state
from aggregates_ext.compute.moving import verdicts
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.rules import powering
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import text
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import records

LOG = logging.getLogger(__name__)
CALL = 'host.restart_agent'
# The parts of the recorded call that tell how far a repair is, and when the
# toolstacks had started when it was done.
KEY, REPAIRED = 'repair', 'repaired'
# How often a toolstack is told.
MOST_TOLD = 2
# Seconds after which a toolstack that was told to start anew, and has not, is
# told once more.
AGAIN = 90.0
# Seconds after which a toolstack that was told has begun to start anew, or
# will not: it does ten seconds after that (xapi#restarts).
BEGINS = 15.0


class GivenUp(Exception):
    """A repair that does not come about; the text says why."""


def step(site: state.Site, move: records.Move, call: dict[str, Any]) -> str:
    """Take the repair of a move one step further.

    What a host refuses, or does not answer, is waited for here, so that it
    keeps no other move from its turn.

    :param call: of the move; how far it is is written into it.
    :returns: what it waits for, in a sentence.
    :raises GivenUp: it does not come about.
    """
    first = next(m for m in site.open_moves if m.state == db_moves.REPAIRING)
    if first.id != move.id:
        return f'The repair of move {first.uuid} comes before it.'
    repair = _Repair(site, move, call)
    try:
        return repair.go_on()
    except (failures.HostError, outcomes.Postpone) as exc:
        return repair.wait(str(exc))


def on_its_way(site: state.Site, call: Mapping[str, Any]) -> bool:
    """Whether a toolstack that was told may start anew any moment, or does.

    What it makes the records of guests tell comes only then.

    :param call: of a move.
    """
    now = site.held.clock()
    for uuid, told in _told(call).items():
        host = site.view.hosts.find(uuid)
        looked = host is not None and _has_looked(site, told, host)
        if 0 <= now - told['at'] < AGAIN and not looked:
            return True
    return False


def _has_looked(
    site: state.Site, told: dict[str, Any], host: views.HostView
) -> bool:
    """Whether a toolstack has started since it was told to.

    And has had the time to look at its guests: the time of its start is
    written while it does that. One that was told twice may start twice.

    :param told: what is known of it; when its start is seen is written there.
    """
    start = host.agent_start_time
    if not host.live or start in (0, told['started']):
        return False
    if told.get('start') != start:
        told.update(start=start, seen=site.now)
    since = max(told['seen'], told['at'] + BEGINS)
    return bool(site.now - since >= float(site.options.confirm_interval))


def was_told(call: Mapping[str, Any], now: float, seconds: float) -> bool:
    """Whether a toolstack was told to start anew less than so long ago.

    It was until its session had ended: a call can arrive late. A request that
    gives up what an earlier repair has told counts as well.
    """
    known = [told['at'] for told in _told(call).values()]
    known += [call[db_moves.RESTARTED]] if db_moves.RESTARTED in call else []
    return any(0 <= now - at < seconds for at in known)


def has_told(call: Mapping[str, Any]) -> bool:
    """Whether any toolstack was told to start anew, by any repair."""
    return bool(_told(call) or call.get(db_moves.RESTARTED))


def _told(call: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What is known of each toolstack that was told, by uuid of its host."""
    known: dict[str, dict[str, Any]] = call.get(KEY, {}).get('told', {})
    return known


def end_sessions(site: state.Site, call: dict[str, Any]) -> None:
    """End those with which toolstacks were told to start, if they live.

    What was told with one, and comes late, is refused then.
    """
    for told in _told(call).values():
        if told['session']:
            site.master.session.end_other(told['session'])
            told.update(session=None, at=site.held.clock())


def forget(call: dict[str, Any]) -> None:
    """Let a recorded call tell of no repair any more, but that there was one."""
    if _told(call):
        last = max(told['at'] for told in _told(call).values())
        call[db_moves.RESTARTED] = last
    for name in (KEY, REPAIRED):
        call.pop(name, None)


def advise(
    site: state.Site, move: records.Move, call: Mapping[str, Any]
) -> str:
    """What somebody can do about a move of which nothing is known.

    Those that are on their way count as well: they may become such ones.

    :param call: of the move.
    """
    stuck = [m for m in site.open_moves if m.state in db_moves.STUCK]
    try:
        found = _order_of(call, stuck)
    except GivenUp as exc:
        return f'Restart no toolstack: {exc}'
    with contextlib.suppress(GivenUp):
        found = _order_of(call, [m for m in site.open_moves if m.is_under_way])
    names = ', '.join(site.name(uuid) or uuid for uuid in found)
    return (
        'With high availability off, and no guest on the move, restart the '
        'toolstacks of these hosts ("xe-toolstack-restart"), each when the one '
        'before has started: '
        f'{names}; or have that done: "openstack server migration force '
        f'complete {move.guest_uuid} {move.id}".'
    )


def _order_of(
    call: Mapping[str, Any], moves: Iterable[records.Move]
) -> list[str]:
    """As ``order``.

    :param call: of the move.
    :param moves: those that may be known as little; it too.
    """
    ends = [
        (str(m.call['from']), str(m.call['to']))
        for m in moves
        if m.call and 'to' in m.call
    ]
    return order(str(call['from']), str(call['to']), ends)


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
    visited: set[str] = set()

    def visit(host: str) -> None:
        if host in visited:
            raise GivenUp(
                'other guests, of whose moves nobody knows how they ended, '
                'went the other way, so each order could end one of them. Look '
                'on the hosts where they run ("xl list"), and abort the moves '
                'of those that run where their records say.'
            )
        visited.add(host)
        for other in sources.get(host, ()):
            if other not in found:
                visit(other)
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
        self._known = call.setdefault(KEY, {'since': site.now, 'told': {}})

    def go_on(self) -> str:
        """As ``step``.

        :raises outcomes.Postpone: it goes on.
        """
        ends = self._call['from'], self._call['to']
        end_sessions(self._site, self._call)
        self._check()
        stuck = [m for m in self._site.open_moves if m.state in db_moves.STUCK]
        for uuid in _order_of(self._call, stuck):
            host = self._site.view.hosts.find(uuid)
            if host is None:
                raise GivenUp(f'host {self._name(uuid)} is not in the pool.')
            if not self._has_started(host):
                return self._start(host)
        started = verdicts.starts(self._site.view, *ends)
        if self._call.get(REPAIRED):
            raise GivenUp('a toolstack has started once more since.')
        self._call[REPAIRED] = started
        return 'Both toolstacks have started anew.'

    def _check(self) -> None:
        """:raises outcomes.Postpone: something of ours goes on in the pool."""
        site = self._site
        moving = [
            m
            for m in site.open_moves
            if m.is_under_way and m.state not in db_moves.STUCK
        ]
        if moving:
            names = text.listed(f'"{m.guest_name}"' for m in moving)
            raise outcomes.Waiting(reason=f'Guests are on the move: {names}.')
        if site.at_work is not None:
            raise outcomes.Waiting(reason=site.at_work)

    def _name(self, uuid: str) -> str:
        return self._site.name(uuid) or uuid

    @property
    def _age(self) -> float:
        """Seconds since it was asked for."""
        return float(self._site.now - self._known['since'])

    def wait(self, why: str) -> str:
        """:raises GivenUp: that has lasted too long."""
        if self._age >= float(self._site.options.power_timeout):
            raise GivenUp(f'for {self._age:.0f} s: {why}')
        return why

    def _has_started(self, host: views.HostView) -> bool:
        """Whether its toolstack was told, and has looked at its guests since."""
        told = self._known['told'].get(host.uuid)
        return told is not None and _has_looked(self._site, told, host)

    def _start(self, host: views.HostView) -> str:
        """Have its toolstack start anew, unless that was just asked for."""
        site, name = self._site, self._name(host.uuid)
        said = f'The toolstack of host {name} starts anew.'
        told = self._known['told'].get(host.uuid) or {'at': 0.0, 'times': 0}
        wait = float(site.options.confirm_interval)
        until = max(told['at'], told.get('seen', -wait) + wait) + AGAIN
        if site.now < until:
            return said
        if told['times'] >= MOST_TOLD:
            return self.wait(
                f'Host {name} was told {MOST_TOLD} times to start its '
                'toolstack anew.'
            )
        if not host.agent_start_time:
            raise GivenUp(
                f'host {name} does not tell when its toolstack has started.'
            )
        # Whether it is the only master is asked before anything is sent.
        site.master.look()
        with contextlib.closing(site.master.login()) as session:
            found = powering.read(session, host.uuid)
            report = powering.check(found, host.uuid, powering.REPAIR)
            if found is None or report.blockers:
                raise outcomes.refuse(
                    f'The toolstack of host {name} is not started anew:',
                    report,
                )
            # Nothing is told that nobody would wait for.
            self.wait(f'The toolstack of host {name} is to start anew.')
            if found.is_master:
                # What it has not written is lost (xapi#late-writes).
                session.call('pool.sync_database')
            self._known['told'][host.uuid] = {
                'at': site.held.clock(),
                'started': host.agent_start_time,
                'session': session.uuid(),
                'times': told['times'] + 1,
            }
            self._move = site.update(self._move, call=self._call)
            LOG.warning('Move %s: its repair: %s', self._move.uuid, said)
            site.held.ensure_fresh()
            try:
                session.call(CALL, found.ref)
            except failures.XenAPIError as exc:
                if codes.passes(exc.code, exc.parameters):
                    raise
                # It does not start, and any that was told before has.
                del self._known['told'][host.uuid]
                raise GivenUp(str(exc)) from exc
        return said
