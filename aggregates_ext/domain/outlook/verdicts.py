"""What would be refused now, by the rules that the requests themselves ask.

Each function gets a situation and what a request would name, and raises what
refuses that request; it says nothing of what a host would answer
(design#allowed-actions).
"""

from typing import Any

from aggregates_ext.db import records
from aggregates_ext.domain import aggregates
from aggregates_ext.domain import operations
from aggregates_ext.domain import pools
from aggregates_ext.domain.maintenance import again
from aggregates_ext.domain.maintenance import entering
from aggregates_ext.domain.maintenance import powering
from aggregates_ext.domain.maintenance import rolling
from aggregates_ext.domain.membership import queueing
from aggregates_ext.domain.membership import retries
from aggregates_ext.domain.outlook import situation

Now = situation.Situation


def nothing(now: Now, subject: Any) -> None:
    """What is asked is taken whatever the state; so far as it is right."""


def delete(now: Now, _aggregate: records.Aggregate) -> None:
    aggregates.check_empty(now.aggregate)
    aggregates.check_ending(now.going_on)


def adopt(now: Now, aggregate: records.Aggregate) -> None:
    pools.check_pool(aggregate, operations.ADOPT)


def reapply(now: Now, aggregate: records.Aggregate) -> None:
    pools.check_pool(aggregate, operations.REAPPLY)


def roll(now: Now, _aggregate: records.Aggregate) -> None:
    rolling.check_alone(now.standing)


def add_host(now: Now, host: records.Host) -> None:
    queueing.check_free(now.last, now.key, host)
    queueing.check_zone(now.aggregate, host)


def remove_host(now: Now, host: records.Host) -> None:
    queueing.check_listed(now.last, now.key, host)


def forget_host(now: Now, host: records.Host) -> None:
    queueing.check_forgettable(now.last, now.key, host, now.on(host))


def set_master(now: Now, host: records.Host) -> None:
    pools.check_member(now.last, now.key, host)


def enter_maintenance(now: Now, host: records.Host) -> None:
    _maintain(now, host, operations.ENTER_MAINTENANCE)


def leave_maintenance(now: Now, host: records.Host) -> None:
    _maintain(now, host, operations.LEAVE_MAINTENANCE)


def _maintain(now: Now, host: records.Host, kind: str) -> None:
    drift = now.aggregate.drift
    entering.judge(host, now.on(host), now.key, kind, {}, lambda: drift)


def power(action: str, now: Now, host: records.Host) -> None:
    """:param action: as of ``powering.Powering.power``."""
    kind = operations.POWER_HOST
    powering.judge(host, now.on(host), now.key, kind, {'action': action})


def reset(outcome: str, now: Now, host: records.Host) -> None:
    """:param outcome: as of ``operations.Operations.reset``."""
    operations.check_reset(now.last, now.key, host, now.on(host), outcome)


def cancel(now: Now, operation: records.Operation) -> None:
    named = operation.parameters.get(operations.PARTS, ())
    parts = [part for part in now.standing if part.uuid in named]
    operations.check_cancellable(operation, parts)


def go_on(now: Now, operation: records.Operation) -> None:
    rolling.check_paused(operation, now.requests)


def retry(now: Now, operation: records.Operation) -> None:
    """In the order in which a request asks (``retries.Retries``)."""
    retries.check_kind(operation)
    if operation.state not in retries.ENDED:
        retries.check_rests(operation, now.now)
        return
    way = retries.way_of(operation)
    before, after = _AGAIN[way]
    before(now, operation)
    retries.check_latest(operation, now.later(operation))
    after(now, operation)


def _whole(now: Now, old: records.Operation) -> None:
    again.check_whole(now.aggregate, now.standing, old)


def _free(now: Now, old: records.Operation) -> None:
    queueing.check_free(now.last, now.key, now.host(old.host))


def _zone(now: Now, old: records.Operation) -> None:
    queueing.check_zone(now.aggregate, now.host(old.host))


def _listed(now: Now, old: records.Operation) -> None:
    remove_host(now, now.host(old.host))


def _forgettable(now: Now, old: records.Operation) -> None:
    forget_host(now, now.host(old.host))


def _served(now: Now, old: records.Operation) -> None:
    host = now.host(old.host)
    again.check(host, now.on(host), old)


def _member(now: Now, old: records.Operation) -> None:
    retries.check_member(now.last, now.key, now.host(old.host))


# What is asked before it is known whether a later one took the place of an
# operation, and after that, by the way that it is asked for again.
_AGAIN = {
    retries.WHOLE: (nothing, _whole),
    retries.JOIN: (_free, _zone),
    retries.FORGET: (nothing, _forgettable),
    retries.REMOVAL: (_listed, nothing),
    retries.SERVICE: (nothing, _served),
    retries.POOL: (_free, nothing),
    retries.MEMBER: (nothing, _member),
}
