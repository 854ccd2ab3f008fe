"""Sessions: logging in and out, and what a session may do (xapi#sessions)."""

import threading
import uuid

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.calls import rbac
from aggregates_ext.xensim.calls import sessionlimits
from aggregates_ext.xensim.plan import timing
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import host as hosts


def authenticate(
    host: hosts.Host, times: timing.Times, user: str, password: str
) -> operations.Steps:
    """Check an account of a host, late when it is wrong (xapi#login).

    The value is whether the account may do everything.
    """
    fixed = host.preset.login_penalty
    penalty = times.login_penalty if fixed is None else fixed
    accounts = host.spec.read_only_users | {host.username: host.password}
    if user not in accounts:
        yield penalty
        raise failure.Failure(
            'SESSION_AUTHENTICATION_FAILED',
            user,
            'User not known to the underlying authentication module',
        )
    if password != accounts[user]:
        yield penalty
        raise failure.Failure(
            'SESSION_AUTHENTICATION_FAILED', user, 'Authentication failure'
        )
    return user == host.username


def assert_master(host: hosts.Host) -> None:
    """A slave sends away before any password is looked at (xapi#login)."""
    if host.xapi is not None and host.xapi.master is not None:
        raise failure.Failure('HOST_IS_SLAVE', host.xapi.master)


def login_with_password(
    context: operations.Context,
    user: str,
    password: str,
    version: str = '1.1',
    originator: str = '',
) -> operations.Steps:
    """Log in to a master (xapi#login)."""
    host = context.host
    assert_master(host)
    times = context.world.times
    superuser = yield from authenticate(host, times, user, password)
    assert_master(host)
    now = database.date(context.now)
    ref = context.db.create(
        'session',
        this_host=context.db.by_uuid('host', host.uuid),
        this_user=database.NULL,
        last_active=now,
        validation_time=now,
        is_local_superuser=superuser,
        rbac_permissions=list(rbac.permissions(superuser)),
        auth_user_name=user,
        originator=originator,
    )
    sessionlimits.sweep(context.db, times, context.now)
    return ref


def slave_local_login_with_password(
    context: operations.Context, user: str, password: str
) -> operations.Steps:
    """Log in to this very host, whatever its role (xapi#emergency)."""
    times = context.world.times
    superuser = yield from authenticate(context.host, times, user, password)
    if not superuser:
        raise rbac.denied('session.slave_local_login_with_password')
    ref = f'OpaqueRef:{uuid.uuid4()}'
    context.xapi.local_sessions.add(ref)
    return ref


def logout(context: operations.Context) -> str:
    """End the session which the call was made with."""
    context.db.delete('session', context.session)
    return ''


def local_logout(context: operations.Context) -> str:
    """End a local session."""
    context.xapi.local_sessions.discard(context.session)
    return ''


def change_password(
    context: operations.Context, old: str, new: str
) -> operations.Steps:
    """Set the password of the account, on all hosts of the pool."""
    host, times = context.host, context.world.times
    yield from authenticate(host, times, context.host.username, old)
    for _, row in context.db.rows('host'):
        member = context.world.by_uuid(row['uuid'])
        if member is not None:
            member.password = new
    return ''


def get_all_subject_identifiers(context: operations.Context) -> list[str]:
    """Who is logged in from outside: no external accounts are simulated."""
    return []


def check(context: operations.Context) -> operations.Steps:
    """Let a call with a session pass or not (xapi#session-validity)."""
    world, xapi = context.world, context.xapi
    if xapi.blocked_until > context.now:
        yield xapi.blocked_until - context.now
    db: database.Database = yield from _database(context)
    if context.session in xapi.local_sessions:
        return
    if not db.exists('session', context.session):
        raise failure.Failure('SESSION_INVALID', context.session)
    if xapi.master is not None:
        raise failure.Failure('HOST_IS_SLAVE', xapi.master)
    row = db.row('session', context.session)
    if sessionlimits.idle(row, world.times, context.now):
        db.delete('session', context.session)
        raise failure.Failure('SESSION_INVALID', context.session)
    sessionlimits.note_use(row, world.times, context.now)


def _database(context: operations.Context) -> operations.Steps:
    """The database, awaited without end while the master is away."""
    wait = operations.Wait(threading.Event(), operations.FOREVER)
    context.xapi.waiting.add(wait.event)
    try:
        while (db := context.world.database_of(context.host)) is None:
            wait.event.clear()
            yield wait
    finally:
        context.xapi.waiting.discard(wait.event)
    return db
