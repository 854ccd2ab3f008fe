"""What a guest looks like as a server of Nova, by microversion.

What pools do not know is empty, as of a server that has none of it; nothing
is left out that Nova shows at that microversion.
"""

import datetime
import hashlib
from typing import Any

from aggregates_ext.api.forms import shapes
from aggregates_ext.domain import guests

# Nova has a progress in these alone.
_PROGRESSING = ('ACTIVE', 'MIGRATING')
FLAVOR = 'xapi'
_ATTRIBUTE = 'OS-EXT-SRV-ATTR:'
_MORE_ATTRIBUTES_SINCE = (2, 3)
HOST_STATUS_SINCE = (2, 16)
_FLAVOR_SINCE = (2, 47)
_GROUPS_SINCE = (2, 71)
_HOSTNAME_SINCE = (2, 90)
# Since when there is more that pools do not know.
_UNKNOWN: tuple[tuple[tuple[int, int], str, Any], ...] = (
    ((2, 9), 'locked', False),
    ((2, 19), 'description', None),
    ((2, 26), 'tags', ()),
    ((2, 63), 'trusted_image_certificates', None),
    ((2, 73), 'locked_reason', None),
    ((2, 96), 'pinned_availability_zone', None),
    ((2, 100), 'scheduler_hints', {}),
)


def brief(guest: guests.Guest, shape: shapes.Shape) -> dict[str, Any]:
    """A server as the short list has it."""
    return {
        'id': guest.seen.uuid,
        'name': guest.seen.name,
        'links': shape.links(f'/servers/{guest.seen.uuid}'),
    }


def full(
    guest: guests.Guest,
    shape: shapes.Shape,
    owner: guests.Guests,
    *,
    attributes: bool,
    host_status: bool,
    alone: bool = False,
) -> dict[str, Any]:
    """A server with all that is told of it.

    :param owner: whose guests are.
    :param attributes: whether its host may be told.
    :param host_status: whether it may be told how the host is.
    :param alone: as it is shown by itself.
    """
    seen = guest.seen
    shown = brief(guest, shape) | {
        'status': guest.status,
        'tenant_id': owner.project_id,
        'user_id': owner.user_id,
        'metadata': {},
        'hostId': host_id(seen.host, owner.project_id),
        'image': '',
        'flavor': _flavor(guest, shape),
        'created': _time(seen.first_seen),
        'updated': _time(seen.changed_at),
        'addresses': {},
        'accessIPv4': '',
        'accessIPv6': '',
        'OS-DCF:diskConfig': 'MANUAL',
        'OS-EXT-AZ:availability_zone': guest.zone,
        'config_drive': '',
        'key_name': None,
        'OS-SRV-USG:launched_at': None,
        'OS-SRV-USG:terminated_at': None,
        'security_groups': [],
        'OS-EXT-STS:task_state': guest.task,
        'OS-EXT-STS:vm_state': guest.state.vm_state,
        'OS-EXT-STS:power_state': guest.state.power_state,
        'os-extended-volumes:volumes_attached': [],
    }
    if guest.status in _PROGRESSING:
        shown['progress'] = guest.progress or 0
    if attributes:
        shown |= _attributes(guest, shape)
    if shape.supports(_HOSTNAME_SINCE):
        shown[f'{_ATTRIBUTE}hostname'] = seen.name
    if host_status and shape.supports(HOST_STATUS_SINCE):
        shown['host_status'] = guest.host_status
    for since, name, value in _UNKNOWN:
        if shape.supports(since):
            shown[name] = list(value) if value == () else value
    if alone and shape.supports(_GROUPS_SINCE):
        shown['server_groups'] = []
    return shown


def _attributes(guest: guests.Guest, shape: shapes.Shape) -> dict[str, Any]:
    """Where it is, and what Nova knows of how it was made."""
    seen = guest.seen
    shown: dict[str, Any] = {
        'host': seen.host,
        'hypervisor_hostname': seen.host,
        'instance_name': seen.name,
    }
    if shape.supports(_MORE_ATTRIBUTES_SINCE):
        shown |= {
            'hostname': seen.name,
            'kernel_id': '',
            'launch_index': 0,
            'ramdisk_id': '',
            'reservation_id': '',
            'root_device_name': None,
            'user_data': None,
        }
    return {f'{_ATTRIBUTE}{name}': value for name, value in shown.items()}


def _flavor(guest: guests.Guest, shape: shapes.Shape) -> dict[str, Any]:
    if not shape.supports(_FLAVOR_SINCE):
        links = shape.links(f'/flavors/{FLAVOR}')
        return {'id': FLAVOR, 'links': links[1:]}
    return {
        'original_name': FLAVOR,
        'vcpus': guest.seen.vcpus,
        'ram': guest.seen.memory >> 20,
        'disk': 0,
        'ephemeral': 0,
        'swap': 0,
        'extra_specs': {},
    }


def host_id(host: str | None, project_id: str) -> str:
    """What tells servers on one host, and not which that is, as in Nova."""
    if host is None:
        return ''
    text = f'{project_id}{host}'.encode()
    return hashlib.sha224(text, usedforsecurity=False).hexdigest()


def _time(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f'{moment:%Y-%m-%dT%H:%M:%SZ}'
