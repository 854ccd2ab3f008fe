"""What the demonstration takes for an effect, and what not."""

import copy

import pytest

from aggregates_ext.demo import effects

MARKED = {effects.MARK: 'uuid-of-rack'}


def member(name, live=True, enabled=True):
    return {'name': name, 'live': live, 'enabled': enabled}


def host(pool, role='master', disks=()):
    srs = [
        {'shared': False, 'vdis': [{'uuid': disk} for disk in disks]},
        {'shared': True, 'vdis': [{'uuid': 'of all'}]},
    ]
    return {'pool_uuid': pool, 'role': role, 'phase': 'running', 'srs': srs}


@pytest.fixture
def state():
    """A pool of xen1 and xen2, and xen3 by itself."""
    return {
        'pools': [
            {
                'name_label': 'rack',
                'master': 'xen1',
                'other_config': dict(MARKED),
                'hosts': [member('xen1'), member('xen2')],
            },
            {
                'name_label': '',
                'master': 'xen3',
                'other_config': {},
                'hosts': [member('xen3')],
            },
        ],
        'hosts': {
            'xen1': host('p1'),
            'xen2': host('p1', 'slave', ['d1', 'd2']),
            'xen3': host('p3'),
        },
        'destroyed_vdis': ['d9', 'd8'],
    }


def pooled(state):
    return effects.pooled(state, 'rack', 'uuid-of-rack', ['xen1', 'xen2'])


def test_what_is_as_claimed_has_no_differences(state):
    assert pooled(state) == []
    assert effects.alone(state, ['xen3']) == []
    assert effects.unchanged(state, copy.deepcopy(state), 'xen2') == []
    assert effects.destroyed(state, ['d8', 'd9']) == []
    assert effects.disks_of(state, 'xen2') == ['d1', 'd2']


@pytest.mark.parametrize(
    ('values', 'difference'),
    [
        ({'name_label': ''}, '0 pools are named "rack", not one.'),
        ({'master': 'xen2'}, 'The master is xen2, not xen1.'),
        ({'other_config': {}}, 'The pool is not marked with uuid-of-rack.'),
        (
            {'hosts': [member('xen1')]},
            'Pool "rack" has xen1, not xen1, xen2.',
        ),
        (
            {'hosts': [member('xen1'), member('xen2', live=False)]},
            'xen2 is not live and enabled in the pool.',
        ),
        (
            {'hosts': [member('xen1', enabled=False), member('xen2')]},
            'xen1 is not live and enabled in the pool.',
        ),
    ],
)
def test_a_pool_that_is_not_as_claimed(state, values, difference):
    state['pools'][0].update(values)
    assert pooled(state) == [difference]


@pytest.mark.parametrize(
    ('values', 'difference'),
    [
        ({'hosts': []}, 'No pool has xen3.'),
        ({'master': 'xen1'}, 'xen3 is not its own pool.'),
        ({'name_label': 'x'}, 'The pool of xen3 has a name or a mark.'),
        ({'other_config': MARKED}, 'The pool of xen3 has a name or a mark.'),
    ],
)
def test_a_host_that_is_not_alone(state, values, difference):
    state['pools'][1].update(values)
    assert effects.alone(state, ['xen3']) == [difference]


def test_a_host_that_has_changed(state):
    after = copy.deepcopy(state)
    after['hosts']['xen2']['srs'][0]['vdis'].pop()
    after['pools'][0]['hosts'][1]['enabled'] = False
    assert effects.unchanged(state, after, 'xen2') == [
        'Host xen2 has changed.',
        'The pool of xen2 has changed.',
    ]


def test_a_host_that_has_not_come_back(state):
    found = effects.renewed(state, state, 'xen2')
    assert 'xen2 is still in pool p1.' in found
    assert 'xen2 is a slave, running.' in found


def test_other_disks_than_claimed(state):
    assert effects.destroyed(state, ['d9']) == [
        "Destroyed are the disks ['d8', 'd9'], not ['d9']."
    ]


def test_a_guest_that_is_not_where_it_belongs_is_told() -> None:
    state = {
        'hosts': {
            'xen1': {'domains': ['shop']},
            'xen2': {'domains': ['shop', 'mail']},
        },
        'lost': [],
        'ran_twice': ['post'],
    }
    assert effects.running(state, ['mail'], ['xen2']) == []
    assert effects.running(state, ['mail'], ['xen1'])
    assert effects.running(state, ['shop'], ['xen1', 'xen2'])
    assert effects.running(state, ['gone'], ['xen1', 'xen2'])
    assert len(effects.running(state, ['post'], ['xen1'])) == 2


def test_what_interrupts_a_guest_is_told() -> None:
    harmless = ('Async.VM.pool_migrate', 'host.reboot', 'VM.get_record')
    calls = [{'method': method} for method in harmless]
    assert effects.uninterrupted(calls) == []
    for method in (
        'VM.start',
        'VM.start_on',
        'Async.VM.clean_shutdown',
        'VM.hard_reboot',
    ):
        assert effects.uninterrupted([*calls, {'method': method}]) == [
            f'{method} was called.'
        ]


def test_a_guest_that_went_down_is_told_whatever_it_does_now() -> None:
    state = {'ended': ['shop'], 'lost': ['mail'], 'ran_twice': ['post']}
    assert effects.halted(state, ['wiki']) == []
    for guest in ('shop', 'mail', 'post'):
        assert len(effects.halted(state, [guest, 'wiki'])) == 1


def test_each_host_boots_once() -> None:
    before = {'hosts': {name: {'boots': 1} for name in ('xen1', 'xen2')}}
    after = {'hosts': {'xen1': {'boots': 2}, 'xen2': {'boots': 1}}}
    assert effects.booted(before, after, ['xen1']) == []
    assert effects.booted(before, after, ['xen1', 'xen2']) == [
        'xen2 has booted 0 times.'
    ]
    assert effects.booted(before, after, []) == ['xen1 has booted 1 times.']


@pytest.mark.parametrize(
    'found',
    [{'enabled': False, 'srs': ['s1']}, {'enabled': True, 'srs': ['s2']}],
)
def test_high_availability_that_is_not_as_it_was(state, found):
    before = {'enabled': True, 'srs': ['s1']}
    state['pools'][0]['high_availability'] = before
    assert effects.protected(state, 'xen2', 's1') == []
    after = copy.deepcopy(state)
    assert effects.led(state, after, 'xen1') == []
    after['pools'][0]['high_availability'] = found
    assert effects.protected(after, 'xen2', 's1') != []
    assert len(effects.led(state, after, 'xen1')) == 1
    assert effects.protected(after, 'xen9', 's1') != []


def test_a_master_that_is_another(state):
    after = copy.deepcopy(state)
    after['pools'][0]['master'] = 'xen2'
    assert effects.led(state, after, 'xen1') == ['master is xen2, not xen1.']
