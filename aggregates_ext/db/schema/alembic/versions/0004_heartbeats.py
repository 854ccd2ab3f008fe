"""Who works, and when free hosts were seen.

Compute services write a heartbeat; hosts that no pool shows have a time of
their own.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from aggregates_ext.db.schema import steps

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    exact_text = sa.String(255).with_variant(
        mysql.VARCHAR(255, charset='utf8mb4', collation='utf8mb4_bin'),
        'mysql',
        'mariadb',
    )
    steps.create_table(
        'services',
        sa.Column('id', sa.Integer, nullable=False),
        sa.Column('uuid', sa.String(36), nullable=False),
        sa.Column('host', exact_text, nullable=False),
        sa.Column('started_at', sa.Double, nullable=False),
        sa.Column('seen_at', sa.Double, nullable=False),
        sa.Column('alive_until', sa.Double, nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_services'),
        sa.UniqueConstraint('uuid', name='uq_services_uuid'),
        mysql_charset='utf8mb4',
        mysql_engine='InnoDB',
        sqlite_autoincrement=True,
    )
    steps.create_index('ix_services_alive_until', 'services', ['alive_until'])
    steps.add_column('hosts', sa.Column('looked_at', sa.Double))
    steps.add_column('hosts', sa.Column('seen_at', sa.Double))
