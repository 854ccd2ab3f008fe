"""Adds the panel *Resource Pools* to Horizon, below *Host Aggregates*.

It is copied, or linked, to ``openstack_dashboard/local/enabled/``.
"""

PANEL = 'resource_pools'
PANEL_DASHBOARD = 'admin'
PANEL_GROUP = 'compute'
ADD_PANEL = 'aggregates_ext.dashboard.panel.ResourcePools'
