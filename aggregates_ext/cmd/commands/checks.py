"""What ``upgrade check`` looks at; each check tells all that it finds."""

import contextlib
import os
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from oslo_config import cfg

from aggregates_ext import conf as settings
from aggregates_ext import exception
from aggregates_ext import policyfile
from aggregates_ext import prerequisites as needed
from aggregates_ext import rpc
from aggregates_ext import verbatim
from aggregates_ext.cmd.commands import group
from aggregates_ext.db import records
from aggregates_ext.db.engine import server as db_server
from aggregates_ext.db.schema import migration
from aggregates_ext.domain import hosts
from aggregates_ext.domain import services

NOTE, WARNING, FAILURE = 'note', 'warning', 'failure'
# What the tests run on; older ones may do.
TESTED = {'sqlite': (3, 40), 'mariadb': (10, 11), 'postgresql': (15,)}
# Option of [compute], the least for real hosts, why.
LEAST = (
    ('fuse_wait', 10, 'a xapi that has joined restarts only after ten'),
    ('designate_wait', 180, 'a second change of master can wreck the pool'),
    ('confirm_interval', 30, 'two looks must be far enough apart'),
    ('join_timeout', 180, 'XenAPI itself may need three minutes'),
    ('observe_timeout', 30, 'each member that is silent takes five'),
    ('lease_ttl', 30, 'a database may take 12 s to answer, and half of the '
     'value must be left'),
)  # fmt: skip
# Seconds: TimeoutStopSec of the units, less what the end itself takes.
STOP_LIMIT = 75


class Finding(NamedTuple):
    """One thing that is not as it should be.

    :ivar level: NOTE: it is as it should be; WARNING: it works, perhaps not
        as meant; or FAILURE.
    """

    level: str
    message: str


def values(tools: group.Tools) -> Iterator[Finding]:
    """Options whose value cannot be read."""
    try:
        settings.validate(tools.conf)
    except (ValueError, cfg.Error) as exc:
        yield Finding(FAILURE, f'{str(exc).rstrip(".")}.')


def names(tools: group.Tools) -> Iterator[Finding]:
    """Options in our groups that do not exist: mistyped, or removed."""
    known = {
        name: {opt.name for opt in opts} for name, opts in settings.list_opts()
    }
    account = known.pop('xenserver:default')
    for path, section, name, _value in verbatim.read_files(tools.conf):
        right = known.get(section)
        if section.startswith('xenserver:'):
            right = account
        if name not in (right or {name}):
            yield Finding(
                WARNING, f'{path}: [{section}] has no option {name}.'
            )


def time_limits(tools: group.Tools) -> Iterator[Finding]:
    """Limits that are too short for real hosts, or for one another."""
    options = tools.conf.compute
    for name, least, reason in LEAST:
        if options[name] < least:
            yield Finding(
                WARNING,
                f'[compute] {name} = {options[name]:g} is for simulated '
                f'hosts: with less than {least}, {reason}.',
            )
    if options.master_timeout < options.designate_wait:
        yield Finding(
            WARNING,
            f'[compute] master_timeout = {options.master_timeout:g} is less '
            f'than designate_wait = {options.designate_wait:g}.',
        )
    for name in ('api', 'compute'):
        limit = tools.conf[name].graceful_shutdown_timeout
        if limit > STOP_LIMIT:
            yield Finding(
                WARNING,
                f'[{name}] graceful_shutdown_timeout = {limit:g}: systemd '
                'kills the service first, unless TimeoutStopSec is raised.',
            )


def prerequisites(tools: group.Tools) -> Iterator[Finding]:
    """Files and modules that options need and that are not there."""
    lacking = [
        *needed.of_api(tools.conf),
        *needed.of_compute(tools.conf),
    ]
    for sentence in dict.fromkeys(lacking):
        yield Finding(FAILURE, sentence)


def server(tools: group.Tools) -> Iterator[Finding]:
    """A database that no test runs on, or that is asked in a wrong way."""
    found = db_server.describe(tools.database)
    told = f'{found.kind} {".".join(map(str, found.version))}'
    if found.kind not in TESTED:
        yield Finding(WARNING, f'The database is {told}; no test runs on it.')
    elif found.version < TESTED[found.kind]:
        tested = '.'.join(map(str, TESTED[found.kind]))
        yield Finding(
            WARNING,
            f'The database is {told}; the tests run on {tested} and newer.',
        )
    if found.waits is not None and found.waits != db_server.ALL_WAIT:
        yield Finding(
            WARNING,
            'The database is a node of a Galera cluster, and wsrep_sync_wait '
            f'is {found.waits}: unless all processes ask one node, some do '
            'not see what was changed by way of another. Set [database] '
            f'mysql_wsrep_sync_wait = {db_server.ALL_WAIT}.',
        )


