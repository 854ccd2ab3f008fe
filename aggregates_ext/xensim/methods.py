"""The methods of the API which are more than reading and setting a field."""

import collections.abc

from aggregates_ext.xensim.calls import events
from aggregates_ext.xensim.calls import generic
from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.calls import sessions
from aggregates_ext.xensim.calls import signatures
from aggregates_ext.xensim.calls import tasks
from aggregates_ext.xensim.hosts import calls as host_calls
from aggregates_ext.xensim.hosts import power as host_power
from aggregates_ext.xensim.hosts import storage
from aggregates_ext.xensim.hosts import updater
from aggregates_ext.xensim.hosts import updates as host_updates
from aggregates_ext.xensim.join import steps as join_steps
from aggregates_ext.xensim.machines import calls as machine_calls
from aggregates_ext.xensim.machines import devices
from aggregates_ext.xensim.machines import evacuation
from aggregates_ext.xensim.machines import migration
from aggregates_ext.xensim.machines import power as machine_power
from aggregates_ext.xensim.plan import versions
from aggregates_ext.xensim.pool import availability
from aggregates_ext.xensim.pool import calls as pool_calls
from aggregates_ext.xensim.pool import designate
from aggregates_ext.xensim.pool import eject
from aggregates_ext.xensim.pool import emergency
from aggregates_ext.xensim.records import schema
from aggregates_ext.xensim.wire import codec

_declare = signatures.declare
_without_session = signatures.without_session


def list_methods(context: operations.Context) -> codec.Bare:
    """The names of all methods, in no envelope (xapi#error-answers)."""
    version = context.host.spec.version
    known = {*METHODS, *generic.names()}
    return codec.Bare(
        name for name in sorted(known) if versions.knows(version, name)
    )


