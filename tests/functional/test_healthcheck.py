"""/healthcheck asks the database, and never for long."""

import contextlib
import pathlib
import socket
import sqlite3
import threading
from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures

import pytest
import webob
from paste import deploy as paste_deploy

from aggregates_ext import healthcheck
from aggregates_ext.db import services
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import migration
from tests import databases
from tests import schemas

PASTE = pathlib.Path(__file__).parents[2] / 'etc/aggregates_ext/api-paste.ini'
Ask = Callable[..., webob.Response]


@pytest.fixture
def load(tmp_path: pathlib.Path) -> Callable[..., Ask]:
    """Makes the healthcheck of the Paste file, for a database's URL."""

    def make(url: str, options: str = '') -> Ask:
        configuration = tmp_path / 'aggregates_ext.conf'
        configuration.write_text(f'[database]\nconnection = {url}\n')
        paste = tmp_path / 'paste.ini'
        section = '[app:healthcheck]\n'
        text = PASTE.read_text()
        assert section in text
        paste.write_text(
            text.replace(
                section, f'{section}{options}config_file = {configuration}\n'
            )
        )
        application = paste_deploy.loadapp(f'config:{paste}', 'healthcheck')

        def ask(**wanted: str) -> webob.Response:
            request = webob.Request.blank('/healthcheck', **wanted)
            return request.get_response(application)

        return ask

    return make


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a database that accepts connections and says nothing."""
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
        yield f'mysql+pymysql://nobody@127.0.0.1:{port}/none'


def test_a_database_that_answers_is_healthy(
    load: Callable[[str], Ask], tmp_path: pathlib.Path
) -> None:
    """From when it has a schema; and no longer when it is gone."""
    url = f'sqlite:///{tmp_path}/db.sqlite'
    ask = load(url)
    answer = ask()
    assert (answer.status_int, answer.text) == (503, healthcheck.EMPTY)
    conf = databases.configure(url)
    database = engine.Database(conf)
    migration.upgrade(database)
    database.write(lambda c: services.beat(c, 'u1', 'ctl1', 30.0))
    database.dispose()
    assert (ask().status_int, ask().text) == (200, 'OK')
    assert ask(method='HEAD').status_int == 204
    assert ask(accept='application/json').json['reasons'] == ['OK']


@pytest.mark.parametrize(
    ('lifetime', 'told'),
    [(30.0, '1 compute service(s) alive, on ctl1.'), (-1.0, 'has looked')],
)
def test_details_tell_who_does_the_work(
    load: Callable[..., Ask],
    database: engine.Database,
    lifetime: float,
    told: str,
) -> None:
    """What is no reason to send requests to another API."""
    database.write(lambda c: services.beat(c, 'u1', 'ctl1', lifetime))
    url = database.engine.url.render_as_string(hide_password=False)
    ask = load(url, 'detailed = true\n')
    answer = ask(accept='application/json')
    assert answer.status_int == 200
    (reason,) = answer.json['reasons']
    assert reason['reason'] == 'OK'
    assert told in reason['details']


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        ('ALTER TABLE hosts DROP COLUMN alarm', 'not that of this release'),
        ('DROP TABLE operations', 'not that of this release'),
        ("UPDATE aggregates_ext_version SET version_num = '0001'", 'OK'),
        (
            "UPDATE aggregates_ext_version SET version_num = '0001';"
            'DROP TABLE operations',
            'The schema is 0001, this release needs',
        ),
        (
            "UPDATE aggregates_ext_version SET version_num = '9999';"
            'DROP TABLE operations',
            'The schema is 9999, which this release does not know',
        ),
        ('DROP TABLE aggregates_ext_version', 'no schema'),
    ],
)
def test_what_every_request_would_meet_is_told(
    load: Callable[[str], Ask], tmp_path: pathlib.Path, change: str, told: str
) -> None:
    """A schema of another release will do while it has all that is read."""
    file = tmp_path / 'db.sqlite'
    conf = databases.configure(f'sqlite:///{file}')
    database = engine.Database(conf)
    schemas.upgrade(database)
    database.dispose()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.executescript(change)
    answer = load(f'sqlite:///{file}')()
    assert told in answer.text
    assert answer.status_int == (200 if told == 'OK' else 503)


@pytest.mark.parametrize('text', ['a: [', '- a', '\udcff'])
def test_a_policy_file_that_cannot_be_read_is_told(
    load: Callable[[str], Ask], tmp_path: pathlib.Path, text: str
) -> None:
    """Every request would be refused with 503."""
    url = f'sqlite:///{tmp_path}/db.sqlite'
    conf = databases.configure(url)
    database = engine.Database(conf)
    schemas.upgrade(database)
    database.dispose()
    ask = load(url)
    path = tmp_path / 'policy.yaml'
    path.write_text(text, errors='surrogateescape')
    assert (ask().status_int, 'policy file' in ask().text) == (503, True)
    path.unlink()
    assert ask().status_int == 200


def test_no_database_is_told(load: Callable[[str], Ask]) -> None:
    answer = load('sqlite:////nowhere/at/all.sqlite')()
    assert answer.status_int == 503
    assert 'There is no database' in answer.text
    assert 'nowhere' not in answer.text


def test_a_silent_database_does_not_hold_the_answer(
    load: Callable[[str], Ask],
    silent: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor a thread for each of those who ask."""
    monkeypatch.setattr(healthcheck, 'LIMIT', 0.1)
    ask = load(silent + '?connect_timeout=2')
    with futures.ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: ask(), range(8)))
        looking = [t for t in threading.enumerate() if t.name == 'healthcheck']
    assert {answer.status_int for answer in answers} == {503}
    assert {answer.text for answer in answers} == {healthcheck.SILENT}
    assert len(looking) == 1
    looking[0].join()
