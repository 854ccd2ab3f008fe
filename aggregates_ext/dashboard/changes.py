"""The pages with forms, which Horizon shows in a window of the page."""

import types
from typing import Any

from django.utils.translation import gettext_lazy as _
from horizon import forms as horizon_forms

from aggregates_ext.dashboard import asking
from aggregates_ext.dashboard import forms
from aggregates_ext.dashboard import places
from aggregates_ext.dashboard import views


class _Change(horizon_forms.ModalFormView):
    """A form about one pool or host; afterwards comes the page of the pool.

    :ivar page: its name in ``urls``.
    """

    page: str
    template_name = 'admin/resource_pools/form.html'

    def get_initial(self) -> dict[str, Any]:
        """What the address says."""
        return dict(self.kwargs)

    def get_success_url(self) -> str:
        """The page of the pool."""
        return places.of('pool', self.kwargs['aggregate_id'])

    def get_cancel_url(self) -> str:
        """The same."""
        return self.get_success_url()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The form, and what it has found."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        context['submit_url'] = self.request.path
        context['modal_id'] = f'{self.page}_modal'
        context['form_id'] = f'{self.page}_form'
        context['host'] = self.kwargs.get('host', '')
        return context

    def render_to_response(
        self, context: dict[str, Any], **kwargs: Any
    ) -> Any:
        """The page; what was found may be that of the last answer."""
        form = context['form']
        if form.found:
            context['told'] = views.told(form.found, form.shown)
        return super().render_to_response(context, **kwargs)


class AddView(_Change):
    """Adds a host."""

    page = 'add'
    form_class = forms.Add
    page_title = submit_label = _('Add Host')

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The form, and names to choose from."""
        context = super().get_context_data(**kwargs)
        context['known_hosts'] = asking.hosts(self.request)
        return context


class CheckView(_Change):
    """Checks a host."""

    page = 'check'
    form_class = forms.Check
    page_title = submit_label = _('Check')


class RemoveView(_Change):
    """Removes a host."""

    page = 'remove'
    form_class = forms.Remove
    page_title = submit_label = _('Remove Host')


class EnterView(_Change):
    """Takes a host into maintenance."""

    page = 'enter'
    form_class = forms.Enter
    page_title = submit_label = _('Enter Maintenance')


class LeaveView(_Change):
    """Takes a host out of maintenance."""

    page = 'leave'
    form_class = forms.Leave
    page_title = submit_label = _('Leave Maintenance')


class RollingView(_Change):
    """Restarts or updates all hosts."""

    page = 'rolling'
    form_class = forms.Roll
    page_title = _('Restart or Update All Hosts')
    submit_label = _('Go On')


class AgainView(_Change):
    """Tries an operation again, takes it back, or lets it go on."""

    page = 'again'
    form_class = forms.Again
    page_title = _('Operation')
    labels = types.MappingProxyType(
        {
            'retry': _('Retry Operation'),
            'cancel': _('Cancel Operation'),
            'continue': _('Continue Operation'),
        }
    )

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The form, named by what it does."""
        context = super().get_context_data(**kwargs)
        label = self.labels[self.kwargs['verb']]
        context['page_title'] = context['submit_label'] = label
        # That of other forms cancels the form, here something else.
        context['cancel_label'] = _('Close')
        return context
