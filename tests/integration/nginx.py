"""An nginx of the tests' own, with the server of the installation document.

It runs as the one who runs the tests, with everything of its in one
directory, in front of one port of loopback.
"""

import os
import pathlib
import socket
import ssl
import subprocess

from tests import databases
from tests.integration import documents
from tests.integration import environments
from tests.integration import guide
from tests.integration import ports
from tests.integration import processes

# What clients of the document ask for.
PLACE = 'pools.example.org'
RECIPE = documents.block('install.rst', 'server {')
CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
pid {directory}/pid;
error_log {directory}/error.log;
events {{}}
http {{
    access_log {directory}/access.log;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    scgi_temp_path {directory}/scgi;
    uwsgi_temp_path {directory}/uwsgi;
{server}
}}
"""


class Nginx:
    """An nginx that serves, until the end of a block.

    :param upstream: the port that it passes requests to.
    :ivar url: where it is; its certificate is for this address, too.
    :ivar certificate: who trusts this file trusts it.
    """

    def __init__(self, directory: pathlib.Path, upstream: int) -> None:
        self._program = databases.find('nginx')
        self._directory = directory
        self.certificate = directory / 'certificate.pem'
        key = directory / 'key.pem'
        environments.run(
            *(databases.find('openssl'), 'req', '-x509', '-newkey', 'ec'),
            *('-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'),
            *('-subj', f'/CN={PLACE}', '-days', '2'),
            *('-addext', f'subjectAltName=DNS:{PLACE},IP:127.0.0.1'),
            *('-out', self.certificate, '-keyout', key),
        )
        [self._port] = ports.free(1)
        self.url = f'https://127.0.0.1:{self._port}'
        values = {
            'listen 443 ssl;': f'listen 127.0.0.1:{self._port} ssl;',
            '/etc/ssl/certs/pools.example.org.pem': str(self.certificate),
            '/etc/ssl/private/pools.example.org.key': str(key),
            'http://127.0.0.1:8774;': f'http://127.0.0.1:{upstream};',
        }
        (directory / 'nginx.conf').write_text(
            CONFIGURATION.format(
                # It would take another account for what root may do.
                user='' if os.getuid() else 'user root root;',
                directory=directory,
                server=guide.filled(RECIPE, values),
            )
        )

    def __enter__(self) -> 'Nginx':
        output = self._directory / 'nginx.out'
        with output.open('w') as file:
            self._process = subprocess.Popen(
                [
                    self._program,
                    *('-p', self._directory, '-c', 'nginx.conf'),
                    *('-e', self._directory / 'error.log'),
                ],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

        def serves() -> bool:
            assert self._process.poll() is None, output.read_text()
            try:
                self.connect().close()
            except OSError:
                return False
            return True

        processes.wait_for('nginx serves', serves)
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.terminate()
        self._process.wait(processes.DEADLINE)

    def connect(self) -> ssl.SSLSocket:
        """A connection of a client that knows the name of the document."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        place = ('127.0.0.1', self._port)
        plain = socket.create_connection(place, processes.DEADLINE)
        return context.wrap_socket(plain, server_hostname=PLACE)

    def served(self) -> list[str]:
        """A line for each request that has ended."""
        return (self._directory / 'access.log').read_text().splitlines()
