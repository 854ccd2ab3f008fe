"""States of aggregates, hosts and operations, made by hand and by chance.

What a compute service leaves behind is written as it leaves it. Those that
are made by chance need not come about: what is asked of them is asked of
any.
"""

import random
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from oslo_utils import timeutils
from oslo_utils import uuidutils

from aggregates_ext.db import operations as db_operations
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models
from aggregates_ext.domain import operations

# Beside those of the service; ``far`` is registered in another zone.
MORE = ('xen4', 'xen5')
LATER = 4e9  # seconds of the epoch
Row = dict[str, Any]

PHASES = ('joining', 'member', 'leaving', 'returning')
STATES = (
    'queued',
    'running',
    'succeeded',
    'failed',
    'cancelled',
    'unresolved',
)
KINDS = (
    'add_host',
    'remove_host',
    'rename',
    'set_master',
    'adopt',
    'reapply',
    'delete',
    'set_hosts',
    *db_operations.OF_THE_SERVICE,
    *db_operations.ON_EMPTY_HOSTS,
    *db_operations.ROLLING,
)
OF_HOSTS = (
    'add_host',
    'remove_host',
    'set_master',
    *db_operations.OF_THE_SERVICE,
    *db_operations.ON_EMPTY_HOSTS,
)
_GUESTS_ARRIVED = {'code': 'GUESTS_ARRIVED', 'message': 'There are guests.'}


def operation(
    kind: str, state: str, host: str | None = None, **beside: Any
) -> Row:
    """A row of an operation; its parameters are ``parameters``."""
    return {
        'uuid': uuidutils.generate_uuid(),
        'kind': kind,
        'aggregate_id': 1,
        'host': host,
        'state': state,
        'settled': state in ('succeeded', 'cancelled'),
        'progress': 0,
        'attempts': 0,
        'parameters': {},
        'created_at': timeutils.utcnow(),
        **beside,
    }


def member(name: str, **beside: Any) -> Row:
    return {'name': name, 'aggregate_id': 1, 'phase': 'member', **beside}


def rolling(state: str, of_host: str = 'paused', **parameters: Any) -> Row:
    """A run over two hosts that has come to the first one."""
    entries = [{'host': 'xen1', 'state': of_host}]
    known = {'pause': 'before_reboot', 'roll': entries, **parameters}
    return operation('rolling_reboot', state, parameters=known)


def asked_of(row: Row, kind: str) -> Row:
    """What was asked of an operation that goes on."""
    known = {'part_of': row['uuid'], 'paused': 'xen1'}
    return operation(kind, 'succeeded', parameters=known)


def _joining(state: str) -> list[Row]:
    return [
        member('xen3', phase='joining'),
        operation('add_host', state, 'xen3'),
    ]


def _leaving(state: str, **beside: Any) -> list[Row]:
    return [
        member('xen3', phase='leaving'),
        operation('remove_host', state, 'xen3', **beside),
    ]


def _listed(*states: str) -> list[Row]:
    """A list of hosts whose parts are in some states."""
    parts = [operation('add_host', state, 'xen3') for state in states]
    uuids = [part['uuid'] for part in parts]
    known = {'parts': uuids, 'hosts': ['xen3']}
    return [*parts, operation('set_hosts', 'running', parameters=known)]


