"""Planted faults: what shall go wrong, where, and how often."""

import dataclasses
import threading

ACTIONS = frozenset(
    {
        'refuse',
        'reset',
        'drop_answer',
        'hang',
        'delay',
        'fail',
        'half_join',
        'halt',
        'skip',
        'die',
        'no_boot',
        'no_return',
        'no_storage',
        'no_state',
        'late_writes',
    }
)


@dataclasses.dataclass
class Fault:
    """One thing to go wrong.

    refuse: the port closes, at once if no call is named, else when that
    call arrives. reset: the connection breaks and nothing is done.
    drop_answer: the connection breaks when all is done. hang: no answer
    until released. delay: a late answer. fail: the given code and
    parameters. half_join: the join fails late, when the joiner's role is
    written (with seconds: its record becomes live after them). skip: step S6 of a join copies nothing, silently. die: xapi
    is killed, and started again by its watchdog. no_return: a host (name
    the victim) stays off after its eject or its reboot. no_boot: a reboot
    starts its xapi alone, the machine runs on. no_storage: at its next start
    a host finds none of its storage, and with more ``times`` nor what is
    plugged then. no_state: a host that is to go down
    does not reach the state file of high availability. halt: a migration fails,
    and leaves its machine halted (xapi#migration). late_writes: from now on the
    database of a master (host) goes to its disk every five minutes; killed,
    it comes back with what was written last.

    :param call: method name as sent; None for any call
    :param host: name of the host; None for any host
    :param step: a step of pool.join (S1 to S10; S9 when the role is written)
        or of pool.eject (E1 before its storage is unplugged, E2 when it is
        forgotten, E3 when the victim was told to go), "follow" when a host
        is told to follow a new master, of host.apply_updates ("yum" half-way,
        "installed" before guidances, "livepatch") or of host.call_plugin
        ("yum"), or the uuid of a machine which
        migrates or is shut down, instead of the whole call
    :param nth: the first matching occurrence which is hit, from 1
    :param times: how many occurrences are hit; 0 for all
    :param seconds: how long a delay is (default 1) or a port refuses
        (default: until the faults are cleared)
    :param when: for "die": "before" or "after" the effect
    """

    action: str
    call: str | None = None
    host: str | None = None
    step: str | None = None
    nth: int = 1
    times: int = 1
    seconds: float | None = None
    code: str = 'INTERNAL_ERROR'
    parameters: tuple[str, ...] = ('planted',)
    when: str = 'before'
    seen: int = 0
    hit: threading.Event = dataclasses.field(
        default_factory=threading.Event, repr=False
    )
    released: threading.Event = dataclasses.field(
        default_factory=threading.Event, repr=False
    )

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            known = ', '.join(sorted(ACTIONS))
            raise ValueError(f'action must be one of {known}')
        if self.when not in ('before', 'after'):
            raise ValueError('when must be "before" or "after"')
        self.parameters = tuple(self.parameters)

    @property
    def pause(self) -> float:
        """How long a delay is."""
        return 1.0 if self.seconds is None else self.seconds

    def release(self) -> None:
        """Let go the calls which hang in this fault."""
        self.released.set()

    def hits(self, call: str, host: str, step: str | None) -> bool:
        """Count an occurrence, and say whether it is hit."""
        if self.call not in (None, call) or self.host not in (None, host):
            return False
        if self.step != step:
            return False
        self.seen += 1
        last = self.nth + self.times - 1
        if self.seen < self.nth or (self.times and self.seen > last):
            return False
        self.hit.set()
        return True


class Faults:
    """The faults which are planted now."""

    def __init__(self) -> None:
        self.planted: list[Fault] = []

    def plant(self, fault: Fault) -> Fault:
        """Add a fault."""
        self.planted.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults and let go what hangs in them."""
        for fault in self.planted:
            fault.release()
        self.planted.clear()

    def take(
        self,
        actions: tuple[str, ...],
        call: str,
        host: str,
        step: str | None = None,
    ) -> Fault | None:
        """The first fault among some actions which hits an occurrence."""
        for fault in self.planted:
            if fault.action in actions and fault.hits(call, host, step):
                return fault
        return None
