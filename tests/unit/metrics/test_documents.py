"""The document has every number, with its kind and its labels."""

import pathlib
import re

from prometheus_client import registry

from aggregates_ext.metrics import collector
from aggregates_ext.metrics import families
from aggregates_ext.metrics import process
from aggregates_ext.metrics import work

DOCUMENT = pathlib.Path(__file__).parents[3] / 'doc/source/metrics.rst'
ROW = re.compile(
    r'   \* - ``(\w+)``\n     - (\w+)\n     -(.*)\n     - (?:.+)\n'
)
NOT_GAUGES = {
    families.OPERATION_SECONDS: 'histogram',
    families.STEP_SECONDS: 'histogram',
    families.XENAPI_SECONDS: 'histogram',
    families.REQUEST_SECONDS: 'histogram',
    families.LEASES_LOST: 'counter',
    families.MOVES_ENDED: 'counter',
    families.RELEASE: 'info',
}


def test_the_table_is_what_there_is() -> None:
    told = {
        (name, kind, tuple(re.findall(r'``(\w+)``', labels)))
        for name, kind, labels in ROW.findall(DOCUMENT.read_text())
    }
    assert told == {
        (family.name, NOT_GAUGES.get(family, 'gauge'), family.labels)
        for family in vars(families).values()
        if isinstance(family, families.Family)
    }


def test_what_is_told_of_the_limits_is_so() -> None:
    text = DOCUMENT.read_text()
    assert f'at most {work.MOST_STEPS} of them' in text.replace(
        'the most', 'most'
    )
    assert f'{families.LONGEST} characters' in text
    assert collector.LIMIT == 5
    assert 'within five seconds' in text


def test_names_are_those_of_prometheus() -> None:
    """No two of them, and none that its text format would change."""
    made: registry.CollectorRegistry = process.make_registry()
    names = {name for name in made._names_to_collectors if 'aggr' in name}
    assert names == {'aggregates_ext', 'aggregates_ext_info'}