def sqlite_file(tools: group.Tools) -> Iterator[Finding]:
    """SQLite's file where others may read it, or write it."""
    path = tools.database.engine.url.database
    if tools.database.engine.dialect.name != 'sqlite' or not path:
        return
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(path).st_mode & 0o777
        if mode & 0o007:
            yield Finding(
                WARNING,
                f'{path} has the mode {mode:04o}: everybody on this machine '
                f'can read it. Use {shlex.join(["chmod", "o=", path])}.',
            )


def schema(tools: group.Tools) -> Iterator[Finding]:
    """A schema that is not the newest."""
    fault = migration.find_fault(tools.database)
    if fault:
        yield Finding(FAILURE, fault)


def _registered(tools: group.Tools) -> list[records.Host]:
    """The hosts, where there is a schema that can be asked."""
    if migration.find_fault(tools.database):
        return []
    return hosts.Hosts(tools.database).get_all()


def credentials(tools: group.Tools) -> Iterator[Finding]:
    """Credentials without a password, and hosts without a credential."""
    listed = tools.conf.xenserver.credentials
    if not listed:
        yield Finding(
            WARNING,
            '[xenserver] credentials is empty, which is right where no '
            'compute service runs.',
        )
        return
    for name in listed:
        _username, password = settings.read_credential(tools.conf, name)
        if not password:
            yield Finding(FAILURE, f'[xenserver:{name}] has no password.')
    for host in _registered(tools):
        if host.credential not in listed:
            yield Finding(
                FAILURE,
                f'Host {host.name} has the credential {host.credential}, '
                'which [xenserver] credentials does not list.',
            )


def urls(tools: group.Tools) -> Iterator[Finding]:
    """Hosts to which passwords go in clear."""
    for host in _registered(tools):
        if records.is_clear(host.url):
            yield Finding(
                FAILURE,
                f'Host {host.name} is at {host.url}: a password would cross '
                'the network in clear.',
            )


def policy_file(tools: group.Tools) -> Iterator[Finding]:
    """Wrong references in it, and rules of ours that do not exist."""
    faults = list(policyfile.find_faults(tools.conf))
    for wrong in faults:
        yield Finding(FAILURE, wrong)
    if faults:
        return
    for name in policyfile.find_unknown(policyfile.load(tools.conf)):
        yield Finding(
            WARNING, f'The policy file has a rule {name}, which is unknown.'
        )


def compute_services(tools: group.Tools) -> Iterator[Finding]:
    """Who does the work; nobody before the first start, or a stop."""
    if migration.find_fault(tools.database):
        return
    known = services.Services(tools.database)
    found = known.get_all()
    lost = found and not any(beat.alive for beat in found)
    yield Finding(WARNING if lost else NOTE, known.describe())


def paste_file(tools: group.Tools) -> Iterator[Finding]:
    """No Paste file, or one that is used without Keystone."""
    name = tools.conf.api.paste_config
    if settings.find_file(name) is None:
        places = ', '.join(settings.config_dirs())
        yield Finding(
            WARNING,
            f'The Paste file {name} is in none of {places}, which is right '
            'where no API runs.',
        )
    if tools.conf.api.auth_strategy == 'noauth':
        yield Finding(
            WARNING,
            '[api] auth_strategy is noauth: everybody who reaches the API '
            'is its administrator.',
        )


def messaging(tools: group.Tools) -> Iterator[Finding]:
    """No messaging, or one that cannot be set up."""
    try:
        transport = rpc.get_transport(tools.conf)
    except exception.Unavailable as exc:
        yield Finding(FAILURE, str(exc))
        return
    except Exception as exc:
        # Its drivers raise what they like; without a message, which may
        # repeat the URL.
        yield Finding(
            FAILURE,
            f'[DEFAULT] transport_url cannot be used: {type(exc).__name__}.',
        )
        return
    if transport is None:
        yield Finding(
            WARNING,
            '[DEFAULT] transport_url is unset: work begins up to '
            'poll_interval later, and no request is checked beforehand.',
        )
