"""Making dataclasses of plain data; errors name the field."""

import dataclasses
import typing


class TopologyError(ValueError):
    """The topology says something which cannot be simulated."""


def build(kind: typing.Any, data: object, where: str) -> typing.Any:
    """Make one described thing of plain data; errors name the field."""
    if kind is str and isinstance(data, str):
        return data
    if kind is str or not isinstance(data, dict):
        wanted = 'text' if kind is str else 'a mapping'
        raise TopologyError(f'{where}: must be {wanted}, not {data!r}')
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in data:
        if name not in fields:
            raise TopologyError(f'{where}: unknown field {name!r}')
    for name, field in fields.items():
        if name not in data and _required(field):
            raise TopologyError(f'{where}.{name}: missing')
    return kind(
        **{
            name: _value(fields[name], value, f'{where}.{name}')
            for name, value in data.items()
        }
    )


def _required(field: dataclasses.Field[typing.Any]) -> bool:
    return (
        field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    )


def _value(
    field: dataclasses.Field[typing.Any], value: object, where: str
) -> object:
    if each := field.metadata.get('each'):
        if not isinstance(value, list):
            raise TopologyError(f'{where}: must be a list, not {value!r}')
        return [
            build(each, item, f'{where}[{number}]')
            for number, item in enumerate(value)
        ]
    if dataclasses.is_dataclass(field.type):
        return build(field.type, value, where)
    return _plain(field.type, value, where)


def _plain(kind: object, value: object, where: str) -> object:
    if kind is float and isinstance(value, int):
        value = float(value)
    if kind is float and isinstance(value, float) and value >= 0:
        return value
    if kind is int and isinstance(value, int) and value is not True:
        return value
    if kind in (str, bool) and isinstance(value, typing.cast(type, kind)):
        return value
    if isinstance(value, dict) and typing.get_origin(kind) is dict:
        return {str(key): str(text) for key, text in value.items()}
    name = getattr(kind, '__name__', str(kind))
    raise TopologyError(f'{where}: must be of type {name}, not {value!r}')
