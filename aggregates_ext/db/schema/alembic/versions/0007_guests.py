"""What was seen of the guests of pools."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from aggregates_ext.db.schema import steps

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    exact_text = sa.String(255).with_variant(
        mysql.VARCHAR(255, charset='utf8mb4', collation='utf8mb4_bin'),
        'mysql',
        'mariadb',
    )
    steps.create_table(
        'guests',
        sa.Column('id', sa.Integer, nullable=False),
        sa.Column('aggregate_id', sa.Integer, nullable=False),
        sa.Column('ref', exact_text, nullable=False),
        sa.Column('uuid', sa.String(36), nullable=False),
        sa.Column('name', exact_text, nullable=False),
        sa.Column('host_uuid', sa.String(36)),
        sa.Column('power_state', sa.String(16), nullable=False),
        sa.Column('memory', sa.BigInteger, nullable=False),
        sa.Column('vcpus', sa.Integer, nullable=False),
        sa.Column('operation', sa.String(64)),
        sa.Column('first_seen', sa.Double, nullable=False),
        sa.Column('changed_at', sa.Double, nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_guests'),
        sa.UniqueConstraint('aggregate_id', 'ref', name='uq_guests_ref'),
        mysql_charset='utf8mb4',
        mysql_engine='InnoDB',
        sqlite_autoincrement=True,
    )
    for name, columns in (
        ('ix_guests_uuid', ['uuid']),
        ('ix_guests_host', ['host_uuid', 'first_seen', 'id']),
        ('ix_guests_aggregate', ['aggregate_id', 'host_uuid', 'vcpus']),
        ('ix_guests_first_seen', ['first_seen', 'id']),
        ('ix_guests_changed_at', ['changed_at', 'id']),
        ('ix_guests_name', ['name', 'id']),
        ('ix_guests_power_state', ['power_state', 'first_seen', 'id']),
        ('ix_guests_operation', ['operation', 'first_seen', 'id']),
    ):
        steps.create_index(name, 'guests', columns)
