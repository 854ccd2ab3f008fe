"""What stands in the cells of tables.

Names and messages come from hosts and guests: all of it is text, which the
templates escape.
"""

from typing import Any

from django.template import defaultfilters
from django.template import loader
from horizon.utils import filters

from aggregates_ext.client import words

# What a row waits for, is well or is not: None is looked at again and again.
POOL_STATES = (
    ('active', True),
    ('created', True),
    ('changing', None),
    ('error', False),
)
PHASES = (
    ('member', True),
    ('joining', None),
    ('leaving', None),
    ('returning', None),
)
OPERATION_STATES = (
    ('succeeded', True),
    ('cancelled', True),
    ('queued', None),
    ('running', None),
    ('failed', False),
    ('unresolved', False),
)


def lines(text: str) -> Any:
    """A text of many lines, escaped."""
    return defaultfilters.linebreaksbr(text, autoescape=True)


def time(value: Any) -> Any:
    """A time of the API as the user of Horizon reads times."""
    return filters.parse_isotime(value) or None


def progress(operation: words.Data) -> Any:
    """How far an operation is, as a bar while it runs."""
    percent = operation.get('progress') or 0
    if operation.get('state') not in ('queued', 'running'):
        return f'{percent} %'
    return loader.render_to_string(
        'admin/resource_pools/_progress.html', {'percent': percent}
    )


def drifted(found: words.Data) -> Any:
    """The codes of what differs at a host, with what else is wrong."""
    told = [*(found.get('drift') or ())]
    if found.get('alarm'):
        told.append(found['alarm'])
    return lines(words.lines(told))
