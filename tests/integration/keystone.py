"""A real Keystone from PyPI, on SQLite and loopback."""

import base64
import contextlib
import http.client
import json
import os
import pathlib
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

from tests.integration import environments

PASSWORD = 'the-password-of-all-users'
REGION = 'RegionOne'  # of Keystone itself
DEFAULT = {'id': 'default'}
SERVE = """
import socket
import waitress
from keystone.wsgi import api
waitress.serve(api.application, sockets=[socket.socket(fileno=0)])
"""
# A token as Keystone makes it, whose time is over.
EXPIRED = """
import datetime
import sys
user, project, audit = sys.argv[1:]
del sys.argv[1:]  # Keystone would read them too.
from keystone.server import wsgi
wsgi.initialize_public_application()
from keystone.token import token_formatters
past = datetime.datetime.now(datetime.timezone.utc)
past -= datetime.timedelta(minutes=5)
print(token_formatters.TokenFormatter().create_token(
    user, past.strftime('%Y-%m-%dT%H:%M:%S.%fZ'), [audit],
    token_formatters.ProjectScopedPayload, methods=['password'],
    project_id=project))
"""


class Keystone:
    """One running Keystone, with the identities that tests need.

    :ivar url: of the API v3.
    :ivar projects: name -> id.
    :ivar users: name -> id.
    """

    def __init__(
        self, venv: pathlib.Path, directory: pathlib.Path, port: int
    ) -> None:
        self._venv = venv
        self._directory = directory
        self._port = port
        self.url = f'http://127.0.0.1:{port}/v3'
        self.projects: dict[str, str] = {}
        self.users: dict[str, str] = {}
        self._roles: dict[str, str] = {}
        self._admin = ''

    @property
    def environment(self) -> dict[str, str]:
        """What tells Keystone its configuration."""
        conf = str(self._directory / 'keystone.conf')
        return os.environ | {'OS_KEYSTONE_CONFIG_FILES': conf}

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[Any, Any]:
        """Headers and body of a request that succeeds."""
        connection = http.client.HTTPConnection(
            '127.0.0.1', self._port, timeout=120
        )
        sent = {'Content-Type': 'application/json', **headers}
        with contextlib.closing(connection):
            text = None if body is None else json.dumps(body)
            connection.request(method, f'/v3{path}', text, sent)
            response = connection.getresponse()
            content = response.read()
        assert response.status < 300, (method, path, content, self.log())
        return response.headers, json.loads(content) if content else None

    def log(self) -> str:
        """The end of what it wrote."""
        return (self._directory / 'keystone.log').read_text()[-4000:]

    def token(self, user: str, **scope: Any) -> str:
        """A token of a user, of the project "pools" unless told otherwise.

        :param scope: ``project`` by name, ``domain`` or ``system`` as true.
        """
        headers, _body = self.ask(
            'POST',
            '/auth/tokens',
            {
                'auth': {
                    'identity': {
                        'methods': ['password'],
                        'password': {
                            'user': {
                                'name': user,
                                'domain': DEFAULT,
                                'password': PASSWORD,
                            }
                        },
                    },
                    'scope': _scope(**scope),
                }
            },
        )
        return str(headers['X-Subject-Token'])

    def revoke(self, token: str) -> None:
        """End a token before its time."""
        headers = {'X-Auth-Token': self._admin, 'X-Subject-Token': token}
        self.ask('DELETE', '/auth/tokens', None, **headers)

    def expired_token(self, user: str, project: str = 'pools') -> str:
        """A token of a user whose time is over."""
        audit = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip('=')
        done = subprocess.run(
            [
                self._venv / 'bin' / 'python',
                '-c',
                EXPIRED,
                self.users[user],
                self.projects[project],
                audit,
            ],
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def add(self, kind: str, **values: Any) -> str:
        """Make something; the answer: its id."""
        _headers, body = self.ask(
            'POST',
            f'/{kind}s',
            {kind: values},
            **{'X-Auth-Token': self._admin},
        )
        return str(body[kind]['id'])

    def grant(self, user: str, role: str, place: str) -> None:
        """Give a role to a user at a place, such as ``/projects/ID``."""
        path = f'{place}/users/{self.users[user]}/roles/{self._roles[role]}'
        self.ask('PUT', path, None, **{'X-Auth-Token': self._admin})

    def add_endpoint(self, url: str, region: str) -> None:
        """Tell where the compute API of a region is; Keystone is there too.

        All regions are of one service, whoever has made it: Tempest looks no
        further than the first of a type.
        """
        for kind, place in (('compute', url), ('identity', self.url)):
            _headers, body = self.ask(
                'GET',
                f'/services?type={kind}',
                **{'X-Auth-Token': self._admin},
            )
            known = [service['id'] for service in body['services']]
            self.add(
                'endpoint',
                service_id=known[0]
                if known
                else self.add('service', type=kind, name=f'the-{kind}'),
                interface='public',
                region=region,
                url=place,
            )

    def set_up(self) -> None:
        """The projects, users and roles that tests need."""
        self._admin = self.token('admin', project='admin')
        headers = {'X-Auth-Token': self._admin}
        _headers, body = self.ask('GET', '/roles', **headers)
        self._roles = {role['name']: role['id'] for role in body['roles']}
        for name in ('pools', 'others', 'service'):
            self.projects[name] = self.add('project', name=name)
        for name in ('operator', 'member', 'reader', 'manager', 'pools'):
            self.users[name] = self.add(
                'user', name=name, password=PASSWORD, domain_id='default'
            )
        pools = f'/projects/{self.projects["pools"]}'
        self.grant('operator', 'admin', pools)
        self.grant('operator', 'admin', '/domains/default')
        self.grant('operator', 'admin', '/system')
        for name in ('manager', 'member', 'reader'):
            self.grant(name, name, pools)
        service = f'/projects/{self.projects["service"]}'
        self.grant('pools', 'service', service)

    def authtoken(self) -> dict[str, str]:
        """Options of the section [keystone_authtoken]."""
        return {
            'auth_url': self.url,
            'www_authenticate_uri': self.url,
            'auth_type': 'password',
            'username': 'pools',
            'password': PASSWORD,
            'user_domain_id': 'default',
            'project_name': 'service',
            'project_domain_id': 'default',
            'service_token_roles_required': 'true',
            # Each request is looked at anew, so that tests need not wait.
            'token_cache_time': '-1',
        }

    def variables(self, user: str, region: str) -> dict[str, str]:
        """What tells a client who it is, and where to look."""
        return {
            'OS_AUTH_URL': self.url,
            'OS_USERNAME': user,
            'OS_PASSWORD': PASSWORD,
            'OS_PROJECT_NAME': 'pools',
            'OS_USER_DOMAIN_ID': 'default',
            'OS_PROJECT_DOMAIN_ID': 'default',
            'OS_REGION_NAME': region,
            'OS_IDENTITY_API_VERSION': '3',
        }


def _scope(
    project: str = 'pools', domain: bool = False, system: bool = False
) -> dict[str, Any]:
    if system:
        return {'system': {'all': True}}
    if domain:
        return {'domain': DEFAULT}
    return {'project': {'name': project, 'domain': DEFAULT}}


def _configure(directory: pathlib.Path) -> None:
    keys = directory / 'keys'
    keys.mkdir(mode=0o700)
    for name in ('0', '1'):
        (keys / name).write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
    (directory / 'keystone.conf').write_text(
        f'[database]\nconnection = sqlite:///{directory}/keystone.sqlite\n'
        f'[fernet_tokens]\nkey_repository = {keys}\n'
        f'[fernet_receipts]\nkey_repository = {keys}\n'
        f'[credential]\nkey_repository = {keys}\n'
        # As fast as bcrypt can be: nothing here is worth more.
        '[identity]\npassword_hash_rounds = 4\n'
    )


@contextlib.contextmanager
def serve(venv: pathlib.Path, directory: pathlib.Path) -> Iterator[Keystone]:
    """A Keystone that serves.

    Requests wait at the listener until the process answers, or is gone.
    """
    _configure(directory)
    with socket.create_server(('127.0.0.1', 0)) as listener:
        made = Keystone(venv, directory, listener.getsockname()[1])
        manage = [
            venv / 'bin' / 'keystone-manage',
            '--config-file',
            directory / 'keystone.conf',
        ]
        environments.run(*manage, 'db_sync')
        environments.run(
            *manage,
            'bootstrap',
            '--bootstrap-password',
            PASSWORD,
            '--bootstrap-region-id',
            REGION,
            '--bootstrap-public-url',
            made.url,
            # Where keystonemiddleware looks, unless told otherwise.
            '--bootstrap-internal-url',
            made.url,
        )
        with (directory / 'keystone.log').open('w') as output:
            process = subprocess.Popen(
                [venv / 'bin' / 'python', '-c', SERVE],
                stdin=listener.fileno(),
                stdout=output,
                stderr=output,
                env=made.environment,
            )
    try:
        made.set_up()
        yield made
    finally:
        process.terminate()
        process.wait(timeout=60)
