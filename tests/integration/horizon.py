"""A real Horizon from PyPI, on loopback, with the panel installed.

Its directory is a copy whose files are links: what an operator writes into
the installation, its settings and the files of plug-ins, is the test's own.
"""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import NamedTuple

from tests.integration import children
from tests.integration import documents

SETTINGS = """
ALLOWED_HOSTS = ['127.0.0.1']
SECRET_KEY = {secret!r}
OPENSTACK_KEYSTONE_URL = {keystone!r}
# Sessions are in it too: nothing may be thrown out for want of room.
CACHES = {{
    'default': {{
        'BACKEND': 'django.core.cache.backends.locmem.LocMemCache',
        'OPTIONS': {{'MAX_ENTRIES': 1000000}},
    }},
}}
AVAILABLE_THEMES = [('default', 'Default', 'themes/default')]
LANGUAGES = (('en', 'English'),)
HORIZON_CONFIG = {{**HORIZON_CONFIG, 'ajax_poll_interval': 500}}
# Messages stay until somebody has read them, on a slow machine too.
HORIZON_CONFIG['auto_fade_alerts'] = {{
    'delay': 3600000, 'fade_duration': 0, 'types': [],
}}
RESOURCE_POOLS_API_TIMEOUT = 60
"""
SERVE = """
import socket
import waitress
from django.contrib.staticfiles import handlers
from django.core import wsgi
waitress.serve(
    handlers.StaticFilesHandler(wsgi.get_wsgi_application()),
    sockets=[socket.socket(fileno=0)],
)
"""


class Horizon(NamedTuple):
    """A Horizon that serves.

    :ivar url: where it is.
    :ivar log: what it has written.
    """

    url: str
    log: pathlib.Path


def _copy(venv: pathlib.Path, site: pathlib.Path) -> None:
    """The installation, each file a link."""
    version = f'python{sys.version_info.major}.{sys.version_info.minor}'
    shutil.copytree(
        venv / 'lib' / version / 'site-packages' / 'openstack_dashboard',
        site / 'openstack_dashboard',
        copy_function=os.symlink,
        ignore=shutil.ignore_patterns('__pycache__', 'locale'),
    )


@contextlib.contextmanager
def serve(
    venv: pathlib.Path,
    plugin: pathlib.Path,
    directory: pathlib.Path,
    keystone: str,
) -> Iterator[Horizon]:
    """A Horizon that serves, with the panel as its document installs it.

    :param plugin: a directory with the package.
    :param keystone: the URL of Keystone's API v3.
    """
    site = directory / 'site'
    _copy(venv, site)
    settings = site / 'openstack_dashboard' / 'local' / 'local_settings.py'
    settings.write_text(
        'from openstack_dashboard.settings import HORIZON_CONFIG\n'
        + SETTINGS.format(secret=os.urandom(24).hex(), keystone=keystone)
    )
    environment = children.environment(
        {
            'PYTHONPATH': f'{site}{os.pathsep}{plugin}',
            'DJANGO_SETTINGS_MODULE': 'openstack_dashboard.settings',
            'PATH': f'{venv / "bin"}{os.pathsep}{os.environ["PATH"]}',
        }
    )
    # Its dependencies are those of this project too, and others' warnings.
    environment.pop('PYTHONWARNINGS', None)
    collect = 'python -m django collectstatic --noinput --link -v 0'
    for command in (documents.block('dashboard.rst', 'cp '), collect):
        done = subprocess.run(
            ['sh', '-e', '-c', command],
            cwd=site,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    log = directory / 'horizon.log'
    with socket.create_server(('127.0.0.1', 0)) as listener:
        port = listener.getsockname()[1]
        with log.open('w') as output:
            process = subprocess.Popen(
                [venv / 'bin' / 'python', '-c', SERVE],
                stdin=listener.fileno(),
                stdout=output,
                stderr=output,
                env=environment,
            )
    try:
        yield Horizon(f'http://127.0.0.1:{port}', log)
    finally:
        process.terminate()
        process.wait(timeout=60)
