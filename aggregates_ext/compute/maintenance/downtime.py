"""Guests that are shut down by consent, and started again: one mechanism.

A call for each, recorded before it is sent. What became of it is told by the
guest; what is not known is looked for, and asked again only when two looks
have found nothing of it (design#shut-down).
"""

import contextlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.maintenance import shared
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.operations import enabling
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import records
from aggregates_ext.domain import downtime as wanted

CLEAN = 'VM.clean_shutdown'
HARD = 'VM.hard_shutdown'
START = 'VM.start_on'
OPERATIONS = frozenset({'clean_shutdown', 'hard_shutdown', 'start_on'})
# How often a guest is started before it is left to somebody.
MOST_STARTS = 3
# What a guest may say of a shutdown and do all the same when asked again.
_AGAIN = frozenset(
    {
        'TASK_CANCELLED',
        'VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT',
        'VM_SHUTDOWN_TIMEOUT',
    }
)
STAYS_UP = 'GUEST_STAYS_UP'
STAYS_DOWN = 'GUEST_STAYS_DOWN'
Entry = dict[str, Any]


def find(run: compute_run.Run) -> dict[str, Entry]:
    """What an operation has written down of each guest, by uuid."""
    found: dict[str, Entry] = run.operation.parameters.get(wanted.GUESTS, {})
    return found


def call_off(run: compute_run.Run) -> None:
    """Another request has come: nobody is shut down or started any more.

    :raises outcomes.Watching: it is under way still.
    """
    if any(e['state'] in wanted.UNDER_WAY for e in find(run).values()):
        with enabling.changing(run) as change:
            Downtime(run, change).settle()