_RUN = rolling('running')
_HA = {'storage': ['sr'], 'configuration': {}, 'tolerate': '1'}
_OWES = rolling('failed', 'stopped', ha_before=_HA, autostart_before=True)
# By name: rows of hosts and of operations, and columns of the aggregate. The
# members xen1 and xen2 are there unless a state says otherwise.
BY_HAND: dict[str, list[Row]] = {
    'two members': [],
    'no pool': [{'pool_uuid': None}],
    'no host': [
        {'pool_uuid': None},
        {'name': 'xen1', 'aggregate_id': None, 'phase': 'free'},
        {'name': 'xen2', 'aggregate_id': None, 'phase': 'free'},
    ],
    'the last host': [
        {'name': 'xen2', 'aggregate_id': None, 'phase': 'free'},
    ],
    'in another zone': [{'availability_zone': 'here'}],
    'a host of another': [member('xen3', aggregate_id=2)],
    'a host that leaves another': [
        member('xen3', aggregate_id=2, phase='leaving'),
        operation('remove_host', 'running', 'xen3', aggregate_id=2),
    ],
    'a join queued': _joining('queued'),
    'a join running': _joining('running'),
    'a join unresolved': _joining('unresolved'),
    'a join failed': [operation('add_host', 'failed', 'xen3')],
    'a join failed, in another zone': [
        operation('add_host', 'failed', 'far'),
        {'availability_zone': 'here'},
    ],
    'a join failed and replaced': [
        operation('add_host', 'failed', 'xen3'),
        operation('add_host', 'cancelled', 'xen3'),
    ],
    'a join of a host that is gone': [
        operation('add_host', 'failed', 'forgotten')
    ],
    'a removal queued': _leaving('queued'),
    'a removal that rests': _leaving('running', not_before=LATER),
    'a removal under way': _leaving('running'),
    'a removal sent': _leaving(
        'running', not_before=LATER, parameters={'sent': True}
    ),
    'a removal unresolved': _leaving('unresolved'),
    'a removal failed': [operation('remove_host', 'failed', 'xen2')],
    'a removal by force failed': [
        operation('remove_host', 'failed', 'xen2', parameters={'force': True})
    ],
    'on its way back': [
        member('xen3', phase='returning'),
        operation('remove_host', 'succeeded', 'xen3'),
    ],
    'the last host leaves': [
        {'name': 'xen1', 'aggregate_id': None, 'phase': 'free'},
        member('xen2', phase='leaving'),
        operation('remove_host', 'running', 'xen2'),
    ],
    'deleted when the last host has left': [
        {'name': 'xen1', 'aggregate_id': None, 'phase': 'free'},
        member('xen2', phase='leaving'),
        operation('remove_host', 'running', 'xen2'),
        operation('delete', 'queued'),
    ],
    'no host, and a join unresolved': [
        {'name': 'xen1', 'aggregate_id': None, 'phase': 'free'},
        {'name': 'xen2', 'aggregate_id': None, 'phase': 'free'},
        operation('add_host', 'unresolved', 'xen1'),
    ],
    'in maintenance': [member('xen2', maintenance='on', service='disabled')],
    'on its way into maintenance': [
        member('xen2', maintenance='entering', service='disabled'),
        operation('enter_maintenance', 'running', 'xen2'),
    ],
    'on its way out of maintenance': [
        member('xen2', maintenance='leaving'),
        operation('leave_maintenance', 'running', 'xen2'),
    ],
    'guests on a host in maintenance that reboots': [
        member('xen2', maintenance='on', service='disabled'),
        {'drift': [{**_GUESTS_ARRIVED, 'host': 'xen2'}]},
        operation(
            'power_host', 'running', 'xen2', parameters={'action': 'reboot'}
        ),
    ],
    'out of maintenance failed, while the host reboots': [
        member('xen2', maintenance='on', service='disabled'),
        operation('leave_maintenance', 'failed', 'xen2'),
        operation(
            'power_host', 'running', 'xen2', parameters={'action': 'reboot'}
        ),
    ],
    'into maintenance failed, while the host reboots': [
        member('xen2', service='disabled'),
        operation('enter_maintenance', 'cancelled', 'xen2'),
        operation(
            'power_host', 'running', 'xen2', parameters={'action': 'reboot'}
        ),
    ],
    'a shutdown failed': [
        member('xen2', maintenance='on', service='disabled'),
        operation(
            'power_host', 'failed', 'xen2', parameters={'action': 'shutdown'}
        ),
    ],
    'an entry failed, then taken back': [
        operation('enter_maintenance', 'failed', 'xen2'),
        operation('leave_maintenance', 'cancelled', 'xen2'),
    ],
    'a change of master failed': [operation('set_master', 'failed', 'xen2')],
    'a change of master failed, of a host that left': [
        operation('set_master', 'failed', 'xen3')
    ],
    'a change of master failed, then asked of another': [
        operation('set_master', 'failed', 'xen2'),
        operation('set_master', 'cancelled', 'xen1'),
    ],
    'an adoption of a pool failed': [operation('adopt', 'failed', 'xen3')],
    'an adoption of a bound host failed': [
        operation('adopt', 'failed', 'xen2')
    ],
    'a rename that rests': [operation('rename', 'queued', not_before=LATER)],
    'a run queued': [operation('rolling_reboot', 'queued')],
    'a run under way': [rolling('running', 'entering')],
    'a run paused': [_RUN],
    'a run paused and let go': [_RUN, asked_of(_RUN, 'continue_operation')],
    'a run paused and given up': [_RUN, asked_of(_RUN, 'cancel_operation')],
    'a run failed': [rolling('failed', 'stopped')],
    'a run failed that owes what was on': [_OWES],
    'a run failed that owes homes': [
        rolling('failed', 'stopped', away='"g" of host xen2')
    ],
    'a run that owes, and an update that failed': [
        operation('rolling_update', 'failed'),
        _OWES,
    ],
    'a run that owes, and failed again': [
        _OWES,
        rolling('failed', 'stopped', ha_before=_HA, retry_of=_OWES['uuid']),
    ],
    'a run that owes, and goes on': [
        _OWES,
        rolling('running', 'entering', ha_before=_HA, retry_of=_OWES['uuid']),
    ],
    'a run that owed, and gave it back before it failed again': [
        _OWES,
        rolling('failed', 'stopped', ha_before=None, retry_of=_OWES['uuid']),
    ],
    'a run that owes and was given up': [{**_OWES, 'settled': True}],
    'a run failed and replaced': [
        rolling('failed', 'stopped'),
        operation('rolling_reboot', 'cancelled'),
    ],
    'a run failed, while another goes on': [
        rolling('failed', 'stopped'),
        operation('rolling_update', 'running'),
    ],
    'an update failed, while a restart goes on': [
        operation('rolling_update', 'failed'),
        _RUN,
    ],
    'no pool, and what was about it cancelled': [
        {'pool_uuid': None},
        operation('reapply', 'cancelled'),
        operation('adopt', 'cancelled'),
    ],
    'a deletion cancelled, and a join unresolved': [
        {'name': 'xen1', 'aggregate_id': None, 'phase': 'free'},
        {'name': 'xen2', 'aggregate_id': None, 'phase': 'free'},
        operation('delete', 'cancelled'),
        operation('add_host', 'unresolved', 'xen1'),
    ],
    'a deletion cancelled, and hosts have come': [
        operation('delete', 'cancelled')
    ],
    'a list of hosts that waits': _listed('queued', 'running'),
    'a list of hosts that goes on': _listed('running', 'running'),
    'a list of hosts that failed': [
        operation('set_hosts', 'failed', parameters={'parts': []})
    ],
}


