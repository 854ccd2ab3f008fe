"""The methods which every class has: get_all, get_FIELD, set_FIELD, …"""

import collections.abc
import typing

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.calls import signatures
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.records import query
from aggregates_ext.xensim.records import schema

Make = collections.abc.Callable[[schema.Class], signatures.Method]


def find(kind: str, name: str) -> signatures.Method | None:
    """The generic method of a class, if there is one with this name."""
    declared = schema.CLASSES.get(kind)
    if declared is None:
        return None
    if name in _WHOLE:
        make, needed = _WHOLE[name]
        return make(declared) if needed(declared) else None
    for prefix, make_field in _FIELD.items():
        field = name.removeprefix(prefix)
        if name.startswith(prefix) and field in declared.fields:
            return make_field(declared, field)
    return None


def names() -> collections.abc.Iterator[str]:
    """All generic methods, as class.method."""
    for kind, declared in schema.CLASSES.items():
        fields = [
            prefix + field for prefix in _FIELD for field in declared.fields
        ]
        for name in [*_WHOLE, *fields]:
            if find(kind, name) is not None:
                yield f'{kind}.{name}'


def _get_all(declared: schema.Class) -> signatures.Method:
    def get_all(context: operations.Context) -> list[str]:
        return [ref for ref, _ in context.db.rows(declared.name)]

    return signatures.declare(get_all)


def _get_all_records(declared: schema.Class) -> signatures.Method:
    def get_all_records(context: operations.Context) -> database.Value:
        return context.db.select(declared.name, lambda record: True)

    return signatures.declare(get_all_records)


def _get_all_records_where(declared: schema.Class) -> signatures.Method:
    def where(context: operations.Context, text: str) -> database.Value:
        return context.db.select(declared.name, query.parse(text))

    return signatures.declare(where, 'text')


def _get_record(declared: schema.Class) -> signatures.Method:
    def get_record(context: operations.Context, ref: str) -> database.Record:
        return context.db.read(declared.name, ref)

    return signatures.declare(get_record, 'ref')


def _get_by_uuid(declared: schema.Class) -> signatures.Method:
    def get_by_uuid(context: operations.Context, identity: str) -> str:
        return context.db.by_uuid(declared.name, identity)

    return signatures.declare(get_by_uuid, 'text')


def _get_by_name_label(declared: schema.Class) -> signatures.Method:
    def get_by_name(context: operations.Context, label: str) -> list[str]:
        return context.db.where(declared.name, name_label=label)

    return signatures.declare(get_by_name, 'text')


def _get_field(declared: schema.Class, field: str) -> signatures.Method:
    def get_field(context: operations.Context, ref: str) -> database.Value:
        return context.db.read(declared.name, ref)[field]

    return signatures.declare(get_field, 'ref')


def _set_field(declared: schema.Class, field: str) -> signatures.Method | None:
    if field not in declared.writable:
        return None

    def set_field(
        context: operations.Context, ref: str, value: database.Value
    ) -> str:
        context.db.row(declared.name, ref)[field] = value
        return ''

    return signatures.declare(set_field, f'ref {declared.fields[field]}')


def _add_to(declared: schema.Class, field: str) -> signatures.Method | None:
    kind = declared.fields[field]
    if field not in declared.writable or kind not in ('mapping', 'items'):
        return None
    if kind == 'items':
        return _add_item(declared, field)

    def add_to(
        context: operations.Context, ref: str, key: str, value: str
    ) -> str:
        mapping = context.db.row(declared.name, ref)[field]
        if key in mapping:
            raise failure.Failure(
                'MAP_DUPLICATE_KEY', declared.name, field, ref, key
            )
        mapping[key] = value
        return ''

    return signatures.declare(add_to, 'ref text text')


def _add_item(declared: schema.Class, field: str) -> signatures.Method:
    def add_item(context: operations.Context, ref: str, item: str) -> str:
        items = context.db.row(declared.name, ref)[field]
        if item not in items:
            items.append(item)
        return ''

    return signatures.declare(add_item, 'ref text')


def _remove_from(
    declared: schema.Class, field: str
) -> signatures.Method | None:
    kind = declared.fields[field]
    if field not in declared.writable or kind not in ('mapping', 'items'):
        return None

    def remove_from(context: operations.Context, ref: str, key: str) -> str:
        values = context.db.row(declared.name, ref)[field]
        if isinstance(values, dict):
            values.pop(key, None)
        elif key in values:
            values.remove(key)
        return ''

    return signatures.declare(remove_from, 'ref text')


def _listed(declared: schema.Class) -> bool:
    """Sessions cannot be listed (xapi#record-shapes)."""
    return declared.listed


def _named(declared: schema.Class) -> bool:
    return 'name_label' in declared.fields


def _always(declared: schema.Class) -> bool:
    return True


_WHOLE: dict[
    str, tuple[Make, collections.abc.Callable[[schema.Class], bool]]
] = {
    'get_all': (_get_all, _listed),
    'get_all_records': (_get_all_records, _listed),
    'get_all_records_where': (_get_all_records_where, _listed),
    'get_record': (_get_record, _always),
    'get_by_uuid': (_get_by_uuid, _always),
    'get_by_name_label': (_get_by_name_label, _named),
}

_FIELD: dict[str, typing.Callable[..., signatures.Method | None]] = {
    'get_': _get_field,
    'set_': _set_field,
    'add_to_': _add_to,
    'add_': _add_to,
    'remove_from_': _remove_from,
    'remove_': _remove_from,
}
