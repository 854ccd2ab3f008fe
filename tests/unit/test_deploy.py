"""The Paste file and its entry points."""

import importlib.metadata
import pathlib
import sqlite3
from collections.abc import Iterable
from typing import Any

import pytest
import webob
from oslo_config import cfg
from paste import deploy as paste_deploy

from aggregates_ext import conf as settings
from aggregates_ext import deploy
from aggregates_ext import exception
from aggregates_ext.api.edge import identity

PASTE = pathlib.Path(__file__).parents[2] / 'etc/aggregates_ext/api-paste.ini'


@pytest.fixture
def global_conf(tmp_path: pathlib.Path) -> Iterable[cfg.ConfigOpts]:
    """The global configuration, as the commands set it up."""
    path = tmp_path / 'aggregates_ext.conf'
    path.write_text(
        '[api]\nauth_strategy = noauth\n'
        f'paste_config = {PASTE}\n'
        f'[database]\nconnection = sqlite:///{tmp_path}/db.sqlite\n'
        '[keystone_authtoken]\nwww_authenticate_uri = http://127.0.0.1/\n'
    )
    settings.parse(cfg.CONF, [], [str(path)])
    yield cfg.CONF
    cfg.CONF.reset()


@pytest.mark.parametrize(
    'group',
    [
        'paste.app_factory',
        'paste.composite_factory',
        'paste.filter_factory',
    ],
)
def test_entry_points_load(group: str) -> None:
    points = importlib.metadata.entry_points(group=group)
    ours = [point for point in points if 'aggregates_ext' in point.value]
    assert ours
    for point in ours:
        assert callable(point.load())


def test_pipelines_serve(global_conf: cfg.ConfigOpts) -> None:
    application = deploy.load(global_conf)
    answer = webob.Request.blank('/v2.1/').get_response(application)
    assert answer.json['version']['id'] == 'v2.1'
    answer = webob.Request.blank('/healthcheck').get_response(application)
    # The database has no schema.
    assert answer.status_int == 503
    assert 'db sync' in answer.text
    answer = webob.Request.blank('/v2.1/extensions').get_response(application)
    assert answer.json['extensions'][0]['alias'] == 'os-aggregates'
    headers = answer.headers
    assert headers.getall('x-openstack-request-id') == [
        headers['x-compute-request-id']
    ]


def test_pipeline_without_keystone_lets_clients_of_2012_log_in(
    global_conf: cfg.ConfigOpts,
) -> None:
    application = deploy.load(global_conf)
    request = webob.Request.blank('/v1.1/')
    request.headers['X-Auth-User'] = 'joe'
    request.headers['X-Auth-Project-Id'] = 'demo'
    answer = request.get_response(application)
    assert answer.status_int == 204
    url = answer.headers['X-Server-Management-Url']
    assert url == 'http://localhost/v1.1/demo'


def test_pipeline_with_keystone_asks_for_a_token(
    global_conf: cfg.ConfigOpts,
) -> None:
    global_conf.set_override('auth_strategy', 'keystone', 'api')
    application = deploy.load(global_conf)
    answer = webob.Request.blank('/v2.1').get_response(application)
    assert answer.status_int == 200
    request = webob.Request.blank('/v2.1/extensions')
    request.headers['X-Roles'] = 'admin'
    assert request.get_response(application).status_int == 401


def test_a_missing_paste_file_is_named(conf: cfg.ConfigOpts) -> None:
    conf.set_override('paste_config', 'no-such.ini', 'api')
    with pytest.raises(exception.Unavailable, match=r'no-such\.ini'):
        deploy.load(conf)


def test_an_unknown_face_is_refused(conf: cfg.ConfigOpts) -> None:
    with pytest.raises(exception.Invalid, match='legacy, modern, auto'):
        deploy.build(conf, 'new')


def test_filter_reads_a_configuration_of_its_own(
    tmp_path: pathlib.Path,
) -> None:
    ours = tmp_path / 'ours.conf'
    ours.write_text(
        f'[database]\nconnection = sqlite:///{tmp_path}/ours.sqlite\n'
    )
    paste = tmp_path / 'paste.ini'
    paste.write_text(
        '[pipeline:main]\npipeline = noauth aggregates other\n'
        '[filter:noauth]\nuse = egg:aggregates_ext#noauth\n'
        '[filter:aggregates]\nuse = egg:aggregates_ext#aggregates\n'
        f'config_file = {ours}\nface = modern\n'
        '[app:other]\npaste.app_factory = tests.unit.test_deploy:other\n'
    )
    before = sorted(map(str, cfg.CONF))
    application = paste_deploy.loadapp(f'config:{paste}')
    assert sorted(map(str, cfg.CONF)) == before
    answer = webob.Request.blank('/servers').get_response(application)
    assert answer.body == b'other'
    sqlite3.connect(tmp_path / 'ours.sqlite').close()
    answer = webob.Request.blank('/os-aggregates').get_response(application)
    # Ours, which has no tables yet.
    assert answer.status_int == 503
    assert 'db sync' in answer.text


def test_without_a_database_the_next_application_is_served(
    tmp_path: pathlib.Path,
) -> None:
    conf = cfg.ConfigOpts()
    ours = tmp_path / 'ours.conf'
    ours.write_text('[database]\n')
    settings.parse(conf, [], [str(ours)])
    application = deploy.build(conf, next_application=other({}))
    answer = webob.Request.blank('/v2.1/servers').get_response(application)
    assert answer.body == b'other'
    request = webob.Request.blank('/v2.1/os-aggregates')
    request.environ[identity.NOAUTH] = ('user', 'project')
    answer = request.get_response(application)
    assert answer.status_int == 503
    assert 'set [database] connection' in answer.text


def other(global_conf: dict[str, str]) -> Any:
    """The application behind the filter."""
    return webob.Response(body=b'other')
