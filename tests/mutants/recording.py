"""A plug-in of pytest: writes down which test reaches which lines.

One file for each file of tests, with what makes it stale. The lines are those
within a function, so that a change elsewhere does not shift them.
"""

import hashlib
import json
import os
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import coverage
import pytest

from tests.mutants import making
from tests.mutants import modules

ROOT = pathlib.Path(__file__).parents[2]
HOME = pathlib.Path(os.environ.get('AGGREGATES_EXT_MUTANTS', '.mutants'))
REACH = HOME / 'reach'

Reach = dict[str, dict[str, list[int]]]


def digest(path: pathlib.Path) -> str:
    """What a file of tests says."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def place(path: str) -> pathlib.Path:
    """Where it is written down what a file of tests reaches."""
    return REACH / (path.replace('/', '.') + '.json')


def is_fresh(path: str) -> bool:
    """Whether that is so of the tests as they are now."""
    try:
        known = json.loads(place(path).read_text())
    except (OSError, ValueError):
        return False
    return bool(known['digest'] == digest(ROOT / path))


class Recorder:
    """:ivar tests: of the file that is under way."""

    def __init__(self) -> None:
        names = [str(ROOT / name) for name in modules.watched()]
        self._coverage = coverage.Coverage(
            data_file=None, include=names, config_file=False
        )
        self._coverage.set_option(
            'run:disable_warnings', ['no-data-collected']
        )
        self._coverage.start()
        self._functions = {
            name: making.functions((ROOT / name).read_text())
            for name in modules.watched()
        }
        self._tests: dict[str, dict[str, Any]] = {}
        self._passed = True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Iterator[None]:
        """Keep what one test has reached."""
        self._passed = True
        self._coverage.get_data().erase()
        began = time.process_time()
        try:
            return (yield)
        finally:
            took = time.process_time() - began
            if self._passed:
                self._tests[item.nodeid] = {
                    'seconds': round(took, 3),
                    'reach': self._reached(),
                }
            path = item.nodeid.split('::')[0]
            if nextitem is None or nextitem.nodeid.split('::')[0] != path:
                self._write(path)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One that fails or is skipped says nothing of a mutant."""
        if not report.passed:
            self._passed = False

    def _reached(self) -> Reach:
        data = self._coverage.get_data()
        reached: Reach = {}
        for filename in data.measured_files():
            name = str(pathlib.Path(filename).relative_to(ROOT))
            lines = sorted(data.lines(filename) or ())
            for function in self._functions[name]:
                inside = [
                    line - function.first
                    for line in lines
                    if function.body <= line <= function.last
                ]
                if inside:
                    key = f'{function.name} {function.digest}'
                    reached.setdefault(name, {})[key] = inside
        return reached

    def _write(self, path: str) -> None:
        REACH.mkdir(parents=True, exist_ok=True)
        known = {'digest': digest(ROOT / path), 'tests': self._tests}
        partial = place(path).with_suffix('.partial')
        partial.write_text(json.dumps(known))
        partial.rename(place(path))
        self._tests = {}


def pytest_configure(config: pytest.Config) -> None:
    """In each process that runs tests."""
    if hasattr(config, 'workerinput') or not config.getoption('numprocesses'):
        config.pluginmanager.register(Recorder())


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Only on SQLite: a server cannot be shared with processes forked."""
    left = [item for item in items if not modules.is_elsewhere(item.nodeid)]
    gone = [item for item in items if modules.is_elsewhere(item.nodeid)]
    config.hook.pytest_deselected(items=gone)
    items[:] = left
