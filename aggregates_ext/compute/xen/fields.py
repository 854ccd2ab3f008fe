"""What hosts answer, read: each field of the kind that it is to be.

A value of another kind, or beyond all bounds, is not known: to ask for it
raises ``failures.OddAnswer``, which says in words what was answered. So one
odd value keeps from happening what depends on it, and nothing else; it is
never taken for none, or for false (design#odd-answers).
"""

import datetime
import math
import re
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from aggregates_ext.compute.xen import failures

# Bounds: characters of a text, of what names something; items of a set or
# a map; records of a class. All are far beyond what hosts have.
LONGEST = 65536
LONGEST_NAME = 255
MOST_ITEMS = 10_000
MOST_RECORDS = 200_000
SHOWN = 40

Redact = Callable[[str], str]


class Kind(NamedTuple):
    """What a field can be.

    :ivar name: in words, for messages.
    :ivar read: makes one spelling of all; raises ValueError for no such.
    """

    name: str
    read: Callable[[Any], Any]


def _text(value: Any, longest: int = LONGEST) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError
    return value


def _name(value: Any) -> str:
    return _text(value, LONGEST_NAME)


def _identity(value: Any) -> str:
    if not _IDENTITY.fullmatch(_text(value)):
        raise ValueError
    return str(value)


def _address(value: Any) -> str:
    if not _ADDRESS.fullmatch(_text(value)):
        raise ValueError
    return str(value)


def _number(value: Any) -> int:
    """A whole number, which is a text in XML-RPC (xapi#record-shapes)."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise ValueError
    if abs(int(value)) >= 2**63:
        raise ValueError
    return int(value)


def _real(value: Any) -> float:
    """A number that can be compared and kept: neither NaN nor endless."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    if isinstance(value, str) and not _REAL.fullmatch(value):
        raise ValueError
    try:
        found = float(value)
    except OverflowError:
        raise ValueError from None
    if not math.isfinite(found):
        raise ValueError
    return found


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _date(value: Any) -> str:
    """A date as most releases write it, so that text compares as time."""
    # A value of XML-RPC is in an object of the client's.
    spelled = getattr(value, 'value', value)
    parts = _DATE.fullmatch(_text(spelled))
    if parts is None:
        raise ValueError
    moment = datetime.datetime.strptime(
        ''.join(parts[name] for name in _PARTS_OF_DATE), '%Y%m%d%H%M%S'
    )
    if parts['sign']:
        apart = datetime.timedelta(
            hours=int(parts['hours']), minutes=int(parts['minutes'])
        )
        try:
            moment += apart if parts['sign'] == '-' else -apart
        except OverflowError:
            raise ValueError from None
    return f'{moment:%Y%m%dT%H:%M:%SZ}'.rjust(18, '0')


