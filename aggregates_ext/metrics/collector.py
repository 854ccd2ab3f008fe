"""Numbers of the database, read when somebody asks for them.

A database that is away is a number too: no failure of it fails a scrape.
"""

import collections
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence

from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_log import log as logging
from prometheus_client import core

from aggregates_ext import background
from aggregates_ext import exception
from aggregates_ext import outages
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db.engine import engine
from aggregates_ext.db.engine import reasons
from aggregates_ext.metrics import families
from aggregates_ext.metrics import fleet

LOG = logging.getLogger(__name__)
# Seconds that a scrape waits for the database; Prometheus gives up after ten.
LIMIT = 5.0
FAILS = 'The database cannot be asked for numbers'

Metrics = list[core.GaugeMetricFamily]


class Collector:
    """What Prometheus's registry asks.

    :param told: the families that there may be.
    :param read: makes them of the database, but the first, ``families.UP``.
    """

    def __init__(
        self,
        told: Sequence[families.Family],
        read: Callable[[], Metrics],
    ) -> None:
        self._told = told
        self._read = read
        self._questions: background.Questions[Metrics] = background.Questions()
        self._outage = outages.Outage(
            LOG, FAILS, 'The database is asked for numbers again'
        )

    def describe(self) -> Iterator[core.GaugeMetricFamily]:
        """What there is, without asking the database."""
        for family in self._told:
            yield family.gauge()

    def collect(self) -> Iterator[core.GaugeMetricFamily]:
        """What there is now; of a database that is away that alone."""
        found = self._ask()
        yield families.UP.gauge([((), found is not None)])
        yield from found or ()

    def _ask(self) -> Metrics | None:
        try:
            found = self._questions.ask(self._read, LIMIT)
        except (
            background.Hangs,
            exception.Unavailable,
            db_exc.DBError,
        ) as exc:
            self._outage.fails(reasons.first_line(exc))
            return None
        except Exception:
            LOG.exception('%s: a bug', FAILS)
            return None
        self._outage.works()
        return found


def of_services(database: engine.Database) -> Collector:
    """Who does the work; also for who cannot do it."""
    return Collector(
        families.OF_SERVICES,
        lambda: [_services(fleet.services(database))],
    )


def of_all(conf: cfg.ConfigOpts, database: engine.Database) -> Collector:
    """All that the database knows."""

    def look() -> Metrics:
        found = fleet.read(
            database,
            conf.compute.observe_interval,
            telling=conf.notifications.enabled,
        )
        options = conf.metrics
        return list(_all(found, options.max_hosts, options.max_pools))

    return Collector(families.OF_THE_DATABASE, look)


def _services(counted: tuple[int, int]) -> core.GaugeMetricFamily:
    alive, dead = counted
    return families.SERVICES.gauge([(('alive',), alive), (('dead',), dead)])


def _all(
    found: fleet.Fleet, max_hosts: int, max_pools: int
) -> Iterator[core.GaugeMetricFamily]:
    yield _services(found.services)
    yield families.OPERATIONS.gauge(
        ((tally.kind, tally.state), tally.number) for tally in found.operations
    )
    yield families.OLDEST.gauge(
        ((kind,), age) for kind, age in found.oldest.items()
    )
    yield families.QUEUE.gauge([((), sum(t.due for t in found.operations))])
    yield families.MOVES.gauge(
        ((state,), number) for state, number in found.moves.items()
    )
    yield from _hosts(found.hosts, max_hosts)
    yield from _pools(found, max_pools)
    told = () if found.backlog is None else (found.backlog,)
    yield families.UNTOLD.gauge(((), one.number) for one in told)
    yield families.UNTOLD_AGE.gauge(((), one.age) for one in told)
    yield families.LEFT_OUT.gauge(
        [
            (('hosts',), max(0, len(found.hosts) - max_hosts)),
            (('pools',), max(0, len(found.pools) - max_pools)),
        ]
    )


def _hosts(
    hosts: Sequence[fleet.Host], most: int
) -> Iterator[core.GaugeMetricFamily]:
    counted = collections.Counter(
        (host.entry.phase, _word(host.live), _word(host.enabled))
        for host in hosts
    )
    yield families.HOSTS.gauge(counted.items())
    named = [(_named(host), host) for host in hosts[:most]]
    yield families.HOST_LIVE.gauge((name, h.live) for name, h in named)
    yield families.HOST_ENABLED.gauge((name, h.enabled) for name, h in named)
    yield families.HOST_PHASE.gauge(
        ((*name, h.entry.phase, h.entry.maintenance or 'off'), 1)
        for name, h in named
    )
    yield families.HOST_ALARM.gauge((name, h.alarm) for name, h in named)


def _word(value: bool) -> str:
    return 'true' if value else 'false'


def _named(host: fleet.Host) -> tuple[str, str, str]:
    entry = host.entry
    home = '' if entry.aggregate_id is None else str(entry.aggregate_id)
    return home, families.label(entry.name), families.label(entry.uuid)


def _pools(found: fleet.Fleet, most: int) -> Iterator[core.GaugeMetricFamily]:
    counted: collections.Counter[str] = collections.Counter()
    for pool in found.pools:
        counted.update(map(families.label, pool.drift))
    yield families.DRIFT.gauge(
        ((code,), number) for code, number in counted.items()
    )
    named = [(_titled(pool), pool) for pool in found.pools[:most]]
    yield families.POOL_DRIFT.gauge(
        ((*name, code), number)
        for name, pool in named
        for code, number in collections.Counter(
            map(families.label, pool.drift)
        ).items()
    )
    bound = {host.entry.aggregate_id for host in found.hosts}
    yield families.LOOK_AGE.gauge(
        (name, pool.age)
        for name, pool in named
        if pool.age is not None and pool.id in bound
    )


def _titled(pool: db_pools.Known) -> tuple[str, str]:
    return str(pool.id), families.label(pool.name)