def by_chance(seed: int) -> list[Row]:
    """Any host in any phase, and operations of any kind in any state."""
    dice = random.Random(seed)
    names = ('xen1', 'xen2', 'xen3', 'xen4', 'far')
    rows: list[Row] = []
    for name in names:
        key = dice.choice((None, 1, 1, 1, 2))
        bound = {'aggregate_id': key, 'phase': dice.choice(PHASES)}
        if bound['phase'] == 'member':
            bound['maintenance'] = dice.choice(
                (None, None, 'entering', 'on', 'leaving')
            )
        rows.append(
            {'name': name, **(bound if key else {**_FREE, 'phase': 'free'})}
        )
    for _each in range(dice.randrange(6)):
        rows.append(_any_operation(dice, names))
    zone = dice.choice((None, None, 'elsewhere', 'here'))
    pool = dice.choice(('p', 'p', None))
    drift = dice.choice(([], [{**_GUESTS_ARRIVED, 'host': 'xen2'}]))
    rows.append({'availability_zone': zone, 'pool_uuid': pool, 'drift': drift})
    return rows


_FREE: Row = {'aggregate_id': None}


def _any_operation(dice: random.Random, names: Sequence[str]) -> Row:
    kind, state = dice.choice(KINDS), dice.choice(STATES)
    parameters: Row = {}
    host = dice.choice(names) if kind in OF_HOSTS else None
    if kind == 'remove_host':
        parameters = dice.choice(({}, {'force': True}, {'sent': True}))
    if kind in db_operations.ON_EMPTY_HOSTS:
        parameters = {'action': dice.choice(('reboot', 'shutdown'))}
    if kind in operations.ROLLING:
        of_host = dice.choice(('paused', 'entering', 'waiting'))
        parameters = rolling(state, of_host)['parameters']
        parameters |= dice.choice(({}, {'ha_before': _HA}))
    if kind == operations.SET_HOSTS:
        parameters = {'parts': [], 'hosts': []}
    stands = host is not None or kind in operations.ROLLING
    settled = state in ('succeeded', 'cancelled')
    if state == 'failed':
        settled = not stands or dice.random() < 0.3
    return operation(
        kind,
        state,
        host,
        settled=settled,
        parameters=parameters,
        not_before=dice.choice((None, None, LATER, 1.0)),
    )


