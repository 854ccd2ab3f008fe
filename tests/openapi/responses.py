"""The schemas of answers: each key and type, and no other key.

Strict as those of tempest, so that a key more is a failure.
"""

from typing import Any

from aggregates_ext.api import app
from aggregates_ext.api.edge import faults
from aggregates_ext.api.forms import schema
from aggregates_ext.db import moves
from aggregates_ext.db import records
from aggregates_ext.domain import downtime
from aggregates_ext.domain import operations
from aggregates_ext.domain import overview
from aggregates_ext.domain.maintenance import rolling

Schema = dict[str, Any]

TEXT: Schema = {'type': 'string'}
NUMBER: Schema = {'type': 'integer'}
FLAG: Schema = {'type': 'boolean'}
UUID: Schema = {
    'type': 'string',
    'pattern': '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$',
}
_DAY = r'[0-9]{4}-[0-9]{2}-[0-9]{2}'
_CLOCK = r'[0-9]{2}:[0-9]{2}:[0-9]{2}'
TIMES: dict[str, Schema] = {
    'legacy': {
        'type': 'string',
        'pattern': rf'^{_DAY} {_CLOCK}(\.[0-9]{{6}})?$',
    },
    'modern': {'type': 'string', 'pattern': rf'^{_DAY}T{_CLOCK}\.[0-9]{{6}}$'},
}

MOVE_STATES = (*moves.OPEN, moves.COMPLETED, moves.FAILED, moves.CANCELLED)


