"""A site that operators ask with tokens of Keystone, by a bus and its API.

Each file that does so has fixtures of its own, so that it has hosts of its own.
"""

import contextlib
import pathlib
from collections.abc import Iterator

from tests.integration import children
from tests.integration import keystone as keystone_server
from tests.integration import processes
from tests.integration import rabbitmq


@contextlib.contextmanager
def site(
    keystone: keystone_server.Keystone,
    broker: rabbitmq.Broker,
    directory: pathlib.Path,
    hosts: int,
) -> Iterator[processes.Site]:
    """The site, without services yet.

    :param hosts: how many simulated hosts it has.
    """
    with processes.Site(
        directory,
        hosts,
        authtoken=keystone.authtoken(),
        transport_url=broker.url(broker.make_vhost()),
    ) as made:
        made.set_up()
        yield made


def start_compute(made: processes.Site) -> children.Child:
    """A compute service that hears what it is asked."""
    service = made.start_compute()
    sign = 'Messages are listened to'
    processes.wait_for('it listens', lambda: sign in service.text())
    return service


def start_api(
    made: processes.Site, keystone: keystone_server.Keystone, region: str
) -> processes.Client:
    """The API, seen by an administrator; it can be restarted where it is.

    :param region: in which the catalog has it.
    """
    client = made.start_api()
    port = client.url.rpartition(':')[2]
    made.configure('bind_port = 0', f'bind_port = {port}')
    keystone.add_endpoint(f'{client.url}/v2.1', region)
    return client.sending(X_Auth_Token=keystone.token('operator'))
