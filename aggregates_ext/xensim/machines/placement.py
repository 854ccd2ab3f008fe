"""Whether a machine can run on a host (xapi#migration-rules)."""

from aggregates_ext.xensim.exclusion import host as host_exclusion
from aggregates_ext.xensim.machines import upgrading
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import memory
from aggregates_ext.xensim.world import processors


def assert_fits(
    db: database.Database,
    vm: str,
    host: str,
    check_memory: bool = True,
    check_processors: bool = True,
) -> None:
    """Raise the first reason why a machine cannot run on a host.

    Where it runs already it may even if the host is disabled.
    """
    machine, row = db.row('VM', vm), db.row('host', host)
    if not host_exclusion.is_live(db, row):
        raise failure.Failure('HOST_NOT_LIVE')
    at_home = machine['resident_on'] == host
    if not row['enabled'] and not at_home:
        raise failure.Failure('HOST_DISABLED', host)
    _assert_platform(db, vm, host)
    if check_processors:
        assert_processors(db, vm, host)
    _assert_storage(db, vm, host)
    _assert_networks(db, vm, host)
    if check_memory and not at_home:
        _assert_memory(db, vm, host)
    count = int(row['cpu_info'].get('cpu_count', '0'))
    unrestricted = machine['platform'].get('vcpu-unrestricted') == 'true'
    if machine['VCPUs_max'] > count and not unrestricted:
        vcpus = str(machine['VCPUs_max'])
        raise failure.Failure('HOST_NOT_ENOUGH_PCPUS', vcpus, str(count))


def _assert_platform(db: database.Database, vm: str, host: str) -> None:
    """The virtual hardware of a machine must be known to the host."""
    wanted = int(db.row('VM', vm).get('hardware_platform_version', 0))
    told = db.row('host', host).get('virtual_hardware_platform_versions')
    known = [int(version) for version in told or [0]]
    if wanted not in known:
        raise failure.Failure(
            'VM_HOST_INCOMPATIBLE_VIRTUAL_HARDWARE_PLATFORM_VERSION',
            host,
            f'[{"; ".join(map(str, known))}]',
            vm,
            str(wanted),
        )


def _assert_storage(db: database.Database, vm: str, host: str) -> None:
    for vbd in db.where('VBD', VM=vm, empty=False):
        vdi = db.row('VBD', vbd)['VDI']
        sr = db.row('VDI', vdi)['SR']
        if not db.where('PBD', SR=sr, host=host, currently_attached=True):
            raise failure.Failure('VM_REQUIRES_SR', vm, sr)


def _assert_networks(db: database.Database, vm: str, host: str) -> None:
    for vif in db.where('VIF', VM=vm):
        network = db.row('VIF', vif)['network']
        if not _is_reached(db, network, host):
            raise failure.Failure('VM_REQUIRES_NETWORK', vm, network)


def _is_reached(db: database.Database, network: str, host: str) -> bool:
    """Whether a host has a network; an internal one is where it is used."""
    if pifs := db.where('PIF', network=network):
        return host in {db.row('PIF', pif)['host'] for pif in pifs}
    row = db.row('network', network)
    shared = row['other_config'].get('assume_network_is_shared') == 'true'
    if shared or not row['managed']:
        return True
    users = [
        db.row('VM', db.row('VIF', vif)['VM'])
        for vif in db.where('VIF', network=network)
    ]
    homes = {
        row['resident_on'] for row in users if row['power_state'] == 'Running'
    }
    return not homes or host in homes


def assert_processors(db: database.Database, vm: str, host: str) -> None:
    """A machine which has started needs what it started with."""
    machine = db.row('VM', vm)
    if machine['power_state'] == 'Halted' or machine['resident_on'] == host:
        return
    if why := processors.refusal(machine, db.row('host', host)):
        raise failure.Failure('VM_INCOMPATIBLE_WITH_THIS_HOST', vm, host, why)


def _assert_memory(db: database.Database, vm: str, host: str) -> None:
    needed = memory.needed(db.row('VM', vm))
    available = memory.free(db, host)
    if needed > available:
        raise failure.Failure(
            'HOST_NOT_ENOUGH_FREE_MEMORY', str(needed), str(available)
        )


def possible(db: database.Database, vm: str) -> list[str]:
    """The hosts on which a machine can run."""
    upgraded = upgrading.in_progress(db)
    return [
        ref
        for ref, _ in db.rows('host')
        if fits(db, vm, ref) and (not upgraded or upgrading.is_newest(db, ref))
    ]


def fits(db: database.Database, vm: str, host: str) -> bool:
    """Whether nothing speaks against a host."""
    try:
        assert_fits(db, vm, host)
    except failure.Failure:
        return False
    return True
