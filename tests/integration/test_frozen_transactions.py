"""A service that freezes in the middle of a transaction.

It holds the row of one aggregate. On a database server that keeps nobody
from working on others. SQLite has one writer: there all wait, and go on when
the service does, or is killed.
"""

import pathlib
from collections.abc import Callable

import pytest

from tests.integration import children
from tests.integration import gates
from tests.integration import processes
from tests.integration import stories

# Of a join: the claim, the start, then what is found out on the way.
NTH = 4


@pytest.mark.every_database
def test_other_aggregates_wait_for_no_row(
    make_site: Callable[..., processes.Site],
    tmp_path: pathlib.Path,
) -> None:
    """And the aggregate itself is whole when the service goes on."""
    # A look at the other pool would have COMMITs, which are counted too.
    site = make_site(3, {'lease_ttl': 2, 'observe_interval': 3600})
    site.set_up()
    client = site.start_api()
    service = site.start_compute()
    key = client.make_pool('pool', ['xen1'])
    other = client.make_pool('other', ['xen3'])
    assert service.terminate() == 0
    gate = gates.Gate(tmp_path)
    frozen = children.fork_server().start(
        tmp_path / 'frozen.log',
        'aggregates-ext-compute',
        ['--config-file', str(site.config)],
        commits={
            'tally': str(tmp_path / 'tally'),
            'nth': NTH,
            'moment': 'before',
            'gate': str(gate.file),
        },
    )
    site.processes.append(frozen)
    assert client.add(key, 'xen2').status == 200
    processes.wait_for('a transaction is open', gate.is_reached)
    frozen.freeze()
    gate.open()
    site.start_compute()
    if not site.connection.startswith('sqlite'):
        stories.rename(stories.Scene(site, client, other, ['xen3']))
        assert client.settle(other)['state'] == 'succeeded'
        assert client.operations(key)[0]['state'] == 'running'
    frozen.thaw()
    assert client.settle(key)['state'] == 'succeeded'
    assert client.settle(other)['state'] == 'succeeded'
    assert site.arrivals('xen2', stories.JOIN) == 1
    for each in (key, other):
        processes.check_agreement(site, client, each)
