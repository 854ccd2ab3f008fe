"""What was seen at a running xapi (XCP-ng's xen-api 26.17), as tables.

Names of hosts and addresses are those of the tests: xen1 is the master. A
word that begins with @ stands for a reference or uuid. Times are seconds
from the call that begins the story.
"""

REFUSED = 'ConnectionRefusedError'
SLAVE = ['ERR', 'HOST_IS_SLAVE', '10.0.0.11']
BOOTING = ['ERR', 'HOST_STILL_BOOTING']
NO_ADDRESS = ['ERR', 'HOST_HAS_NO_MANAGEMENT_IP']
OLD_INVALID = ['ERR', 'SESSION_INVALID', '@old']
DISABLED = sorted(
    [
        'vm_migrate',
        'provision',
        'vm_resume',
        'apply_updates',
        'enable',
        'reboot',
        'evacuate',
        'vm_start',
        'shutdown',
    ]
)
ENABLED = sorted(
    ['vm_migrate', 'provision', 'vm_resume', 'enable', 'evacuate', 'vm_start']
)
ALONE = [['xen1', True]]

# Story -> what is watched -> its answers in order, each with the moments at
# which runs saw it first (joins: two runs, xapi#join-timeline). No moment: the
# first answer, or one that lasts too short for a poll to see it each time.
WATCHES = {
    'join': {
        'fresh login': [
            ('OK',),
            (REFUSED, 13.05, 12.83),
            (SLAVE, 15.05, 14.84),
            (NO_ADDRESS, 21.88),
            (BOOTING,),
            (SLAVE, 22.38),
        ],
        'local login': [('OK',), (REFUSED, 13.0, 12.62), ('OK', 15.07, 14.67)],
        'old session': [
            ('OK',),
            (REFUSED, 12.69, 12.43),
            (OLD_INVALID, 21.81, 21.52),
            (NO_ADDRESS,),
            (BOOTING, 22.03),
            (OLD_INVALID, 22.28),
        ],
        'hosts': [
            (ALONE,),
            ([['xen1', True], ['xen2', False]], 2.61, 2.11),
            ([['xen1', True], ['xen2', True]], 23.05, 22.85),
        ],
        'live': [([],), ([False], 2.62, 2.1), ([True], 11.15, 19.64)],
        'allowed': [
            ([],),
            ([[]], 2.38, 2.11),
            ([DISABLED], 11.1, 19.64),
            ([ENABLED], 23.08, 23.04),
        ],
        'pool operations': [
            ([],),
            (['exchange_certificates_on_join'], 1.05),
            (['exchange_ca_certificates_on_join'], 1.3),
            ([],),
        ],
    },
    'eject': {
        'host record': [
            ('OK',),
            (['ERR', 'HANDLE_INVALID', 'host', '@host'], 0.37),
        ],
        'control domain': [
            ('OK',),
            (['ERR', 'HANDLE_INVALID', 'VM', '@dom0'], 0.06),
        ],
        'interface': [
            ('OK',),
            (['ERR', 'HANDLE_INVALID', 'PIF', '@pif'], 11.47),
        ],
        'metrics': [
            ('OK',),
            (['ERR', 'HANDLE_INVALID', 'host_metrics', '@metrics'], 11.54),
        ],
        'hosts': [([['xen1', True], ['xen2', True]],), (ALONE, 0.39)],
        'pool operations': [([],), (['eject'], 0.06), ([], 0.36)],
        'fresh login': [(SLAVE,), (REFUSED, 10.57), ('OK', 18.07)],
        'local login': [('OK',), (REFUSED, 10.46), ('OK', 18.61)],
        'local session': [
            ('OK',),
            (REFUSED, 10.43),
            (['ERR', 'SESSION_INVALID', '@local'], 18.23),
        ],
    },
}

BOTH = [['xen1', True], ['xen2', True]]
FIRST = [['xen1', True], ['xen2', False]]
# A second run, with TLS: joins that failed late, and restarts. What is seen
# of the hosts: whether the master is enabled, and how many slaves are.
WATCHES |= {
    'half join': {
        'fresh login': [
            ('OK',),
            (REFUSED,),
            (SLAVE, 1.42),
            (NO_ADDRESS, 7.81),
            (BOOTING,),
            (SLAVE, 8.52),
        ],
        'live': [([False],), ([True], 1.42)],
        'hosts': [(FIRST,), (BOTH, 9.24)],
    },
    'restart of a slave': {
        'fresh login': [
            (SLAVE,),
            (REFUSED, 1.29, 1.24),
            (SLAVE, 1.92, 1.85),
            (NO_ADDRESS,),
            (BOOTING, 9.12, 8.92),
            (SLAVE, 9.42, 9.23),
        ],
        'live': [([True],)],
        'hosts': [(FIRST,), (BOTH, 10.1, 9.51)],
    },
    'death of a slave': {
        'live': [([True],)],
        'hosts': [(BOTH,), (FIRST, 8.12, 8.2), (BOTH, 8.66, 8.7)],
    },
    'reboot of a slave': {
        'fresh login': [
            (SLAVE,),
            (REFUSED, 10.22, 10.18),
            (SLAVE, 18.59, 17.93),
            (NO_ADDRESS, 25.15),
            (BOOTING,),
            (SLAVE, 26.16, 25.08),
        ],
        'hosts': [(FIRST,), (BOTH, 26.97, 26.0)],
    },
    'death of the master': {
        'fresh look': [
            ([True, 2],),
            (REFUSED,),
            ([False, 0], 1.29, 1.12),
            ([False, 1], 6.25),
            ([False, 2], 9.17, 9.39),
            ([True, 2], 9.59, 9.66),
        ],
    },
    'reboot of the master': {
        'fresh look': [
            ([False, 2],),
            (REFUSED, 10.12),
            ([False, 0], 18.0),
            ([False, 1], 22.93),
            ([False, 2],),
            ([True, 2],),
        ],
    },
}

