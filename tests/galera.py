"""A private cluster of three MariaDB nodes that Galera keeps the same.

Every node takes changes. Two that change the same row at the same time both
go on until their COMMITs, of which the second is refused: no lock of a row
reaches another node.
"""

import contextlib
import os
import pathlib
import re
import shutil
import time
import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from tests import databases

KIND = 'galera'
LIBRARY = pathlib.Path('/usr/lib/galera/libgalera_smm.so')
NODES = 3
# What all statements of one who may ask any node are to wait for: reads (1),
# UPDATE and DELETE (2), INSERT and REPLACE (4).
SYNC_WAIT = 7
DEADLINE = 180.0
# What a node that was killed says with --wsrep-recover.
POSITION = re.compile(r'Recovered position: (\S+)')
POLL = 0.05
# What a node says of a statement that waits until changes of other nodes have
# come, and of a COMMIT that waits for what the other nodes say.
WAITING = 'starting'
COMMITTING = 'Waiting for certification'


def library() -> pathlib.Path:
    """Galera's library, or a skip that names it."""
    if not LIBRARY.exists():
        reason = f'{LIBRARY} is not installed'
        if os.environ.get('REQUIRE_SERVICES') == '1':
            pytest.fail(reason)
        pytest.skip(reason)
    databases.find('rsync')
    return LIBRARY


