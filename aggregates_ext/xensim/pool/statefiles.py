"""Where high availability keeps its state files (xapi#ha-calls)."""

import typing

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure

DRIVERS = frozenset(
    {
        'ext',
        'file',
        'lvhdohba',
        'lvhdoiscsi',
        'lvmohba',
        'lvmoiscsi',
        'nfs',
        'smb',
    }
)
"""Those that can attach a disk without a database."""

ALIGNMENT = 4 << 20
SPACE = 4_000_000_000 // ALIGNMENT * ALIGNMENT - ALIGNMENT
"""What an SR must have left for both, if it does not have them."""


class _Kind(typing.NamedTuple):
    name: str
    purpose: str
    size: int


STATE = 'ha_statefile'
LOG = 'redo_log'
_KINDS = {
    STATE: _Kind('Statefile for HA', 'Used for storage heartbeating', 266240),
    LOG: _Kind(
        'Metadata for HA', 'Used for master failover', SPACE - ALIGNMENT
    ),
}


def place(db: database.Database, srs: list[str]) -> list[str]:
    """Find or make the state file; the answer: the disks in use.

    :param srs: where it may be: the first counts; none: the first that fits
    """
    fitting = srs or [sr for sr, _ in db.rows('SR') if fits(db, sr)]
    if not fitting:
        raise failure.Failure('CANNOT_CREATE_STATE_FILE')
    chosen = fitting[0]
    _assert_fits(db, chosen)
    disks = [_find_or_make(db, chosen, kind) for kind in (STATE, LOG)]
    return disks[:1]


def fits(db: database.Database, sr: str) -> bool:
    """Whether an SR can hold a state file."""
    try:
        _assert_fits(db, sr)
    except failure.Failure:
        return False
    return True


def _assert_fits(db: database.Database, sr: str) -> None:
    """Every host must have it attached; nobody asks whether it is shared."""
    row = db.row('SR', sr)
    pbds = [db.row('PBD', pbd) for pbd in db.where('PBD', SR=sr)]
    seen = {pbd['host'] for pbd in pbds}
    attached = all(pbd['currently_attached'] for pbd in pbds)
    if not attached or not seen >= {ref for ref, _ in db.rows('host')}:
        raise failure.Failure('SR_NO_PBDS', sr)
    if row['type'] not in DRIVERS:
        raise failure.Failure('SR_OPERATION_NOT_SUPPORTED', sr)
    left = row['physical_size'] - row['physical_utilisation']
    missing = [kind for kind in _KINDS if not _found(db, sr, kind)]
    if missing and left < SPACE:
        raise failure.Failure('SR_SOURCE_SPACE_INSUFFICIENT', sr)


def _found(db: database.Database, sr: str, kind: str) -> list[str]:
    return [
        vdi
        for vdi in db.where('VDI', SR=sr, type=kind)
        if db.row('VDI', vdi)['virtual_size'] >= _KINDS[kind].size
    ]


def _find_or_make(db: database.Database, sr: str, kind: str) -> str:
    """One that is there is used again."""
    for vdi in _found(db, sr, kind):
        return vdi
    name, purpose, size = _KINDS[kind]
    row = db.row('SR', sr)
    row['virtual_allocation'] += size
    row['physical_utilisation'] += size
    return db.create(
        'VDI',
        name_label=name,
        name_description=purpose,
        SR=sr,
        type=kind,
        virtual_size=size,
        physical_utilisation=size,
        sharable=True,
        managed=True,
        on_boot='persist',
        sm_config={'type': 'raw'},
    )
