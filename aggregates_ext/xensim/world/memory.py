"""What memory machines take on a host.

See xapi#host-record, xapi#evacuation-plan and xapi#migration.
"""

import collections.abc

from aggregates_ext.xensim.records import database

Measure = collections.abc.Callable[[database.Record], int]

LOADED = ('Running', 'Paused')

MIB = 1 << 20
PAGES = MIB // 4096
FIXED = 3
"""MiB which each guest takes besides its shadow."""


def overhead(memory: int, vcpus: int) -> int:
    """What a guest needs besides its memory (xapi#evacuation-plan).

    Two pages for each MiB of it and a MiB for each processor.
    """
    pages = 2 * -(-memory // MIB) + PAGES * vcpus
    return (-(-pages // PAGES) + FIXED) * MIB


def needed(machine: database.Record) -> int:
    """The least memory of a machine which is loaded, in whole MiB.

    xapi counts on squeezing each machine to that (xapi#migration-rules).
    """
    wanted = machine['memory_dynamic_min']
    whole = -(-int(wanted) // MIB) * MIB
    return int(whole + machine['memory_overhead'])


def greatest(machine: database.Record) -> int:
    """The most that a machine can take: high availability plans with it.

    See xapi#ha-plan.
    """
    control = machine['is_control_domain']
    wanted = machine['memory_dynamic_max' if control else 'memory_static_max']
    return int(-(-int(wanted) // MIB) * MIB + machine['memory_overhead'])


def total(db: database.Database, host: str) -> int:
    """The memory of a host."""
    metrics = db.row('host', host)['metrics']
    return int(db.row('host_metrics', metrics)['memory_total'])


def free(db: database.Database, host: str, measure: Measure = needed) -> int:
    """What host.compute_free_memory tells: arriving machines count.

    :param measure: what a machine takes
    """
    taken = 0
    for _, machine in db.rows('VM'):
        resident = machine['resident_on'] == host
        arriving = machine['scheduled_to_be_resident_on'] == host
        if arriving or (resident and machine['power_state'] in LOADED):
            taken += measure(machine)
    overhead = int(db.row('host', host)['memory_overhead'])
    return total(db, host) - overhead - taken


def refresh(db: database.Database, host: str) -> None:
    """Bring the statistic of a host up to date."""
    if db.exists('host', host):
        metrics = db.row('host', host)['metrics']
        if db.exists('host_metrics', metrics):
            left = max(0, free(db, host))
            db.row('host_metrics', metrics)['memory_free'] = left
