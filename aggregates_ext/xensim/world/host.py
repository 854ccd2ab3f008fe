"""A simulated host: what is on its disk, and its xapi process."""

import dataclasses
import threading
import typing

from aggregates_ext.xensim.plan import presets
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.records import database as databases
from aggregates_ext.xensim.records import failure


class Door(typing.Protocol):
    """The network side of a host: what its port does."""

    def open(self) -> None:
        """Take connections."""

    def close(self) -> None:
        """Reset what is connected and refuse what comes."""

    def deafen(self) -> None:
        """Take connections and never answer."""


class Xapi:
    """One run of xapi: all that is lost at a restart.

    See xapi#simulated-hosts.
    """

    def __init__(self, master: str | None) -> None:
        self.ended = threading.Event()
        self.master = master
        """The address of the master; None: is a master itself."""
        self.emergency: failure.Failure | None = None
        self.blocked_until = 0.0
        """Until then calls with a session get no answer.

        See xapi#join-timeline.
        """
        self.local_sessions: set[str] = set()
        self.waiting: set[threading.Event] = set()
        """What calls which wait for something are woken with."""
        self.promise: tuple[str, float] | None = None
        """The address of the next master it agreed to, and when."""
        self.forwarded: dict[str, str] = {}
        """The host which works on a task, if it is another one."""
        self.cancels: set[str] = set()
        """Tasks which react to a cancel at a moment of their own."""
        self.registered: dict[str, tuple[set[str], int]] = {}
        """Classes and last generation of the sessions of event.next."""
        self.fused = False
        self.disabled = False
        """A user disabled this host (xapi#simulated-hosts)."""
        self.on_boot = False
        """Its machine has booted just before (xapi#boots)."""
        self.complete = True
        """Storage is there: hosts may be enabled (xapi#maintenance-calls)."""

    def wake(self) -> None:
        """Let the calls which wait look again."""
        for event in self.waiting:
            event.set()

    def end(self) -> None:
        """Let everything go: this process is over."""
        self.ended.set()
        self.wake()

    @property
    def alive(self) -> bool:
        """Whether this process still runs."""
        return not self.ended.is_set()

    @property
    def is_slave(self) -> bool:
        """The cached role, fixed while this process runs."""
        return self.master is not None


@dataclasses.dataclass(eq=False)
class Copy:
    """A guest on its way: what xenopsd does, with or without a xapi."""

    guest: str
    """Its uuid."""
    source: 'Host'
    target: 'Host'
    seconds: float
    address: str
    """Where the target takes it."""
    state: str = 'queued'
    """One of machines/copying.py."""
    steps: int = 0
    cancelled: bool = False
    deaf: bool = False
    """The xenopsd of the target has forgotten it."""


@dataclasses.dataclass
class Host:
    """A host: the persistent part, and the process if one runs."""

    spec: topology.Host
    password: str = dataclasses.field(repr=False)
    database: databases.Database = dataclasses.field(
        default_factory=databases.Database
    )
    """Its own database: used while it is a master."""
    master: str | None = None
    """The role file: the address of its master, or None."""
    broken: bool = False
    """The role file says that a change of role failed.

    See xapi#change-of-master.
    """
    backup: databases.Database | None = None
    """The copy of its pool's database which a slave can take over with."""
    written: databases.Database | None = None
    """What is on the disk of a master that writes late."""
    tls_verification_enabled: bool = True
    auto_enable: bool = True
    disabled_until_reboot: bool = False
    """It was told to go down while HA was on (xapi#maintenance-calls)."""
    powered: bool = True
    boots: int = 0
    """How often the machine has booted, since the simulator started."""
    booted: float | None = None
    """When the machine has booted, as long as no xapi has told it."""
    storage: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    """The SRs which lie on its disks, with disks of which no record is left.

    See xapi#eject-destroys.
    """
    update: dict[str, str] = dataclasses.field(default_factory=dict)
    """What of its software_version is new from the next boot on."""
    renewed: dict[str, str] = dataclasses.field(default_factory=dict)
    """What of it is new from the next start of its xapi on."""
    installed: dict[str, str] = dataclasses.field(default_factory=dict)
    """What has become of that so far."""
    packages: list[str] = dataclasses.field(default_factory=list)
    """The names of the updates which are on its disk."""
    installation: object | None = None
    """The yum which runs on it (world/packages.py)."""
    checked_until: float = 0.0
    """Till when its updater plugin looks for updates."""
    reachable: bool = True
    held: bool = False
    """Nobody starts xapi, though the machine is up."""
    domains: list[str] = dataclasses.field(default_factory=list)
    """The uuids of the guests that run here, whatever a record says."""
    copies: list[Copy] = dataclasses.field(default_factory=list)
    """The guests which its xenopsd sends away."""
    silent_since: float | None = None
    """When its master heard of it for the last time; None: just now."""
    xapi: Xapi | None = None
    door: Door | None = None
    port: int = 0

    @property
    def name(self) -> str:
        """The name in the topology."""
        return self.spec.name

    @property
    def uuid(self) -> str:
        """The identity, kept by join and eject (xapi#host-record)."""
        return self.spec.uuid

    @property
    def address(self) -> str:
        """The address used inside the pool."""
        return self.spec.address

    @property
    def preset(self) -> presets.Preset:
        """The product which is installed."""
        return presets.PRESETS[self.spec.version]

    @property
    def software_version(self) -> dict[str, str]:
        """What runs on it, whatever its record says."""
        return self.spec.software_version | self.installed

    @property
    def url(self) -> str:
        """Where clients reach it."""
        scheme = 'https' if self.spec.tls else 'http'
        return f'{scheme}://127.0.0.1:{self.port}'

    @property
    def username(self) -> str:
        """The one account."""
        return self.spec.username

    @property
    def phase(self) -> str:
        """A word for what the host is doing (xapi#simulated-hosts)."""
        if not self.powered:
            return 'off'
        if not self.reachable:
            return 'unreachable'
        if self.xapi is None:
            return 'down'
        if self.broken and self.xapi.emergency is not None:
            return 'broken'
        if self.xapi.emergency is not None or self.xapi.blocked_until:
            return 'starting'
        return 'fused' if self.xapi.fused else 'running'
