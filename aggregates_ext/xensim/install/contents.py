"""What a host holds: storage with disks, and machines."""

from aggregates_ext.xensim.exclusion import guest
from aggregates_ext.xensim.install import storage
from aggregates_ext.xensim.plan import described
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import memory
from aggregates_ext.xensim.world import processors

GIB = 1 << 30


def add_sr(
    db: database.Database,
    sr: topology.Repository,
    hosts_: list[str],
    owner: hosts.Host | None = None,
) -> str:
    """Add an SR with its disks, plugged into some hosts.

    :param owner: on whose disks it is, where its driver keeps it on disks.
    """
    if db.where('SR', uuid=sr.uuid):
        raise described.TopologyError(f'there is an SR {sr.name!r} already')
    ref = db.create(
        'SR',
        uuid=sr.uuid,
        name_label=sr.name,
        type=sr.type,
        content_type='user',
        shared=sr.shared,
        physical_size=500 * GIB,
    )
    config = sr.device_config or storage.device_config(sr.type, sr.name)
    for host in hosts_:
        db.create(
            'PBD',
            host=host,
            SR=ref,
            currently_attached=True,
            device_config=config,
        )
    if owner is not None and storage.on_disks(sr.type, config):
        owner.storage[sr.uuid] = [disk.uuid for disk in sr.vdis]
    for disk in sr.vdis:
        add_vdi(db, ref, disk)
    return ref


def add_vdi(db: database.Database, sr: str, disk: topology.Disk) -> str:
    """Add a disk to an SR."""
    row = db.row('SR', sr)
    row['virtual_allocation'] += disk.size
    row['physical_utilisation'] += disk.size
    return db.create(
        'VDI',
        uuid=disk.uuid,
        name_label=disk.name,
        SR=sr,
        location=disk.uuid,
        virtual_size=disk.size,
        physical_utilisation=disk.size,
        type='user',
        on_boot='persist',
        managed=True,
    )


def add_vm(db: database.Database, machine: topology.Machine, host: str) -> str:
    """Add a machine; one which is not halted is resident on the host.

    Whoever adds one that runs has to let it run there (world/domains.py).
    """
    if db.where('VM', uuid=machine.uuid):
        raise described.TopologyError(
            f'there is a VM {machine.name!r} already'
        )
    halted = machine.power_state == 'Halted'
    ref = db.create(
        'VM',
        uuid=machine.uuid,
        name_label=machine.name,
        power_state=machine.power_state,
        resident_on=database.NULL if halted else host,
        affinity=host,
        domid=-1 if halted else 1,
        domain_type='hvm',
        HVM_boot_policy='BIOS order',
        HVM_shadow_multiplier=1.0,
        memory_static_max=machine.memory,
        memory_dynamic_max=machine.memory,
        memory_dynamic_min=machine.memory,
        memory_target=machine.memory,
        memory_overhead=memory.overhead(machine.memory, machine.vcpus),
        VCPUs_max=machine.vcpus,
        VCPUs_at_startup=machine.vcpus,
        user_version=1,
        **_measured(db, machine),
    )
    if not halted:
        processors.boot(db, ref)
    guest.refresh(db, ref)
    memory.refresh(db, host)
    _attach(db, ref, machine, host)
    return ref


def _attach(
    db: database.Database, ref: str, machine: topology.Machine, host: str
) -> None:
    for number, name in enumerate(machine.vdis):
        db.create(
            'VBD',
            VM=ref,
            VDI=_disk(db, name, host),
            userdevice=str(number),
            mode='RW',
            type='Disk',
            bootable=number == 0,
            currently_attached=machine.power_state != 'Halted',
        )


def _measured(
    db: database.Database, machine: topology.Machine
) -> database.Record:
    """What is measured of a machine, and what its drivers tell."""
    hotplug = 'yes' if machine.pv_drivers else 'no'
    drivers = {'major': '7', 'minor': '30', 'micro': '0', 'build': '12'}
    return {
        'metrics': db.create(
            'VM_metrics',
            memory_actual=machine.memory,
            VCPUs_number=machine.vcpus,
            hvm=True,
            current_domain_type='hvm',
        ),
        'guest_metrics': db.create(
            'VM_guest_metrics',
            live=True,
            PV_drivers_detected=machine.pv_drivers,
            PV_drivers_up_to_date=machine.pv_drivers,
            PV_drivers_version=drivers if machine.pv_drivers else {},
            can_use_hotplug_vbd=hotplug,
            can_use_hotplug_vif=hotplug,
        ),
    }


def _disk(db: database.Database, name: str, host: str) -> str:
    """The disk with a name which the host can use."""
    for vdi in db.where('VDI', name_label=name):
        if db.where('PBD', SR=db.row('VDI', vdi)['SR'], host=host):
            return vdi
    raise described.TopologyError(f'there is no disk {name!r} on the host')
