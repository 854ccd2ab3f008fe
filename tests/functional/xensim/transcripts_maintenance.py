"""What was seen of guests that move and hosts that reboot (xen-api 26.17).

The guest `g` runs on xen2, xen1 is the master. A move took 3.2 to 3.7 s.
Times are seconds from the first call of a story; those of a watch are the
moments at which its answer was seen first. No moment: the first answer, or
one too short for a poll to see it each time.
"""

PENDING = ('pending', [])
SUCCESS = ('success', [])
CANCELLED = ('cancelled', [])
MOVING = ['pool_migrate']
GONE = 'HANDLE_INVALID'

# Story -> what is done and when -> what is watched. A task is watched by the
# name that its call has; a guest by its name and what of it.
STORIES = {
    'undisturbed': (
        [(0.0, 'a', 'move', 'g', 'xen3')],
        {
            'a': [(PENDING,), (SUCCESS, 3.4)],
            'g home': [('xen2',), ('xen3', 3.24)],
            'g places': [(['xen2'],), ([],), (['xen3'], 3.2)],
            'g doing': [(MOVING,), ([], 3.72)],
            'xen3 operations': [(['vm_migrate'],), ([], 3.72)],
            'xen2 operations': [([],)],
        },
    ),
    'cancelled at a third': (
        [(0.0, 'a', 'move', 'g', 'xen3'), (1.0, '', 'cancel', 'a')],
        {
            'a': [(PENDING,), (CANCELLED, 1.4)],
            'g home': [('xen2',)],
            'g places': [(['xen2'],)],
            'g doing': [(MOVING,), ([], 1.4)],
        },
    ),
    'cancelled at 0.91': (
        [(0.0, 'a', 'move', 'g', 'xen3'), (3.01, '', 'cancel', 'a')],
        {
            'a': [(PENDING,), (SUCCESS, 3.47)],
            'g home': [('xen2',), ('xen3', 3.3)],
        },
    ),
    'two moves of one guest': (
        [
            (0.0, 'a', 'move', 'g', 'xen1'),
            (0.0, 'b', 'move', 'g', 'xen3'),
        ],
        {
            'a': [(PENDING,), (SUCCESS, 3.5)],
            'b': [(PENDING,), (SUCCESS, 7.0)],
            'g home': [('xen2',), ('xen1', 3.3), ('xen3', 6.8)],
            'g places': [
                (['xen2'],),
                ([],),
                (['xen1'], 3.3),
                ([],),
                (['xen3'], 6.6),
            ],
        },
    ),
    'the second is cancelled while it waits': (
        [
            (0.0, 'a', 'move', 'g', 'xen1'),
            (0.0, 'b', 'move', 'g', 'xen3'),
            (0.7, '', 'cancel', 'b'),
        ],
        {
            'a': [(PENDING,), (SUCCESS, 3.5)],
            'b': [(PENDING,), (CANCELLED, 2.8)],
            'g home': [('xen2',), ('xen1', 3.3)],
        },
    ),
    'the target of the second is disabled': (
        [
            (0.0, 'a', 'move', 'g', 'xen1'),
            (0.0, 'b', 'move', 'g', 'xen3'),
            (0.7, '', 'host.disable', 'xen3'),
        ],
        {
            'a': [(PENDING,), (SUCCESS, 3.5)],
            'b': [(PENDING,), (('failure', ['HOST_DISABLED', 'xen3']), 3.6)],
            'g home': [('xen2',), ('xen1', 3.3)],
        },
    ),
    'both ends are disabled': (
        [
            (0.0, 'a', 'move', 'g', 'xen3'),
            (0.7, '', 'host.disable', 'xen2'),
            (0.7, '', 'host.disable', 'xen3'),
        ],
        {'a': [(PENDING,), (SUCCESS, 3.5)]},
    ),
    'to where it runs': (
        [(0.0, 'a', 'move', 'g', 'xen2')],
        {
            'a': [(PENDING,), (SUCCESS, 3.4)],
            'g home': [('xen2',)],
            'g doing': [(MOVING,), ([], 3.4)],
        },
    ),
    'a clean reboot': (
        [
            (0.0, 'a', 'move', 'g', 'xen3'),
            (0.7, 'b', 'Async.VM.clean_reboot', 'g'),
        ],
        {
            'a': [(PENDING,), (SUCCESS, 3.7)],
            'b': [(None,), (PENDING, 0.7), (SUCCESS, 3.93)],
            'g home': [('xen2',), ('xen3', 3.39)],
            'g power': [('Running',)],
            'g doing': [(MOVING,), (['clean_reboot'], 3.79), ([], 3.94)],
        },
    ),
    'a hard reboot': (
        [
            (0.0, 'a', 'move', 'g', 'xen3'),
            (0.7, 'b', 'Async.VM.hard_reboot', 'g'),
        ],
        {
            'a': [(PENDING,), (CANCELLED, 0.83)],
            'b': [(None,), (PENDING, 0.7), (SUCCESS, 1.0)],
            'g home': [('xen2',)],
            'g power': [('Running',)],
            'g doing': [
                (MOVING,),
                (['hard_reboot', 'pool_migrate'], 0.7),
                (['hard_reboot'], 0.83),
                ([], 1.0),
            ],
        },
    ),
    'a clean shutdown': (
        [
            (0.0, 'a', 'move', 'g', 'xen3'),
            (0.7, 'b', 'Async.VM.clean_shutdown', 'g'),
        ],
        {
            'a': [(PENDING,), (SUCCESS, 3.4)],
            'b': [(None,), (PENDING, 0.7), (SUCCESS, 3.6)],
            'g power': [('Running',), ('Halted', 3.6)],
            'g places': [
                (['xen2'],),
                ([],),
                (['xen3'], 3.3),
                ([], 3.6),
            ],
        },
    ),
    'a hard shutdown': (
        [
            (0.0, 'a', 'move', 'g', 'xen3'),
            (0.7, 'b', 'Async.VM.hard_shutdown', 'g'),
        ],
        {
            'a': [(PENDING,), (CANCELLED, 0.9)],
            'b': [(None,), (PENDING, 0.7), (SUCCESS, 0.9)],
            'g power': [('Running',), ('Halted', 0.9)],
            'g places': [(['xen2'],), ([], 0.9)],
        },
    ),
    'a move behind a clean shutdown': (
        [
            (0.0, 'b', 'Async.VM.clean_shutdown', 'g'),
            (0.0, 'a', 'move', 'g', 'xen3'),
        ],
        {
            'b': [(PENDING,), (SUCCESS, 0.1)],
            'a': [
                (PENDING,),
                (
                    (
                        'failure',
                        ['VM_BAD_POWER_STATE', 'g', 'running', 'halted'],
                    ),
                    0.1,
                ),
            ],
        },
    ),
    'xapi of the source ends': (
        [
            (0.0, 'a', 'move', 'g', 'xen3'),
            (2.0, '', 'restart', 'xen2'),
            (12.5, '', 'VM.start_on', 'g', 'xen2', False, False),
        ],
        {
            'a': [
                (PENDING,),
                (('failure', ['CANNOT_CONTACT_HOST', 'xen2']), 2.4),
            ],
            'g home': [('xen2',), (None, 10.8), ('xen2', 12.5)],
            'g power': [('Running',), ('Halted', 10.8), ('Running', 12.5)],
            'g doing': [(MOVING,), ([], 2.4), (['start_on'],), ([],)],
            'g places': [
                (['xen2'],),
                ([],),
                (['xen3'], 3.4),
                (['xen2', 'xen3'], 12.5),
            ],
        },
    ),
    'xapi of the target ends': (
        [(0.0, 'a', 'move', 'g', 'xen3'), (2.0, '', 'restart', 'xen3')],
        {
            'a': [
                (PENDING,),
                (('failure', ['CANNOT_CONTACT_HOST', 'xen3']), 10.0),
            ],
            'g home': [('xen2',)],
            'g power': [('Running',)],
            'g places': [(['xen2'],), ([],), (['xen3'], 3.4), ([], 10.5)],
        },
    ),
    'the toolstack of the source restarts': (
        [(0.0, 'a', 'move', 'g', 'xen3'), (2.0, '', 'restart all', 'xen2')],
        {
            'a': [
                (PENDING,),
                (('failure', ['CANNOT_CONTACT_HOST', 'xen2']), 2.1),
            ],
            'g home': [('xen2',)],
            'g power': [('Running',)],
            'g places': [(['xen2'],)],
        },
    ),
    'the toolstack of the target restarts': (
        [(0.0, 'a', 'move', 'g', 'xen3'), (2.0, '', 'restart all', 'xen3')],
        {
            'a': [
                (PENDING,),
                (
                    (
                        'failure',
                        [
                            'INTERNAL_ERROR',
                            'xenopsd internal error:'
                            ' Xenops_migrate.Remote_failed("unmarshalling'
                            ' result code from remote")',
                        ],
                    ),
                    9.8,
                ),
            ],
            'g home': [('xen2',)],
            'g power': [('Running',)],
            'g places': [(['xen2'],), ([],)],
        },
    ),
}

# What is seen of xen2 while it reboots, and after a restart of its xapi.
BUSY = sorted(['enable', 'evacuate', 'shutdown', 'vm_start'])
REBOOT = {
    'login': [
        ('HOST_IS_SLAVE',),
        ('ConnectionRefusedError', 10.2),
        ('HOST_IS_SLAVE', 18.6),
        ('HOST_STILL_BOOTING',),
        ('HOST_IS_SLAVE', 25.9),
    ],
    'operations': [(['shutdown'],), ([], 25.6)],
    'allowed': [(BUSY,), ('DISABLED', 25.6), ('ENABLED', 26.5)],
    'agent': [('old',), ('new', 26.2)],
    'enabled': [(False,), (True, 26.5)],
}
RESTART = {
    'login': [
        ('HOST_IS_SLAVE',),
        ('ConnectionRefusedError', 0.8),
        ('HOST_IS_SLAVE', 2.2),
        ('HOST_STILL_BOOTING',),
        ('HOST_IS_SLAVE', 9.4),
    ],
    'operations': [([],)],
    'allowed': [('DISABLED',), ('ENABLED', 10.1)],
    'agent': [('old',), ('new', 9.7)],
    'enabled': [(False,), (True, 10.1)],
}
