"""Hosts that answer what no host should, field by field."""

import copy
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import pytest

from aggregates_ext.compute.xen import classes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import xenapi

GONE = object()
# What the kinds of fields cannot be; ``GONE``: it is left out.
ODD: dict[str, tuple[Any, ...]] = {
    'uuid': (GONE, None, '', 'x' * 300, {}),
    'text': (GONE, None, 5, [], {'a': 'b'}),
    'ref': (GONE, None, 7, [], 'x' * 300),
    'address': (GONE, None, 'x' * 300, '10.0.0.1\n', []),
    'number': (GONE, None, 'abc', '', {}, '9' * 40),
    'real': (GONE, None, float('nan'), 'abc', []),
    'flag': (GONE, None, 'true', 1, []),
    'date': (GONE, None, 'yesterday', 5),
    'items': (GONE, None, 'abc', [1], {}),
    'mapping': (GONE, None, 'abc', {'a': 1}, []),
    'numbers': (GONE, None, 'abc', {'a': 'b'}),
}


class Lie(NamedTuple):
    """One value that is wrong in every record of a class, or in some."""

    class_: str
    field: str
    value: Any

    @property
    def id(self) -> str:
        value = 'gone' if self.value is GONE else repr(self.value)[:20]
        return f'{self.class_}.{self.field}={value}'

    def tell(self, record: Any) -> Any:
        """A record with the lie in it."""
        told = copy.copy(record)
        if self.value is GONE:
            told.pop(self.field, None)
        else:
            told[self.field] = self.value
        return told


def all_lies(*names: str) -> Iterator[Lie]:
    """Every odd value of every field that is read of any host."""
    for class_ in names or classes.CLASSES:
        for field, kind in classes.CLASSES[class_].items():
            for value in ODD[kind]:
                optional = (class_, field) in classes.OPTIONAL
                if value is not GONE or not optional:
                    yield Lie(class_, field, value)


class Liars:
    """Lets hosts lie on their way to the service.

    :ivar lies: by the name of the host; told of the records whose uuid is
        among the second, or of all.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lies: dict[str, tuple[Lie, Collection[str] | None]] = {}
        honest = xenapi.Session.call

        def call(session: xenapi.Session, method: str, *params: Any) -> Any:
            answer = honest(session, method, *params)
            lie, uuids = self.lies.get(session.host, (None, None))
            if lie is None or method != f'{lie.class_}.get_all_records':
                return answer
            return {
                ref: lie.tell(record)
                if uuids is None or record['uuid'] in uuids
                else record
                for ref, record in answer.items()
            }

        monkeypatch.setattr(xenapi.Session, 'call', call)


class Recorded:
    """A session whose host answers from a list, in memory.

    :param tables: records as they came over the wire, by class.
    """

    host = 'xen1'

    def __init__(
        self, tables: dict[str, Any], permissions: frozenset[str] | None = None
    ) -> None:
        self.tables = tables
        self._permissions = permissions

    def records(self, class_: str) -> dict[str, dict[str, Any]]:
        answer = self.tables.get(class_, {})
        return fields.read_records(self.host, class_, answer)

    records_if_known = records

    def permissions(self) -> frozenset[str] | None:
        return self._permissions

    def call(self, method: str, *params: Any) -> Any:
        if method == 'host.get_servertime':
            return self.tables.get(method, '20261123T10:11:12Z')
        raise failures.XenAPIError(self.host, 'UNEXPECTED', (method,))

    def with_lie(
        self, lie: Lie, where: Callable[[str], bool] = lambda ref: True
    ) -> 'Recorded':
        """The same host, lying."""
        told = {
            ref: lie.tell(record) if where(ref) else record
            for ref, record in self.tables.get(lie.class_, {}).items()
        }
        return Recorded({**self.tables, lie.class_: told}, self._permissions)
