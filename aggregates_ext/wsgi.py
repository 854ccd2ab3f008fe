"""For gunicorn and uwsgi: ``aggregates_ext.wsgi:application``.

Parses no command line: what stands there is the server's. So what the unit
of ``aggregates-ext-api`` says there holds here without being said.
"""

import warnings

# futurist, under oslo.service, imports eventlet where it is installed.
warnings.filterwarnings('ignore', message=r'\s*Eventlet is deprecated')

from oslo_service import backend  # noqa: E402

# Before anything imports oslo.messaging, which would choose otherwise.
backend.init_backend(backend.BackendType.THREADING)

from oslo_config import cfg  # noqa: E402
from oslo_log import log as logging  # noqa: E402

from aggregates_ext import conf as settings  # noqa: E402
from aggregates_ext import deploy  # noqa: E402
from aggregates_ext import prerequisites  # noqa: E402
from aggregates_ext import rpc  # noqa: E402
from aggregates_ext.api import app  # noqa: E402


def _make() -> app.WSGI:
    settings.register_log(cfg.CONF)
    settings.parse(cfg.CONF, [], further='api.conf.d')
    settings.validate(cfg.CONF)
    prerequisites.demand(prerequisites.of_api(cfg.CONF))
    logging.setup(cfg.CONF, 'aggregates_ext')
    rpc.quieten()
    return deploy.load(cfg.CONF)


application = _make()
