"""What hosts answer, read: each field of the kind that it is to be.

A value of another kind, or beyond all bounds, is not known: to ask for it
raises ``failures.OddAnswer``, which says in words what was answered. So one
odd value keeps from happening what depends on it, and nothing else; it is
never taken for none, or for false (design#odd-answers).
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NoReturn

from aggregates_ext.compute.xen import classes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import values

# Records of a class: far beyond what hosts have.
MOST_RECORDS = 200_000
SHOWN = 40
# Kinds that are words of a host; all others are made of plain signs.
WORDS = ('text', 'items', 'mapping')


class Record(dict[str, Any]):
    """One record, read.

    :param odd: the fields that are not known, with what was answered.
    """

    def __init__(
        self,
        host: str,
        class_: str,
        values: dict[str, Any],
        odd: dict[str, str],
    ) -> None:
        super().__init__(values)
        self._host = host
        self._class = class_
        self._odd = odd

    @property
    def label(self) -> str:
        """What the record is called in messages."""
        if 'uuid' not in classes.CLASSES[self._class]:
            return f'the {self._class}'
        uuid = dict.get(self, 'uuid')
        name = dict.get(self, 'name_label')
        known = f'{self._class} {uuid or "without a readable uuid"}'
        return f'{known} ("{_cut(name)}")' if name else known

    def _fail(self, field: str, what: str) -> failures.OddAnswer:
        return failures.OddAnswer(
            host=self._host, what=f'{field} of {self.label} {what}'
        )

    def __missing__(self, field: str) -> NoReturn:
        """Whoever asks for what is not there is told why.

        :raises OddAnswer: it is not known.
        """
        if field not in classes.CLASSES[self._class]:
            raise KeyError(f'{self._class}.{field} is not among CLASSES')
        raise self._fail(field, self._odd.get(field, 'is missing'))

    def get(self, field: str, default: Any = None) -> Any:
        """A field, or the default where a release does not have it.

        :raises OddAnswer: it is not known.
        """
        lacks = field not in self.keys() and field not in self._odd
        if lacks and (self._class, field) in classes.OPTIONAL:
            return default
        return self[field]


class OddTable(dict[str, Any]):
    """The records of a class that could not be read: whoever looks is told."""

    def __init__(self, error: failures.OddAnswer) -> None:
        super().__init__()
        self._error = error

    def _raise(self, *_arguments: Any) -> Any:
        raise self._error

    get = items = keys = values = _raise
    __contains__ = __getitem__ = __iter__ = __len__ = _raise


def read_records(
    host: str, class_: str, answer: Any, words: text.Words = text.NO_SECRETS
) -> dict[str, dict[str, Any]]:
    """All records of a class, by reference.

    Nothing is raised for what a host answers before it is looked at.

    :param host: name of who answered, for messages.
    :param words: takes out the secrets that the host was told.
    """
    if not isinstance(answer, Mapping):
        what = f'the records of {class_} are {_show(answer, words)}'
        return OddTable(failures.OddAnswer(host=host, what=what))
    longest = max(map(len, map(str, answer)), default=0)
    if len(answer) > MOST_RECORDS or longest > values.LONGEST_NAME:
        what = (
            f'{len(answer)} records of {class_} with references of up to '
            f'{longest} characters'
        )
        return OddTable(failures.OddAnswer(host=host, what=what))
    return {
        ref: read_record(host, class_, record, words)
        for ref, record in answer.items()
    }


def read_record(
    host: str, class_: str, answer: Any, words: text.Words = text.NO_SECRETS
) -> Record:
    """One record."""
    fields = classes.CLASSES[class_]
    if not isinstance(answer, Mapping):
        told = f'cannot be read: the record is {_show(answer, words)}'
        return Record(host, class_, {}, dict.fromkeys(fields, told))
    known: dict[str, Any] = {}
    odd: dict[str, str] = {}
    for field, kind in fields.items():
        if field not in answer:
            continue
        try:
            value = values.KINDS[kind].read(answer[field])
            known[field] = _keep(value, words) if kind in WORDS else value
        except ValueError:
            told = _show(answer[field], words)
            odd[field] = f'is {told}, which is no {values.KINDS[kind].name}'
    return Record(host, class_, known, odd)


def _keep(value: Any, words: text.Words) -> Any:
    """What a host says, as it is kept and compared."""
    if isinstance(value, list):
        return [words.keep(item) for item in value]
    if isinstance(value, dict):
        return {words.keep(k): words.keep(v) for k, v in value.items()}
    return words.keep(value)


def read_value(
    host: str,
    call: str,
    kind: str,
    answer: Any,
    words: text.Words = text.NO_SECRETS,
) -> Any:
    """What a call has answered that is no record.

    :raises OddAnswer: it is of another kind.
    """
    try:
        return values.KINDS[kind].read(answer)
    except ValueError:
        told = f'{_show(answer, words)}, which is no {values.KINDS[kind].name}'
        raise failures.OddAnswer(
            host=host, what=f'the answer to {call} is {told}'
        ) from None


def parse(what: str, read: Callable[[str], Any], said: str) -> Any:
    """What a text of a host says.

    :param what: what it is, in words.
    :param read: raises ValueError where it says nothing.
    :raises OddAnswer: it does not.
    """
    try:
        return read(said)
    except ValueError:
        raise failures.OddAnswer(
            host='', what=f'{what} is {_show(said, text.NO_SECRETS)}'
        ) from None


def shown(record: Mapping[str, Any], field: str) -> str:
    """A field as text for messages, whatever it is."""
    try:
        found = record[field]
    except (failures.OddAnswer, KeyError):
        return 'unknown'
    return str(found)


def called(record: Mapping[str, Any], class_: str) -> str:
    """What a record is called in messages."""
    return getattr(record, 'label', class_)


def collect(
    record: Mapping[str, Any], field: str, default: Any, odd: list[str]
) -> Any:
    """A field that can do without: the default, and a note, if not known."""
    try:
        return record[field]
    except failures.OddAnswer as exc:
        odd.append(exc.what)
        return default


def _cut(said: str) -> str:
    return said if len(said) <= SHOWN else f'{said[:SHOWN]}…'


def _show(value: Any, words: text.Words) -> str:
    """An odd value, as far as it can be shown."""
    found = getattr(value, 'value', value)
    if isinstance(found, str) and found.startswith('OpaqueRef:'):
        # It may be that of a session.
        return 'a reference'
    if isinstance(found, str):
        return f'the text {ascii(_cut(words.tell(found)))}'
    if isinstance(found, bool | float):
        return str(found)
    if isinstance(found, int):
        return str(found) if abs(found) < 2**64 else 'a number beyond all'
    if isinstance(found, list | dict):
        kind = 'list' if isinstance(found, list) else 'struct'
        return f'a {kind} of {len(found)}'
    return 'nothing' if found is None else f'of type {type(found).__name__}'


def leader(
    host: str, pools: dict[str, Any], hosts: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The record of a pool, and that of its master.

    :raises OddAnswer: either is not known.
    """
    _ref, pool = only(host, 'pool', pools)
    ref = pool['master']
    if ref not in hosts:
        raise failures.OddAnswer(
            host=host,
            what=f'the master of {called(pool, "pool")} is none of its hosts',
        )
    return pool, hosts[ref]


def only(host: str, class_: str, found: dict[str, Any]) -> tuple[str, Any]:
    """The one record of a class that has one.

    :raises OddAnswer: there are none, or several.
    """
    if len(found) != 1:
        raise failures.OddAnswer(
            host=host, what=f'there are {len(found)} records of {class_}'
        )
    return next(iter(found.items()))
