"""Mutants: made, run, judged and remembered; and that the heart has none.

All of them run in an environment of their own, ``tox -e mutants``.
"""

import ast
import os
import pathlib
import subprocess
import sys
from typing import Any

from tests.mutants import making
from tests.mutants import operators
from tests.mutants import results

ROOT = pathlib.Path(__file__).parents[2]

LEASES = 'aggregates_ext/db/leases.py'
FENCE = f'{LEASES} fence:'
BLIND = 'tests/mutants/blind.py'
TESTS = 'tests/functional/db/test_leases.py'
CODE = '''
def first(items, limit=0):
    """The first that are allowed."""
    LOG.info('looking', extra=limit)
    try:
        found = [item for item in items if item.ok and item.size > limit]
    except errors.Odd:
        return None
    items.clear()
    note(step='done', progress=30)
    return found[0]
'''


def mutants(tmp_path: pathlib.Path, code: str) -> list[making.Mutant]:
    (tmp_path / 'module.py').write_text(code)
    return making.mutants(tmp_path, 'module.py')


def test_each_mechanism_is_changed_or_taken_out(
    tmp_path: pathlib.Path,
) -> None:
    found = '[item for item in items if item.ok and item.size > limit]'
    assert {mutant.text for mutant in mutants(tmp_path, CODE)} == {
        f'found = {found} -> found = {changed}'
        for changed in (
            '[item for item in items]',
            '[item for item in items if item.ok]',
            '[item for item in items if item.size > limit]',
            '[item for item in items if item.ok and item.size >= limit]',
            '[item for item in items if item.ok and item.size <= limit]',
        )
    } | {
        'except errors.Odd: -> except ():',
        'return None -> pass',
        'items.clear() -> pass',
        "note(step='done', progress=30) -> pass",
        "note(step='done', progress=30) -> note(progress=30)",
        'return found[0] -> pass',
        'return found[0] -> return found[1]',
    }


def test_a_mutant_is_known_by_its_function_and_line(
    tmp_path: pathlib.Path,
) -> None:
    before = {mutant.name for mutant in mutants(tmp_path, CODE)}
    longer = f'def other():\n    act()\n{CODE}'
    after = {mutant.name for mutant in mutants(tmp_path, longer)}
    assert after - before == {'module.py other: act() -> pass'}
    assert before <= after


def test_every_operator_does_what_it_says() -> None:
    for operator in operators.OWN:
        for example in operator.examples():
            changed = making.changed(example.pre_mutation_code)
            assert example.post_mutation_code in changed[operator.__name__]


def test_all_mutants_are_python() -> None:
    for mutant in making.mutants(ROOT, LEASES):
        ast.parse(mutant.source)


def test_every_reason_is_of_a_mutant_that_there_is() -> None:
    reasons = results.reasons()
    named = {name.split(' ')[0] for name in reasons}
    made = {
        mutant.name
        for module in named
        for mutant in making.mutants(ROOT, module)
    }
    assert reasons.keys() - made == set()


def run(home: pathlib.Path, *arguments: str) -> Any:
    return subprocess.run(
        [sys.executable, '-m', 'tests.mutants', '--at-once', '2', *arguments],
        cwd=ROOT,
        env={**os.environ, 'AGGREGATES_EXT_MUTANTS': str(home)},
        capture_output=True,
        text=True,
        timeout=600,
    )


def counts(text: str) -> dict[str, int]:
    """The last line of the table, by the titles of the first."""
    titles, *_others, last = text.splitlines()[-3:]
    return dict(zip(titles.split(), map(int, last.split()[1:]), strict=True))


def test_what_no_test_notices_is_told_until_one_does(
    tmp_path: pathlib.Path,
) -> None:
    """No change of the fence goes unnoticed by the tests that there are."""
    ran = run(tmp_path, FENCE, '--tests', BLIND)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert f'unreached: {FENCE} raise exception.LeaseLost(' in ran.stdout
    epoch = '_TABLE.c.lease_epoch == lease.epoch,'
    assert f'survived: {FENCE} {epoch} -> nothing\n' in ran.stdout
    before = counts(ran.stdout)
    assert before['killed'] > 0
    assert before['survived'] > 0
    ran = run(tmp_path, FENCE, '--tests', TESTS)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    after = counts(ran.stdout)
    assert after['killed'] + after['reasoned'] == after['made'] > 10
    assert after['made'] == before['made']
