"""Rolling upgrades: while one is under way a pool has two versions.

Its master writes that down (xapi#rolling-upgrade).
"""

from collections.abc import Mapping
from typing import Any

CODE = 'ROLLING_UPGRADE'
RULE = 'no rolling upgrade of the pool should be under way'
KEY = 'rolling_upgrade_in_progress'


def find(pool: Mapping[str, Any]) -> str:
    """What tells that one is under way; empty: none is.

    :param pool: the record of the pool.
    """
    return KEY if pool['other_config'].get(KEY) == 'true' else ''
