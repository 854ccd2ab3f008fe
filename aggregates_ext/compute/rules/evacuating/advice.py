"""What xapi's own plan of an evacuation says (xapi#evacuation-plan).

It is asked as advice alone: it refuses guests that single moves take.
"""

from oslo_log import log as logging

from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import xenapi

LOG = logging.getLogger(__name__)
CALL = 'host.get_vms_which_prevent_evacuation'


def ask(session: xenapi.Session, ref: str) -> dict[str, str]:
    """Why guests could not leave by that plan, as a code each.

    :param ref: the reference of the host.
    :returns: by the reference of the guest; nothing where it cannot be told.
    """
    try:
        answer = session.call(CALL, ref)
        found: dict[str, list[str]] = fields.read_value(
            session.host, CALL, 'lists', answer
        )
    except (failures.XenAPIError, failures.OddAnswer) as exc:
        LOG.debug('No advice of host %s: %s', session.host, exc)
        return {}
    return {
        vm: session.read_failure(reason).code
        for vm, reason in found.items()
        if reason
    }
