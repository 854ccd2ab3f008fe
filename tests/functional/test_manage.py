"""The operator's commands, as typed."""

import json
import pathlib
from collections.abc import Callable

import pytest

from aggregates_ext.cmd import manage
from aggregates_ext.cmd.commands import pool
from aggregates_ext.db.schema import migration
from tests.functional import service
from tests.functional import test_migrations

SR = '11111111-1111-1111-1111-111111111111'


def test_schema_is_made_and_checked(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ['--config-file', config, 'db']
    assert manage.main([*run, 'check']) == 1
    assert 'db sync' in capsys.readouterr().out
    assert manage.main([*run, 'sync']) == 0
    assert manage.main([*run, 'check']) == 0
    assert manage.main([*run, 'version']) == 0
    assert capsys.readouterr().out.endswith(f'{migration.newest()}\n')


def test_hosts_are_registered_shown_and_forgotten(
    config: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ['--config-file', config, 'host']
    manage.main(['--config-file', config, 'db', 'sync'])
    many = tmp_path / 'hosts.yaml'
    many.write_text('- {name: xen2, url: https://10.0.0.12}\n')
    add = ['add', 'xen1', '--url', 'https://10.0.0.11', '--zone', 'az1']
    assert manage.main([*run, *add]) == 0
    assert manage.main([*run, 'add', '--file', str(many)]) == 0
    capsys.readouterr()
    assert manage.main([*run, 'list', '--json']) == 0
    assert [h['name'] for h in json.loads(capsys.readouterr().out)] == [
        'xen1',
        'xen2',
    ]
    assert manage.main([*run, 'show', 'xen1']) == 0
    assert json.loads(capsys.readouterr().out)['zone'] == 'az1'
    assert manage.main([*run, 'accept-data-loss', 'xen1', SR]) == 0
    assert manage.main([*run, 'remove', 'xen1']) == 0
    assert manage.main([*run, 'list']) == 0
    assert 'xen2' in capsys.readouterr().out


def test_a_registration_is_changed(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ['--config-file', config, 'host']
    manage.main(['--config-file', config, 'db', 'sync'])
    manage.main([*run, 'add', 'xen1', '--url', 'https://10.0.0.1'])
    capsys.readouterr()
    seen = 'AB' * 32
    change = ['set', 'xen1', '--url', 'https://10.0.0.2', '--zone', 'az1']
    assert manage.main([*run, *change, '--fingerprint', seen]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown['url'], shown['zone']) == ('https://10.0.0.2', 'az1')
    assert shown['fingerprint'] == seen.lower()
    assert shown['credential'] == 'default'
    assert manage.main([*run, 'set', 'xen1', '--no-zone']) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown['zone'], shown['fingerprint']) == (None, seen.lower())
    assert manage.main([*run, 'set', 'xen1', '--no-fingerprint']) == 0
    assert json.loads(capsys.readouterr().out)['fingerprint'] is None
    with pytest.raises(SystemExit):
        manage.main([*run, 'set', 'xen1', '--zone', 'a', '--no-zone'])


@pytest.mark.parametrize(
    ('command', 'says'),
    [
        (['host', 'show', 'nobody'], 'nobody is not registered'),
        (['host', 'add', 'x', '--url', 'http://10.0.0.1'], 'https'),
        (['host', 'add', 'x'], '--url'),
        (['host', 'add', '--file', '/nowhere'], 'nowhere'),
        (['host', 'check', 'xen1'], 'No compute service'),
        (['host', 'reset', 'xen1', 'free'], 'nothing to reset'),
        (['host', 'set', 'xen1'], '--no-fingerprint'),
        (['host', 'set', 'nobody', '--zone', 'a'], 'not registered'),
        (['host', 'set', 'xen1', '--url', 'http://10.0.0.1'], 'https'),
        (['operation', 'show', 'x'], 'could not be found'),
        (['operation', 'list', '7'], 'could not be found'),
        (['move', 'show', 'x'], 'could not be found'),
        (['move', 'cancel', 'x'], 'could not be found'),
    ],
)
def test_refusal_says_why_and_ends_with_1(
    config: str,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    says: str,
) -> None:
    run = ['--config-file', config]
    manage.main([*run, 'db', 'sync'])
    manage.main([*run, 'host', 'add', 'xen1', '--url', 'https://10.0.0.1'])
    assert manage.main([*run, *command]) == 1
    assert says in capsys.readouterr().err


def test_moves_are_listed_shown_and_cancelled(
    running: service.Service,
    config: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = running.create('xen1', 'xen2')
    for host, name in (('xen1', 'web'), ('xen2', 'db')):
        running.sim.add_vm(host, name)
        running.watch(key, 0)
    api = test_migrations.Api(running)
    web, other = (
        guest['uuid']
        for name in ('xen1', 'xen2')
        for guest in api(f'os-hypervisors/{name}/servers', '2.1')[
            'hypervisors'
        ][0]['servers']
    )
    assert api.move(web, 'xen2') == api.move(other) == ''
    run = ['--config-file', config, 'move']
    assert manage.main([*run, 'list']) == 0
    header, newest, oldest = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ['uuid', 'created', 'guest']
    assert newest.split()[2:6] == ['db', 'xen2', '-', 'queued']
    assert oldest.split()[2:6] == ['web', 'xen1', 'xen2', 'queued']
    uuid = oldest.split()[0]
    some = ['--host', 'xen1', '--guest', web, '--status', 'queued']
    assert manage.main([*run, 'list', *some, '--json']) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert manage.main([*run, 'show', uuid]) == 0
    assert json.loads(capsys.readouterr().out) == listed
    assert (listed['guest'], listed['wanted']) == (web, 'xen2')
    assert (listed['aggregate'], listed['status']) == (key, 'queued')
    assert 'call' not in listed
    assert manage.main([*run, 'cancel', uuid]) == 0
    assert manage.main([*run, 'cancel', uuid]) == 1
    assert 'It has ended' in capsys.readouterr().err
    for status, found in (('cancelled', [uuid]), ('completed', [])):
        assert manage.main([*run, 'list', '--status', status, '--json']) == 0
        told = json.loads(capsys.readouterr().out)
        assert [move['uuid'] for move in told] == found


def test_operations_are_listed_shown_and_cancelled(
    running: service.Service,
    config: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = running.create('xen1')
    change = running.members.add_host(running.ctx, key, 'xen2')
    uuid = str(change.operation)
    run = ['--config-file', config, 'operation']
    assert manage.main([*run, 'list', str(key)]) == 0
    assert f'{uuid} ' in capsys.readouterr().out
    filters = ['--state', 'queued', '--host', 'xen2', '--limit', '5', '--json']
    assert manage.main([*run, 'list', *filters]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed['uuid'], listed['aggregate']) == (uuid, key)
    assert manage.main([*run, 'list', '--state', 'failed', '--json']) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert manage.main([*run, 'cancel', uuid]) == 0
    assert manage.main([*run, 'show', uuid]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown['state'] == 'cancelled'
    assert 'call' not in shown
    assert manage.main([*run, 'cancel', uuid]) == 1
    assert 'cancelled' in capsys.readouterr().err
    assert manage.main([*run, 'retry', uuid]) == 0
    again = capsys.readouterr().out.strip()
    assert running.operations.get(again).parameters == {'retry_of': uuid}
    assert manage.main([*run, 'retry', uuid]) == 1
    assert 'already has host xen2' in capsys.readouterr().err
    assert manage.main([*run, 'purge', '--older-than', '-1']) == 1
    assert '0 or more' in capsys.readouterr().err
    assert manage.main([*run, 'purge', '--older-than', '1']) == 0
    assert 'Deleted: 0 operations, 0' in capsys.readouterr().out
    reset = ['--config-file', config, 'host', 'reset', 'xen1', 'free']
    assert manage.main(reset) == 0
    assert running.hosts.get('xen1').phase == 'free'


def test_reset_settles_a_refused_join_of_a_free_host(
    running: service.Service, config: str
) -> None:
    key = running.create('xen1')
    running.sim.add_vm('xen2', 'web', power_state='Running')
    running.members.add_host(running.ctx, key, 'xen2')
    running.work()
    assert running.state(key) == 'error'
    reset = ['--config-file', config, 'host', 'reset', 'xen2', 'free']
    assert manage.main(reset) == 0
    assert running.state(key) == 'active'


POOLED = {
    'hosts': [{'name': name} for name in ('xen1', 'xen2')],
    'pools': [{'name_label': 'theirs', 'hosts': ['xen1', 'xen2']}],
}


def test_pool_is_adopted(
    make_service: Callable[..., service.Service],
    config: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running = make_service(POOLED)
    # While the command waits, a compute service works.
    monkeypatch.setattr(pool.time, 'sleep', lambda seconds: running.work())
    adopt = ['--config-file', config, 'pool', 'adopt', ' new ', 'xen1']
    assert manage.main([*adopt, '--zone', 'az1', '--wait']) == 0
    out = capsys.readouterr().out
    assert 'Host xen2 (' in out
    assert out.endswith('succeeded\n')
    aggregate = running.aggregates.get(1)
    assert (aggregate.name, aggregate.availability_zone) == ('new', 'az1')
    assert aggregate.hosts == ('xen1', 'xen2')
    assert manage.main(adopt) == 1
    assert 'belongs to aggregate 1' in capsys.readouterr().err


def test_refused_adoption_tells_why_and_ends_with_1(
    make_service: Callable[..., service.Service],
    config: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running = make_service(POOLED)
    running.hosts.remove('xen2')
    monkeypatch.setattr(pool.time, 'sleep', lambda seconds: running.work())
    adopt = ['--config-file', config, 'pool', 'adopt', 'new', 'xen1']
    assert manage.main([*adopt, '--wait']) == 1
    said = capsys.readouterr()
    assert said.out.endswith('failed\n')
    assert 'host add xen2' in said.err
    assert manage.main([*adopt[:-2], ' ', 'xen1']) == 1
    assert '1 to 255' in capsys.readouterr().err
