"""Indexes of operations, so that no question reads the whole history.

When an operation sent a change of master gets a column of its own, filled
from the parameters of those that did.
"""

import sqlalchemy as sa
from alembic import op

from aggregates_ext.db.schema import steps

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

INDEXES = {
    'ix_operations_settled': ['settled', 'aggregate_id', 'state'],
    'ix_operations_host_settled': ['host', 'settled'],
    'ix_operations_aggregate': ['aggregate_id', 'id'],
    'ix_operations_aggregate_state': ['aggregate_id', 'state', 'id'],
    'ix_operations_host': ['host', 'id'],
    'ix_operations_state_id': ['state', 'id'],
    'ix_operations_designated': ['aggregate_id', 'designated'],
}


def upgrade() -> None:
    steps.add_column('operations', sa.Column('designated', sa.Double))
    fill()
    for name, columns in INDEXES.items():
        steps.create_index(name, 'operations', columns)
    # After the others: MySQL wants one for the foreign key at all times.
    steps.drop_index('ix_operations_aggregate_settled', 'operations')
    steps.drop_index('ix_operations_state', 'operations')


def fill() -> None:
    rows = sa.table(
        'operations',
        sa.column('id', sa.Integer),
        sa.column('parameters', sa.JSON),
        sa.column('designated', sa.Double),
    )
    text = sa.cast(rows.c.parameters, sa.String)
    connection = op.get_bind()
    for key, parameters in connection.execute(
        sa.select(rows.c.id, rows.c.parameters).where(
            text.like('%designated%')
        )
    ).all():
        sent = parameters.get('designated') or {}
        connection.execute(
            sa.update(rows)
            .where(rows.c.id == key)
            .values(designated=sent.get('at'))
        )
