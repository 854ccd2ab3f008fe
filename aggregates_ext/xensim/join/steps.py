"""pool.join: reaching the master, checks, steps, fuse (xapi#join)."""

import ipaddress

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.calls import rbac
from aggregates_ext.xensim.calls import sessions
from aggregates_ext.xensim.exclusion import pool as pool_exclusion
from aggregates_ext.xensim.join import checks as join_checks
from aggregates_ext.xensim.join import copy as join_copy
from aggregates_ext.xensim.join import sides as joinings
from aggregates_ext.xensim.life import lifecycle
from aggregates_ext.xensim.life import liveness
from aggregates_ext.xensim.life import points
from aggregates_ext.xensim.plan import presets
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import host as hosts


def join(
    context: operations.Context, address: str, user: str, password: str
) -> operations.Steps:
    """Make this host a member of another pool."""
    return _join(context, address, user, password, force=False)


def join_force(
    context: operations.Context, address: str, user: str, password: str
) -> operations.Steps:
    """The same without check 13."""
    return _join(context, address, user, password, force=True)


def _join(
    context: operations.Context,
    address: str,
    user: str,
    password: str,
    force: bool,
) -> operations.Steps:
    times, local = context.world.times, context.db
    join_checks.licence(local)
    master = yield from _reach(context, address)
    able = yield from sessions.authenticate(master, times, user, password)
    yield times.join_checks
    remote = master.database
    joining = joinings.Joining(context.host, local, master, remote)
    join_checks.run(joining, force)
    if not able:
        raise rbac.denied('pool.initial_auth')
    yield from _steps(context, joining)
    return ''


def _reach(context: operations.Context, address: str) -> operations.Steps:
    """Find a master which serves, or say as xapi does why not."""
    host = context.world.at_address(address)
    times = context.world.times
    if host is None and not _is_ip(address):
        yield times.no_such_name
        raise failure.Failure('JOINING_HOST_CONNECTION_FAILED')
    if host is None or not host.powered or not host.reachable:
        yield times.no_route
        raise failure.Failure(
            'INTERNAL_ERROR', 'Connection failed: no route to host.'
        )
    if host.xapi is None:
        raise failure.Failure(
            'INTERNAL_ERROR', 'Connection failed: connection refused.'
        )
    if host.xapi.emergency is not None:
        raise host.xapi.emergency
    sessions.assert_master(host)
    return host


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def _steps(
    context: operations.Context, joining: joinings.Joining
) -> operations.Steps:
    """S1 to S10 of xapi#join-steps; each step is a place for a fault."""
    times = context.world.times
    yield from points.at(context, 'S1', context.host.name)
    yield times.join_exchange
    _assert_still_serving(context, joining.master)
    if joining.release >= presets.EXCHANGE_SINCE:
        yield from points.at(context, 'S2', context.host.name)
        yield from _occupy(
            context,
            joining,
            'exchange_certificates_on_join',
            times.exchange_lasts,
        )
        yield from points.at(context, 'S3', context.host.name)
        yield from points.at(context, 'S4', context.host.name)
    yield from points.at(context, 'S5', context.host.name)
    if joining.release >= presets.CA_EXCHANGE_SINCE:
        yield from _occupy(
            context,
            joining,
            'exchange_ca_certificates_on_join',
            times.ca_exchange_lasts,
        )
    yield times.join_copy
    yield from points.at(context, 'S6', context.host.name)
    _assert_still_serving(context, joining.master)
    if not _skips(context, 'S6'):
        join_copy.copy(joining)
    yield times.join_finish
    yield from points.at(context, 'S7', context.host.name)
    for pbd in joining.local.where('PBD'):
        joining.local.row('PBD', pbd)['currently_attached'] = False
    yield from points.at(context, 'S8', context.host.name)
    context.host.master = joining.master.address
    context.host.backup = joining.remote.clone()
    # What fails from here on is done by the next start of the joiner.
    yield from points.at(context, 'S9', context.host.name)
    _half_join(context)
    _light_fuse(context)
    _become_live_later(context, joining.joiner, times.joined_live)
    yield from points.at(context, 'S10', context.host.name)


def _assert_still_serving(
    context: operations.Context, master: hosts.Host
) -> None:
    if context.world.serving_master(master.address) is not master:
        raise failure.Failure('JOINING_HOST_CONNECTION_FAILED')


def _skips(context: operations.Context, step: str) -> bool:
    """Whether a planted fault lets a step go by in silence.

    See xapi#simulation-faults.
    """
    found = context.world.faults.take(
        ('skip',), context.method, context.host.name, step
    )
    return found is not None


def _occupy(
    context: operations.Context,
    joining: joinings.Joining,
    operation: str,
    lasts: float,
) -> operations.Steps:
    """Occupy the master's pool for a moment (xapi#join-timeline)."""
    times = context.world.times
    task = yield from pool_exclusion.occupy(joining.remote, times, operation)
    try:
        yield lasts
    finally:
        pool_exclusion.release(joining.remote, task)


def _become_live_later(
    context: operations.Context, joiner: hosts.Host, seconds: float
) -> None:
    """The master hears the joiner, which still is its old self."""
    world = context.world

    def beat() -> None:
        if world.answers(joiner):
            liveness.heartbeat(world, joiner)

    world.later(seconds, beat)


def _half_join(context: operations.Context) -> None:
    """Fail late: the role is written (xapi#join-late-failures).

    One such joiner was seen to become live, others were not.
    """
    fault = context.world.faults.take(
        ('half_join',), context.method, context.host.name
    )
    if fault is None:
        return
    if fault.seconds is not None:
        _become_live_later(context, context.host, fault.seconds)
    raise failure.Failure(fault.code, *fault.parameters)


def _light_fuse(context: operations.Context) -> None:
    """The joiner serves as its old self until it has burnt down."""
    world, host = context.world, context.host

    def burnt() -> None:
        lifecycle.restart(world, host, world.times.exit_to_listen)

    lifecycle.light_fuse(world, host, context.xapi, burnt)
