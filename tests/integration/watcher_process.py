"""Watcher's strategy for the maintenance of a host, and what it decides on.

Run by the Python of Watcher's virtual environment: configuration, host. Its
services would take the same classes from a queue. What a Placement would tell
of hosts is taken from what hypervisors were until 2.87, since there is none.
The answer: a line of JSON.
"""

import json
import logging
import sys

from oslo_config import cfg
from watcher import conf  # noqa: F401 - it registers the options
from watcher.applier.actions import change_nova_service_state
from watcher.applier.actions import migration
from watcher.common import nova_helper
from watcher.common import placement_helper
from watcher.decision_engine.model.collector import nova
from watcher.decision_engine.strategy.strategies import host_maintenance

ACTIONS = {
    'change_nova_service_state': (
        change_nova_service_state.ChangeNovaServiceState
    ),
    'migrate': migration.Migrate,
}


class Inventories:
    """What Placement would tell."""

    def __init__(self) -> None:
        self._compute = nova_helper.NovaHelper().connection.compute

    def get_inventories(
        self, uuid: str
    ) -> dict[str, placement_helper.Inventory]:
        found = self._compute.get(
            f'/os-hypervisors/{uuid}', microversion='2.87'
        ).json()['hypervisor']
        figures = {
            'VCPU': found['vcpus'],
            'MEMORY_MB': found['memory_mb'],
            'DISK_GB': found['local_gb'],
        }
        return {
            name: placement_helper.Inventory(total, 0, 1, total, 1, 1.0)
            for name, total in figures.items()
        }


class Maintenance(host_maintenance.HostMaintenance):
    """The strategy with the model that its service would have made."""

    compute_model = None


def main() -> None:
    file, host = sys.argv[1:]
    cfg.CONF(  # noqa: TID251 - Watcher's
        ['--config-file', file], project='watcher'
    )
    logging.basicConfig(level=logging.WARNING)
    strategy = Maintenance(None)
    builder = nova.NovaModelBuilder()
    builder.placement_helper = Inventories()
    strategy.compute_model = builder.execute([])
    strategy.input_parameters = {'maintenance_node': host}
    strategy.do_execute()
    done = []
    for planned in strategy.solution.actions:
        action = ACTIONS[planned['action_type']](None)
        action.input_parameters = planned['input_parameters']
        action.pre_condition()
        done.append([planned['action_type'], action.execute()])
        action.post_condition()
    print(json.dumps(done))


if __name__ == '__main__':
    main()
