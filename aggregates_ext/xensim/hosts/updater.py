"""The plugin of XCP-ng that installs updates by yum (xapi#updater)."""

import collections.abc
import json

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.calls import tasks
from aggregates_ext.xensim.hosts import calls as host_calls
from aggregates_ext.xensim.hosts import updates
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import packages
from aggregates_ext.xensim.world import world as worlds

NAME = 'updater.py'
REPOSITORIES = 'xcp-ng-base,xcp-ng-updates'
BEFORE = '0-1'
"""Version and release of what an update replaces."""

Arguments = dict[str, str]
Function = collections.abc.Callable[
    [operations.Context, hosts.Host, Arguments], operations.Steps
]


def call_plugin(
    context: operations.Context,
    ref: str,
    plugin: str,
    name: str,
    arguments: Arguments,
) -> operations.Steps:
    """Run a function of a plugin on a host; the value is a text."""
    host: hosts.Host = yield from host_calls.reach(context, ref)
    brand = host.software_version.get('product_brand')
    if plugin != NAME or brand != 'XCP-ng':
        raise failure.Failure('XENAPI_MISSING_PLUGIN', plugin)
    function = _FUNCTIONS.get(name)
    if function is None:
        raise failure.Failure('UNKNOWN_XENAPI_PLUGIN_FUNCTION', name)
    xapi = host.xapi
    value = yield from function(context, host, arguments)
    if host.xapi is not xapi:
        raise failure.Failure('CANNOT_CONTACT_HOST', ref)
    return value


def _failed(
    message: str, code: int = -1, details: str = ''
) -> failure.Failure:
    """What a function fails of: its code is that of a process."""
    trace = f'Traceback (most recent call last):\n{message}\n'
    return failure.Failure(str(code), message, details, trace)


def _running(context: operations.Context, host: hosts.Host) -> str:
    """Which function holds the lock."""
    if host.installation is not None:
        return 'update'
    return 'check_update' if host.checked_until > context.now else ''


def _lock(
    context: operations.Context, host: hosts.Host, operation: str
) -> operations.Steps:
    """An update waits for what is short, and for no other update."""
    times = context.world.times
    patience = times.updater_lock if operation == 'update' else 0.0
    if patience and _running(context, host):
        _assert_first(operation, _running(context, host))
        while patience > 0 and _running(context, host):
            yield times.pool_operation_retry
            patience -= times.pool_operation_retry
    if running := _running(context, host):
        _assert_first(operation, running)
        raise _failed(
            f'The updater plugin is busy (current operation: {running})'
        )
    return ''


def _assert_first(operation: str, running: str) -> None:
    if operation == running == 'update':
        raise _failed('Update already in progress')


def _lacks(
    context: operations.Context, host: hosts.Host
) -> list[worlds.Release]:
    pool = context.db.pool['uuid']
    return packages.missing(context.world, pool, host, synced=False)


def _check_update(
    context: operations.Context, host: hosts.Host, arguments: Arguments
) -> operations.Steps:
    """The packages that are new."""
    yield from _lock(context, host, 'check_update')
    seconds = context.world.times.check_update
    host.checked_until = context.now + seconds
    yield seconds
    newest = {
        found['name']: _shown(found, release)
        for release in _lacks(context, host)
        for found in map(packages.parsed, release.packages)
    }
    return json.dumps(list(newest.values()))


def _shown(
    found: dict[str, str], release: worlds.Release
) -> dict[str, object]:
    return {
        'name': found['name'],
        'version': found['version'],
        'release': found['release'],
        'description': f'Update {release.name}',
        'changelog': {
            'date': int(release.issued),
            'author': 'Packager <packager@example.com>',
            'description': f'- {release.name}',
        },
        'url': 'https://xcp-ng.org',
        'size': 1 << 20,
        'license': 'GPLv2',
    }


def _update(
    context: operations.Context, host: hosts.Host, arguments: Arguments
) -> operations.Steps:
    """Install what is new: all, or packages that are named."""
    yield from _lock(context, host, 'update')
    db, named = context.db, arguments.get('packages', '')
    row = db.row('host', db.by_uuid('host', host.uuid))
    subject = f'{row["name_label"]} ({row["uuid"]})'
    label = f'Update {named} on host {subject}' if named else ''
    task = tasks.create(context, label or f'Update host {subject}', '')
    command = ['yum', 'update', '--disablerepo=*']
    command += [f'--enablerepo={REPOSITORIES}', '-y', *([named] * bool(named))]
    releases = [
        release
        for release in _lacks(context, host)
        if not named or _names(release) & {*named.split()}
    ]
    running = packages.install(context.world, host, releases, booted=True)
    error = None
    try:
        yield from updates.wait(context, running)
    except failure.Failure as exc:
        text = ' '.join(exc.description)
        details = f"stdout: '', stderr: '{text}'"
        message = f"Command '{command}' failed with code: 1"
        error = _failed(message, 1, details)
    _end_task(context, db, host, task)
    if error is not None:
        raise error
    return json.dumps(
        {
            'stdout': 'Complete!\n'
            if releases
            else 'No packages marked for update\n',
            'stderr': '',
            'command': command,
            'returncode': 0,
        }
    )


def _end_task(
    context: operations.Context,
    db: database.Database,
    host: hosts.Host,
    task: str,
) -> None:
    """On a master the plugin has the session of its caller alone."""
    own = host is not context.host
    if not own and not db.exists('session', context.session):
        raise _failed("<Fault 401: 'You must log in'>")
    db.delete('task', task)


def _names(release: worlds.Release) -> set[str]:
    return {packages.parsed(one)['name'] for one in release.packages}


def _query_installed(
    context: operations.Context, host: hosts.Host, arguments: Arguments
) -> operations.Steps:
    """The packages with these names, as rpm calls them; no lock."""
    asked = arguments.get('packages', '').replace(',', ' ').split()
    found = dict.fromkeys(asked, '')
    mirror = context.world.mirrors.get(context.db.pool['uuid'])
    releases = mirror.releases if mirror is not None else []
    for release in releases:
        installed = release.name in host.packages
        for text in release.packages:
            package = packages.parsed(text)
            name, arch = package['name'], package['arch']
            if name in found and installed:
                found[name] = text
            elif name in found:
                found[name] = found[name] or f'{name}-{BEFORE}.{arch}'
    yield context.world.times.host_operation
    return json.dumps(found)


_FUNCTIONS: dict[str, Function] = {
    'check_update': _check_update,
    'update': _update,
    'query_installed': _query_installed,
}
