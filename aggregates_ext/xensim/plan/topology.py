"""The hosts and pools to simulate: described in YAML, checked, defaulted."""

import collections
import collections.abc
import dataclasses
import ipaddress
import pathlib
import re
import typing
import uuid

import yaml

from aggregates_ext.xensim.plan import described
from aggregates_ext.xensim.plan import fleet
from aggregates_ext.xensim.plan import presets
from aggregates_ext.xensim.plan import timing

NAMESPACE = uuid.UUID('6f1f4b0e-2f5e-5a39-9d0a-7c5d3c1b8a11')

FIRST_ADDRESS = ipaddress.IPv4Address('10.0.0.11')

_FEATURES = re.compile('([0-9a-f]{8}(-[0-9a-f]{8})*)?')

POWER_STATES = ('Running', 'Halted', 'Paused', 'Suspended')


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
    type: str = ''
    """Without one: nfs where it is shared, ext where it is not."""
    shared: bool = False
    device_config: dict[str, str] = dataclasses.field(default_factory=dict)
    vdis: list[Disk] = _each(Disk)


@dataclasses.dataclass
class Machine:
    """A VM; its disks are named by their VDI names."""

    name: str
    uuid: str = ''
    power_state: str = 'Running'
    memory: int = 1 << 30
    vcpus: int = 1
    pv_drivers: bool = True
    """Without them it can be neither moved nor suspended."""
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
    features: str = ''
    """In words of eight hexadecimal digits, with dashes between."""


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
    read_only_users: dict[str, str] = dataclasses.field(
        default_factory=dict, repr=False
    )
    tls: bool = False
    tls_certificate: str = ''
    tls_key: str = ''
    version: str = presets.DEFAULT
    software_version: dict[str, str] = dataclasses.field(default_factory=dict)
    api_version: str = ''
    edition: str = ''
    clock_offset: float = 0.0
    tls_verification_enabled: bool = True
    ha_enabled: bool = False
    cpu: Cpu = dataclasses.field(default_factory=Cpu)
    memory_gib: int = 64
    external_auth_type: str = ''
    external_auth_service_name: str = ''
    other_config: dict[str, str] = dataclasses.field(default_factory=dict)
    srs: list[Repository] = dataclasses.field(
        default_factory=_local_storage, metadata={'each': Repository}
    )
    vms: list[Machine] = _each(Machine)
    nics: list[str] = _each(str)
    """Physical interfaces besides eth0."""
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
    tls: bool = False
    """Whether all hosts speak TLS, not only those which say so."""


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
        path = source
        try:
            source = path.read_text(encoding='utf-8')
        except UnicodeDecodeError as exc:
            raise described.TopologyError(f'{path}: not UTF-8: {exc}') from exc
    if isinstance(source, str):
        try:
            source = yaml.safe_load(source)
        except (yaml.YAMLError, ValueError, RecursionError) as exc:
            # ValueError: such as a date that there is not.
            raise described.TopologyError(f'not YAML: {exc}') from exc
    topology: Topology = described.build(
        Topology, fleet.expand(source), 'topology'
    )
    _complete(topology)
    return topology


def _complete(topology: Topology) -> None:
    if not topology.hosts:
        raise described.TopologyError(
            'topology.hosts: at least one host is needed'
        )
    for number, host in enumerate(topology.hosts):
        host.tls = host.tls or topology.tls
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
        raise described.TopologyError(
            f'{where}.hosts: at least one host is needed'
        )
    for name in pool.hosts:
        if name not in names:
            raise described.TopologyError(
                f'{where}.hosts: unknown host {name!r}'
            )
    for repository in pool.srs:
        repository.shared = True
        complete_repository(repository, 'pool', pool.hosts[0])


def _unique(what: str, values: collections.abc.Sequence[str]) -> None:
    for value, count in collections.Counter(values).items():
        if count > 1:
            raise described.TopologyError(
                f'two hosts with the same {what}: {value}'
            )


def complete_host(host: Host, number: int, where: str) -> None:
    """Fill in what was left out, always in the same way."""
    _one_of(host.version, tuple(presets.PRESETS), f'{where}.version')
    preset = presets.PRESETS[host.version]
    host.api_version = host.api_version or preset.api_version
    host.edition = host.edition or preset.edition
    if not re.fullmatch(r'\d+\.\d+', host.api_version):
        raise described.TopologyError(
            f'{where}.api_version: must be like 2.21'
        )
    if not _FEATURES.fullmatch(host.cpu.features):
        raise described.TopologyError(
            f'{where}.cpu.features: must be like 0000000f-00000001'
        )
    if not 0 <= host.port < 65536:
        raise described.TopologyError(f'{where}.port: must be below 65536')
    for machine in host.vms:
        _one_of(machine.power_state, POWER_STATES, f'{where}.vms.power_state')
    host.software_version = preset.software_version | host.software_version
    host.uuid = host.uuid or identity(host.name)
    host.hostname = host.hostname or host.name
    host.address = host.address or str(FIRST_ADDRESS + number)
    for repository in host.srs:
        complete_repository(repository, host.name)
    for machine in host.vms:
        machine.uuid = machine.uuid or identity(host.name, 'vm', machine.name)


def _one_of(value: str, known: tuple[str, ...], where: str) -> None:
    if value not in known:
        raise described.TopologyError(
            f'{where}: must be one of {", ".join(known)}'
        )


def complete_repository(repository: Repository, *owner: str) -> None:
    """Give an SR its type, and it and its disks their uuids."""
    names = (*owner, 'sr', repository.name)
    repository.uuid = repository.uuid or identity(*names)
    usual = 'nfs' if repository.shared else 'ext'
    repository.type = repository.type or usual
    for disk in repository.vdis:
        disk.uuid = disk.uuid or identity(*names, disk.name)