AUTHENTICATION = ['ERR', 'SESSION_AUTHENTICATION_FAILED', 'root']
AUTHENTICATION.append('Authentication failure')
COUNT = ['ERR', 'MESSAGE_PARAMETER_COUNT_MISMATCH']
LOGIN = 'session.login_with_password'
LOCAL_LOGIN = 'session.slave_local_login_with_password'

# Host, call, parameters, answer, and how long it took where that is told.
ERRORS = [
    ('xen1', LOGIN, ['root', 'x'], AUTHENTICATION, 2.03),
    (
        'xen1',
        LOGIN,
        ['nouser', 'secret'],
        [
            'ERR',
            'SESSION_AUTHENTICATION_FAILED',
            'nouser',
            'User not known to the underlying authentication module',
        ],
        2.07,
    ),
    ('xen1', LOGIN, [], [*COUNT, LOGIN, '2', '0']),
    ('xen1', LOGIN, ['root', 'secret'], '@@'),
    ('xen1', LOGIN, ['root', 'secret', '1.0'], '@@'),
    ('xen1', LOGIN, ['root', 'secret', '1.0', 'o', 'more'], '@@'),
    ('xen1', 'pool.get_all', ['@bogus'], ['ERR', 'SESSION_INVALID', '@bogus']),
    ('xen1', 'pool.get_all', [], [*COUNT, 'pool.get_all', '0', '-1']),
    ('xen1', 'pool.get_all', ['@null'], ['ERR', 'SESSION_INVALID', '@null']),
    ('xen1', 'pool.get_all', [''], ['ERR', 'SESSION_INVALID', '']),
    (
        'xen1',
        'pool.nosuch',
        ['@old'],
        ['ERR', 'MESSAGE_METHOD_UNKNOWN', 'pool.nosuch'],
    ),
    (
        'xen1',
        'nosuch.get_all',
        ['@old'],
        ['ERR', 'MESSAGE_METHOD_UNKNOWN', 'nosuch.get_all'],
    ),
    (
        'xen1',
        'host.get_record',
        ['@old', '@bogus'],
        ['ERR', 'HANDLE_INVALID', 'host', '@bogus'],
    ),
    (
        'xen1',
        'host.get_by_uuid',
        ['@old', 'nope'],
        ['ERR', 'UUID_INVALID', 'host', 'nope'],
    ),
    (
        'xen1',
        'host.get_all',
        ['@old', 'x'],
        [*COUNT, 'host.get_all', '0', '1'],
    ),
    (
        'xen1',
        'host.get_record',
        ['@old'],
        [*COUNT, 'host.get_record', '1', '0'],
    ),
    (
        'xen1',
        'host.get_record',
        ['@old', 5],
        [
            'ERR',
            'INTERNAL_ERROR',
            'Failure("Expected string, got \'I(5)\'")',
        ],
    ),
    (
        'xen1',
        'pool.set_wlb_enabled',
        ['@old', '@pool', 'yes'],
        [
            'ERR',
            'INTERNAL_ERROR',
            'Failure("Expected bool, got \'S(yes)\'")',
        ],
    ),
    (
        'xen1',
        'pool.eject',
        ['@old', '@master'],
        ['ERR', 'INTERNAL_ERROR', 'Xapi_pool.Cannot_eject_master'],
    ),
    (
        'xen1',
        'pool.eject',
        ['@old', '@bogus'],
        ['ERR', 'HOST_OFFLINE', '@bogus'],
    ),
    (
        'xen1',
        'host.destroy',
        ['@old', '@master'],
        ['ERR', 'HOST_IS_LIVE', '@master'],
    ),
    (
        'xen1',
        'pool.join',
        ['@old', '10.0.0.11', 'root', 'secret'],
        ['ERR', 'OPERATION_NOT_ALLOWED', 'Host cannot become slave of itself'],
        0.18,
    ),
    (
        'xen1',
        'pool.join',
        ['@old', '10.0.0.12', 'root', 'x'],
        AUTHENTICATION,
        2.24,
    ),
    (
        'xen1',
        'pool.join',
        ['@old', '10.0.0.99', 'root', 'secret'],
        ['ERR', 'INTERNAL_ERROR', 'Connection failed: no route to host.'],
        3.1,
    ),
    (
        'xen1',
        'pool.join',
        ['@old', 'nosuch.invalid', 'root', 'secret'],
        ['ERR', 'JOINING_HOST_CONNECTION_FAILED'],
        6.0,
    ),
    (
        'xen1',
        LOCAL_LOGIN,
        ['root', 'secret', '1.0', 'o'],
        [*COUNT, LOCAL_LOGIN, '2', '4'],
    ),
    ('xen1', 'host.disable', ['@old', '@master'], ''),
    ('xen1', 'host.enable', ['@old', '@master'], ''),
    (
        'xen1',
        'host.shutdown',
        ['@old', '@master'],
        ['ERR', 'HOST_NOT_DISABLED'],
    ),
    ('xen1', 'Async.pool.join', ['@old', '10.0.0.99', 'root', 'x'], '@@'),
    ('xen1', 'session.logout', ['@old'], ''),
    ('xen1', 'pool.get_all', ['@old'], OLD_INVALID),
    ('xen1', 'session.logout', ['@old'], OLD_INVALID),
]

