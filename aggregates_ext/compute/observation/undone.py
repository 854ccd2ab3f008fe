"""Hosts that are to be disabled and are enabled: by a start, or by a hand.

xapi enables a host at each of its starts (xapi#maintenance-calls), unless its
release knows ``auto_enable``. What a start has done is made undone quietly,
once for each; what somebody has done is drift (design#service).
"""

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from oslo_log import log as logging
from oslo_utils import uuidutils

from aggregates_ext.compute.observation import views
from aggregates_ext.compute.xen import releases
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import records
from aggregates_ext.domain import operations

LOG = logging.getLogger(__name__)
# Seconds that two times of one start may differ by what is rounded off.
ROUNDING = 1.0
NOBODY: dict[str, str | None] = dict.fromkeys(
    ('request_id', 'user_id', 'project_id')
)

Pair = tuple[records.Host, views.HostView]


def busy(pending: Sequence[records.Operation]) -> set[str | None]:
    """The hosts that are being disabled or enabled: nothing is said of them.

    :param pending: the unfinished operations of an aggregate.
    """
    return {
        operation.host
        for operation in pending
        if operation.kind in db_operations.OF_THE_SERVICE
    }


def find(
    members: Sequence[records.Host],
    view: views.PoolView,
    left_out: Collection[str | None] = (),
) -> Iterator[Pair]:
    """The members that are to be disabled, and are enabled in their pool.

    :param left_out: names of those of which nothing is said.
    """
    for host in members:
        listed = view.hosts.find(host.uuid)
        if not host.disabled or host.name in left_out or listed is None:
            continue
        if listed.enabled:
            yield host, listed


def has_started(host: records.Host, listed: views.HostView) -> bool:
    """Whether xapi has started since the host was seen disabled."""
    known, now = host.disabled_start, listed.agent_start_time
    return bool(known and now) and abs(now - (known or 0.0)) >= ROUNDING


def disable_again(
    connection: Any, aggregate_id: int, pairs: Sequence[Pair]
) -> None:
    """Let what a start has enabled be disabled again; once for that start.

    Unless somebody has asked for another thing since the look began.
    """
    for host, listed in pairs:
        if not has_started(host, listed):
            continue
        now, going_on = db_operations.of_host(
            connection, aggregate_id, host.name
        )
        if not now.disabled or now.phase != 'member' or busy(going_on):
            continue
        LOG.info('Host %s is disabled again after its start', host.name)
        db_hosts.update(
            connection,
            host.name,
            {'disabled_start': listed.agent_start_time},
        )
        reason = now.disabled_reason
        db_operations.insert(
            connection,
            uuidutils.generate_uuid(),
            operations.DISABLE_HOST,
            aggregate_id,
            host.name,
            NOBODY,
            {'again': True} | ({} if reason is None else {'reason': reason}),
        )


def learn(
    connection: Any, members: Sequence[records.Host], view: views.PoolView
) -> None:
    """Keep the start of a host that has stayed disabled over it.

    Only where that is no moment of the start itself.
    """
    for host in members:
        listed = view.hosts.find(host.uuid)
        if (
            listed is not None
            and host.disabled
            and listed.enabled is False
            and listed.release >= releases.AUTO_ENABLE
            and has_started(host, listed)
        ):
            db_hosts.update(
                connection,
                host.name,
                {'disabled_start': listed.agent_start_time},
            )
