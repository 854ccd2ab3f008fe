"""Every option, with what happens when it is changed."""

import argparse
import contextlib
import os
import pathlib
import re
import ssl
import sys
from collections.abc import Callable
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from oslo_config import cfg
from oslo_config import types
from oslo_db import options as db_options
from oslo_log import log as logging

from aggregates_ext import verbatim

# alembic tells at each look at the schema which database it is.
QUIET = ('alembic=WARNING',)
NO_COMPLETION = 'shell_completion'
# Reads the configuration into an object, and returns that.
Parse = Callable[[cfg.ConfigOpts], cfg.ConfigOpts]


class _Ciphers(types.String):
    """A list of ciphers that OpenSSL knows."""

    def __call__(self, value: Any) -> str:
        text = str(super().__call__(value))
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).set_ciphers(text)
        except ssl.SSLError as exc:
            raise ValueError(f'{text!r} selects no cipher of OpenSSL') from exc
        return text


# A project or user that Keystone never makes.
NOBODY = '0' * 32

API_OPTS = [
    cfg.HostAddressOpt(
        'bind_host',
        default='127.0.0.1',
        help='Address that aggregates-ext-api listens on. With another than '
        'loopback put a TLS proxy in front: the server speaks plain HTTP.',
    ),
    cfg.PortOpt(
        'bind_port',
        default=8774,
        help='Port that aggregates-ext-api listens on.',
    ),
    cfg.IntOpt(
        'threads',
        default=8,
        min=1,
        max=256,
        help='Requests that aggregates-ext-api serves at once; further ones '
        'wait in its queue.',
    ),
    cfg.IntOpt(
        'connection_limit',
        default=1000,
        min=10,
        help='Connections that aggregates-ext-api holds at once. Slow or idle '
        'ones take no thread; further ones wait until one ends.',
    ),
    cfg.StrOpt(
        'paste_config',
        default='api-paste.ini',
        help='The Paste file of the stand-alone API, looked for beside the '
        'configuration unless absolute.',
    ),
    cfg.StrOpt(
        'auth_strategy',
        default='keystone',
        choices=['keystone', 'noauth'],
        help='Which pipelines of the Paste file serve: keystone checks '
        'tokens; noauth trusts everybody as administrator, for trials only.',
    ),
    cfg.FloatOpt(
        'check_timeout',
        default=5.0,
        min=0,
        max=60,
        help='Seconds that a request to add or remove a host waits for a '
        'compute service to check it beforehand. Without an answer the '
        'request is accepted and the same check runs in the operation. '
        '0 never waits.',
    ),
    cfg.FloatOpt(
        'graceful_shutdown_timeout',
        mutable=True,
        default=60.0,
        min=0,
        help='Seconds that SIGTERM leaves aggregates-ext-api to answer the '
        'requests in flight.',
    ),
    cfg.IntOpt(
        'cache_size',
        default=48,
        min=0,
        max=65_536,
        help='MiB that each API process may keep of aggregates as they look. '
        'What is kept is served only while the database says in the same '
        'request that nothing shown has changed. 1,000 aggregates of 10 '
        'hosts take about 2 MiB for each face. 0 keeps nothing.',
    ),
    cfg.FloatOpt(
        'settle_wait',
        default=10.0,
        min=0,
        max=60,
        help='Seconds that add_host waits for a host which is just leaving, '
        'and a deletion for operations that are just ending, before 409. To '
        'disable or enable a host waits as long for its pool, before it is '
        'answered all the same.',
    ),
    cfg.StrOpt(
        'guests_project_id',
        default=NOBODY,
        help='The project that the guests of pools belong to, which know no '
        'projects. Who is in it sees them as servers without all_tenants.',
    ),
    cfg.StrOpt(
        'guests_user_id',
        default=NOBODY,
        help='The user whom the guests of pools belong to.',
    ),
]

