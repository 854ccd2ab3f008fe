"""The verdict on what both sides of a change of master show."""

import dataclasses

import pytest

from aggregates_ext.compute.mastership import handover
from aggregates_ext.compute.observation import views


def host(uuid: str) -> views.HostView:
    return views.HostView(
        f'OpaqueRef:{uuid}', uuid, uuid, f'10.0.0.{uuid[-1]}', True, True, 0
    )


OLD, NEW = host('xen1'), host('xen2')
BEFORE = views.PoolView('OpaqueRef:p', 'pool', 'p', None, OLD, {})
AFTER = dataclasses.replace(BEFORE, master=NEW)
CHANGING = dataclasses.replace(
    BEFORE, operations={'OpaqueRef:t': 'designate_new_master'}
)
BUSY = dataclasses.replace(BEFORE, operations={'OpaqueRef:t': 'ha_enable'})
ANOTHER = dataclasses.replace(AFTER, uuid='another')
ANOTHER_BEFORE = dataclasses.replace(BEFORE, uuid='another')
OF_OLD = views.Answer('slave', '10.0.0.1')
OF_NEW = views.Answer('slave', '10.0.0.2')
SILENT = views.Answer('silent', 'refused')
STARTING = views.Answer('starting', 'HOST_STILL_BOOTING')


def master(pool: views.PoolView) -> views.Answer:
    return views.Answer('master', pool=pool)


@pytest.mark.parametrize(
    ('target', 'former', 'moved', 'before'),
    [
        (master(AFTER), OF_NEW, True, False),
        (master(AFTER), SILENT, True, False),
        (master(AFTER), STARTING, True, False),
        # Two masters: nobody knows whom the members follow.
        (master(AFTER), master(BEFORE), False, False),
        # It is the master of a pool, and not of ours.
        (master(ANOTHER), OF_NEW, False, False),
        # What answers at its address is the master, and is another host.
        (master(BEFORE), OF_NEW, False, False),
        (STARTING, OF_NEW, False, False),
        (SILENT, SILENT, False, False),
        (OF_OLD, master(BEFORE), False, True),
        (OF_OLD, master(BUSY), False, True),
        (OF_OLD, master(CHANGING), False, False),
        (OF_OLD, master(ANOTHER_BEFORE), False, False),
        (OF_OLD, SILENT, False, False),
        # The new one follows somebody else, or does not say whom.
        (OF_NEW, master(BEFORE), False, False),
        (STARTING, master(BEFORE), False, False),
        (views.Answer('silent', '10.0.0.1'), master(BEFORE), False, False),
    ],
)
def test_verdict(
    target: views.Answer, former: views.Answer, moved: bool, before: bool
) -> None:
    seen = handover.Seen(target, former)
    assert seen.has_moved('pool', 'xen2') is moved
    assert seen.is_as_before('pool') is before
