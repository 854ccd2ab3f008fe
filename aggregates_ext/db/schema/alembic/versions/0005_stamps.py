"""Stamps of aggregates.

Whether anything shown of an aggregate has changed is told by a number in
its row, and for all of them by an index alone.
"""

import secrets

import sqlalchemy as sa
from alembic import op

from aggregates_ext.db.schema import steps

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    steps.add_column(
        'aggregates',
        sa.Column('stamp', sa.BigInteger, nullable=False, server_default='0'),
    )
    aggregates = sa.table(
        'aggregates', sa.column('id'), sa.column('stamp', sa.BigInteger)
    )
    connection = op.get_bind()
    for (key,) in connection.execute(sa.select(aggregates.c.id)).all():
        connection.execute(
            sa.update(aggregates)
            .where(aggregates.c.id == key)
            .values(stamp=secrets.randbits(43))
        )
    steps.create_index(
        'ix_aggregates_deleted_stamp', 'aggregates', ['deleted', 'stamp']
    )
