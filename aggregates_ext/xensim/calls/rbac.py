"""What the one lesser role may do.

See xapi#join-calls, xapi#simulated-behaviour-2, xapi#record-shapes.
"""

import functools

from aggregates_ext.xensim.calls import generic
from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.records import failure

ROLES = 'pool-admin, pool-operator'
"""The roles which may do everything that is simulated, but for the next."""

ADMIN_ONLY = frozenset({'host.call_plugin', 'pool.enable_tls_verification'})
"""Calls which are for pool-admin alone (xapi#tls-again, xapi#updater)."""

READ_ONLY = frozenset(
    {
        'VM.assert_agile',
        'VM.assert_can_boot_here',
        'event.from',
        'event.inject',
        'event.next',
        'event.register',
        'event.unregister',
        'host.compute_free_memory',
        'host.list_methods',
        'session.logout',
        'task.add_to_other_config',
        'task.cancel',
        'task.create',
        'task.destroy',
        'task.remove_from_other_config',
        'task.set_other_config',
    }
)
"""Calls which change something, or do not begin with get_."""

DENIED = frozenset({'host.get_management_interface'})
"""Calls which begin with get_ and are not for this role."""


def check(context: operations.Context, name: str) -> None:
    """Refuse a call which the session's role does not include."""
    if context.session in context.xapi.local_sessions:
        return
    row = context.db.row('session', context.session)
    if not row['is_local_superuser'] and not reads(name):
        raise denied(name)


def reads(name: str) -> bool:
    """Whether a call is for the read-only role."""
    kind, _, method = name.partition('.')
    if name in DENIED or kind == 'secret':
        return False
    return method.startswith('get_') or name in READ_ONLY


@functools.cache
def permissions(superuser: bool) -> tuple[str, ...]:
    """session.rbac_permissions: empty for who may do everything anyway."""
    if superuser:
        return ()
    named = {name for name in generic.names() if reads(name)} | READ_ONLY
    return tuple(sorted(name.lower() for name in named))


def denied(name: str) -> failure.Failure:
    """The refusal: what was wanted, and who may do it."""
    roles = 'pool-admin' if name in ADMIN_ONLY else ROLES
    return failure.Failure(
        'RBAC_PERMISSION_DENIED',
        name.lower(),
        'No permission in user session.'
        f' (Roles with this permission: {roles})',
    )
