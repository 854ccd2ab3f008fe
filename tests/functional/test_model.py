"""The model of the protocol: spin finds nothing, and each hole that is made.

Bounded, in a minute. With ``AGGREGATES_EXT_MODEL_ALL=1``, which is what ``tox
-e model`` does, more goes wrong in one run: that takes many minutes.
"""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
MODEL = ROOT / 'doc' / 'source' / 'model'
DOCUMENT = ROOT / 'doc' / 'source' / 'model.rst'
ALL = os.environ.get('AGGREGATES_EXT_MODEL_ALL') == '1'
# Seconds, and MB.
PATIENCE = 1800 if ALL else 120
MEMORY = 6000 if ALL else 900

# To compile costs more than a short search.
OPTIMIZED = '-O2' if ALL else '-O0'

# What may go wrong in one run: model, numbers.
BOUNDED = [
    ('join', {'LOSSES': 1, 'FAILURES': 0}),
    ('join', {'LOSSES': 0, 'COMMITS': 1, 'FAILURES': 0}),
    ('join', {'LOSSES': 0, 'TAKEOVERS': 0, 'FAILURES': 1, 'RESTARTS': 1}),
    ('eject', {'LOSSES': 1, 'FAILURES': 0}),
    ('eject', {'LOSSES': 0}),
    ('eject', {'LOSSES': 0, 'FAILURES': 0, 'COMMITS': 1}),
    ('eject', {'LOSSES': 0, 'FAILURES': 0, 'RESTARTS': 1}),
    ('eject', {'LOSSES': 0, 'FAILURES': 0, 'MISSES': 1}),
    ('mastership', {'LOSSES': 1}),
    ('mastership', {'LOSSES': 0, 'FAILURES': 0, 'COMMITS': 1}),
    ('moves', {'LOSSES': 1, 'RESTARTS': 0, 'FAILURES': 0}),
    ('moves', {'LOSSES': 0, 'RESTARTS': 1, 'ATTEMPTS': 1}),
    ('repair', {'LOSSES': 0}),
    ('repair', {'LOSSES': 1, 'TAKEOVERS': 0}),
    ('repair', {'LOSSES': 0, 'COMMITS': 1, 'TAKEOVERS': 0}),
]
WHOLE = [
    *BOUNDED,
    ('join', {'TAKEOVERS': 2, 'LOSSES': 1}),
    ('join', {'LOSSES': 0, 'MISSES': 1}),
    ('join', {'LOSSES': 1, 'TAKEOVERS': 0, 'CRASHES': 1}),
    ('join', {'LOSSES': 1, 'RESTARTS': 1}),
    ('eject', {'TAKEOVERS': 2, 'LOSSES': 1}),
    ('eject', {'LOSSES': 0, 'FAILURES': 0, 'CRASHES': 1}),
    ('eject', {'LOSSES': 1, 'TAKEOVERS': 0, 'CRASHES': 1}),
    ('eject', {'LOSSES': 1, 'RESTARTS': 1}),
    ('mastership', {'TAKEOVERS': 2, 'LOSSES': 1, 'RESTARTS': 1}),
    ('mastership', {'LOSSES': 1, 'MISSES': 1}),
    ('mastership', {'LOSSES': 0, 'FAILURES': 0, 'MISSES': 1, 'COMMITS': 1}),
    ('mastership', {'LOSSES': 0, 'FAILURES': 0, 'CRASHES': 1}),
    ('moves', {'LOSSES': 1, 'COMMITS': 1, 'RESTARTS': 0}),
    ('moves', {'LOSSES': 1, 'RESTARTS': 1}),
    ('repair', {'LOSSES': 0, 'COMMITS': 1, 'CRASHES': 1}),
    ('repair', {'LOSSES': 1}),
]
# That every operation ends, with fair services and hosts.
ENDING = [
    ('join', {'LOSSES': 0, 'FAILURES': 0, 'TAKEOVERS': 0}),
    ('eject', {'LOSSES': 0, 'FAILURES': 0}),
    ('mastership', {'LOSSES': 0, 'FAILURES': 0}),
    (
        'moves',
        {
            'LOSSES': 0,
            'FAILURES': 0,
            'RESTARTS': 0,
            'TAKEOVERS': 0,
            'ATTEMPTS': 1,
        },
    ),
    ('repair', {'LOSSES': 0, 'TAKEOVERS': 0}),
]
# A mechanism that is taken out, where spin finds what it is for.
TAKEN_OUT = [
    ('NO_FENCE', 'join', {}),
    ('NO_FENCE', 'eject', {}),
    ('NO_FENCE', 'mastership', {}),
    ('NO_FENCE', 'moves', {}),
    ('NO_ROW_LOCK', 'join', {}),
    ('GO_ON_AFTER_UNKNOWN_COMMIT', 'join', {'COMMITS': 1}),
    ('GO_ON_AFTER_UNKNOWN_COMMIT', 'mastership', {'COMMITS': 1}),
    ('NO_RECORD', 'join', {}),
    ('NO_RECORD', 'eject', {}),
    ('NO_RECORD', 'mastership', {}),
    ('NO_END_SESSION', 'join', {}),
    ('NO_END_SESSION', 'eject', {}),
    ('NO_END_SESSION', 'mastership', {}),
    ('NO_LOOK', 'join', {}),
    ('NO_LOOK', 'eject', {}),
    ('ONE_LOOK', 'join', {}),
    ('ONE_LOOK', 'eject', {}),
    ('MASTER_FIRST', 'join', {}),
    ('NO_CONFIRM', 'join', {}),
    ('NO_RESTART', 'join', {'LOSSES': 0}),
    ('FORGET_BEFORE', 'eject', {'LOSSES': 0}),
    ('NO_ASK_VICTIM', 'eject', {}),
    ('NO_FUSE_WAIT', 'eject', {'RESTARTS': 1, 'LOSSES': 0}),
    ('NO_REFUSED', 'eject', {'CRASHES': 1, 'LOSSES': 0}),
    ('RESEND_MASTER', 'mastership', {}),
    ('WINDOW_FROM_RECORD', 'mastership', {}),
    ('NOT_WRITTEN_DOWN', 'mastership', {}),
    ('NO_WAIT_FOR_MOVES', 'moves', {}),
    ('NO_GATE', 'moves', {}),
    ('FENCE_MOVES_BY_SESSION', 'moves', {}),
    ('NO_QUIET', 'moves', {}),
    ('TRUST_RECORDS', 'moves', {'RESTARTS': 1}),
    ('JUMP', 'moves', {}),
    ('NO_END_SESSION', 'repair', {}),
    ('NO_CONFIRM', 'repair', {}),
    ('TARGET_FIRST', 'repair', {}),
    ('NO_OTHERS', 'repair', {}),
    ('NOT_SEEN', 'repair', {}),
    ('NO_BEGINS', 'repair', {}),
    ('GIVE_UP_EARLY', 'repair', {}),
    ('GIVE_UP_UNSEEN', 'repair', {}),
    ('ABORT_AT_ONCE', 'repair', {}),
]


