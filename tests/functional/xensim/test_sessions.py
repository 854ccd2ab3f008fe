"""How long sessions live, how many there are, what they may.

See xapi#session-validity.
"""

import pytest
import XenAPI

from tests.functional.xensim import conftest
from tests.functional.xensim import waiting

LOGIN = 'session.login_with_password'
LOCAL = 'session.slave_local_login_with_password'
DAY = 86400


@pytest.fixture
def described():
    return {
        'hosts': [
            {'name': 'xen1', 'read_only_users': {'viewer': 'look'}},
            {'name': 'xen2'},
        ],
        'times': {
            'sessions_per_originator': 3,
            'sessions_per_user': 2,
            'sessions_of_the_rest': 4,
        },
    }


@pytest.fixture
def viewer(clients):
    session = clients.session('xen1')
    session.login_with_password('viewer', 'look', '1.0', '')
    return session


def alive(call, refs):
    return [call('xen1', 'pool.get_all', ref)[0] != 'ERR' for ref in refs]


def test_an_idle_session_ends_after_a_day(call, clients, clk):
    ref = clients.ref('xen1')
    clk.advance(DAY - 1)
    assert alive(call, [ref]) == [True]
    clk.advance(DAY - 1)
    assert alive(call, [ref]) == [True]
    clk.advance(DAY)
    answer = call('xen1', 'pool.get_all', ref)
    assert answer == ['ERR', 'SESSION_INVALID', ref]


def test_use_is_noted_only_after_ten_minutes(call, clients, clk):
    ref = clients.ref('xen1')
    first = call('xen1', 'session.get_last_active', ref, ref)
    clk.advance(599)
    assert call('xen1', 'session.get_last_active', ref, ref) == first
    clk.advance(1)
    assert call('xen1', 'session.get_last_active', ref, ref) > first


def test_the_genuine_client_logs_in_again(clients, clk):
    session = clients.login('xen1')
    old = session.handle
    clk.advance(DAY)
    assert len(session.xenapi.pool.get_all()) == 1
    assert session.handle != old


def test_the_oldest_of_an_originator_is_dropped(call, clients, clk):
    def login(originator):
        clk.advance(1)
        return call(
            'xen1', LOGIN, 'root', conftest.PASSWORD, '1.0', originator
        )

    other = login('other')
    refs = [login('ours') for _ in range(4)]
    assert alive(call, refs) == [False, True, True, True]
    assert alive(call, [other]) == [True]


def test_sessions_without_originator_are_counted_together(call, clients):
    refs = [clients.ref('xen1') for _ in range(5)]
    assert alive(call, refs) == [False, True, True, True, True]


def test_a_lesser_user_has_a_limit_of_its_own(call, clients):
    root = clients.ref('xen1')
    refs = [call('xen1', LOGIN, 'viewer', 'look') for _ in range(3)]
    assert alive(call, refs) == [False, True, True]
    assert alive(call, [root]) == [True]


def test_the_limits_are_those_of_xapi(sim):
    times = type(sim.world.times)()
    assert times.session_idle == DAY
    assert (
        times.sessions_per_originator,
        times.sessions_per_user,
        times.sessions_of_the_rest,
    ) == (500, 500, 400)


def test_a_read_only_user_reads(viewer, call):
    (record,) = viewer.xenapi.pool.get_all_records().values()
    assert record['name_label'] == ''
    assert viewer.xenapi.event_from(['pool'], '', 0.0)['events']
    task = viewer.xenapi.task.create('mine', '')
    viewer.xenapi.task.destroy(task)
    own = viewer.xenapi.session.get_record(viewer.handle)
    assert own['auth_user_name'] == 'viewer'
    assert own['is_local_superuser'] is False
    viewer.xenapi.session.logout()


@pytest.mark.parametrize(
    ('method', 'params'),
    [
        ('pool.join', ('10.0.0.12', 'root', 'secret')),
        ('Async.pool.join', ('10.0.0.12', 'root', 'secret')),
        ('pool.eject', ('x',)),
        ('pool.designate_new_master', ('x',)),
        ('pool.set_name_label', ('x', 'y')),
        ('pool.add_to_other_config', ('x', 'y', 'z')),
        ('host.disable', ('x',)),
        ('host.destroy', ('x',)),
        ('VM.start', ('x', False, False)),
        ('host.get_management_interface', ('x',)),
        ('secret.get_value', ('x',)),
    ],
)
def test_a_read_only_user_changes_nothing(viewer, call, method, params):
    answer = call('xen1', method, viewer.handle, *params)
    permission = method.removeprefix('Async.').lower()
    assert answer[:3] == ['ERR', 'RBAC_PERMISSION_DENIED', permission]
    assert 'pool-operator' in answer[3]


