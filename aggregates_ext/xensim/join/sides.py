"""The two sides of a join, as its checks and its copying see them."""

import collections.abc
import dataclasses

from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import host as hosts

NOT_ALLOWED = 'OPERATION_NOT_ALLOWED'


@dataclasses.dataclass(frozen=True)
class Joining:
    """The two sides of a join."""

    joiner: hosts.Host
    local: database.Database
    master: hosts.Host
    remote: database.Database

    @property
    def here(self) -> database.Record:
        """The record of the joiner in its own database."""
        return self.local.row('host', self.here_ref)

    @property
    def here_ref(self) -> str:
        """The reference of it."""
        return self.local.by_uuid('host', self.joiner.uuid)

    @property
    def there(self) -> database.Record:
        """The record of the master in the target pool."""
        return self.remote.row('host', self.remote.pool['master'])

    @property
    def release(self) -> tuple[int, ...]:
        """The release of the xapi which checks and copies."""
        return self.joiner.preset.release

    def same_version(self, *names: str) -> bool:
        """Whether parts of software_version are equal."""
        here = self.here['software_version']
        there = self.there['software_version']
        return all(here.get(name) == there.get(name) for name in names)

    def management_pifs(self) -> list[database.Record]:
        """The management interfaces of the joiner and of the master."""
        local, remote = self.local, self.remote
        there = remote.pool['master']
        return [
            local.row('PIF', management_pif(local, self.here_ref)),
            remote.row('PIF', management_pif(remote, there)),
        ]


Check = collections.abc.Callable[[Joining], None]


def management_pif(db: database.Database, host: str) -> str:
    """The management interface of a host (xapi#host-record)."""
    for ref in db.where('PIF', host=host, management=True):
        return ref
    raise failure.Failure('INTERNAL_ERROR', 'Not_found')
