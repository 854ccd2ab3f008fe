"""One pool's database: tables of records and generic access to them."""

import collections.abc
import copy
import datetime
import typing
import uuid

from aggregates_ext.xensim import failure
from aggregates_ext.xensim import schema

NULL = 'OpaqueRef:NULL'
NEVER = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)

Value = typing.Any
"""A value of the API: text, number, flag, date, list or map of these."""

Record = dict[str, Value]
Match = collections.abc.Callable[[Record], bool]


def date(moment: float) -> datetime.datetime:
    """A moment of the clock as the API's date, in whole seconds."""
    whole = int(moment)
    return datetime.datetime.fromtimestamp(whole, datetime.timezone.utc)


class Database:
    """The records of one pool; there is exactly one pool record in it."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, Record]] = {
            name: {} for name in schema.CLASSES
        }

    def create(self, kind: str, **values: Value) -> str:
        """Add a record; fields not given get the empty value."""
        record = {
            field: NEVER if empty == 'date' else copy.copy(schema.EMPTY[empty])
            for field, empty in schema.CLASSES[kind].fields.items()
        }
        record['uuid'] = str(uuid.uuid4())
        record.update(copy.deepcopy(values))
        ref = f'OpaqueRef:{uuid.uuid4()}'
        self._tables[kind][ref] = record
        return ref

    def row(self, kind: str, ref: str) -> Record:
        """The stored record, to be changed in place."""
        try:
            return self._tables[kind][ref]
        except KeyError:
            raise failure.Failure('HANDLE_INVALID', kind, ref) from None

    def exists(self, kind: str, ref: str) -> bool:
        """Whether there is such a record."""
        return ref in self._tables[kind]

    def delete(self, kind: str, ref: str) -> None:
        """Remove a record, if it is there."""
        self._tables[kind].pop(ref, None)

    def clear(self, kind: str) -> None:
        """Remove all records of a class."""
        self._tables[kind].clear()

    def rows(self, kind: str) -> list[tuple[str, Record]]:
        """All records of a class with their references."""
        return list(self._tables[kind].items())

    def where(self, kind: str, **values: Value) -> list[str]:
        """References of the records with the given field values."""
        return [
            ref
            for ref, record in self._tables[kind].items()
            if all(record[field] == value for field, value in values.items())
        ]

    def by_uuid(self, kind: str, identity: str) -> str:
        """The reference of the record with a uuid."""
        for ref in self.where(kind, uuid=identity):
            return ref
        raise failure.Failure('UUID_INVALID', kind, identity)

    def read(self, kind: str, ref: str) -> Record:
        """A copy of a record, with the sets which are computed."""
        record = copy.deepcopy(self.row(kind, ref))
        for (owner, field), (member, back) in schema.MEMBERS.items():
            if owner == kind:
                record[field] = self.where(member, **{back: ref})
        return record

    def select(self, kind: str, match: Match) -> dict[str, Record]:
        """Copies of the records which match."""
        records = {ref: self.read(kind, ref) for ref in self._tables[kind]}
        return {ref: rec for ref, rec in records.items() if match(rec)}

    @property
    def pool_ref(self) -> str:
        """The reference of the one pool record."""
        return next(iter(self._tables['pool']))

    @property
    def pool(self) -> Record:
        """The one pool record, to be changed in place."""
        return self.row('pool', self.pool_ref)
