"""Hosts, aggregates, operations."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from aggregates_ext.db.schema import steps

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None

TABLE = {
    'mysql_charset': 'utf8mb4',
    'mysql_engine': 'InnoDB',
    'sqlite_autoincrement': True,
}


def exact(name: str, *args: sa.ForeignKey, **kwargs: bool) -> sa.Column:
    exact_text = sa.String(255).with_variant(
        mysql.VARCHAR(255, charset='utf8mb4', collation='utf8mb4_bin'),
        'mysql',
        'mariadb',
    )
    return sa.Column(name, exact_text, *args, **kwargs)


def moment(name: str, **kwargs: bool) -> sa.Column:
    to_the_microsecond = sa.DateTime().with_variant(
        mysql.DATETIME(fsp=6), 'mysql', 'mariadb'
    )
    return sa.Column(name, to_the_microsecond, **kwargs)


def upgrade() -> None:
    steps.create_table(
        'aggregates',
        sa.Column('id', sa.Integer, nullable=False),
        sa.Column('uuid', sa.String(36), nullable=False),
        exact('name', nullable=False),
        exact('availability_zone'),
        sa.Column('metadata', sa.JSON, nullable=False),
        moment('created_at', nullable=False),
        moment('updated_at'),
        moment('deleted_at'),
        sa.Column('deleted', sa.Integer, nullable=False),
        sa.Column('pool_uuid', sa.String(36)),
        sa.Column('credential', sa.String(255)),
        sa.Column('observation', sa.JSON),
        sa.Column('drift', sa.JSON),
        sa.Column('observed_at', sa.Double),
        sa.Column('lease_owner', sa.String(64)),
        sa.Column('lease_epoch', sa.Integer, nullable=False),
        sa.Column('lease_until', sa.Double),
        sa.Column('lease_writes', sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_aggregates'),
        sa.UniqueConstraint('uuid', name='uq_aggregates_uuid'),
        sa.UniqueConstraint('name', 'deleted', name='uq_aggregates_name'),
        **TABLE,
    )
    steps.create_table(
        'hosts',
        sa.Column('id', sa.Integer, nullable=False),
        exact('name', nullable=False),
        sa.Column('uuid', sa.String(36)),
        sa.Column('url', sa.String(255), nullable=False),
        sa.Column('address', sa.String(255)),
        sa.Column('fingerprint', sa.String(95)),
        exact('availability_zone'),
        sa.Column('credential', sa.String(255), nullable=False),
        sa.Column('aggregate_id', sa.Integer),
        sa.Column('phase', sa.String(16), nullable=False),
        sa.Column('phase_since', sa.Double),
        sa.Column('alarm', sa.Text),
        sa.Column('shown', sa.JSON),
        sa.Column('consent', sa.JSON),
        moment('created_at', nullable=False),
        sa.PrimaryKeyConstraint('id', name='pk_hosts'),
        sa.UniqueConstraint('name', name='uq_hosts_name'),
        sa.UniqueConstraint('uuid', name='uq_hosts_uuid'),
        sa.ForeignKeyConstraint(
            ['aggregate_id'], ['aggregates.id'], name='fk_hosts_aggregate_id'
        ),
        **TABLE,
    )
    steps.create_index('ix_hosts_aggregate_id', 'hosts', ['aggregate_id'])
    steps.create_table(
        'operations',
        sa.Column('id', sa.Integer, nullable=False),
        sa.Column('uuid', sa.String(36), nullable=False),
        sa.Column('kind', sa.String(32), nullable=False),
        sa.Column('aggregate_id', sa.Integer, nullable=False),
        exact('host'),
        sa.Column('state', sa.String(16), nullable=False),
        sa.Column('settled', sa.Boolean, nullable=False),
        sa.Column('step', sa.String(255)),
        sa.Column('progress', sa.Integer, nullable=False),
        sa.Column('attempts', sa.Integer, nullable=False),
        sa.Column('not_before', sa.Double),
        sa.Column('begun', sa.Double),
        sa.Column('parameters', sa.JSON, nullable=False),
        sa.Column('call', sa.JSON),
        sa.Column('error', sa.JSON),
        sa.Column('request_id', sa.String(255)),
        sa.Column('user_id', sa.String(255)),
        sa.Column('project_id', sa.String(255)),
        moment('created_at', nullable=False),
        moment('started_at'),
        moment('finished_at'),
        sa.PrimaryKeyConstraint('id', name='pk_operations'),
        sa.UniqueConstraint('uuid', name='uq_operations_uuid'),
        sa.ForeignKeyConstraint(
            ['aggregate_id'],
            ['aggregates.id'],
            name='fk_operations_aggregate_id',
        ),
        **TABLE,
    )
    steps.create_index(
        'ix_operations_aggregate_settled',
        'operations',
        ['aggregate_id', 'settled'],
    )
    steps.create_index('ix_operations_state', 'operations', ['state'])
