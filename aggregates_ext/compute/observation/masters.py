"""Finding the master of a pool, and making sure that it is the only one."""

import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from aggregates_ext import exception
from aggregates_ext.compute.observation import directories
from aggregates_ext.compute.observation import obstacles
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.observation import witness
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import text
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import records

Reader = Callable[[Callable[[Any], Any]], Any]


class Master:
    """A session at the master of an aggregate's pool, uuid pinned.

    :ivar pools: the pool records by which it was recognized.
    :ivar witnesses: the members who can tell whether it is the only one.
    """

    def __init__(
        self,
        connector: connections.Connector,
        host: records.Host,
        session: xenapi.Session,
        pools: dict[str, Any],
        aggregate: records.Aggregate,
        witnesses: witness.Witnesses,
    ) -> None:
        self.host = host
        self.session = session
        self.pools = pools
        self.witnesses = witnesses
        self._connector = connector
        self._aggregate = aggregate
        self._confirmed = False

    def login(self) -> xenapi.Session:
        """Another session at the master: each call has one of its own."""
        return self._connector.login(self.host, self._aggregate)

    def look(self) -> views.PoolView:
        """The pool as it is now, if it is still ours to work on.

        The first look asks members too: before anything is changed.

        :raises ForeignPool: it carries the mark of another aggregate.
        :raises TwoMasters: another host leads it too.
        """
        view = views.pool_view(self.session)
        if view.mark not in (None, self._aggregate.uuid):
            raise obstacles.ForeignPool(
                pool_uuid=view.uuid,
                mark=view.mark,
                name=views.MARK,
                unmark=views.unmark(view),
            )
        if not self._confirmed:
            self.confirm(view)
        return view

    def confirm_slave(self, host: records.Host, view: views.PoolView) -> None:
        """Make sure that a host is a slave of this master and no other.

        To be called before it is ejected: another master's slave would obey
        too, and lose its disks (xapi#eject-destroys).

        :raises OtherMaster: it does not say so itself.
        """
        follows, answer = self.witnesses.follows(host, view)
        if not follows:
            raise obstacles.OtherMaster(
                host=host.name,
                answer=answer.describe(),
                address=view.master.address,
            )

    def confirm_all(self, view: views.PoolView) -> None:
        """Make sure that every member of the pool is a slave of this master.

        To be called before the master is changed: what the master says of
        them is up to ten minutes old (xapi#designate-errors).

        :raises MemberAway: those that do not say so, with their answers.
        """
        away = []
        for host in self.witnesses.bound:
            if host.uuid == view.master.uuid or host.uuid not in view.hosts:
                continue
            follows, answer = self.witnesses.follows(host, view)
            if not follows:
                away.append(f'{host.name} {answer.describe()}')
        if away:
            raise obstacles.MemberAway(
                address=view.master.address,
                answers=text.listed(away, between='; '),
            )

    def confirm(self, view: views.PoolView) -> None:
        """Ask members whether they know another master.

        :raises TwoMasters: they do.
        """
        heard = self.witnesses.hear(view)
        for entry in heard.drift:
            if entry.code == witness.TWO_MASTERS:
                raise obstacles.TwoMasters(reason=entry.message)
        self._confirmed = True


def _led_by(
    exc: failures.XenAPIError, whose: witness.Find
) -> Sequence[records.Host]:
    """The registered hosts that a slave names as its master."""
    try:
        return whose(failures.named_master(exc))
    except failures.OddAnswer:
        return ()


def _enter(
    connector: connections.Connector,
    aggregate: records.Aggregate,
    host: records.Host,
    timeout: float | None,
) -> tuple[xenapi.Session, dict[str, Any]]:
    """A session at a host, if it is the master of the aggregate's pool.

    :returns: it, and the pool records read with it.
    :raises OtherPool: it is the master of another.
    """
    session = connector.login(host, aggregate, timeout)
    try:
        pools = session.records('pool')
        _ref, pool = fields.only(host.name, 'pool', pools)
        if pool['uuid'] != aggregate.pool_uuid:
            raise obstacles.OtherPool(uuid=pool['uuid'])
    except exception.AggregatesError:
        session.close()
        raise
    return session, pools


