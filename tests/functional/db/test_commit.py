"""A COMMIT without an answer: what is told is true, and nothing is repeated.

Every kind of request is cut from its database in its COMMIT, at both sides
of the moment that counts.
"""

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from oslo_config import cfg
from oslo_utils import uuidutils

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext.db import hosts
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models
from aggregates_ext.domain import aggregates
from aggregates_ext.domain import intent
from aggregates_ext.domain import operations
from aggregates_ext.domain import pools
from aggregates_ext.domain.membership import declared
from aggregates_ext.domain.membership import members
from tests import wire
from tests.functional import service


class Api:
    """What requests reach, on a database that can be cut off."""

    def __init__(
        self, database: engine.Database, ctx: context.RequestContext
    ) -> None:
        self.database = database
        self.ctx = ctx
        intended = intent.Intent(database, service.Silence(), 0)
        self.aggregates = aggregates.Aggregates(intended)
        self.members = members.Members(intended)
        self.membership = declared.Membership(intended)
        self.pools = pools.Pools(intended)
        self.operations = operations.Operations(database)
        self.mark = uuidutils.generate_uuid(dashed=False)
        self.key = self.aggregates.create(f'pool{self.mark}', 'az1').id
        self.empty = self.aggregates.create(f'empty{self.mark}', None).id
        self.joining, self.free = f'joining{self.mark}', f'free{self.mark}'
        for name in (self.joining, self.free):
            url = f'https://{name}'
            values = {'name': name, 'url': url, 'credential': 'default'}
            database.write(lambda c, v=values: hosts.insert(c, v))
        database.write(lambda c: db_pools.set_pool(c, self.key, 'p', 'c', 'm'))
        self.join = self.members.add_host(ctx, self.key, self.joining)

    def told(self) -> int:
        """How many messages there are."""
        with self.database.reader() as connection:
            return int(
                connection.scalar(
                    sa.select(sa.func.count()).select_from(
                        models.notifications
                    )
                )
                or 0
            )

    def dump(self) -> list[Any]:
        """Every row there is."""
        with self.database.reader() as connection:
            return [
                connection.execute(sa.select(table)).all()
                for table in models.METADATA.sorted_tables
            ]


CHANGES: dict[str, Callable[[Api], Any]] = {
    'create': lambda api: api.aggregates.create(f'new{api.mark}', None),
    'rename': lambda api: api.aggregates.update(
        api.ctx, api.key, {'name': f'other{api.mark}'}
    ),
    'rezone': lambda api: api.aggregates.update(
        api.ctx, api.key, {'availability_zone': 'az2'}
    ),
    'set_metadata': lambda api: api.aggregates.set_metadata(
        api.key, {'a': 'b', 'gone': None}
    ),
    'add_host': lambda api: api.members.add_host(api.ctx, api.key, api.free),
    'remove_host': lambda api: api.members.remove_host(
        api.ctx, api.key, api.joining
    ),
    'set_hosts': lambda api: api.membership.set_hosts(
        api.ctx, api.key, [api.free]
    ),
    'cancel': lambda api: api.operations.cancel(
        api.ctx, api.key, str(api.join.operation)
    ),
    'reset': lambda api: api.operations.reset(
        api.ctx, api.key, api.free, 'free'
    ),
    'reapply': lambda api: api.pools.reapply(api.ctx, api.key),
    'adopt_pool': lambda api: api.pools.adopt_pool(
        api.ctx, f'adopted{api.mark}', api.free
    ),
    'delete': lambda api: api.aggregates.delete(api.ctx, api.empty),
}


# Those of which nothing is told: no host comes or goes, nor does a pool.
SILENT = {'reset', 'reapply'}


@pytest.fixture(scope='module')
def wired_conf(wired_conf: cfg.ConfigOpts) -> cfg.ConfigOpts:
    """What is to be told is written with it, or neither is."""
    wired_conf.set_override('enabled', True, 'notifications')
    return wired_conf


@pytest.fixture
def api(
    wired: engine.Database, ctx: context.RequestContext, cut_wire: wire.Wire
) -> Iterator[Api]:
    yield Api(wired, ctx)
    cut_wire.mend()


@pytest.fixture
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look once or twice for what will not come."""
    monkeypatch.setattr(engine, 'LOOK_FOR', 0.1)


@pytest.mark.parametrize('what', CHANGES)
@pytest.mark.parametrize('lose', ['answer', 'both'])
def test_lost_answer_is_a_success_as_if_nothing_had_happened(
    api: Api, cut_wire: wire.Wire, what: str, lose: str
) -> None:
    """Also where the database has not yet done it at the first look."""
    before, told = api.dump(), api.told()
    cut_wire.plan(lose)
    CHANGES[what](api)
    assert cut_wire.was_cut
    assert api.dump() != before
    assert (api.told() > told) is (what not in SILENT)


@pytest.mark.parametrize('what', CHANGES)
def test_lost_commit_is_told_and_can_be_repeated(
    api: Api, cut_wire: wire.Wire, what: str, impatience: None
) -> None:
    before = api.dump()
    cut_wire.plan('commit')
    with pytest.raises(exception.Unavailable, match='is not there'):
        CHANGES[what](api)
    assert cut_wire.was_cut
    assert api.dump() == before
    CHANGES[what](api)
    assert api.dump() != before


@pytest.mark.parametrize('lose', ['answer', 'commit'])
def test_database_that_stays_away_leaves_the_outcome_unknown(
    api: Api, cut_wire: wire.Wire, lose: str, impatience: None
) -> None:
    before = api.dump()
    cut_wire.plan(lose, stay_down=True)
    with pytest.raises(exception.Unavailable, match='is not known'):
        CHANGES['create'](api)
    cut_wire.mend()
    assert (api.dump() == before) is (lose == 'commit')


def test_transaction_without_a_look_is_unknown_and_not_repeated(
    api: Api, cut_wire: wire.Wire
) -> None:
    runs = []

    def work(connection: Any) -> None:
        runs.append(connection)
        values = {'name': api.mark, 'url': 'https://x', 'credential': 'x'}
        hosts.insert(connection, values)

    cut_wire.plan('answer')
    with pytest.raises(exception.Unavailable, match='is not known'):
        api.database.write(work)
    assert len(runs) == 1
    with api.database.reader() as connection:
        assert hosts.get(connection, api.mark)


def test_connection_lost_before_the_commit_is_told_so(
    api: Api, cut_wire: wire.Wire
) -> None:
    def work(connection: Any) -> None:
        values = {'name': api.mark, 'url': 'https://x', 'credential': 'x'}
        hosts.insert(connection, values)
        cut_wire.cut_all()
        hosts.get(connection, api.mark)

    with pytest.raises(exception.Unavailable, match='nothing is written'):
        api.database.write(work)
    cut_wire.mend()
    with (
        api.database.reader() as connection,
        pytest.raises(exception.HostNotFound),
    ):
        hosts.get(connection, api.mark)