def _items(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > MOST_ITEMS:
        raise ValueError
    return [_text(item) for item in value]


def _mapping(value: Any) -> dict[str, str]:
    return _map(value, _text)


def _numbers(value: Any) -> dict[str, int]:
    return _map(value, _number)


def _map(value: Any, read: Callable[[Any], Any]) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > MOST_ITEMS:
        raise ValueError
    return {_text(key): read(item) for key, item in value.items()}


_IDENTITY = re.compile(r'[!-~]{1,36}')
_ADDRESS = re.compile(r'[!-~]{0,255}')
_NUMBER = re.compile(r'-?[0-9]{1,20}')
# OCaml writes '1795336195.'.
_REAL = re.compile(r'-?[0-9]{1,30}(\.[0-9]{0,30})?')
_PARTS_OF_DATE = ('year', 'month', 'day', 'hour', 'minute', 'second')
# 20261123T10:11:12Z, since xapi 24 also 2026-11-23T10:11:12Z; with parts of
# a second, without Z, or with the distance to it (xapi#record-shapes).
_DATE = re.compile(
    r'(?P<year>[0-9]{4})-?(?P<month>[0-9]{2})-?(?P<day>[0-9]{2})'
    r'[T ](?P<hour>[0-9]{2}):?(?P<minute>[0-9]{2}):?(?P<second>[0-9]{2})'
    r'([.,][0-9]{1,9})?'
    r'(Z|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2}))?'
)

KINDS: dict[str, Kind] = {
    'uuid': Kind('uuid', _identity),
    'text': Kind(f'text of at most {LONGEST} characters', _text),
    'ref': Kind('reference', _name),
    'address': Kind('address', _address),
    'number': Kind('whole number', _number),
    'real': Kind('number', _real),
    'flag': Kind('boolean', _flag),
    'date': Kind('date', _date),
    'items': Kind('set of text', _items),
    'mapping': Kind('map of text', _mapping),
    'numbers': Kind('map of whole numbers', _numbers),
}


def _class(**kinds: str) -> dict[str, str]:
    named = {'uuid': 'uuid'}
    return named | {
        field: kind for kind, names in kinds.items() for field in names.split()
    }


# Class -> field -> kind: all that is read of any host. What is not here is
# not kept, and to ask for it is a bug. Releases differ in those with "?".
_DECLARED: dict[str, dict[str, str]] = {
    # Its uuid is not to be shown, and not kept with the rest.
    'session': {'is_local_superuser': 'flag', 'rbac_permissions': 'items'},
    'task': _class(
        text='name_label status',
        real='progress',
        items='error_info',
        ref='resident_on',
    ),
    'pool': _class(
        text='name_label name_description',
        flag='ha_enabled is_psr_pending? tls_verification_enabled?',
        items='tags',
        mapping='other_config current_operations restrictions cpu_info?',
        ref='master default_SR suspend_image_SR crash_dump_SR',
    ),
    'host': _class(
        text='name_label name_description hostname edition iscsi_iqn?'
        ' external_auth_type external_auth_service_name last_update_hash?',
        address='address',
        number='API_version_major API_version_minor',
        flag='enabled',
        items='tags pending_guidances?',
        mapping='software_version other_config current_operations cpu_info',
        ref='metrics control_domain?',
    ),
    'host_metrics': _class(flag='live'),
    'VM_guest_metrics': _class(mapping='networks?'),
    'VM': _class(
        text='name_label power_state',
        number='domid',
        flag='is_a_template is_a_snapshot is_control_domain',
        items='attached_PCIs?',
        mapping='other_config current_operations',
        ref='resident_on scheduled_to_be_resident_on affinity suspend_VDI'
        ' guest_metrics?',
    ),
    'SR': _class(
        text='name_label type content_type',
        number='physical_utilisation',
        flag='shared is_tools_sr?',
        mapping='other_config sm_config',
    ),
    'PBD': _class(
        flag='currently_attached', mapping='device_config', ref='host SR'
    ),
    'VDI': _class(
        text='name_label',
        number='virtual_size physical_utilisation',
        flag='missing',
        mapping='current_operations',
        ref='SR',
    ),
    'VBD': _class(flag='currently_attached', ref='VM VDI'),
    'PIF': _class(
        text='device MAC ip_configuration_mode ipv6_configuration_mode?'
        ' primary_address_type?',
        address='IP',
        number='VLAN MTU',
        flag='physical management',
        items='IPv6?',
        ref='host network',
    ),
    'network': _class(text='name_label bridge', items='purpose?'),
    'SM': _class(text='type', numbers='features?'),
    'Cluster': _class(flag='pool_auto_join'),
    'Cluster_host': _class(flag='enabled', ref='host cluster PIF'),
    'SDN_controller': _class(text='protocol address', number='port'),
    'pool_update': _class(
        text='name_label', flag='enforce_homogeneity?', items='hosts'
    ),
    'pool_patch': _class(text='name_label'),
    'host_patch': _class(flag='applied', ref='host pool_patch'),
    'Certificate': _class(
        text='name? type? fingerprint? fingerprint_sha256?',
        date='not_before not_after',
        items='purpose?',
        ref='host',
    ),
    'VLAN': _class(number='tag', ref='tagged_PIF untagged_PIF'),
    'Bond': _class(ref='master'),
    'tunnel': _class(),
    'network_sriov': _class(),
    'subject': _class(mapping='other_config'),
}
CLASSES = {
    class_: {field.rstrip('?'): kind for field, kind in declared.items()}
    for class_, declared in _DECLARED.items()
}
OPTIONAL = {
    (class_, field.rstrip('?'))
    for class_, declared in _DECLARED.items()
    for field in declared
    if field.endswith('?')
}


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
        if 'uuid' not in CLASSES[self._class]:
            return f'the {self._class}'
        uuid = dict.get(self, 'uuid')
        name = dict.get(self, 'name_label')
        known = f'{self._class} {uuid or "without a readable uuid"}'
        return f'{known} ("{_cut(name)}")' if name else known

    def _fail(self, field: str, what: str) -> failures.OddAnswer:
        return failures.OddAnswer(
            host=self._host, what=f'{field} of {self.label} {what}'
        )

    def __getitem__(self, field: str) -> Any:
        """A field.

        :raises OddAnswer: it is not known.
        """
        if field not in CLASSES[self._class]:
            raise KeyError(f'{self._class}.{field} is not among CLASSES')
        if field in self._odd:
            raise self._fail(field, self._odd[field])
        if field not in self.keys():
            raise self._fail(field, 'is missing')
        return super().__getitem__(field)

    def get(self, field: str, default: Any = None) -> Any:
        """A field, or the default where a release does not have it.

        :raises OddAnswer: it is not known.
        """
        lacks = field not in self.keys() and field not in self._odd
        if lacks and (self._class, field) in OPTIONAL:
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
    host: str, class_: str, answer: Any, redact: Redact = str
) -> dict[str, dict[str, Any]]:
    """All records of a class, by reference.

    Nothing is raised for what a host answers before it is looked at.

    :param host: name of who answered, for messages.
    :param redact: takes secrets out of what is told of an answer.
    """
    if not isinstance(answer, Mapping):
        what = f'the records of {class_} are {_show(answer, redact)}'
        return OddTable(failures.OddAnswer(host=host, what=what))
    longest = max(map(len, map(str, answer)), default=0)
    if len(answer) > MOST_RECORDS or longest > LONGEST_NAME:
        what = (
            f'{len(answer)} records of {class_} with references of up to '
            f'{longest} characters'
        )
        return OddTable(failures.OddAnswer(host=host, what=what))
    return {
        ref: read_record(host, class_, record, redact)
        for ref, record in answer.items()
    }


