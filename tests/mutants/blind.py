"""A test that looks at nothing: what it reaches survives.

``tests/mutants/test_mutants.py`` names it; nothing else finds it.
"""

from aggregates_ext.db import aggregates
from aggregates_ext.db import leases
from aggregates_ext.db.engine import engine


def test_nothing(database: engine.Database) -> None:
    with database.writer() as connection:
        key = aggregates.insert(connection, 'uuid', 'a', None).id
        lease = leases.claim(connection, key, 'one', 30)
        assert lease is not None
        leases.fence(connection, lease)
