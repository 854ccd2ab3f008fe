"""What is still to be told on the bus."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from aggregates_ext.db.schema import steps

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    exact_text = sa.String(255).with_variant(
        mysql.VARCHAR(255, charset='utf8mb4', collation='utf8mb4_bin'),
        'mysql',
        'mariadb',
    )
    moment = sa.DateTime().with_variant(
        mysql.DATETIME(fsp=6), 'mysql', 'mariadb'
    )
    json = sa.JSON(none_as_null=True)
    steps.create_table(
        'notifications',
        sa.Column('id', sa.Integer, nullable=False),
        sa.Column('uuid', sa.String(36), nullable=False),
        sa.Column('object', sa.String(16), nullable=False),
        sa.Column('action', sa.String(32), nullable=False),
        sa.Column('phase', sa.String(16)),
        sa.Column('machine', exact_text, nullable=False),
        sa.Column('created_at', moment, nullable=False),
        sa.Column('aggregate_id', sa.Integer),
        sa.Column('aggregate_uuid', sa.String(36)),
        sa.Column('name', exact_text),
        sa.Column('availability_zone', exact_text),
        sa.Column('metadata', json),
        sa.Column('hosts', sa.Text),
        sa.Column('host', exact_text),
        sa.Column('host_id', sa.Integer),
        sa.Column('registered_at', moment),
        sa.Column('service', sa.String(16)),
        sa.Column('disabled_reason', sa.String(255)),
        sa.Column('seen_at', sa.Double),
        sa.Column('details', json),
        sa.Column('context', json),
        sa.Column('claimed_by', sa.String(64)),
        sa.Column('claimed_until', sa.Double),
        sa.PrimaryKeyConstraint('id', name='pk_notifications'),
        sa.UniqueConstraint('uuid', name='uq_notifications_uuid'),
        mysql_charset='utf8mb4',
        mysql_engine='InnoDB',
        sqlite_autoincrement=True,
    )