def program(name: str) -> str:
    """A program, without which the test is skipped."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get('REQUIRE_SERVICES') == '1':
            pytest.fail(f'{name} is not installed')
        pytest.skip(f'{name} is not installed')
    return found


def carry_out(where: pathlib.Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=where, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def search(
    where: pathlib.Path,
    model: str,
    numbers: dict[str, int],
    switches: tuple[str, ...] = (),
    how: tuple[str, ...] = ('-DSAFETY', '-DBFS'),
    flags: tuple[str, ...] = (),
) -> str:
    """What spin says after a whole search.

    :param how: the search is compiled with.
    :param flags: of the search.
    """
    spin, compiler = program('spin'), program('gcc')
    for source in MODEL.glob('*.pml'):
        shutil.copy(source, where)
    given = [f'-D{name}={number}' for name, number in numbers.items()]
    given += [f'-D{name}' for name in switches]
    carry_out(where, spin, *given, '-a', f'{model}.pml')
    limits = ('-DCOLLAPSE', f'-DMEMLIM={MEMORY}')
    carry_out(
        where, compiler, OPTIMIZED, '-w', *how, *limits, '-o', 'pan', 'pan.c'
    )
    return carry_out(where, './pan', '-m200000', *flags)


def errors(said: str) -> int:
    """How many errors a search has found, none of them its own."""
    assert 'max search depth too small' not in said, said
    found = re.search(r'errors: (\d+)', said)
    assert found is not None, said
    number = int(found[1])
    # One that was given up for want of memory has found nothing either.
    assert number or 'Search not completed' not in said, said
    return number


def name_of(case: tuple[str, dict[str, int]]) -> str:
    model, numbers = case
    return '-'.join((model, *(f'{key}={n}' for key, n in numbers.items())))


@pytest.mark.parametrize('case', WHOLE if ALL else BOUNDED, ids=name_of)
def test_nothing_that_may_not_be_is_reached(
    tmp_path: pathlib.Path, case: tuple[str, dict[str, int]]
) -> None:
    said = search(tmp_path, *case)
    assert errors(said) == 0, said
    written = (MODEL / f'{case[0]}.pml').read_text()
    unreached = said.partition('unreached in proctype')[2]
    for end in ('SUCCEEDED', 'COMPLETED', 'FAILED'):
        # One of the ways to it is enough: some need more that goes wrong.
        ways = written.count(f'state = {end}')
        assert not ways or unreached.count(f'"state = {end}"') < ways, said


@pytest.mark.parametrize('case', ENDING, ids=name_of)
def test_every_operation_ends(
    tmp_path: pathlib.Path, case: tuple[str, dict[str, int]]
) -> None:
    said = search(
        tmp_path,
        *case,
        switches=('LIVENESS',),
        how=('-DNFAIR=4',),
        flags=('-a', '-f'),
    )
    assert errors(said) == 0, said


@pytest.mark.parametrize(
    ('switch', 'model', 'numbers'),
    TAKEN_OUT,
    ids=[f'{model}-{switch}' for switch, model, _numbers in TAKEN_OUT],
)
def test_each_mechanism_is_missed(
    tmp_path: pathlib.Path, switch: str, model: str, numbers: dict[str, int]
) -> None:
    said = search(tmp_path, model, numbers, switches=(switch,))
    assert errors(said) == 1, said
    assert 'assertion violated' in said


def test_document_tells_of_each_switch() -> None:
    text = DOCUMENT.read_text()
    told = set(re.findall(r'^   \* - ``([A-Z_]+)``$', text, re.M))
    assert told == {switch for switch, _model, _numbers in TAKEN_OUT}
    used = set()
    for source in MODEL.glob('*.pml'):
        used |= set(
            re.findall(r'^#ifn?def ([A-Z_]+)$', source.read_text(), re.M)
        )
    numbers = {key for _model, numbers in WHOLE for key in numbers}
    assert used - numbers - {'LIVENESS'} == told
