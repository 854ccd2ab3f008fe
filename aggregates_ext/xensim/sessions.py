"""Sessions: logging in and out, and what a session may do (contract 2)."""

import uuid

from aggregates_ext.xensim import database
from aggregates_ext.xensim import failure
from aggregates_ext.xensim import host as hosts
from aggregates_ext.xensim import operations
from aggregates_ext.xensim import timing


def authenticate(
    host: hosts.Host, times: timing.Times, user: str, password: str
) -> operations.Steps:
    """Check an account of a host, late when it is wrong (errors.txt)."""
    if user != host.username:
        yield times.login_penalty
        raise failure.Failure(
            'SESSION_AUTHENTICATION_FAILED',
            user,
            'User not known to the underlying authentication module',
        )
    if password != host.password:
        yield times.login_penalty
        raise failure.Failure(
            'SESSION_AUTHENTICATION_FAILED', user, 'Authentication failure'
        )


def assert_master(host: hosts.Host) -> None:
    """A slave sends away before any password is looked at (contract 2.3)."""
    if host.xapi is not None and host.xapi.master is not None:
        raise failure.Failure('HOST_IS_SLAVE', host.xapi.master)


def login_with_password(
    context: operations.Context,
    user: str,
    password: str,
    version: str = '1.1',
    originator: str = '',
) -> operations.Steps:
    """Log in to a master (contract 2.3)."""
    host = context.host
    assert_master(host)
    yield from authenticate(host, context.world.times, user, password)
    assert_master(host)
    now = database.date(context.now)
    return context.db.create(
        'session',
        this_host=context.db.by_uuid('host', host.uuid),
        this_user=database.NULL,
        last_active=now,
        validation_time=now,
        is_local_superuser=True,
        auth_user_name=user,
        originator=originator,
    )


def slave_local_login_with_password(
    context: operations.Context, user: str, password: str
) -> operations.Steps:
    """Log in to this very host, whatever its role (contract 2.6)."""
    times = context.world.times
    yield from authenticate(context.host, times, user, password)
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


def check(context: operations.Context) -> operations.Steps:
    """Let a call with a session pass or not (contract 2.4)."""
    world, xapi = context.world, context.xapi
    if xapi.blocked_until > context.now:
        yield xapi.blocked_until - context.now
    db = world.database_of(context.host)
    if context.session not in xapi.local_sessions:
        if db is None:
            yield operations.FOREVER
        elif not db.exists('session', context.session):
            raise failure.Failure('SESSION_INVALID', context.session)
        elif xapi.master is not None:
            raise failure.Failure('HOST_IS_SLAVE', xapi.master)
    elif db is None:
        yield operations.FOREVER
