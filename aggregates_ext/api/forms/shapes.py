"""The two representations of one resource: the faces (design#faces)."""

import datetime
import re
from collections.abc import Callable
from typing import Any
from typing import Protocol

import microversion_parse

from aggregates_ext import exception
from aggregates_ext.db import records
from aggregates_ext.domain import operations

_MAX_ID = 2**31 - 1  # what an integer column holds
_UUID_SINCE = (2, 41)
# From here a query has what is known and nothing else, wherever it is.
KNOWN_QUERIES = (2, 102)
# Where a URL has the version.
_VERSION = re.compile(r'/v2(?:\.1)?(/|$)')
ZONE_KEY = 'availability_zone'


def moment(seconds: float | None) -> datetime.datetime | None:
    """A point in time that the database's clock told, in UTC.

    :param seconds: since the epoch.
    """
    if seconds is None:
        return None
    found = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return found.replace(tzinfo=None)


class Shape(Protocol):
    """How a face reads ids and shows what there is.

    :ivar strict: whether the texts in a body are to be as Nova wants them
        since 2.1.
    :ivar kind: 'json' or 'xml'.
    :ivar look: two that show an aggregate the same way have the same.
    :ivar has_servers: whether guests are shown.
    """

    strict: bool
    kind: str
    look: str
    has_servers: bool

    def links(self, path: str) -> list[dict[str, str]]:
        """The links to something: with the version, and without."""

    def aggregate_id(self, text: str) -> int:
        """The id that stands in a path."""

    def time(self, moment: datetime.datetime | None) -> str | None:
        """A point in time as text."""

    def created(self, aggregate: records.Aggregate) -> dict[str, Any]:
        """An aggregate just created: without hosts and metadata."""

    def aggregate(self, aggregate: records.Aggregate) -> dict[str, Any]:
        """An aggregate with all that belongs to it."""

    def supports(self, microversion: tuple[int, int]) -> bool:
        """Whether a client speaks that microversion or a later one."""


class Legacy:
    """As Essex: its keys in its order, and ``operational_state``."""

    strict = False
    has_servers = False

    def __init__(self, kind: str = 'json') -> None:
        self.kind = kind
        self.look = f'legacy-{kind}'

    def links(self, path: str) -> list[dict[str, str]]:
        return []

    def aggregate_id(self, text: str) -> int:
        """Whatever is no known id is not found.

        :raises exception.AggregateNotFound: it can be none.
        """
        return _decimal(text)

    def time(self, moment: datetime.datetime | None) -> str | None:
        return None if moment is None else str(moment)

    def created(self, aggregate: records.Aggregate) -> dict[str, Any]:
        shown = self.aggregate(aggregate)
        del shown['hosts'], shown['metadata']
        return shown

    def aggregate(self, aggregate: records.Aggregate) -> dict[str, Any]:
        return {
            'name': aggregate.name,
            'availability_zone': aggregate.availability_zone,
            'deleted': aggregate.deleted,
            'created_at': self.time(aggregate.created_at),
            'updated_at': self.time(aggregate.updated_at),
            'operational_state': operations.operational_state(aggregate),
            'hosts': list(aggregate.hosts),
            'deleted_at': self.time(aggregate.deleted_at),
            'id': aggregate.id,
            'metadata': dict(aggregate.metadata),
        }

    def supports(self, microversion: tuple[int, int]) -> bool:
        return False


class Modern:
    """As Nova v2.1, key by key: strict clients refuse any other.

    :param microversion: of the request.
    :param strict: as in ``Shape``; not where there are no microversions.
    :param base: tells the URL below which all paths are.
    """

    kind = 'json'
    has_servers = True

    def __init__(
        self,
        microversion: microversion_parse.Version,
        strict: bool = True,
        base: Callable[[], str] = str,
    ) -> None:
        self._microversion = microversion
        self.strict = strict
        self.look = 'uuid' if self.supports(_UUID_SINCE) else 'modern'
        self._base = base

    def links(self, path: str) -> list[dict[str, str]]:
        base = self._base()
        bare = _VERSION.sub(r'\1', base)
        return [
            {'rel': 'self', 'href': f'{base}{path}'},
            {'rel': 'bookmark', 'href': f'{bare}{path}'},
        ]

    def aggregate_id(self, text: str) -> int:
        """The id, read as Nova reads it.

        :raises exception.Invalid: it is no integer.
        :raises exception.AggregateNotFound: no aggregate has such an id.
        """
        try:
            return _decimal(text)
        except exception.AggregateNotFound:
            if not _is_integer(text):
                raise exception.Invalid(
                    reason=f'The id of an aggregate must be an integer, not '
                    f'{ascii(text[:40])}; GET /os-aggregates?name=NAME finds '
                    'one by name.'
                ) from None
            raise

    def time(self, moment: datetime.datetime | None) -> str | None:
        if moment is None:
            return None
        return moment.isoformat(timespec='microseconds')

    def created(self, aggregate: records.Aggregate) -> dict[str, Any]:
        shown = {
            'availability_zone': aggregate.availability_zone,
            'created_at': self.time(aggregate.created_at),
            'deleted': aggregate.deleted,
            'deleted_at': self.time(aggregate.deleted_at),
            'id': aggregate.id,
            'name': aggregate.name,
            'updated_at': self.time(aggregate.updated_at),
        }
        if self.supports(_UUID_SINCE):
            shown['uuid'] = aggregate.uuid
        return shown

    def aggregate(self, aggregate: records.Aggregate) -> dict[str, Any]:
        metadata = dict(aggregate.metadata)
        if aggregate.availability_zone is not None:
            metadata[ZONE_KEY] = aggregate.availability_zone
        return {
            **self.created(aggregate),
            'hosts': list(aggregate.hosts),
            'metadata': metadata,
        }

    def supports(self, microversion: tuple[int, int]) -> bool:
        return bool(self._microversion >= microversion)


def _decimal(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 19:
        number = int(text)
        if 0 < number <= _MAX_ID:
            return number
    raise exception.AggregateNotFound(aggregate_id=text[:40])


def _is_integer(text: str) -> bool:
    """Whether it is an integer at all, of any size and spelling."""
    if text.removeprefix('-').isdecimal():
        return True
    try:
        int(text)
    except ValueError:
        return False
    return True
