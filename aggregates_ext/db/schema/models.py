"""The tables: what is wanted, what is done (design#operations), what is seen."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

METADATA = sa.MetaData(
    naming_convention={
        'ix': 'ix_%(column_0_label)s',
        'uq': 'uq_%(table_name)s_%(column_0_name)s',
        'fk': 'fk_%(table_name)s_%(column_0_name)s',
        'pk': 'pk_%(table_name)s',
    }
)


# None is SQL's NULL here, not the JSON null.
NULLABLE_JSON = sa.JSON(none_as_null=True)


def exact_text(length: int) -> sa.types.TypeEngine[str]:
    """Text compared letter by letter on every database (design#exact-text)."""
    return sa.String(length).with_variant(
        mysql.VARCHAR(length, charset='utf8mb4', collation='utf8mb4_bin'),
        'mysql',
        'mariadb',
    )


def moment() -> sa.types.TypeEngine:  # type: ignore[type-arg]
    """A point in time in UTC, to the microsecond."""
    return sa.DateTime().with_variant(
        mysql.DATETIME(fsp=6), 'mysql', 'mariadb'
    )


aggregates = sa.Table(
    'aggregates',
    METADATA,
    sa.Column('id', sa.Integer, primary_key=True),
    sa.Column('uuid', sa.String(36), nullable=False, unique=True),
    sa.Column('name', exact_text(255), nullable=False),
    sa.Column('availability_zone', exact_text(255)),
    sa.Column('metadata', sa.JSON, nullable=False),
    sa.Column('created_at', moment(), nullable=False),
    sa.Column('updated_at', moment()),
    sa.Column('deleted_at', moment()),
    # 0 while it lives, its id from then on: names are free again.
    sa.Column('deleted', sa.Integer, nullable=False, default=0),
    # The pool: pinned by its uuid, entered with a named credential.
    sa.Column('pool_uuid', sa.String(36)),
    sa.Column('credential', sa.String(255)),
    # The XenServer uuid of the host that is to be its master.
    sa.Column('master_uuid', sa.String(36)),
    # What was seen of the pool, and where it differs from the intent.
    sa.Column('observation', NULLABLE_JSON),
    sa.Column('drift', NULLABLE_JSON),
    sa.Column('observed_at', sa.Double),
    # The lease, by the clock of the database, in seconds of the epoch.
    sa.Column('lease_owner', sa.String(64)),
    sa.Column('lease_epoch', sa.Integer, nullable=False, default=0),
    sa.Column('lease_until', sa.Double),
    # Moved by every write under a lease, so that it conflicts with a claim.
    sa.Column('lease_writes', sa.Integer, nullable=False, default=0),
    # Another number after each change of what is shown of it.
    sa.Column('stamp', sa.BigInteger, nullable=False, server_default='0'),
    sa.Index('ix_aggregates_deleted_stamp', 'deleted', 'stamp'),
    # Which are to be looked at again; which have no pool.
    sa.Index('ix_aggregates_observed_at', 'deleted', 'observed_at'),
    sa.Index('ix_aggregates_pool_uuid', 'pool_uuid'),
    sa.UniqueConstraint('name', 'deleted', name='uq_aggregates_name'),
    sqlite_autoincrement=True,
    mysql_charset='utf8mb4',
    mysql_engine='InnoDB',
)

hosts = sa.Table(
    'hosts',
    METADATA,
    sa.Column('id', sa.Integer, primary_key=True),
    sa.Column('name', exact_text(255), nullable=False, unique=True),
    sa.Column('uuid', sa.String(36), unique=True),
    sa.Column('url', sa.String(255), nullable=False),
    # The address that the host has inside its pool, once seen.
    sa.Column('address', sa.String(255)),
    sa.Column('fingerprint', sa.String(95)),
    sa.Column('availability_zone', exact_text(255)),
    sa.Column('credential', sa.String(255), nullable=False),
    sa.Column(
        'aggregate_id',
        sa.Integer,
        sa.ForeignKey('aggregates.id'),
        index=True,
    ),
    sa.Column('phase', sa.String(16), nullable=False),
    sa.Column('phase_since', sa.Double),
    sa.Column('alarm', sa.Text),
    # Whether it is to take machines: 'disabled', or not; and why not.
    sa.Column('service', sa.String(16)),
    sa.Column('disabled_reason', sa.String(255)),
    # When its xapi had started that was disabled so; NULL: none was.
    sa.Column('disabled_start', sa.Double),
    # Whether its guests are to be elsewhere; NULL: they are not.
    sa.Column('maintenance', sa.String(16)),
    # By which request, and what it was before, see ``records.Host``.
    sa.Column('maintenance_of', NULLABLE_JSON),
    # Of a free host: when it was last asked, and when it last answered.
    sa.Column('looked_at', sa.Double),
    sa.Column('seen_at', sa.Double),
    # The disks in its own storage as last told to whoever asked, by SR.
    sa.Column('shown', NULLABLE_JSON),
    # A standing consent to the loss of disks: SRs, who, until when.
    sa.Column('consent', NULLABLE_JSON),
    sa.Column('created_at', moment(), nullable=False),
    # Made of the registration, see ``db/inventory.py``; NULL: by a release
    # that did not write them.
    sa.Column('hypervisor_uuid', sa.String(36), index=True),
    sa.Column('service_uuid', sa.String(36), index=True),
    # Which are on their way back; which free ones are to be asked again.
    sa.Index('ix_hosts_phase', 'phase', 'looked_at'),
    sqlite_autoincrement=True,
    mysql_charset='utf8mb4',
    mysql_engine='InnoDB',
)

operations = sa.Table(
    'operations',
    METADATA,
    sa.Column('id', sa.Integer, primary_key=True),
    sa.Column('uuid', sa.String(36), nullable=False, unique=True),
    sa.Column('kind', sa.String(32), nullable=False),
    sa.Column(
        'aggregate_id',
        sa.Integer,
        sa.ForeignKey('aggregates.id'),
        nullable=False,
    ),
    sa.Column('host', exact_text(255)),
    sa.Column('state', sa.String(16), nullable=False),
    # Whether it has stopped to count for the aggregate's state.
    sa.Column('settled', sa.Boolean, nullable=False, default=False),
    sa.Column('step', sa.String(255)),
    sa.Column('progress', sa.Integer, nullable=False, default=0),
    sa.Column('attempts', sa.Integer, nullable=False, default=0),
    sa.Column('not_before', sa.Double),
    sa.Column('begun', sa.Double),
    # What was asked beyond the host, and what was found out on the way.
    sa.Column('parameters', sa.JSON, nullable=False),
    # When it sent a change of master, as its parameters have it.
    sa.Column('designated', sa.Double),
    # The call that may be under way: call, target, session, time.
    sa.Column('call', NULLABLE_JSON),
    sa.Column('error', NULLABLE_JSON),
    sa.Column('request_id', sa.String(255)),
    sa.Column('user_id', sa.String(255)),
    sa.Column('project_id', sa.String(255)),
    sa.Column('created_at', moment(), nullable=False),
    sa.Column('started_at', moment()),
    sa.Column('finished_at', moment()),
    # What counts for the state of aggregates; ended ones are left aside.
    sa.Index('ix_operations_settled', 'settled', 'aggregate_id', 'state'),
    sa.Index('ix_operations_host_settled', 'host', 'settled'),
    # History, the newest first: of an aggregate, of a host, of all.
    sa.Index('ix_operations_aggregate', 'aggregate_id', 'id'),
    sa.Index('ix_operations_aggregate_state', 'aggregate_id', 'state', 'id'),
    sa.Index('ix_operations_host', 'host', 'id'),
    sa.Index('ix_operations_state_id', 'state', 'id'),
    sa.Index('ix_operations_designated', 'aggregate_id', 'designated'),
    sqlite_autoincrement=True,
    mysql_charset='utf8mb4',
    mysql_engine='InnoDB',
)

# A row for each compute service that works, or has died not long ago.
services = sa.Table(
    'services',
    METADATA,
    sa.Column('id', sa.Integer, primary_key=True),
    sa.Column('uuid', sa.String(36), nullable=False, unique=True),
    # The machine that it runs on.
    sa.Column('host', exact_text(255), nullable=False),
    # By the clock of the database, in seconds of the epoch.
    sa.Column('started_at', sa.Double, nullable=False),
    sa.Column('seen_at', sa.Double, nullable=False),
    sa.Column('alive_until', sa.Double, nullable=False, index=True),
    sqlite_autoincrement=True,
    mysql_charset='utf8mb4',
    mysql_engine='InnoDB',
)

# The guests of pools as they were seen last (design#guests). They go with
# what is known of the pool, so no key ties them to their aggregate.
guests = sa.Table(
    'guests',
    METADATA,
    sa.Column('id', sa.Integer, primary_key=True),
    sa.Column('aggregate_id', sa.Integer, nullable=False),
    # By which the pool tells what has changed; unique there.
    sa.Column('ref', exact_text(255), nullable=False),
    # Not unique: a pool may be a copy of another, or be lying.
    sa.Column('uuid', sa.String(36), nullable=False),
    sa.Column('name', exact_text(255), nullable=False),
    # The XenServer uuid of the host that it runs on; NULL: on none.
    sa.Column('host_uuid', sa.String(36)),
    sa.Column('power_state', sa.String(16), nullable=False),
    # In bytes.
    sa.Column('memory', sa.BigInteger, nullable=False),
    sa.Column('vcpus', sa.Integer, nullable=False),
    # What the pool does to it now.
    sa.Column('operation', sa.String(64)),
    # By the clock of the database, in seconds of the epoch.
    sa.Column('first_seen', sa.Double, nullable=False),
    sa.Column('changed_at', sa.Double, nullable=False),
    sa.UniqueConstraint('aggregate_id', 'ref', name='uq_guests_ref'),
    sa.Index('ix_guests_uuid', 'uuid'),
    sa.Index('ix_guests_host', 'host_uuid', 'first_seen', 'id'),
    sa.Index('ix_guests_aggregate', 'aggregate_id', 'host_uuid', 'vcpus'),
    # Pages: all of them, by each order that can be asked for.
    sa.Index('ix_guests_first_seen', 'first_seen', 'id'),
    sa.Index('ix_guests_changed_at', 'changed_at', 'id'),
    sa.Index('ix_guests_name', 'name', 'id'),
    sa.Index('ix_guests_power_state', 'power_state', 'first_seen', 'id'),
    sa.Index('ix_guests_operation', 'operation', 'first_seen', 'id'),
    sqlite_autoincrement=True,
    mysql_charset='utf8mb4',
    mysql_engine='InnoDB',
)

# Guests on their way to another host of their pool, and all that ever were
# (design#moves). Hosts stand by name, as they were called then.
moves = sa.Table(
    'moves',
    METADATA,
    sa.Column('id', sa.Integer, primary_key=True),
    sa.Column('uuid', sa.String(36), nullable=False, unique=True),
    sa.Column('aggregate_id', sa.Integer, nullable=False),
    # NULL: a client has asked for it by itself.
    sa.Column('operation_id', sa.Integer),
    sa.Column('guest_uuid', sa.String(36), nullable=False),
    sa.Column('guest_name', exact_text(255), nullable=False),
    sa.Column('source', exact_text(255), nullable=False),
    # The host that was asked for; NULL: any.
    sa.Column('wanted', exact_text(255)),
    # The host that it was sent to last.
    sa.Column('target', exact_text(255)),
    sa.Column('state', sa.String(16), nullable=False),
    # 0 while it is open, its id from then on: a guest has one at a time.
    sa.Column('ended', sa.Integer, nullable=False, default=0),
    sa.Column('cancelled', sa.Boolean, nullable=False, default=False),
    sa.Column('progress', sa.Integer, nullable=False, default=0),
    sa.Column('attempts', sa.Integer, nullable=False, default=0),
    sa.Column('not_before', sa.Double),
    # Why each host was not taken, by name.
    sa.Column('tried', sa.JSON, nullable=False),
    # The call that may be under way, and what was seen of it.
    sa.Column('call', NULLABLE_JSON),
    sa.Column('error', NULLABLE_JSON),
    sa.Column('request_id', sa.String(255)),
    sa.Column('user_id', sa.String(255)),
    sa.Column('project_id', sa.String(255)),
    sa.Column('created_at', moment(), nullable=False),
    sa.Column('updated_at', moment(), nullable=False),
    sa.Column('finished_at', moment()),
    sa.UniqueConstraint(
        'aggregate_id', 'guest_uuid', 'ended', name='uq_moves_guest'
    ),
    # What is open: of an aggregate, to be gone on with.
    sa.Index('ix_moves_ended', 'ended', 'aggregate_id'),
    sa.Index('ix_moves_operation', 'operation_id', 'id'),
    # History, the newest first.
    sa.Index('ix_moves_guest', 'guest_uuid', 'id'),
    sa.Index('ix_moves_source', 'source', 'id'),
    sa.Index('ix_moves_target', 'target', 'id'),
    sa.Index('ix_moves_state', 'state', 'id'),
    sa.Index('ix_moves_user', 'user_id', 'id'),
    sa.Index('ix_moves_project', 'project_id', 'id'),
    sa.Index('ix_moves_updated_at', 'updated_at', 'id'),
    sqlite_autoincrement=True,
    mysql_charset='utf8mb4',
    mysql_engine='InnoDB',
)

# What is still to be told on the bus (design#notifications): a row for each
# message, written with what it tells and gone once that is told.
notifications = sa.Table(
    'notifications',
    METADATA,
    sa.Column('id', sa.Integer, primary_key=True),
    # The id of the message, the same however often it is sent.
    sa.Column('uuid', sa.String(36), nullable=False, unique=True),
    sa.Column('object', sa.String(16), nullable=False),
    sa.Column('action', sa.String(32), nullable=False),
    sa.Column('phase', sa.String(16)),
    # Of the process that wrote it.
    sa.Column('machine', exact_text(255), nullable=False),
    sa.Column('created_at', moment(), nullable=False),
    # What it is about, as it was when this was written. No key ties it to
    # that: it is told also of what is gone.
    sa.Column('aggregate_id', sa.Integer),
    sa.Column('aggregate_uuid', sa.String(36)),
    sa.Column('name', exact_text(255)),
    sa.Column('availability_zone', exact_text(255)),
    sa.Column('metadata', NULLABLE_JSON),
    # Each as NAME:PHASE, with commas between.
    sa.Column('hosts', sa.Text),
    # The host, by name; and its registration, where that is told.
    sa.Column('host', exact_text(255)),
    sa.Column('host_id', sa.Integer),
    sa.Column('registered_at', moment()),
    sa.Column('service', sa.String(16)),
    sa.Column('disabled_reason', sa.String(255)),
    sa.Column('seen_at', sa.Double),
    # What else there is to tell: operation, error and more.
    sa.Column('details', NULLABLE_JSON),
    # Who asked, as oslo.context has it.
    sa.Column('context', NULLABLE_JSON),
    # Of the oldest row: who sends now, by the clock of the database.
    sa.Column('claimed_by', sa.String(64)),
    sa.Column('claimed_until', sa.Double),
    sqlite_autoincrement=True,
    mysql_charset='utf8mb4',
    mysql_engine='InnoDB',
)
