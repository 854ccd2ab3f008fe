"""Whether a host is to take machines, and since which start it does not.

NULL is as before: it is to take them, as far as this service is concerned.
"""

import sqlalchemy as sa

from aggregates_ext.db.schema import steps

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    steps.add_column('hosts', sa.Column('service', sa.String(16)))
    steps.add_column('hosts', sa.Column('disabled_reason', sa.String(255)))
    steps.add_column('hosts', sa.Column('disabled_start', sa.Double))
