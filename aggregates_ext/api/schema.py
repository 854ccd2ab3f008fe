"""The rules that bodies and queries must meet, and words for a breach.

XML arrives as the same plain data, so the same rules hold for it.
"""

import copy
import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

import jsonschema
from jsonschema import exceptions as jsonschema_exceptions

from aggregates_ext import exception

# \Z where others write $, which would let a final newline pass.
_TEXT = r'^[^\x00-\x1f\x7f]*\Z'

# Each description completes "FIELD must be ...".
NAME = {
    'type': 'string',
    'minLength': 1,
    'maxLength': 255,
    'pattern': _TEXT,
    'description': 'text of 1 to 255 characters without control characters',
}
ZONE = {
    'type': ['string', 'null'],
    'minLength': 1,
    'maxLength': 255,
    'pattern': r'^[^\x00-\x1f\x7f:]*\Z',
    'description': 'null or text of 1 to 255 characters without ":" and '
    'control characters',
}
HOST = NAME
VALUE = {
    'type': ['string', 'null'],
    'maxLength': 255,
    'pattern': r'^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*\Z',
    'description': 'null, which removes the key, or text of up to 255 '
    'characters without control characters',
}
UUID = {
    'type': 'string',
    'pattern': r'^[0-9A-Fa-f-]{32,36}\Z',
    'description': 'a UUID',
}
OPERATION_STATES = (
    'queued',
    'running',
    'succeeded',
    'failed',
    'cancelled',
    'unresolved',
)
NUMBER = {
    'type': 'string',
    'pattern': r'^[0-9]{1,9}\Z',
    'description': 'a number of up to 9 digits',
}
ANY_TEXT = {'type': 'string', 'description': 'text'}
_TRUE = ('True', 'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', 'yes')
_FALSE = (
    'False',
    'FALSE',
    'false',
    '0',
    'OFF',
    'Off',
    'off',
    'NO',
    'No',
    'no',
)
# As Nova spells it in queries.
BOOLEAN = {
    'type': 'string',
    'enum': [*_TRUE, *_FALSE],
    'description': 'true or false',
}


def _object(required: tuple[str, ...] = (), **properties: Any) -> Any:
    return {
        'type': 'object',
        'properties': properties,
        'required': list(required),
        'additionalProperties': False,
        'description': 'an object',
    }


def _body(root: str, content: Any) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(_object((root,), **{root: content}))


CREATE = _body(
    'aggregate', _object(('name',), name=NAME, availability_zone=ZONE)
)
UPDATE = _body(
    'aggregate',
    {**_object(name=NAME, availability_zone=ZONE), 'minProperties': 1},
)
SET_METADATA = _body(
    'set_metadata',
    _object(
        ('metadata',),
        metadata={
            'type': 'object',
            'propertyNames': NAME,
            'properties': {'availability_zone': ZONE},
            'additionalProperties': VALUE,
            'description': 'an object',
        },
    ),
)
ADD_HOST = _body('add_host', _object(('host',), host=HOST))
REMOVE_HOST = _body(
    'remove_host',
    _object(
        ('host',),
        host=HOST,
        accept_data_loss={
            'type': 'array',
            'items': UUID,
            'maxItems': 255,
            'description': 'a list of up to 255 SR UUIDs',
        },
        force={'type': 'boolean', 'description': 'true or false'},
    ),
)
CHECK_HOST = _body(
    'check_host',
    _object(
        ('host', 'for'),
        host=HOST,
        **{
            'for': {
                'enum': ['add', 'remove'],
                'description': '"add" or "remove"',
            }
        },
    ),
)
CANCEL_OPERATION = _body(
    'cancel_operation', _object(('operation',), operation=UUID)
)
RETRY_OPERATION = _body(
    'retry_operation', _object(('operation',), operation=UUID)
)
RESET = _body(
    'reset',
    _object(
        ('host', 'outcome'),
        host=HOST,
        outcome={
            'enum': ['member', 'free'],
            'description': '"member" or "free"',
        },
    ),
)
ADOPT = _body('adopt', _object())
REAPPLY = _body('reapply', _object())
SET_MASTER = _body('set_master', _object(('host',), host=HOST))


def query(**properties: Any) -> jsonschema.Draft202012Validator:
    """The rules for the fields of a query, none of which is required."""
    return jsonschema.Draft202012Validator(_object(**properties))


OPERATIONS_QUERY = query(
    limit=NUMBER,
    marker=UUID,
    state={
        'enum': [*OPERATION_STATES],
        'description': f'one of {", ".join(OPERATION_STATES)}',
    },
)
INDEX_QUERY = query(
    limit=NUMBER,
    marker=NUMBER,
    name=NAME,
    availability_zone=NAME,
    host=HOST,
)


def check(body: Any, validator: jsonschema.Draft202012Validator) -> Any:
    """What stands below the root of a body that meets its schema.

    :raises exception.Invalid: naming the field and the rule.
    """
    content = _stripped(body)
    _refuse_breach('Invalid request body', content, validator)
    [(_root, fields)] = content.items()
    return fields


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
    known = validator.schema['properties']
    fields: dict[str, Any] = {
        name: value for name, value in asked.items() if strict or name in known
    }
    _refuse_breach('Invalid query', fields, validator)
    for name, value in fields.items():
        if known[name] is NUMBER:
            fields[name] = int(value)
        elif known[name] is BOOLEAN:
            fields[name] = value in _TRUE
    return fields


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


def _strip(fields: Any, names: tuple[str, ...]) -> None:
    for name in names:
        if isinstance(fields, dict) and isinstance(fields.get(name), str):
            fields[name] = fields[name].strip()


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
            f'{", ".join(known)}'
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
