"""Many pools of one kind, described in a few lines."""

import dataclasses
import typing

from aggregates_ext.xensim.plan import described


@dataclasses.dataclass
class Crowd:
    """How many pools there are, and hosts in each.

    They are named pool1, pool1-host1 and so on. The description has two
    more fields: pool and host, what each pool and each host of them is.
    """

    count: int
    hosts: int
    name: str = 'pool'


def expand(data: object) -> object:
    """Write out a topology whose pools are described as a crowd."""
    if not isinstance(data, dict) or not isinstance(data.get('pools'), dict):
        return data
    about = dict(data['pools'])
    alone = data.get('hosts', [])
    each_pool, each_host = about.pop('pool', {}), about.pop('host', {})
    _assert(list, alone, 'topology.hosts')
    _assert(dict, each_pool, 'topology.pools.pool')
    _assert(dict, each_host, 'topology.pools.host')
    crowd = described.build(Crowd, about, 'topology.pools')
    pools = [_pool(crowd, number + 1) for number in range(crowd.count)]
    names = [name for pool in pools for name in pool['hosts']]
    return data | {
        'hosts': alone + [each_host | {'name': name} for name in names],
        'pools': [each_pool | pool for pool in pools],
    }


def _assert(kind: type, value: object, where: str) -> None:
    if not isinstance(value, kind):
        raise described.TopologyError(
            f'{where}: must be of type {kind.__name__}, not {value!r}'
        )


def _pool(crowd: Crowd, number: int) -> dict[str, typing.Any]:
    name = f'{crowd.name}{number}'
    return {
        'name_label': name,
        'hosts': [f'{name}-host{host + 1}' for host in range(crowd.hosts)],
    }
