"""The rules that bodies and queries must meet, and words for a breach.

XML arrives as the same plain data, so the same rules hold for it.
"""

import copy
import json
import urllib.parse
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jsonschema
from jsonschema import exceptions as jsonschema_exceptions

from aggregates_ext import exception
from aggregates_ext.api.forms import fields
from aggregates_ext.domain import operations
from aggregates_ext.domain.maintenance import powering
from aggregates_ext.domain.maintenance import rolling

OPERATION_STATES = (
    'queued',
    'running',
    'succeeded',
    'failed',
    'cancelled',
    'unresolved',
)
POWER_ACTIONS = tuple(powering.WORDS)


def _object(required: tuple[str, ...] = (), **properties: Any) -> Any:
    return {
        'type': 'object',
        'properties': properties,
        'required': list(required),
        'additionalProperties': False,
        'description': 'an object',
    }


class Rules(NamedTuple):
    """The rules of a body, for clients of 2012 and for those of Nova."""

    relaxed: jsonschema.Draft202012Validator
    strict: jsonschema.Draft202012Validator


def _body(root: str, content: Callable[[fields.Texts], Any]) -> Rules:
    """The rules of a body with one root.

    :param content: what stands below it, by the rules of texts.
    """
    relaxed, strict = (
        _validator(_object((root,), **{root: content(texts)}))
        for texts in (fields.RELAXED, fields.STRICT)
    )
    return Rules(relaxed, strict)


def _fields(content: Callable[[fields.Texts], Any]) -> Rules:
    """The rules of a body that has no root."""
    relaxed, strict = (
        _validator(content(texts)) for texts in (fields.RELAXED, fields.STRICT)
    )
    return Rules(relaxed, strict)


def _validator(rules: Any) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        rules, format_checker=fields.FORMATS
    )


CREATE = _body(
    'aggregate',
    lambda texts: _object(
        ('name',), name=texts.name, availability_zone=texts.zone
    ),
)
UPDATE = _body(
    'aggregate',
    lambda texts: {
        **_object(name=texts.new_name, availability_zone=texts.zone),
        'minProperties': 1,
    },
)
_TRUTH = {'type': 'boolean', 'description': 'true or false'}
SET_METADATA = _body(
    'set_metadata',
    lambda texts: _object(
        ('metadata',),
        metadata={
            'type': 'object',
            'propertyNames': texts.key,
            'properties': {'availability_zone': texts.zone_value},
            'additionalProperties': fields.VALUE,
            'description': 'an object',
        },
        replace=_TRUTH,
    ),
)
_SRS = {
    'type': 'array',
    'items': fields.UUID,
    'maxItems': 255,
    'description': 'a list of up to 255 SR UUIDs',
}
SET_HOSTS = _body(
    'membership',
    lambda texts: _object(
        ('hosts',),
        hosts={
            'type': 'array',
            'items': texts.host,
            'maxItems': 255,
            'uniqueItems': True,
            'description': 'a list of up to 255 names of hosts, each once',
        },
        accept_data_loss=_SRS,
        dry_run=_TRUTH,
    ),
)
ADD_HOST = _body('add_host', lambda texts: _object(('host',), host=texts.host))
REMOVE_HOST = _body(
    'remove_host',
    lambda texts: _object(
        ('host',),
        host=texts.host,
        accept_data_loss=_SRS,
        force=_TRUTH,
    ),
)
_GUESTS = {
    'type': 'array',
    'items': fields.UUID,
    'maxItems': 1000,
    'description': 'a list of up to 1000 UUIDs of guests',
}
# Only what may be shut down may be so hard.
_HARD = {'dependentSchemas': {'hard': {'required': ['shut_down']}}}
CHECK_HOST = _body(
    'check_host',
    lambda texts: {
        **_object(
            ('host', 'for'),
            host=texts.host,
            **{
                'for': {
                    'enum': ['add', 'remove', 'maintenance', *POWER_ACTIONS],
                    'description': '"add", "remove", "maintenance", '
                    '"reboot", "shutdown" or "startup"',
                }
            },
            shut_down=_GUESTS,
            hard=_TRUTH,
            network=fields.UUID,
        ),
        'if': {
            'anyOf': [{'required': ['shut_down']}, {'required': ['network']}]
        },
        'then': {
            'properties': {
                'for': {
                    'enum': ['maintenance'],
                    'description': '"maintenance" with shut_down or network',
                }
            }
        },
        **_HARD,
    },
)
CANCEL_OPERATION = _body(
    'cancel_operation',
    lambda _texts: _object(('operation',), operation=fields.UUID),
)
RETRY_OPERATION = _body(
    'retry_operation',
    lambda _texts: _object(('operation',), operation=fields.UUID),
)
RESET = _body(
    'reset',
    lambda texts: _object(
        ('host', 'outcome'),
        host=texts.host,
        outcome={
            'enum': [*operations.OUTCOMES],
            'description': '"member", "free" or "out_of_maintenance"',
        },
    ),
)
ADOPT = _body('adopt', lambda _texts: _object())
REAPPLY = _body('reapply', lambda _texts: _object())
SET_MASTER = _body(
    'set_master', lambda texts: _object(('host',), host=texts.host)
)


