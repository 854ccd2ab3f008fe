"""The whole API in this process, for stories and for tests by hand."""

import pathlib
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import webob
from gabbi import fixture
from oslo_config import cfg
from oslo_utils import uuidutils

from aggregates_ext import deploy
from aggregates_ext import enforcers
from aggregates_ext.api.edge import identity
from aggregates_ext.api.edge import versions
from aggregates_ext.db import aggregates
from aggregates_ext.db import hosts
from aggregates_ext.db import pools
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from tests import databases
from tests import schemas

WSGI = Callable[[dict[str, Any], Any], Iterable[bytes]]

HOSTS = ('xen1', 'xen2', 'xen3')
PROJECT = 'abc123'
# When something was seen that stays of late: in 2100.
FAR = 4102444802.0


class Authtoken:
    """Plays keystonemiddleware: the token is ``user:project:role,role``.

    Without a token the request passes as it came, headers and all, as in a
    pipeline that has no authtoken.
    """

    def __init__(self, application: WSGI) -> None:
        self._application = application

    def __call__(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        token = environ.get('HTTP_X_AUTH_TOKEN')
        if token:
            user, project, roles = token.split(':')
            environ |= {
                identity.TOKEN_AUTH: object(),
                'HTTP_X_IDENTITY_STATUS': 'Confirmed',
                'HTTP_X_USER_ID': user,
                'HTTP_X_PROJECT_ID': project,
                'HTTP_X_ROLES': roles,
            }
        return self._application(environ, start_response)


def make(
    database_file: pathlib.Path | None = None,
    url: str = '',
    policy_file: str = '',
    *,
    telling: bool = False,
) -> tuple[WSGI, engine.Database]:
    """The API with hosts to play with, and its database.

    :param url: of another database than a SQLite file.
    :param policy_file: the operator's own rules.
    :param telling: whether it writes notifications.
    """
    conf = databases.configure(url or f'sqlite:///{database_file}')
    conf.set_override('enabled', telling, 'notifications')
    if policy_file:
        enforcers.make(conf)
        conf.set_override('policy_file', policy_file, 'oslo_policy')
    conf.set_override('settle_wait', 0, 'api')
    database = engine.Database(conf)
    schemas.upgrade(database)
    with database.writer() as connection:
        for name in HOSTS:
            url = f'https://{name}.test'
            values = {'name': name, 'url': url, 'credential': 'default'}
            hosts.insert(connection, values)
        far = {'name': 'far', 'url': 'https://far', 'credential': 'default'}
        hosts.insert(connection, {**far, 'availability_zone': 'elsewhere'})
    return serve(conf), database


def serve(conf: cfg.ConfigOpts) -> WSGI:
    """An API of its own on a database that is there."""
    return versions.Versions(Authtoken(deploy.build(conf)))


class Lazy:
    """Passes requests to the application of the story that is told.

    :cvar database_url: of an empty database for the next story.

    gabbi asks for the application while it collects; then there is none.
    """

    application: WSGI | None = None
    database_url = ''

    def __call__(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        assert self.application is not None
        answer = webob.Request(environ).get_response(self.application)
        result: Iterable[bytes] = answer(environ, start_response)
        return result


LAZY = Lazy()


class Service(fixture.GabbiFixture):
    """A fresh service for one story."""

    def start_fixture(self) -> None:
        LAZY.application, self._database = make(url=LAZY.database_url)

    def stop_fixture(self) -> None:
        LAZY.application = None
        self._database.dispose()


class DriftedPool(Service):
    """A service with an aggregate whose pool was seen to differ."""

    def start_fixture(self) -> None:
        super().start_fixture()
        seen = {
            'address': '10.0.0.1',
            'enabled': True,
            'version': '8.3.0',
            'xencenter_maintenance': True,
        }
        listed = [
            {**seen, 'uuid': f'u{n}', 'name_label': f'label{n}', 'live': n > 1}
            for n in (1, 2)
        ]
        view = {
            'name_label': 'pool1',
            'master': 'u1',
            'hosts': listed,
            'guests': {'hosts': {'u1': (3, 6)}},
            'waiting': {'u1': {'guidances': ['reboot_host'], 'reboot': True}},
            'seen_at': FAR,
        }
        dead = records.Drift('MEMBER_DEAD', 'It is dead.', 'xen1', 'u1', 1.0)
        with self._database.writer() as connection:
            key = aggregates.insert(connection, 'uuid1', 'pool1', None).id
            pools.set_pool(connection, key, 'p1', 'default', 'u1')
            pools.set_observation(connection, key, view, [dead], FAR)
            hosts.bind(connection, 'xen1', key, 'member', uuid='u1')


class Pool(Service):
    """A service that has aggregate 1, with the members xen1 and xen2."""

    def start_fixture(self) -> None:
        super().start_fixture()
        with self._database.writer() as connection:
            uuid = uuidutils.generate_uuid()
            key = aggregates.insert(connection, uuid, 'pool1', None).id
            for name in HOSTS[:2]:
                hosts.bind(connection, name, key)
                hosts.move(connection, name, key, ('joining',), 'member')


class Maintained(Pool):
    """The same, and xen2 is in maintenance."""

    def start_fixture(self) -> None:
        super().start_fixture()
        with self._database.writer() as connection:
            hosts.update(
                connection,
                HOSTS[1],
                {'maintenance': 'on', 'service': 'disabled'},
            )
