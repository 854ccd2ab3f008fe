"""What the API is measured beside: bare applications and authtoken.

``bare`` sends the bytes that the API sends, from a file for each path, and
``limit`` is authtoken in front of it, as in the pipeline of the API: what no
service can be faster than. ``keystone`` plays the little of Keystone that
authtoken asks, which it caches.
"""

import json
import logging
import pathlib
import sys
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from urllib import parse

from keystonemiddleware import auth_token
from waitress import server as waitress_server

LISTENING = 'listening on http://127.0.0.1:'
WSGI = Callable[[dict[str, Any], Any], Iterable[bytes]]
PROJECT = 'abc123'
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


def authtoken(url: str) -> dict[str, str]:
    """Options of [keystone_authtoken] for the Keystone that is played."""
    return {
        'www_authenticate_uri': url,
        'auth_type': 'admin_token',
        'endpoint': f'{url}/v3',
        'token': 'service',
        'token_cache_time': '3600',
        'service_token_roles_required': 'true',
    }


def bare(directory: pathlib.Path) -> WSGI:
    """Sends what is in the file of a path, and knows nothing more."""
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
        start_response(
            '200 OK',
            [
                ('Content-Type', 'application/json'),
                ('Content-Length', str(len(body))),
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

    :param arguments: of ``bare`` the directory; of ``limit`` Keystone's URL
        too.
    """
    if kind == 'keystone':
        return keystone
    application = bare(pathlib.Path(arguments[0]))
    if kind == 'bare':
        return application
    limited: WSGI = auth_token.AuthProtocol(
        application, {**authtoken(arguments[1]), 'oslo_config_config': None}
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