class Stage:
    """A database that is as a state says, and can be so again."""

    def __init__(self, database: engine.Database) -> None:
        self._database = database
        self._kept: dict[str, list[Row]] = {}
        hosts, aggregates = models.hosts, models.aggregates
        now = timeutils.utcnow()
        with database.writer() as connection:
            for name in MORE:
                values = {'name': name, 'url': f'https://{name}.test'}
                connection.execute(
                    sa.insert(hosts).values(
                        **values,
                        credential='default',
                        phase='free',
                        created_at=now,
                    )
                )
            for key in (1, 2):
                connection.execute(
                    sa.insert(aggregates).values(
                        id=key,
                        uuid=f'u{key}',
                        name=f'pool{key}',
                        metadata={},
                        created_at=now,
                        lease_epoch=0,
                        lease_writes=0,
                        pool_uuid='p',
                    )
                )
            for name in ('xen1', 'xen2'):
                _write_host(connection, member(name))
        self.keep()

    def keep(self) -> None:
        """Remember how it is."""
        with self._database.reader() as connection:
            self._kept = {
                table.name: [
                    dict(row)
                    for row in connection.execute(sa.select(table)).mappings()
                ]
                for table in models.METADATA.sorted_tables
            }

    def restore(self) -> None:
        """Let it be as it was kept."""
        tables = models.METADATA.sorted_tables
        with self._database.writer() as connection:
            for table in reversed(tables):
                connection.execute(sa.delete(table))
            for table in tables:
                if self._kept[table.name]:
                    connection.execute(
                        sa.insert(table), self._kept[table.name]
                    )

    def become(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write what a state says of hosts, operations and aggregate 1."""
        with self._database.writer() as connection:
            for row in rows:
                if 'uuid' in row:
                    connection.execute(
                        sa.insert(models.operations).values(row)
                    )
                elif 'name' in row:
                    _write_host(connection, row)
                else:
                    connection.execute(
                        sa.update(models.aggregates)
                        .where(models.aggregates.c.id == 1)
                        .values(row)
                    )


def _write_host(connection: Any, row: Mapping[str, Any]) -> None:
    connection.execute(
        sa.update(models.hosts)
        .where(models.hosts.c.name == row['name'])
        .values(row)
    )
