"""What the start of a xapi ends: guidances, and that its host is disabled.

See xapi#boots and xapi#maintenance-calls.
"""

from aggregates_ext.xensim.life import liveness
from aggregates_ext.xensim.machines import haplan
from aggregates_ext.xensim.machines import powerstate
from aggregates_ext.xensim.machines import upgrading
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.world import host as hosts

RESTARTED = frozenset({'restart_toolstack'})
BOOTED = RESTARTED | {
    'reboot_host',
    'reboot_host_on_livepatch_failure',
    'reboot_host_on_kernel_livepatch_failure',
    'reboot_host_on_xen_livepatch_failure',
}
"""What is not to be done any more after a start of xapi, or of the host."""


def install(host: hosts.Host) -> None:
    """What was put on the disk runs from this start on, or this boot."""
    host.installed |= host.renewed
    host.renewed = {}
    if host.booted is not None:
        host.installed |= host.update
        host.update = {}


def settle(
    db: database.Database, ref: str, host: hosts.Host, xapi: hosts.Xapi
) -> None:
    """Tell what runs now, and take away what this start has done."""
    row = db.row('host', ref)
    row['software_version'] = row['software_version'] | host.installed
    upgrading.mark(db)
    done = BOOTED if xapi.on_boot else RESTARTED
    for field in powerstate.GUIDANCES:
        row[field] = [one for one in row[field] if one not in done]
    if xapi.on_boot:
        row['updates_requiring_reboot'] = []


def consider_enabling(
    db: database.Database, ref: str, host: hosts.Host, xapi: hosts.Xapi
) -> None:
    """Let a host take guests, unless something stands against it."""
    row = db.row('host', ref)
    if xapi.disabled or (db.pool['ha_enabled'] and _lacks_storage(db, ref)):
        return
    if xapi.on_boot and not row['pending_guidances']:
        host.disabled_until_reboot = False
    if host.disabled_until_reboot or row['pending_guidances']:
        return
    liveness.set_enabled(row, host.auto_enable)
    haplan.follow(db)


def _lacks_storage(db: database.Database, ref: str) -> bool:
    return bool(db.where('PBD', host=ref, currently_attached=False))