class Node(databases.MariaDB):
    """One of the nodes.

    :param cluster: its nodes, those that were there before it first.
    """

    # It may be sent all data first.
    limit = DEADLINE
    # One that is not in the cluster answers, too.
    administration = (
        f'{databases.MariaDB.administration}'
        '&init_command=SET%20wsrep_dirty_reads%3D1'
    )

    def __init__(self, cluster: 'Cluster') -> None:
        self._cluster = cluster
        self._library = library()
        # Of the group, of a part of the changes, and of all data.
        self.group, self._changes, self._all = (
            f'127.0.0.1:{databases.free_port()}' for _ in range(3)
        )
        super().__init__()

    def _prepare(self) -> list[str]:
        """All but the first are sent what that has."""
        if self._cluster.nodes:
            return ['mkdir', str(self.data)]
        return super()._prepare()

    def start(self) -> None:
        """Start it where it ended, which the data of a killed one tell."""
        self._position = ''
        if (self.data / 'grastate.dat').exists():
            command = [*self._command(), '--wsrep-recover']
            told = len(self._text())
            assert not self._popen(command).wait(databases.START_LIMIT)
            found = POSITION.search(self._text(), told)
            assert found, self._text()
            self._position = found[1]
        super().start()

    def _command(self) -> list[str]:
        others = [
            node.group
            for node in self._cluster.nodes
            if node is not self and node.running
        ]
        provider = {
            'gmcast.listen_addr': f'tcp://{self.group}',
            'ist.recv_addr': self._changes,
            'gcache.size': '4M',
            'gcache.page_size': '4M',
        }
        return [
            *super()._command(),
            '--wsrep-on=ON',
            '--binlog-format=ROW',
            '--innodb-autoinc-lock-mode=2',
            f'--wsrep-provider={self._library}',
            f'--wsrep-cluster-name={self._cluster.uuid[:8]}',
            f'--wsrep-cluster-address=gcomm://{",".join(others)}',
            f'--wsrep-node-address={self.group}',
            f'--wsrep-node-name={self.port}',
            *(
                [f'--wsrep-start-position={self._position}']
                * bool(self._position)
            ),
            '--wsrep-sst-method=rsync',
            f'--wsrep-sst-receive-address={self._all}',
            '--wsrep-provider-options='
            + ';'.join(f'{name}={value}' for name, value in provider.items()),
        ]

    def status(self, name: str) -> str:
        """What it says of itself, such as ``wsrep_cluster_size``."""
        with self._administrator() as connection:
            found = connection.exec_driver_sql(
                f"SHOW GLOBAL STATUS LIKE '{name}'"
            ).one()
        return str(found[1])

    def _serves(self) -> bool:
        """Whether it takes what it is asked: it is synchronized."""
        try:
            return (
                self.status('wsrep_ready') == 'ON'
                and self.status('wsrep_local_state_comment') == 'Synced'
            )
        except sa.exc.DBAPIError:
            return False

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let it take in nothing that others have committed meanwhile."""
        with self._administrator() as connection:
            connection.exec_driver_sql('FLUSH TABLES WITH READ LOCK')
            yield
            connection.exec_driver_sql('UNLOCK TABLES')

    def is_in(self, state: str) -> bool:
        """Whether a statement is in a state, such as ``COMMITTING``."""
        with self._administrator() as connection:
            rows = connection.exec_driver_sql('SHOW PROCESSLIST').all()
        # But for this one.
        return any(
            row.State == state and not str(row.Info).startswith('SHOW')
            for row in rows
        )

    def isolate(self) -> None:
        """Cut it off from the other nodes, and not from who asks it."""
        self._provide('gmcast.isolate=1')

    def reunite(self) -> None:
        """Let it reach the other nodes again."""
        self._provide('gmcast.isolate=0')

    def _provide(self, option: str) -> None:
        self.administer(f"SET GLOBAL wsrep_provider_options = '{option}'")

    def close(self) -> None:
        """End it; the first one of a cluster ends the others with it."""
        if self is self._cluster.nodes[0]:
            for node in self._cluster.nodes[1:]:
                node.close()
        super().close()

    def lose_its_data(self) -> None:
        """Forget all, as on a new disk; it must not run."""
        assert not self.running
        shutil.rmtree(self.data)
        self.data.mkdir()
        if not os.getuid():
            os.chown(self.data, self._account.pw_uid, self._account.pw_gid)

    @property
    def transfers(self) -> int:
        """How often it was sent all data since it was made."""
        return self._text().count('rsync SST completed on joiner')


def first() -> Node:
    """The first node of a cluster that ends with it."""
    return Cluster().nodes[0]


class Cluster:
    """Three nodes, each a server.

    :ivar nodes: they, in the order in which they were started first.
    """

    def __init__(self) -> None:
        self.uuid = str(uuid.uuid4())
        self.nodes: list[Node] = []
        try:
            for _ in range(NODES):
                self.nodes.append(Node(self))
        except BaseException:
            if self.nodes:
                self.nodes[0].close()
            raise

    def new(self) -> list[str]:
        """The URLs of a fresh, empty database, by way of each node."""
        url = sa.make_url(self.nodes[0].new())
        return [
            url.set(port=node.port).render_as_string() for node in self.nodes
        ]

    def wait_until_whole(self) -> None:
        """Until all nodes are in it, and take what they are asked."""
        end = time.monotonic() + DEADLINE
        while not all(self._is_whole(node) for node in self.nodes):
            assert time.monotonic() < end, self.text()
            time.sleep(POLL)

    def _is_whole(self, node: Node) -> bool:
        try:
            size = node.status('wsrep_cluster_size')
        except sa.exc.DBAPIError:
            return False
        return size == str(NODES) and node._serves()

    def recover(self) -> None:
        """Let all nodes be in it again, whatever was done to them."""
        for node in self.nodes:
            node.thaw()
        for node in self.nodes:
            if not node.running:
                node.start()
            with contextlib.suppress(sa.exc.DBAPIError):
                node.reunite()
        self.wait_until_whole()

    def text(self) -> str:
        """The ends of what the nodes have told."""
        return '\n'.join(node._text()[-3000:] for node in self.nodes)

    def contents(self, url: str) -> list[dict[str, list[str]]]:
        """All rows of a database, as each node has them.

        A node has taken in by then what the others have committed before.
        """
        return [self._contents(url, node) for node in self.nodes]

    def _contents(self, url: str, node: Node) -> dict[str, list[str]]:
        engine = sa.create_engine(
            sa.make_url(url).set(port=node.port),
            poolclass=sa.NullPool,
            isolation_level='AUTOCOMMIT',
        )
        with engine.connect() as connection:
            ask = connection.exec_driver_sql
            ask(f'SET SESSION wsrep_sync_wait = {SYNC_WAIT}')
            return {
                table: sorted(map(repr, ask(f'SELECT * FROM {table}')))  # noqa: S608
                for table in sa.inspect(connection).get_table_names()
            }


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """A cluster that ends with the block."""
    cluster = Cluster()
    try:
        yield cluster
    finally:
        cluster.nodes[0].close()
