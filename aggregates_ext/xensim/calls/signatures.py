"""How a method of the API is declared, and how its parameters are checked."""

import collections.abc
import dataclasses
import datetime

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure

Function = collections.abc.Callable[..., operations.Outcome]

NOT_ASYNCHRONOUS = frozenset(
    {'session', 'event', 'task', 'data_source', 'blob'}
)


@dataclasses.dataclass(frozen=True)
class Method:
    """A function of the API.

    :param parameters: the kinds of the parameters after the session
    :param optional: how many of them, at the end, have defaults
    :param session: whether the first parameter on the wire is a session
    """

    function: Function
    parameters: tuple[str, ...] = ()
    optional: int = 0
    session: bool = True


def declare(
    function: Function, parameters: str = '', optional: int = 0
) -> Method:
    """A method called with a session; the kinds are words."""
    return Method(function, tuple(parameters.split()), optional)


def without_session(
    function: Function, parameters: str, optional: int = 0
) -> Method:
    """A method called without a session: a login."""
    kinds = tuple(parameters.split())
    return Method(function, kinds, optional, session=False)


def split(
    name: str, method: Method, given: list[database.Value]
) -> tuple[str, list[database.Value]]:
    """Check number and kinds: the session and the other parameters.

    The counts leave out the session and count only parameters without a
    default; surplus ones are swallowed where there are defaults
    (xapi#wire, xapi#error-answers).
    """
    received = len(given) - method.session
    expected = len(method.parameters) - method.optional
    few = received < expected
    many = received > expected and not method.optional
    if few or many:
        raise failure.Failure(
            'MESSAGE_PARAMETER_COUNT_MISMATCH',
            name,
            str(expected),
            str(received),
        )
    session = ''
    if method.session:
        session, given = convert('text', given[0]), given[1:]
    return session, [
        convert(kind, value)
        for kind, value in zip(method.parameters, given, strict=False)
    ]


_NAMES = {
    'text': 'string',
    'ref': 'string',
    'flag': 'bool',
    'number': 'string',
    'real': 'float',
    'date': 'date',
    'items': 'list',
    'mapping': 'struct',
    'record': 'struct',
}


_TYPES: dict[str, type] = {
    'text': str,
    'ref': str,
    'flag': bool,
    'date': datetime.datetime,
    'items': list,
    'mapping': dict,
    'record': dict,
}


def convert(kind: str, value: database.Value) -> database.Value:
    """A parameter as its kind, or the failure (xapi#error-answers)."""
    if kind == 'number' and _is_number(value):
        return int(value)
    if kind == 'real' and type(value) in (int, float):
        return float(value)
    wanted = _TYPES.get(kind)
    if wanted is not None and isinstance(value, wanted):
        if kind in ('items', 'mapping'):
            _assert_text(value)
        return value
    raise failure.Failure(
        'INTERNAL_ERROR',
        f'Failure("Expected {_NAMES[kind]}, got \'{_shown(value)}\'")',
    )


def _assert_text(values: database.Value) -> None:
    """In the lists and maps of the API everything is text."""
    members = values.values() if isinstance(values, dict) else values
    for member in members:
        convert('text', member)


def _is_number(value: database.Value) -> bool:
    if isinstance(value, str):
        digits = value.removeprefix('-')
        return digits.isascii() and digits.isdigit() and len(digits) < 20
    return type(value) is int


def _shown(value: database.Value) -> str:
    if isinstance(value, bool):
        return f'B({str(value).lower()})'
    if isinstance(value, int):
        return f'I({value})'
    if isinstance(value, str):
        return f'S({value})'
    return type(value).__name__