_REASON = {
    'type': 'string',
    'minLength': 1,
    'maxLength': 255,
    'pattern': fields.VALUE['pattern'],
    'description': 'text of 1 to 255 characters without control characters',
}
ENTER_MAINTENANCE = _body(
    'enter_maintenance',
    lambda texts: {
        **_object(
            ('host',),
            host=texts.host,
            reason=_REASON,
            stay_on_failure=_TRUTH,
            shut_down=_GUESTS,
            hard=_TRUTH,
            network=fields.UUID,
        ),
        **_HARD,
    },
)
LEAVE_MAINTENANCE = _body(
    'leave_maintenance',
    lambda texts: _object(
        ('host',), host=texts.host, restore=_TRUTH, network=fields.UUID
    ),
)
POWER_HOST = _body(
    'power_host',
    lambda texts: _object(
        ('host', 'action'),
        host=texts.host,
        action={
            'enum': [*POWER_ACTIONS],
            'description': '"reboot", "shutdown" or "startup"',
        },
    ),
)


def _rolling(
    texts: fields.Texts, pauses: Sequence[str], **beside: Any
) -> dict[str, Any]:
    return {
        **_object(
            hosts={
                'type': 'array',
                'items': texts.host,
                'minItems': 1,
                'maxItems': 255,
                'description': 'a list of 1 to 255 names of hosts',
            },
            restore=_TRUTH,
            shut_down=_GUESTS,
            hard=_TRUTH,
            suspend_ha=_TRUTH,
            pause={
                'enum': [*pauses],
                'description': ' or '.join(f'"{p}"' for p in pauses),
            },
            network=fields.UUID,
            dry_run=_TRUTH,
            **beside,
        ),
        **_HARD,
    }


ROLLING_REBOOT = _body(
    'rolling_reboot',
    lambda texts: _rolling(texts, rolling.PAUSES, only_if_needed=_TRUTH),
)
ROLLING_UPDATE = _body(
    'rolling_update',
    lambda texts: _rolling(texts, rolling.UPDATE_PAUSES, sync=_TRUTH),
)
CONTINUE_OPERATION = _body(
    'continue_operation',
    lambda _texts: _object(('operation',), operation=fields.UUID),
)
_FORCED_DOWN = {
    'enum': [True, False, *fields.BOOLEAN['enum']],
    'description': 'true or false',
}


def _action_of_a_service(texts: fields.Texts, **beside: Any) -> Any:
    return _object(
        ('host', 'binary'),
        host=texts.host,
        binary={
            'type': 'string',
            'minLength': 1,
            'maxLength': 255,
            'description': 'text of 1 to 255 characters',
        },
        disabled_reason=_REASON,
        **beside,
    )


SERVICE_ACTION = _fields(_action_of_a_service)
# From 2.11 on.
SERVICE_ACTION_FORCED = _fields(
    lambda texts: _action_of_a_service(texts, forced_down=_FORCED_DOWN)
)
# From 2.53 on.
SERVICE = _fields(
    lambda _texts: _object(
        status={
            'enum': ['enabled', 'disabled'],
            'description': '"enabled" or "disabled"',
        },
        disabled_reason=_REASON,
        forced_down=_FORCED_DOWN,
    )
)
_SWITCH = {
    'enum': ['enable', 'disable', 'Enable', 'Disable', 'ENABLE', 'DISABLE'],
    'description': '"enable" or "disable"',
}
HOST = _fields(
    lambda _texts: {
        **_object(status=_SWITCH, maintenance_mode=_SWITCH),
        'minProperties': 1,
    }
)


def query(**properties: Any) -> jsonschema.Draft202012Validator:
    """The rules for the fields of a query, none of which is required."""
    return _validator(_object(**properties))


OPERATIONS_QUERY = query(
    limit=fields.NUMBER,
    marker=fields.UUID,
    state={
        'enum': [*OPERATION_STATES],
        'description': f'one of {", ".join(OPERATION_STATES)}',
    },
)
INDEX_QUERY = query(
    limit=fields.NUMBER,
    marker=fields.NUMBER,
    name=fields.NAME,
    availability_zone=fields.NAME,
    host=fields.NAME,
)
NO_QUERY = query()


