"""A proxy's headers count where that is configured, and cost nothing else."""

from typing import Any

import pytest
import webob

from aggregates_ext.api.edge import proxied


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response('200 OK', [])
    return [environ['wsgi.url_scheme'].encode()]


@pytest.mark.parametrize(
    ('wanted', 'scheme'), [('true', 'https'), ('false', 'http')]
)
def test_headers_count_where_they_are_to(wanted: str, scheme: str) -> None:
    options = {'oslo_config_project': 'none-of-that-name'}
    options['enable_proxy_headers_parsing'] = wanted
    made = proxied.filter_factory({}, **options)(application)
    asked = webob.Request.blank('/', headers={'X-Forwarded-Proto': 'https'})
    assert asked.get_response(made).text == scheme


def test_without_configuration_nothing_is_in_between() -> None:
    options = {'oslo_config_project': 'none-of-that-name'}
    made = proxied.filter_factory({}, **options)(application)
    assert made is application
