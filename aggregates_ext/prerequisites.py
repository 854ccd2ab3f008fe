"""Files and modules that the configuration takes for granted.

Of libraries' options only files are read: to ask the libraries would mean to
import them for every command.
"""

import importlib.util
import os
import ssl
from collections.abc import Iterator

from oslo_config import cfg

from aggregates_ext import verbatim

KEYSTONE = 'keystone_authtoken'
RABBIT = 'oslo_messaging_rabbit'
# Options of libraries that name files, which they read when it is too late.
FILES = {
    KEYSTONE: (
        'cafile',
        'certfile',
        'keyfile',
        'memcache_tls_cafile',
        'memcache_tls_certfile',
        'memcache_tls_keyfile',
    ),
    RABBIT: ('ssl_ca_file', 'ssl_cert_file', 'ssl_key_file'),
}
CACHE = ('memcached_servers', 'memcache_servers')
OTHER_CLIENT = ('memcache_sasl_enabled', 'memcache_tls_enabled')
TRUE = ('true', '1', 'on', 'yes')
# How keystonemiddleware reaches memcached: the module, and who has it.
PLAIN = ('memcache', "'aggregates_ext[memcached]'")
BINARY = ('bmemcached', 'python-binary-memcached')
PROMETHEUS = ('prometheus_client', 'prometheus-client')


def of_compute(conf: cfg.ConfigOpts) -> Iterator[str]:
    """What a compute service lacks, as sentences."""
    path = conf.xenserver.ca_file
    try:
        if path is not None:
            ssl.create_default_context(cafile=path)
    except OSError as exc:
        # ssl.SSLError is one: what is there is no PEM.
        yield (
            f'[xenserver] ca_file {path} cannot be used: '
            f'{exc.strerror or exc}. Put the certificates of the authorities '
            'there in PEM format; or unset it for those of the system.'
        )
    yield from _missing_files(conf, RABBIT)
    yield from _missing_numbers(conf, 'compute_port')


def of_api(conf: cfg.ConfigOpts) -> Iterator[str]:
    """What the API lacks, as sentences."""
    yield from _missing_files(conf, RABBIT)
    yield from _missing_numbers(conf, 'api_port')
    if conf.api.auth_strategy != 'keystone':
        return
    asked = _options(conf, KEYSTONE)
    if any(asked.get(name) for name in CACHE):
        module, package = PLAIN
        if any(asked.get(name, '').lower() in TRUE for name in OTHER_CLIENT):
            module, package = BINARY
        if importlib.util.find_spec(module) is None:
            yield (
                f'[{KEYSTONE}] memcached_servers needs the module {module}, '
                f'which is not installed: "pip install {package}" does that. '
                'Without the option each process keeps its own answers.'
            )
    yield from _missing_files(conf, KEYSTONE)


def _missing_numbers(conf: cfg.ConfigOpts, option: str) -> Iterator[str]:
    module, package = PROMETHEUS
    asked = conf.metrics[option] is not None
    if asked and importlib.util.find_spec(module) is None:
        yield (
            f'[metrics] {option} needs the module {module}, which is not '
            f'installed: "pip install {package}" does that. Without the '
            'option no numbers are served.'
        )


def _options(conf: cfg.ConfigOpts, group: str) -> dict[str, str]:
    """What the files say in a group; the last one counts."""
    return {
        name: value
        for _path, found, name, value in verbatim.read_files(conf)
        if found == group
    }


def _missing_files(conf: cfg.ConfigOpts, group: str) -> Iterator[str]:
    asked = _options(conf, group)
    for name in FILES[group]:
        path = asked.get(name)
        if path and not os.access(path, os.R_OK):
            yield f'[{group}] {name}: {path} is not there, or not readable.'


def demand(lacking: Iterator[str]) -> None:
    """:raises cfg.Error: something is lacking; it tells all of that."""
    sentences = list(lacking)
    if sentences:
        raise cfg.Error(' '.join(sentences))
