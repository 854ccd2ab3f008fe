"""What is asked of the API by forms, and what they show before that.

A form whose request is refused stays, with the reasons. So does one that was
only to look: it shows what was found.
"""

import types
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from horizon import forms
from horizon import messages

from aggregates_ext.client import api
from aggregates_ext.client import fields
from aggregates_ext.client import words
from aggregates_ext.dashboard import asking

Choices = list[tuple[str, str]]


class Form(forms.SelfHandlingForm):
    """A request about the pool of one aggregate.

    :ivar found: what was looked at, for the page; None: nothing.
    :ivar shown: its fields, in their order.
    """

    found: Mapping[str, Any] | None = None
    shown = fields.CHECK

    @property
    def key(self) -> int:
        """The id of the aggregate."""
        return int(self.initial['aggregate_id'])

    @property
    def host(self) -> str:
        """The host that it is about."""
        return str(self.initial['host'])

    def look(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """A check of a host, for the page; nothing where none was made."""
        try:
            found = asking.pools_of(self.request).check(self.key, asked)
        except api.Refused as exc:
            return self._unread(exc)
        self._show(found)
        return found

    def plan(self, kind: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """A plan of a run, for the page; nothing where none was made."""
        try:
            found = asking.pools_of(self.request).plan(self.key, kind, asked)
        except api.Refused as exc:
            return self._unread(exc)
        self._show(found)
        return found

    def _show(self, found: Mapping[str, Any]) -> None:
        self.found = {
            **found,
            'accepted': _('yes')
            if fields.would_be_accepted(found)
            else _('no'),
        }

    def _unread(self, refused: api.Refused) -> Mapping[str, Any]:
        asking.check_token(refused)
        self.set_warning(str(refused))
        return {}

    def ask(self, action: str, asked: Mapping[str, Any]) -> bool:
        """Ask for a change; the answer: whether it is accepted.

        How it ends is told by its operation, on the page of the pool.
        """
        try:
            accepted = asking.pools_of(self.request).act(
                self.key, action, asked
            )
        except api.Refused as exc:
            asking.check_token(exc)
            self.api_error(str(exc))
            return False
        told = accepted.body.get('operation') or {}
        uuid = accepted.operation or told.get('uuid')
        messages.success(
            self.request,
            _('%(action)s is accepted: operation %(uuid)s, see below.')
            % {'action': action, 'uuid': uuid}
            if uuid
            else _('%s: done, nothing had to be changed.') % action,
        )
        return True


def _ticks(label: Any, choices: Choices, text: Any) -> Any:
    return forms.MultipleChoiceField(
        label=label,
        choices=choices,
        required=False,
        help_text=text,
        widget=forms.CheckboxSelectMultiple(),
    )


def _tick(label: Any, text: Any = '', initial: bool = False) -> Any:
    return forms.BooleanField(
        label=label, help_text=text, required=False, initial=initial
    )


class Add(Form):
    """A host that joins the pool."""

    host_name = forms.CharField(
        label=_('Host'),
        max_length=255,
        help_text=_('By the name under which it is registered.'),
        widget=forms.TextInput(attrs={'list': 'known_hosts'}),
    )
    only_check = _tick(_('Only check it, change nothing'))

    def handle(self, request: Any, data: Mapping[str, Any]) -> bool:
        """Ask for it, or show what would forbid it."""
        host = data['host_name'].strip()
        if data['only_check']:
            self.look({'host': host, 'for': 'add'})
            return False
        return self.ask('add_host', {'host': host})


class Check(Form):
    """What would forbid a change of a host."""

    purpose = forms.ThemableChoiceField(
        label=_('For'),
        choices=[(name, name) for name in fields.PURPOSES if name != 'add'],
    )

    def handle(self, request: Any, data: Mapping[str, Any]) -> bool:
        """Show it; nothing is changed."""
        self.look({'host': self.host, 'for': data['purpose']})
        return False


class Remove(Form):
    """A host that leaves its pool, and the disks that go with it."""

    force = _tick(
        _('The host is gone for good'),
        _('Its pool forgets it; refused while anything answers there.'),
    )

    def __init__(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        # Looked at anew when the form comes back: what is there by then
        # and was not ticked is not given up.
        found = self.look({'host': self.host, 'for': 'remove'})
        self._disks = found.get('disks') or {}
        choices = list(_disks(self._disks))
        if choices:
            self.fields['disks'] = _ticks(
                _('Disks that will be destroyed'),
                choices,
                _('Tick each one that may be lost.'),
            )
            self.order_fields(['disks', 'force'])
            # They are told by what is to be ticked.
            self.shown = {**self.shown, 'disks': lambda found: ''}

    def clean(self) -> dict[str, Any]:
        """Refuse what would destroy a disk that was not ticked."""
        data: dict[str, Any] = super().clean()
        ticked = data.get('disks') or ()
        lost = [
            name for uuid, name in _disks(self._disks) if uuid not in ticked
        ]
        if lost and not data.get('force'):
            raise ValidationError(
                _(
                    'Nothing is done. Not ticked, and destroyed by the '
                    'removal: %s.'
                )
                % '; '.join(lost)
            )
        return data

    def handle(self, request: Any, data: Mapping[str, Any]) -> bool:
        """Ask for it, and give up the disks that were ticked."""
        return self.ask(
            'remove_host',
            {
                'host': self.host,
                'accept_data_loss': None
                if data['force']
                else list(self._disks) or None,
                'force': data['force'] or None,
            },
        )


def _disks(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each disk by what ticks it, and in words."""
    for sr, entries in found.items():
        for entry in entries:
            place, disk = words.disks({sr: [entry]}).splitlines()
            yield f'{sr}/{entry.get("uuid")}', f'{disk.strip()}; in {place}'


class Enter(Form):
    """A host that goes into maintenance, and guests that may be shut down."""

    reason = forms.CharField(label=_('Reason'), required=False, max_length=255)
    stay_on_failure = _tick(
        _('Take no guests, even if some cannot leave'),
    )

    def __init__(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        found = self.look({'host': self.host, 'for': 'maintenance'})
        stuck = [
            (str(entry.get('uuid')), words.named(entry, 'guest'))
            for entry in found.get('plan') or ()
            if not entry.get('target')
        ]
        if stuck:
            self.fields['shut_down'] = _ticks(
                _('Guests that cannot move and may be shut down'), stuck, ''
            )
            self.fields['hard'] = _tick(
                _('Shut them down hard if they do not go down in time')
            )

    def handle(self, request: Any, data: Mapping[str, Any]) -> bool:
        """Ask for it."""
        return self.ask(
            'enter_maintenance',
            {
                'host': self.host,
                'reason': data['reason'] or None,
                'stay_on_failure': data['stay_on_failure'] or None,
                'shut_down': data.get('shut_down') or None,
                'hard': data.get('hard') or None,
            },
        )


class Leave(Form):
    """A host that comes back from maintenance."""

    restore = _tick(
        _('Its guests come back, and those shut down start'), initial=True
    )

    def handle(self, request: Any, data: Mapping[str, Any]) -> bool:
        """Ask for it."""
        asked = {'host': self.host, 'restore': data['restore']}
        return self.ask('leave_maintenance', asked)


class Roll(Form):
    """All hosts of a pool, one after another: restarted, or updated."""

    shown = fields.PLAN

    kind = forms.ThemableChoiceField(
        label=_('What'),
        choices=[
            ('rolling_reboot', _('Restart all hosts')),
            ('rolling_update', _('Update all hosts')),
        ],
    )
    only_if_needed = _tick(
        _('Only those of which an update asks for it'),
        _('Of a restart; an update leaves out who lacks nothing anyway.'),
    )
    pause = _tick(
        _('Wait at each host when it is empty'),
        _('Until its operation is continued on the page of the pool.'),
    )
    suspend_ha = _tick(_('High availability may be off for the time'))
    restore = _tick(_('Guests come home at the end'), initial=True)
    only_plan = _tick(_('Only show the plan, change nothing'), initial=True)

    def __init__(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        # A restart moves the guests that an update moves, and is planned
        # without asking any repository.
        found = self.plan('rolling_reboot', {'suspend_ha': True})
        names = {
            entry.get('guest'): words.named(entry)
            for turn in found.get('hosts') or ()
            for entry in turn.get('shut_down') or ()
        }
        guests = [(g, names.get(g, g)) for g in found.get('consent') or ()]
        if guests:
            self.fields['shut_down'] = _ticks(
                _('Guests that cannot move and may be shut down'), guests, ''
            )
            self.fields['hard'] = _tick(
                _('Shut them down hard if they do not go down in time')
            )

    def handle(self, request: Any, data: Mapping[str, Any]) -> bool:
        """Ask for it, or show the plan."""
        kind = data['kind']
        reboots = kind == 'rolling_reboot'
        pause = 'before_reboot' if reboots else 'before_update'
        asked = {
            'restore': data['restore'],
            'suspend_ha': data['suspend_ha'],
            'pause': pause if data['pause'] else 'none',
            'shut_down': data.get('shut_down') or None,
            'hard': data.get('hard') or None,
            'only_if_needed': data['only_if_needed'] if reboots else None,
        }
        if data['only_plan']:
            self.found = None
            self.plan(kind, asked)
            return False
        return self.ask(kind, asked)


class Again(Form):
    """An operation that is tried again, taken back, or let go on."""

    shown = fields.OPERATION
    verbs = types.MappingProxyType(
        {
            'retry': 'retry_operation',
            'cancel': 'cancel_operation',
            'continue': 'continue_operation',
        }
    )

    def __init__(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        try:
            self.found = asking.pools_of(request).operation(
                self.initial['operation']
            )
        except api.Refused as exc:
            self._unread(exc)

    def handle(self, request: Any, data: Mapping[str, Any]) -> bool:
        """Ask for it."""
        action = self.verbs[self.initial['verb']]
        return self.ask(action, {'operation': self.initial['operation']})
