"""What is known of mutants: how they ended, and what is said of survivors."""

import collections
import csv
import dataclasses
import json
import pathlib
from typing import Any

from tests.mutants import making
from tests.mutants import recording
from tests.mutants import running

RESULTS = recording.HOME / 'results.jsonl'
# Survivors that nothing is to notice, and why.
REASONS = recording.ROOT / 'doc/source/mutants.csv'
PACKAGE = 'aggregates_ext/'


def reasons(path: pathlib.Path = REASONS) -> dict[str, str]:
    """Why a mutant may survive, by its name."""
    found = {}
    with path.open(newline='') as rows:
        for row in csv.DictReader(rows):
            module, function, change = (
                row[column].strip('`')
                for column in ('Module', 'Function', 'Change')
            )
            found[f'{PACKAGE}{module} {function}: {change}'] = row['Reason']
    return found


class Index:
    """Which tests reach what, as it is written down."""

    def __init__(self) -> None:
        self._digests: dict[str, str] = {}
        self._reaching: dict[
            tuple[str, str], list[tuple[str, float, str, frozenset[int]]]
        ] = collections.defaultdict(list)
        for path in sorted(recording.REACH.glob('*.json')):
            self._read(json.loads(path.read_text()))

    def _read(self, known: dict[str, Any]) -> None:
        for nodeid, test in known['tests'].items():
            self._digests[nodeid.split('::')[0]] = known['digest']
            for module, functions in test['reach'].items():
                for key, lines in functions.items():
                    name, digest = key.split()
                    self._reaching[module, name].append(
                        (nodeid, test['seconds'], digest, frozenset(lines))
                    )

    def digest_of(self, nodeid: str) -> str:
        """What the file of a test said when it was written down."""
        return self._digests[nodeid.split('::')[0]]

    def reaching(self, mutant: making.Mutant) -> dict[str, float]:
        """The tests that reach a change, with their seconds.

        Where the function has changed since, all that reach the function.
        """
        function = mutant.function
        first, last = (line - function.first for line in mutant.lines)
        return {
            nodeid: seconds
            for nodeid, seconds, digest, lines in self._reaching[
                mutant.module, function.name
            ]
            if digest != function.digest
            or any(first <= line <= last for line in lines)
        }


@dataclasses.dataclass
class Result:
    """How a mutant ended last.

    :ivar tried: what a survivor has survived: a test, and what its file said.
    """

    kind: str
    digest: str
    test: str | None = None
    tried: dict[str, str] = dataclasses.field(default_factory=dict)


class Results:
    """Kept in a file to which each end is added."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._known: dict[str, Result] = {}
        self._kills: collections.Counter[tuple[str, str, str]] = (
            collections.Counter()
        )
        if RESULTS.exists():
            for line in RESULTS.read_text().splitlines():
                known = json.loads(line)
                self._take(known.pop('name'), Result(**known))

    def _take(self, name: str, result: Result) -> None:
        self._known[name] = result
        if result.test:
            place, _colon, _text = name.partition(': ')
            module, function = place.split(' ')
            self._kills[module, function, result.test] += 1
            self._kills[module, '', result.test] += 1

    def get(self, mutant: making.Mutant) -> Result | None:
        """How it ended, if its function is still the same."""
        known = self._known.get(mutant.name)
        if known is None or known.digest != mutant.function.digest:
            return None
        return known

    def left(self, mutant: making.Mutant) -> dict[str, float]:
        """The tests that are still to be run, likely ones first."""
        known = self.get(mutant)
        if known is not None and known.kind != running.SURVIVED:
            return {}
        tried = known.tried if known else {}
        tests = {
            nodeid: seconds
            for nodeid, seconds in self._index.reaching(mutant).items()
            if tried.get(nodeid) != self._index.digest_of(nodeid)
        }

        def likely(nodeid: str) -> tuple[int, int, float]:
            here = (mutant.module, mutant.function.name, nodeid)
            near = (mutant.module, '', nodeid)
            kills = self._kills
            return -kills[here], -min(kills[near], 5), tests[nodeid]

        return {nodeid: tests[nodeid] for nodeid in sorted(tests, key=likely)}

    def add(self, job: running.Job, outcome: running.Outcome) -> None:
        """Keep how a mutant ended."""
        mutant = job.mutant
        if mutant is None or outcome.kind == running.UNFIT:
            return
        result = Result(outcome.kind, mutant.function.digest, outcome.test)
        if outcome.kind == running.SURVIVED:
            known = self.get(mutant)
            result.tried = {
                **(known.tried if known else {}),
                **{name: self._index.digest_of(name) for name in job.tests},
            }
        self._take(mutant.name, result)
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        with RESULTS.open('a') as out:
            row = {'name': mutant.name, **dataclasses.asdict(result)}
            out.write(json.dumps(row) + '\n')
