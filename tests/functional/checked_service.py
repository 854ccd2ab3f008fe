"""The API with a compute service that answers checks, on simulated hosts."""

import pathlib
import shutil
import tempfile

from gabbi import fixture
from oslo_config import cfg

from aggregates_ext import conf as settings
from aggregates_ext import deploy
from aggregates_ext import rpc
from aggregates_ext.api.edge import versions
from aggregates_ext.compute import endpoint
from aggregates_ext.compute.xen import connections
from aggregates_ext.db.engine import engine
from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock as sim_clock
from tests import schemas
from tests.functional import api_service
from tests.functional import service

SR = '1a4db38e-cbaf-53cd-a8d1-9e8907873579'
DISK = {'name': 'customer', 'uuid': '22222222-2222-2222-2222-222222222222'}
HOSTS = {
    'hosts': [
        {'name': 'xen1'},
        {'name': 'xen2'},
        {
            'name': 'xen3',
            'vlans': [{'tag': 5}],
            'vms': [{'name': 'web'}],
        },
        {'name': 'xen4'},
    ]
}


class CheckedService(fixture.GabbiFixture):
    """xen1 and xen2 are aggregate 1.

    xen2 has a disk that a machine uses, guests run on xen1.
    """

    def start_fixture(self) -> None:
        self._directory = pathlib.Path(tempfile.mkdtemp())
        conf = self._configure()
        self._database = engine.Database(conf)
        schemas.upgrade(self._database)
        clock = sim_clock.SteppedClock()
        self._sim = simulator.Simulator(topology.load(HOSTS), clock=clock)
        self._sim.start()
        running = service.Service(conf, self._database, self._sim, clock)
        running.register()
        running.create('xen1', 'xen2')
        self._fill()
        self._server = endpoint.get_server(
            rpc.get_transport(conf),
            endpoint.Endpoint(
                self._database, connections.Connector(conf), lambda: None
            ),
        )
        self._server.start()
        api_service.LAZY.application = versions.Versions(
            api_service.Authtoken(deploy.build(conf))
        )

    def _configure(self) -> cfg.ConfigOpts:
        conf = cfg.ConfigOpts()
        settings.parse(conf, [], [])
        rpc.get_transport(conf)
        file = self._directory / 'db.sqlite'
        conf.set_override('connection', f'sqlite:///{file}', 'database')
        conf.set_override('settle_wait', 0, 'api')
        conf.set_override('check_timeout', 30, 'api')
        conf.set_override('transport_url', 'fake:/')
        return conf

    def _fill(self) -> None:
        """Give xen2 storage of its own that holds something."""
        uuid = self._sim.add_sr('xen2', 'data', vdis=[DISK])
        db = self._sim.host('xen1').database
        db.row('SR', db.by_uuid('SR', uuid))['uuid'] = SR
        self._sim.add_vm('xen2', 'db', 'Halted', ['customer'])
        # Guests of the other host, one of which cannot move.
        self._sim.add_vm('xen1', 'shop')
        self._sim.add_vm('xen1', 'stuck', 'Paused')

    def stop_fixture(self) -> None:
        api_service.LAZY.application = None
        self._server.stop()
        self._server.wait()
        self._sim.stop()
        self._database.dispose()
        shutil.rmtree(self._directory)
