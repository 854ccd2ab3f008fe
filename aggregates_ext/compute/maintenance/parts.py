"""The operations that a run of all hosts is made of, and how far each host is.

They are queued together with what is written of them, so whoever goes on finds
what is next (design#rolling).
"""

from typing import Any

from oslo_utils import uuidutils

from aggregates_ext import exception
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import operations
from aggregates_ext.domain.maintenance import entering
from aggregates_ext.domain.maintenance import powering

State = records.Rolling
Entry = dict[str, Any]
# Somebody else has ended what a host was to go through.
CALLED_OFF = 'CALLED_OFF'
# The steps of a host, each a part of its progress.
_STEPS = (
    State.WAITING,
    State.ENTERING,
    State.UPDATING,
    State.REBOOTING,
    State.LEAVING,
)


class Parts:
    """What a run has queued for its hosts.

    :param run: that is about all of them.
    """

    def __init__(self, run: compute_run.Run) -> None:
        self._run = run

    @property
    def entries(self) -> list[Entry]:
        """How far each host is, in order; to be written as a whole."""
        asked = self._run.operation.parameters
        return [dict(entry) for entry in asked[State.HOSTS]]

    def queue(
        self, number: int, state: str, kind: str, parameters: dict[str, Any]
    ) -> None:
        """Queue what comes next of a host, and write that it is so far.

        :raises outcomes.Resting: until it has ended.
        """
        run, entry = self._run, self.entries[number]
        uuid = uuidutils.generate_uuid()
        given = {**parameters, db_operations.PART_OF: run.operation.uuid}
        where = (run.asked, run.aggregate_id, entry['host'])
        now = self.now()
        enters = kind == operations.ENTER_MAINTENANCE

        def work(connection: Any) -> None:
            made: records.Operation | None
            if kind in db_operations.ON_EMPTY_HOSTS:
                made = powering.queue(connection, *where, kind, given, uuid)
            else:
                made = entering.queue(connection, *where, kind, given, uuid)
            entries = self.entries
            entries[number] = _queued(entry, state, made) | (
                # Somebody else wants it to stay there.
                {'held': True} if enters and made and made.uuid != uuid else {}
            )
            entries[number].setdefault('began', now)
            db_operations.update(
                connection,
                run.operation.id,
                {
                    'parameters': {
                        **run.operation.parameters,
                        State.HOSTS: entries,
                    }
                },
            )

        try:
            run.write(work)
        except exception.AggregateBusy as exc:
            raise self.rest(number, str(exc)) from exc

    def ended(self, number: int) -> records.Operation | None:
        """What was queued of a host, when it has ended; None: nothing was.

        :raises outcomes.Resting: it goes on.
        """
        uuid = self.entries[number].get('operation')
        if uuid is None:
            return None
        found = self._run.held.read(
            lambda connection: db_operations.get(connection, uuid)
        )
        if found.state in db_operations.OPEN:
            raise self.rest(
                number,
                f'{found.title} (operation {found.uuid}) is {found.state}.',
            )
        return found

    def done(self, number: int) -> records.Operation | None:
        """The same, when it has come about.

        :raises outcomes.Failed: it has not.
        """
        found = self.ended(number)
        if found is None or found.state == 'succeeded':
            return found
        error = found.error or {}
        said = error.get('message') or f'it was {found.state}.'
        raise outcomes.Failed(
            str(error.get('code') or CALLED_OFF),
            f'{found.title} (operation {found.uuid}): {said}',
            {'operation': found.uuid, 'found': error.get('parameters')},
        )

    def rest(self, number: int, reason: str) -> outcomes.Resting:
        """What lets it rest until an operation has ended."""
        entry = self.entries[number]
        step = f'host {entry["host"]}: {entry["state"]}'
        self._run.note(progress=self.progress(number))
        return outcomes.Resting(step, reason=reason)

    def progress(self, number: int) -> int:
        """Percent: each host has its part, and each step of it."""
        entries = self.entries
        state = entries[number]['state']
        part = _STEPS.index(state) if state in _STEPS else 1
        whole = len(_STEPS) * len(entries)
        return 95 * (number * len(_STEPS) + part) // whole

    def move_on(self, number: int, state: str, **known: Any) -> None:
        """Write how far a host is."""
        entries = self.entries
        entries[number] |= {'state': state, **known}
        entries[number].setdefault('began', self.now())
        if state in State.ENDED:
            entries[number]['ended'] = self.now()
        self._run.remember(**{State.HOSTS: entries})

    def now(self) -> float:
        return self._run.held.clock()


def _queued(entry: Entry, state: str, made: records.Operation | None) -> Entry:
    """How far a host is when its next operation is queued.

    :param made: None: it is as that would have made it.
    """
    if made is None:
        return {**entry, 'state': state, 'operation': None}
    found = {**entry, 'state': state, 'operation': made.uuid}
    if made.kind == operations.ENTER_MAINTENANCE:
        # Whose moves tell where guests were.
        found['entered'] = [*entry.get('entered', ()), made.id]
    return found