COMPUTE_OPTS = [
    cfg.IntOpt(
        'workers',
        default=128,
        min=1,
        max=256,
        help='Pools worked on side by side; further ones wait. Each takes a '
        'thread, which mostly waits for its hosts.',
    ),
    cfg.FloatOpt(
        'poll_interval',
        mutable=True,
        default=1.0,
        min=0.05,
        max=60,
        help='Seconds between two looks into the database for work. A '
        'wake-up by oslo.messaging comes sooner. While something goes on in '
        'a pool, watch_interval counts where it is shorter.',
    ),
    cfg.FloatOpt(
        'watch_interval',
        mutable=True,
        default=0.5,
        min=0.01,
        max=60,
        help='Seconds between two looks at a host while something happens '
        'to it.',
    ),
    cfg.FloatOpt(
        'observe_interval',
        mutable=True,
        default=60.0,
        min=0.1,
        help='Seconds between two observations of a pool at rest, or of a '
        'free host. Longer spares the hosts, and shows drift later. The API '
        'takes a host for down that was not seen three times.',
    ),
    cfg.FloatOpt(
        'history_days',
        mutable=True,
        default=90.0,
        min=0,
        max=36_500,
        help='Days after which operations and moves that have ended are '
        'deleted, unless something still depends on them, and with the last '
        'one the row of a deleted aggregate. Looked after each hour. 0 keeps '
        'all of them.',
    ),
    cfg.FloatOpt(
        'lease_ttl',
        default=30.0,
        min=1,
        max=600,
        help='Seconds until another compute service takes over the pools of '
        'one that died. Renewed at a third of it. All compute services of '
        'one database must have the same value.',
    ),
    cfg.FloatOpt(
        'call_timeout',
        mutable=True,
        default=30.0,
        min=0.1,
        max=600,
        help='Seconds that one XenAPI request may take as a whole, from the '
        'connection to the last byte of the answer.',
    ),
    cfg.FloatOpt(
        'observe_timeout',
        mutable=True,
        default=60.0,
        min=0.1,
        max=600,
        help='Seconds that one look at a pool may take as a whole, whatever '
        'the number of its calls: an observation, or a check of a host. '
        'Operations on the aggregate wait meanwhile, so longer lets a host '
        'that answers slowly delay them more.',
    ),
    cfg.IntOpt(
        'max_answer',
        mutable=True,
        default=64,
        min=1,
        max=1024,
        help='MiB that the answer of a host to one XenAPI request may have; '
        'what is larger is not read. Raise it for pools of more than some '
        '5,000 guests.',
    ),
    cfg.BoolOpt(
        'enable_tls_verification',
        mutable=True,
        default=True,
        help='Let a join switch TLS verification on at the joining host, '
        'where the pool has it on and the host, after an eject, has it off. '
        'Otherwise such a join is refused until somebody does that.',
    ),
    cfg.FloatOpt(
        'join_timeout',
        mutable=True,
        default=600.0,
        min=1,
        help='Seconds after which a join whose outcome is not known becomes '
        'unresolved. XenAPI itself may need three minutes.',
    ),
    cfg.FloatOpt(
        'eject_timeout',
        mutable=True,
        default=600.0,
        min=1,
        help='Seconds after which an eject whose outcome is not known '
        'becomes unresolved.',
    ),
    cfg.FloatOpt(
        'master_timeout',
        mutable=True,
        default=600.0,
        min=1,
        help='Seconds after which a change of master whose outcome is not '
        'known becomes unresolved, and members that are not back get an '
        'alarm. Not less than designate_wait.',
    ),
    cfg.FloatOpt(
        'designate_wait',
        mutable=True,
        default=180.0,
        min=0.01,
        help='Seconds after a change of master was sent in which it is only '
        'watched, and no other is sent to the pool by anybody. A second one '
        'while the hosts restart can wreck the pool: shorten it for '
        'simulated hosts alone.',
    ),
    cfg.FloatOpt(
        'return_timeout',
        mutable=True,
        default=1800.0,
        min=0,
        help='Seconds after which an ejected host that has not come back is '
        'reported as overdue.',
    ),
    cfg.FloatOpt(
        'fuse_wait',
        mutable=True,
        default=60.0,
        min=0.1,
        help='Seconds that a host whose join has succeeded may go on '
        'answering as its old self. xapi restarts after about ten.',
    ),
    cfg.FloatOpt(
        'confirm_interval',
        mutable=True,
        default=30.0,
        min=0.01,
        help='Seconds between the two looks that must agree before a join is '
        'called half-done and its remains are removed from the pool, or a '
        'host is called silent and forgotten by force.',
    ),
    cfg.IntOpt(
        'move_concurrency',
        mutable=True,
        default=3,
        min=1,
        max=4,
        help='Guests that leave one host at a time. A host copies four at '
        'once; the others wait there.',
    ),
    cfg.FloatOpt(
        'move_timeout',
        mutable=True,
        default=7200.0,
        min=1,
        help='Seconds without progress after which the move of a guest is '
        'given up.',
    ),
    cfg.FloatOpt(
        'power_timeout',
        mutable=True,
        default=1800.0,
        min=1,
        help='Seconds after which a host that was told to reboot, to shut '
        'down or to start, and is not seen to have done so, is given up.',
    ),
    cfg.FloatOpt(
        'update_timeout',
        mutable=True,
        default=3600.0,
        min=1,
        help='Seconds after which a host that does not end to install its '
        'updates is given up.',
    ),
    cfg.FloatOpt(
        'power_wait',
        mutable=True,
        default=60.0,
        min=0.01,
        help='Seconds for which nothing must be seen of what a host was told, '
        'to reboot, to shut down or to start, before that is repeated, once. '
        'A host goes down ten seconds after it was told: shorten it for '
        'simulated hosts alone.',
    ),
    cfg.FloatOpt(
        'shutdown_timeout',
        mutable=True,
        default=600.0,
        min=1,
        help='Seconds that a guest has to go down which is shut down by '
        'consent for maintenance; then that fails, or it is shut down hard '
        'where that was allowed.',
    ),
    cfg.BoolOpt(
        'xencenter_keys',
        mutable=True,
        default=True,
        help='Let XenCenter know of hosts in maintenance, by the keys in '
        'other_config of a host that it writes itself. It shows them so, and '
        'disables them again when it connects. What is there is removed when '
        'a host leaves maintenance, whatever this says.',
    ),
    cfg.FloatOpt(
        'retry_interval',
        mutable=True,
        default=5.0,
        min=0.01,
        help='Seconds before an operation that met a passing obstacle (a '
        'host that boots, does not answer or is busy) is tried again; '
        'doubled each time up to a minute.',
    ),
    cfg.FloatOpt(
        'graceful_shutdown_timeout',
        mutable=True,
        default=60.0,
        min=0,
        help='Seconds that SIGTERM leaves to the calls in flight.',
    ),
]

