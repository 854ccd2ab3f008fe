"""What an answer about many hosts costs, in a process of its own.

``python -m tests.functional.memory URL PATH …`` prints for each path the bytes
of the answer and by how many a process has grown for it, one that is forked
for that. The trees of lxml are outside of what tracemalloc sees, so the whole
process is looked at.
"""

import json
import os
import resource
import sys

import sqlalchemy as sa
import webob

from aggregates_ext import deploy
from aggregates_ext.api.edge import versions
from aggregates_ext.db.schema import models
from tests import databases
from tests.functional import api_service

HOSTS = 16_000
POOL = 16
ADMIN = {'X-Auth-Token': f'operator:{api_service.PROJECT}:admin'}


def fill(connection: sa.Connection) -> None:
    """Pools as they are seen when all is well."""
    moment = sa.func.current_timestamp()
    pools = range(1, HOSTS // POOL + 1)
    names = [f'xenserver-{number:05}' for number in range(HOSTS)]
    connection.execute(
        sa.insert(models.aggregates).values(
            created_at=moment, lease_epoch=0, lease_writes=0
        ),
        [
            {
                'uuid': f'a{pool}',
                'name': f'pool-{pool}',
                'metadata': {},
                'observed_at': 1.0,
                'observation': {
                    'name_label': f'pool-{pool}',
                    'hosts': [
                        {
                            'uuid': f'u-{name}',
                            'name_label': name,
                            'address': '10.0.0.1',
                            'enabled': True,
                            'live': True,
                            'version': '8.3.0',
                        }
                        for name in names[(pool - 1) * POOL : pool * POOL]
                    ],
                },
            }
            for pool in pools
        ],
    )
    connection.execute(
        sa.insert(models.hosts).values(
            credential='default', phase='member', created_at=moment
        ),
        [
            {
                'name': name,
                'uuid': f'u-{name}',
                'url': f'https://{name}.example.org',
                'aggregate_id': number // POOL + 1,
            }
            for number, name in enumerate(names)
        ],
    )


def peak() -> int:
    """The most bytes that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(application: api_service.WSGI, path: str) -> None:
    """Ask once for what is not there, so that all is loaded; then ask."""
    size = grown = 0
    none = f'{path.partition("/os-")[0]}/os-hosts/none'
    for asked, status in ((none, 404), (path, 200)):
        before = peak()
        request = webob.Request.blank(asked, headers=ADMIN)
        answer = request.get_response(application)
        assert answer.status_int == status, answer.text
        size, grown = len(answer.body), peak() - before
    print(json.dumps([size, grown]), flush=True)


def main(url: str, *paths: str) -> None:
    """Measure each in a process of its own, which begins as all others do."""
    conf = databases.configure(url)
    application = versions.Versions(api_service.Authtoken(deploy.build(conf)))
    for path in paths:
        child = os.fork()
        if not child:
            measure(application, path)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0, path


if __name__ == '__main__':
    main(*sys.argv[1:])