METHODS: collections.abc.Mapping[str, signatures.Method] = {
    'system.listMethods': _without_session(list_methods, ''),
    'session.login_with_password': _without_session(
        sessions.login_with_password, 'text text text text', 2
    ),
    'session.slave_local_login_with_password': _without_session(
        sessions.slave_local_login_with_password, 'text text'
    ),
    'session.logout': _declare(sessions.logout),
    'session.local_logout': _declare(sessions.local_logout),
    'session.get_all_subject_identifiers': _declare(
        sessions.get_all_subject_identifiers
    ),
    'session.change_password': _declare(sessions.change_password, 'text text'),
    'event.from': _declare(events.event_from, 'items text real'),
    'event.next': _declare(events.event_next),
    'event.register': _declare(events.register, 'items'),
    'event.unregister': _declare(events.unregister, 'items'),
    'event.inject': _declare(events.inject, 'text ref'),
    'event.get_current_id': _declare(events.get_current_id),
    'task.create': _declare(tasks.create, 'text text'),
    'task.cancel': _declare(tasks.cancel, 'ref'),
    'task.destroy': _declare(tasks.destroy, 'ref'),
    'pool.join': _declare(join_steps.join, 'text text text'),
    'pool.join_force': _declare(join_steps.join_force, 'text text text'),
    'pool.eject': _declare(eject.eject, 'ref'),
    'pool.designate_new_master': _declare(designate.designate, 'ref'),
    'pool.is_slave': _declare(pool_calls.is_slave, 'ref'),
    'pool.sync_database': _declare(pool_calls.sync_database),
    'pool.certificate_sync': _declare(pool_calls.certificate_sync),
    'pool.enable_tls_verification': _declare(
        pool_calls.enable_tls_verification
    ),
    'pool.enable_ha': _declare(availability.enable, 'items mapping'),
    'pool.disable_ha': _declare(availability.disable),
    'pool.set_ha_host_failures_to_tolerate': _declare(
        availability.set_failures, 'ref number'
    ),
    'pool.sync_updates': _declare(
        host_updates.sync, 'ref flag text text text text', 4
    ),
    'pool.check_update_readiness': _declare(
        host_updates.check_readiness, 'ref flag'
    ),
    'pool.ha_compute_max_host_failures_to_tolerate': _declare(
        availability.compute_most
    ),
    'pool.ha_failover_plan_exists': _declare(
        availability.plan_exists, 'number'
    ),
    'host.assert_can_evacuate': _declare(
        evacuation.assert_can_evacuate, 'ref'
    ),
    'host.get_vms_which_prevent_evacuation': _declare(
        evacuation.get_vms_which_prevent_evacuation, 'ref'
    ),
    'host.evacuate': _declare(evacuation.evacuate, 'ref ref number', 2),
    'host.compute_free_memory': _declare(
        host_calls.compute_free_memory, 'ref'
    ),
    'host.call_plugin': _declare(updater.call_plugin, 'ref text text mapping'),
    'host.apply_updates': _declare(host_updates.apply, 'ref text'),
    'host.power_on': _declare(host_power.power_on, 'ref'),
    'host.set_power_on_mode': _declare(
        host_power.set_power_on_mode, 'ref text mapping'
    ),
    'host.get_uncooperative_resident_VMs': _declare(
        host_calls.get_uncooperative_resident_vms, 'ref'
    ),
    'host.disable': _declare(host_calls.disable, 'ref flag', 1),
    'host.enable': _declare(host_calls.enable, 'ref'),
    'host.destroy': _declare(host_calls.destroy, 'ref'),
    'host.declare_dead': _declare(host_calls.declare_dead, 'ref'),
    'host.restart_agent': _declare(host_calls.restart_agent, 'ref'),
    'host.shutdown': _declare(host_power.shutdown, 'ref'),
    'host.reboot': _declare(host_power.reboot, 'ref'),
    'host.get_servertime': _declare(host_calls.get_servertime, 'ref'),
    'host.get_management_interface': _declare(
        host_calls.get_management_interface, 'ref'
    ),
    'pool.emergency_transition_to_master': _declare(
        emergency.transition_to_master
    ),
    'pool.emergency_reset_master': _declare(emergency.reset_master, 'text'),
    'pool.recover_slaves': _declare(emergency.recover_slaves),
    'host.emergency_disable_tls_verification': _declare(
        emergency.disable_tls_verification
    ),
    'host.emergency_ha_disable': _declare(emergency.ha_disable, 'flag', 1),
    'host.emergency_reset_server_certificate': _declare(
        emergency.reset_server_certificate
    ),
    'host.local_assert_healthy': _declare(emergency.local_assert_healthy),
    'host.local_management_reconfigure': _declare(
        emergency.local_management_reconfigure, 'text'
    ),
    'host.shutdown_agent': _declare(emergency.shutdown_agent),
    'host.is_in_emergency_mode': _declare(host_calls.is_in_emergency_mode),
    'VM.create': _declare(machine_calls.create, 'record'),
    'VM.destroy': _declare(machine_calls.destroy, 'ref'),
    'VM.start': _declare(machine_power.start, 'ref flag flag'),
    'VM.start_on': _declare(machine_power.start_on, 'ref ref flag flag'),
    'VM.resume': _declare(machine_power.resume, 'ref flag flag'),
    'VM.resume_on': _declare(machine_power.resume_on, 'ref ref flag flag'),
    'VM.suspend': _declare(machine_power.suspend, 'ref'),
    'VM.pause': _declare(machine_power.pause, 'ref'),
    'VM.unpause': _declare(machine_power.unpause, 'ref'),
    'VM.hard_reboot': _declare(machine_power.hard_reboot, 'ref'),
    'VM.hard_shutdown': _declare(machine_power.hard_shutdown, 'ref'),
    'VM.clean_reboot': _declare(machine_power.clean_reboot, 'ref'),
    'VM.clean_shutdown': _declare(machine_power.clean_shutdown, 'ref'),
    'VM.power_state_reset': _declare(machine_power.power_state_reset, 'ref'),
    'VM.pool_migrate': _declare(migration.pool_migrate, 'ref ref mapping'),
    'VM.assert_can_migrate': _declare(
        migration.assert_can_migrate,
        'ref mapping flag mapping mapping mapping mapping',
        1,
    ),
    'VM.assert_can_boot_here': _declare(
        machine_calls.assert_can_boot_here, 'ref ref'
    ),
    'VM.assert_agile': _declare(machine_calls.assert_agile, 'ref'),
    'VM.get_possible_hosts': _declare(machine_calls.get_possible_hosts, 'ref'),
    'PBD.plug': _declare(storage.plug, 'ref'),
    'PBD.unplug': _declare(storage.unplug, 'ref'),
    'network.create': _declare(devices.create_network, 'record'),
    'VLAN.create': _declare(devices.create_vlan, 'ref number ref'),
    'message.create': _declare(
        devices.create_message, 'text number text text text'
    ),
    'message.destroy': _declare(devices.destroy_message, 'ref'),
    'message.get': _declare(devices.get_messages, 'text text date'),
}

EMERGENCY = frozenset(
    {
        'session.slave_local_login_with_password',
        'session.local_logout',
        'host.is_in_emergency_mode',
        'pool.is_slave',
        'pool.emergency_reset_master',
        'pool.emergency_transition_to_master',
        'host.emergency_disable_tls_verification',
        'host.emergency_ha_disable',
        'host.emergency_reset_server_certificate',
        'host.local_assert_healthy',
        'host.local_management_reconfigure',
        'host.shutdown_agent',
    }
)
"""Calls which are answered in emergency mode (xapi#emergency)."""

PREFIXES = ('Async.', 'InternalAsync.')


def canonical(name: str) -> str:
    """class.method, for either spelling (xapi#wire)."""
    if '.' in name:
        return name
    for kind in [*schema.CLASSES, 'event']:
        method = name.removeprefix(f'{kind}_')
        if method != name and find(f'{kind}.{method}'):
            return f'{kind}.{method}'
    return name


def find(name: str) -> signatures.Method | None:
    """The method with a canonical name."""
    kind, _, method = name.partition('.')
    return METHODS.get(name) or generic.find(kind, method)
