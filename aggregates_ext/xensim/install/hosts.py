"""The hosts of a topology as they are before anything happens."""

from aggregates_ext.xensim.install import contents
from aggregates_ext.xensim.install import records as host_records
from aggregates_ext.xensim.plan import topology as topologies
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.world import domains
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import memory
from aggregates_ext.xensim.world import world as worlds


def install(world: worlds.World, topology: topologies.Topology) -> None:
    """Make all hosts, each in a pool of its own or in one described."""
    for spec in topology.hosts:
        world.add(hosts.Host(spec, spec.password))
    members = {name for pool in topology.pools for name in pool.hosts}
    for name, host in world.hosts.items():
        if name not in members:
            _install_alone(world, host)
    for pool in topology.pools:
        _install_pool(world, pool)


def _install_alone(world: worlds.World, host: hosts.Host) -> None:
    host.tls_verification_enabled = host.spec.tls_verification_enabled
    host_records.new_pool(host, world.clock.time())
    _fill(host, host.database)


def _install_pool(world: worlds.World, pool: topologies.Pool) -> None:
    first, *others = (world.hosts[name] for name in pool.hosts)
    _install_alone(world, first)
    db = first.database
    db.pool['name_label'] = pool.name_label
    db.pool['other_config'] |= pool.other_config
    db.pool['uuid'] = pool.uuid or db.pool['uuid']
    for host in others:
        host.master, host.password = first.address, first.password
        host.tls_verification_enabled = host.spec.tls_verification_enabled
        host_records.add_host(db, host, world.clock.time())
        _fill(host, db)
    host_records.recompute_cpu_info(db)
    members = [ref for ref, _ in db.rows('host')]
    for repository in pool.srs:
        contents.add_sr(db, repository, members)


def _fill(host: hosts.Host, db: database.Database) -> None:
    ref = db.by_uuid('host', host.uuid)
    for repository in host.spec.srs:
        contents.add_sr(db, repository, [ref], host)
    for machine in host.spec.vms:
        contents.add_vm(db, machine, ref)
        if machine.power_state in memory.LOADED:
            domains.begin(host, machine.uuid)
