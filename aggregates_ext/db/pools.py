"""The statements on the pool of an aggregate: which it is, and what was seen.

Its columns are in the row of the aggregate.
"""

import dataclasses
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import sqlalchemy as sa

from aggregates_ext.db import fitting
from aggregates_ext.db import records
from aggregates_ext.db import stamps
from aggregates_ext.db.engine import engine
from aggregates_ext.db.outbox import notes
from aggregates_ext.db.schema import models

_TABLE = models.aggregates
_HOSTS = models.hosts
_OPERATIONS = models.operations


class Look(NamedTuple):
    """What the looks at a pool have come to.

    :ivar observation: as ``records.Aggregate`` has it.
    :ivar lease_until: until when a compute service has the pool; None: none
        has, and none has lost it.
    :ivar now: the database's clock.
    """

    observation: dict[str, Any] | None
    lease_until: float | None
    now: float


def looks(connection: sa.Connection, keys: Collection[int]) -> dict[int, Look]:
    """What was seen of some pools, by aggregate, in one statement."""
    rows = connection.execute(
        sa.select(
            _TABLE.c.id,
            _TABLE.c.observation,
            _TABLE.c.lease_until,
            engine.now(),
        ).where(_TABLE.c.id.in_(keys))
    )
    return {
        key: Look(observation, until, float(now))
        for key, observation, until, now in rows
    }


class Known(NamedTuple):
    """What is known of the pool of an aggregate.

    :ivar observation: as ``records.Aggregate`` has it.
    :ivar drift: the codes of what differs.
    :ivar age: seconds since somebody looked; None: nobody has yet.
    """

    id: int
    name: str
    observation: dict[str, Any] | None
    observed_at: float | None
    drift: Sequence[str]
    age: float | None


def known(connection: sa.Connection) -> list[Known]:
    """The pools of all aggregates by their ids, in one statement."""
    rows = connection.execute(
        sa.select(
            _TABLE.c.id,
            _TABLE.c.name,
            _TABLE.c.observation,
            _TABLE.c.observed_at,
            _TABLE.c.drift,
            engine.now(),
        )
        .where(_TABLE.c.deleted == 0)
        .order_by(_TABLE.c.id)
    )
    return [
        Known(
            key,
            name,
            observation,
            at,
            [entry['code'] for entry in drift or ()],
            None if at is None else max(0.0, float(now) - at),
        )
        for key, name, observation, at, drift, now in rows
    ]


def set_pool(
    connection: sa.Connection,
    aggregate_id: int,
    pool_uuid: str | None,
    credential: str | None,
    master_uuid: str | None,
) -> None:
    """Pin the pool of an aggregate and its master, or forget them."""
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == aggregate_id)
        .values(
            pool_uuid=pool_uuid,
            credential=credential,
            master_uuid=master_uuid,
        )
    )


def set_master(
    connection: sa.Connection, aggregate_id: int, master_uuid: str
) -> None:
    """Keep which host is to be the master from now on."""
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == aggregate_id)
        .values(master_uuid=master_uuid)
    )


def release_master(
    connection: sa.Connection, aggregate_id: int, master_uuid: str | None
) -> None:
    """A host has left: if it was to be the master, it is not any more.

    Then the master that is seen next is the one that is to be it.
    """
    connection.execute(
        sa.update(_TABLE)
        .where(
            _TABLE.c.id == aggregate_id, _TABLE.c.master_uuid == master_uuid
        )
        .values(master_uuid=None)
    )


def set_credential(
    connection: sa.Connection, aggregate_id: int, credential: str
) -> None:
    """Keep with which account the pool is entered from now on."""
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == aggregate_id)
        .values(credential=credential)
    )


def forget_pool_if_empty(connection: sa.Connection, aggregate_id: int) -> None:
    """Forget the pool of an aggregate that has nothing in it any more.

    No host is, was or may come to be in it: none is a member or leaving, and
    no operation is under way or unresolved. What was seen of it goes too:
    without hosts nobody looks at it again.
    """
    connection.execute(
        sa.update(_TABLE)
        .where(
            _TABLE.c.id == aggregate_id,
            ~sa.exists().where(
                _HOSTS.c.aggregate_id == _TABLE.c.id,
                _HOSTS.c.phase.in_(('member', 'leaving')),
            ),
            ~sa.exists().where(
                _OPERATIONS.c.aggregate_id == _TABLE.c.id,
                _OPERATIONS.c.state.in_(('running', 'unresolved')),
            ),
        )
        .values(
            pool_uuid=None,
            credential=None,
            master_uuid=None,
            observation=None,
            drift=None,
            stamp=stamps.new(),
        )
    )


def forget_look(connection: sa.Connection, aggregate_id: int) -> None:
    """Let a pool be looked at again now."""
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == aggregate_id)
        .values(observed_at=None)
    )


def set_observation(
    connection: sa.Connection,
    aggregate_id: int,
    observation: dict[str, Any] | None,
    drift: Sequence[records.Drift],
    at: float | None = None,
) -> None:
    """Keep what was seen of the pool, by the database's clock.

    :param at: when that was, if not now.
    """
    values = _seen(connection, aggregate_id, drift)
    if at is not None:
        values['observed_at'] = at
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == aggregate_id)
        .values(observation=fitting.fit_json(observation), **values)
    )


def set_seen(
    connection: sa.Connection, aggregate_id: int, observation: dict[str, Any]
) -> None:
    """Keep what was seen of the pool beside a look, which still comes."""
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == aggregate_id)
        .values(observation=fitting.fit_json(observation))
    )


def set_drift(
    connection: sa.Connection,
    aggregate_id: int,
    drift: Sequence[records.Drift],
) -> None:
    """Keep where a pool differs, and that it was looked at now."""
    connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.id == aggregate_id)
        .values(**_seen(connection, aggregate_id, drift))
    )


def _seen(
    connection: sa.Connection,
    aggregate_id: int,
    drift: Sequence[records.Drift],
) -> dict[str, Any]:
    """The columns of a look; the state shows whether there is a drift."""
    entries = [dataclasses.asdict(entry) for entry in drift]
    values = {
        'drift': fitting.fit_json(entries),
        'observed_at': engine.now(),
    }
    before = connection.scalar(
        sa.select(_TABLE.c.drift).where(_TABLE.c.id == aggregate_id)
    )
    if bool(before) != bool(entries):
        values['stamp'] = stamps.renewed_by_itself(connection, aggregate_id)
    _tell(connection, aggregate_id, before or (), values['drift'])
    return values


def _tell(
    connection: sa.Connection,
    aggregate_id: int,
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
) -> None:
    """Let it be told which differences have begun and which have ended."""

    def key(entry: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(entry.get(name) for name in ('code', 'host', 'uuid'))

    known, now = set(map(key, before)), set(map(key, after))
    if known != now:
        notes.drift(
            connection,
            aggregate_id,
            begun=[dict(entry) for entry in after if key(entry) not in known],
            ended=[dict(entry) for entry in before if key(entry) not in now],
        )
