"""The table of the operations of one pool, and the ways out of them."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from horizon import tables

from aggregates_ext.client import words
from aggregates_ext.dashboard import asking
from aggregates_ext.dashboard import cells
from aggregates_ext.dashboard import places
from aggregates_ext.dashboard import rights
from aggregates_ext.dashboard import rows

# Those that can be given up when they have begun, too.
RUNS = ('rolling_reboot', 'rolling_update', 'set_hosts')


def of_pool(
    found: words.Data, operations: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Operations, with what ends that one counts for the state of its pool."""
    remedies = {
        entry.get('uuid'): entry.get('remedy')
        for entry in found.get('operations') or ()
    }
    return [
        {**each, 'remedy': remedies.get(each['uuid'])} for each in operations
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
        pool = pools.pool(int(found['aggregate_id']))
        return of_pool(pool, [found])[0]

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
    """

    classes = ('ajax-modal',)

    def get_link_url(self, datum: words.Data) -> str:
        """Where it is."""
        key = self.table.kwargs['aggregate_id']
        return places.of('again', key, datum['uuid'], self.name)

    def allowed(self, request: Any, datum: words.Data | None) -> bool:
        """Only where it makes sense for the operation as it is."""
        return datum is None or self.fits(datum)

    def fits(self, datum: words.Data) -> bool:
        """Whether it does."""
        raise NotImplementedError


class Retry(_Act):
    """Try it again, when what was in its way is mended."""

    name = 'retry'
    verbose_name = _('Retry')
    icon = 'refresh'
    policy_rules = rights.RETRY

    def fits(self, datum: words.Data) -> bool:
        """One that has not come about, or rests."""
        return datum.get('state') in ('failed', 'cancelled', 'unresolved') or (
            datum.get('state') == 'queued' and bool(datum.get('retry_at'))
        )


class Cancel(_Act):
    """Take it back, or give a run over all hosts up."""

    name = 'cancel'
    verbose_name = _('Cancel')
    icon = 'stop'
    action_type = 'danger'
    policy_rules = rights.CANCEL

    def fits(self, datum: words.Data) -> bool:
        """One that is queued, and a run that can be given up."""
        return datum.get('state') == 'queued' or (
            datum.get('state') == 'running' and datum.get('kind') in RUNS
        )


class Continue(_Act):
    """Let a run go on with the host that waits."""

    name = 'continue'
    verbose_name = _('Continue')
    icon = 'play'
    policy_rules = rights.ROLLING

    def fits(self, datum: words.Data) -> bool:
        """A run of which a host waits."""
        # The list of operations does not tell who waits; one alone does.
        waits = 'paused' not in datum or bool(datum['paused'])
        return datum.get('state') == 'running' and (
            datum.get('kind') in RUNS and waits
        )


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
        row_actions = (Retry, Continue, Cancel)
        multi_select = False

    def get_object_id(self, datum: words.Data) -> str:
        """What a row knows its operation by."""
        return str(datum['uuid'])

    def get_object_display(self, datum: words.Data) -> str:
        """What an operation is called."""
        return _what(datum)