def read_record(
    host: str, class_: str, answer: Any, redact: Redact = str
) -> Record:
    """One record."""
    kinds = CLASSES[class_]
    if not isinstance(answer, Mapping):
        told = f'cannot be read: the record is {_show(answer, redact)}'
        return Record(host, class_, {}, dict.fromkeys(kinds, told))
    values: dict[str, Any] = {}
    odd: dict[str, str] = {}
    for field, kind in kinds.items():
        if field not in answer:
            continue
        try:
            values[field] = KINDS[kind].read(answer[field])
        except ValueError:
            told = _show(answer[field], redact)
            odd[field] = f'is {told}, which is no {KINDS[kind].name}'
    return Record(host, class_, values, odd)


def read_value(
    host: str, call: str, kind: str, answer: Any, redact: Redact = str
) -> Any:
    """What a call has answered that is no record.

    :raises OddAnswer: it is of another kind.
    """
    try:
        return KINDS[kind].read(answer)
    except ValueError:
        told = f'{_show(answer, redact)}, which is no {KINDS[kind].name}'
        raise failures.OddAnswer(
            host=host, what=f'the answer to {call} is {told}'
        ) from None


def parse(what: str, read: Callable[[str], Any], text: str) -> Any:
    """What a text of a host says.

    :param what: what it is, in words.
    :param read: raises ValueError where it says nothing.
    :raises OddAnswer: it does not.
    """
    try:
        return read(text)
    except ValueError:
        raise failures.OddAnswer(
            host='', what=f'{what} is {_show(text, str)}'
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


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f'{text[:SHOWN]}…'


def _show(value: Any, redact: Redact) -> str:
    """An odd value, as far as it can be shown."""
    found = getattr(value, 'value', value)
    if isinstance(found, str) and found.startswith('OpaqueRef:'):
        # It may be that of a session.
        return 'a reference'
    if isinstance(found, str):
        return f'the text {ascii(_cut(redact(found)))}'
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
