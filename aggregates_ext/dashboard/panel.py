"""The panel *Resource Pools*, and who sees it."""

from typing import Any

import horizon
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from aggregates_ext.dashboard import rights


class ResourcePools(horizon.Panel):
    """The pools behind aggregates, for those who may list them."""

    name = _('Resource Pools')
    slug = 'resource_pools'
    permissions = ('openstack.services.compute',)
    # One of these would do for Horizon; it is one: all of them.
    policy_rules = (rights.SEE,)

    def allowed(self, context: Any) -> bool:
        """Whether the user of a page may open it.

        The API takes tokens of a project: as for the panel *Host
        Aggregates*, one of the system finds it where Horizon says so.
        """
        systems = 'compute' in settings.SYSTEM_SCOPE_SERVICES
        if systems != bool(context['request'].user.system_scoped):
            return False
        allowed: bool = super().allowed(context)
        return allowed
