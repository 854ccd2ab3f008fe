"""Hosts are found by the UUIDs that other compute APIs call them by."""

import uuid

import sqlalchemy as sa
from alembic import op

from aggregates_ext.db.schema import steps

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None

KINDS = ('hypervisor', 'service')
NAMESPACE = uuid.UUID('6d1f3c52-8a0e-4f0b-9d55-0f6b8f3a1c77')


def upgrade() -> None:
    columns = [sa.column(f'{kind}_uuid') for kind in KINDS]
    hosts = sa.table(
        'hosts',
        sa.column('id'),
        sa.column('name'),
        sa.column('created_at', sa.DateTime),
        *columns,
    )
    for column in columns:
        steps.add_column('hosts', sa.Column(column.name, sa.String(36)))
        steps.create_index(f'ix_hosts_{column.name}', 'hosts', [column.name])
    connection = op.get_bind()
    told = sa.select(hosts.c.id, hosts.c.name, hosts.c.created_at)
    made = []
    for key, name, created_at in connection.execute(told).all():
        texts = [f'{k} {key} {name} {created_at.isoformat()}' for k in KINDS]
        made.append(
            {
                'key': key,
                **{
                    column.name: str(uuid.uuid5(NAMESPACE, text))
                    for column, text in zip(columns, texts, strict=True)
                },
            }
        )
    if made:
        named = hosts.c.id == sa.bindparam('key')
        connection.execute(sa.update(hosts).where(named), made)
