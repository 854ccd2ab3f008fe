"""The guests of a pool: what changed since the last look (design#guests).

One call for each look, whose cost does not grow with guests that stay as they
are. A guest is a VM that is neither template, snapshot nor control domain.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from aggregates_ext.compute.observation import views
from aggregates_ext.compute.xen import events
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import records

CLASS = 'VM'
# Guests of one pool that are kept: far beyond what pools have.
MOST = 50_000
POWER_STATES = ('Halted', 'Paused', 'Running', 'Suspended')
_OTHERS = ('is_a_template', 'is_a_snapshot', 'is_control_domain')
_MOST_VCPUS = 1_000_000


@dataclasses.dataclass(frozen=True)
class News:
    """What a look showed of the guests of a pool.

    :ivar whole: all there are were seen; others are no more.
    :ivar seen: those that are new or may have changed.
    :ivar gone: references of those that are none, or not any more.
    :ivar unread: of those of which nobody can tell what they are: what was
        seen of them stays.
    :ivar mark: from where the next look goes on.
    :ivar odd: what of them cannot be read.
    """

    whole: bool
    seen: tuple[records.Seen, ...]
    gone: frozenset[str]
    unread: frozenset[str]
    mark: dict[str, Any]
    odd: tuple[str, ...] = ()


def read(
    session: xenapi.Session,
    view: views.PoolView,
    mark: Mapping[str, Any] | None,
) -> News:
    """What became of the guests since the last look, or all of them.

    All are read where the mark is none of this process of the master, since a
    restart forgets who is no more (xapi#events), and where their number says
    that some were missed.

    :param mark: of the last look; None: there was none.
    :raises HostError: it cannot be told; what was seen before stays.
    """
    process = _process(view)
    if mark and process and mark.get('process') == process:
        found = session.changes(CLASS, mark['token'])
        count = mark['count'] + found.made - len(found.gone)
        if count == found.number:
            return _news(view, found, process, whole=False)
    found = session.changes(CLASS, '')
    return _news(view, found, process, whole=True)


def _process(view: views.PoolView) -> str:
    """What tells one run of the master's xapi from another; empty: nothing.

    With hosts that cannot be told apart, where guests are is not known for
    long: they are read anew each time.
    """
    if not view.master.agent_start_time or view.hosts.unnamed:
        return ''
    return f'{view.uuid} {view.master.uuid} {view.master.agent_start_time}'


def _news(
    view: views.PoolView, found: events.Events, process: str, *, whole: bool
) -> News:
    homes = {host.ref: host.uuid for host in view.hosts.values()}
    odd: list[str] = []
    seen: dict[str, records.Seen] = {}
    unread: set[str] = set()
    for ref, record in found.records.items():
        try:
            guest = _guest(ref, record, homes, odd)
        except failures.OddAnswer as exc:
            odd.append(exc.what)
            unread.add(ref)
            continue
        if guest is not None and len(seen) < MOST:
            seen[ref] = guest
    gone = found.gone | (found.records.keys() - seen.keys() - unread)
    return News(
        whole,
        tuple(seen.values()),
        frozenset(gone),
        frozenset(unread),
        {'token': found.token, 'count': found.number, 'process': process},
        tuple(odd),
    )


def _guest(
    ref: str,
    record: fields.Record,
    homes: Mapping[str, str],
    odd: list[str],
) -> records.Seen | None:
    """A guest as far as it can be read; None: it is none.

    :raises OddAnswer: nobody can tell what it is.
    """
    if any(record[flag] for flag in _OTHERS):
        return None
    uuid = record['uuid']
    running = fields.collect(record, 'current_operations', {}, odd)
    vcpus = fields.collect(record, 'VCPUs_at_startup', 0, odd)
    power = fields.collect(record, 'power_state', '', odd)
    memory = fields.collect(record, 'memory_static_max', 0, odd)
    return records.Seen(
        ref=ref,
        uuid=uuid,
        name=fields.collect(record, 'name_label', '', odd),
        host_uuid=homes.get(fields.collect(record, 'resident_on', '', odd)),
        power_state=power if power in POWER_STATES else '',
        memory=max(0, memory),
        vcpus=min(max(0, vcpus), _MOST_VCPUS),
        operation=min(running.values(), default=None),
    )