XENSERVER_OPTS = [
    cfg.ListOpt(
        'credentials',
        mutable=True,
        default=[],
        help='Names of the credentials. For each name a group '
        '[xenserver:NAME] holds username and password.',
    ),
    cfg.StrOpt(
        'ca_file',
        mutable=True,
        help='PEM file of the authorities that signed the certificates of '
        "the hosts; unset: the system's. A host with a fingerprint of its "
        'own is checked by that instead.',
    ),
]

CREDENTIAL_OPTS = [
    cfg.StrOpt(
        'username',
        mutable=True,
        default='root',
        help='Account on the host; it must have the pool-operator role.',
    ),
    cfg.StrOpt(
        'password',
        mutable=True,
        secret=True,
        help='Password of the account, taken as it stands: "$" is itself. '
        'Any oslo.config driver (environment, castellan, a file of its own) '
        'can hold it; as a variable it is OS_XENSERVER_DEFAULT__PASSWORD for '
        'the credential default.',
    ),
    cfg.StrOpt(
        'tls_minimum',
        mutable=True,
        choices=['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'],
        help='The oldest TLS over which this password is sent; unset: what '
        'Python takes by default, TLSv1.2 today. Releases of XenServer '
        'before 7.0 need TLSv1; it can be read and changed by whoever is '
        'between, so keep them in a network of their own.',
    ),
    cfg.Opt(
        'tls_ciphers',
        type=_Ciphers(),
        mutable=True,
        help='The ciphers for it, as OpenSSL lists them; unset: the default, '
        'and DEFAULT:@SECLEVEL=0 where tls_minimum is older than TLSv1.2, '
        'which OpenSSL does not speak otherwise.',
    ),
]

NOTIFICATION_OPTS = [
    cfg.BoolOpt(
        'enabled',
        default=False,
        help='Write down what changes, and let compute services tell it on '
        'the bus. API and compute services must have the same value. Where '
        'to is said by [oslo_messaging_notifications], whose driver is '
        'messagingv2 unless it is set.',
    ),
    cfg.ListOpt(
        'versioned_notifications_topics',
        default=['versioned_notifications'],
        help="The topics that get them; those of Nova's option of that name, "
        'where the same consumers listen.',
    ),
    cfg.FloatOpt(
        'keep_time',
        mutable=True,
        default=86_400.0,
        min=1,
        help='Seconds for which what cannot be told is kept for when the '
        'broker is back. What is older is dropped.',
    ),
    cfg.IntOpt(
        'keep_messages',
        mutable=True,
        default=100_000,
        min=1,
        help='How many are kept for then. The oldest above that are dropped.',
    ),
]

