"""By which request a host is in maintenance, and what it was before."""

import sqlalchemy as sa

from aggregates_ext.db.schema import steps

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    steps.add_column('hosts', sa.Column('maintenance_of', sa.JSON))
