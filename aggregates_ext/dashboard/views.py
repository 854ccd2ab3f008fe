"""Pages that show pools, one pool, and one operation."""

import functools
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from horizon import tables
from horizon import views
from horizon.utils import functions

from aggregates_ext.client import api
from aggregates_ext.client import fields
from aggregates_ext.client import words
from aggregates_ext.dashboard import asking
from aggregates_ext.dashboard import cells
from aggregates_ext.dashboard import hosts
from aggregates_ext.dashboard import operations
from aggregates_ext.dashboard import places
from aggregates_ext.dashboard import pools

Rows = list[dict[str, Any]]
Found = tuple[Rows, dict[str, Any], dict[str, Any], dict[str, set[str]]]


class IndexView(tables.PagedTableMixin, tables.DataTableView):
    """All pools."""

    table_class = pools.PoolsTable
    page_title = _('Resource Pools')

    def get_data(self) -> list[dict[str, Any]]:
        """One page of them, as the API lists them."""
        size = functions.get_page_size(self.request)
        marker, _order = self._get_marker()
        found: list[dict[str, Any]] = []
        with asking.telling(self.request):
            listed = asking.pools_of(self.request).pools(
                size + 1, marker=marker, **self.get_filters()
            )
            found = list(listed)
        self._has_more_data = len(found) > size
        return found[:size]


class PoolView(tables.MultiTableView):
    """One pool: what is wrong, its hosts, its operations."""

    table_classes = (hosts.HostsTable, operations.OperationsTable)
    template_name = 'admin/resource_pools/pool.html'
    page_title = '{{ listed.name }}'

    @property
    def key(self) -> int:
        """The id of the aggregate."""
        return int(self.kwargs['aggregate_id'])

    @functools.cached_property
    def found(self) -> Found:
        """Operations, then the pool: as the list tells it, and by itself.

        In this order: of what has failed the pool tells the remedy. Then what
        may be done.

        Where it cannot be read the page is that of all pools, and tells why.
        """
        size = functions.get_page_size(self.request)
        with asking.telling(self.request, places.index()):
            asked = asking.pools_of(self.request)
            newest = list(asked.operations(self.key, size))
            listed = asking.listed(self.request, self.key)
            pool = asked.pool(self.key)
            return newest, listed, pool, asking.allowed(self.request, self.key)

    def get_hosts_data(self) -> list[dict[str, Any]]:
        """Rows of the first table."""
        _newest, _listed, pool, allowed = self.found
        return hosts.of_pool(pool, allowed)

    def get_operations_data(self) -> list[dict[str, Any]]:
        """Rows of the second."""
        newest, _listed, pool, allowed = self.found
        return operations.of_pool(pool, newest, allowed)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """What stands above the tables."""
        _newest, listed, pool, _allowed = self.found
        context: dict[str, Any] = super().get_context_data(
            **kwargs, listed=listed, pool=pool
        )
        context['seen_at'] = cells.time(pool.get('seen_at'))
        context['refusals'] = [
            entry
            for entry in pool.get('operations') or ()
            if entry.get('code')
        ]
        return context


class OperationView(views.HorizonTemplateView):
    """One operation, with its hosts, moves and guests."""

    template_name = 'admin/resource_pools/operation.html'
    page_title = '{{ operation.kind }} {{ operation.host|default:"" }}'

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """All that is told of it."""
        key = self.kwargs['aggregate_id']
        with asking.telling(self.request, places.of('pool', key)):
            found = asking.pools_of(self.request).operation(
                self.kwargs['operation']
            )
            if str(found.get('aggregate_id')) != key:
                raise api.Refused('It is of another aggregate.', 404)
        context: dict[str, Any] = super().get_context_data(
            **{**kwargs, 'operation': found}
        )
        context['told'] = told(found, fields.OPERATION)
        context['pool_url'] = places.of('pool', key)
        return context


def told(
    found: words.Data, shown: Mapping[str, fields.Render | None]
) -> list[tuple[str, str]]:
    """The fields of an answer that say something: title, text."""
    return list(_told(found, shown))


def _told(
    found: words.Data, shown: Mapping[str, fields.Render | None]
) -> Iterator[tuple[str, str]]:
    for name, render in shown.items():
        value = found.get(name)
        text = render(value) if render and name in found else value
        if text not in (None, ''):
            yield name.replace('_', ' ').capitalize(), str(text)
