"""Adopting a pool: the aggregate follows what the pool has become.

Everything is decided on one look at the pool, whose master is verified, and
written in one transaction; repeating it does no harm.
"""

import contextlib
import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from aggregates_ext.compute.observation import directories
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import observe
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.observation import witness
from aggregates_ext.compute.operations import census
from aggregates_ext.compute.operations import enabling
from aggregates_ext.compute.operations import pool
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db import records

_NAME = re.compile(
    r'[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]{0,253}[^\s\x00-\x1f\x7f])?'
)


def adopt(run: compute_run.Run) -> None:
    """Take the pool as it is: its hosts, its label, its master.

    With a host the pool is that host's, and becomes the aggregate's.

    :raises outcomes.Failed: for all reasons at once; nothing is changed.
    :raises outcomes.Postpone: to be tried again.
    """
    run.end_recorded_session()
    if run.operation.host is not None:
        _found(run)
        return
    aggregate, hosts = run.aggregate(), masters.bound(run)
    if aggregate.pool_uuid is None:
        raise outcomes.Failed(
            'NO_POOL',
            f'Aggregate {aggregate.id} has no pool any more, so there is '
            'nothing to adopt.',
        )
    with masters.of_run(run, aggregate, hosts) as master:
        view = views.pool_view(master.session)
        counted = census.take(run, view, hosts)
        census.refuse_all(
            f'Aggregate {aggregate.id} cannot adopt its pool as it is:',
            [
                *census.check_identity(aggregate, master, view),
                *census.check_hosts(counted),
                *census.check_zones(counted),
                *census.check_idle(counted),
                *census.check_proof(run, counted),
            ],
        )
        returned = _find_returned(run, counted)
        off = enabling.find_disabled(run, master.session, counted)
        done = mark_again(run, master.session, view, aggregate)
        account = master.session.credential.name
    _Transaction(run, counted, account, returned, off, done).commit()


def mark_again(
    run: compute_run.Run,
    session: xenapi.Session,
    view: views.PoolView,
    aggregate: records.Aggregate,
) -> list[str]:
    """Write the mark of a pool that has lost it.

    :returns: what was done, in sentences.
    """
    if view.mark is not None:
        return []
    run.note(step='marking the pool')
    run.change(
        session,
        'pool.add_to_other_config',
        view.ref,
        views.MARK,
        aggregate.uuid,
    )
    return ['The mark of the pool is written again.']


def _find_returned(
    run: compute_run.Run, counted: census.Census
) -> frozenset[str]:
    """Names of hosts that have left the pool and are proven to be free."""
    return frozenset(
        host.name
        for host in counted.absent
        if observe.has_returned(
            counted.aggregate,
            host,
            views.look(run.connector, host, views.JOIN_CALL),
        )
    )


class _Transaction:
    """What an adoption writes, all of it or nothing.

    :param account: credential that the hosts of the pool have.
    :param returned: absent hosts that are proven to be free.
    :param off: see ``enabling.find_disabled``.
    :param done: what was done to the pool before.
    """

    def __init__(
        self,
        run: compute_run.Run,
        counted: census.Census,
        account: str,
        returned: frozenset[str],
        off: frozenset[str],
        done: Sequence[str],
    ) -> None:
        self._run = run
        self._counted = counted
        self._account = account
        self._returned = returned
        self._off = off
        self._done = done

    def commit(self) -> None:
        self._run.write(self._work)

    def _work(self, connection: Any) -> None:
        aggregate, view = self._counted.aggregate, self._counted.view
        result = list(self._done)
        result += self._admit(connection)
        result += self._release(connection)
        result += enabling.follow(connection, self._counted, self._off)
        result += _adopt_label(connection, aggregate, view)
        if aggregate.master_uuid != view.master.uuid:
            db_pools.set_master(connection, aggregate.id, view.master.uuid)
            result.append(
                f'The master is to be {view.master.name_label} '
                f'({view.master.uuid}), as it is.'
            )
        finish(connection, self._run, result)

    def _admit(self, connection: Any) -> list[str]:
        counted = self._counted
        result = bind_all(
            connection,
            counted.aggregate.id,
            counted.surplus,
            'member',
            self._account,
        )
        for _seen, host in counted.present:
            if host.phase != 'member' and db_hosts.move(
                connection,
                host.name,
                counted.aggregate.id,
                (host.phase,),
                'member',
                credential=self._account,
            ):
                result.append(f'Host {host.name} is a member again.')
        return result

    def _release(self, connection: Any) -> list[str]:
        """Let go what has left the pool; free only what is proven to be."""
        result = []
        for host in self._counted.absent:
            free = host.name in self._returned
            if host.phase == 'returning' and not free:
                continue
            db_hosts.move(
                connection,
                host.name,
                self._counted.aggregate.id,
                (host.phase,),
                'free' if free else 'returning',
                address=None,
                shown=None,
            )
            result.append(
                f'Host {host.name} is no member any more; it is '
                + ('free.' if free else 'watched until it is proven free.')
            )
        return result


