"""aggregates-ext-manage pool: pools that exist already."""

import sys
import time

from aggregates_ext import exception
from aggregates_ext import rpc
from aggregates_ext.cmd.commands import group
from aggregates_ext.domain import intent
from aggregates_ext.domain import operations
from aggregates_ext.domain import pools

POLL = 0.5
UNFINISHED = ('queued', 'running')


def register(subparsers: object) -> None:
    """Add the group to the command line."""
    actions = group.add_group(subparsers, 'pool', 'pools that exist already')
    parser = group.add_command(
        actions,
        'adopt',
        'make a pool, with all its hosts, an aggregate',
        adopt,
    )
    # oslo.config keeps "name" for itself.
    parser.add_argument(
        'aggregate',
        metavar='NAME',
        help='of the aggregate; the pool gets it too',
    )
    parser.add_argument('host', help='the host-id of its master')
    parser.add_argument('--zone', help='availability zone of the aggregate')
    parser.add_argument(
        '--wait', action='store_true', help='until it is done or refused'
    )


def adopt(tools: group.Tools) -> int:
    """Queue the adoption of a pool, and print the operation."""
    asked = tools.asked
    compute = rpc.ComputeAPI(rpc.get_transport(tools.conf), 0)
    intended = intent.Intent(tools.database, compute, 0)
    queued = pools.Pools(intended).adopt_pool(
        tools.context(), _name(asked.aggregate), asked.host, asked.zone
    )
    print(f'aggregate {queued.aggregate_id} operation {queued.uuid}')
    return _wait(tools, queued.uuid) if asked.wait else 0


def _name(name: str) -> str:
    stripped = name.strip()
    if not stripped or len(stripped) > 255 or not stripped.isprintable():
        raise exception.Invalid(
            reason='The name of an aggregate is text of 1 to 255 characters '
            'without control characters.'
        )
    return stripped


def _wait(tools: group.Tools, uuid: str) -> int:
    """Tell how an operation ends; 0 when it has succeeded."""
    done = operations.Operations(tools.database)
    told = ''
    while (found := done.get(uuid)).state in UNFINISHED:
        reason = (found.error or {}).get('message') or found.step or ''
        if reason != told:
            print(reason, file=sys.stderr)
            told = reason
        time.sleep(POLL)
    for sentence in found.parameters.get('result', ()):
        print(sentence)
    print(found.state)
    if found.state != 'succeeded':
        print((found.error or {}).get('message', ''), file=sys.stderr)
        return 1
    return 0
