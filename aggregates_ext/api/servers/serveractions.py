"""What can be done to servers: they are moved, and nothing else.

All else is done in their pools; what Nova would do is refused with the reason.
"""

from typing import Any

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext import policy
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import moveforms
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes
from aggregates_ext.api.servers import servers
from aggregates_ext.domain import moves

# Actions of Nova that are none of ours, and why.
_REFUSED = {
    'migrate': 'A server that is shut off needs no migration: its pool '
    f'starts it on any host. One that runs is moved with {moves.ACTION}.',
    'evacuate': 'Guests of a dead host are restarted by the high '
    'availability of their pool.',
}
_IN_THE_POOL = (
    'Servers are made and managed in their pool: {} is done there, and '
    f'{moves.ACTION} alone here.'
)
_OF_NOVA = frozenset(
    (
        'addFixedIp',
        'addFloatingIp',
        'addSecurityGroup',
        'changePassword',
        'confirmResize',
        'createBackup',
        'createImage',
        'forceDelete',
        'injectNetworkInfo',
        'lock',
        'os-getConsoleOutput',
        'os-getRDPConsole',
        'os-getSPICEConsole',
        'os-getSerialConsole',
        'os-getVNCConsole',
        'os-resetState',
        'os-start',
        'os-stop',
        'pause',
        'reboot',
        'rebuild',
        'removeFixedIp',
        'removeFloatingIp',
        'removeSecurityGroup',
        'rescue',
        'resetNetwork',
        'resize',
        'restore',
        'resume',
        'revertResize',
        'shelve',
        'shelveOffload',
        'suspend',
        'trigger_crash_dump',
        'unlock',
        'unpause',
        'unrescue',
        'unshelve',
    )
)


def act(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    server_id: str,
    body: Any,
) -> routing.Accepted:
    """Move a server to another host of its pool."""
    name = schema.action(body)
    if name in _REFUSED:
        raise exception.Invalid(reason=_REFUSED[name])
    if name in _OF_NOVA:
        raise exception.Invalid(reason=_IN_THE_POOL.format(name))
    if name != moves.ACTION:
        raise exception.Invalid(
            reason=f'There is no such action: {ascii(name[:40])[1:-1]}'
        )
    return _migrate_live(ctx, domain, shape, server_id, body)


def _migrate_live(
    ctx: context.RequestContext,
    domain: routing.Domain,
    shape: shapes.Shape,
    server_id: str,
    body: Any,
) -> routing.Accepted:
    content = body[moves.ACTION]
    named = isinstance(content, dict) and content.get('host')
    rule = policy.MIGRATE_LIVE_HOST if named else policy.MIGRATE_LIVE
    ctx.can(rule)
    asked = schema.check(
        body, moveforms.migrate_live(shape), strict=shape.strict
    )
    guest = servers.find(ctx, domain, shape, server_id, rule)
    host = asked['host']
    if moveforms.is_true(asked.get('force')) and host is None:
        raise exception.Invalid(
            reason="Can't force to a non-provided destination"
        )
    if moveforms.is_true(asked['block_migration']):
        raise exception.Invalid(
            reason='block_migration cannot be true: a pool moves the memory '
            'of a server between hosts that see its disks, and no disks. '
            'Send false, or "auto" from 2.25 on.'
        )
    made = domain.moves.ask(ctx, guest, host)
    return routing.Accepted(f'migration {made.id}')


ROUTES: routing.Routes = {
    '/servers/{server_id}/action': {'POST': routing.Route(act, 'body')},
}
