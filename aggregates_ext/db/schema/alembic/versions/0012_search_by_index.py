"""What is due is found by an index, however large the fleet is."""

from aggregates_ext.db.schema import steps

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, table, *columns in (
        ('ix_aggregates_observed_at', 'aggregates', 'deleted', 'observed_at'),
        ('ix_aggregates_pool_uuid', 'aggregates', 'pool_uuid'),
        ('ix_hosts_phase', 'hosts', 'phase', 'looked_at'),
    ):
        steps.create_index(name, table, columns)
