"""Numbers as Prometheus reads them: over HTTP, by its own parser."""

import contextlib
import http.client
from typing import NamedTuple

from prometheus_client import parser

PREFIX = 'aggregates_ext_'
# How the text of one family of a kind ends, beside its name.
ENDS = {'histogram': ('_bucket', '_sum', '_count', '_created')}


class Page(NamedTuple):
    """What a service told.

    :ivar text: as it came.
    :ivar series: name and labels, in their order -> value.
    :ivar kinds: name of a family -> what kind it is.
    """

    status: int
    text: str
    series: dict[tuple[str, tuple[tuple[str, str], ...]], float]
    kinds: dict[str, str]

    def value(self, name: str, **labels: str) -> float | None:
        """The value of one series; None: there is none."""
        key = (f'{PREFIX}{name}', tuple(sorted(labels.items())))
        return self.series.get(key)

    def of(self, name: str) -> dict[tuple[tuple[str, str], ...], float]:
        """All series of a name, by their labels."""
        return {
            labels: value
            for (found, labels), value in self.series.items()
            if found == f'{PREFIX}{name}'
        }

    def labels(self, name: str, label: str) -> set[str]:
        """The values that a label has in a family."""
        return {dict(labels)[label] for labels in self.of(name)}


def ask(port: int, path: str = '/metrics', method: str = 'GET') -> Page:
    """What is served on a port of loopback."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path)
        response = connection.getresponse()
        text = response.read().decode()
    if response.status != 200:
        return Page(response.status, text, {}, {})
    families = list(parser.text_string_to_metric_families(text))
    return Page(
        response.status,
        text,
        {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        },
        {family.name: family.type for family in families},
    )
