"""What processors can, and what guests use of that since they started.

Features are words of eight hexadecimal digits, with dashes between them. Where
none are told nothing is compared (xapi#migration-rules).
"""

import collections.abc
import functools
import itertools
import operator

from aggregates_ext.xensim.records import database

HOSTS = ('features_hvm', 'features_pv')
POOLS = ('features_hvm_host', 'features_pv_host')

OTHER_VENDOR = (
    'VM last booted on a host which had a CPU from a different vendor.'
)
LACKING = (
    "VM last booted on a CPU with features this host's CPU does not have."
)


def common(sets: collections.abc.Iterable[str]) -> str:
    """What several sets of features have in common."""
    told = map(_words, filter(None, sets))
    by_word = itertools.zip_longest(*told, fillvalue=0)
    both = (functools.reduce(operator.and_, words) for words in by_word)
    return '-'.join(f'{word:08x}' for word in both)


def boot(db: database.Database, vm: str) -> None:
    """A guest starts with what all hosts of its pool have."""
    row, cpus = db.row('VM', vm), db.pool['cpu_info']
    row['last_boot_CPU_flags'] = {
        'vendor': cpus['vendor'],
        'features': cpus[_of(POOLS, row)],
    }


def refusal(machine: database.Record, host: database.Record) -> str:
    """Why a guest that has started cannot run on the processors of a host.

    :returns: as xapi says it; '' where it can.
    """
    booted, there = machine['last_boot_CPU_flags'], host['cpu_info']
    if 'vendor' in booted and booted['vendor'] != there.get('vendor'):
        return OTHER_VENDOR
    used, known = booted.get('features'), there.get(_of(HOSTS, machine))
    if not used or not known:
        return ''
    pairs = itertools.zip_longest(_words(used), _words(known), fillvalue=0)
    return LACKING if any(one & ~other for one, other in pairs) else ''


def _words(features: str) -> list[int]:
    return [int(word, 16) for word in features.split('-')]


def _of(fields: tuple[str, str], machine: database.Record) -> str:
    """The field for guests of a kind: those with hardware of their own first."""
    return fields[machine['domain_type'] == 'pv']