def bind_all(
    connection: Any,
    aggregate_id: int,
    hosts: Sequence[tuple[views.HostView, records.Host]],
    phase: str,
    credential: str,
) -> list[str]:
    """Give free hosts of a pool to its aggregate, with what is known now.

    Their root password is the pool's (xapi#join-copies).

    :returns: what was done, in sentences.
    :raises outcomes.Postpone: one is not free any more.
    """
    result = []
    for seen, host in hosts:
        if not db_hosts.bind(
            connection,
            host.name,
            aggregate_id,
            phase,
            uuid=seen.uuid,
            address=seen.address,
            credential=credential,
        ):
            raise outcomes.Postpone(
                reason=f'Host {host.name} was taken by another request '
                'meanwhile; the pool is looked at again.'
            )
        result.append(f'Host {host.name} ({seen.uuid}) is {phase} now.')
    return result


def _adopt_label(
    connection: Any, aggregate: records.Aggregate, view: views.PoolView
) -> list[str]:
    """Name the aggregate as the pool is named, if it can be."""
    label = view.name_label
    if label == aggregate.name:
        return []
    if label is None:
        return [
            'The label of the pool cannot be read. "reapply" names the pool '
            f'"{aggregate.name}" again.'
        ]
    obstacle = ''
    if not _NAME.fullmatch(label):
        obstacle = 'it is no valid name'
    elif db_aggregates.get_all(connection, name=label):
        obstacle = 'another aggregate has that name'
    if obstacle:
        return [
            f'The label "{label}" of the pool could not become the name of '
            f'the aggregate: {obstacle}. "reapply" names the pool '
            f'"{aggregate.name}" again.'
        ]
    db_aggregates.update(connection, aggregate.id, {'name': label})
    return [f'The aggregate is named "{label}".']


def finish(
    connection: Any, run: compute_run.Run, result: Sequence[str]
) -> None:
    """End an operation that tells what it has done."""
    db_operations.update(
        connection,
        run.operation.id,
        {'parameters': {**run.operation.parameters, 'result': list(result)}},
    )
    db_operations.finish(connection, run.operation, 'succeeded')


def _found(run: compute_run.Run) -> None:
    """Make the pool of a master, all its hosts with it, the aggregate's.

    The mark on the pool is the claim; after it all is written at once.
    """
    host = run.host()
    try:
        session = run.connector.login(host)
    except failures.XenAPIError as exc:
        if exc.code != 'HOST_IS_SLAVE':
            raise
        raise outcomes.Failed(
            exc.code,
            f'Host {host.name} is a slave of {failures.named_master(exc)}. Name the '
            'master of the pool, to adopt the whole.',
            list(exc.parameters),
        ) from exc
    with contextlib.closing(session):
        view = views.pool_view(session)
        run.learn(host, view.master.uuid, view.master.address)
        aggregate = run.aggregate()
        counted = census.take(run, view, ())
        off = enabling.find_disabled(run, session, counted)
        problems = _check_found(run, counted)
        if problems and view.mark == aggregate.uuid:
            # Of an earlier attempt, when nothing stood against it.
            pool.give_back(run, session)
        census.refuse_all(
            f'The pool of host {host.name} cannot be adopted as aggregate '
            f'{aggregate.id}:',
            problems,
        )
        try:
            pool.sign(run, session, view, aggregate)
        except outcomes.Failed:
            pool.give_back(run, session)
            raise

    def work(connection: Any) -> None:
        db_pools.set_pool(
            connection,
            aggregate.id,
            view.uuid,
            host.credential,
            view.master.uuid,
        )
        result = bind_all(
            connection,
            aggregate.id,
            counted.surplus,
            'member',
            host.credential,
        )
        result += enabling.follow(connection, counted, off)
        finish(connection, run, result)

    run.write(work)


def _check_found(
    run: compute_run.Run, counted: census.Census
) -> list[preflight.Problem]:
    """All that stands against taking over a pool."""
    aggregate, view = counted.aggregate, counted.view
    problems = []
    if aggregate.bound or aggregate.pool_uuid is not None:
        problems.append(
            preflight.Problem(
                'AGGREGATE_NOT_EMPTY',
                'the aggregate is empty and has no pool',
                f'{aggregate.bound} host(s)',
                'Adopt the pool under another name.',
            )
        )
    if view.mark not in (None, aggregate.uuid):
        problems.append(census.foreign_mark(view))
    return [
        *problems,
        *census.check_hosts(counted),
        *census.check_zones(counted),
        *census.check_proof(run, counted),
        *_check_members(run, counted),
    ]


def _check_members(
    run: compute_run.Run, counted: census.Census
) -> list[preflight.Problem]:
    """What the hosts of the pool say against its master."""
    view = counted.view
    members = [
        dataclasses.replace(
            host, phase='member', uuid=seen.uuid, address=seen.address
        )
        for seen, host in counted.surplus
    ]
    heard = witness.Witnesses(
        run.connector,
        dataclasses.replace(counted.aggregate, pool_uuid=view.uuid),
        members,
        lambda address: [
            h for h in members if directories.has_address(h, address)
        ],
    ).hear(view)
    return [
        preflight.Problem(
            entry.code,
            'each host of the pool follows its one master',
            entry.message.rstrip('.'),
            'Repeat this when they do.',
        )
        for entry in heard.drift
    ]
