"""Rows that are looked at again while something changes."""

import abc
from typing import Any

from horizon import tables
from keystoneauth1 import exceptions as keystone_exceptions

from aggregates_ext.client import api
from aggregates_ext.dashboard import asking

# The state of what cannot be read now; it is asked for again.
UNKNOWN = 'unknown'


class Row(tables.Row):
    """A row whose browser asks for it until its state is one that stays."""

    ajax = True

    @abc.abstractmethod
    def read(self, request: Any, obj_id: str) -> dict[str, Any]:
        """What the row shows, as it is now.

        :raises api.Refused: it cannot be read; 404: it is gone.
        """

    @abc.abstractmethod
    def unknown(self, obj_id: str, reason: str) -> dict[str, Any]:
        """What the row shows while that cannot be read."""

    def get_data(self, request: Any, obj_id: str) -> dict[str, Any]:
        """The same for Horizon, which takes a row away that is gone.

        :raises keystone_exceptions.NotFound: it is.
        """
        try:
            return self.read(request, obj_id)
        except api.Refused as exc:
            asking.check_token(exc)
            if exc.status == 404:
                raise keystone_exceptions.NotFound(str(exc)) from exc
            return self.unknown(obj_id, str(exc))
