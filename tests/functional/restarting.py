"""Lets time pass for hosts that were told to restart."""

from aggregates_ext.compute.maintenance import powering
from aggregates_ext.db import operations
from tests.functional import service


def age(running: service.Service, seconds: float) -> None:
    """Let the call have been sent so long ago."""
    with running.database.writer() as connection:
        for found in operations.get_all(
            connection, states=('running',), kinds=('power_host',)
        ):
            known = dict(found.parameters['power'])
            known['at'] -= seconds
            parameters = {**found.parameters, 'power': known}
            if parameters.get(powering.QUIET):
                parameters[powering.QUIET] -= seconds
            operations.update(connection, found.id, {'parameters': parameters})
