"""The order of operations: per host, with rests, others go on."""

import dataclasses
import datetime
import itertools

import pytest
from oslo_config import cfg

from aggregates_ext.compute import manager
from aggregates_ext.compute import runner
from aggregates_ext.compute.run import outcomes
from aggregates_ext.db import records


def operation(number: int, host: str, not_before: float | None = None):
    return records.Operation(
        id=number,
        uuid=str(number),
        kind='add_host',
        aggregate_id=1,
        host=host,
        state='queued',
        settled=False,
        step=None,
        progress=0,
        attempts=0,
        not_before=not_before,
        begun=None,
        parameters={},
        call=None,
        error=None,
        request_id=None,
        user_id=None,
        project_id=None,
        created_at=datetime.datetime(2012, 3, 30),
        started_at=None,
        finished_at=None,
    )


def test_first_comes_first() -> None:
    first, second = operation(1, 'a'), operation(2, 'b')
    assert manager.next_due([first, second], 10) is first


def test_resting_operation_lets_other_hosts_pass() -> None:
    resting, other = operation(1, 'a', not_before=20), operation(2, 'b')
    assert manager.next_due([resting, other], 10) is other
    assert manager.next_due([resting, other], 20) is resting


def test_operations_of_one_host_keep_their_order() -> None:
    resting, behind = operation(1, 'a', not_before=20), operation(2, 'a')
    assert manager.next_due([resting, behind], 10) is None


def test_a_restart_of_all_hosts_holds_nothing_up() -> None:
    rests = dataclasses.replace(
        operation(1, 'a', not_before=20), kind='rolling_reboot', host=None
    )
    rename = dataclasses.replace(operation(2, 'a'), kind='rename', host=None)
    assert manager.next_due([rests, rename], 10) is rename


@pytest.mark.parametrize(('state', 'passes'), [('queued', 1), ('running', 0)])
def test_a_part_goes_before_what_has_not_begun(
    state: str, passes: bool
) -> None:
    """Which may wait for the end of that whose part it is."""
    waits = dataclasses.replace(operation(1, 'a', not_before=20), state=state)
    part = dataclasses.replace(operation(2, 'a'), parameters={'part_of': 'u'})
    found = manager.next_due([waits, part], 10)
    assert found is (part if passes else None)


@pytest.mark.parametrize(
    ('turn', 'kind', 'passes'),
    [
        ('paused', 'power_host', True),
        ('waiting', 'enter_maintenance', True),
        ('done', 'power_host', False),
        ('paused', 'remove_host', False),
    ],
)
def test_what_a_run_may_wait_for_goes_before_what_waits_for_it(
    turn: str, kind: str, passes: bool
) -> None:
    run = dataclasses.replace(
        operation(1, 'a', not_before=20),
        kind='rolling_reboot',
        host=None,
        parameters={'roll': [{'host': 'a', 'state': turn}]},
    )
    waits = operation(2, 'a', not_before=20)
    asked = dataclasses.replace(operation(3, 'a'), kind=kind)
    found = manager.next_due([run, waits, asked], 10)
    assert found is (asked if passes else None)


def test_nothing_to_do() -> None:
    assert manager.next_due([], 10) is None


def rests(conf: cfg.ConfigOpts, code: str, attempts: int) -> list[float]:
    """How long a hundred operations rest after so many attempts."""
    obstacle = outcomes.Postpone(reason='...', code=code)
    return [
        runner.pause(
            conf.compute,
            dataclasses.replace(operation(n, 'a'), attempts=attempts),
            obstacle,
        )
        for n in range(100)
    ]


@pytest.mark.parametrize(
    ('attempts', 'longest'), [(1, 5), (2, 10), (4, 40), (5, 60), (5000, 60)]
)
def test_rests_grow_to_a_minute_and_differ(
    conf: cfg.ConfigOpts, attempts: int, longest: float
) -> None:
    seconds = rests(conf, 'HOST_STILL_BOOTING', attempts)
    assert longest / 2 <= min(seconds)
    assert max(seconds) <= longest
    # A hundred operations that met one obstacle do not march in step.
    ordered = sorted(seconds)
    gaps = [after - before for before, after in itertools.pairwise(ordered)]
    assert max(gaps) < longest / 10
    assert len(set(seconds)) > 50


def test_refused_password_is_not_tried_sooner_than_a_pool_is_looked_at(
    conf: cfg.ConfigOpts,
) -> None:
    conf.set_override('observe_interval', 300, 'compute')
    assert set(rests(conf, 'SESSION_AUTHENTICATION_FAILED', 1)) == {300}
