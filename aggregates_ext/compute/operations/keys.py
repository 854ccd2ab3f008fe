"""The keys by which XenCenter knows a host in maintenance.

They are for others: whatever becomes of them, it ends no operation, and is
told (design#maintenance-keys).
"""

import contextlib
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from oslo_log import log as logging
from oslo_utils import uuidutils

from aggregates_ext.compute.observation import rolls
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import xenapi

LOG = logging.getLogger(__name__)
ADD = 'host.add_to_other_config'
REMOVE = 'host.remove_from_other_config'
# The code of what could not be done.
CODE = 'XENCENTER_KEYS'
# Somebody else has just written a key: that will do.
EXISTS = 'MAP_DUPLICATE_KEY'
# Guests of another tool's list that are kept; more are on no host.
MOST_KEPT = 4096

# A method, and its arguments after the reference of the host.
Call = tuple[str, ...]


def missing(
    found: Mapping[str, str], moved: Sequence[str] | None
) -> list[Call]:
    """The calls after which a host has the keys.

    The one that counts comes last. Guests that another tool has moved away
    stay in the list, as long as the host is in maintenance for it.

    :param found: the keys that it has.
    :param moved: uuids of the guests that were moved away here; None: the
        list stays as it is.
    """
    wanted = {rolls.MODE: rolls.IS_ON}
    if moved is not None:
        wanted = {rolls.MOVED: _listed(found, moved), **wanted}
    calls: list[Call] = []
    for key, value in wanted.items():
        if found.get(key, '') == value:
            continue
        if key in found:
            calls.append((REMOVE, key))
        if value:
            calls.append((ADD, key, value))
    return calls


def _listed(found: Mapping[str, str], moved: Sequence[str]) -> str:
    guests = set(moved)
    if found.get(rolls.MODE) == rolls.IS_ON:
        theirs = found.get(rolls.MOVED, '').split(',', MOST_KEPT)
        guests |= set(filter(uuidutils.is_uuid_like, theirs))
    return ','.join(sorted(guests))


def left(found: Mapping[str, str]) -> list[Call]:
    """The calls after which a host has none; first the one that counts.

    :param found: the keys that it has.
    """
    return [(REMOVE, key) for key in (rolls.MODE, rolls.MOVED) if key in found]


def send(
    run: compute_run.Run,
    login: Callable[[], xenapi.Session],
    ref: str,
    calls: Sequence[Call],
    *,
    late: bool,
) -> dict[str, Any] | None:
    """Send calls from a session of their own, each recorded before.

    :param ref: the host.
    :param late: whether there is no time left for them.
    :returns: what could not be done; it stops nothing.
    :raises outcomes.Postpone: what became of one is to be looked for.
    """
    if not calls:
        return None
    if late:
        return _told(run, calls, 'TIMEOUT: there was no time left.')
    with contextlib.closing(login()) as session:
        for method, *arguments in calls:
            try:
                run.change(session, method, ref, *arguments)
            except outcomes.AnsweredForGood as exc:
                if exc.answer.code != EXISTS:
                    return _told(run, calls, str(exc))
    return None


def _told(
    run: compute_run.Run, calls: Sequence[Call], reason: str
) -> dict[str, Any]:
    keys = sorted({key for _method, key, *_value in calls})
    done = 'written' if calls[-1][0] == ADD else 'removed'
    names = text.listed(keys)
    LOG.warning(
        'Keys of host %s are not %s: %s: %s',
        run.host_name,
        done,
        names,
        reason,
    )
    return {
        'code': CODE,
        'parameters': keys,
        'message': f'other_config of host {run.host_name}: {names} could not '
        f'be {done}, by which XenCenter knows its maintenance. {reason}',
    }
