"""aggregates-ext-manage status: what it shows, and what it ends with."""

import datetime
import json
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from oslo_utils import timeutils
from oslo_utils import uuidutils

from aggregates_ext.cmd import manage
from aggregates_ext.cmd.commands import health
from aggregates_ext.cmd.commands import picture
from aggregates_ext.cmd.commands import status
from aggregates_ext.db import leases
from aggregates_ext.db import moves as db_moves
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine
from aggregates_ext.db.schema import models
from tests.functional import service
from tests.integration import documents

ODD = 'r \x1b[31m[red]x[/red] :smile: \u202e[fd00::11]\x07'
REASON = 'It is so.\nAnd ' + 'that ' * 60 + 'is why.'
# Seconds for what a process does at once.
SOON = 180.0


class Site:
    """A pool of xen1 and xen2 that is well, and the command."""

    def __init__(
        self,
        running: service.Service,
        config: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.running = running
        self.config = config
        self._capsys = capsys
        self.key = running.create('xen1', 'xen2')

    def run(self, *options: str) -> tuple[int, str]:
        """The exit code, and what is printed."""
        self._capsys.readouterr()
        code = manage.main(['--config-file', self.config, 'status', *options])
        return code, self._capsys.readouterr().out

    def json(self) -> Any:
        code, out = self.run('--json')
        told = json.loads(out)
        assert told['code'] == code
        return told

    def execute(self, *statements: str) -> None:
        with self.running.database.writer() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def drift(self, *codes: str) -> None:
        """It is seen to differ, since a quarter of an hour."""
        seen = self.running.aggregates.get(self.key).observation
        with self.running.database.writer() as connection:
            now = engine.read_clock(connection)
            entries = [
                records.Drift(code, REASON, 'xen2', 'u2', now - 900)
                for code in codes
            ]
            at = (seen or {})['seen_at']
            db_pools.set_observation(connection, self.key, seen, entries, at)

    def operation(self, state: str, **values: Any) -> str:
        """An operation that has come into a state."""
        uuid = f'11111111-2222-4333-8444-{len(state):012}'
        with self.running.database.writer() as connection:
            made = db_operations.insert(
                connection, uuid, 'add_host', self.key, 'xen3', {}
            )
            db_operations.update(
                connection, made.id, {'state': state, **values}
            )
        return uuid

    def move(self, state: str) -> None:
        """A guest of xen2 is on its way, or was."""
        known = records.Guest(
            id=1,
            uuid=MOVE,
            name='web',
            aggregate_id=self.key,
            host='xen2',
            host_uuid=None,
            zone=None,
            power_state='Running',
            memory=1,
            vcpus=1,
            operation=None,
            first_seen=0.0,
            changed_at=0.0,
        )
        with self.running.database.writer() as connection:
            made = db_moves.insert(connection, MOVE, known, {})
            values = {'state': state, 'error': ERROR}
            db_moves.update(connection, made, values)

    def hold(self, ttl: float) -> None:
        """A compute service works on it, or did."""
        with self.running.database.writer() as connection:
            assert leases.claim(connection, self.key, 'somebody', ttl)


@pytest.fixture
def site(
    running: service.Service, config: str, capsys: pytest.CaptureFixture[str]
) -> Site:
    return Site(running, config, capsys)


def wait(site: Site, *ages: float) -> None:
    """Messages that have waited for some seconds."""
    now = timeutils.utcnow()
    with site.running.database.writer() as connection:
        for age in ages:
            connection.execute(
                sa.insert(models.notifications).values(
                    uuid=uuidutils.generate_uuid(),
                    object='aggregate',
                    action='create',
                    machine='here',
                    created_at=now - datetime.timedelta(seconds=age),
                )
            )


@pytest.mark.parametrize(
    ('ages', 'code', 'words'),
    [
        ((), 0, ''),
        ((10, 200), 0, 'notifications: 2 to be told, the oldest for 3 min'),
        ((10, 1000), 1, 'NOTIFICATIONS_WAIT  2 notifications wait, the'),
    ],
)
def test_messages_that_wait_are_told_where_there_are_to_be_any(
    site: Site, ages: tuple[float, ...], code: int, words: str
) -> None:
    wait(site, *ages)
    # Where nothing is told on the bus, nobody counts what was left of it.
    told = site.json()
    assert (told['code'], told['notifications']) == (0, None)
    assert 'otification' not in site.run()[1]
    with open(site.config, 'a') as file:
        file.write('\n[notifications]\nenabled = true\n')
    told = site.json()
    assert told['code'] == code
    assert told['notifications']['waiting'] == len(ages)
    assert (told['notifications']['since'] is None) == (not ages)
    codes = [finding['code'] for finding in told['findings']]
    assert codes == ['NOTIFICATIONS_WAIT'] * code
    ended, out = site.run()
    assert ended == code
    assert words in out


def test_what_is_well_ends_with_0(site: Site) -> None:
    code, out = site.run()
    assert code == 0
    first, services, pool = out.splitlines()
    assert first == 'OK: 1 pool, 0 critical, 0 with a warning'
    assert services.endswith(' compute services: here')
    assert re.search(
        r'OK  pool \(1\)  active  2 member  master xen1  looked at \d+ s ago$',
        pool,
    )
    told = site.json()
    assert (told['status'], told['findings']) == ('ok', [])
    assert told['compute_services'] == ['here']
    [shown] = told['pools']
    assert (shown['aggregate'], shown['status']) == (1, 'ok')
    assert shown['phases']['member'] == 2
    assert shown['hosts'][1] == {
        'name': 'xen2',
        'phase': 'member',
        'maintenance': 'off',
        'live': True,
        'enabled': True,
    }
    assert shown['wrong_since'] is None


STALE = (
    'UPDATE aggregates SET observed_at = observed_at - 1000',
    'UPDATE hosts SET phase_since = phase_since - 1000',
)
ALARM = "UPDATE hosts SET alarm = 'It is not back.' WHERE name = 'xen2'"
MOVE = '5c1de2a8-0c5e-4d2e-9d0b-2f7f3f6f8f11'
DEAD = 'UPDATE services SET alive_until = seen_at - 1'
ERROR = {'code': 'LICENCE_RESTRICTION', 'message': REASON}
# What is wrong, how it is called, and how bad it is.
WRONG: dict[str, tuple[Callable[[Site], object], str, int]] = {
    'drift': (lambda s: s.drift('LABEL'), 'LABEL', 1),
    'grave drift': (lambda s: s.drift('MEMBER_DEAD'), 'MEMBER_DEAD', 2),
    'no master': (lambda s: s.drift('NO_MASTER'), 'NO_MASTER', 2),
    'failure': (
        lambda s: s.operation('failed', error=ERROR),
        'LICENCE_RESTRICTION',
        1,
    ),
    'failure without a reason': (
        lambda s: s.operation('failed'),
        'FAILED',
        1,
    ),
    'unresolved': (
        lambda s: s.operation('unresolved', error=ERROR),
        'LICENCE_RESTRICTION',
        2,
    ),
    'move': (lambda s: s.move('unresolved'), 'MOVE_UNRESOLVED', 2),
    'alarm': (lambda s: s.execute(ALARM), 'ALARM', 2),
    'no look': (lambda s: s.execute(*STALE), 'OVERDUE', 1),
    'lost lease': (lambda s: s.hold(-1), 'LEASE_LOST', 1),
    'no service': (lambda s: s.execute(DEAD), 'NO_COMPUTE_SERVICE', 2),
}


@pytest.mark.parametrize('name', WRONG)
def test_what_is_wrong_is_told_and_judged(site: Site, name: str) -> None:
    happen, code, level = WRONG[name]
    happen(site)
    ended, out = site.run()
    assert ended == level
    first = out.splitlines()[0]
    assert first.startswith(health.LEVELS[level].upper() + ': 1 pool, ')
    assert first.endswith(f': {code}')
    told = site.json()
    found = told['findings'] + told['pools'][0]['findings']
    [finding] = found
    assert (finding['code'], finding['level']) == (code, health.LEVELS[level])
    assert ' '.join(finding['message'].split()) in out
    pool = next(line for line in out.splitlines() if ' pool (1) ' in line)
    own = 0 if code == 'NO_COMPUTE_SERVICE' else level
    assert health.LEVELS[own].upper() in pool


def test_a_move_is_told_of_its_own_pool(site: Site) -> None:
    site.move('sent')
    assert site.run()[0] == 0
    site.execute("UPDATE moves SET state = 'unresolved'")
    site.running.create('xen3', name='other')
    told = site.json()
    assert [pool['status'] for pool in told['pools']] == ['critical', 'ok']
    [finding] = told['pools'][0]['findings']
    assert finding['host'] == 'xen2'
    assert f'"aggregates-ext-manage move cancel {MOVE}"' in finding['message']
    manage.main(['--config-file', site.config, 'move', 'cancel', MOVE])
    assert site.run()[0] == 0


def test_who_works_on_a_pool_is_not_overdue(site: Site) -> None:
    site.execute(*STALE)
    site.hold(100)
    assert site.run()[0] == 0


def test_the_worst_is_told_first(site: Site) -> None:
    other = site.running.create('xen3', name='other')
    site.key = other
    site.drift('LABEL', 'MEMBER_DEAD')
    assert [pool['aggregate'] for pool in site.json()['pools']] == [other, 1]
    code, out = site.run()
    lines = out.splitlines()
    assert code == 2
    assert lines[0].endswith(
        '1 critical, 0 with a warning: MEMBER_DEAD, LABEL'
    )
    assert 'CRITICAL  other' in lines[2]
    assert 'error for 15 min' in lines[2]
    assert 'MEMBER_DEAD  xen2 for 15 min' in lines[3]
    assert 'LABEL' in lines[4]


def test_a_pool_that_is_not_seen_is_told_once(site: Site) -> None:
    """And not of each host."""
    site.execute('UPDATE aggregates SET observed_at = observed_at + 9')
    _code, out = site.run()
    assert re.search(r'looked at 0 s ago, seen \d+ s ago\n', out)
    assert len(out.splitlines()) == 3
    # As the master of a pool that is seen may not list a host.
    seen = dict(site.running.aggregates.get(site.key).observation or {})
    seen['hosts'] = seen['hosts'][:0]
    with site.running.database.writer() as connection:
        at = seen['seen_at']
        db_pools.set_observation(connection, site.key, seen, [], at)
    _code, out = site.run()
    assert re.findall(r'(xen\d)  member, not seen\n', out) == ['xen1', 'xen2']


def test_what_is_under_way_is_no_warning(site: Site) -> None:
    site.operation('running', progress=40, step='checking the host')
    site.execute(
        "UPDATE hosts SET maintenance = 'on' WHERE name = 'xen2'",
        "UPDATE hosts SET aggregate_id = 1, phase = 'joining' "
        "WHERE name = 'xen3'",
    )
    code, out = site.run()
    assert code == 0
    assert re.search(r'changing  1 joining, 2 member  master xen1', out)
    assert re.search(r'xen2  member, maintenance on\n', out)
    assert re.search(r'xen3  joining, for \d+ s\n', out)
    assert re.search(
        r'add_host xen3  running for \d+ s, 40 %  checking the host\n', out
    )


@pytest.mark.parametrize('terminal', ['', '1'])
def test_names_and_reasons_are_whole_and_harmless(
    site: Site, monkeypatch: pytest.MonkeyPatch, terminal: str
) -> None:
    monkeypatch.setenv('COLUMNS', '80')
    monkeypatch.setenv('FORCE_COLOR', terminal)
    monkeypatch.setenv('NO_COLOR', '1')
    with site.running.database.writer() as connection:
        connection.execute(sa.update(models.aggregates).values(name=ODD))
    site.drift('LABEL')
    _code, out = site.run()
    shown = re.sub(r'\x1b\[[0-9]*m', '', out) if terminal else out
    # One that is for a terminal is wrapped there.
    text = re.sub(r'[\s│├─└]+', ' ', shown)
    assert r'r \x1b[31m[red]x[/red] :smile: \u202e[fd00::11]\x07 (1)' in text
    assert f'{" ".join(REASON.split())}' in text
    assert not set(shown) & {'\x1b', '\x07', '\u202e'}
    assert terminal or len(shown.splitlines()) == 4
    # Nothing of that is in the line that monitoring shows.
    assert 'smile' not in shown.splitlines()[0]


def test_what_cannot_be_read_is_unknown(
    site: Site, tmp_path: pathlib.Path
) -> None:
    site.execute('ALTER TABLE hosts RENAME TO away')
    code, out = site.run()
    assert code == 3
    assert out.startswith('UNKNOWN: ')
    assert 'db sync' in out
    told = site.json()
    assert (told['status'], told['code']) == ('unknown', 3)
    for lines in ('[database\n', '[database]\nconnection =\n'):
        pathlib.Path(site.config).write_text(lines)
        assert site.run()[0] == 3
    site.config = str(tmp_path / 'none')
    assert site.run()[0] == 3
    # A warning is what others end with.
    assert manage.main(['--config-file', site.config, 'host', 'list']) == 1


def test_it_is_watched_through_an_outage_until_somebody_ends_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            site.execute('ALTER TABLE hosts RENAME TO away')
        elif len(pauses) == 2:
            site.execute('ALTER TABLE away RENAME TO hosts')
        else:
            raise KeyboardInterrupt

    # Its own alone: others wait meanwhile too.
    clock = types.SimpleNamespace(sleep=sleep)
    monkeypatch.setattr(status, 'time', clock)
    code, out = site.run('--watch')
    assert code == 130
    first, second, third, rest = out.split('\n\n')
    assert rest == ''
    for block in (first, second, third):
        assert re.match(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n', block)
    assert 'OK: 1 pool' in first
    assert 'UNKNOWN: ' in second
    assert 'OK: 1 pool' in third
    pauses.clear()
    code, out = site.run('--watch', '0.5', '--json')
    assert code == 130
    codes = [json.loads(line)['code'] for line in out.splitlines()]
    assert (codes, pauses) == ([0, 3, 0], [0.5] * 3)


@pytest.mark.parametrize('seconds', ['0', '-1', 'nan', 'inf', 'soon', '1e6'])
def test_seconds_that_nobody_waits(site: Site, seconds: str) -> None:
    with pytest.raises(SystemExit):
        site.run('--watch', seconds)


def test_a_terminal_is_drawn_anew_and_left_as_it_was(site: Site) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, '-m', 'aggregates_ext.cmd.manage']
    options = ['--config-file', site.config, 'status', '--watch', '0.1']
    with subprocess.Popen(
        [*command, *options],
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, 'TERM': 'xterm'},
    ) as process:
        os.close(theirs)
        try:
            shown = read(ours, lambda text: text.count('OK: 1 pool') >= 2)
            process.send_signal(signal.SIGINT)
            shown += read(ours, lambda text: '\x1b[?1049l' in text)
        except BaseException:
            process.kill()
            raise
        assert process.stderr is not None
        assert process.stderr.read() == b''
    os.close(ours)
    assert process.returncode == 130
    assert '\x1b[?1049h' in shown
    # The cursor is there again.
    assert shown.rindex('\x1b[?25h') > shown.rindex('\x1b[?25l')


