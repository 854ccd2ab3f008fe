"""What a host tells of changes: the answer to event.from, read.

A token stands for a moment of the host's database. It outlives the session,
and not the process (xapi#events).
"""

from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import values

CALL = 'event.from'
_MADE, _GONE = 'add', 'del'


class Events(NamedTuple):
    """What became of the records of a class since a token.

    :ivar token: stands for the moment of the answer.
    :ivar number: how many records of the class there are then.
    :ivar records: those that are new or changed, by reference.
    :ivar gone: the references of those that are no more.
    :ivar made: how many of the records are new.
    """

    token: str
    number: int
    records: dict[str, fields.Record]
    gone: frozenset[str]
    made: int


def read(
    host: str, class_: str, answer: Any, words: text.Words = text.NO_SECRETS
) -> Events:
    """Events of one class; what is no event is left out.

    :param host: name of who answered, for messages.
    :param words: takes out the secrets that the host was told.
    :raises OddAnswer: it cannot be told what has changed.
    """
    if not isinstance(answer, Mapping):
        answer = {}
    told = answer.get('events')
    counts = answer.get('valid_ref_counts')
    if not isinstance(told, list) or len(told) > fields.MOST_RECORDS:
        what = 'there is no list of events'
        raise failures.OddAnswer(host=host, what=what)
    if not isinstance(counts, Mapping):
        counts = {}
    token = fields.read_value(host, CALL, 'ref', answer.get('token'), words)
    number = fields.read_value(
        host, CALL, 'number', counts.get(class_.lower()), words
    )
    records: dict[str, fields.Record] = {}
    gone: set[str] = set()
    made = 0
    for event in told:
        ref = _reference(event, class_)
        if ref is None:
            continue
        if event.get('operation') == _GONE:
            gone.add(ref)
            continue
        made += event.get('operation') == _MADE
        snapshot = event.get('snapshot')
        records[ref] = fields.read_record(host, class_, snapshot, words)
    return Events(token, number, records, frozenset(gone), made)


def _reference(event: Any, class_: str) -> str | None:
    """The record that an event is about; None: none of the class."""
    if not isinstance(event, Mapping):
        return None
    kind, ref = event.get('class'), event.get('ref')
    if not isinstance(kind, str) or kind.lower() != class_.lower():
        return None
    try:
        found = str(values.KINDS['ref'].read(ref))
    except ValueError:
        return None
    return found if found.isascii() and found.isprintable() else None
