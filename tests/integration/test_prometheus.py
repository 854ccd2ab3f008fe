"""The dashboard, and a Prometheus that asks real services.

What alerts there are when, ``test_alerts.py`` tries.
"""

import contextlib
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from aggregates_ext.metrics import families
from tests import databases
from tests import scraping
from tests.integration import documents
from tests.integration import processes
from tests.integration import prometheus
from tests.integration.test_alerts import RULES

ETC = documents.ROOT / 'etc' / 'aggregates_ext'
DASHBOARD = ETC / 'grafana-dashboard.json'
# What a variable of Grafana stands for here.
VARIABLES = {'$__rate_interval': '1m'}


class Query(NamedTuple):
    """What a panel of the dashboard asks."""

    panel: str
    expression: str


def queries() -> Iterator[Query]:
    """Every query of the dashboard."""
    for panel in json.loads(DASHBOARD.read_text())['panels']:
        for target in panel.get('targets', ()):
            expression = target['expr']
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield Query(panel['title'], expression)


def test_the_dashboard_is_whole() -> None:
    """Panels of their own places, of a Prometheus that is chosen there."""
    made = json.loads(DASHBOARD.read_text())
    panels = made['panels']
    assert len({panel['id'] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel['gridPos']
        cells = {
            (x, y)
            for x in range(place['x'], place['x'] + place['w'])
            for y in range(place['y'], place['y'] + place['h'])
        }
        assert not cells & taken, panel['title']
        assert max(x for x, _y in cells) < 24
        taken |= cells
        if panel['type'] != 'row':
            assert panel['datasource']['uid'] == '${datasource}'
            assert panel['targets']
    assert [v['name'] for v in made['templating']['list']] == ['datasource']


def test_alerts_and_dashboard_ask_for_what_there_is() -> None:
    """And the dashboard shows all of it, but a few."""
    there = {f.title for f in vars(families).values() if is_family(f)}
    told = [q.expression for q in queries()]
    shown = {name for text in told for name in names(text)}
    asked = {name for rule in RULES.values() for name in names(rule['expr'])}
    assert shown | asked <= there
    # One for each host is too much to be shown.
    alone = {'host_alarm', 'host_enabled', 'left_out'}
    left = {name.removeprefix('aggregates_ext_') for name in there - shown}
    assert left == alone


def is_family(found: object) -> bool:
    return isinstance(found, families.Family)


def names(expression: str) -> set[str]:
    """The families that an expression names."""
    return {
        re.sub('_(bucket|sum|count|total)$', '', name)
        for name in re.findall(r'aggregates_ext_\w+', expression)
    }


class Scraped(NamedTuple):
    """A site, and a Prometheus that asks its services."""

    site: processes.Site
    client: processes.Client
    server: prometheus.Prometheus
    ports: dict[str, str]


@contextlib.contextmanager
def watched(site: processes.Site) -> Iterator[Scraped]:
    """Services and Prometheus, configured as the document says."""
    ports = {port: str(databases.free_port()) for port in ('9774', '9775')}

    def filled(text: str) -> str:
        for old, new in ports.items():
            text = text.replace(old, new)
        return text

    options = filled(documents.block('metrics.rst', '[metrics]'))
    scrape = filled(documents.block('metrics.rst', 'scrape_configs:'))
    rules = documents.block('metrics.rst', 'rule_files:')
    site.config.write_text(f'{site.config.read_text()}{options}')
    site.set_up()
    directory = site.directory / 'prometheus'
    directory.mkdir()
    site.start_compute()
    client = site.start_api()
    brisk = 'global: {scrape_interval: 1s, evaluation_interval: 1s}\n'
    with prometheus.Prometheus(
        directory,
        brisk + rules.replace('/etc/aggregates_ext', str(ETC)) + scrape,
    ) as server:
        yield Scraped(site, client, server, ports)


@pytest.fixture
def scraped(make_site: Callable[..., processes.Site]) -> Iterator[Scraped]:
    """A site of five hosts that are in no pool."""
    with watched(make_site(5)) as made:
        yield made


def test_a_real_prometheus_is_told_all_of_it(scraped: Scraped) -> None:
    """A host goes down, a removal fails, and a join waits for its host."""
    site, client, server, ports = scraped
    key = client.make_pool('gold', ['xen1', 'xen2', 'xen3'])
    site.sim.add_sr('xen3', 'old', vdis=[{'name': 'old'}])
    client.remove(key, 'xen3')
    assert client.settle(key)['error']['code'] == 'DATA_LOSS'
    site.sim.power_off('xen2')
    site.sim.power_off('xen5')
    client.add(key, 'xen5')
    live = 'aggregates_ext_host_live{host="xen2"}'
    processes.wait_for(
        'Prometheus knows of the host', lambda: server.value(live) == 0
    )
    processes.wait_for(
        'Prometheus knows of the drift',
        lambda: server.query('aggregates_ext_drift{code="MEMBER_DEAD"}'),
    )
    failed = 'aggregates_ext_operations{kind="remove_host",state="failed"}'
    assert server.value(failed) == 1
    # Two of each are enough for a rate.
    processes.wait_for(
        'there are rates',
        lambda: server.value(
            'min(count_over_time(up{job=~"aggregates-ext-.+"}[1m])) > 2'
        ),
    )
    for query in queries():
        assert server.query(query.expression), query
    due = {
        ('AggregatesExtOperationFailed', 'firing'),
        ('AggregatesExtHostNotLive', 'pending'),
    }
    processes.wait_for(
        'alerts are raised',
        lambda: (
            due
            <= {
                (alert['labels']['alertname'], alert['state'])
                for alert in server.ask('alerts')['alerts']
            }
        ),
    )
    told = server.ask('rules')
    for rule in (r for group in told['groups'] for r in group['rules']):
        assert rule['health'] == 'ok', rule
        for alert in rule['alerts']:
            text = json.dumps(alert['annotations'])
            assert 'error expanding template' not in text
            assert '<no value>' not in text
    asked = documents.block('metrics.rst', 'curl -s').strip()
    asked = asked.replace('9775', ports['9775'])
    page = subprocess.run(
        shlex.split(asked), capture_output=True, text=True, check=True
    ).stdout
    assert 'aggregates_ext_up 1.0' in page
    assert processes.PASSWORD not in page


def test_every_service_tells_the_same_of_the_database(
    scraped: Scraped,
) -> None:
    """Two of them; and who watches the API hears that none is left."""
    site, client, server, ports = scraped
    client.make_pool('gold', ['xen1'])
    first, spare = site.processes[0], str(databases.free_port())
    site.configure(ports['9775'], spare)
    site.start_compute()
    alive = 'aggregates_ext_compute_services{state="alive"}'
    processes.wait_for(
        'two services are alive',
        lambda: [x['value'][1] for x in server.query(alive)] == ['2', '2'],
    )
    pages = [scraping.ask(int(port)) for port in (ports['9775'], spare)]
    for name in ('hosts', 'host_live', 'host_phase', 'operations', 'drift'):
        assert pages[0].of(name) == pages[1].of(name)
    first.terminate()
    site.processes[-1].terminate()
    by_api = f'{alive[:-1]},job="aggregates-ext-api"}}'
    processes.wait_for(
        'no service is alive', lambda: server.value(by_api) == 0
    )


def test_a_database_that_goes_away_is_told(
    make_site: Callable[..., processes.Site], servers: databases.Servers
) -> None:
    """Each service goes on to tell of itself."""
    database = servers.get('mariadb')
    patient = '?read_timeout=2&write_timeout=2&connect_timeout=2'
    site = make_site(1, connection=database.new() + patient)
    with watched(site) as (_site, client, server, _ports):
        client.make_pool('gold', ['xen1'])
        processes.wait_for(
            'it is there', lambda: server.value('min(aggregates_ext_up)') == 1
        )
        database.kill()
        try:
            processes.wait_for(
                'it is away',
                lambda: server.value('max(aggregates_ext_up)') == 0,
            )
            assert server.query('aggregates_ext_hosts') == []
            assert server.query('aggregates_ext_pools_at_work')
            scraped = 'min(up{job=~"aggregates-ext-.+"})'
            assert server.value(scraped) == 1
        finally:
            database.start()
        processes.wait_for(
            'it is back', lambda: server.value('min(aggregates_ext_up)') == 1
        )
