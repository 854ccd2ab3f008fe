"""aggregates-ext-manage db: the schema of the database."""

from typing import Any

from aggregates_ext.cmd.commands import group
from aggregates_ext.db.schema import migration


def register(subparsers: Any) -> None:
    """Add the group to the command line."""
    actions = group.add_group(subparsers, 'db', 'the schema of the database')
    group.add_command(actions, 'sync', 'create or upgrade it', sync)
    group.add_command(actions, 'version', 'print its version', version)
    group.add_command(actions, 'check', 'is it the newest?', check)


def sync(tools: group.Tools) -> int:
    """Bring the schema to the newest revision, and print that."""
    migration.upgrade(tools.database)
    print(migration.version(tools.database))
    return 0


def version(tools: group.Tools) -> int:
    """Print the revision of the schema."""
    print(migration.version(tools.database) or 'empty')
    return 0


def check(tools: group.Tools) -> int:
    """Tell whether the schema is the newest; 1 when it is not."""
    fault = migration.find_fault(tools.database)
    print(fault or f'The schema is {migration.newest()}, the newest.')
    return 1 if fault else 0
