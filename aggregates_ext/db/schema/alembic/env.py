"""What alembic runs to upgrade; the connection comes from migration.py."""

from alembic import context

from aggregates_ext.db.schema import migration
from aggregates_ext.db.schema import models

context.configure(
    connection=context.config.attributes['connection'],
    target_metadata=models.METADATA,
    version_table=migration.VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