METRICS_OPTS = [
    cfg.HostAddressOpt(
        'bind_host',
        default='127.0.0.1',
        help='Address on which numbers for Prometheus are served. Whoever '
        'reaches it reads them without a password, names of hosts and '
        'aggregates among them: with another than loopback let a firewall '
        'say who does.',
    ),
    cfg.PortOpt(
        'api_port',
        help='Port on which aggregates-ext-api serves the numbers of its '
        'requests, at /metrics. Unset: it counts none.',
    ),
    cfg.PortOpt(
        'compute_port',
        help='Port on which aggregates-ext-compute serves the numbers of its '
        'work and of all pools, at /metrics. Unset: it counts none.',
    ),
    cfg.IntOpt(
        'max_hosts',
        mutable=True,
        default=1000,
        min=0,
        help='Hosts that have numbers of their own, by the order of their '
        'registration. Further ones are in the sums alone, and counted in '
        'aggregates_ext_left_out.',
    ),
    cfg.IntOpt(
        'max_pools',
        mutable=True,
        default=500,
        min=0,
        help='The same for pools, by the ids of their aggregates.',
    ),
]

_ALIAS_OPTS = [
    cfg.StrOpt('username', mutable=True, help='As in [xenserver:NAME].'),
    cfg.StrOpt(
        'password',
        mutable=True,
        secret=True,
        help='As in [xenserver:NAME].',
    ),
]

