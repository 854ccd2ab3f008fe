"""The rules of bodies and queries about moves, by microversion."""

import datetime
from collections.abc import Mapping
from typing import Any

import jsonschema
from oslo_utils import timeutils

from aggregates_ext import exception
from aggregates_ext.api.forms import fields
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes

_FLAG = {
    'enum': [True, False, *fields.BOOLEAN['enum']],
    'description': 'true or false',
}
_FLAG_OR_AUTO = {
    'enum': [*_FLAG['enum'], 'auto'],
    'description': 'true, false or "auto"',
}


def _body(root: str, content: Any) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        {
            'type': 'object',
            'properties': {root: content},
            'required': [root],
            'additionalProperties': False,
            'description': 'an object',
        },
        format_checker=fields.FORMATS,
    )


def _live(required: tuple[str, ...], **beside: Any) -> schema.Rules:
    """A move with these fields beside the host, which may be null."""

    def of(texts: fields.Texts) -> jsonschema.Draft202012Validator:
        host = {
            **texts.host,
            'type': ['string', 'null'],
            'description': f'null or {texts.host["description"]}',
        }
        return _body(
            'os-migrateLive',
            {
                'type': 'object',
                'properties': {'host': host, **beside},
                'required': ['host', *required],
                'additionalProperties': False,
                'description': 'an object',
            },
        )

    return schema.Rules(of(fields.RELAXED), of(fields.STRICT))


_AUTO = _live(('block_migration',), block_migration=_FLAG_OR_AUTO)
# Since when -> the body.
_MIGRATE_LIVE = (
    (
        (2, 1),
        _live(
            ('block_migration', 'disk_over_commit'),
            block_migration=_FLAG,
            disk_over_commit=_FLAG,
        ),
    ),
    ((2, 25), _AUTO),
    (
        (2, 30),
        _live(
            ('block_migration',), block_migration=_FLAG_OR_AUTO, force=_FLAG
        ),
    ),
    ((2, 68), _AUTO),
)
# All of them together, for who cannot tell them apart.
ANY_MIGRATE_LIVE = _live(
    ('block_migration',),
    block_migration=_FLAG_OR_AUTO,
    disk_over_commit=_FLAG,
    force=_FLAG,
)
_FORCE_COMPLETE = _body(
    'force_complete', {'type': 'null', 'description': 'null'}
)
FORCE_COMPLETE = schema.Rules(_FORCE_COMPLETE, _FORCE_COMPLETE)

_FILTERS = (
    'hidden',
    'host',
    'instance_uuid',
    'source_compute',
    'status',
    'migration_type',
)
_WHOSE = ('user_id', 'project_id')
_PAGED = (*_FILTERS, 'marker', 'changes-since')


def _query(*names: str, paged: bool = True) -> Any:
    known: dict[str, Any] = dict.fromkeys(names, fields.ANY_TEXT)
    if paged:
        known['limit'] = fields.NUMBER
    return schema.query(**known)


# Since when -> the query; closed from 2.59 on.
_MIGRATIONS = (
    ((2, 1), _query(*_FILTERS, *_WHOSE, paged=False)),
    ((2, 59), _query(*_PAGED)),
    ((2, 66), _query(*_PAGED, 'changes-before')),
    ((2, 80), _query(*_PAGED, 'changes-before', *_WHOSE)),
)
CLOSED_SINCE = (2, 59)
MIGRATIONS_QUERY = _MIGRATIONS[-1][1]
_ACTIONS_PAGED = ('marker', 'changes-since')
# Since when -> the query; closed from 2.58 on.
_ACTIONS = (
    ((2, 1), _query(paged=False)),
    ((2, 58), _query(*_ACTIONS_PAGED)),
    ((2, 66), _query(*_ACTIONS_PAGED, 'changes-before')),
)
ACTIONS_QUERY = _ACTIONS[-1][1]


def _newest(known: Any, shape: shapes.Shape) -> Any:
    found = [what for since, what in known if shape.supports(since)]
    return found[-1] if found else known[0][1]


def migrate_live(shape: shapes.Shape) -> schema.Rules:
    """The rules of a body that asks for a move."""
    found: schema.Rules = _newest(_MIGRATE_LIVE, shape)
    return found


def migrations_query(
    shape: shapes.Shape,
) -> jsonschema.Draft202012Validator:
    """The rules of a query for all moves."""
    found: jsonschema.Draft202012Validator = _newest(_MIGRATIONS, shape)
    return found


def actions_query(
    shape: shapes.Shape,
) -> jsonschema.Draft202012Validator:
    """The rules of a query for what was done to a server."""
    found: jsonschema.Draft202012Validator = _newest(_ACTIONS, shape)
    return found


def period(
    asked: Mapping[str, Any],
) -> tuple[datetime.datetime | None, datetime.datetime | None]:
    """Between which points in time, in UTC, what is asked for has changed.

    :raises exception.Invalid: it is none.
    """
    since, before = (
        _moment(asked, name) for name in ('changes-since', 'changes-before')
    )
    if since and before and since > before:
        raise exception.Invalid(
            reason='The value of changes-since must be less than or equal to '
            'changes-before.'
        )
    return since, before


def _moment(asked: Mapping[str, Any], name: str) -> datetime.datetime | None:
    """A point in time in UTC; without a zone it is that."""
    if name not in asked:
        return None
    try:
        return timeutils.normalize_time(timeutils.parse_isotime(asked[name]))
    except (ValueError, OverflowError):
        raise exception.Invalid(
            reason=f'Invalid filter field: {name}.'
        ) from None


def is_true(value: Any) -> bool:
    """What a flag says, in any of its spellings."""
    return value in (True, *fields.TRUE)
