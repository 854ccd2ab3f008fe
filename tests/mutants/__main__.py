"""Changes the service, and tells which changes no test notices.

What is known already is not run again: the tests that reach a line are
written down once for each file of tests, and how a mutant ended holds as long
as its function says the same. A survivor meets only tests that it has not met.
"""

import argparse
import collections
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.mutants import making
from tests.mutants import modules
from tests.mutants import recording
from tests.mutants import results
from tests.mutants import running

UNREACHED, REASONED, WAITING = 'unreached', 'reasoned', 'waiting'
COLUMNS = (
    running.KILLED,
    running.TIMEOUT,
    REASONED,
    running.SURVIVED,
    UNREACHED,
    WAITING,
)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser('python -m tests.mutants', None, __doc__)
    parser.add_argument(
        'names', nargs='*', help='only mutants with one of these in the name'
    )
    parser.add_argument(
        '--tests', action='append', help='files to be written down'
    )
    parser.add_argument('--at-once', type=int, default=os.cpu_count())
    parser.add_argument(
        '--seconds', type=float, help='of tests, for each mutant'
    )
    parser.add_argument('--every', type=int, default=1, help='a sample')
    parser.add_argument(
        '--only-tell', action='store_true', help='run and write nothing'
    )
    return parser.parse_args(arguments)


def record(paths: list[str], at_once: int) -> None:
    """Write down what those files of tests reach that is not known."""
    stale = [path for path in paths if not recording.is_fresh(path)]
    if stale:
        # One process needs no others.
        workers = at_once if len(stale) > 1 else 0
        print(f'writing down what {len(stale)} files of tests reach')
        subprocess.run(
            [sys.executable, '-m', 'pytest', '-q', '--no-header']
            + ['-p', 'tests.mutants.recording', '-n', str(workers)]
            + ['--dist', 'loadfile', *stale],
            cwd=recording.ROOT,
            check=False,
        )


def jobs(
    made: list[making.Mutant], known: results.Results, seconds: float | None
) -> Iterator[running.Job]:
    """What is still to be run."""
    excused = results.reasons()
    for mutant in made:
        left = known.left(mutant)
        if not left or mutant.name in excused:
            continue
        if seconds is not None:
            total = itertools.accumulate(left.values())
            within = sum(1 for passed in total if passed < seconds)
            left = dict(itertools.islice(left.items(), max(within, 1)))
        yield running.Job(mutant, left)


def run(
    made: list[making.Mutant],
    index: results.Index,
    known: results.Results,
    asked: argparse.Namespace,
) -> None:
    """Run all that is left."""
    files = {
        nodeid.split('::')[0]
        for mutant in made
        if known.left(mutant)
        for nodeid in index.reaching(mutant)
    }
    if not files:
        return

    def done(job: running.Job, outcome: running.Outcome) -> None:
        known.add(job, outcome)
        if outcome.kind in (running.SURVIVED, running.UNFIT):
            name = job.mutant.name if job.mutant else ''
            print(f'{outcome.kind}: {name} {outcome.test or ""}', flush=True)

    runner = running.Runner(
        recording.ROOT, jobs(made, known, asked.seconds), done, asked.at_once
    )
    pytest.main(
        ['-q', '-s', '-p', 'no:cacheprovider', *sorted(files)],
        plugins=[runner],
    )


def tell(
    made: list[making.Mutant], index: results.Index, known: results.Results
) -> bool:
    """Print the counts, and the survivors; whether there is none."""
    excused = results.reasons()
    counts: dict[str, collections.Counter[str]] = {}
    bad = []
    for mutant in made:
        result = known.get(mutant)
        kind = result.kind if result else WAITING
        if mutant.name in excused:
            kind = REASONED
        elif not index.reaching(mutant) and kind == WAITING:
            kind = UNREACHED
        if kind in (running.SURVIVED, UNREACHED):
            bad.append(f'{kind}: {mutant.name}')
        counts.setdefault(mutant.module, collections.Counter())[kind] += 1
    print('\n'.join(bad))
    width = max(map(len, counts), default=0)
    print(f'{"":{width}}', 'made', *COLUMNS)
    total: collections.Counter[str] = collections.Counter()
    for module, found in [*counts.items(), ('all', total)]:
        numbers = [found.total(), *(found[column] for column in COLUMNS)]
        titles = ('made', *COLUMNS)
        print(
            f'{module:{width}}',
            *(
                f'{number:{len(title)}}'
                for number, title in zip(numbers, titles, strict=True)
            ),
        )
        total.update(found)
    return not bad


def main() -> int:
    """Write down, run, tell."""
    asked = parse(sys.argv[1:])
    made = [
        mutant
        for module in modules.every()
        if any(name.split(' ')[0] in module for name in asked.names or [''])
        for mutant in making.mutants(recording.ROOT, module)
        if any(name in mutant.name for name in asked.names or [''])
    ][:: asked.every]
    if not asked.only_tell:
        record(asked.tests or modules.tests(), asked.at_once)
    index = results.Index()
    known = results.Results(index)
    # What has survived some tests already comes last, and what takes a
    # mechanism out first.
    made.sort(key=lambda m: (known.get(m) is not None, not m.takes_out))
    if not asked.only_tell:
        run(made, index, known, asked)
    return 0 if tell(made, index, known) else 1


if __name__ == '__main__':
    sys.exit(main())
