"""What an eject would destroy, and what consent covers."""

from typing import Any

import pytest

from aggregates_ext.compute import guard

HOST = 'OpaqueRef:h2'
OTHER = 'OpaqueRef:h1'


class Records:
    """Answers ``records`` from plain data."""

    def __init__(self, **classes: Any) -> None:
        self.classes = classes

    def records(self, name: str) -> Any:
        return self.classes[name]


def disk(uuid: str, sr: str) -> dict[str, Any]:
    return {
        'uuid': uuid,
        'name_label': uuid,
        'virtual_size': str(2**30),
        'SR': sr,
    }


def storage(**values: Any) -> dict[str, Any]:
    return {
        'uuid': 'sr1',
        'name_label': 'Local storage',
        'type': 'ext',
        'shared': False,
        **values,
    }


@pytest.fixture
def pool() -> Records:
    return Records(
        pool={
            'p': {
                'master': OTHER,
                'ha_enabled': False,
                'current_operations': {},
            }
        },
        host={HOST: {'uuid': 'u2'}, OTHER: {'uuid': 'u1'}},
        VM={},
        SR={'s': storage()},
        PBD={'b': {'SR': 's', 'host': HOST}},
        VDI={'v': disk('disk1', 's')},
    )


def codes(
    pool: Records, accepted: Any = (), known: Any = ('disk1',)
) -> list[str]:
    report = guard.check_leave(pool, 'u2', accepted, known)  # type: ignore[arg-type]
    return [problem.code for problem in report.blockers]


def test_disks_in_own_storage_refuse(pool: Records) -> None:
    assert codes(pool) == ['DATA_LOSS']


def test_named_storage_may_go(pool: Records) -> None:
    assert codes(pool, ['sr1']) == []
    assert codes(pool, ['sr1'], {'disk1'}) == []


def test_consent_to_other_storage_is_none(pool: Records) -> None:
    assert codes(pool, ['sr2']) == ['DATA_LOSS']


def test_disk_that_was_not_seen_is_not_covered(pool: Records) -> None:
    assert codes(pool, ['sr1'], {'disk0'}) == ['DATA_LOSS']
    assert codes(pool, ['sr1'], ()) == ['DATA_LOSS']


def test_surplus_consent_warns(pool: Records) -> None:
    report = guard.check_leave(pool, 'u2', ['sr1', 'sr9'], ['disk1'])  # type: ignore[arg-type]
    assert [warning.code for warning in report.warnings] == [
        'CONSENT_MISMATCH'
    ]


@pytest.mark.parametrize(
    'harmless',
    [
        {'SR': {'s': storage(shared=True)}},
        {'SR': {'s': storage(type='udev')}},
        {'SR': {'s': storage(is_tools_sr=True)}},
        {'PBD': {'b': {'SR': 's', 'host': OTHER}}},
        {
            'PBD': {
                'b': {'SR': 's', 'host': HOST},
                'c': {'SR': 's', 'host': OTHER},
            }
        },
        {'VDI': {}},
    ],
)
def test_what_an_eject_does_not_destroy(
    pool: Records, harmless: dict[str, Any]
) -> None:
    pool.classes.update(harmless)
    assert codes(pool) == []


@pytest.mark.parametrize(
    ('state', 'where', 'control', 'refused'),
    [
        ('Running', HOST, False, True),
        ('Suspended', HOST, False, True),
        ('Paused', HOST, False, True),
        ('Halted', HOST, False, False),
        ('Running', OTHER, False, False),
        ('Running', HOST, True, False),
    ],
)
def test_machines(
    pool: Records, state: str, where: str, control: bool, refused: bool
) -> None:
    pool.classes['VM'] = {
        'm': {
            'name_label': 'web',
            'power_state': state,
            'resident_on': where,
            'is_control_domain': control,
        }
    }
    assert ('OPERATION_NOT_ALLOWED' in codes(pool, ['sr1'])) is refused


def test_pool_that_forbids_it(pool: Records) -> None:
    pool.classes['pool']['p'].update(
        master=HOST, ha_enabled=True, current_operations={'t': 'apply_updates'}
    )
    assert codes(pool, ['sr1']) == [
        'HOST_IS_MASTER',
        'HA_IS_ENABLED',
        'NOT_SUPPORTED_DURING_UPGRADE',
    ]


def test_last_host_loses_nothing(pool: Records) -> None:
    del pool.classes['host'][OTHER]
    pool.classes['pool']['p']['master'] = HOST
    assert codes(pool) == []


def test_host_that_left_already_loses_nothing(pool: Records) -> None:
    del pool.classes['host'][HOST]
    assert codes(pool) == []