@contextlib.contextmanager
def master_of(
    connector: connections.Connector,
    aggregate: records.Aggregate,
    hosts: Sequence[records.Host],
    timeout: float | None = None,
    find: witness.Find | None = None,
) -> Iterator[Master]:
    """Find the master of a pool anew, wherever it is now.

    Whether it is the only one is not asked before ``Master.look``.

    :param hosts: those bound; only those of the aggregate are asked, and
        free ones by their own account.
    :param find: further registered hosts by their address, see ``finder``.
    :raises NoMaster: none of them is it, with what each answered.
    """
    directory = directories.Directory(aggregate, hosts, find)
    first = (aggregate.observation or {}).get('master')
    bound = [h for h in hosts if h.aggregate_id == aggregate.id]
    waiting = [h for h in bound if directories.may_be_master(h, aggregate)]
    waiting.sort(key=lambda h: (h.uuid != first, h.phase != 'member', h.name))
    asked: dict[str, Exception] = {}
    while waiting:
        host = waiting.pop(0)
        if host.name in asked:
            continue
        try:
            # What a host of nobody refuses is not tried again and again.
            patience = connector if host in bound else connector.patient()
            session, pools = _enter(patience, aggregate, host, timeout)
        except (obstacles.OtherPool, failures.HostError) as exc:
            asked[host.name] = exc
            if obstacles.is_slave(exc):
                leaders = _led_by(exc, directory.whose)
                waiting[:0] = leaders
                if not leaders:
                    address = ''.join(exc.parameters[:1])
                    asked[host.name] = obstacles.OfNobody(
                        address=address, others=directory.others(address)
                    )
            continue
        witnesses = witness.Witnesses(
            connector, aggregate, bound, directory.whose
        )
        with contextlib.closing(session):
            yield Master(connector, host, session, pools, aggregate, witnesses)
        return
    raise obstacles.no_master(aggregate, bound, asked)


def find_strangers(
    connection: Any, view: views.PoolView, bound: Sequence[records.Host]
) -> dict[str, records.Host]:
    """Registered hosts that are in a pool and not bound to its aggregate.

    :returns: by the uuid that the pool has them under. A free one whose own
        uuid is not known yet is taken by its address or, behind address
        translation, by its name: ``census`` asks for proof.
    """
    own = {host.uuid for host in bound}
    others = [seen for seen in view.hosts.values() if seen.uuid not in own]
    if not others:
        return {}
    registered = db_hosts.find(
        connection,
        [seen.uuid for seen in others],
        [seen.address for seen in others],
        [seen.name_label for seen in others],
    )
    matches = [
        (rank, seen.uuid, host)
        for seen in others
        for host in registered
        if (rank := _rank_match(host, seen)) is not None
    ]
    found: dict[str, records.Host] = {}
    for _rank, uuid, host in sorted(matches, key=lambda m: m[0]):
        if uuid not in found and host not in found.values():
            found[uuid] = host
    return found


def _rank_match(host: records.Host, seen: views.HostView) -> int | None:
    """How well a registered host fits one of a pool; None: not at all."""
    if host.uuid is not None:
        return 0 if host.uuid == seen.uuid else None
    if host.aggregate_id is not None:
        return None
    if directories.has_address(host, seen.address):
        return 1
    return 2 if host.name == seen.name_label else None


def finder(read: Reader) -> witness.Find:
    """Finds registered hosts by an address, each time anew.

    They are not read beside those of the aggregate: there may be 100,000.

    :param read: runs a reading transaction, as ``Held.read``.
    """

    def find(address: str) -> Sequence[records.Host]:
        found: Sequence[records.Host] = read(
            lambda connection: db_hosts.find(connection, addresses=[address])
        )
        return found

    return find


def bound(run: compute_run.Run) -> list[records.Host]:
    """The hosts of the aggregate that is worked on, in any phase."""
    return run.held.read(
        lambda connection: db_hosts.get_all(connection, run.aggregate_id)
    )


@contextlib.contextmanager
def of_run(
    run: compute_run.Run,
    aggregate: records.Aggregate,
    hosts: Sequence[records.Host],
    timeout: float | None = None,
    without: records.Host | None = None,
) -> Iterator[Master]:
    """``master_of`` for what is worked on.

    :param hosts: as ``bound``.
    :param without: a host that is not to be asked.
    """
    find = finder(run.held.read)

    def but(found: Sequence[records.Host]) -> Sequence[records.Host]:
        return [h for h in found if without is None or h.id != without.id]

    with master_of(
        run.connector,
        aggregate,
        but(hosts),
        timeout,
        lambda address: but(find(address)),
    ) as master:
        yield master
