"""What a request costs in calls and statements: upper bounds for each.

Without a clock, so they hold on any machine. What a number buys is in
design#budgets.
"""

import pathlib
from collections.abc import Iterator

import pytest
import webob

from aggregates_ext.db import stamps
from aggregates_ext.db.engine import engine
from tests import bench
from tests import counting
from tests.functional import api_service

ADMIN = {'X-Auth-Token': f'operator:{api_service.PROJECT}:admin'}
ALL = '/v2.1/os-aggregates'
OLD = '/v1.1/abc123/os-aggregates'
Made = tuple[api_service.WSGI, engine.Database]


@pytest.fixture(scope='module')
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    directory: pathlib.Path = tmp_path_factory.mktemp('calls')
    application, database = api_service.make(directory / 'db.sqlite')
    bench.fill(database, 10)
    yield application, database
    database.dispose()


def ask(made: Made, path: str, **headers: str) -> counting.Cost:
    request = webob.Request.blank(path, headers={**ADMIN, **headers})
    return counting.cost(made[0], request)


@pytest.mark.parametrize('path', [f'{ALL}/1', f'{OLD}/1', f'{OLD}/1.xml'])
def test_show_of_what_has_not_changed(made: Made, path: str) -> None:
    cost = ask(made, path)
    assert len(cost.statements) == 1
    assert cost.calls <= 200


@pytest.mark.parametrize('path', [ALL, OLD, f'{OLD}.xml'])
def test_list_costs_the_same_whatever_its_length(
    made: Made, path: str
) -> None:
    few = ask(made, path)
    bench.fill(made[1], 300)
    many = ask(made, path)
    assert len(few.statements) == len(many.statements) == 1
    assert few.calls <= many.calls + 20
    assert many.calls <= 250


def test_answer_that_is_known_is_not_rendered(made: Made) -> None:
    request = webob.Request.blank(f'{ALL}/1', headers=ADMIN)
    tag = request.get_response(made[0]).headers['ETag']
    cost = ask(made, f'{ALL}/1', **{'If-None-Match': tag})
    assert len(cost.statements) == 1
    assert cost.calls <= 400


def change_metadata() -> webob.Request:
    request = webob.Request.blank(
        f'{ALL}/3/action', method='POST', headers=ADMIN
    )
    request.json = {'set_metadata': {'metadata': {'key0': 'changed'}}}
    return request


def test_set_metadata_reads_nothing_that_is_known(made: Made) -> None:
    cost = counting.cost(made[0], change_metadata())
    words = [statement.split()[0] for statement in cost.statements]
    assert words == ['BEGIN', 'UPDATE']
    assert cost.calls <= 1100


def test_set_metadata_reads_once_what_others_have_changed(made: Made) -> None:
    counting.send(made[0], change_metadata())
    with made[1].writer() as connection:
        stamps.renew(connection, 3)
    with counting.counting_statements() as statements:
        counting.send(made[0], change_metadata())
    words = [statement.split()[0] for statement in statements]
    assert words == ['BEGIN', 'UPDATE', 'SELECT', 'UPDATE']


def add_host(number: int) -> webob.Request:
    request = webob.Request.blank(
        f'{ALL}/{number}/action', method='POST', headers=ADMIN
    )
    request.json = {'add_host': {'host': f'free{number}'}}
    return request


def test_add_host_as_accepted(made: Made) -> None:
    """A look at the host, and one statement for each thing that is written."""
    bench.fill(made[1], 20)
    with counting.counting_statements() as statements:
        _body, [status, _headers] = counting.send(made[0], add_host(11))
    assert status == '200 OK'
    words = [statement.split()[0] for statement in statements]
    assert words[:2] == ['BEGIN', 'SELECT']
    locked, bound, stamped, queued, shown = words[3:]
    assert (words[2], locked, shown) == ('BEGIN', 'SELECT', 'SELECT')
    assert (bound, stamped, queued) == ('UPDATE', 'UPDATE', 'INSERT')
    fresh = iter(range(12, 20))
    calls = counting.least(
        lambda: counting.send(made[0], add_host(next(fresh)))
    )
    assert calls <= 2400
