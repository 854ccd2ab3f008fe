"""A pool as a whole: its first and its last host, its name."""

import contextlib
import dataclasses
from typing import Any

from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import observe
from aggregates_ext.compute.observation import obstacles
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.operations import keys
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db import records


def add_first_host(run: compute_run.Run) -> None:
    """Make the one-host pool of the first host the aggregate's pool.

    It gets the aggregate's name and our mark; a host is its own pool from
    its installation on (xapi#model). Repeating it does no harm.

    :raises outcomes.Failed: the pool is another's, or has more hosts.
    """
    host = run.host()
    run.note(step='looking at the first host', progress=5)
    with contextlib.closing(run.connector.login(host)) as session:
        view = views.pool_view(session)
        run.learn(host, view.master.uuid, view.master.address)
        aggregate = run.aggregate()
        check_claim(aggregate, host, view)

        def pin(connection: Any) -> None:
            db_pools.set_pool(
                connection,
                aggregate.id,
                view.uuid,
                host.credential,
                view.master.uuid,
            )
            db_operations.update(
                connection,
                run.operation.id,
                {'parameters': {**run.operation.parameters, 'changed': True}},
            )

        run.write(pin)
        try:
            sign(run, session, view, aggregate)
        except outcomes.Failed:
            give_back(run, session)
            raise
    seen = dataclasses.replace(
        view, name_label=aggregate.name, mark=aggregate.uuid
    )
    become_member(run, host.credential, seen)


def sign(
    run: compute_run.Run,
    session: xenapi.Session,
    view: views.PoolView,
    aggregate: records.Aggregate,
) -> None:
    """Write our mark and the aggregate's name, where they are not yet."""
    if view.mark is None:
        run.note(step='marking the pool', progress=30)
        run.change(
            session,
            'pool.add_to_other_config',
            view.ref,
            views.MARK,
            aggregate.uuid,
        )
    if view.name_label != aggregate.name:
        run.note(step='naming the pool', progress=60)
        run.change(session, 'pool.set_name_label', view.ref, aggregate.name)


def give_back(run: compute_run.Run, session: xenapi.Session) -> None:
    """Take the mark away again from a pool that could not be named.

    :raises outcomes.Unresolved: it could not be taken away.
    """
    try:
        view = views.pool_view(session)
        if view.mark == run.aggregate().uuid:
            run.change(
                session,
                'pool.remove_from_other_config',
                view.ref,
                views.MARK,
            )
    except (
        failures.XenAPIError,
        failures.OddAnswer,
        outcomes.Failed,
    ) as exc:
        raise outcomes.Unresolved(
            'UNRESOLVED',
            f'Host {run.host_name} could neither be made the first of the '
            f'pool nor be given back: {exc}',
        ) from exc


def check_claim(
    aggregate: records.Aggregate,
    host: records.Host,
    view: views.PoolView,
) -> None:
    """Refuse a pool that is not the host's own alone, or another's.

    :raises outcomes.Failed: it is not ours to take.
    """
    if len(view.hosts) > 1:
        raise outcomes.Failed(
            'POOL_HAS_MEMBERS',
            f'Host {host.name} is the master of a pool of '
            f'{len(view.hosts)} hosts; an aggregate begins with a '
            'stand-alone host.',
            remedy='To take over the whole pool, register its hosts and run '
            f'"aggregates-ext-manage pool adopt NAME {host.name}".',
        )
    if view.mark not in (None, aggregate.uuid):
        raise outcomes.Failed(
            'POOL_IS_MARKED',
            f'The pool of host {host.name} is marked as that of another '
            f'aggregate ({views.MARK} = {view.mark}).',
            remedy='Remove the host there; a mark left behind is removed '
            f'with {views.unmark(view)}.',
        )


def become_member(
    run: compute_run.Run, credential: str, view: views.PoolView
) -> None:
    """End an add_host: the host is a member, and has the pool's account.

    Its root password was overwritten with the pool's (xapi#join-copies), so
    its credential changes in the same transaction.

    :param view: the pool with the host in it.
    """
    name, aggregate_id = run.host_name, run.aggregate_id

    def work(connection: Any) -> None:
        if not db_hosts.move(
            connection,
            name,
            aggregate_id,
            ('joining',),
            'member',
            credential=credential,
        ):
            # A removal is queued behind: it takes the member out again.
            db_hosts.move(
                connection,
                name,
                aggregate_id,
                ('leaving',),
                'leaving',
                credential=credential,
            )
        observe.keep(connection, aggregate_id, view)
        db_operations.finish(connection, run.operation, 'succeeded')

    run.write(work)


def remove_last_host(
    run: compute_run.Run, master: masters.Master, view: views.PoolView
) -> None:
    """Give the last host its pool back: name and mark are cleared.

    XenAPI offers no more: a host is always in a pool (xapi#eject-timeline).
    """
    compute_run.await_joins(run)
    if view.name_label != '':
        run.note(step='clearing the name of the pool', progress=30)
        run.change(master.session, 'pool.set_name_label', view.ref, '')
    if view.mark is not None:
        run.note(step='clearing the mark of the pool', progress=60)
        run.change(
            master.session,
            'pool.remove_from_other_config',
            view.ref,
            views.MARK,
        )
    if run.host().maintenance is not None:
        found = keys.left(view.master.keys or {})
        keys.send(run, master.login, view.master.ref, found, late=False)
    name, aggregate_id = run.host_name, run.aggregate_id

    def work(connection: Any) -> None:
        db_hosts.move(connection, name, aggregate_id, ('leaving',), 'free')
        db_pools.set_pool(connection, aggregate_id, None, None, None)
        db_operations.finish(connection, run.operation, 'succeeded')

    run.write(work)


def rename(run: compute_run.Run) -> None:
    """Let the pool's label follow the aggregate's name, as it is now."""
    run.end_recorded_session()
    aggregate = run.aggregate()
    seen: views.PoolView | None = None
    if aggregate.pool_uuid is not None:
        hosts = masters.bound(run)
        with masters.of_run(run, aggregate, hosts) as master:
            view = master.look()
            if view.name_label != aggregate.name:
                run.note(step='naming the pool', progress=50)
                run.change(
                    master.session,
                    'pool.set_name_label',
                    view.ref,
                    aggregate.name,
                )
            seen = dataclasses.replace(view, name_label=aggregate.name)

    def work(connection: Any) -> None:
        if seen is not None:
            observe.keep(connection, aggregate.id, seen)
        db_operations.finish(connection, run.operation, 'succeeded')

    run.write(work)


def describe(run: compute_run.Run) -> str:
    """Both sides of an operation whose outcome is not known: a sentence."""
    aggregate, hosts = run.aggregate(), masters.bound(run)
    try:
        with masters.of_run(
            run, aggregate, hosts, views.LOOK_TIMEOUT
        ) as master:
            view = views.pool_view(master.session, lenient=True)
    except (obstacles.NoMaster, failures.HostError) as exc:
        said = exc.said
        view = None
    if run.operation.host is None:
        return said if view is None else f'The pool is "{view.name_label}".'
    host = run.host()
    if view is not None:
        listed = view.hosts.find(host.uuid)
        said = views.describe_listing(view, listed)
    own = views.look(run.connector, host, views.JOIN_CALL)
    return f'{said.rstrip(".")}, and the host itself {own.describe()}.'
