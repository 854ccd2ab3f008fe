"""Calls on networks and messages: as little as pools need."""

import datetime

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.install import interfaces
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure

TAGS = range(4095)


def create_network(
    context: operations.Context, record: database.Record
) -> str:
    """Add an internal network."""
    return context.db.create(
        'network',
        name_label=str(record.get('name_label', '')),
        name_description=str(record.get('name_description', '')),
        bridge=f'xapi{len(context.db.rows("network"))}',
        MTU=1500,
        managed=True,
        default_locking_mode='unlocked',
    )


def create_vlan(
    context: operations.Context, tagged: str, tag: int, network: str
) -> str:
    """Add a VLAN on an interface of one host."""
    db = context.db
    row = db.row('PIF', tagged)
    db.row('network', network)
    if tag not in TAGS:
        raise failure.Failure('VLAN_TAG_INVALID', str(tag))
    host, device = row['host'], row['device']
    if db.where('PIF', host=host, device=device, VLAN=tag):
        raise failure.Failure('PIF_VLAN_EXISTS', tagged)
    for pif in db.where('PIF', host=host, network=network):
        raise failure.Failure('NETWORK_ALREADY_CONNECTED', host, pif)
    pif = interfaces.vlan(db, tagged, tag, network)
    return str(db.row('PIF', pif)['VLAN_master_of'])


KINDS = {
    'VM': 'VM',
    'Host': 'host',
    'SR': 'SR',
    'Pool': 'pool',
    'Certificate': 'Certificate',
}
"""What a message can be about, and the class of that."""


def create_message(
    context: operations.Context,
    name: str,
    priority: int,
    kind: str,
    identity: str,
    body: str,
) -> str:
    """Leave a message about an object."""
    db = context.db
    if not db.where(KINDS.get(kind, kind), uuid=identity):
        raise failure.Failure('UUID_INVALID', kind, identity)
    return db.create(
        'message',
        name=name,
        priority=priority,
        cls=kind,
        obj_uuid=identity,
        timestamp=database.date(context.now),
        body=body,
    )


def destroy_message(context: operations.Context, ref: str) -> str:
    """Remove a message."""
    context.db.row('message', ref)
    context.db.delete('message', ref)
    return ''


def get_messages(
    context: operations.Context,
    kind: str,
    identity: str,
    since: datetime.datetime,
) -> dict[str, database.Record]:
    """The messages about one object."""
    if since.tzinfo is None:
        since = since.replace(tzinfo=datetime.timezone.utc)
    return context.db.select(
        'message',
        lambda row: (
            (row['cls'], row['obj_uuid']) == (kind, identity)
            and row['timestamp'] >= since
        ),
    )
