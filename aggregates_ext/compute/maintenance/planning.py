"""What a restart of all hosts goes by: its hosts, and what forbids it."""

import contextlib
import dataclasses
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.maintenance import lacking
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import witness
from aggregates_ext.compute.rules import bindings
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules import updating
from aggregates_ext.compute.rules.evacuating import facts
from aggregates_ext.compute.rules.evacuating import rolling
from aggregates_ext.compute.rules.evacuating import shutdowns
from aggregates_ext.compute.rules.leaving import leaver
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import records


@contextlib.contextmanager
def at_master(run: compute_run.Run) -> Iterator[masters.Master]:
    """The master of the pool, wherever it is now."""
    aggregate, hosts = run.aggregate(), masters.bound(run)
    with masters.of_run(run, aggregate, hosts) as master:
        yield master


def choose(
    hosts: Sequence[records.Host],
    named: Sequence[str] | None,
    master: str,
) -> list[records.Host]:
    """The hosts that are restarted, in order: the master is the first.

    :param hosts: of the aggregate.
    :param named: those that are wanted, in order; None: all members.
    :param master: the uuid of the master.
    """
    by_name = {host.name: host for host in hosts if host.phase == 'member'}
    wanted = sorted(by_name) if named is None else dict.fromkeys(named)
    chosen = [name for name in wanted if name in by_name]
    # The sort is stable: the others keep their order.
    chosen.sort(key=lambda name: by_name[name].uuid != master)
    return [by_name[name] for name in chosen]


def look(
    connector: connections.Connector,
    hosts: Sequence[records.Host],
    aggregate: records.Aggregate,
    asked: Mapping[str, Any],
    find: witness.Find | None = None,
) -> dict[str, Any]:
    """What a restart would do, and what forbids it.

    :returns: as ``told``.
    :param hosts: those of the aggregate.
    :param find: further registered hosts by their address.
    :raises exception.AggregatesError: it could not be told.
    """
    with masters.master_of(connector, aggregate, hosts, find=find) as master:
        view = master.look()
        chosen = choose(hosts, asked.get('hosts'), view.master.uuid)
        return told(plan(master.session, chosen, hosts, asked))


def plan(
    session: xenapi.Session,
    chosen: Sequence[records.Host],
    hosts: Sequence[records.Host],
    asked: Mapping[str, Any],
) -> rolling.RollingPlan:
    """What would go where, and what forbids it, as the pool is now.

    :param session: at the master.
    :param chosen: of ``choose``.
    :param asked: the parameters of the request.
    """
    known = facts.read(session)
    lacks: lacking.Lacking | None = None
    left_out: list[records.Host] = []
    listed = known.records['host']
    if asked.get('only_if_needed'):
        left_out = [
            host
            for host in chosen
            if not needs_reboot(known.asked, listed, host)
        ]
        chosen = [host for host in chosen if host not in left_out]
    if asked.get('update'):
        lacks = lacking.read(session, known, chosen, asked)
        chosen = lacks.chosen
    found = rolling.plan(
        known,
        chosen,
        hosts,
        asked.get('shut_down', ()),
        hard=bool(asked.get('hard')),
        suspend_ha=bool(asked.get('suspend_ha')),
        restore=bool(asked.get('restore')),
        network=asked.get('network'),
    )
    blockers = found.report.blockers
    if lacks is not None:
        found = dataclasses.replace(found, updates=lacks.told, hash=lacks.hash)
        blockers = (*lacks.blockers, *blockers)
    if 'retry_of' not in asked:
        # It names those too that have had their turn.
        blockers = (
            *_strangers(hosts, asked.get('hosts', ())),
            *shutdowns.refuse(found.unknown),
            *blockers,
        )
    refs = [leaver.find(known.asked, listed, str(h.uuid)) for h in left_out]
    by_hand = updating.by_hand([listed[ref] for ref in refs if ref])
    report = dataclasses.replace(
        found.report,
        blockers=blockers,
        warnings=(*by_hand, *found.report.warnings),
    )
    return dataclasses.replace(found, report=report)


def _strangers(
    hosts: Sequence[records.Host], named: Sequence[str]
) -> Iterator[preflight.Problem]:
    """What is wrong with hosts that are named."""
    members = {host.name for host in hosts if host.phase == 'member'}
    unknown = [name for name in named if name not in members]
    if unknown:
        yield preflight.Problem(
            bindings.NOT_A_MEMBER,
            'only members of the aggregate are restarted',
            text.listed(unknown),
            'Name hosts that it lists, when they have joined.',
        )


def told(found: rolling.RollingPlan) -> dict[str, Any]:
    """A plan with what forbids it, as JSON; memory in bytes."""
    report = found.report
    return {
        'blockers': [problem.as_dict() for problem in report.blockers],
        'warnings': [problem.as_dict() for problem in report.warnings],
        **found.as_dict(),
    }


def needs_reboot(
    asked: str, hosts: preflight.Records, host: records.Host
) -> bool:
    """Whether an update of a host asks for a reboot.

    :param asked: name of the host that lists them, for messages.
    :param hosts: that it shows, by reference.
    """
    ref = leaver.find(asked, hosts, str(host.uuid))
    return ref is not None and updating.needs_reboot(hosts[ref])


def named_on(
    session: xenapi.Session, host: records.Host, named: Collection[str]
) -> list[str]:
    """Which of some guests run on a host, by uuid."""
    if not named:
        return []
    refs = {
        ref
        for ref, record in session.records('host').items()
        if record['uuid'] == host.uuid
    }
    return sorted(
        vm['uuid']
        for vm in session.records('VM').values()
        if vm['uuid'] in named and vm['resident_on'] in refs
    )
