"""What a client makes up becomes no label."""

from typing import Any

import prometheus_client
import pytest
import webob

from aggregates_ext.api import app
from aggregates_ext.api.edge import routing
from aggregates_ext.metrics import families
from aggregates_ext.metrics import process
from aggregates_ext.metrics import requests

ONE = '/os-aggregates/{aggregate_id}'


class Counted:
    """An application that answers with what it is told."""

    def __init__(self) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        self.answer: Any = webob.Response(status=200)
        table = app.routes(app.catalogue(embedded=False), embedded=False)
        self.measured = requests.Measured(
            lambda environ, start: self.answer(environ, start),
            routing.Router(table),
            process.histogram(families.REQUEST_SECONDS, self.registry, (1,)),
        )

    def labels(self) -> list[tuple[str, str, str]]:
        """Route, method and status of what was counted."""
        return [
            (s.labels['route'], s.labels['method'], s.labels['status'])
            for family in self.registry.collect()
            for s in family.samples
            if s.name.endswith('_count')
        ]


@pytest.mark.parametrize(
    ('script', 'path', 'route'),
    [
        ('', '/v2.1/os-aggregates/1', ONE),
        ('/v2.1', '/os-aggregates/1', ONE),
        ('/compute/v2.1', '/os-aggregates/1', ONE),
        ('', '/v2.1/abc/os-aggregates/1', ONE),
        ('', '/v1.1/abc/os-aggregates/1.xml', ONE),
        ('', '/v2.1/os-aggregates/1/action', f'{ONE}/action'),
        ('', '/v2.1/os-aggregates/1/made-up', 'other'),
        ('', '/', 'other'),
        ('', '', 'other'),
        ('', '/\xff"}\n', 'other'),
        ('', '/v2.1/' + 'x' * 5000, 'other'),
        ('/healthcheck', '', 'other'),
    ],
)
def test_a_path_is_told_by_its_route(
    script: str, path: str, route: str
) -> None:
    counted = Counted()
    environ = webob.Request.blank('/').environ
    environ |= {'SCRIPT_NAME': script, 'PATH_INFO': path}
    list(counted.measured(environ, lambda *_args: None))
    assert counted.labels() == [(route, 'GET', '2xx')]


def test_a_method_that_nobody_knows_is_no_label() -> None:
    counted = Counted()
    webob.Request.blank('/', method='X' * 300).get_response(counted.measured)
    assert counted.labels() == [('other', 'other', '2xx')]


def test_what_raises_is_counted_and_raised() -> None:
    counted = Counted()

    def fail(_environ: Any, _start: Any) -> Any:
        raise ZeroDivisionError

    counted.answer = fail
    with pytest.raises(ZeroDivisionError):
        webob.Request.blank('/').get_response(counted.measured)
    assert counted.labels() == [('other', 'GET', '5xx')]
