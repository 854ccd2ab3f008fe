"""A list after a change costs what has changed, and is of one state.

On each database, for each face, media type and microversion; calls are
counted where the driver is in C.
"""

import json
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
import webob

from aggregates_ext.api.edge import looks
from aggregates_ext.db import aggregates
from aggregates_ext.db import stamps
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models
from tests import bench
from tests import counting
from tests.functional import api_service
from tests.functional import looking

ADMIN = {'X-Auth-Token': f'operator:{api_service.PROJECT}:admin'}
FEW, MANY = 80, 400
pytestmark = pytest.mark.every_database
Face = tuple[str, str, str]


class Stage:
    """An API and its database."""

    def __init__(self, url: str) -> None:
        self.application, self.database = api_service.make(url=url)

    def request(self, face: Face) -> webob.Request:
        prefix, version, suffix = face
        asked = {'OpenStack-API-Version': f'compute {version}'}
        path = f'{prefix}/os-aggregates{suffix}'
        return webob.Request.blank(path, headers={**ADMIN, **asked})

    def list(self, face: Face) -> bytes:
        body, (status, _headers) = counting.send(
            self.application, self.request(face)
        )
        assert status == '200 OK'
        return body

    def change(self, *keys: int) -> None:
        """As another process does it."""
        with self.database.writer() as connection:
            for key in keys:
                name = f'changed{stamps.new()}'
                aggregates.update(connection, key, {'name': name})

    def change_itself(self, face: Face, *keys: int) -> None:
        """As this process does it, asked by way of a face."""
        body = {'set_metadata': {'metadata': {'changed': str(stamps.new())}}}
        for key in keys:
            request = self.request(face)
            request.path_info = f'{face[0]}/os-aggregates/{key}/action'
            request.method, request.json = 'POST', body
            _body, (status, _headers) = counting.send(
                self.application, request
            )
            assert status == '200 OK'

    def check(self, face: Face, body: bytes) -> None:
        number = list(looking.FACES).index(face)
        with self.database.reader() as connection:
            views = looking.views(connection)
        shown = {'aggregates': [view[number] for view in views.values()]}
        assert body == looking.document(looking.FACES[face], shown)

    def cost(self, face: Face) -> counting.Cost:
        """What a list costs after a change of one, which is told rightly."""
        self.list(face)
        self.change(7)
        with counting.counting_statements() as statements:
            body = self.list(face)
        self.check(face, body)
        asked = [self.request(face) for _round in range(counting.ROUNDS)]
        calls = counting.least(
            lambda: counting.send(self.application, asked.pop()),
            before=lambda: self.change(7),
        )
        return counting.Cost(calls, statements)


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]
) -> list[Any]:
    """Act whenever all stamps have been read; what is asked from now."""
    ask, asked = engine.Database.ask, []

    def noting(database: Any, statement: Any, **values: Any) -> Any:
        found = ask(database, statement, **values)
        asked.append(statement)
        if statement is stamps.OF_EACH:
            act()
        return found

    monkeypatch.setattr(engine.Database, 'ask', noting)
    return asked


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    made = Stage(database_url)
    bench.fill(made.database, FEW)
    yield made
    made.database.dispose()


def test_one_that_has_changed_is_read_and_rendered(stage: Stage) -> None:
    """Whatever the number of the others, which nobody touches."""
    few = {face: stage.cost(face) for face in looking.FACES}
    bench.fill(stage.database, MANY)
    many = {face: stage.cost(face) for face in looking.FACES}
    for face in looking.FACES:
        # Their sum, the stamps of each, and the one.
        assert len(few[face].statements) == 3, face
        assert len(many[face].statements) == 3, face
        # XML costs calls for each thing in what is rendered.
        limit = 900 if face[2] == '.xml' else 400
        if stage.database.engine.dialect.name == 'sqlite':
            assert many[face].calls <= few[face].calls + 20, face
            assert many[face].calls <= limit, face


def test_what_a_process_has_changed_is_listed_without_a_further_look(
    stage: Stage,
) -> None:
    """Where nobody else has changed anything; it has its look for its face."""
    mine, other = list(looking.FACES)[:2]
    for face in (mine, other):
        stage.list(face)
    stage.change_itself(mine, 7, 9)
    with counting.counting_statements() as statements:
        body = stage.list(mine)
    assert len(statements) == 1
    stage.check(mine, body)
    with counting.counting_statements() as statements:
        body = stage.list(other)
    assert len(statements) == 3
    stage.check(other, body)


