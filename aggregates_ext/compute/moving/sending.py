"""Sending moves: a last look at each guest, a target, one recorded call."""

import collections
import contextlib
from collections.abc import Sequence

from oslo_log import log as logging

from aggregates_ext import exception
from aggregates_ext.compute.moving import following
from aggregates_ext.compute.moving import places
from aggregates_ext.compute.moving import state
from aggregates_ext.compute.moving import verdicts
from aggregates_ext.compute.moving import ways
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.rules import networks
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import text
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import records

LOG = logging.getLogger(__name__)
# Guests that arrive at one host at a time.
ARRIVALS = 2
NO_TARGET = 'NO_TARGET'
NOT_RUNNING = 'GUEST_NOT_RUNNING'
ELSEWHERE = 'GUEST_ELSEWHERE'
GUEST_BUSY = 'GUEST_BUSY'


def send_all(
    site: state.Site,
    queued: Sequence[records.Move],
    busy: Sequence[records.Move],
) -> bool:
    """Send what may be sent now.

    :param busy: moves that are under way, or may be.
    :returns: whether any was sent or has ended.
    """
    leaving = collections.Counter(move.source for move in busy)
    arriving = collections.Counter(move.target for move in busy)
    waiting: list[records.Move] = []
    ranking = places.Ranking(site.master.session)
    confirmed = False
    changed = False
    for move in queued:
        if leaving[move.source] >= int(site.options.move_concurrency):
            waiting.append(move)
            continue
        if not confirmed:
            # Whether it is the only master is asked before anything is sent.
            site.master.look()
            confirmed = True
        try:
            target = _Sending(site, move, ranking).send(arriving)
        except failures.OddAnswer as exc:
            site.postpone(move, exc)
            continue
        except exception.MoveTakenBack:
            site.take_back(move)
            target = None
        changed |= target != ''
        if target:
            leaving[move.source] += 1
            arriving[target] += 1
    site.let_wait(waiting)
    return changed


