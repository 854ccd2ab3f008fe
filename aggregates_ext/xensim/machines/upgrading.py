"""Pools whose hosts have different versions (xapi#rolling-upgrade)."""

import collections.abc

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure

ROLLING = ('platform_version', 'xapi')
"""What differs in software_version while a pool is upgraded."""
MOVING = ('platform_version', 'xapi_build', 'xen')
"""What must not go down in a move."""

KEY = 'rolling_upgrade_in_progress'

Keys = collections.abc.Iterable[str]


def numbers(text: str) -> list[int]:
    """A version, to be compared; of what follows a dash, only numbers."""
    parts = '.'.join(text.split('-')[:2]).split('.')
    return [int(part) for part in parts if part.isdigit()]


def _versions(db: database.Database, host: str, keys: Keys) -> list[list[int]]:
    told = db.row('host', host)['software_version']
    return [numbers(told.get(key, '0.0.0')) for key in keys]


def _at_least(
    db: database.Database, host: str, other: str, keys: Keys
) -> bool:
    pairs = zip(
        _versions(db, host, keys), _versions(db, other, keys), strict=True
    )
    return all(mine >= theirs for mine, theirs in pairs)


def is_not_older(db: database.Database, host: str, other: str) -> bool:
    """Whether guests of another host may go to a host."""
    return _at_least(db, host, other, MOVING)


def is_newest(db: database.Database, host: str) -> bool:
    """Whether no host of the pool is newer."""
    return all(
        _at_least(db, host, other, ROLLING) for other, _ in db.rows('host')
    )


def differ(db: database.Database) -> bool:
    """Whether some host has another version than the master."""
    told = [_versions(db, host, ROLLING) for host, _ in db.rows('host')]
    return any(one != told[0] for one in told)


def in_progress(db: database.Database) -> bool:
    """What the pool says; its value is not looked at."""
    return KEY in db.pool['other_config']


def mark(db: database.Database) -> None:
    """Let the pool say what is."""
    if not differ(db):
        db.pool['other_config'].pop(KEY, None)
    elif not in_progress(db):
        db.pool['other_config'][KEY] = 'true'


def assert_takes(db: database.Database, host: str) -> None:
    """Guests start only on the newest hosts meanwhile."""
    if in_progress(db) and not is_newest(db, host):
        raise failure.Failure('NOT_SUPPORTED_DURING_UPGRADE')