def read(terminal: int, enough: Callable[[str], bool]) -> str:
    """What is shown on a terminal until it is enough."""
    shown = b''
    end = time.monotonic() + SOON
    while not enough(shown.decode(errors='replace')):
        ready, _, _ = select.select(
            [terminal], [], [], max(0.0, end - time.monotonic())
        )
        assert ready, shown
        shown += os.read(terminal, 65_536)
    return shown.decode(errors='replace')


def test_codes_are_those_that_are_told_of() -> None:
    text = documents.read('admin.rst')
    table = text[text.index('.. _drift:') :]
    table = table[: table.index('.. _disabled-hosts:')]
    told = set(re.findall(r'^``([A-Z_]+)``', table, re.MULTILINE))
    assert told >= health.GRAVE
    monitoring = text[text.index('.. _monitoring:') :]
    monitoring = monitoring[: monitoring.index('What to do when …')]
    own = (
        health.ALARM,
        health.OVERDUE,
        health.LEASE_LOST,
        health.NO_SERVICE,
        health.UNTOLD,
        health.MOVE,
    )
    named = set(re.findall('``([A-Z_]+)``', monitoring))
    assert named == {*health.GRAVE, *own}


@pytest.mark.parametrize(
    ('seconds', 'told'),
    [
        (-3, '0 s'),
        (0.4, '0 s'),
        (119, '119 s'),
        (120, '2 min'),
        (7199, '119 min'),
        (7200, '2 h'),
        (200_000, '2 d'),
    ],
)
def test_a_time_is_one_number(seconds: float, told: str) -> None:
    assert picture.duration(seconds) == told
