"""What the API is measured beside: bare applications and authtoken.

``bare`` sends the bytes that the API sends, from a file for each path; for a
POST it makes the least transaction first that changes metadata, and who has an
answer already is told so by its ETag. ``limit`` is authtoken in front of it, as
in the pipeline of the API: what no service can be faster than. ``keystone``
plays the little of Keystone that authtoken asks, which it caches.
"""

import json
import logging
import pathlib
import secrets
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from urllib import parse

import sqlalchemy as sa
from keystonemiddleware import auth_token
from waitress import server as waitress_server

from aggregates_ext.db import stamps

LISTENING = 'listening on http://127.0.0.1:'
WSGI = Callable[[dict[str, Any], Any], Iterable[bytes]]
PROJECT = 'abc123'
ETAG = '"known"'
READ = 'SELECT metadata FROM aggregates WHERE id = 1'
CHANGE = 'UPDATE aggregates SET metadata = ?, stamp = ? WHERE id = 1'
TOKEN = {
    'token': {
        'methods': ['password'],
        'issued_at': '2026-01-01T00:00:00.000000Z',
        'expires_at': '2100-01-01T00:00:00.000000Z',
        'user': {
            'id': 'user',
            'name': 'user',
            'domain': {'id': 'default', 'name': 'Default'},
        },
        'project': {
            'id': PROJECT,
            'name': 'project',
            'domain': {'id': 'default', 'name': 'Default'},
        },
        'roles': [{'id': 'admin', 'name': 'admin'}],
        'catalog': [],
    }
}


def authtoken(url: str, memcached: str = '') -> dict[str, str]:
    """Options of [keystone_authtoken] for the Keystone that is played.

    :param memcached: where tokens are kept; else in the process.
    """
    kept = {'memcached_servers': memcached} if memcached else {}
    return kept | {
        'www_authenticate_uri': url,
        'auth_type': 'admin_token',
        'endpoint': f'{url}/v3',
        'token': 'service',
        'token_cache_time': '3600',
        'service_token_roles_required': 'true',
    }


class Least:
    """The least transaction that changes metadata, by the driver alone.

    :param url: of a database of the API.
    """

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url)
        self._sqlite = self._engine.dialect.name == 'sqlite'
        self._own = threading.local()

    def _connect(self) -> Any:
        pooled = self._engine.raw_connection()
        connection: Any = pooled.dbapi_connection
        pooled.detach()
        if self._sqlite:
            connection.isolation_level = None
            # As the API has it: what is promised survives a power failure.
            connection.execute('PRAGMA synchronous = FULL')
            connection.execute('PRAGMA busy_timeout = 15000')
        return connection

    def __call__(self) -> None:
        """Read a row that is locked, change it, COMMIT."""
        if not hasattr(self._own, 'connection'):
            self._own.connection = self._connect()
        cursor = self._own.connection.cursor()
        read, change = READ, CHANGE
        if self._sqlite:
            cursor.execute('BEGIN IMMEDIATE')
        else:
            read, change = f'{READ} FOR UPDATE', CHANGE.replace('?', '%s')
        cursor.execute(read)
        [kept] = cursor.fetchone()
        # psycopg2 hands it over as it is.
        kept = json.loads(kept) if isinstance(kept, str) else kept
        changed = json.dumps({**kept, 'key0': 'changed'})
        cursor.execute(change, (changed, secrets.randbits(stamps.BITS)))
        cursor.close()
        self._own.connection.commit()


def bare(directory: pathlib.Path, database: str) -> WSGI:
    """Sends what is in the file of a path, and knows nothing more."""
    least = Least(database)
    known = {
        parse.unquote(path.name): path.read_bytes()
        for path in directory.iterdir()
    }

    def application(
        environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        body = known.get(environ['PATH_INFO'], b'{}')
        length = environ.get('CONTENT_LENGTH')
        if length:
            environ['wsgi.input'].read(int(length))
            least()
        if environ.get('HTTP_IF_NONE_MATCH') == ETAG:
            start_response('304 Not Modified', [('ETag', ETAG)])
            return []
        start_response(
            '200 OK',
            [
                ('Content-Type', 'application/json'),
                ('Content-Length', str(len(body))),
                ('ETag', ETAG),
            ],
        )
        return [body]

    return application


def keystone(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Knows every token."""
    root = f'http://{environ["HTTP_HOST"]}'
    shown: dict[str, Any] = TOKEN
    if not environ['PATH_INFO'].endswith('/auth/tokens'):
        links = [{'rel': 'self', 'href': f'{root}/v3/'}]
        version = {'id': 'v3.14', 'status': 'stable', 'links': links}
        shown = {'version': version}
        if environ['PATH_INFO'] in ('', '/'):
            shown = {'versions': {'values': [version]}}
    headers = [('Content-Type', 'application/json'), ('X-Subject-Token', 't')]
    start_response('200 OK', headers)
    return [json.dumps(shown).encode()]


def make(kind: str, arguments: list[str]) -> WSGI:
    """The application of a name.

    :param arguments: of ``bare`` the directory and the database; of ``limit``
        Keystone's URL too, and perhaps where memcached is.
    """
    if kind == 'keystone':
        return keystone
    directory, database, *identity = arguments
    application = bare(pathlib.Path(directory), database)
    if kind == 'bare':
        return application
    limited: WSGI = auth_token.AuthProtocol(
        application, {**authtoken(*identity), 'oslo_config_config': None}
    )
    return limited


def main(kind: str, *arguments: str) -> None:
    """Serve an application on the server that the API uses."""
    logging.getLogger('waitress.queue').setLevel(logging.ERROR)
    server = waitress_server.create_server(
        make(kind, list(arguments)),
        host='127.0.0.1',
        port=0,
        threads=8,
        ident=None,
    )
    print(f'{LISTENING}{server.effective_port}', flush=True)
    server.run()


if __name__ == '__main__':
    main(*sys.argv[1:])
