"""Whether the guests of a host are to be elsewhere."""

import sqlalchemy as sa

from aggregates_ext.db.schema import steps

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    steps.add_column('hosts', sa.Column('maintenance', sa.String(16)))
