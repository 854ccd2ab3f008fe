"""Tells a Nova of compute hosts that nobody runs.

Run by the Python of Nova's virtual environment: ``CONF HOST...``.
"""

import sys

from nova import config
from nova import context
from nova import objects


def add(cell, name):
    """Make a host with its service and node, as nova-compute does."""
    everywhere = context.get_admin_context()
    with context.target_cell(everywhere, cell) as there:
        objects.Service(
            there, host=name, binary='nova-compute', topic='compute'
        ).create()
        objects.ComputeNode(
            there,
            host=name,
            hypervisor_hostname=name,
            vcpus=1,
            memory_mb=1,
            local_gb=1,
            vcpus_used=0,
            memory_mb_used=0,
            local_gb_used=0,
            hypervisor_type='xen',
            hypervisor_version=1,
            cpu_info='',
        ).create()
    objects.HostMapping(everywhere, host=name, cell_mapping=cell).create()


if __name__ == '__main__':
    conf, *names = sys.argv[1:]
    config.parse_args(['nova', '--config-file', conf])
    objects.register_all()
    cells = objects.CellMappingList.get_all(context.get_admin_context())
    cell1 = next(cell for cell in cells if not cell.is_cell0())
    for name in names:
        add(cell1, name)
