"""For gunicorn and uwsgi: ``aggregates_ext.wsgi:application``.

Parses no command line: what stands there is the server's. So what the unit
of ``aggregates-ext-api`` says there holds here without being said.
"""

from aggregates_ext import threads  # noqa: F401, I001 (first)

from oslo_config import cfg
from oslo_log import log as logging

from aggregates_ext import conf as settings
from aggregates_ext import deploy
from aggregates_ext import prerequisites
from aggregates_ext import refusals
from aggregates_ext import rpc
from aggregates_ext.api import app


# What tells gunicorn that it is not to be started again.
APP_LOAD_ERROR = 4


def _make() -> app.WSGI:
    with refusals.told(APP_LOAD_ERROR):
        settings.register_log(cfg.CONF)
        settings.parse(cfg.CONF, [], further='api.conf.d')
        settings.validate(cfg.CONF)
        prerequisites.demand(prerequisites.of_api(cfg.CONF))
        logging.setup(cfg.CONF, 'aggregates_ext')
        rpc.quieten()
        return deploy.load(cfg.CONF)


application = _make()
