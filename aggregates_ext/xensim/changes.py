"""Changes of the simulated world which come from nowhere: records, updates."""

from aggregates_ext.xensim.exclusion import guest
from aggregates_ext.xensim.exclusion import pool as pool_exclusion
from aggregates_ext.xensim.install import records as host_records
from aggregates_ext.xensim.machines import haplan
from aggregates_ext.xensim.plan import versions as products
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.world import domains
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import memory
from aggregates_ext.xensim.world import packages as installing
from aggregates_ext.xensim.world import world as worlds

REPOSITORIES = 'Repository.get_all'


class Changes:
    """What a test changes behind the back of xapi."""

    world: worlds.World

    def host(self, name: str) -> hosts.Host:
        """A host by its name in the topology."""
        return self.world.hosts[name]

    def set_pool(self, host: str, **fields: database.Value) -> None:
        """Change the pool record of the pool which a host is in."""
        with self.world.lock:
            db, _ = self._record(host)
            change(db.pool, fields)
            pool_exclusion.refresh(db)
            haplan.follow(db)

    def set_host(self, host: str, **fields: database.Value) -> None:
        """Change the record of a host."""
        with self.world.lock:
            db, ref = self._record(host)
            change(db.row('host', ref), fields)
            if told := fields.get('cpu_info'):
                cpu = self.host(host).spec.cpu
                cpu.vendor = told.get('vendor', cpu.vendor)
                host_records.recompute_cpu_info(db)

    def update(self, name: str, **software_version: str) -> None:
        """Let a host have other versions from its next boot on."""
        with self.world.lock:
            self.host(name).update |= software_version

    def enable_repository(self, host: str) -> str:
        """Give the pool of a host a repository; the answer: its ref.

        :raises ValueError: its product knows no repositories
        """
        if not products.knows(self.host(host).spec.version, REPOSITORIES):
            raise ValueError(f'the product of {host} has no repositories')
        with self.world.lock:
            db, _ = self._record(host)
            ref = db.create(
                'Repository',
                name_label='updates',
                binary_url='https://repo.example.com/updates',
                update=True,
                origin='remote',
            )
            db.pool['repositories'] = [ref]
            db.pool['last_update_sync'] = database.NEVER
            return ref

    def publish(
        self,
        host: str,
        packages: list[str],
        guidance: dict[str, list[str]] | None = None,
        versions: dict[str, str] | None = None,
    ) -> str:
        """Publish an update for the pool of a host (xapi#updates).

        A repository shows it after the next pool.sync_updates, and
        updater.py at once.

        :param packages: name-version-release.arch
        :param guidance: lists of what records call it, by mandatory,
            recommended, full and livepatch
        :param versions: what of software_version is new then
        :return: the name of the update
        """
        with self.world.lock:
            db, _ = self._record(host)
            return installing.publish(
                self.world,
                db.pool['uuid'],
                packages,
                guidance or {},
                versions or {},
            )

    def add_record(
        self, host: str, kind: str, /, **fields: database.Value
    ) -> str:
        """Add a record of any class to a host's pool; the answer: ref."""
        with self.world.lock:
            db, _ = self._record(host)
            return db.create(kind, **fields)

    def set_record(
        self, host: str, kind: str, ref: str, /, **fields: database.Value
    ) -> None:
        """Change a record of any class in a host's pool."""
        with self.world.lock:
            db, _ = self._record(host)
            change(db.row(kind, ref), fields)
            if kind == 'VM':
                self._follow(db, ref, fields)

    def _follow(
        self, db: database.Database, ref: str, fields: database.Record
    ) -> None:
        """A machine whose state was set by a test is in that state."""
        guest.refresh(db, ref)
        row = db.row('VM', ref)
        if not fields.keys() & {'power_state', 'resident_on'}:
            return
        for host in self.world.hosts.values():
            domains.end(host, row['uuid'])
        if row['power_state'] in memory.LOADED:
            home = domains.machine(self.world, db, row['resident_on'])
            domains.begin(home, row['uuid'])

    def start_pool_operation(self, host: str, operation: str) -> str:
        """Let a pool operation run which never ends; the answer: its ref."""
        with self.world.lock:
            db, _ = self._record(host)
            return pool_exclusion.hold(db, operation)

    def end_pool_operation(self, host: str, operation_ref: str) -> None:
        """End an operation which was started so."""
        with self.world.lock:
            db, _ = self._record(host)
            pool_exclusion.release(db, operation_ref)

    def _record(self, name: str) -> tuple[database.Database, str]:
        """The record of a host in the database of its pool."""
        host = self.host(name)
        db = host.database
        if host.master is not None and host.xapi and host.xapi.is_slave:
            found = self.world.at_address(host.master)
            if found is not None:
                db = found.database
        return db, db.by_uuid('host', host.uuid)


def change(record: database.Record, fields: database.Record) -> None:
    """Set fields of a record; maps are merged into those it has."""
    for field, value in fields.items():
        if field not in record:
            raise ValueError(f'there is no field {field!r}')
        merge = isinstance(value, dict)
        record[field] = record[field] | value if merge else value
