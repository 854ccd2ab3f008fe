"""What operators do to pools by hand, as the drift tests need it."""

import contextlib
import xmlrpc.client
from typing import Any

from aggregates_ext.compute.observation import views
from tests.functional import service

# Long enough for restarts, and for a dead host to be called dead.
WHILE = 700.0


def join(running: service.Service, host: str, master: str) -> None:
    """Join a host to the pool of a master."""
    account = running.sim.host(master)
    with contextlib.closing(running.login(host)) as session:
        session.call(
            'pool.join', account.address, account.username, account.password
        )
    running.clock.advance(WHILE)


def eject(running: service.Service, host: str, master: str) -> None:
    """Eject a host, and wait until it is back."""
    with contextlib.closing(running.login(master)) as session:
        ref = session.call('host.get_by_uuid', running.sim.host(host).uuid)
        session.call('pool.eject', ref)
    running.clock.advance(WHILE)


def promote(running: service.Service, host: str) -> None:
    """Make a slave a master, whatever the old master does.

    See xapi#two-masters.
    """
    target = running.sim.host(host)
    with xmlrpc.client.ServerProxy(target.url) as xapi:
        answer: Any = xapi.session.slave_local_login_with_password(
            target.username, target.password
        )
        xapi.pool.emergency_transition_to_master(answer['Value'])
    running.clock.advance(30)


def recover(running: service.Service, master: str) -> None:
    """Let a new master call the other hosts to it."""
    with contextlib.closing(running.login(master)) as session:
        session.call('pool.recover_slaves')
    running.clock.advance(WHILE)


def designate(running: service.Service, host: str, master: str) -> None:
    """Change the master as planned."""
    with contextlib.closing(running.login(master)) as session:
        ref = session.call('host.get_by_uuid', running.sim.host(host).uuid)
        session.call('pool.designate_new_master', ref)
    running.clock.advance(WHILE)


def set_mark(running: service.Service, master: str, mark: str | None) -> None:
    """Change the mark of a pool; None: take it away."""
    with contextlib.closing(running.login(master)) as session:
        (ref,) = session.call('pool.get_all')
        session.call('pool.remove_from_other_config', ref, views.MARK)
        if mark is not None:
            session.call('pool.add_to_other_config', ref, views.MARK, mark)


def enable_tls(running: service.Service, host: str) -> None:
    """Switch on what an eject switches off, and a join demands."""
    with contextlib.closing(running.login(host)) as session:
        session.call('pool.enable_tls_verification')


def codes(running: service.Service, key: int) -> list[str]:
    """The drift of an aggregate, looked at now."""
    running.watch(key, 0)
    return [entry.code for entry in running.aggregates.get(key).drift]
