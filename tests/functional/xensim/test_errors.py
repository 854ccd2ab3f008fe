"""The answers of xapi#error-answers, through the genuine client."""

import pytest

ROOT = ('root', 'secret')


@pytest.fixture
def described():
    """The release which xapi#error-answers was taken from."""
    names = ('xen1', 'xen2', 'xen3')
    return {'hosts': [{'name': name, 'version': 'xapi-26'} for name in names]}


@pytest.fixture
def ref(clients):
    return clients.ref('xen1')


def test_wrong_password_is_told_after_two_seconds(call, clk):
    before = clk.time()
    answer = call('xen1', 'session.login_with_password', 'root', 'wrong')
    assert answer == [
        'ERR',
        'SESSION_AUTHENTICATION_FAILED',
        'root',
        'Authentication failure',
    ]
    assert clk.time() - before == pytest.approx(2.0)


def test_unknown_user_is_told_in_other_words(call):
    answer = call('xen1', 'session.login_with_password', 'nouser', 'x')
    assert answer[2:] == [
        'nouser',
        'User not known to the underlying authentication module',
    ]


@pytest.mark.parametrize('extra', [(), ('1.0',), ('1.0', 'o', 'surplus')])
def test_login_takes_defaults_and_swallows_surplus(call, extra):
    answer = call('xen1', 'session.login_with_password', *ROOT, *extra)
    assert answer.startswith('OpaqueRef:')


@pytest.mark.parametrize(
    ('method', 'params', 'counts'),
    [
        ('session.login_with_password', [], ['2', '0']),
        (
            'session.slave_local_login_with_password',
            [*ROOT, '1', '2'],
            ['2', '4'],
        ),
        ('pool.get_all', [], ['0', '-1']),
    ],
)
def test_counts_leave_out_the_session(call, method, params, counts):
    answer = call('xen1', method, *params)
    code = 'MESSAGE_PARAMETER_COUNT_MISMATCH'
    assert answer == ['ERR', code, method, *counts]


@pytest.mark.parametrize(
    ('method', 'params', 'counts'),
    [
        ('host.get_all', ['x'], ['0', '1']),
        ('host.get_record', [], ['1', '0']),
    ],
)
def test_counts_of_calls_with_a_session(call, ref, method, params, counts):
    answer = call('xen1', method, ref, *params)
    code = 'MESSAGE_PARAMETER_COUNT_MISMATCH'
    assert answer == ['ERR', code, method, *counts]


@pytest.mark.parametrize('bad', ['OpaqueRef:bogus', 'OpaqueRef:NULL', ''])
def test_bad_session(call, bad):
    assert call('xen1', 'pool.get_all', bad) == ['ERR', 'SESSION_INVALID', bad]


@pytest.mark.parametrize(
    ('method', 'params', 'failure'),
    [
        ('pool.nosuch', [], ['MESSAGE_METHOD_UNKNOWN', 'pool.nosuch']),
        ('nosuch.get_all', [], ['MESSAGE_METHOD_UNKNOWN', 'nosuch.get_all']),
        (
            'session.get_all_records',
            [],
            ['MESSAGE_METHOD_UNKNOWN', 'session.get_all_records'],
        ),
        (
            'host.get_record',
            ['OpaqueRef:bogus'],
            ['HANDLE_INVALID', 'host', 'OpaqueRef:bogus'],
        ),
        ('host.get_by_uuid', ['nope'], ['UUID_INVALID', 'host', 'nope']),
        (
            'host.get_by_uuid',
            [5],
            ['INTERNAL_ERROR', 'Failure("Expected string, got \'I(5)\'")'],
        ),
        (
            'host.disable',
            ['OpaqueRef:bogus', 'yes'],
            ['INTERNAL_ERROR', 'Failure("Expected bool, got \'S(yes)\'")'],
        ),
        (
            'pool.eject',
            ['OpaqueRef:bogus'],
            ['HOST_OFFLINE', 'OpaqueRef:bogus'],
        ),
    ],
)
def test_failures(call, ref, method, params, failure):
    assert call('xen1', method, ref, *params) == ['ERR', *failure]


def test_master_is_neither_ejected_nor_destroyed(call, ref):
    (master,) = call('xen1', 'host.get_all', ref)
    assert call('xen1', 'pool.eject', ref, master) == [
        'ERR',
        'INTERNAL_ERROR',
        'Xapi_pool.Cannot_eject_master',
    ]
    assert call('xen1', 'host.destroy', ref, master) == [
        'ERR',
        'HOST_IS_LIVE',
        master,
    ]
    assert call('xen1', 'host.shutdown', ref, master) == [
        'ERR',
        'HOST_NOT_DISABLED',
    ]


def test_disable_and_enable(call, ref):
    (master,) = call('xen1', 'host.get_all', ref)
    assert call('xen1', 'host.disable', ref, master) == ''
    assert call('xen1', 'host.get_enabled', ref, master) is False
    assert call('xen1', 'host.enable', ref, master) == ''
    assert call('xen1', 'host.get_enabled', ref, master) is True


@pytest.mark.parametrize(
    ('address', 'password', 'failure', 'seconds'),
    [
        (
            '10.0.0.11',
            'secret',
            ['OPERATION_NOT_ALLOWED', 'Host cannot become slave of itself'],
            0.2,
        ),
        (
            '10.0.0.12',
            'wrong',
            [
                'SESSION_AUTHENTICATION_FAILED',
                'root',
                'Authentication failure',
            ],
            2.0,
        ),
        (
            '10.0.0.99',
            'secret',
            ['INTERNAL_ERROR', 'Connection failed: no route to host.'],
            3.1,
        ),
        ('no.such.name', 'secret', ['JOINING_HOST_CONNECTION_FAILED'], 6.0),
    ],
)
def test_joins_to_nowhere(call, clk, ref, address, password, failure, seconds):
    before = clk.time()
    answer = call('xen1', 'pool.join', ref, address, 'root', password)
    assert answer == ['ERR', *failure]
    assert clk.time() - before == pytest.approx(seconds)


def test_join_to_a_closed_port(call, ref, sim):
    sim.restart_toolstack('xen2')
    answer = call('xen1', 'pool.join', ref, '10.0.0.12', *ROOT)
    assert answer[2] == 'Connection failed: connection refused.'


def test_failed_asynchronous_join_is_told_by_its_task(call, clk, ref):
    task = call('xen1', 'Async.pool.join', ref, '10.0.0.12', 'root', 'wrong')
    clk.advance(3)
    record = call('xen1', 'task.get_record', ref, task)
    assert record['status'] == 'failure'
    assert record['error_info'][0] == 'SESSION_AUTHENTICATION_FAILED'
    assert record['progress'] == 1.0


def test_logout_ends_the_session(call, ref):
    assert call('xen1', 'session.logout', ref) == ''
    gone = ['ERR', 'SESSION_INVALID', ref]
    assert call('xen1', 'pool.get_all', ref) == gone
    assert call('xen1', 'session.logout', ref) == gone


def test_no_asynchronous_logout(call, ref):
    assert call('xen1', 'Async.session.logout', ref) == [
        'ERR',
        'Fault',
        'No async mode for this operation (rpc: session.logout)',
    ]
