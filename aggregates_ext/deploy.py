"""Paste's way in: the stand-alone application, the filter, the pipelines."""

from collections.abc import Callable
from typing import Any
from urllib import parse

from oslo_config import cfg
from oslo_log import log as logging
from paste import deploy as paste_deploy

from aggregates_ext import conf as settings
from aggregates_ext import enforcers
from aggregates_ext import exception
from aggregates_ext import rpc
from aggregates_ext.api import app
from aggregates_ext.api.edge import entrance
from aggregates_ext.api.edge import faults
from aggregates_ext.api.edge import looks
from aggregates_ext.api.edge import routing
from aggregates_ext.db.engine import engine
from aggregates_ext.domain import aggregates
from aggregates_ext.domain import guests
from aggregates_ext.domain import intent
from aggregates_ext.domain import inventory
from aggregates_ext.domain import moves
from aggregates_ext.domain import operations
from aggregates_ext.domain import overview
from aggregates_ext.domain import pools
from aggregates_ext.domain.maintenance import again
from aggregates_ext.domain.maintenance import enabling
from aggregates_ext.domain.maintenance import entering
from aggregates_ext.domain.maintenance import powering
from aggregates_ext.domain.maintenance import rolling
from aggregates_ext.domain.membership import declared
from aggregates_ext.domain.membership import members
from aggregates_ext.domain.membership import retries
from aggregates_ext.domain.outlook import situation

LOG = logging.getLogger(__name__)


def build(
    conf: cfg.ConfigOpts,
    face: str = routing.AUTO,
    next_application: app.WSGI | None = None,
) -> app.WSGI:
    """The API, inside out: database, domain, application, faults.

    :param conf: configuration that has been read.
    :param face: 'legacy', 'modern' or 'auto'.
    :param next_application: given: a filter in front of it.
    """
    database = engine.Database(conf)
    transport = rpc.get_transport(conf)
    compute = rpc.ComputeAPI(transport, conf.api.check_timeout)
    intended = intent.Intent(database, compute, conf.api.settle_wait)
    membership = members.Members(intended)
    interval = conf.compute.observe_interval
    found = aggregates.Aggregates(intended)
    known_hosts = inventory.Inventory(database, interval)
    domain = routing.Domain(
        aggregates=found,
        members=membership,
        membership=declared.Membership(intended),
        operations=operations.Operations(database),
        overview=overview.Overview(database, interval),
        pools=pools.Pools(intended),
        retries=retries.Retries(intended, membership, again.ask_again),
        looks=looks.Looks(found, looks.Kept(conf.api.cache_size * 2**20)),
        enabling=enabling.Enabling(intended),
        maintenance=entering.Maintenance(intended),
        powering=powering.Powering(intended),
        rolling=rolling.Rolling(intended),
        inventory=known_hosts,
        moves=moves.Moves(intended),
        outlook=situation.Outlook(database),
        guests=guests.Guests(
            database,
            known_hosts,
            conf.api.guests_project_id,
            conf.api.guests_user_id,
        ),
    )
    enforcer = enforcers.make(conf)
    embedded = next_application is not None
    known = app.catalogue(embedded)
    router = routing.Router(app.routes(known, embedded), face, embedded)
    application = faults.FaultWrapper(
        app.Application(domain, enforcer, router)
    )
    if next_application is None:
        return application
    return app.Filter(application, router, known, next_application)


def _configuration(config_file: str | None) -> cfg.ConfigOpts:
    """A configuration of our own: the process may be another service's."""
    conf = cfg.ConfigOpts()
    settings.parse(conf, [], [config_file] if config_file else None)
    return conf


def app_factory(global_conf: dict[str, str], **local_conf: str) -> app.WSGI:
    """The stand-alone application, ``egg:aggregates_ext#api``.

    Paste options: ``face``; ``config_file``, without which the global
    configuration, that the server has read, is used.
    """
    conf = cfg.CONF
    if 'config_file' in local_conf:
        conf = _configuration(local_conf['config_file'])
    return build(conf, local_conf.get('face', routing.AUTO))


def filter_factory(
    global_conf: dict[str, str], **local_conf: str
) -> Callable[[app.WSGI], app.WSGI]:
    """The filter in front of a compute API, ``egg:aggregates_ext#aggregates``.

    Paste options: ``face``; ``config_file``, without which the default place
    is read. The configuration of the process is left alone.
    """

    def make_filter(next_application: app.WSGI) -> app.WSGI:
        LOG.info(
            'os-aggregates is answered here; one that the next application '
            'serves itself is shadowed.'
        )
        return build(
            _configuration(local_conf.get('config_file')),
            local_conf.get('face', routing.AUTO),
            next_application,
        )

    return make_filter


def pipeline_factory(
    loader: Any, global_conf: dict[str, str], **local_conf: str
) -> app.WSGI:
    """The pipeline that is named as ``[api] auth_strategy`` says.

    Each Paste option is one strategy: names of filters, then the application.
    """
    names = local_conf[cfg.CONF.api.auth_strategy].split()
    application: app.WSGI = loader.get_app(names.pop())
    for name in reversed(names):
        application = loader.get_filter(name)(application)
    return application


def load(conf: cfg.ConfigOpts) -> app.WSGI:
    """The pipelines of the Paste file that the configuration names.

    :raises exception.Unavailable: there is no such file, or it is wrong.
    """
    name = conf.api.paste_config
    path = settings.find_file(name)
    if path is None:
        raise exception.Unavailable(
            reason=f'The Paste file {name} is in none of '
            f'{", ".join(settings.config_dirs())}.'
        )
    # Paste takes "%" and "#" in a path for signs of its own.
    place = f'config:{parse.quote(path)}'
    try:
        application: app.WSGI = paste_deploy.loadapp(place, name='main')
    except (exception.AggregatesError, cfg.Error):
        raise
    except Exception as exc:
        # Paste itself, and the filters of others, raise what they like.
        raise exception.Unavailable(
            reason=f'The pipelines of {path} cannot be loaded: '
            f'{type(exc).__name__}: {exc}'
        ) from exc
    return faults.FaultWrapper(entrance.Entrance(application))
