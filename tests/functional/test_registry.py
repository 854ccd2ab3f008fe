"""The compute service reads the hosts of an aggregate, and never all.

There may be 100,000: whoever reads them for each step of an operation costs
more with each host that is registered.
"""

import ast
import pathlib
from typing import Any

import pytest

from aggregates_ext import compute
from aggregates_ext.db import hosts
from tests.functional import service


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody read all hosts."""
    get_all = hosts.get_all

    def of_one(connection: Any, aggregate_id: int | None = None) -> Any:
        assert aggregate_id is not None, 'all registered hosts are read'
        return get_all(connection, aggregate_id)

    monkeypatch.setattr(hosts, 'get_all', of_one)


def test_no_operation_reads_all_hosts(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid(monkeypatch)
    key = running.create('xen1', 'xen2', 'xen3')
    assert running.state(key) == 'active'
    running.aggregates.update(running.ctx, key, {'name': 'renamed'})
    assert running.settle(key) == 'succeeded'
    for act in (
        lambda: running.pools.reapply(running.ctx, key),
        lambda: running.pools.adopt(running.ctx, key),
        lambda: running.enabling.set_service(running.ctx, 'xen3', 'disabled'),
        lambda: running.enabling.set_service(running.ctx, 'xen3', 'enabled'),
        lambda: running.maintenance.enter(running.ctx, 'xen3'),
        lambda: running.maintenance.leave(running.ctx, 'xen3', enable=True),
        # With a change of the master before it.
        lambda: running.members.remove_host(running.ctx, key, 'xen1'),
    ):
        act()
        assert running.settle(key) == 'succeeded', running.operation(key)


def test_no_check_reads_all_hosts(
    running: service.Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid(monkeypatch)
    key = running.create('xen1', 'xen2')
    with service.answering(running) as asked:
        for host, purpose in (
            ('xen3', 'contact'),
            ('xen3', 'add'),
            ('xen2', 'remove'),
            ('xen2', 'maintenance'),
            ('xen2', 'reboot'),
        ):
            of = None if purpose == 'contact' else key
            assert asked.check_host(host, of, purpose) is not None
        assert asked.plan_rolling(key, {}) is not None


def test_nobody_in_the_service_asks_for_all_hosts() -> None:
    """Also where no story here comes to."""
    for path in pathlib.Path(compute.__path__[0]).rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                of_one = len(node.args) == 2 or node.keywords
                assert called != 'db_hosts.get_all' or of_one, path
                # Nor hands it over to be called.
                assert all(
                    ast.unparse(argument) != 'db_hosts.get_all'
                    for argument in node.args
                ), path
