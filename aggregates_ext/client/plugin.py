"""What python-openstackclient asks of a plug-in; see ``setup.cfg``.

The commands are those of the entry points ``openstack.aggregate_pools.v1``.
Each start of ``openstack`` imports this module, so it imports little.
"""

import argparse
from typing import Any

API_NAME = 'aggregate_pools'
API_VERSION_OPTION = 'os_aggregate_pools_api_version'
DEFAULT_API_VERSION = '1'
API_VERSIONS = ('1',)


def make_client(instance: Any) -> Any:
    """What asks the API: the compute adapter of the client manager.

    It knows the cloud, its region, tokens, certificates and timeouts.
    """
    return instance.sdk_connection.compute


def build_option_parser(
    parser: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    """Options of ``openstack`` itself: none, there is one version."""
    return parser
