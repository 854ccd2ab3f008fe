"""The verdict on what both sides of a join show."""

import pytest

from aggregates_ext.compute.observation import views
from aggregates_ext.compute.operations import verdicts
from aggregates_ext.compute.operations.verdicts import Verdict


def host(uuid: str, live: bool = True, enabled: bool = True):
    return views.HostView(
        f'OpaqueRef:{uuid}', uuid, uuid, f'10.0.0.{uuid[-1]}', enabled, live, 0
    )


MASTER = host('xen1')
POOL = views.PoolView(
    'OpaqueRef:p', 'pool', 'p', None, MASTER, {'xen1': MASTER}
)
UP = host('xen2')
STARTING = host('xen2', enabled=False)
DEAD = host('xen2', live=False, enabled=False)
OURS = views.Answer('slave', '10.0.0.1')
THEIRS = views.Answer('slave', '10.9.9.9')
SILENT = views.Answer('silent', 'refused')
BOOTING = views.Answer('starting', 'HOST_STILL_BOOTING')


def alone(*states: str) -> views.Answer:
    tasks = tuple(
        views.Task(f'OpaqueRef:{n}', 'Async.pool.join', state, 0, ('CODE',))
        for n, state in enumerate(states)
    )
    return views.Answer('master', pool=POOL, tasks=tasks)


@pytest.mark.parametrize(
    ('listed', 'joiner', 'verdict'),
    [
        (UP, OURS, Verdict.JOINED),
        (STARTING, OURS, Verdict.WAIT),
        (DEAD, OURS, Verdict.WAIT),
        # A slave of another address than the present master's is not ours.
        (UP, THEIRS, Verdict.WAIT),
        (None, OURS, Verdict.WAIT),
        (None, THEIRS, Verdict.ELSEWHERE),
        (UP, SILENT, Verdict.WAIT),
        (None, SILENT, Verdict.WAIT),
        (DEAD, BOOTING, Verdict.WAIT),
        (None, alone('pending'), Verdict.WAIT),
        (DEAD, alone('pending'), Verdict.WAIT),
        # The ten-second fuse: the joiner still serves as its old self.
        (DEAD, alone('success'), Verdict.FUSE),
        (None, alone('success'), Verdict.FUSE),
        (None, alone('failure'), Verdict.FAILED),
        (None, alone('cancelled'), Verdict.FAILED),
        (None, alone(), Verdict.NOTHING),
        (DEAD, alone('failure'), Verdict.HALF),
        (UP, alone(), Verdict.HALF),
        (None, alone('failure', 'pending'), Verdict.WAIT),
    ],
)
def test_verdict(
    listed: views.HostView | None, joiner: views.Answer, verdict: Verdict
) -> None:
    assert verdicts.judge(verdicts.Seen(POOL, listed, joiner)) is verdict


def test_both_sides_are_described() -> None:
    text = verdicts.Seen(POOL, DEAD, alone()).describe()
    assert 'lists the host with live=False' in text
    assert 'answers as the master of pool pool' in text
