"""The panel of Horizon, in a real Chromium, against the running service.

Who uses nothing but Horizon sees what a pool does, and what refuses, also
what fails after it was accepted. With ``AGGREGATES_EXT_PICTURES``, a
directory, what was seen is kept there.
"""

import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import pytest

from tests.integration import browser
from tests.integration import children
from tests.integration import environments
from tests.integration import horizon
from tests.integration import keystone as keystone_server
from tests.integration import operators
from tests.integration import processes
from tests.integration import rabbitmq

pytestmark = pytest.mark.long

REGION = 'Paneled'
HOSTS = 20
GUESTS_OF = """
    const heads = [...document.querySelectorAll('#hosts th')];
    const head = heads.find(each => each.innerText.trim() === 'Guests');
    const row = document.querySelector(
        `#hosts tr[data-object-id="${arguments[0]}"]`
    );
    return row.cells[head.cellIndex].innerText.trim();
"""
PANEL = '/admin/resource_pools/'
OPERATIONS = '#operations table'
# What a page would show as anything else than this text if it took it for
# its own.
BOLD = '<b>bold</b>'
SCRIPT = '<script>document.title = "taken"</script>'
# How Keystone's tokens begin.
TOKEN = 'gAAAAA'


@pytest.fixture(scope='module')
def site(
    keystone: keystone_server.Keystone,
    shared_broker: rabbitmq.Broker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[processes.Site]:
    directory: pathlib.Path = tmp_path_factory.mktemp('site')
    with operators.site(keystone, shared_broker, directory, HOSTS) as made:
        yield made


@pytest.fixture(scope='module')
def compute(site: processes.Site) -> children.Child:
    return operators.start_compute(site)


@pytest.fixture(scope='module')
def api(
    site: processes.Site,
    compute: children.Child,
    keystone: keystone_server.Keystone,
) -> processes.Client:
    """The API, seen by an administrator; it can be restarted where it is."""
    return operators.start_api(site, keystone, REGION)


@pytest.fixture(scope='module')
def dashboard(
    horizon_venv: pathlib.Path,
    keystone: keystone_server.Keystone,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[horizon.Horizon]:
    """A Horizon with the panel; it has met no bug of ours in the end."""
    directory = tmp_path_factory.mktemp('dashboard')
    plugin = environments.install_alone(horizon_venv, directory)
    with horizon.serve(
        horizon_venv, plugin, directory, keystone.url
    ) as serving:
        yield serving
    text = serving.log.read_text()
    assert str(plugin) not in text, text[-8000:]


@pytest.fixture(scope='module')
def window(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[browser.Browser]:
    with browser.start(tmp_path_factory.mktemp('browser')) as made:
        yield made


class Pages(NamedTuple):
    """What a user does with the panel."""

    window: browser.Browser
    url: str

    def log_in(self, user: str) -> None:
        """Log in, and choose the region of the API."""
        self.window.open(f'{self.url}/auth/login/')
        self.window.forget()
        self.window.open(f'{self.url}/auth/login/?next=/identity/')
        self.window.type('#id_username', user)
        self.window.type('#id_password', keystone_server.PASSWORD)
        self.window.click('#loginBtn')
        self.window.wait(
            'the user is logged in',
            lambda: user in self.window.text and not self._asks(),
        )
        self.window.open(
            f'{self.url}/auth/switch_services_region/{REGION}/?next=/identity/'
        )

    def _asks(self) -> bool:
        return bool(self.window.all('#loginBtn'))

    def open(self, path: str = '') -> None:
        """A page of the panel."""
        self.window.open(f'{self.url}{PANEL}{path}')

    def choose(self, key: int, host: str, action: str) -> None:
        """An action of a host, in its menu; its form is there then."""
        row = f'#hosts tr[data-object-id="{host}"]'
        self.open(f'{key}/')
        self.window.visible(row)
        if action != 'check':
            self.window.click(f'{row} .dropdown-toggle')
        self.window.click(f'#hosts__row_{host}__action_{action}')
        self.window.visible(f'#{action}_form')

    def tick(self, css: str) -> None:
        """A box that Horizon draws over, or a button that still moves."""
        self.window.run(
            'document.querySelector(arguments[0]).click()',
            css,
        )

    def send(self, form: str) -> None:
        """Send a form."""
        self.window.click(f'#{form}_form input[type=submit]')

    def act(self, operation: str, action: str) -> None:
        """An action of an operation, which is asked about once more.

        Its row may be looked at again meanwhile.
        """
        self.tick(f'#operations__row_{operation}__action_{action}')
        self.send('again')
        self.window.await_text('is accepted')

    def await_state(self, operation: str, state: str) -> str:
        """Wait until the page, left alone, tells the state; its row."""
        row = f'{OPERATIONS} tr[data-object-id="{operation}"]'
        return self.window.await_text(state, row)

    def keep(self, name: str) -> None:
        """Keep a picture, where somebody wants them."""
        directory = os.environ.get('AGGREGATES_EXT_PICTURES')
        if directory:
            self.window.picture(pathlib.Path(directory, f'{name}.png'))


@pytest.fixture(scope='module')
def logged_in(
    api: processes.Client,
    dashboard: horizon.Horizon,
    window: browser.Browser,
) -> Pages:
    """An administrator of the project of pools."""
    pages = Pages(window, dashboard.url)
    pages.log_in('operator')
    return pages


def complaints(window: browser.Browser) -> list[str]:
    """What of a page has failed, but for what Horizon means to.

    A row that is gone answers 404, so that it is taken away.
    """
    return [
        told
        for told in window.complaints()
        if 'favicon' not in told
        and not ('row_update' in told and '404' in told)
    ]


@pytest.fixture
def pages(logged_in: Pages, site: processes.Site) -> Iterator[Pages]:
    """The same; no page has told a secret, or met an error of its scripts."""
    logged_in.window.complaints()
    yield logged_in
    site.sim.clear_faults()
    assert TOKEN not in logged_in.window.source
    assert keystone_server.PASSWORD not in logged_in.window.source
    assert complaints(logged_in.window) == []


@pytest.fixture(scope='module')
def pool(
    site: processes.Site, api: processes.Client
) -> tuple[str, int, list[str]]:
    """A pool of three hosts: its name, its id, their names."""
    name, hosts = site.new_name(), site.take_hosts(3)
    return name, api.make_pool(name, hosts), hosts


def newest(api: processes.Client, key: int) -> dict[str, Any]:
    """The operation that was asked for last."""
    return api.operations(key)[0]


def await_newest(api: processes.Client, key: int, kind: str) -> dict[str, Any]:
    """The operation that was just asked for by a page."""

    def look() -> dict[str, Any] | None:
        # A run over all hosts has parts, which come after it.
        [last, *_older] = [
            each for each in api.operations(key) if each['kind'] == kind
        ] or [None]
        return last

    return processes.wait_for(f'{kind} is asked for', look)


def test_all_pools_are_listed(
    api: processes.Client,
    pages: Pages,
    pool: tuple[str, int, list[str]],
) -> None:
    name, key, (master, *_others) = pool
    api.create(f'{BOLD} {SCRIPT}')
    pages.open()
    row = pages.window.read(f'#pools__row__{key}')
    for told in (name, 'active', '3 member', master):
        assert told in row
    text = pages.window.read('#pools')
    assert f'{BOLD} {SCRIPT}' in text
    assert pages.window.all('#pools b') == []
    pages.keep('pools')
    pages.window.type('.table_search input[type=text]', name)
    pages.window.click('.table_search button[type=submit]')
    pages.window.wait(
        'the others are not shown',
        lambda: BOLD not in pages.window.text and name in pages.window.text,
    )
    # Horizon keeps it with the session.
    pages.window.type('.table_search input[type=text]', ' ')
    pages.window.click('.table_search button[type=submit]')
    pages.window.await_text(BOLD)


def test_a_refusal_after_its_acceptance_is_seen(
    site: processes.Site, api: processes.Client, pages: Pages
) -> None:
    name, (first, second) = site.new_name(), site.take_hosts(2)
    key = api.make_pool(name, [first])
    site.sim.plant(
        'Async.pool.join',
        code='LICENCE_RESTRICTION',
        parameters=(BOLD,),
        times=100,
    )
    pages.open(f'{key}/')
    pages.window.click('#hosts__action_add')
    pages.window.type('#add_form #id_host_name', second)
    pages.send('add')
    pages.window.await_text('is accepted')
    uuid = newest(api, key)['uuid']
    # The page is left alone meanwhile.
    row = pages.await_state(uuid, 'failed')
    code = newest(api, key)['error']['code']
    for told in (code, second, BOLD, 'Apply a licence', 'retry_operation'):
        assert told in row
    assert pages.window.all(f'{OPERATIONS} b') == []
    pages.open()
    listed = pages.window.read(f'#pools__row__{key}')
    assert 'error' in listed
    assert f'add_host {second}: {code}' in listed
    pages.open(f'{key}/')
    wrong = pages.window.read('#wrong')
    for told in (f'add_host {second}: failed', code, BOLD, 'Apply a licence'):
        assert told in wrong
    assert name in pages.window.text
    assert pages.window.all('#content_body b') == []
    pages.keep('refused')

    site.sim.clear_faults()
    pages.act(uuid, 'retry')
    again = newest(api, key)
    assert again['asked']['retry_of'] == uuid
    pages.await_state(again['uuid'], 'succeeded')
    pages.open(f'{key}/')
    assert pages.window.all('#wrong') == []
    assert second in pages.window.read('#hosts')


def test_a_host_that_is_refused_is_told_with_all_reasons(
    site: processes.Site, api: processes.Client, pages: Pages
) -> None:
    name, (first, second) = site.new_name(), site.take_hosts(2)
    key = api.make_pool(name, [first])
    site.sim.add_vm(second, f'{BOLD} {SCRIPT}')
    site.sim.add_vlan(second, 7)
    pages.open(f'{key}/add/')
    options = pages.window.all('#known_hosts option')
    assert len(options) == HOSTS
    pages.window.type('#id_host_name', second)
    pages.tick('#id_only_check')
    pages.send('add')
    checked = pages.window.await_text('Blockers', '#add_form')
    for told in (
        'JOINING_HOST_CANNOT_HAVE_RUNNING_VMS',
        'POOL_JOINING_HOST_HAS_NON_MANAGEMENT_VLANS',
        'remedy: ',
        f'{BOLD} {SCRIPT}',
    ):
        assert told in checked
    pages.tick('#id_only_check')
    pages.send('add')
    refused = pages.window.await_text('Shut them down', '.alert-danger')
    assert f'{BOLD} {SCRIPT}' in refused
    assert '(HTTP 409)' in refused
    assert pages.window.all('#content_body b') == []
    assert pages.window.run('return document.title') != 'taken'
    assert [o['kind'] for o in api.operations(key)] == ['add_host']
    pages.window.type('#id_host_name', 'nothing')
    pages.send('add')
    pages.window.await_text('Host nothing is not registered')


def test_each_disk_that_would_go_is_ticked(
    site: processes.Site, api: processes.Client, pages: Pages
) -> None:
    name, (first, second) = site.new_name(), site.take_hosts(2)
    key = api.make_pool(name, [first, second])
    disks = [{'name': BOLD, 'size': 1 << 30}, {'name': 'logs'}]
    sr = site.sim.add_sr(second, 'local', vdis=disks)
    pages.choose(key, second, 'remove')
    form = pages.window.read('#remove_form')
    for told in (BOLD, 'logs', '1.0 GiB', 'DATA_LOSS', sr):
        assert told in form
    boxes = '#remove_form input[name=disks]'
    assert len(pages.window.all(boxes)) == 2
    # One of two is not enough, and the API is not asked.
    pages.tick(f'{boxes}[value^="{sr}/"]')
    pages.keep('disks')
    pages.send('remove')
    refused = pages.window.await_text('Nothing is done', '.alert-danger')
    assert refused.count('GiB') == 1
    assert newest(api, key)['kind'] == 'add_host'
    # One that comes meanwhile was not seen by anybody.
    site.sim.add_sr(second, 'other', vdis=[{'name': 'late'}])
    ticked = f'{boxes}:not(:checked)'
    pages.tick(ticked)
    pages.send('remove')
    refused = pages.window.await_text('late', '.alert-danger')
    assert newest(api, key)['kind'] == 'add_host'
    pages.tick(ticked)
    pages.send('remove')
    pages.window.await_text('is accepted')
    operation = newest(api, key)
    assert operation['kind'] == 'remove_host'
    assert sr in operation['asked']['accept_data_loss']
    pages.await_state(operation['uuid'], 'succeeded')


def test_a_host_is_taken_out_of_service_and_back(
    site: processes.Site,
    api: processes.Client,
    pages: Pages,
    pool: tuple[str, int, list[str]],
) -> None:
    _name, key, (_master, host, _other) = pool
    guest = site.sim.add_vm(host, f'{BOLD}-web')
    processes.wait_for(
        'the guest is seen',
        lambda: api.done('GET', f'/servers?all_tenants=1&host={host}')[
            'servers'
        ],
    )
    pages.open(f'{key}/')
    assert pages.window.run(GUESTS_OF, host) == '1'
    pages.choose(key, host, 'check')
    pages.window.run(
        "document.querySelector('#id_purpose').value = arguments[0]",
        'maintenance',
    )
    pages.send('check')
    checked = pages.window.await_text('Plan', '#check_form')
    assert f'{BOLD}-web' in checked
    pages.choose(key, host, 'enter')
    pages.window.type('#enter_form #id_reason', 'new fans')
    pages.send('enter')
    pages.window.await_text('is accepted')
    operation = newest(api, key)
    assert operation['asked']['reason'] == 'new fans'
    pages.await_state(operation['uuid'], 'succeeded')
    pages.open(f'{key}/')
    row = pages.window.read(f'#hosts tr[data-object-id="{host}"]')
    assert 'maintenance on' in row
    assert 'new fans' in row
    for action, there in (('enter', False), ('leave', True)):
        found = pages.window.all(f'#hosts__row_{host}__action_{action}')
        assert bool(found) == there
    pages.open(f'{key}/operations/{operation["uuid"]}/')
    assert f'{BOLD}-web from {host}' in pages.window.text
    assert pages.window.all('#content_body b') == []
    pages.choose(key, host, 'leave')
    pages.send('leave')
    pages.window.await_text('is accepted')
    operation = await_newest(api, key, 'leave_maintenance')
    row = pages.await_state(operation['uuid'], 'succeeded')
    assert 'leave_maintenance' in row
    for action in ('retry', 'cancel', 'continue'):
        # Of what is done nothing of that would be taken.
        css = f'#operations__row_{operation["uuid"]}__action_{action}'
        assert pages.window.all(css) == []
    assert site.sim.places(guest) == [host]


def test_all_hosts_restart_in_turn_until_it_is_given_up(
    api: processes.Client, pages: Pages, pool: tuple[str, int, list[str]]
) -> None:
    _name, key, (master, *others) = pool
    before = newest(api, key)['uuid']
    pages.open(f'{key}/')
    pages.window.click('#hosts__action_rolling')
    plan = pages.window.read('#rolling_form')
    for told in (f'{master}, the master', *others, 'free on'):
        assert told in plan
    pages.tick('#id_pause')
    # Nothing is done as long as the plan alone is asked for.
    pages.send('rolling')
    pages.window.await_text('Accepted', '#rolling_form')
    assert newest(api, key)['uuid'] == before
    pages.tick('#id_only_plan')
    pages.send('rolling')
    pages.window.await_text('is accepted')
    run = await_newest(api, key, 'rolling_reboot')['uuid']
    # Its row shows the button when a host waits.
    pages.window.visible(f'#operations__row_{run}__action_continue')
    pages.keep('rolling')
    pages.act(run, 'continue')

    def second() -> bool:
        path = f'/os-aggregates/operations/{run}'
        told = api.done('GET', path)['operation']
        return bool(told['paused'] not in (None, master))

    processes.wait_for('the second host waits', second)
    pages.open(f'{key}/operations/{run}/')
    assert f'{master}: done' in pages.window.text
    pages.open(f'{key}/')
    pages.act(run, 'cancel')
    pages.await_state(run, 'cancelled')


def test_what_has_not_begun_is_taken_back(
    site: processes.Site,
    api: processes.Client,
    compute: children.Child,
    pages: Pages,
    pool: tuple[str, int, list[str]],
) -> None:
    _name, key, (_master, host, _other) = pool
    site.freeze(compute)
    try:
        pages.open(f'{key}/hosts/{host}/remove/')
        # Nobody can look; who says that it is gone may ask all the same.
        pages.window.await_text('No compute service', '#remove_form')
        pages.tick('#id_force')
        pages.send('remove')
        pages.window.await_text('is accepted')
        operation = newest(api, key)
        assert operation['asked']['force']
        pages.act(operation['uuid'], 'cancel')
        pages.await_state(operation['uuid'], 'cancelled')
        # What is no more to be cancelled is told as the API tells it.
        pages.open(f'{key}/operations/{operation["uuid"]}/cancel/')
        pages.send('again')
        pages.window.await_text('(HTTP 409)', '.alert-danger')
    finally:
        compute.thaw()


def test_a_request_of_another_site_is_refused(
    api: processes.Client, pages: Pages, pool: tuple[str, int, list[str]]
) -> None:
    _name, key, (_master, host, _other) = pool
    before = newest(api, key)['uuid']
    pages.open(f'{key}/')
    place = pages.window.run(
        """
        const sent = new XMLHttpRequest();
        sent.open('POST', arguments[0], false);
        sent.setRequestHeader('Content-Type',
                              'application/x-www-form-urlencoded');
        sent.send(arguments[1]);
        return sent.responseURL;
        """,
        f'{PANEL}{key}/hosts/{host}/remove/',
        'force=on',
    )
    # Horizon leads away from where there is no token of its own forms.
    assert not place.endswith(f'/{key}/')
    assert newest(api, key)['uuid'] == before
    pages.window.complaints()


def test_the_panel_of_host_aggregates_is_as_it_was(
    site: processes.Site, api: processes.Client, pages: Pages
) -> None:
    name, [host] = site.new_name(), site.take_hosts(1)
    pages.window.open(f'{pages.url}/admin/aggregates/')
    pages.window.click('#host_aggregates__action_create')
    pages.window.type('#id_name', name)
    pages.window.click('.modal.in .btn-primary')
    pages.window.await_text(f'Created new host aggregate "{name}"')
    listed = api.done('GET', f'/os-aggregates?name={name}')['aggregates']
    assert [each['hosts'] for each in listed] == [[]]
    assert host in pages.window.read('#availability_zones')
    # No action of ours is there.
    actions = pages.window.run(
        "return [...document.querySelectorAll('#host_aggregates [id]')]"
        '.map(e => e.id)'
    )
    assert not any('pool' in action for action in actions)


def test_an_api_that_is_gone_is_told(
    site: processes.Site,
    compute: children.Child,
    api: processes.Client,
    pages: Pages,
    pool: tuple[str, int, list[str]],
) -> None:
    name, key, (_master, host, _other) = pool
    pages.open(f'{key}/hosts/{host}/leave/')
    [running] = [p for p in site.processes if p.running and p is not compute]
    running.kill()
    pages.send('leave')
    pages.window.await_text('Unable to establish connection', '#leave_form')
    for path in ('', f'{key}/', f'{key}/operations/{"0" * 36}/'):
        pages.open(path)
        told = pages.window.await_text('Unable to establish connection')
        assert 'Traceback' not in told
        assert 'Resource Pools' in told
    site.start_api()
    pages.open()
    pages.window.await_text(name)


def test_what_is_not_there_is_told(pages: Pages) -> None:
    for path in ('999/', f'999/operations/{"0" * 36}/'):
        pages.open(path)
        told = pages.window.await_text('Error: ')
        assert re.search('999|0000', told), told


def test_who_may_not_list_pools_has_no_panel(
    pages: Pages, pool: tuple[str, int, list[str]]
) -> None:
    name, key, _hosts = pool
    try:
        pages.log_in('reader')
        for path in ('', f'{key}/', f'{key}/add/'):
            pages.open(path)
            told = pages.window.await_text('not authorized')
            assert 'Resource Pools' not in told
            assert name not in told
    finally:
        pages.log_in('operator')
        pages.window.complaints()
