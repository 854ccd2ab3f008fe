"""One pool's database: tables of records and generic access to them."""

import collections.abc
import datetime
import functools
import typing
import uuid

from aggregates_ext.xensim.plan import presets
from aggregates_ext.xensim.plan import versions
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.records import journal
from aggregates_ext.xensim.records import observed
from aggregates_ext.xensim.records import schema

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


def duplicate(value: Value) -> Value:
    """A copy of a value, with its lists and maps."""
    if isinstance(value, dict):
        return {key: duplicate(item) for key, item in value.items()}
    if isinstance(value, list):
        return [duplicate(item) for item in value]
    return value


def fresh(record: Record) -> Record:
    """A record without its identity."""
    return {field: record[field] for field in record if field != 'uuid'}


BLANK: dict[str, Record] = {
    name: {
        field: NEVER if kind == 'date' else schema.EMPTY[kind]
        for field, kind in declared.fields.items()
    }
    for name, declared in schema.CLASSES.items()
}
"""A record of each class with empty fields."""


OWNERS: dict[tuple[str, str], list[str]] = {
    end: [
        owner for (owner, _), other in schema.MEMBERS.items() if other == end
    ]
    for end in schema.MEMBERS.values()
}
"""The classes which compute a set of the references in a field."""


class Database:
    """The records of one pool; there is exactly one pool record in it."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, Record]] = {
            name: {} for name in schema.CLASSES
        }
        self.journal = journal.Journal()
        self.version = presets.DEFAULT
        """The product whose fields are shown."""

    def create(self, kind: str, **values: Value) -> str:
        """Add a record; fields not given get the empty value."""
        new = {'uuid': str(uuid.uuid4())}
        ref = f'OpaqueRef:{uuid.uuid4()}'
        self.insert(kind, ref, new | values)
        return ref

    def insert(self, kind: str, ref: str, values: Record) -> None:
        """Add a record with a reference which it had before."""
        record: Record = duplicate(BLANK[kind] | values)
        tell = functools.partial(self._changed, kind, ref)
        self._tables[kind][ref] = observed.Row(record, tell)
        self.journal.created(kind, ref)
        self._touch_owners(kind, record)

    def _changed(self, kind: str, ref: str, field: str, old: Value) -> None:
        """Every change of a record comes through here (xapi#events)."""
        record = self._tables[kind].get(ref)
        if record is None:
            return
        self.journal.changed(kind, ref)
        for owner in OWNERS.get((kind, field), ()):
            self.journal.changed(owner, old)
            self.journal.changed(owner, record[field])

    def _touch_owners(self, kind: str, record: Record) -> None:
        """A record which comes or goes changes sets of others."""
        for (member, field), owners in OWNERS.items():
            if member == kind:
                for owner in owners:
                    self.journal.changed(owner, record[field])

    def clone(self) -> 'Database':
        """A backup: the same records under the same references."""
        copied = Database()
        copied.version = self.version
        for kind, table in self._tables.items():
            for ref, record in table.items():
                copied.insert(kind, ref, record)
        return copied

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
        record = self._tables[kind].pop(ref, None)
        if record is not None:
            self.journal.deleted(kind, ref)
            self._touch_owners(kind, record)

    def clear(self, kind: str) -> None:
        """Remove all records of a class."""
        for ref in list(self._tables[kind]):
            self.delete(kind, ref)

    def rows(self, kind: str) -> list[tuple[str, Record]]:
        """All records of a class with their references."""
        return list(self._tables[kind].items())

    def where(self, kind: str, **values: Value) -> list[str]:
        """References of the records with the given field values."""
        return [
            ref
            for ref, record in self._tables[kind].items()
            if all(
                dict.get(record, field) == value
                for field, value in values.items()
            )
        ]

    def by_uuid(self, kind: str, identity: str) -> str:
        """The reference of the record with a uuid."""
        for ref in self.where(kind, uuid=identity):
            return ref
        raise failure.Failure('UUID_INVALID', kind, identity)

    def read(self, kind: str, ref: str) -> Record:
        """A copy of a record, with the sets which are computed."""
        record: Record = duplicate(self.row(kind, ref))
        for (owner, field), (member, back) in schema.MEMBERS.items():
            if owner == kind:
                record[field] = self.where(member, **{back: ref})
        for field in versions.hidden(self.version, kind):
            del record[field]
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