LOCAL_INVALID = ['ERR', 'SESSION_INVALID', '@local']
EACH_AT_A_SLAVE = [
    ('pool.get_all', []),
    ('host.get_all', []),
    ('host.get_record', ['@host']),
    ('host.get_hostname', ['@host']),
    ('host.is_in_emergency_mode', []),
    ('host.disable', ['@host']),
    ('host.enable', ['@host']),
    ('host.get_servertime', ['@host']),
    ('pool.join', ['10.0.0.11', 'root', 'secret']),
    ('VM.get_all', []),
    ('pool.eject', ['@host']),
    ('pool.set_name_label', ['@pool', 'x']),
    ('event.from', [['*'], '', 1.0]),
]
SLAVES = [
    ('xen2', LOGIN, ['root', 'secret'], SLAVE),
    ('xen2', LOGIN, ['root', 'x'], SLAVE),
    ('xen2', 'session.change_password', ['@old', 'secret', 'x'], SLAVE),
    ('xen2', LOCAL_LOGIN, ['root', 'secret'], '@@'),
    ('xen2', LOCAL_LOGIN, ['root', 'x'], AUTHENTICATION, 2.01),
    ('xen2', 'pool.get_all', ['@local'], ['@pool']),
    ('xen2', 'host.get_all', ['@local'], ['@master', '@host']),
    ('xen2', 'host.get_name_label', ['@local', '@host'], 'xen2'),
    ('xen2', 'host.get_name_label', ['@local', '@master'], 'xen1'),
    ('xen2', 'host.is_in_emergency_mode', ['@local'], False),
    (
        'xen2',
        'session.get_this_host',
        ['@local', '@local'],
        ['ERR', 'HANDLE_INVALID', 'session', '@local'],
    ),
    (
        'xen2',
        'pool.join',
        ['@local', '10.0.0.11', 'root', 'secret'],
        ['ERR', 'JOINING_HOST_CANNOT_BE_MASTER_OF_OTHER_HOSTS'],
    ),
    (
        'xen2',
        'pool.get_master',
        ['@local', 'x'],
        ['ERR', 'HANDLE_INVALID', 'pool', 'x'],
    ),
    (
        'xen2',
        'event.from',
        ['@local', ['pool'], '', 1.0],
        ['ERR', 'INTERNAL_ERROR', 'missing table', 'pool', ''],
    ),
    *[
        ('xen2', method, ['@old', *params], SLAVE)
        for method, params in EACH_AT_A_SLAVE
    ],
    ('xen1', 'pool.get_all', ['@local'], LOCAL_INVALID),
    ('xen1', 'host.disable', ['@old', '@host'], ''),
    ('xen1', 'host.enable', ['@old', '@host'], ''),
    (
        'xen1',
        'pool.join',
        ['@old', '10.0.0.12', 'root', 'secret'],
        SLAVE,
    ),
    (
        'xen1',
        'host.destroy',
        ['@old', '@host'],
        ['ERR', 'HOST_IS_LIVE', '@host'],
    ),
    (
        'xen1',
        'pool.eject',
        ['@old', '@master'],
        ['ERR', 'INTERNAL_ERROR', 'Xapi_pool.Cannot_eject_master'],
    ),
    ('xen1', 'pool.designate_new_master', ['@old', '@master'], ''),
    ('xen2', 'session.local_logout', ['@local'], ''),
    ('xen2', 'pool.get_all', ['@local'], LOCAL_INVALID),
]
