"""Numbers for Prometheus, where they are asked for.

All else in this room needs prometheus_client, and is loaded only then: whoever
asks for no numbers pays nothing for them.
"""

import importlib
from typing import TYPE_CHECKING

from oslo_config import cfg

from aggregates_ext.db.engine import engine

if TYPE_CHECKING:
    from aggregates_ext.metrics import api
    from aggregates_ext.metrics import compute


def of_api(conf: cfg.ConfigOpts) -> 'api.Numbers | None':
    """Those of the API; None: nobody asks for them."""
    if conf.metrics.api_port is None:
        return None
    module = importlib.import_module('aggregates_ext.metrics.api')
    made: api.Numbers = module.Numbers(conf)
    return made


def of_compute(
    conf: cfg.ConfigOpts, database: engine.Database
) -> 'compute.Numbers | None':
    """Those of the compute service; None: nobody asks for them."""
    if conf.metrics.compute_port is None:
        return None
    module = importlib.import_module('aggregates_ext.metrics.compute')
    made: compute.Numbers = module.Numbers(conf, database)
    return made
