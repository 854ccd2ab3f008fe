"""Takes hosts into maintenance step by step, and tells where guests are."""

import contextlib

import pytest

from aggregates_ext.db import moves
from aggregates_ext.db import records
from tests.functional import service

GIB = 1 << 30


@pytest.fixture
def running(running: service.Service) -> service.Service:
    running.conf.set_override('retry_interval', 0.01, 'compute')
    running.conf.set_override('confirm_interval', 0.01, 'compute')
    return running


@pytest.fixture
def key(running: service.Service) -> int:
    """A pool of three, with three guests on xen2."""
    found = running.create('xen1', 'xen2', 'xen3')
    for number in range(3):
        running.sim.add_vm('xen2', f'g{number}', memory=GIB)
    running.sim.add_vm('xen2', 'off', power_state='Halted')
    running.watch(found, 0)
    return found


def go_on(running: service.Service, key: int, seconds: float = 1.0) -> None:
    """Let time pass, then take what rests one step further."""
    running.clock.advance(seconds)
    with running.database.writer() as connection:
        for move in moves.open_of(connection, key)[0]:
            moves.rest(connection, [move], -1.0)
        connection.exec_driver_sql('UPDATE operations SET not_before = NULL')
    running.manager.work_on(key)


def finish(
    running: service.Service, key: int, seconds: float = 1.0
) -> records.Operation:
    """Let the newest operation end."""
    for _ in range(60):
        go_on(running, key, seconds)
        found = running.operation(key)
        if found.state not in ('queued', 'running'):
            return found
    raise AssertionError(found)


def host(running: service.Service, name: str = 'xen2') -> records.Host:
    return running.hosts.get(name)


def places(running: service.Service, master: str = 'xen1') -> list[list[str]]:
    """Where the guests really run."""
    found = []
    with contextlib.closing(running.login(master)) as session:
        for record in session.records('VM').values():
            if record['name_label'].startswith('g'):
                found.append(running.sim.places(record['uuid']))
    return found


def is_enabled(running: service.Service, name: str = 'xen2') -> bool:
    with contextlib.closing(running.login('xen1')) as session:
        found = session.records('host').values()
    return next(h['enabled'] for h in found if h['name_label'] == name)


def guest(running: service.Service, name: str) -> tuple[str, str]:
    """The reference and the power state of a guest, as its pool has it."""
    with contextlib.closing(running.login('xen1')) as session:
        found = session.records('VM').items()
    return next(
        (ref, str(vm['power_state']))
        for ref, vm in found
        if vm['name_label'] == name
    )
