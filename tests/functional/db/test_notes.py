"""Whatever changes what is told of an aggregate leaves a note.

Of all functions that write, which ``test_stamps`` finds by itself.
"""

from typing import Any

import pytest

from aggregates_ext import exception
from aggregates_ext.db import aggregates
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.db.outbox import notes
from tests.functional.db import test_stamps
from tests.functional.db.test_stamps import filled  # noqa: F401 (a fixture)

pytestmark = pytest.mark.every_database
KEYS = (1, 2, 3)


def told(connection: Any, key: int) -> tuple[Any, ...] | None:
    """What messages say of an aggregate; None: there is none."""
    try:
        found: records.Aggregate = aggregates.get(connection, key)
    except exception.AggregateNotFound:
        return None
    return (
        found.name,
        found.hosts,
        found.availability_zone,
        tuple(sorted(found.metadata.items())),
    )


@pytest.mark.parametrize('name', test_stamps.CASES)
def test_what_is_told_changes_with_a_note(
    filled: engine.Database,  # noqa: F811
    name: str,
) -> None:
    for case in test_stamps.CASES[name]:
        with test_stamps.trying(filled) as connection:
            case.before(connection)
            last: engine.Last = {}
            connection.info[engine.LAST] = last
            before = {key: told(connection, key) for key in KEYS}
            case.act(connection)
            after = {key: told(connection, key) for key in KEYS}
            found = last.get(notes.KEY, notes.Notes())
            assert isinstance(found, notes.Notes)
            noted = {note.subject for note in found}
            changed = {key for key in KEYS if before[key] != after[key]}
            assert changed <= noted, case
