"""Runs mutants: each in a process forked from one that has all loaded.

pytest collects the tests once. For each mutant a child is forked, in which
the function's code is replaced by the changed one; it runs the tests that
reach the change, likely ones first, until one fails.
"""

import collections
import contextlib
import dataclasses
import gc
import os
import pathlib
import resource
import shutil
import signal
import struct
import sys
import tempfile
import types
import warnings
from collections.abc import Callable
from collections.abc import Iterator

import pytest

from tests.mutants import making

# Bytes of memory that a child may have.
MEMORY = 3 << 30
# Seconds of processor and of the clock on the wall, for each test, and times
# what it took when it was written down.
PROCESSOR = (15.0, 10.0)
WALL = (60.0, 60.0)
# Seconds that a test waits for something which does not come any more.
PATIENCE = 15.0
KILLED, SURVIVED, TIMEOUT, UNFIT = 'killed', 'survived', 'timeout', 'unfit'
# How a child ends that could not run its job.
BROKEN = 3


@dataclasses.dataclass
class Job:
    """A mutant, or none, and the tests to be run, with their seconds."""

    mutant: making.Mutant | None
    tests: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """:ivar test: which has noticed it, or hung."""

    kind: str
    test: str | None = None


Done = Callable[[Job, Outcome], None]


class Runner:
    """A plug-in of pytest that runs jobs instead of the tests.

    :param jobs: taken one by one; how earlier ones ended may matter.
    :param at_once: how many children there are at a time.
    """

    def __init__(
        self, root: pathlib.Path, jobs: Iterator[Job], done: Done, at_once: int
    ) -> None:
        self._root = root
        self._jobs = jobs
        self._done = done
        self._at_once = at_once
        self._items: dict[str, pytest.Item] = {}
        self._functions: dict[
            tuple[str, int, str], list[types.FunctionType]
        ] = {}
        self._under_way: dict[int, tuple[Job, int, pathlib.Path]] = {}
        # Tests that fail, or pass, with nothing changed.
        self._fit: dict[str, bool] = {}
        self._again: list[Job] = []
        self._suspects: dict[int, Job] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run all jobs."""
        self._items = {item.nodeid: item for item in session.items}
        self._find_functions()
        warm = sys.modules.get('tests.schemas')
        if warm is not None:
            warm._file()
        while True:
            while len(self._under_way) < self._at_once:
                job = self._again.pop() if self._again else None
                job = job or next(self._jobs, None)
                if job is None:
                    break
                self._fork(job)
            if not self._under_way:
                return True
            self._reap()

    def _find_functions(self) -> None:
        gc.unfreeze()
        found = collections.defaultdict(list)
        for each in gc.get_objects():
            if isinstance(each, types.FunctionType):
                code = each.__code__
                key = (code.co_filename, code.co_firstlineno, code.co_name)
                found[key].append(each)
        self._functions = dict(found)
        gc.freeze()

    def _fork(self, job: Job) -> None:
        home = pathlib.Path(tempfile.mkdtemp(prefix='mutant-'))
        reads, writes = os.pipe()
        with warnings.catch_warnings():
            # Some library may think that nobody should do that.
            warnings.simplefilter('ignore')
            pid = os.fork()
        if pid:
            os.close(writes)
            self._under_way[pid] = (job, reads, home)
            return
        code = BROKEN
        try:
            os.close(reads)
            code = self._live(job, writes, home)
        finally:
            os._exit(code)

    def _reap(self) -> None:
        pid, status = os.wait()
        if pid not in self._under_way:
            return
        job, reads, home = self._under_way.pop(pid)
        told = b''
        while block := os.read(reads, 65536):
            told += block
        os.close(reads)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        shutil.rmtree(home, ignore_errors=True)
        names = list(job.tests)
        last = struct.unpack('i', told[-4:])[0] if told else None
        test = None if last is None else names[last]
        self._judge(job, os.waitstatus_to_exitcode(status), test)

    def _judge(self, job: Job, code: int, test: str | None) -> None:
        """A test that kills is to pass with nothing changed."""
        if code == BROKEN:
            raise RuntimeError(f'Cannot be run: {job.mutant}, {test}')
        if job.mutant is None:
            name = next(iter(job.tests))
            self._fit[name] = code == 0
            suspect = self._suspects.pop(id(job))
            if code == 0:
                self._done(suspect, Outcome(KILLED, name))
            else:
                self._done(suspect, Outcome(UNFIT, name))
                del suspect.tests[name]
                self._again.append(suspect)
            return
        if code == 0:
            self._done(job, Outcome(SURVIVED))
        elif code in (-signal.SIGPROF, -signal.SIGALRM):
            self._done(job, Outcome(TIMEOUT, test))
        elif test is None or self._fit.get(test):
            self._done(job, Outcome(KILLED, test))
        elif test in self._fit:
            del job.tests[test]
            self._again.append(job)
        else:
            alone = Job(None, {test: job.tests[test]})
            self._suspects[id(alone)] = job
            self._again.append(alone)

    def _live(self, job: Job, writes: int, home: pathlib.Path) -> int:
        """The life of a child; its exit code."""
        os.setpgid(0, 0)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        os.environ['TMPDIR'] = tempfile.tempdir = str(home)
        service = sys.modules.get('tests.functional.service')
        if service is not None:
            service.PATIENCE = PATIENCE
        items = [self._items[name] for name in job.tests]
        factory = items[0].config._tmp_path_factory
        factory._basetemp = home / 'pytest'
        factory._basetemp.mkdir()
        if job.mutant is not None:
            self._change(job.mutant)
        items[0].config.pluginmanager.register(_Exit())
        for index, item in enumerate(items):
            os.write(writes, struct.pack('i', index))
            took = job.tests[item.nodeid]
            _limit(signal.ITIMER_PROF, PROCESSOR, took)
            _limit(signal.ITIMER_REAL, WALL, took)
            following = items[index + 1 : index + 2]
            item.config.hook.pytest_runtest_protocol(
                item=item, nextitem=following[0] if following else None
            )
        return 0

    def _change(self, mutant: making.Mutant) -> None:
        filename = str(self._root / mutant.module)
        key = (mutant.function.name, mutant.function.number)
        source = (self._root / mutant.module).read_text()
        before = making.codes(source, filename)[key]
        after = making.codes(mutant.source, filename)[key]
        place = (filename, before.co_firstlineno, before.co_name)
        for function in self._functions[place]:
            function.__code__ = after


def _limit(timer: int, allowed: tuple[float, float], took: float) -> None:
    least, times = allowed
    signal.setitimer(timer, least + times * took)


class _Exit:
    """Ends the process with the first test that fails."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            os._exit(1)
