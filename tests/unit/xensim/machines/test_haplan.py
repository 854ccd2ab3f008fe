"""The plan of high availability without sockets (xapi#ha-plan)."""

import pytest

from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.install import contents
from aggregates_ext.xensim.machines import haplan
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock

GIB = 1 << 30


def pool(hosts, guests):
    """A pool of hosts of 64 GiB, with guests by host."""
    names = [f'h{number}' for number in range(hosts)]
    read = topology.load(
        {
            'hosts': [{'name': name} for name in names],
            'pools': [{'hosts': names}],
        }
    )
    sim = simulator.Simulator(read, clock.SteppedClock())
    db = sim.host('h0').database
    for number, (name, gib) in enumerate(guests):
        machine = topology.Machine(f'v{number}', str(number), memory=gib * GIB)
        home = db.by_uuid('host', topology.identity(name))
        vm = contents.add_vm(db, machine, home)
        db.row('VM', vm)['ha_restart_priority'] = 'restart'
    return db


CASES = [
    ([], 3, 3),
    ([('h0', 50)], 2, 1),
    ([('h0', 50), ('h1', 50)], 1, 0),
    ([('h0', 50), ('h1', 50), ('h2', 50)], 0, 0),
    # Two failures one after another: the first moves to the second.
    ([('h0', 29), ('h1', 29)], 2, 1),
]


@pytest.mark.parametrize(('guests', 'most', 'estimated'), CASES)
def test_how_many_failures_are_survived(monkeypatch, guests, most, estimated):
    db = pool(3, guests)
    assert haplan.tolerable(db) == most
    monkeypatch.setattr(haplan, 'EXHAUSTIVE_HOSTS', 0)
    assert haplan.tolerable(db) == estimated


def test_many_hosts_are_estimated():
    """Small guests count as large ones: two of them do not fit a host."""
    db = pool(33, [('h0', 1), ('h0', 40), *((f'h{n}', 1) for n in range(33))])
    assert haplan.exists(db, 15)
    assert not haplan.exists(db, 16)


@pytest.mark.parametrize('disabled', [False, True])
def test_only_hosts_count_that_are_enabled(disabled):
    db = pool(3, [('h0', 50)])
    (ref,) = db.where('host', uuid=topology.identity('h2'))
    db.row('host', ref)['enabled'] = not disabled
    assert haplan.tolerable(db) == (1 if disabled else 2)
