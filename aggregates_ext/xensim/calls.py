"""The methods of the API which are more than reading and setting a field."""

import collections.abc

from aggregates_ext.xensim import designate
from aggregates_ext.xensim import eject
from aggregates_ext.xensim import generic
from aggregates_ext.xensim import hostcalls
from aggregates_ext.xensim import join
from aggregates_ext.xensim import methods
from aggregates_ext.xensim import poolcalls
from aggregates_ext.xensim import schema
from aggregates_ext.xensim import sessions
from aggregates_ext.xensim import tasks
from aggregates_ext.xensim import vmcalls

_declare = methods.declare
_without_session = methods.without_session

METHODS: collections.abc.Mapping[str, methods.Method] = {
    'session.login_with_password': _without_session(
        sessions.login_with_password, 'text text text text', 2
    ),
    'session.slave_local_login_with_password': _without_session(
        sessions.slave_local_login_with_password, 'text text'
    ),
    'session.logout': _declare(sessions.logout),
    'session.local_logout': _declare(sessions.local_logout),
    'session.change_password': _declare(sessions.change_password, 'text text'),
    'task.create': _declare(tasks.create, 'text text'),
    'task.cancel': _declare(tasks.cancel, 'ref'),
    'task.destroy': _declare(tasks.destroy, 'ref'),
    'pool.join': _declare(join.join, 'text text text'),
    'pool.join_force': _declare(join.join_force, 'text text text'),
    'pool.eject': _declare(eject.eject, 'ref'),
    'pool.designate_new_master': _declare(designate.designate, 'ref'),
    'pool.is_slave': _declare(poolcalls.is_slave, 'ref'),
    'pool.sync_database': _declare(poolcalls.sync_database),
    'pool.enable_tls_verification': _declare(
        poolcalls.enable_tls_verification
    ),
    'host.disable': _declare(hostcalls.disable, 'ref flag', 1),
    'host.enable': _declare(hostcalls.enable, 'ref'),
    'host.destroy': _declare(hostcalls.destroy, 'ref'),
    'host.declare_dead': _declare(hostcalls.declare_dead, 'ref'),
    'host.restart_agent': _declare(hostcalls.restart_agent, 'ref'),
    'host.shutdown': _declare(hostcalls.shutdown, 'ref'),
    'host.reboot': _declare(hostcalls.reboot, 'ref'),
    'host.get_servertime': _declare(hostcalls.get_servertime, 'ref'),
    'host.get_management_interface': _declare(
        hostcalls.get_management_interface, 'ref'
    ),
    'host.is_in_emergency_mode': _declare(hostcalls.is_in_emergency_mode),
    'VM.start': _declare(vmcalls.start, 'ref flag flag'),
    'VM.hard_shutdown': _declare(vmcalls.hard_shutdown, 'ref'),
    'VM.clean_shutdown': _declare(vmcalls.hard_shutdown, 'ref'),
    'VM.destroy': _declare(vmcalls.destroy, 'ref'),
    'PBD.plug': _declare(vmcalls.plug, 'ref'),
    'PBD.unplug': _declare(vmcalls.unplug, 'ref'),
    'network.create': _declare(vmcalls.create_network, 'record'),
}

EMERGENCY = frozenset(
    {
        'session.slave_local_login_with_password',
        'session.local_logout',
        'host.is_in_emergency_mode',
        'pool.is_slave',
    }
)
"""Calls which are answered in emergency mode (contract 2.6)."""

PREFIXES = ('Async.', 'InternalAsync.')


def canonical(name: str) -> str:
    """class.method, for either spelling (contract 2.2)."""
    if '.' in name:
        return name
    for kind in [*schema.CLASSES, 'event']:
        method = name.removeprefix(f'{kind}_')
        if method != name and find(f'{kind}.{method}'):
            return f'{kind}.{method}'
    return name


def find(name: str) -> methods.Method | None:
    """The method with a canonical name."""
    kind, _, method = name.partition('.')
    return METHODS.get(name) or generic.find(kind, method)
