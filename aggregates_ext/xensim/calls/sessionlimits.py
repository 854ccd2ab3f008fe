"""How long a session lives, and how many there can be.

See xapi#session-validity.
"""

from aggregates_ext.xensim.plan import timing
from aggregates_ext.xensim.records import database


def idle(row: database.Record, times: timing.Times, now: float) -> bool:
    """Whether a session was not used for too long."""
    used: float = row['last_active'].timestamp()
    return now - used >= times.session_idle


def note_use(row: database.Record, times: timing.Times, now: float) -> None:
    """Write down that a session is used, but not at each call."""
    used: float = row['last_active'].timestamp()
    if now - used >= times.session_refresh:
        row['last_active'] = database.date(now)


def sweep(db: database.Database, times: timing.Times, now: float) -> None:
    """Drop the sessions which are idle, and the oldest of too many."""
    groups: dict[tuple[str, str], list[str]] = {}
    for ref, row in db.rows('session'):
        if idle(row, times, now):
            db.delete('session', ref)
        else:
            groups.setdefault(_group(row), []).append(ref)
    for (kind, _), refs in groups.items():
        surplus = len(refs) - _limit(times, kind)
        if surplus > 0:
            refs.sort(key=lambda ref: db.row('session', ref)['last_active'])
            for ref in refs[:surplus]:
                db.delete('session', ref)


def _group(row: database.Record) -> tuple[str, str]:
    """Which sessions one session is counted with."""
    if row['originator']:
        return 'originator', row['originator']
    if not row['is_local_superuser']:
        return 'user', row['auth_user_name']
    return 'rest', ''


def _limit(times: timing.Times, kind: str) -> int:
    if kind == 'originator':
        return times.sessions_per_originator
    if kind == 'user':
        return times.sessions_per_user
    return times.sessions_of_the_rest
