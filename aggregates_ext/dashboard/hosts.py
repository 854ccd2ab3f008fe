"""The table of the hosts of one pool, and what can be done with one."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from horizon import tables

from aggregates_ext.client import api
from aggregates_ext.client import words
from aggregates_ext.dashboard import asking
from aggregates_ext.dashboard import cells
from aggregates_ext.dashboard import places
from aggregates_ext.dashboard import rights
from aggregates_ext.dashboard import rows


def object_id(found: words.Data) -> str:
    """What a host is known by; one that only its pool knows has no name."""
    return str(found.get('name') or found.get('uuid'))


def of_pool(
    found: words.Data, allowed: Mapping[str, set[str]]
) -> list[dict[str, Any]]:
    """The hosts of a pool.

    Each knows whether it is the master, and what may be done with it.

    :param allowed: as of ``asking.allowed``.
    """
    master = found.get('master')
    return [
        {
            **entry,
            'master': bool(master) and entry.get('name') == master,
            'allowed': allowed.get(entry['name'], set())
            if entry.get('name')
            else set(),
        }
        for entry in found.get('hosts') or ()
    ]


class Row(rows.Row):
    """A host that is looked at again while it is on its way."""

    def read(self, request: Any, obj_id: str) -> dict[str, Any]:
        """The host as it is now."""
        key = int(self.table.kwargs['aggregate_id'])
        allowed = asking.allowed(request, key)
        for entry in of_pool(asking.pools_of(request).pool(key), allowed):
            if object_id(entry) == obj_id:
                return entry
        raise api.Refused(f'Host {obj_id} has left.', 404)

    def unknown(self, obj_id: str, reason: str) -> dict[str, Any]:
        """Its name, and why there is no more."""
        return {'name': obj_id, 'phase': rows.UNKNOWN, 'alarm': reason}


class _HostLink(tables.LinkAction):
    """A form about one host.

    :ivar page: its name in ``urls``.
    :ivar action: what it asks of the API; it is there while that is taken.
    """

    page: str
    action: str
    classes = ('ajax-modal',)

    def get_link_url(self, datum: words.Data) -> str:
        """Where it is."""
        key = self.table.kwargs['aggregate_id']
        return places.of(self.page, key, datum['name'])

    def allowed(self, request: Any, datum: words.Data | None) -> bool:
        """Only where the API would take it, and it would change something."""
        return datum is None or (
            self.action in (datum.get('allowed') or ()) and self.fits(datum)
        )

    def fits(self, datum: words.Data) -> bool:
        """Whether the host is not as it would be then already."""
        return True


class Check(_HostLink):
    """What would forbid a change of the host."""

    name = page = 'check'
    action = 'check_host'
    verbose_name = _('Check')
    icon = 'search'
    policy_rules = rights.CHECK


class Enter(_HostLink):
    """Take the host into maintenance."""

    name = page = 'enter'
    action = 'enter_maintenance'
    verbose_name = _('Enter Maintenance')
    icon = 'wrench'
    policy_rules = rights.MAINTENANCE

    def fits(self, datum: words.Data) -> bool:
        """One that is in none, or has guests again."""
        return datum.get('maintenance') in ('off', 'leaving') or (
            'GUESTS_ARRIVED' in (datum.get('drift') or ())
        )


class Leave(_HostLink):
    """Take the host out of maintenance."""

    name = page = 'leave'
    action = 'leave_maintenance'
    verbose_name = _('Leave Maintenance')
    icon = 'play'
    policy_rules = rights.MAINTENANCE

    def fits(self, datum: words.Data) -> bool:
        """One that is in maintenance, or on its way into it."""
        return datum.get('maintenance') not in (None, 'off')


class Remove(_HostLink):
    """Take the host out of the aggregate, and of its pool."""

    name = page = 'remove'
    action = 'remove_host'
    verbose_name = _('Remove')
    icon = 'trash'
    action_type = 'danger'
    policy_rules = rights.REMOVE


class _PoolLink(tables.LinkAction):
    """A form about the pool.

    :ivar page: its name in ``urls``.
    """

    page: str
    classes = ('ajax-modal',)

    def get_link_url(self, datum: words.Data | None = None) -> str:
        """Where it is."""
        return places.of(self.page, self.table.kwargs['aggregate_id'])


class Add(_PoolLink):
    """Add a host to the aggregate."""

    name = page = 'add'
    verbose_name = _('Add Host')
    icon = 'plus'
    policy_rules = rights.ADD


class Roll(_PoolLink):
    """Restart or update all hosts, one after another."""

    name = page = 'rolling'
    verbose_name = _('Restart or Update All')
    icon = 'refresh'
    policy_rules = rights.ROLLING


def _condition(found: words.Data) -> str:
    """Whether it lives, takes guests, is the master."""
    master = ['master'] if found.get('master') else []
    return words.commas([*master, *words.condition(found)])


class HostsTable(tables.DataTable):
    """The hosts of a pool, and those that only the pool knows."""

    name = tables.WrappingColumn(object_id, verbose_name=_('Host'))
    label = tables.WrappingColumn('name_label', verbose_name=_('Its Label'))
    phase = tables.Column(
        'phase',
        verbose_name=_('Phase'),
        status=True,
        status_choices=cells.PHASES,
        empty_value=_('not in the aggregate'),
    )
    told = tables.Column(
        _condition,
        verbose_name=_('Condition'),
    )
    wrong = tables.Column(
        cells.drifted,
        verbose_name=_('Drift'),
    )
    guests = tables.Column('guests', verbose_name=_('Guests'))
    address = tables.Column('address', verbose_name=_('Address'))
    version = tables.Column('version', verbose_name=_('Version'))

    class Meta:
        """How it is drawn."""

        name = 'hosts'
        verbose_name = _('Hosts')
        hidden_title = False
        row_class = Row
        status_columns = ('phase',)
        table_actions = (Add, Roll)
        row_actions = (Check, Enter, Leave, Remove)
        multi_select = False

    def get_object_id(self, datum: words.Data) -> str:
        """What a row knows its host by."""
        return object_id(datum)

    def get_object_display(self, datum: words.Data) -> str:
        """What a host is called."""
        return object_id(datum)