class Downtime:
    """The guests of one operation that go down, or come up again.

    An entry has the ``state`` of a guest, the ``call`` that was sent last
    and its ``task``, when it was first asked (``at``, seconds of the
    operation), whether nothing is under way (``idle``; ``quiet``: seen so
    once), and when toolstacks had started (``starts``).
    """

    def __init__(self, run: compute_run.Run, change: enabling.Change) -> None:
        self._run = run
        self._change = change
        self._session = change.session
        self._machines: dict[str, tuple[str, dict[str, Any]]] = {}
        self._tasks: dict[str, views.Task] = {}

    def _read(self) -> None:
        """Read what guests and calls are at."""
        self._machines = {
            record['uuid']: (ref, record)
            for ref, record in self._session.records('VM').items()
        }
        sent = [entry['call'] for entry in find(self._run).values()]
        calls = {str(call) for call in sent if call is not None}
        self._tasks = {
            task.ref: task
            for call in sorted(calls)
            for task in views.tasks(self._session, call)
        }

    def follow(self) -> bool:
        """Look what became of each call.

        :returns: whether any is under way.
        """
        going = {
            uuid: entry
            for uuid, entry in find(self._run).items()
            if entry['state'] in wanted.UNDER_WAY
        }
        if not going:
            return False
        self._read()
        found = {u: self._judge(u, entry) for u, entry in going.items()}
        self._keep(found)
        return any(
            e['state'] in wanted.UNDER_WAY and not e['idle']
            for e in found.values()
        )

    def _judge(self, uuid: str, entry: Entry) -> Entry:
        """What is known of a guest now."""
        if uuid not in self._machines:
            return _failed(entry, 'GUEST_GONE', 'It is not in the pool.')
        _ref, guest = self._machines[uuid]
        running = [
            ref
            for ref, name in guest['current_operations'].items()
            if name in OPERATIONS
        ]
        task = self._tasks.get(entry['task'] or '')
        if running or (task and task.status in views.RUNNING):
            task_ref = entry['task'] or running[0]
            return {**entry, 'task': task_ref, 'idle': False, 'quiet': False}
        stops = entry['state'] == wanted.STOPPING
        if stops and guest['power_state'] == 'Halted':
            return {
                **entry,
                'state': wanted.HALTED,
                'proven': self._is_proven(entry, task),
                'error': None,
            }
        if stops and guest['resident_on'] != self._change.listed.ref:
            # It is not in the way any more, whoever has seen to that.
            return {**entry, 'state': wanted.RUNNING, 'error': None}
        if not stops and guest['power_state'] != 'Halted':
            return {**entry, 'state': wanted.RUNNING, 'error': None}
        if task and task.error and not entry['late']:
            entry = {**entry, 'error': _told(*task.error)}
        return {**entry, 'idle': bool(entry['quiet'] or task), 'quiet': True}

    def _is_proven(self, entry: Entry, task: views.Task | None) -> bool:
        """Whether a guest that is recorded as halted is so.

        A record can lie once the toolstack of its host has started anew
        (xapi#moves-that-lie).
        """
        if entry['call'] is None:
            return False
        if task and task.status == 'success':
            return True
        now = self._change.starts()
        return bool(entry['starts'] == now and all(now.values()))

    def stops(self, uuid: str) -> bool:
        """Whether a guest is on its way down."""
        entry = find(self._run).get(uuid)
        return entry is not None and entry['state'] == wanted.STOPPING

    def shut_down(
        self, guests: Sequence[records.Guest], *, hard: bool
    ) -> list[str]:
        """Ask guests to go down, as far as they are to be asked now.

        :param guests: that are on the host, each of them named.
        :param hard: whether they may be shut down hard.
        :returns: why some have not gone down in their time.
        """
        self._read()
        self._adopt(guests)
        limit = float(self._run.options.shutdown_timeout)
        late = []
        for guest in guests:
            entry = find(self._run)[guest.uuid]
            over = self._run.elapsed() - entry['at'] >= limit
            lasts = entry['error'] and not _may_pass(entry['error']['code'])
            if not (over or lasts):
                if entry['idle']:
                    again = HARD if entry['call'] == HARD else CLEAN
                    self._send(guest.uuid, again)
            elif hard and entry['call'] != HARD:
                self._send(guest.uuid, HARD, at=self._run.elapsed())
            else:
                late.append(self._note_late(guest.uuid, entry, limit))
        return late

    def _note_late(self, uuid: str, entry: Entry, limit: float) -> str:
        """Write down that a guest has not gone down."""
        error = entry['error'] or {}
        why = error.get('message') or f'It was given {limit:.0f} s.'
        message = f'Guest "{entry["name"]}" has not gone down. {why}'
        told = {'code': error.get('code') or STAYS_UP, 'message': message}
        self._keep({uuid: {**entry, 'late': True, 'error': told}})
        return message

    def _adopt(self, guests: Sequence[records.Guest]) -> None:
        """Write down who is to go down from now on."""
        known = find(self._run)
        new = {
            guest.uuid: _entry(
                guest.name, wanted.STOPPING, self._run.elapsed()
            )
            for guest in guests
            if known.get(guest.uuid, {}).get('state') != wanted.STOPPING
        }
        self._keep(new)

    def start_again(self, guests: Mapping[str, Entry]) -> bool:
        """Start guests on their host that were shut down there.

        Only those whose own shutdown was seen to its end: of others the
        record may lie, and they would run twice (xapi#moves-that-lie).

        :param guests: those that are down for maintenance of the host.
        :returns: whether any is still to come up.
        """
        known = find(self._run)
        new = {}
        for uuid, entry in guests.items():
            if known.get(uuid, {}).get('state', wanted.HALTED) == (
                wanted.HALTED
            ):
                new[uuid] = self._begin(entry)
        self._keep(new)
        self._read()
        for uuid, entry in find(self._run).items():
            if entry['state'] != wanted.STARTING or not entry['idle']:
                continue
            _ref, guest = self._machines.get(uuid, ('', None))
            if guest is None or guest['power_state'] != 'Halted':
                self._keep({uuid: self._judge(uuid, entry)})
            elif entry['starts_sent'] >= MOST_STARTS:
                self._keep({uuid: _stays_down(entry)})
            else:
                sent = entry['starts_sent'] + 1
                self._send(uuid, START, starts_sent=sent)
        return any(
            e['state'] == wanted.STARTING for e in find(self._run).values()
        )

    def _begin(self, entry: Entry) -> Entry:
        if not entry.get('proven'):
            return _failed(
                entry,
                STAYS_DOWN,
                f'Guest "{entry["name"]}" was shut down, and is not started: '
                'its end was not seen. Look whether it runs on another host '
                'before you start it.',
            )
        fresh = _entry(entry['name'], wanted.STARTING, self._run.elapsed())
        return {**fresh, 'proven': True, 'starts_sent': 0}

    def settle(self, states: Sequence[str] = wanted.UNDER_WAY) -> None:
        """Ask for nothing more, and wait for what is under way.

        :param states: of the guests that are given up.
        :raises outcomes.Watching: something is.
        """
        self.follow()
        limit = float(self._run.options.shutdown_timeout)
        found = {}
        for uuid, entry in find(self._run).items():
            if entry['state'] not in states:
                continue
            at = entry.get('settling', self._run.elapsed())
            if entry['idle'] or self._run.elapsed() - at >= limit:
                found[uuid] = _given_up(entry)
                continue
            if entry['task'] and 'settling' not in entry:
                # Whether it helps is seen.
                with contextlib.suppress(failures.XenAPIError):
                    self._session.call('task.cancel', entry['task'])
            found[uuid] = {**entry, 'settling': at}
        self._keep(found)
        if any(e['state'] in states for e in find(self._run).values()):
            raise shared.watch(
                self._run, 'It ends; guests are going down or coming up.'
            )

    def _send(self, uuid: str, method: str, **values: Any) -> None:
        """Record one call, and send it once.

        :raises outcomes.Postpone: it has not left, or is not answered.
        """
        ref = self._machines[uuid][0]
        entry = {
            **find(self._run)[uuid],
            **values,
            'call': method,
            'task': None,
            'idle': False,
            'quiet': False,
            'error': None,
            'starts': self._change.starts(),
        }
        more = (self._change.listed.ref, False, False)
        with contextlib.closing(self._change.login()) as session:
            try:
                task = self._run.change(
                    session,
                    f'Async.{method}',
                    ref,
                    *(more if method == START else ()),
                    check=lambda: self._look_last(session, ref, method),
                    known=lambda _connection: {
                        wanted.GUESTS: {**find(self._run), uuid: entry}
                    },
                )
            except outcomes.Answered as exc:
                error = _told(exc.answer.code, *exc.answer.parameters)
                known = find(self._run)[uuid]
                self._keep({uuid: {**known, 'idle': True, 'error': error}})
                return
        self._keep({uuid: {**entry, 'task': str(task)}})

    def _look_last(
        self, session: xenapi.Session, ref: str, method: str
    ) -> None:
        """Look at the guest right before the call.

        :raises outcomes.Watching: it is not as it was, or busy.
        """
        guest = session.record('VM', ref)
        here = guest['resident_on'] == self._change.listed.ref
        busy = set(guest['current_operations'].values())
        if method == HARD:
            busy -= {'clean_shutdown'}
        halted = guest['power_state'] == 'Halted'
        right = halted if method == START else here and not halted
        if not right or busy:
            raise shared.watch(
                self._run,
                f'{guest.label} is busy or has changed; it is looked at '
                'again.',
            )

    def _keep(self, changed: Mapping[str, Entry]) -> None:
        if changed:
            guests = {**find(self._run), **changed}
            self._run.remember(**{wanted.GUESTS: guests})


