"""Which occurrences a fault hits."""

import pytest

from aggregates_ext.xensim.world import faults


def hits(fault, count):
    planted = faults.Faults()
    planted.plant(fault)
    return [
        planted.take((fault.action,), 'a.b', 'xen1') is fault
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ('params', 'hit'),
    [
        ({}, [True, False, False, False]),
        ({'times': 2}, [True, True, False, False]),
        ({'nth': 2}, [False, True, False, False]),
        ({'nth': 2, 'times': 0}, [False, True, True, True]),
        ({'call': 'a.b', 'host': 'xen1'}, [True, False, False, False]),
        ({'call': 'a.c'}, [False] * 4),
        ({'host': 'xen2'}, [False] * 4),
        ({'step': 'S1'}, [False] * 4),
    ],
)
def test_occurrences(params, hit):
    assert hits(faults.Fault('hang', **params), 4) == hit


@pytest.mark.parametrize(
    'params', [{'action': 'nosuch'}, {'action': 'die', 'when': 'never'}]
)
def test_nonsense(params):
    with pytest.raises(ValueError, match='must be'):
        faults.Fault(**params)


def test_clearing_releases():
    planted = faults.Faults()
    fault = planted.plant(faults.Fault('hang'))
    planted.clear()
    assert fault.released.is_set()
    assert planted.take(('hang',), 'a.b', 'xen1') is None
