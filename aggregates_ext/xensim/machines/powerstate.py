"""The power of a guest, as records have it."""

from aggregates_ext.xensim.exclusion import guest
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import memory

GUIDANCES = (
    'pending_guidances',
    'pending_guidances_recommended',
    'pending_guidances_full',
)
RESUMED = ('restart_device_model',)
RESTARTED = (*RESUMED, 'restart_vm')


def assert_in(
    db: database.Database, ref: str, *expected: str
) -> database.Record:
    """A wrong state is told as xapi#join-odd-cases shows."""
    row = db.row('VM', ref)
    if row['power_state'] not in expected:
        raise failure.Failure(
            'VM_BAD_POWER_STATE',
            ref,
            ', '.join(state.lower() for state in expected),
            row['power_state'].lower(),
        )
    return row


def run(
    db: database.Database, ref: str, host: str, state: str = 'Running'
) -> None:
    """A guest runs, or is paused, on a host."""
    row = db.row('VM', ref)
    row.update(power_state=state, resident_on=host, domid=1)
    attach_disks(db, ref, True)
    guest.refresh(db, ref)
    memory.refresh(db, host)


def stop(db: database.Database, ref: str, state: str = 'Halted') -> None:
    """A guest leaves its host, which has the memory back."""
    row = db.row('VM', ref)
    host = row['resident_on']
    row.update(power_state=state, resident_on=database.NULL, domid=-1)
    done = RESTARTED if state == 'Halted' else RESUMED
    forget_guidance(row, *done)
    attach_disks(db, ref, False)
    guest.refresh(db, ref)
    memory.refresh(db, host)


def forget_guidance(row: database.Record, *done: str) -> None:
    """What a guest was asked for has been done (xapi#updates)."""
    for field in GUIDANCES:
        row[field] = [one for one in row[field] if one not in done]


def attach_disks(db: database.Database, ref: str, attached: bool) -> None:
    """Tell which disks a guest has open."""
    for vbd in db.where('VBD', VM=ref):
        db.row('VBD', vbd)['currently_attached'] = attached
