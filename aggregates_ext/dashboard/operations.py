"""The table of the operations of one pool, and the ways out of them."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from horizon import tables

from aggregates_ext.client import words
from aggregates_ext.dashboard import asking
from aggregates_ext.dashboard import cells
from aggregates_ext.dashboard import places
from aggregates_ext.dashboard import rights
from aggregates_ext.dashboard import rows


def of_pool(
    found: words.Data,
    operations: list[dict[str, Any]],
    allowed: Mapping[str, set[str]],
) -> list[dict[str, Any]]:
    """Operations, with what ends that one counts for the state of its pool.

    And with what may be done with each.

    :param allowed: as of ``asking.allowed``.
    """
    remedies = {
        entry.get('uuid'): entry.get('remedy')
        for entry in found.get('operations') or ()
    }
    return [
        {
            **each,
            'remedy': remedies.get(each['uuid']),
            'allowed': allowed.get(each['uuid'], set()),
        }
        for each in operations
    ]


def _what(found: words.Data) -> str:
    return f'{found.get("kind")} {found.get("host") or ""}'.rstrip()


def _why(found: words.Data) -> Any:
    """The reason, and the way out."""
    told = [words.reason(found), found.get('remedy')]
    return cells.lines(words.lines(filter(None, told)))


def _link(found: words.Data) -> str | None:
    key = found.get('aggregate_id')
    return key and places.of('operation', key, found['uuid'])


class Row(rows.Row):
    """An operation that is looked at again until it has ended."""

    def read(self, request: Any, obj_id: str) -> dict[str, Any]:
        """The operation as it is now."""
        pools = asking.pools_of(request)
        found = pools.operation(obj_id)
        key = int(found['aggregate_id'])
        allowed = asking.allowed(request, key)
        return of_pool(pools.pool(key), [found], allowed)[0]

    def unknown(self, obj_id: str, reason: str) -> dict[str, Any]:
        """Its uuid, and why there is no more."""
        return {
            'uuid': obj_id,
            'kind': obj_id,
            'state': rows.UNKNOWN,
            'remedy': reason,
        }


class _Act(tables.LinkAction):
    """A form that asks for something to be done with an operation.

    What Horizon has for actions with one click asks first too, and then sends
    the form of the row, which is gone when the row was looked at again.

    :ivar action: what it asks of the API; it is there while that is taken.
    """

    action: str
    classes = ('ajax-modal',)

    def get_link_url(self, datum: words.Data) -> str:
        """Where it is."""
        key = self.table.kwargs['aggregate_id']
        return places.of('again', key, datum['uuid'], self.name)

    def allowed(self, request: Any, datum: words.Data | None) -> bool:
        """Only where the API would take it as the operation is."""
        return datum is None or self.action in (datum.get('allowed') or ())


class Retry(_Act):
    """Try it again, when what was in its way is mended."""

    name = 'retry'
    action = 'retry_operation'
    verbose_name = _('Retry')
    icon = 'refresh'
    policy_rules = rights.RETRY


class Cancel(_Act):
    """Take it back, or give a run over all hosts up."""

    name = 'cancel'
    action = 'cancel_operation'
    verbose_name = _('Cancel')
    icon = 'stop'
    action_type = 'danger'
    policy_rules = rights.CANCEL


class Continue(_Act):
    """Let a run go on with the host that waits."""

    name = 'continue'
    action = 'continue_operation'
    verbose_name = _('Continue')
    icon = 'play'
    policy_rules = rights.ROLLING


class OperationsTable(tables.DataTable):
    """What was asked for, the newest first, and how it ended."""

    what = tables.Column(_what, verbose_name=_('Operation'), link=_link)
    state = tables.Column(
        'state',
        verbose_name=_('State'),
        status=True,
        status_choices=cells.OPERATION_STATES,
    )
    step = tables.Column('step', verbose_name=_('Step'))
    progress = tables.Column(cells.progress, verbose_name=_('Progress'))
    why = tables.Column(_why, verbose_name=_('Reason and Remedy'))
    asked_at = tables.Column(
        'created_at', verbose_name=_('Asked For At'), filters=(cells.time,)
    )
    finished_at = tables.Column(
        'finished_at', verbose_name=_('Ended At'), filters=(cells.time,)
    )

    class Meta:
        """How it is drawn."""

        name = 'operations'
        verbose_name = _('Operations')
        hidden_title = False
        row_class = Row
        status_columns = ('state',)
        # The first one that is there has a button, the others a menu.
        row_actions = (Continue, Retry, Cancel)
        multi_select = False

    def get_object_id(self, datum: words.Data) -> str:
        """What a row knows its operation by."""
        return str(datum['uuid'])

    def get_object_display(self, datum: words.Data) -> str:
        """What an operation is called."""
        return _what(datum)
