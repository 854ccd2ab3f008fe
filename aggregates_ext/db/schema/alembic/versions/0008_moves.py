"""Guests on their way to another host of their pool."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from aggregates_ext.db.schema import steps

revision = '0008'
down_revision = '0007'
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
    steps.create_table(
        'moves',
        sa.Column('id', sa.Integer, nullable=False),
        sa.Column('uuid', sa.String(36), nullable=False),
        sa.Column('aggregate_id', sa.Integer, nullable=False),
        sa.Column('operation_id', sa.Integer),
        sa.Column('guest_uuid', sa.String(36), nullable=False),
        sa.Column('guest_name', exact_text, nullable=False),
        sa.Column('source', exact_text, nullable=False),
        sa.Column('wanted', exact_text),
        sa.Column('target', exact_text),
        sa.Column('state', sa.String(16), nullable=False),
        sa.Column('ended', sa.Integer, nullable=False),
        sa.Column('cancelled', sa.Boolean, nullable=False),
        sa.Column('progress', sa.Integer, nullable=False),
        sa.Column('attempts', sa.Integer, nullable=False),
        sa.Column('not_before', sa.Double),
        sa.Column('tried', sa.JSON, nullable=False),
        sa.Column('call', sa.JSON(none_as_null=True)),
        sa.Column('error', sa.JSON(none_as_null=True)),
        sa.Column('request_id', sa.String(255)),
        sa.Column('user_id', sa.String(255)),
        sa.Column('project_id', sa.String(255)),
        sa.Column('created_at', moment, nullable=False),
        sa.Column('updated_at', moment, nullable=False),
        sa.Column('finished_at', moment),
        sa.PrimaryKeyConstraint('id', name='pk_moves'),
        sa.UniqueConstraint('uuid', name='uq_moves_uuid'),
        sa.UniqueConstraint(
            'aggregate_id', 'guest_uuid', 'ended', name='uq_moves_guest'
        ),
        mysql_charset='utf8mb4',
        mysql_engine='InnoDB',
        sqlite_autoincrement=True,
    )
    for name, columns in (
        ('ix_moves_ended', ['ended', 'aggregate_id']),
        ('ix_moves_operation', ['operation_id', 'id']),
        ('ix_moves_guest', ['guest_uuid', 'id']),
        ('ix_moves_source', ['source', 'id']),
        ('ix_moves_target', ['target', 'id']),
        ('ix_moves_state', ['state', 'id']),
        ('ix_moves_user', ['user_id', 'id']),
        ('ix_moves_project', ['project_id', 'id']),
        ('ix_moves_updated_at', ['updated_at', 'id']),
    ):
        steps.create_index(name, 'moves', columns)
