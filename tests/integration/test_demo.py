"""The demonstration as a user starts it: told to its end, failed, ended."""

import contextlib
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sysconfig
import time
import urllib.request

import psutil
import pytest

from aggregates_ext.demo import client
from aggregates_ext.demo import xenapi
from tests.integration import clients
from tests.integration import processes

COMMAND = pathlib.Path(sysconfig.get_path('scripts'), 'aggregates-ext-demo')
LIMIT = 300


@contextlib.contextmanager
def demo(tmp_path, *arguments):
    """The command with its temporary files in a directory of our own."""
    process = subprocess.Popen(
        [COMMAND, '--speed', '20', *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {'TMPDIR': str(tmp_path), 'COLUMNS': '200'},
    )
    with process:
        try:
            yield process
        finally:
            # It cleans up; nothing that it started outlives the test.
            process.terminate()


def read_until(process, pattern):
    """What the command says up to a line, and the match in it."""
    said = ''
    for line in process.stdout:
        said += line
        found = re.search(pattern, line)
        if found:
            return said, found
    raise AssertionError(f'no {pattern!r} in\n{said}')


def finish(process):
    said, _ = process.communicate(timeout=LIMIT)
    return said


def ask(url, **body):
    data = json.dumps(body).encode() if body else None
    headers = {'Content-Type': 'application/json'}
    request = urllib.request.Request(url, data, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def plant(process, **fault):
    """Let something go wrong on the simulated hosts, before the story."""
    _, found = read_until(process, r'^Simulator control (\S+)$')
    ask(f'{found[1]}/faults', **fault)


def services(process):
    return psutil.Process(process.pid).children(recursive=True)


def test_the_story_is_told_to_its_end(tmp_path, record_property):
    began = time.monotonic()
    with demo(tmp_path) as process:
        said = finish(process)
        assert process.returncode == 0, said
    record_property('seconds', round(time.monotonic() - began, 1))
    for line in (
        '10/10  The end of the pool',
        '"alias": "os-aggregates"',
        '<description>Admin-only aggregate administration</description>',
        'add_host xen3  100%  succeeded',
        'xen1  10.0.0.11, master, member, live, enabled',
        'xen3  10.0.0.13, slave, member, live, enabled',
        'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS',
        'HOSTS_NOT_COMPATIBLE',
        'JOINING_HOST_CANNOT_CONTAIN_SHARED_SRS',
        'POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS',
        'operational_state: error',
        'web-data',
        "maintenance: {'xen1': 'off', 'xen2': 'on', 'xen3': 'off'}",
        'the guests are back on xen2',
        'mail on xen1: ACTIVE',
        'xen2 is still a member, and no disk was destroyed.',
        'the disks in the named SR are destroyed and no other',
        '404 Not Found',
        'four hosts, each its own pool without name and mark.',
        'All 10 steps had their effect on the simulated hosts',
    ):
        assert line in said
    assert '\x1b' not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('fault', 'step'),
    [
        (
            {'call': 'Async.pool.join', 'host': 'xen2'},
            'Step 3 (Three hosts become one pool) failed. add_host xen2 '
            'failed, instead of succeeded',
        ),
        (
            {'call': 'SR.get_all_records', 'host': 'xen4'},
            'Step 4 (A host that does not fit is refused) failed. add_host '
            'xen4 failed, and not by a check',
        ),
    ],
    ids=['join fails', 'check fails'],
)
def test_a_step_without_its_effect_fails(tmp_path, fault, step):
    with demo(tmp_path) as process:
        parameters = ['planted here']
        plant(process, action='fail', times=0, parameters=parameters, **fault)
        said = finish(process)
        assert process.returncode == 1, said
    assert step in said
    assert 'planted here' in said
    assert 'the end of the log: compute' in said
    assert 'had their effect' not in said
    assert not list(tmp_path.iterdir())


def test_all_hosts_restart_and_no_guest_notices(tmp_path, record_property):
    began = time.monotonic()
    with demo(tmp_path, '--story', 'rolling') as process:
        said = finish(process)
        assert process.returncode == 0, said
    record_property('seconds', round(time.monotonic() - began, 1))
    for line in (
        'xen1 (master)',
        'home at the end. At worst, without xen',
        'MASTER',
        'xen1 rebooting',
        'xen4 done',
        'web4 from xen4 to',
        'switching high availability off',
        'switching high availability on',
        'rolling_reboot succeeded',
        'each host has booted once; no guest was down at any moment',
        'All 4 steps had their effect on the simulated hosts',
    ):
        assert line in said
    turns = re.findall(r'^  (xen\d) rebooting$', said, re.MULTILINE)
    assert turns == ['xen1', 'xen2', 'xen3', 'xen4']
    assert '\x1b' not in said
    assert not list(tmp_path.iterdir())


def tell_master(tmp_path, url, method, *parameters):
    """As an operator of the hosts, whom the services know nothing of."""
    (conf,) = tmp_path.glob('*/aggregates_ext.conf')
    password = re.search('^password = (.+)$', conf.read_text(), re.M)[1]
    master = xenapi.Session(client.Client(url), password)
    return master.call(method, *parameters)


@pytest.mark.long
def test_a_guest_that_goes_down_meanwhile_is_told(tmp_path):
    """Also where it runs again when the story ends."""
    with demo(tmp_path, '--story', 'rolling') as process:
        _, found = read_until(process, r'^ +xen1 (http\S+)$')
        master = found[1]
        read_until(process, '^  xen1 done')
        (guest,) = tell_master(
            tmp_path, master, 'VM.get_by_name_label', 'web4'
        )
        for method, more in (
            ('VM.hard_shutdown', ()),
            ('VM.start', (False, False)),
        ):
            tell_master(tmp_path, master, method, guest, *more)
        said = finish(process)
        assert process.returncode == 1, said
    assert 'Step 4 (All hosts restart, and no guest notices) failed' in said
    assert re.search('But: Guest [0-9a-f-]+ has gone down', said), said
    assert 'had their effect' not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_a_restarted_pool_is_left_running_for_those_who_want(tmp_path):
    with demo(tmp_path, '--story', 'rolling', '--keep') as process:
        said, _ = read_until(process, 'Ctrl-C ends and removes everything')
        assert 'each host has booted once' in said
        (line,) = re.findall('^ +(curl .*"dry_run".*)$', said, re.MULTILINE)
        url, body = re.match(r'curl -s (\S+) .* -d \'(.+)\'$', line).groups()
        plan = ask(url, **json.loads(body))['plan']
        assert len(plan['hosts']) == 4
        assert plan['blockers'] == []


@pytest.mark.long
@pytest.mark.parametrize('story', ['life', 'rolling'])
def test_what_is_printed_to_be_tried_can_be_typed(
    tmp_path, clients_venv, plugin_path, story
):
    """In its order, as somebody does who copies it all."""
    variables = {'PYTHONPATH': str(plugin_path)}
    with demo(tmp_path, '--story', story, '--keep') as process:
        said, _ = read_until(process, 'Ctrl-C ends and removes everything')
        typed = re.findall('^ +(openstack .*)$', said, re.MULTILINE)
        for line in typed:
            done = clients.run(clients_venv, variables, *shlex.split(line))
            assert done.status == 0, f'{line}\n{done.out}{done.err}'
        plugged = [line for line in typed if ' aggregate pool ' in line]
        assert len(plugged) >= 3
        assert any(' --wait ' in line for line in plugged)
        assert said.index('plug-in') < said.index(plugged[0])


def test_a_service_that_ends_is_told(tmp_path):
    with demo(tmp_path) as process:
        read_until(process, '^3/10 ')
        (compute,) = (
            service
            for service in services(process)
            if 'aggregates_ext.cmd.compute' in service.cmdline()
        )
        compute.kill()
        said = finish(process)
        assert process.returncode == 1, said
    assert 'failed. compute ended with -9.' in said
    assert not list(tmp_path.iterdir())


def test_keep_leaves_a_pool_until_it_is_interrupted(tmp_path):
    with demo(tmp_path, '--keep') as process:
        said, _ = read_until(process, 'Ctrl-C ends and removes everything')
        (path,) = re.findall(r'^ +curl -s (\S+/pool)$', said, re.MULTILINE)
        (state,) = re.findall(r'^ +curl -s (\S+/state)$', said, re.MULTILINE)
        assert len(ask(path)['pool']['hosts']) == 3
        assert [
            len(pool['hosts'])
            for pool in ask(state)['pools']
            if pool['name_label'] == 'rack-1'
        ] == [3]
        (conf,) = tmp_path.glob('*/aggregates_ext.conf')
        password = re.search('^password = (.+)$', conf.read_text(), re.M)[1]
        assert password not in said
        running = services(process)
        assert len(running) == 3
        process.send_signal(signal.SIGINT)
        finish(process)
        assert process.returncode == 0
    assert not any(service.is_running() for service in running)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_demonstration_has_started_ends(tmp_path):
    with demo(tmp_path) as process:
        read_until(process, '^1/10 ')
        running = services(process)
        process.kill()
        process.wait()
        gone, alive = psutil.wait_procs(running, timeout=LIMIT)
    assert len(gone) >= 3
    assert alive == []
    assert not list(tmp_path.iterdir())


def test_a_demonstration_that_is_killed_at_once_leaves_nothing(tmp_path):
    """The first that it starts does not know yet what it is to do."""
    with demo(tmp_path) as process:
        processes.wait_for('something runs', lambda: services(process))
        running = services(process)
        process.kill()
        process.wait()
        _gone, alive = psutil.wait_procs(running, timeout=LIMIT)
    assert alive == []
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_the_command_to_be_copied_is_there(tmp_path):
    with demo(tmp_path, '--keep') as process:
        said, _ = read_until(process, 'Ctrl-C ends and removes everything')
        (line,) = re.findall('^ +(.* host list)$', said, re.MULTILINE)
        listed = subprocess.run(
            shlex.split(line),
            env={'PATH': '/usr/bin:/bin'} if '/' in line.split()[0] else None,
            capture_output=True,
            text=True,
            check=False,
        )
        assert listed.returncode == 0, listed.stderr
        assert 'xen4' in listed.stdout


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_story_leaves_nothing_behind(tmp_path, number):
    with demo(tmp_path) as process:
        read_until(process, '^1/10 ')
        running = services(process)
        process.send_signal(number)
        said = finish(process)
        assert process.returncode == 130
    assert 'Interrupted' in said
    assert running
    assert not any(service.is_running() for service in running)
    assert not list(tmp_path.iterdir())