class _Sending:
    """One move that is to be sent.

    :param ranking: of the places, during this turn.
    """

    def __init__(
        self, site: state.Site, move: records.Move, ranking: places.Ranking
    ) -> None:
        self._site = site
        self._move = move
        self._ranking = ranking
        self._session = site.master.session

    def send(self, arriving: collections.Counter[str | None]) -> str | None:
        """Send it, if it can be now.

        :param arriving: how many guests are on their way to a host.
        :returns: name of the target; empty: it waits; None: it has ended.
        """
        site = self._site
        found = self._guest()
        if found is None:
            return None
        ref, guest = found
        source = site.view.hosts.find(site.uuid_of(guest['resident_on']))
        if source is None:
            raise failures.OddAnswer(
                host=self._session.host,
                what=f'{guest.label} runs on none of the hosts',
            )
        if not self._is_wanted(guest, source):
            return None
        if guest['current_operations']:
            self._wait(
                GUEST_BUSY,
                f'{guest.label} is busy: '
                f'{text.listed(set(guest["current_operations"].values()))}.',
            )
            return ''
        return self._send_somewhere(ref, source, arriving)

    def _guest(self) -> tuple[str, fields.Record] | None:
        """The guest as it is now, if it runs; else the move ends."""
        site, move = self._site, self._move
        try:
            ref = self._session.find('VM', move.guest_uuid)
        except failures.XenAPIError as exc:
            if exc.code != 'UUID_INVALID':
                raise
            site.finish(
                move,
                db_moves.FAILED,
                following.GONE,
                f'Guest "{move.guest_name}" ({move.guest_uuid}) is not in '
                'the pool any more.',
            )
            return None
        guest = self._session.record('VM', ref)
        if guest['power_state'] == 'Running':
            return ref, guest
        site.finish(
            move,
            db_moves.FAILED,
            NOT_RUNNING,
            f'Guest "{move.guest_name}" is {guest["power_state"]}: only one '
            'that runs is moved.',
        )
        return None

    def _is_wanted(self, guest: fields.Record, source: views.HostView) -> bool:
        """Whether there is anything to move; else the move ends."""
        site, move = self._site, self._move
        name = site.name(source.uuid)
        if name is not None and name == move.wanted:
            site.finish(move, db_moves.COMPLETED)
            return False
        if name == move.source:
            return True
        if move.operation_id is None and name is not None:
            self._move = site.update(move, source=name)
            return True
        site.finish(
            move,
            db_moves.CANCELLED,
            ELSEWHERE,
            f'Guest "{move.guest_name}" does not run on host {move.source} '
            'any more.',
        )
        return False

    def _send_somewhere(
        self,
        ref: str,
        source: views.HostView,
        arriving: collections.Counter[str | None],
    ) -> str | None:
        site, move = self._site, self._move
        found, reasons = places.find(
            site.view, site.members, source, move.tried
        )
        if move.wanted is not None:
            found = [p for p in found if p.host.name == move.wanted]
            reasons = {move.wanted: reasons.get(move.wanted, 'no member')}
        full: list[places.Place] = []
        for place in self._ranking.best_first(ref, source, found):
            if full and place.near > full[0].near:
                # Rather later than to those that it is to be apart from.
                break
            if arriving[place.host.name] >= ARRIVALS:
                full.append(place)
                continue
            network, refusal = site.ways.find(move, source, place.seen)
            refusal = refusal or self._refusal(ref, place)
            if refusal is None:
                target = self._send_to(ref, source, place, network)
                if target:
                    self._ranking.note(ref, place)
                return target
            reasons[place.host.name] = refusal
        if full:
            site.let_wait([move])
            return ''
        told = text.listed(
            f'{name}: {why}' for name, why in sorted(reasons.items())
        )
        site.finish(
            move,
            db_moves.FAILED,
            NO_TARGET,
            f'No host can take guest "{move.guest_name}" from host '
            f'{move.source}: {told or "there is no other"}.',
        )
        return None

    def _refusal(self, ref: str, place: places.Place) -> str | None:
        """Why xapi would not start the guest there; None: it would."""
        try:
            self._session.call('VM.assert_can_boot_here', ref, place.seen.ref)
        except failures.XenAPIError as exc:
            sentence = codes.meaning(exc.code, exc.parameters).sentence
            return f'{exc.code}: {sentence.removesuffix(".")}'
        return None

    def _send_to(
        self,
        ref: str,
        source: views.HostView,
        place: places.Place,
        network: networks.Network | None,
    ) -> str | None:
        """Record the call, and send it once.

        :param network: that it goes over; None: that of the management.
        :returns: as ``send``.
        """
        site, target = self._site, place.host.name
        master = site.view.master.uuid
        session = site.master.login()
        with contextlib.ExitStack() as ending:
            ending.callback(session.close)
            ends = source.uuid, place.seen.uuid
            call = {
                'session': session.uuid(),
                'task': None,
                'guest': ref,
                'from': ends[0],
                'to': ends[1],
                'at': site.now,
                'started': verdicts.starts(site.view, master, *ends),
                **ways.recorded(network),
            }
            before = self._move
            self._move = site.update(
                before,
                state=db_moves.SENT,
                target=target,
                call=call,
                error=None,
                progress=0,
                attempts=before.attempts + 1,
            )
            try:
                site.held.ensure_fresh()
                task = session.call(
                    f'Async.{state.CALL}',
                    ref,
                    place.seen.ref,
                    {'live': 'true'}
                    | ({'network': network.ref} if network else {}),
                )
            except failures.AnswerLost as exc:
                LOG.warning('Move %s: %s', before.uuid, exc)
                # Its end would end a move that has just begun.
                ending.pop_all()
                session.leave()
                site.look_later(self._move)
            except failures.XenAPIError as exc:
                return self._refused(exc)
            except failures.Unreachable as exc:
                return self._not_sent(exc)
            else:
                ending.pop_all()
                session.leave()
                site.look_later(self._move, call={**call, 'task': str(task)})
        return target

    def _refused(self, exc: failures.XenAPIError) -> str | None:
        """It was answered with an error, and no task was made."""
        site, move = self._site, self._move
        verdict = verdicts.judge(exc.code, exc.parameters)
        if verdict is verdicts.Verdict.FINAL:
            site.finish(move, db_moves.FAILED, exc.code, exc.said)
            return None
        if verdict is verdicts.Verdict.OTHER_TARGET:
            said = f'{exc.code}: {exc.said}'
            tried = ways.note(move, move.call or {}, exc.code, said)
            self._move = site.update(move, tried=tried)
        return self._not_sent(exc)

    def _not_sent(self, exc: failures.HostError) -> str:
        self._site.requeue(
            self._move,
            exc.code,
            str(exc),
            float(self._site.options.retry_interval),
        )
        return ''

    def _wait(self, code: str, message: str) -> None:
        """Let it wait for something that ends by itself, for a time."""
        site, move = self._site, self._move
        age = site.now - _seconds(move)
        if age > float(site.options.move_timeout):
            site.finish(move, db_moves.FAILED, code, message)
            return
        state.postpone(
            site.held,
            [move],
            float(site.options.watch_interval),
            code,
            message,
        )


def _seconds(move: records.Move) -> float:
    """When a move was asked for, in seconds of the epoch."""
    stamp = move.created_at
    return (stamp - stamp.__class__(1970, 1, 1)).total_seconds()