def obj(optional: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    """An object with these keys and no other."""
    return {
        'type': 'object',
        'properties': properties,
        'required': [name for name in properties if name not in optional],
        'additionalProperties': False,
    }


def items(of: Schema) -> Schema:
    return {'type': 'array', 'items': of}


def maybe(of: Schema) -> Schema:
    """The same, or null."""
    return {**of, 'type': [of['type'], 'null']}


BOOKMARKS = items(obj(rel={'enum': ['self', 'bookmark']}, href=TEXT))
LINKS = items(obj(rel={'const': 'next'}, href=TEXT))
EXTENSION = obj(
    alias=TEXT,
    description=TEXT,
    links={'type': 'array', 'maxItems': 0},
    name=TEXT,
    namespace=TEXT,
    updated=TEXT,
)
PROBLEM = obj(
    # Where the words of ``found`` leave some out.
    ('details',),
    code=TEXT,
    rule=TEXT,
    found=TEXT,
    remedy=TEXT,
    heals=FLAG,
    message=TEXT,
    details=items(TEXT),
)
MOVE = obj(
    guest=TEXT,
    uuid=UUID,
    memory=maybe(NUMBER),
    target=maybe(TEXT),
    code=maybe(TEXT),
    reason=maybe(TEXT),
)
# What hosts are told; the last is a part of an update, and none can ask for it.
POWERS = [*schema.POWER_ACTIONS, 'restart_toolstack']
CHECK = obj(
    ('disks', 'plan', 'shut_down', 'hard', 'network'),
    **{
        'host': TEXT,
        'for': {
            'enum': ['add', 'remove', 'maintenance', *schema.POWER_ACTIONS]
        },
        'blockers': items(PROBLEM),
        'warnings': items(PROBLEM),
        # Of a removal: by the SR that holds them.
        'disks': {'type': ['object', 'null']},
        # Of maintenance.
        'plan': maybe(items(MOVE)),
        'shut_down': items(TEXT),
        'hard': FLAG,
        'network': TEXT,
    },
)
_CHANGE = {'enum': ['none', 'add', 'remove']}
# What a list of hosts has come to.
MEMBERSHIP = obj(
    hosts=items(obj(host=TEXT, change=_CHANGE, operation=maybe(TEXT))),
    operation=maybe(TEXT),
)
# What it would come to.
LIST_PLAN = obj(
    hosts=items(
        obj(
            host=TEXT,
            change=_CHANGE,
            blockers=items(PROBLEM),
            warnings=items(PROBLEM),
            disks={'type': ['object', 'null']},
        )
    ),
)
# A move of a restart of all hosts that is not made yet.
_PLANNED = obj(
    **{
        'guest': TEXT,
        'name': TEXT,
        'memory': maybe(NUMBER),
        'from': TEXT,
        'to': maybe(TEXT),
    }
)
_ROOM: dict[str, Schema] = {
    'memory_free': NUMBER,
    'tightest': obj(host=maybe(TEXT), memory_free=NUMBER),
}
# What a restart of all hosts would do.
PLAN = obj(
    blockers=items(PROBLEM),
    warnings=items(PROBLEM),
    hosts=items(
        obj(
            host=TEXT,
            master=FLAG,
            moves=items(_PLANNED),
            shut_down=items(obj(guest=TEXT, name=TEXT, memory=maybe(NUMBER))),
            consent=items(TEXT),
            **_ROOM,
            blockers=items(PROBLEM),
            warnings=items(PROBLEM),
        )
    ),
    worst=maybe(obj(host=TEXT, **_ROOM)),
    moves=NUMBER,
    homes=items(_PLANNED),
    away=items(_PLANNED),
    consent=items(TEXT),
)


def aggregate(face: str) -> Schema:
    """An aggregate with all that belongs to it."""
    time = TIMES[face]
    common = {
        'availability_zone': maybe(TEXT),
        'created_at': time,
        'deleted': {**FLAG, 'const': False},
        'deleted_at': {'type': 'null'},
        'hosts': items(TEXT),
        'id': NUMBER,
        'metadata': {'type': 'object', 'additionalProperties': TEXT},
        'name': TEXT,
        'updated_at': maybe(time),
    }
    if face == 'modern':
        return obj(('uuid',), **common, uuid=UUID)
    states = ['created', 'changing', 'active', 'error']
    return obj(**common, operational_state={'enum': states})


def created(face: str) -> Schema:
    """An aggregate just created."""
    shown = aggregate(face)
    hidden = ('hosts', 'metadata')
    return {
        **shown,
        'properties': {
            k: v for k, v in shown['properties'].items() if k not in hidden
        },
        'required': [k for k in shown['required'] if k not in hidden],
    }


# How a guest fares that an operation moves.
_MOVE = obj(
    **{
        'name': TEXT,
        'uuid': TEXT,
        'from': TEXT,
        'to': maybe(TEXT),
        'state': {'enum': [*MOVE_STATES]},
        'progress': {**NUMBER, 'minimum': 0, 'maximum': 100},
        'error': maybe(
            obj(('parameters',), code=TEXT, message=TEXT, parameters={})
        ),
    }
)


# One that an operation shuts down, or starts again.
_GUEST = obj(
    name=TEXT,
    uuid=TEXT,
    state={'enum': [*downtime.STATES]},
    error=maybe(obj(code=TEXT, message=TEXT)),
)


def operation(face: str) -> Schema:
    time = maybe(TIMES[face])
    return obj(
        ('moves', 'guests', 'hosts', 'changes', 'paused', 'seconds_left'),
        moves=items(_MOVE),
        guests=items(_GUEST),
        # Of a restart of all hosts.
        hosts=items(
            obj(
                host=TEXT,
                state={'enum': [*records.Rolling.STATES]},
                operation=maybe(TEXT),
                moved=NUMBER,
                began_at=time,
                ended_at=time,
                to_install=maybe(NUMBER),
                warning=maybe(TEXT),
            )
        ),
        # Of a list of hosts.
        changes=items(
            obj(
                host=TEXT,
                change=_CHANGE,
                operation=UUID,
                state={'enum': [*schema.OPERATION_STATES]},
                step=maybe(TEXT),
                progress={**NUMBER, 'minimum': 0, 'maximum': 100},
                error=maybe(
                    obj(
                        ('parameters',), code=TEXT, message=TEXT, parameters={}
                    )
                ),
            )
        ),
        paused=maybe(TEXT),
        seconds_left=maybe(NUMBER),
        uuid=UUID,
        kind=TEXT,
        aggregate_id=NUMBER,
        host=maybe(TEXT),
        state={'enum': [*schema.OPERATION_STATES]},
        step=maybe(TEXT),
        progress={**NUMBER, 'minimum': 0, 'maximum': 100},
        attempts={**NUMBER, 'minimum': 0},
        asked=obj(
            (
                'accept_data_loss',
                'accepted_by',
                'action',
                'force',
                'hard',
                'hosts',
                'network',
                'only_if_needed',
                'outcome',
                'part_of',
                'pause',
                'reason',
                'restore',
                'retry_of',
                'retried_by',
                'shut_down',
                'suspend_ha',
                'sync',
            ),
            accept_data_loss=items(TEXT),
            accepted_by=maybe(TEXT),
            retry_of=TEXT,
            retried_by=maybe(TEXT),
            action={'enum': POWERS},
            force=FLAG,
            hard=FLAG,
            shut_down=items(TEXT),
            hosts=items(TEXT),
            network=TEXT,
            only_if_needed=FLAG,
            part_of=TEXT,
            pause={'enum': sorted({*rolling.PAUSES, *rolling.UPDATE_PAUSES})},
            restore=FLAG,
            suspend_ha=FLAG,
            sync=FLAG,
            outcome=TEXT,
            reason=TEXT,
        ),
        result=items(TEXT),
        retry_at=time,
        global_request_id=maybe(TEXT),
        error=maybe(
            obj(('parameters',), code=TEXT, message=TEXT, parameters={})
        ),
        request_id=maybe(TEXT),
        user_id=maybe(TEXT),
        project_id=maybe(TEXT),
        created_at=TIMES[face],
        started_at=time,
        finished_at=time,
    )


def _pool(face: str) -> dict[str, Schema]:
    """What is told of a pool wherever it is shown, but its hosts."""
    time = maybe(TIMES[face])
    return {
        'uuid': maybe(TEXT),
        'name_label': maybe(TEXT),
        'master': maybe(TEXT),
        'seen_at': time,
        'state': {'enum': [*overview.STATES]},
        'drift': items(
            obj(code=TEXT, host=maybe(TEXT), message=TEXT, since=time)
        ),
        'operations': items(
            obj(
                uuid=TEXT,
                kind=TEXT,
                host=maybe(TEXT),
                state=TEXT,
                step=maybe(TEXT),
                progress={**NUMBER, 'minimum': 0, 'maximum': 100},
                since=TIMES[face],
                code=maybe(TEXT),
                message=maybe(TEXT),
                remedy=maybe(TEXT),
            )
        ),
    }


_HOST_OF_ANY: dict[str, Schema] = {
    'name': maybe(TEXT),
    'phase': maybe(TEXT),
    'enabled': maybe(FLAG),
    'live': maybe(FLAG),
    'service': {'enum': ['enabled', 'disabled', None]},
    'maintenance': {'enum': [None, 'off', 'entering', 'on', 'leaving']},
    'drift': items(TEXT),
    'alarm': maybe(TEXT),
}


def pool(face: str) -> Schema:
    host = obj(
        **_HOST_OF_ANY,
        uuid=maybe(TEXT),
        name_label=maybe(TEXT),
        address=maybe(TEXT),
        disabled_reason=maybe(TEXT),
        xencenter_maintenance=maybe(FLAG),
        version=maybe(TEXT),
        guests=maybe({**NUMBER, 'minimum': 0}),
        pending_guidances=maybe(items(TEXT)),
        needs_reboot=maybe(FLAG),
        seen_at=maybe(TIMES[face]),
        shut_down=items(obj(name=TEXT, uuid=TEXT)),
    )
    return obj(aggregate_id=NUMBER, **_pool(face), hosts=items(host))


_ALLOWED = items(
    obj(
        action={'enum': [*app.ALL_ACTIONS]},
        asked=obj(
            ('action', 'force', 'outcome'),
            action={'enum': [*schema.POWER_ACTIONS]},
            force=FLAG,
            outcome={'enum': [*operations.OUTCOMES]},
        ),
        allowed=FLAG,
        refusal=maybe(
            obj(
                code=NUMBER,
                name={
                    'enum': [name for _code, name in faults.STATUS.values()]
                },
                message=TEXT,
                passes=FLAG,
            )
        ),
    )
)
ALLOWED = obj(
    aggregate_id=NUMBER,
    actions=_ALLOWED,
    hosts=items(obj(name=TEXT, actions=_ALLOWED)),
    operations=items(obj(uuid=UUID, actions=_ALLOWED)),
)


def listed(face: str) -> Schema:
    """A pool in the list of all."""
    time = maybe(TIMES[face])
    return obj(
        aggregate_id=NUMBER,
        name=TEXT,
        availability_zone=maybe(TEXT),
        **_pool(face),
        hosts=items(obj(**_HOST_OF_ANY)),
        wrong_since=time,
        looked_at=time,
        age=maybe({**NUMBER, 'minimum': 0}),
        overdue=FLAG,
        phases=obj(**dict.fromkeys(overview.PHASES, NUMBER)),
    )


def fault_names() -> dict[int, str]:
    """The fault names by status, as the one table has them."""
    return dict([*faults.STATUS.values(), faults.UNEXPECTED])


def fault(status: int) -> Schema:
    name = fault_names()[status]
    return obj(**{name: obj(message=TEXT, code={'const': status})})
