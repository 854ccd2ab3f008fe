"""What is to be done after an update, written into records (xapi#updates)."""

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.world import packages

FIELDS = {
    'mandatory': 'pending_guidances',
    'recommended': 'pending_guidances_recommended',
    'full': 'pending_guidances_full',
}
LIVEPATCH_FAILED = 'reboot_host_on_xen_livepatch_failure'

_OF_HOSTS = ('reboot_host', 'restart_toolstack')


def guests(db: database.Database, host: str) -> list[str]:
    """Those that are on a host, in any state."""
    return db.where('VM', resident_on=host, is_control_domain=False)


def set_on_host(
    db: database.Database, host: str, coming: dict[str, list[str]]
) -> None:
    """Tell the host, and the guests on it whose device model is old."""
    for kind, field in FIELDS.items():
        asked = coming.get(kind, [])
        for one in asked:
            if one in _OF_HOSTS:
                _add(db.row('host', host), field, one)
        if 'restart_device_model' not in asked:
            continue
        for vm in guests(db, host):
            if db.row('VM', vm)['domain_type'] == 'hvm':
                _add(db.row('VM', vm), field, 'restart_device_model')


def set_restart_of_guests(
    db: database.Database, hosts: list[dict[str, list[str]]]
) -> None:
    """Tell all guests of the pool which run, when its master is updated.

    :param hosts: what the updates of each host ask for
    """
    for kind, field in FIELDS.items():
        if not any('restart_vm' in asked.get(kind, ()) for asked in hosts):
            continue
        for vm, row in db.rows('VM'):
            idle = row['is_a_template'] or row['power_state'] == 'Halted'
            if not idle and not row['is_control_domain']:
                _add(db.row('VM', vm), field, 'restart_vm')


def settle_livepatch(
    db: database.Database, host: str, applied: bool, failed: bool
) -> None:
    """One that failed is told among the recommended, till one is applied."""
    row = db.row('host', host)
    field = FIELDS['recommended']
    if failed:
        _add(row, field, LIVEPATCH_FAILED)
    elif applied:
        row[field] = [one for one in row[field] if one != LIVEPATCH_FAILED]


def waits_for_boot(guidance: dict[str, list[str]]) -> bool:
    """Whether the restart that is asked for first is one of the host."""
    for kind in packages.KINDS:
        if 'reboot_host' in guidance[kind]:
            return True
        if 'restart_toolstack' in guidance[kind]:
            return False
    return False


def _add(row: database.Record, field: str, one: str) -> None:
    if one not in row[field]:
        row[field] = [*row[field], one]
