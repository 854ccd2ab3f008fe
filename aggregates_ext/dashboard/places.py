"""Links to the pages of the panel."""

from typing import Any

from django.urls import reverse

INDEX = 'horizon:admin:resource_pools:index'
_PANEL = 'horizon:admin:resource_pools:{}'


def index() -> str:
    """The page with all pools."""
    return str(reverse(INDEX))


def of(page: str, *steps: Any) -> str:
    """A page of one aggregate, host or operation.

    :param page: its name in ``urls``.
    :param steps: the id of the aggregate, then what is below it.
    """
    return str(reverse(_PANEL.format(page), args=steps))