_GROUPS = {
    'api': ('The API process', API_OPTS),
    'compute': ('The compute service', COMPUTE_OPTS),
    'xenserver': ('How hosts are reached', XENSERVER_OPTS),
    'notifications': ('What is told on the bus', NOTIFICATION_OPTS),
    'metrics': ('Numbers for Prometheus', METRICS_OPTS),
}


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Make the options known to ``conf``; twice does no harm."""
    for name, (title, opts) in _GROUPS.items():
        # A group of its own: configurations share what is in a group.
        conf.register_group(cfg.OptGroup(name, title=title))
        conf.register_opts(opts, name)
    db_options.set_defaults(conf)


def register_credential(conf: cfg.ConfigOpts, name: str) -> str:
    """Register the group of one named credential.

    :returns: the name of the group.
    """
    group = f'xenserver:{name}'
    conf.register_opts(CREDENTIAL_OPTS, group)
    return group


def read_credential(conf: cfg.ConfigOpts, name: str) -> tuple[str, str | None]:
    """User name and password of a named credential, as they are now.

    Shells and systemd cannot set ``OS_XENSERVER:DEFAULT__PASSWORD``, the
    variable of oslo.config's environment driver: a second group, whose name
    has an underscore for each other sign, counts before the first.
    """
    group = conf[register_credential(conf, name)]
    alias = f'xenserver_{re.sub("[^A-Za-z0-9]", "_", name)}'
    conf.register_opts(_ALIAS_OPTS, alias)
    plain = conf[alias]
    return (
        plain.username or group.username,
        plain.password or group.password,
    )


def read_tls(conf: cfg.ConfigOpts, name: str) -> tuple[str | None, str | None]:
    """Oldest version and ciphers of TLS for a named credential."""
    group = conf[register_credential(conf, name)]
    return group.tls_minimum, group.tls_ciphers


def config_dirs() -> list[str]:
    """Where configuration is looked for, first find wins.

    See design#configuration.

    The last place is the ``etc`` of a checkout that is used in place.
    """
    named = os.environ.get('OS_AGGREGATES_EXT_CONFIG_DIR')
    checkout = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    places = [
        '/etc/aggregates_ext',
        f'{sys.prefix}/etc/aggregates_ext',
        f'{checkout}/etc/aggregates_ext',
    ]
    return [named, *places] if named else places


def find_file(name: str) -> str | None:
    """The full path of a configuration file, or None where there is none."""
    for directory in config_dirs():
        path = os.path.join(directory, name)
        if os.path.exists(path):
            return path
    return None


def parse(
    conf: cfg.ConfigOpts,
    args: Sequence[str],
    config_files: Sequence[str] | None = None,
    further: str = '',
    prog: str | None = None,
) -> None:
    """Register the options on ``conf`` and read the configuration.

    :param args: the command line, without the program's name.
    :param config_files: read instead of the default place.
    :param further: a directory beside the first file; what is in it is read
        too, if it is there.
    :param prog: the program's name, if it is not that of its file.
    :raises cfg.Error: a file is not there, or cannot be read.
    """
    verbatim.protect(conf)
    register_opts(conf)
    if config_files is None:
        found = find_file('aggregates_ext.conf')
        config_files = [found] if found else []
    _refuse_completion(conf, args)
    try:
        conf(
            list(args),
            project='aggregates_ext',
            prog=prog,
            version=f'%(prog)s {metadata.version("aggregates_ext")}',
            default_config_files=list(config_files),
            default_config_dirs=_beside(config_files, further),
        )
    except UnicodeDecodeError as exc:
        raise cfg.Error(
            f'{_undecodable(args, config_files)} is not UTF-8 (byte '
            f'{exc.object[exc.start]:#04x}). Convert it, such as with iconv.'
        ) from None


def _beside(files: Sequence[str], further: str) -> list[str]:
    """A directory beside the first file, if it is asked for and there."""
    if not files or not further:
        return []
    path = os.path.join(os.path.dirname(files[0]), further)
    return [path] if os.path.isdir(path) else []


def _refuse_completion(conf: cfg.ConfigOpts, args: Sequence[str]) -> None:
    """oslo.config ships none of the templates that it needs for this."""
    with contextlib.suppress(cfg.ArgsAlreadyParsedError):
        conf.unregister_opt(cfg.StrOpt(NO_COMPLETION))
    if args and args[0] == f'--{NO_COMPLETION}':
        raise cfg.Error(f'There is no --{NO_COMPLETION} here.')


def _undecodable(args: Sequence[str], files: Sequence[str]) -> str:
    """The file that oslo.config could not decode, which it does not name."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument('--config-file', action='append', default=[])
    parser.add_argument('--config-dir', action='append', default=[])
    named, _others = parser.parse_known_args(args)
    paths = [pathlib.Path(path) for path in named.config_file or files]
    for directory in named.config_dir:
        paths += sorted(pathlib.Path(directory).glob('*.conf'))
    for path in paths:
        try:
            path.read_text(encoding='utf-8')
        except UnicodeDecodeError:
            return str(path)
        except OSError:
            continue
    return 'A file of the configuration'


def parse_service(conf: cfg.ConfigOpts, args: Sequence[str]) -> cfg.ConfigOpts:
    """Read the configuration of a service, with options for its log.

    :returns: ``conf``.
    """
    register_log(conf)
    parse(conf, args)
    return conf


def register_log(conf: cfg.ConfigOpts, *levels: str) -> None:
    """Register the options for a log in which libraries say what matters.

    :param levels: ``LOGGER=LEVEL``, beside those of every program.
    """
    logging.register_options(conf)
    logging.set_defaults(
        default_log_levels=[
            *logging.get_default_log_levels(),
            *QUIET,
            *levels,
        ]
    )


def validate(conf: cfg.ConfigOpts) -> None:
    """Read every option of ours: oslo.config looks at values when asked.

    :raises ValueError: naming an option whose value is wrong.
    :raises cfg.Error: one that names another option which does not exist.
    """
    refused = [f'{path}: {e}' for path, e in verbatim.find_refused(conf)]
    if refused:
        raise cfg.ConfigFileValueError(' '.join(refused))
    for name, (_title, opts) in _GROUPS.items():
        for opt in opts:
            getattr(conf[name], opt.dest)
    for name in conf.xenserver.credentials:
        group = register_credential(conf, name)
        for opt in CREDENTIAL_OPTS:
            getattr(conf[group], opt.dest)
    for name in ('connection', 'slave_connection'):
        getattr(conf.database, name)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """The options, for oslo.config's sample generator."""
    ours = [(name, list(opts)) for name, (_title, opts) in _GROUPS.items()]
    return [*ours, ('xenserver:default', list(CREDENTIAL_OPTS))]
