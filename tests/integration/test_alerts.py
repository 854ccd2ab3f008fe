"""The alerts for Prometheus: promtool says which fire, and when none does."""

import pathlib
import re
from typing import Any

import pytest
import yaml

from aggregates_ext.cmd.commands import health
from tests.integration import documents
from tests.integration import prometheus

ALERTS = documents.ROOT / 'etc/aggregates_ext/prometheus-alerts.yaml'
RULES: dict[str, dict[str, Any]] = {
    rule['alert']: rule
    for group in yaml.safe_load(ALERTS.read_text())['groups']
    for rule in group['rules']
}
# Series with their values, in promtool's words; None: there are none.
Series = dict[str, str | None]


def series(name: str, **labels: str) -> str:
    """One series, as promtool takes it."""
    told = ','.join(f'{label}="{value}"' for label, value in labels.items())
    return f'{name}{{{told}}}'


JOB = {'job': 'aggregates-ext-compute', 'instance': 'a:1'}
# A second service says the same of what is in the database.
SERVICES = (JOB, {**JOB, 'instance': 'b:1'})
HOST = {'aggregate_id': '1', 'host': 'xen1', 'uuid': 'u1'}
POOL = {'aggregate_id': '1', 'aggregate': 'gold'}
KIND = {'kind': 'add_host'}
ROUTE = {'route': '/os-aggregates', 'method': 'GET'}


def told(name: str, values: str, **labels: str) -> Series:
    """Series that each service tells."""
    return {
        series(f'aggregates_ext_{name}', **service, **labels): values
        for service in SERVICES
    }


def phase(name: str, maintenance: str = 'off') -> Series:
    """In which phase the host is."""
    about = {**HOST, 'phase': name, 'maintenance': maintenance}
    return told('host_phase', '1x90', **about)


def drifted(code: str, values: str = '1x90') -> Series:
    """The pool differs."""
    return told('pool_drift', values, **POOL, code=code)


def counted(state: str) -> Series:
    """Operations that count."""
    return told('operations', '2x90', **KIND, state=state)


def answered(status: str, values: str) -> Series:
    """Requests of the API."""
    api = {'job': 'aggregates-ext-api', 'instance': 'a:2'}
    name = 'aggregates_ext_request_seconds_count'
    return {series(name, **api, **ROUTE, status=status): values}


DOWN = told('host_live', '0x90', **HOST)
UP = series('up', **JOB)
TELLS = series('aggregates_ext_up', **JOB)
NOBODY = told('compute_services', '0x90', state='alive')
LOST = series('aggregates_ext_leases_lost_total', **JOB)
OUTAGE = {**JOB, 'result': 'halted'}
HALTED = series('aggregates_ext_moves_ended_total', **OUTAGE)
WELL: Series = {
    UP: '1x90',
    TELLS: '1x90',
    LOST: '0x90',
    HALTED: '0x90',
    series(
        'aggregates_ext_moves_ended_total', **JOB, result='failed'
    ): '0+1x90',
    **told('moves', '3x90', state='sent'),
    **told('moves', '0x90', state='unresolved'),
    **told('compute_services', '1x90', state='alive'),
    **told('compute_services', '1x90', state='dead'),
    **told('operations', '1x90', **KIND, state='running'),
    **told('operation_oldest_seconds', '86400x90', kind='rolling_reboot'),
    **told('notifications_waiting', '3x90'),
    **told('notification_oldest_seconds', '1x90'),
    **told('left_out', '0x90', what='hosts'),
    **told('host_live', '1x90', **HOST),
    **told('host_alarm', '0x90', **HOST),
    **told('pool_look_age_seconds', '60x90', **POOL),
    **phase('member'),
    **answered('2xx', '0+600x90'),
}
# Alert -> what is otherwise, and the labels with which it fires: once, however
# many services tell it.
FIRES: dict[str, tuple[Series, dict[str, str]]] = {
    'TargetDown': ({UP: '0x90'}, JOB),
    'NoNumbers': ({TELLS: None}, {}),
    'DatabaseAway': ({TELLS: '0x90'}, JOB),
    'NoComputeService': (NOBODY, {}),
    'LeaseLost': ({LOST: '0x58 1x32'}, JOB),
    'HostNotLive': (DOWN, HOST),
    'HostAlarm': (told('host_alarm', '1x90', **HOST), HOST),
    'PoolWithoutMaster': (
        drifted('NO_MASTER'),
        {**POOL, 'code': 'NO_MASTER'},
    ),
    'PoolWithTwoMasters': (
        drifted('TWO_MASTERS'),
        {**POOL, 'code': 'TWO_MASTERS'},
    ),
    'PoolUncertain': (
        drifted('FOREIGN_MARK'),
        {**POOL, 'code': 'FOREIGN_MARK'},
    ),
    'PoolDrifted': (drifted('LABEL'), {**POOL, 'code': 'LABEL'}),
    'LookTooOld': (told('pool_look_age_seconds', '901x90', **POOL), POOL),
    'OperationUnresolved': (
        counted('unresolved'),
        {**KIND, 'state': 'unresolved'},
    ),
    'MoveUnresolved': (
        told('moves', '2x90', state='unresolved'),
        {'state': 'unresolved'},
    ),
    'GuestHalted': ({HALTED: '0x58 1x32'}, OUTAGE),
    'OperationFailed': (counted('failed'), {**KIND, 'state': 'failed'}),
    'OperationOld': (
        told('operation_oldest_seconds', '14000+60x90', **KIND),
        KIND,
    ),
    'NotificationsWait': (
        told('notification_oldest_seconds', '580+60x90'),
        {},
    ),
    'ApiErrors': (answered('5xx', '0+12x90'), ROUTE),
    'LeftOut': (told('left_out', '3x90', what='hosts'), {'what': 'hosts'}),
}
# What nobody is to be woken for.
GONE = dict.fromkeys(phase('member'))
SILENT: dict[str, Series] = {
    'nothing is wrong': {},
    'a host is down in its maintenance': {
        **DOWN,
        **GONE,
        **phase('member', 'on'),
    },
    'a host is on its way back': {**DOWN, **GONE, **phase('returning')},
    'a lease was lost long ago': {LOST: '0x5 1x85'},
    'a guest was halted before the service began': {HALTED: '1x90'},
    'a drift has passed': drifted('LABEL', '1x20'),
    'a host that is dead tells it itself': drifted('MEMBER_DEAD'),
    'a host was away for a moment': told('host_live', '1x56 0x2 1x30', **HOST),
    'nothing is told on the bus': {
        name: None
        for of in ('notifications_waiting', 'notification_oldest_seconds')
        for name in told(of, '')
    },
    'a message waited for a moment': told(
        'notification_oldest_seconds', '0x50 60+60x6 0x30'
    ),
    'an error of the API now and then': answered('5xx', '0+1x90'),
}
# In minutes: when it is looked, and before anything can have lasted.
LATE, EARLY = 60, 0


