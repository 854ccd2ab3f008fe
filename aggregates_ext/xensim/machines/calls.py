"""Calls on machines which neither move nor start nor stop them."""

import uuid

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.calls import signatures
from aggregates_ext.xensim.install import contents
from aggregates_ext.xensim.machines import agility
from aggregates_ext.xensim.machines import placement
from aggregates_ext.xensim.machines import powerstate
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import schema

GIVEN = (
    'name_label',
    'name_description',
    'user_version',
    'is_a_template',
    'affinity',
    'memory_static_max',
    'memory_static_min',
    'memory_dynamic_max',
    'memory_dynamic_min',
    'VCPUs_params',
    'VCPUs_max',
    'VCPUs_at_startup',
    'actions_after_shutdown',
    'actions_after_reboot',
    'actions_after_crash',
    'PV_bootloader',
    'PV_kernel',
    'PV_ramdisk',
    'PV_args',
    'HVM_boot_policy',
    'HVM_boot_params',
    'platform',
    'other_config',
    'recommendations',
    'xenstore_data',
    'blocked_operations',
    'tags',
)
"""The fields that VM.create takes."""


def create(context: operations.Context, record: database.Record) -> str:
    """Add a halted machine."""
    fields = schema.CLASSES['VM'].fields
    given = {
        field: signatures.convert(fields[field], record[field])
        for field in GIVEN
        if field in record
    }
    machine = topology.Machine(
        given.get('name_label', ''),
        str(uuid.uuid4()),
        'Halted',
        memory=given.get('memory_static_max', topology.Machine.memory),
        vcpus=given.get('VCPUs_max', 1),
    )
    ref = contents.add_vm(context.db, machine, database.NULL)
    context.db.row('VM', ref).update(given)
    return ref


def destroy(context: operations.Context, ref: str) -> str:
    """Remove a machine; its disks stay."""
    db = context.db
    powerstate.assert_in(db, ref, 'Halted')
    for kind in ('VBD', 'VIF'):
        for member in db.where(kind, VM=ref):
            db.delete(kind, member)
    row = db.row('VM', ref)
    db.delete('VM_metrics', row['metrics'])
    db.delete('VM_guest_metrics', row['guest_metrics'])
    db.delete('VM', ref)
    return ''


def assert_can_boot_here(
    context: operations.Context, ref: str, host: str
) -> str:
    """Whether a machine can run on a host (xapi#migration)."""
    placement.assert_fits(context.db, ref, host)
    return ''


def get_possible_hosts(context: operations.Context, ref: str) -> list[str]:
    """The hosts on which a machine can run (xapi#migration)."""
    context.db.row('VM', ref)
    return placement.possible(context.db, ref)


def assert_agile(context: operations.Context, ref: str) -> str:
    """Whether nothing ties a machine to one host (xapi#migration)."""
    if (reason := agility.refusal(context.db, ref)) is not None:
        raise reason
    return ''