@pytest.mark.parametrize('by_another', [(7,), (8,), (9, 20)])
def test_what_others_change_beside_is_listed_too(
    stage: Stage, by_another: tuple[int, ...]
) -> None:
    """One that the process has changed as well, or others."""
    face = next(iter(looking.FACES))
    stage.list(face)
    stage.change_itself(face, 7, 9)
    stage.change(*by_another)
    stage.check(face, stage.list(face))
    stage.change_itself(face, 7)
    stage.check(face, stage.list(face))
    with stage.database.writer() as connection:
        aggregates.delete(connection, 7)
    stage.check(face, stage.list(face))


def test_what_a_process_has_changed_is_rendered_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = next(iter(looking.FACES))
    stage.list(face)
    render, rendered = looks._render, []

    def noting(shape: Any, aggregate: Any) -> looks.Look:
        rendered.append(aggregate.id)
        return render(shape, aggregate)

    monkeypatch.setattr(looks, '_render', noting)
    stage.change_itself(face, 7)
    stage.list(face)
    stage.change(8)
    stage.check(face, stage.list(face))
    assert rendered == [7, 8]


def test_no_more_is_kept_for_a_list_than_its_bound(stage: Stage) -> None:
    face = next(iter(looking.FACES))
    stage.list(face)
    stage.change_itself(face, *range(1, looks.SINCE + 2))
    with counting.counting_statements() as statements:
        body = stage.list(face)
    assert len(statements) > 1
    stage.check(face, body)


def test_those_that_come_and_go_are_told(stage: Stage) -> None:
    face = next(iter(looking.FACES))
    stage.check(face, stage.list(face))
    with stage.database.writer() as connection:
        for key in (1, 3, FEW):
            aggregates.delete(connection, key)
    with counting.counting_statements() as statements:
        body = stage.list(face)
    assert len(statements) == 2
    stage.check(face, body)
    bench.fill(stage.database, FEW + 2)
    stage.change(5, 6)
    with stage.database.writer() as connection:
        aggregates.delete(connection, 9)
    stage.check(face, stage.list(face))
    stage.change(*range(10, 40))
    with counting.counting_statements() as statements:
        body = stage.list(face)
    assert len(statements) == 3
    stage.check(face, body)
    # Too many to be asked for by their stamps.
    stage.change(*range(10, 60))
    stage.check(face, stage.list(face))
    with stage.database.writer() as connection:
        for key in range(1, FEW + 3):
            aggregates.delete(connection, key)
    body = stage.list(face)
    assert json.loads(body) == {'aggregates': []}
    stage.check(face, body)


@pytest.mark.parametrize('both', [(7, 8), (7,), (8,)])
def test_what_changes_while_it_is_read_is_told_of_one_state(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, both: tuple[int, ...]
) -> None:
    """The one that has changed, another one with it, or another alone."""
    face = next(iter(looking.FACES))
    stage.list(face)
    stage.change(7)
    states = []

    def note() -> None:
        with stage.database.reader() as connection:
            views = looking.views(connection)
        states.append([view[0] for view in views.values()])

    def change() -> None:
        note()
        stage.change(*both)
        note()

    meanwhile(monkeypatch, change)
    told = json.loads(stage.list(face))['aggregates']
    assert told in states
    monkeypatch.undo()
    stage.check(face, stage.list(face))


def test_one_that_changes_again_is_looked_for_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are not read for the sake of one that another has changed."""
    face = next(iter(looking.FACES))
    stage.list(face)
    stage.change(7)
    changes = iter([7])
    asked = meanwhile(monkeypatch, lambda: stage.change(*changes))
    body = stage.list(face)
    each = [stamps.OF_EACH, aggregates.STAMPED]
    assert asked == [stamps.OF_ALL, *each, *each]
    stage.check(face, body)


def test_two_with_one_stamp_are_told_apart(stage: Stage) -> None:
    """It happens to nobody, and would not be wrong."""
    face = next(iter(looking.FACES))
    stage.list(face)
    stamp = stamps.new()
    with stage.database.writer() as connection:
        for key in (3, 4):
            connection.execute(
                sa.update(models.aggregates)
                .where(models.aggregates.c.id == key)
                .values(name=f'twin{key}', stamp=stamp)
            )
    stage.check(face, stage.list(face))
    stage.change(3)
    stage.check(face, stage.list(face))