def check(
    directory: pathlib.Path,
    changed: Series,
    firing: dict[str, dict[str, str]],
    at: int = LATE,
) -> None:
    """Let promtool say that these alerts fire, and no others.

    :param changed: series that are other than well.
    :param firing: alert -> its labels, but for those of its rule.
    """
    samples = [
        {
            'labels': series(
                'ALERTS',
                alertname=name,
                alertstate='firing',
                **RULES[name]['labels'],
                **labels,
            ),
            'value': 1,
        }
        for name, labels in firing.items()
    ]
    test = {
        'interval': '1m',
        'input_series': [
            {'series': name, 'values': values}
            for name, values in {**WELL, **changed}.items()
            if values is not None
        ],
        'promql_expr_test': [
            {
                'expr': 'ALERTS{alertstate="firing"}',
                'eval_time': f'{at}m',
                'exp_samples': samples,
            }
        ],
    }
    file = directory / 'alerts.yaml'
    file.write_text(
        yaml.safe_dump({'rule_files': [str(ALERTS)], 'tests': [test]})
    )
    prometheus.promtool('test', 'rules', file)


def test_promtool_takes_the_alerts() -> None:
    told = prometheus.promtool('check', 'rules', ALERTS)
    assert f'{len(RULES)} rules found' in told


def test_every_alert_is_tried_and_told() -> None:
    assert {f'AggregatesExt{name}' for name in FIRES} == set(RULES)
    text = documents.read('metrics.rst')
    told = re.findall('``(AggregatesExt\\w+)`` +(warning|critical)', text)
    assert dict(told) == {
        name: rule['labels']['severity'] for name, rule in RULES.items()
    }


@pytest.mark.parametrize('name', FIRES)
def test_an_alert_fires(tmp_path: pathlib.Path, name: str) -> None:
    """Not for a moment, where it is to last."""
    changed, labels = FIRES[name]
    alert = f'AggregatesExt{name}'
    check(tmp_path, changed, {alert: labels})
    if 'for' in RULES[alert]:
        check(tmp_path, changed, {}, EARLY)


@pytest.mark.parametrize('code', sorted(health.GRAVE - {'MEMBER_DEAD'}))
def test_what_status_calls_critical_is_critical(
    tmp_path: pathlib.Path, code: str
) -> None:
    names = {
        'NO_MASTER': 'PoolWithoutMaster',
        'TWO_MASTERS': 'PoolWithTwoMasters',
    }
    alert = f'AggregatesExt{names.get(code, "PoolUncertain")}'
    assert RULES[alert]['labels']['severity'] == 'critical'
    check(tmp_path, drifted(code), {alert: {**POOL, 'code': code}})


@pytest.mark.parametrize('what', SILENT)
def test_nobody_is_woken(tmp_path: pathlib.Path, what: str) -> None:
    check(tmp_path, SILENT[what], {})


def test_hosts_give_no_alarm_while_nobody_looks(
    tmp_path: pathlib.Path,
) -> None:
    """None was seen lately then; what is wrong is told once."""
    check(tmp_path, {**DOWN, **NOBODY}, {'AggregatesExtNoComputeService': {}})