def _entry(name: str, state: str, at: float) -> Entry:
    return {
        'name': name,
        'state': state,
        'at': at,
        'call': None,
        'task': None,
        'idle': True,
        'quiet': False,
        'late': False,
        'proven': False,
        'error': None,
        'starts': {},
    }


def _told(code: str, *parameters: str) -> dict[str, str]:
    sentence, remedy = codes.explain(code, parameters)
    return {'code': code, 'message': f'{code}: {sentence} {remedy}'.strip()}


def _may_pass(code: str) -> bool:
    return code in _AGAIN or codes.passes(code)


def _failed(entry: Entry, code: str, message: str) -> Entry:
    error = {'code': code, 'message': message}
    return {**entry, 'state': wanted.FAILED, 'error': error}


def _stays_down(entry: Entry) -> Entry:
    why = (entry['error'] or {}).get('message', '')
    return _failed(
        entry,
        STAYS_DOWN,
        f'Guest "{entry["name"]}" was shut down, and could not be started '
        f'again: {why} Start it.',
    )


def _given_up(entry: Entry) -> Entry:
    """What is left of a call that is not followed any more."""
    if entry['state'] == wanted.STARTING:
        return {**entry, 'state': wanted.HALTED}
    if entry['late']:
        return {**entry, 'state': wanted.FAILED}
    return _failed(
        entry,
        STAYS_UP,
        f'Guest "{entry["name"]}" was to be shut down, which was called off; '
        'one that was asked may still go down.',
    )
