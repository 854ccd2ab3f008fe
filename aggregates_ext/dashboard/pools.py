"""The table of all pools."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from horizon import tables

from aggregates_ext.client import words
from aggregates_ext.dashboard import asking
from aggregates_ext.dashboard import cells
from aggregates_ext.dashboard import places
from aggregates_ext.dashboard import rows


def _link(found: words.Data) -> str:
    return places.of('pool', found['aggregate_id'])


def _wrong(found: words.Data) -> Any:
    """What differs, and what has failed."""
    failed = [
        f'{entry.get("kind")} {entry.get("host") or ""}: {entry.get("code")}'
        for entry in found.get('operations') or ()
        if entry.get('state') in ('failed', 'unresolved')
    ]
    codes = words.codes(found.get('drift') or ())
    told = [found.get('unread'), codes, *failed]
    return cells.lines(words.lines(filter(None, told)))


def _under_way(found: words.Data) -> Any:
    """What goes on, and how far it is."""
    going = [
        entry
        for entry in found.get('operations') or ()
        if entry.get('state') in ('queued', 'running')
    ]
    return cells.lines(
        words.lines(
            f'{words.under_way([entry])}, {entry.get("progress") or 0} %'
            for entry in going
        )
    )


class Row(rows.Row):
    """A pool that is looked at again while it changes."""

    def read(self, request: Any, obj_id: str) -> dict[str, Any]:
        """The pool as it is now."""
        return asking.listed(request, int(obj_id))

    def unknown(self, obj_id: str, reason: str) -> dict[str, Any]:
        """Its id, and why there is no more."""
        return {
            'aggregate_id': int(obj_id),
            'name': obj_id,
            'state': rows.UNKNOWN,
            'unread': reason,
        }


class Filter(tables.FilterAction):
    """What of all pools is shown; the API does it."""

    filter_type = 'server'
    filter_choices = (
        ('name', _('Name ='), True),
        ('state', _('State ='), True),
        ('drift', _('Drift ='), True),
        ('host', _('Host ='), True),
        ('availability_zone', _('Availability Zone ='), True),
    )


class PoolsTable(tables.DataTable):
    """All pools, a page at a time."""

    name = tables.WrappingColumn(
        'name', verbose_name=_('Aggregate'), link=_link
    )
    zone = tables.Column(
        'availability_zone', verbose_name=_('Availability Zone')
    )
    state = tables.Column(
        'state',
        verbose_name=_('State'),
        status=True,
        status_choices=cells.POOL_STATES,
    )
    master = tables.Column('master', verbose_name=_('Master'))
    hosts = tables.Column(
        'hosts', verbose_name=_('Hosts'), filters=(words.phases,)
    )
    under_way = tables.Column(_under_way, verbose_name=_('Under Way'))
    wrong = tables.Column(_wrong, verbose_name=_('Wrong'))
    wrong_since = tables.Column(
        'wrong_since', verbose_name=_('Since'), filters=(cells.time,)
    )
    looked_at = tables.Column(
        'looked_at', verbose_name=_('Looked At'), filters=(cells.time,)
    )

    class Meta:
        """How it is drawn."""

        name = 'pools'
        verbose_name = _('Resource Pools')
        row_class = Row
        status_columns = ('state',)
        table_actions = (Filter,)
        multi_select = False

    def get_object_id(self, datum: words.Data) -> str:
        """What the pagination and the rows know a pool by."""
        return str(datum['aggregate_id'])

    def get_object_display(self, datum: words.Data) -> str:
        """What a pool is called."""
        return str(datum['name'])