def check(body: Any, rules: Rules, *, strict: bool) -> Any:
    """What stands below the root of a body that meets its rules.

    White space around names and zones is cut off; where that is lenient and
    where it is not, the rules tell.

    :raises exception.Invalid: naming the field and the rule.
    """
    if strict:
        _refuse_breach('Invalid request body', body, rules.strict)
        content = _stripped(body)
    else:
        content = _stripped(body)
        _refuse_breach('Invalid request body', content, rules.relaxed)
    [(_root, found)] = content.items()
    return found


def check_fields(body: Any, rules: Rules, *, strict: bool) -> Any:
    """A body without a root, if it meets its rules.

    :raises exception.Invalid: naming the field and the rule.
    """
    validator = rules.strict if strict else rules.relaxed
    _refuse_breach('Invalid request body', body, validator)
    return body


def check_query(
    asked: Mapping[str, str],
    validator: jsonschema.Draft202012Validator,
    *,
    strict: bool = False,
) -> dict[str, Any]:
    """The known fields of a query, numbers and booleans as such.

    :param strict: whether others are refused instead of ignored.
    :raises exception.Invalid: naming the field and the rule.
    """
    if not asked:
        return {}
    known = validator.schema['properties']
    found: dict[str, Any] = {
        name: value for name, value in asked.items() if strict or name in known
    }
    _refuse_breach('Invalid query', found, validator)
    for name, value in found.items():
        if known[name] is fields.NUMBER:
            found[name] = int(value)
        elif known[name] is fields.BOOLEAN:
            found[name] = value in fields.TRUE
    return found


def parse_query(text: str) -> dict[str, str]:
    """A query string by name; of a repeated one the last counts.

    :param text: as WSGI has it: bytes in the guise of Latin-1.
    :raises exception.Invalid: it is not UTF-8.
    """
    try:
        raw = text.encode('latin-1').decode()
        return dict(
            urllib.parse.parse_qsl(
                raw, keep_blank_values=True, errors='strict'
            )
        )
    except UnicodeError:
        raise exception.Invalid(
            reason='Malformed request url: the query is not UTF-8.'
        ) from None


def action(body: Any) -> str:
    """The one action that a body names.

    :raises exception.Invalid: it names none, or several.
    """
    if not isinstance(body, dict) or len(body) != 1:
        raise exception.Invalid(
            reason='Invalid request body: it must be an object with one '
            'key, the name of the action.'
        )
    name: str = next(iter(body))
    return name


def _stripped(body: Any) -> Any:
    """A copy without white space around names and zones."""
    content = copy.deepcopy(body)
    if isinstance(content, dict):
        _strip(content.get('aggregate'), ('name', 'availability_zone'))
        action_fields = content.get('set_metadata')
        if isinstance(action_fields, dict):
            _strip(action_fields.get('metadata'), ('availability_zone',))
    return content


def _strip(found: Any, names: tuple[str, ...]) -> None:
    for name in names:
        if isinstance(found, dict) and isinstance(found.get(name), str):
            found[name] = found[name].strip()


def _refuse_breach(
    what: str, instance: Any, validator: jsonschema.Draft202012Validator
) -> None:
    error = jsonschema_exceptions.best_match(validator.iter_errors(instance))
    if error is not None:
        raise exception.Invalid(reason=f'{what}: {_sentence(error)}.')


def _sentence(error: jsonschema_exceptions.ValidationError) -> str:
    """The field and the rule, whatever the value was made of."""
    field = '.'.join(_brief(part) for part in error.absolute_path) or 'it'
    if error.validator == 'required':
        missing = [n for n in error.validator_value if n not in error.instance]
        return f'{field} has no {" and no ".join(missing)}'
    if error.validator == 'additionalProperties':
        known = error.schema['properties']
        extra = [_brief(name) for name in error.instance if name not in known]
        return (
            f'{field} has the unknown {", ".join(extra[:5])}; known: '
            f'{", ".join(known) or "none"}'
        )
    if error.validator == 'minProperties':
        known = ' or '.join(error.schema['properties'])
        return f'{field} must have {known}'
    if 'propertyNames' in error.relative_schema_path:
        field = f'each key of {field}'
    rule = error.schema['description']
    return f'{field} must be {rule}, not {_value(error.instance)}'


def _brief(name: Any) -> str:
    """A name short enough for a message, and harmless."""
    text = str(name)[:40]
    return text if text.isidentifier() and text.isascii() else ascii(text)


def _value(value: Any) -> str:
    """A value as short as a message needs it."""
    if isinstance(value, dict | list):
        return 'an object' if isinstance(value, dict) else 'a list'
    text = json.dumps(value)
    return text if len(text) <= 40 else f'{text[:40]}...'
