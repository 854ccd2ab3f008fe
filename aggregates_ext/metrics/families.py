"""Every number that is told, with its labels: the one table of them.

A test holds the table in the documents equal to it. No label is of an
unlimited number (design#numbers).
"""

from collections.abc import Iterable
from collections.abc import Sequence
from typing import NamedTuple

from prometheus_client import core

from aggregates_ext.compute.xen import text

PREFIX = 'aggregates_ext'
# Characters of a label: what a name may have.
LONGEST = 255


class Family(NamedTuple):
    """What some series have in common.

    :ivar name: without the prefix.
    :ivar help: what is counted; ends with a dot.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The whole name."""
        return f'{PREFIX}_{self.name}'

    def gauge(
        self, samples: Iterable[tuple[Sequence[str], float]] = ()
    ) -> core.GaugeMetricFamily:
        """The values of a moment, each with those of its labels."""
        made = core.GaugeMetricFamily(
            self.title, self.help, labels=self.labels
        )
        for labels, value in samples:
            made.add_metric(labels, value)
        return made


def label(said: str | None) -> str:
    """A text as the value of a label: one line, bounded, without tricks."""
    return text.clean(said or '', LONGEST)


_HOST = ('aggregate_id', 'host', 'uuid')
_POOL = ('aggregate_id', 'aggregate')

UP = Family('up', 'Whether the database has answered; without it most lacks.')
SERVICES = Family(
    'compute_services',
    'Compute services that are known, by state.',
    ('state',),
)
OPERATIONS = Family(
    'operations',
    'Operations that count for the state of their aggregate.',
    ('kind', 'state'),
)
OLDEST = Family(
    'operation_oldest_seconds',
    'Age of the oldest operation that has not ended.',
    ('kind',),
)
QUEUE = Family(
    'queue_length', 'Operations that could go on now, and do not rest.'
)
MOVES = Family(
    'moves', 'Moves of guests that have not ended, by state.', ('state',)
)
HOSTS = Family('hosts', 'Registered hosts.', ('phase', 'live', 'enabled'))
HOST_LIVE = Family(
    'host_live', 'Whether a host was seen up, not too long ago.', _HOST
)
HOST_ENABLED = Family(
    'host_enabled', 'Whether a host takes machines, as last seen.', _HOST
)
HOST_PHASE = Family(
    'host_phase',
    'In which phase a host is.',
    (*_HOST, 'phase', 'maintenance'),
)
HOST_ALARM = Family(
    'host_alarm', 'Whether a host needs somebody to look after it.', _HOST
)
DRIFT = Family(
    'drift', 'Differences between pools and what they are to be.', ('code',)
)
POOL_DRIFT = Family('pool_drift', 'The same, of one pool.', (*_POOL, 'code'))
LOOK_AGE = Family(
    'pool_look_age_seconds',
    'Seconds since somebody looked at a pool that has hosts.',
    _POOL,
)
UNTOLD = Family(
    'notifications_waiting',
    'Messages that are still to be told on the bus.',
)
UNTOLD_AGE = Family(
    'notification_oldest_seconds',
    'Age of the oldest message that is still to be told; 0 where none is.',
)
LEFT_OUT = Family(
    'left_out',
    'Hosts and pools beyond the limits, which have no numbers of their own.',
    ('what',),
)

# What the database says, in the order in which it is told.
OF_SERVICES = (UP, SERVICES)
OF_THE_DATABASE = (
    *OF_SERVICES,
    OPERATIONS,
    OLDEST,
    QUEUE,
    MOVES,
    HOSTS,
    HOST_LIVE,
    HOST_ENABLED,
    HOST_PHASE,
    HOST_ALARM,
    DRIFT,
    POOL_DRIFT,
    LOOK_AGE,
    UNTOLD,
    UNTOLD_AGE,
    LEFT_OUT,
)

# What a process counts of itself.
OPERATION_SECONDS = Family(
    'operation_seconds',
    'Seconds from the request to the end of an operation.',
    ('kind', 'state'),
)
STEP_SECONDS = Family(
    'step_seconds',
    'Seconds that an operation was at a step.',
    ('kind', 'step'),
)
MOVES_ENDED = Family(
    'moves_ended',
    'Moves of guests that have ended, by what became of them.',
    ('result',),
)
AT_WORK = Family('pools_at_work', 'Pools that this service works on.')
LEASES_LOST = Family(
    'leases_lost', 'Pools that another service took over in the midst of work.'
)
XENAPI_SECONDS = Family(
    'xenapi_seconds',
    'Seconds of one request to a host.',
    ('method', 'outcome'),
)
RELEASE = Family('info', 'The release that runs.', ('version',))
REQUEST_SECONDS = Family(
    'request_seconds',
    'Seconds from a request of the API to its answer.',
    ('route', 'method', 'status'),
)