def test_the_gate_is_after_method_arity_and_session(viewer, call):
    """xapi#simulated-behaviour-2."""
    ref = viewer.handle
    assert call('xen1', 'pool.nosuch', ref)[1] == 'MESSAGE_METHOD_UNKNOWN'
    few = call('xen1', 'pool.eject', ref)
    assert few[1] == 'MESSAGE_PARAMETER_COUNT_MISMATCH'
    call('xen1', 'session.logout', ref)
    assert call('xen1', 'pool.eject', ref, 'x')[1] == 'SESSION_INVALID'


def test_a_session_tells_what_its_account_may_do(viewer, call, clients):
    record = call('xen1', 'session.get_record', viewer.handle, viewer.handle)
    assert not record['is_local_superuser']
    assert 'pool.get_all_records' in record['rbac_permissions']
    assert 'pool.join' not in record['rbac_permissions']
    ref = clients.ref('xen1')
    record = call('xen1', 'session.get_record', ref, ref)
    assert record['is_local_superuser']
    assert record['rbac_permissions'] == []


def test_wrong_password_of_a_read_only_user(call):
    answer = call('xen1', LOGIN, 'viewer', 'wrong')
    assert answer[1:3] == ['SESSION_AUTHENTICATION_FAILED', 'viewer']


def test_join_wants_more_than_a_read_only_account(call, clients, sim):
    """xapi#join-calls: the account on the master is one of its operators."""
    ref = clients.ref('xen2')
    answer = call('xen2', 'pool.join', ref, conftest.MASTER, 'viewer', 'look')
    assert answer[1] == 'RBAC_PERMISSION_DENIED'
    assert len(sim.state()['pools']) == 2


def test_a_read_only_user_has_no_local_session(call):
    answer = call('xen1', LOCAL, 'viewer', 'look')
    assert answer[1] == 'RBAC_PERMISSION_DENIED'


def test_local_sessions_die_with_xapi(call, sim, clk):
    """xapi#emergency: they are in a table of that process."""
    local = call('xen1', LOCAL, 'root', conftest.PASSWORD)
    assert len(call('xen1', 'pool.get_all', local)) == 1
    sim.restart_toolstack('xen1')
    clk.advance(10)
    answer = call('xen1', 'pool.get_all', local)
    assert answer == ['ERR', 'SESSION_INVALID', local]


def test_local_login_of_the_genuine_client(clients, joined):
    session = clients.session('xen2')
    session.slave_local_login_with_password('root', conftest.PASSWORD)
    assert len(session.xenapi.host.get_all()) == 2
    session.logout()


def test_subject_identifiers(call, clients, joined):
    """xapi#slave-answers; on a master nobody has one."""
    ref = clients.ref('xen1')
    method = 'session.get_all_subject_identifiers'
    assert call('xen1', method, ref) == []
    assert call('xen2', method, ref)[1] == 'HOST_IS_SLAVE'


def test_a_call_goes_on_when_the_master_is_back(call, joined, sim, clk):
    """xapi#emergency: database calls block and try again without end."""
    local = call('xen2', LOCAL, 'root', conftest.PASSWORD)
    sim.power_off('xen1')
    blocked = waiting.blocked(sim, 'xen2', call, 'xen2', 'host.get_all', local)
    assert call('xen2', LOGIN, 'root', 'x')[1] == 'HOST_IS_SLAVE'
    clk.advance(3600)
    assert blocked.running
    sim.power_on('xen1')
    clk.advance(60)
    assert len(blocked.result()) == 2


def test_failures_of_the_genuine_client_have_details(viewer):
    with pytest.raises(XenAPI.Failure) as caught:
        viewer.xenapi.pool.sync_database()
    assert caught.value.details[:2] == [
        'RBAC_PERMISSION_DENIED',
        'pool.sync_database',
    ]
