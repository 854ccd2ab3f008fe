"""What should be known of the first host of an aggregate."""

from collections.abc import Iterator

from aggregates_ext.compute.rules.joining import accounts
from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.rules.joining import sides


def _name(side: sides.Side) -> list[str]:
    name = side.pool['name_label']
    return [f'"{name}"'] if name else []


RENAMED = kinds.none(
    'POOL_HAS_A_NAME',
    'the pool of the first host should have no name',
    'The name of the aggregate replaces it.',
    _name,
)


def _obstacles(side: sides.Side) -> Iterator[str]:
    if side.pool['ha_enabled']:
        yield 'high availability on'
    if accounts.restricted(side, 'pooling'):
        yield f'edition {accounts.edition(side)} with restrict_pooling'


CLOSED = kinds.none(
    'POOL_IS_CLOSED',
    'nothing should keep other hosts from joining the pool of the first',
    'It can be the first as it is; mend that before others are added.',
    _obstacles,
)
