"""The master that a pool is to have: another one there is drift.

Empty for the pools of before, until the next observation sees who it is.
"""

import sqlalchemy as sa

from aggregates_ext.db.schema import steps

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    steps.add_column('aggregates', sa.Column('master_uuid', sa.String(36)))
