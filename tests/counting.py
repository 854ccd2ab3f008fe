"""What a request costs, told without a clock: Python calls and statements.

Neither depends on the machine, so tests hold them down by upper bounds.
"""

import contextlib
import gc
import sys
from collections.abc import Callable
from collections.abc import Iterator
from types import FrameType
from typing import Any
from typing import NamedTuple

import sqlalchemy as sa
import webob

from aggregates_ext.db.engine import questions

ROUNDS = 3


class Cost(NamedTuple):
    """What one request cost.

    :ivar calls: of functions, also of those that are written in C.
    :ivar statements: with BEGIN, without PRAGMA and SET SESSION.
    """

    calls: int
    statements: list[str]


@contextlib.contextmanager
def counting_calls() -> Iterator[list[int]]:
    """Count what this thread calls from Python, in its first item.

    Without the finalizers of what others have left to the collector.
    """
    found = [0]

    def note(_frame: FrameType, event: str, _argument: Any) -> None:
        if event in ('call', 'c_call'):
            found[0] += 1

    before = sys.getprofile()
    gc.disable()
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(before)
        gc.enable()


def least(
    act: Callable[[], Any], before: Callable[[], Any] | None = None
) -> int:
    """The calls that it makes where nothing is due that comes by the clock.

    Such as the look at the policy's files, once a second.

    :param before: what comes before it each time, and is not counted.
    """
    counts = []
    for _round in range(ROUNDS):
        if before is not None:
            before()
        with counting_calls() as calls:
            act()
        counts.append(calls[0])
    return min(counts)


@contextlib.contextmanager
def counting_statements(*but: str) -> Iterator[list[str]]:
    """Note what is executed, by way of SQLAlchemy or beside it.

    What a connection is told depends on what was done with it before, and is
    no statement of the work.

    :param but: with what the statements begin that are left out.
    """
    found: list[str] = []

    def listen(
        _connection: Any, _cursor: Any, statement: str, *_rest: Any
    ) -> None:
        if not statement.startswith(('PRAGMA', 'SET SESSION', *but)):
            found.append(statement)

    def execute(self: Any, connection: Any, text: str, values: Any) -> Any:
        found.append(text)
        return ask(self, connection, text, values)

    ask = questions.Questions._execute
    sa.event.listen(sa.Engine, 'before_cursor_execute', listen)
    questions.Questions._execute = execute  # type: ignore[method-assign]
    try:
        yield found
    finally:
        questions.Questions._execute = ask  # type: ignore[method-assign]
        sa.event.remove(sa.Engine, 'before_cursor_execute', listen)


def send(application: Any, request: webob.Request) -> tuple[bytes, Any]:
    """Ask an application as a server does.

    :returns: the body, and status with headers.
    """
    told: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]]) -> None:
        told[:] = [status, headers]

    body = b''.join(application(request.environ, start))
    return body, told


def cost(application: Any, request: webob.Request) -> Cost:
    """What a request costs that is answered the second time.

    The first time fills what is kept, and its cost is no measure.
    """
    send(application, request.copy())
    with counting_statements() as statements:
        send(application, request.copy())
    asked = [request.copy() for _round in range(ROUNDS)]
    calls = least(lambda: send(application, asked.pop()))
    return Cost(calls, statements)
