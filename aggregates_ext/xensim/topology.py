"""The hosts and pools to simulate: described in YAML, checked, defaulted."""

import collections.abc
import dataclasses
import pathlib
import re
import typing
import uuid

import yaml

from aggregates_ext.xensim import timing

NAMESPACE = uuid.UUID('6f1f4b0e-2f5e-5a39-9d0a-7c5d3c1b8a11')

VERSIONS: dict[str, dict[str, str]] = {
    'xcp-ng-8.3': {
        'build_number': 'cloud',
        'date': '20241010T00:00:00Z',
        'db_schema': '5.779',
        'git_id': '0',
        'hostname': 'localhost',
        'linux': '4.19.0+1',
        'network_backend': 'openvswitch',
        'platform_name': 'XCP',
        'platform_version': '3.4.0',
        'product_brand': 'XCP-ng',
        'product_version': '8.3.0',
        'product_version_text': '8.3',
        'xapi': '24.19',
        'xapi_build': '24.19.2',
        'xen': '4.17.5',
        'xencenter_max': '2.21',
        'xencenter_min': '2.21',
    },
}
"""software_version of known products (contract 3.2 and 0)."""


POWER_STATES = ('Running', 'Halted', 'Paused', 'Suspended')


class TopologyError(ValueError):
    """The topology says something which cannot be simulated."""


def _each(kind: type) -> typing.Any:
    return dataclasses.field(default_factory=list, metadata={'each': kind})


@dataclasses.dataclass
class Disk:
    """A VDI."""

    name: str
    uuid: str = ''
    size: int = 1 << 30


@dataclasses.dataclass
class Repository:
    """An SR with its disks."""

    name: str
    uuid: str = ''
    type: str = 'ext'
    shared: bool = False
    vdis: list[Disk] = _each(Disk)


@dataclasses.dataclass
class Machine:
    """A VM; its disks are named by their VDI names."""

    name: str
    uuid: str = ''
    power_state: str = 'Running'
    memory: int = 1 << 30
    vdis: list[str] = _each(str)


@dataclasses.dataclass
class Vlan:
    """A VLAN on the management device."""

    tag: int
    management: bool = False


@dataclasses.dataclass
class Bond:
    """A bond of two further devices."""

    devices: list[str] = _each(str)


@dataclasses.dataclass
class Cpu:
    """The processors of a host."""

    vendor: str = 'GenuineIntel'
    count: int = 4


def _local_storage() -> list[Repository]:
    return [Repository('Local storage')]


@dataclasses.dataclass
class Host:
    """A machine with xapi installed."""

    name: str
    uuid: str = ''
    hostname: str = ''
    address: str = ''
    port: int = 0
    username: str = 'root'
    password: str = dataclasses.field(default='secret', repr=False)
    version: str = 'xcp-ng-8.3'
    software_version: dict[str, str] = dataclasses.field(default_factory=dict)
    api_version: str = '2.21'
    edition: str = 'xcp-ng'
    tls_verification_enabled: bool = True
    ha_enabled: bool = False
    cpu: Cpu = dataclasses.field(default_factory=Cpu)
    external_auth_type: str = ''
    external_auth_service_name: str = ''
    other_config: dict[str, str] = dataclasses.field(default_factory=dict)
    srs: list[Repository] = dataclasses.field(
        default_factory=_local_storage, metadata={'each': Repository}
    )
    vms: list[Machine] = _each(Machine)
    vlans: list[Vlan] = _each(Vlan)
    bonds: list[Bond] = _each(Bond)


@dataclasses.dataclass
class Pool:
    """Hosts which are one pool from the beginning; the first is master."""

    hosts: list[str] = _each(str)
    name_label: str = ''
    uuid: str = ''
    other_config: dict[str, str] = dataclasses.field(default_factory=dict)
    srs: list[Repository] = _each(Repository)


@dataclasses.dataclass
class Topology:
    """All that is simulated."""

    hosts: list[Host] = _each(Host)
    pools: list[Pool] = _each(Pool)
    times: timing.Times = dataclasses.field(default_factory=timing.Times)


Source = str | pathlib.Path | dict[str, typing.Any]

DEFAULT: dict[str, typing.Any] = {
    'hosts': [{'name': 'xen1'}, {'name': 'xen2'}, {'name': 'xen3'}]
}


def identity(*names: str) -> str:
    """A uuid which is always the same for the same names."""
    return str(uuid.uuid5(NAMESPACE, '/'.join(names)))


def load(source: Source) -> Topology:
    """Read a topology from a file, YAML text or plain data."""
    if isinstance(source, str) and '\n' not in source and ':' not in source:
        source = pathlib.Path(source)
    if isinstance(source, pathlib.Path):
        source = source.read_text(encoding='utf-8')
    if isinstance(source, str):
        try:
            source = yaml.safe_load(source)
        except yaml.YAMLError as exc:
            raise TopologyError(f'not YAML: {exc}') from exc
    topology: Topology = build(Topology, source, 'topology')
    _complete(topology)
    return topology


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


def _complete(topology: Topology) -> None:
    if not topology.hosts:
        raise TopologyError('topology.hosts: at least one host is needed')
    for number, host in enumerate(topology.hosts):
        complete_host(host, number, f'topology.hosts[{number}]')
    for field in ('name', 'uuid', 'address'):
        _unique(field, [getattr(host, field) for host in topology.hosts])
    names = {host.name for host in topology.hosts}
    for number, pool in enumerate(topology.pools):
        _complete_pool(pool, names, f'topology.pools[{number}]')
    members = [name for pool in topology.pools for name in pool.hosts]
    _unique('name in pools', members)


def _complete_pool(pool: Pool, names: set[str], where: str) -> None:
    if not pool.hosts:
        raise TopologyError(f'{where}.hosts: at least one host is needed')
    for name in pool.hosts:
        if name not in names:
            raise TopologyError(f'{where}.hosts: unknown host {name!r}')
    for repository in pool.srs:
        repository.shared = True
        complete_repository(repository, 'pool', pool.hosts[0])


def _unique(what: str, values: collections.abc.Sequence[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise TopologyError(f'two hosts with the same {what}: {value}')


def complete_host(host: Host, number: int, where: str) -> None:
    """Fill in what was left out, always in the same way."""
    _one_of(host.version, tuple(VERSIONS), f'{where}.version')
    if not re.fullmatch(r'\d+\.\d+', host.api_version):
        raise TopologyError(f'{where}.api_version: must be like 2.21')
    if not 0 <= host.port < 65536:
        raise TopologyError(f'{where}.port: must be below 65536')
    for machine in host.vms:
        _one_of(machine.power_state, POWER_STATES, f'{where}.vms.power_state')
    host.software_version = VERSIONS[host.version] | host.software_version
    host.uuid = host.uuid or identity(host.name)
    host.hostname = host.hostname or host.name
    host.address = host.address or f'10.0.0.{11 + number}'
    for repository in host.srs:
        complete_repository(repository, host.name)
    for machine in host.vms:
        machine.uuid = machine.uuid or identity(host.name, 'vm', machine.name)


def _one_of(value: str, known: tuple[str, ...], where: str) -> None:
    if value not in known:
        raise TopologyError(f'{where}: must be one of {", ".join(known)}')


def complete_repository(repository: Repository, *owner: str) -> None:
    """Give an SR and its disks their uuids."""
    names = (*owner, 'sr', repository.name)
    repository.uuid = repository.uuid or identity(*names)
    for disk in repository.vdis:
        disk.uuid = disk.uuid or identity(*names, disk.name)
