"""Hosts that misbehave: every call ends, nothing grows, others go on."""

import concurrent.futures
import contextlib
import http.client
import logging
import pathlib
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from urllib import parse

import pytest

from aggregates_ext.compute import endpoint as compute_endpoint
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.xen import answers
from aggregates_ext.compute.xen import connections
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import transport
from aggregates_ext.compute.xen import xenapi
from tests.functional import hostile
from tests.functional import service

HOSTS = {'hosts': [{'name': f'xen{number}'} for number in range(1, 5)]}
TLS = pathlib.Path(__file__).parents[1] / 'unit/compute/xen/tls'
TIME = 0.7  # seconds that a request may take here
ROUNDS = 20
LIMIT = 60  # seconds until a test is called hanging
# What the network holds of what nobody reads any more.
BUFFERS = 8 << 20
MEMBERS = ('xen1', 'xen2')
# They are about a handshake, and without TLS there is none.
NOT_OVER_TLS = {'endless_greeting', 'never_a_handshake', 'slow_greeting'}
ALL = [*hostile.MISBEHAVIOURS, *sorted(set(hostile.GREETINGS) - NOT_OVER_TLS)]
# In parts, since each site takes a while to make.
# One answer too early makes those that follow readable, and odd.
UNREADABLE = [name for name in ALL if name != 'answer_before_request']
PARTS = [UNREADABLE[number::4] for number in range(4)]


class Site:
    """Two pools, a host to join, and a hostile server before each of them.

    :ivar key: of the pool of xen1 and xen2; xen3 is free.
    :ivar other: of the pool of xen4, which is sound.
    """

    def __init__(self, running: service.Service) -> None:
        self.running = running
        self.fronts = {
            name: hostile.Hostile(running.hosts.get(name).url)
            for name in ('xen1', 'xen2', 'xen3')
        }
        for name, front in self.fronts.items():
            running.hosts.change(name, {'url': front.url})
        self.key = running.create(*MEMBERS)
        self.other = running.create('xen4', name='other')
        self._turn = 0
        running.conf.set_override('call_timeout', TIME, 'compute')
        running.conf.set_override('observe_timeout', 4 * TIME, 'compute')
        running.conf.set_override('max_answer', 1, 'compute')

    def join(self, done: Callable[[], bool]) -> None:
        """Have xen3 join, and work while the other pool is changed.

        What is sound succeeds in the end; on a busy machine it may miss its
        short time once.

        :param done: what is to become of it, within some rounds of work.
        """
        running = self.running
        if running.hosts.get('xen3').phase == 'free':
            running.members.add_host(running.ctx, self.key, 'xen3')
        self._turn += 1
        name = f'turn {self._turn}'
        running.aggregates.update(running.ctx, self.other, {'name': name})
        for _ in range(ROUNDS):
            self.forget_rests()
            with concurrent.futures.ThreadPoolExecutor(1) as aside:
                busy = aside.submit(running.manager.work_on, self.key)
                running.manager.work_on(self.other)
                changed = running.operation(self.other).state == 'succeeded'
                busy.result(LIMIT)
            if changed and done():
                return
        raise AssertionError(running.operation(self.key))

    def forget_rests(self) -> None:
        """Let all that rests be due."""
        with self.running.database.writer() as connection:
            connection.exec_driver_sql(
                'UPDATE operations SET not_before = NULL, attempts = 0'
            )

    def rests(self, *codes: str) -> bool:
        """Whether the newest operation of the pool rests, for a reason."""
        operation = self.running.operation(self.key)
        assert operation.state == 'queued', operation
        error = self.running.error(self.key)
        assert len(error['message']) < 4000
        return error['code'] in codes

    def succeeded(self) -> bool:
        """Whether the newest operation of the pool has succeeded."""
        return self.running.operation(self.key).state == 'succeeded'


def assert_bounded(front: hostile.Hostile) -> None:
    """Nobody is held any more, and not more was taken than may be."""
    waiting = threading.Event()
    for _ in range(LIMIT * 100):
        if not front.held:
            break
        waiting.wait(0.01)
    assert front.held == 0
    assert front.most_held <= 4
    largest = (1 << 20) + 2 * transport.HEAD + BUFFERS
    assert front.sent <= largest * max(1, len(front.calls), front.greeted)


@pytest.fixture
def site(
    make_service: Callable[..., service.Service],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    made = Site(make_service(HOSTS))
    monkeypatch.setattr(views, 'LOOK_TIMEOUT', TIME)
    yield made
    for front in made.fronts.values():
        front.stop()


@pytest.fixture
def make_front() -> Iterator[Callable[..., hostile.Hostile]]:
    """Makes a server with nothing behind it."""
    made = []

    def make(name: str) -> hostile.Hostile:
        made.append(hostile.Hostile('http://127.0.0.1:1'))
        made[-1].misbehave(name)
        return made[-1]

    yield make
    for front in made:
        front.stop()


@pytest.fixture
def login() -> Callable[..., xenapi.Session]:
    """Logs in at a hostile server."""

    def log_in(front: hostile.Hostile, time: float = TIME) -> xenapi.Session:
        way = transport.Transport(time, None, None, records=1 << 20)
        account = xenapi.Credential('c', 'root', 'secret')
        return xenapi.Session('xen1', front.url, account, way, ())

    return log_in


def bugs(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged of bugs, and with a traceback."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.ERROR or record.exc_info
    ]


@pytest.mark.parametrize('name', ALL)
def test_login_ends_whatever_a_host_does(
    make_front: Callable[[str], hostile.Hostile],
    login: Callable[..., xenapi.Session],
    name: str,
) -> None:
    front = make_front(name)
    # What grows is ended by its size, and by that alone.
    time = LIMIT if name.startswith(('endless', 'huge')) else TIME
    with pytest.raises(
        (failures.AnswerLost, failures.Unreachable, failures.OddAnswer)
    ) as lost:
        len(login(front, time).records('host'))
    assert time == TIME or 'within' not in str(lost.value)
    assert len(str(lost.value)) < 1000
    assert_bounded(front)


@pytest.mark.parametrize('name', ALL)
def test_what_is_no_call_ends_too(
    make_front: Callable[[str], hostile.Hostile], name: str
) -> None:
    """A page of a host is read within the same bounds."""
    front = make_front(name)
    time = LIMIT if name.startswith(('endless', 'huge')) else TIME
    way = transport.Transport(time, None, None)
    way.limit = 1 << 20
    page, said = b'', ''
    try:
        page = way.get(parse.urlsplit(front.url).netloc, '/updates')
    except (OSError, http.client.HTTPException, answers.Unreadable) as exc:
        said = str(exc)
    way.close()
    assert time == TIME or 'within' not in said
    assert len(page) <= way.limit
    assert_bounded(front)


@pytest.mark.parametrize('names', PARTS)
def test_hostile_joiner(
    site: Site, names: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The join rests, and begins again when the host is sound."""
    front = site.fronts['xen3']
    for name in names:
        front.misbehave(name)
        site.join(lambda: site.rests('ANSWER_LOST', 'HOST_UNREACHABLE'))
        front.behave()
        assert_bounded(front)
    assert bugs(caplog) == []
    site.running.conf.set_override('call_timeout', 30.0, 'compute')
    assert site.running.settle(site.key) == 'succeeded'


@pytest.mark.parametrize('names', PARTS)
def test_hostile_master(
    site: Site, names: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The join rests, and the look that failed is shown."""
    front = site.fronts['xen1']
    for name in names:
        front.misbehave(name)
        site.join(lambda: site.rests('NO_MASTER'))
        (drift,) = site.running.aggregates.get(site.key).drift
        assert drift.code == 'NO_MASTER'
        assert len(drift.message) < 4000
        front.behave()
        assert_bounded(front)
    assert bugs(caplog) == []


@pytest.mark.parametrize('names', PARTS)
def test_hostile_member(
    site: Site, names: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """It is neither the master nor the joiner: the pool is seen and changed."""
    running, front = site.running, site.fronts['xen2']
    for name in names:
        front.misbehave(name)
        running.aggregates.update(running.ctx, site.key, {'name': name})
        for _ in range(ROUNDS):
            site.forget_rests()
            running.manager.work_on(site.key)
            aggregate = running.aggregates.get(site.key)
            if (aggregate.observation or {})['name_label'] == name:
                break
        assert site.succeeded(), name
        front.behave()
        assert_bounded(front)
    assert bugs(caplog) == []
    front.misbehave('slow_body')
    site.join(site.succeeded)


@pytest.mark.parametrize(
    'name', ['slow_body', 'endless_body', 'endless_chunks', 'deep', 'a_list']
)
@pytest.mark.parametrize('class_', ['host', 'pool', 'host_metrics'])
def test_master_that_lets_us_in_and_then_misbehaves(
    site: Site, class_: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    front = site.fronts['xen1']
    front.misbehave(name, f'{class_}.get_all_records')
    site.join(lambda: site.rests('ANSWER_LOST', 'NO_MASTER'))
    assert_bounded(front)
    assert bugs(caplog) == []


def test_look_at_many_slow_hosts_ends_as_a_whole(site: Site) -> None:
    """Each answers in time, and all together do not."""
    looks = connections.Connector(site.running.conf).within(TIME)
    host = site.running.hosts.get('xen3')
    front = site.fronts['xen3']
    with contextlib.closing(looks.login(host)) as session:
        front.misbehave('slow_body')
        with pytest.raises(failures.HostError):
            session.records('host')
        front.behave()
        before = len(front.calls)
        with pytest.raises(failures.Unreachable, match='as a whole'):
            session.records('host')
    with pytest.raises(failures.Unreachable, match='as a whole'):
        looks.login(host)
    assert len(front.calls) == before


def test_hosts_that_return_leave_the_pool_its_time(site: Site) -> None:
    """However many of them are silent."""
    looks = connections.Connector(site.running.conf).within()
    shares = looks.shared(2)
    first = next(shares)
    for share in first.shared(3):
        site.fronts['xen3'].misbehave('silent')
        with pytest.raises(failures.HostError):
            share.login(site.running.hosts.get('xen3'))
    site.fronts['xen1'].behave()
    next(shares).login(site.running.hosts.get('xen1')).close()


def test_checks_of_one_host_leave_threads_for_those_of_others(
    site: Site,
) -> None:
    running, front = site.running, site.fronts['xen3']
    running.conf.set_override('call_timeout', 30.0, 'compute')
    running.conf.set_override('observe_timeout', 30.0, 'compute')
    endpoint = compute_endpoint.Endpoint(
        running.database, connections.Connector(running.conf), lambda: None
    )
    release = threading.Event()

    def keep(talk: hostile.Talk) -> None:
        release.wait(LIMIT)
        raise hostile.Gone

    front.misbehave(keep)
    # As many threads as oslo.messaging has.
    with concurrent.futures.ThreadPoolExecutor(64) as threads:
        asked = [
            threads.submit(endpoint.check_host, {}, 'xen3', None, 'contact')
            for _ in range(70)
        ]
        sound = threads.submit(
            endpoint.check_host, {}, 'xen4', None, 'contact'
        )
        assert sound.result(LIMIT)['blockers'] == []
        refused = [
            one.result()['blockers'][0]
            for one in concurrent.futures.as_completed(asked, LIMIT)
            if not release.is_set() and not _enough(asked, release)
        ]
    assert front.most_held == compute_endpoint.HOST_SHARE
    assert {problem['code'] for problem in refused} == {'TOO_MANY_CHECKS'}


def _enough(
    asked: list[concurrent.futures.Future[object]], release: threading.Event
) -> bool:
    """Let the held ones go once all the others are answered."""
    open_ = [one for one in asked if not one.done()]
    if len(open_) <= compute_endpoint.HOST_SHARE:
        release.set()
    return False


def test_answer_that_nobody_asked_for_is_not_taken_for_the_next(
    site: Site,
) -> None:
    front = site.fronts['xen3']
    connector = connections.Connector(site.running.conf)
    with contextlib.closing(
        connector.login(site.running.hosts.get('xen3'))
    ) as session:

        def twice(talk: hostile.Talk) -> None:
            talk.send(
                hostile.whole(hostile.success(['first']))
                + hostile.whole(hostile.success(['second']))
            )

        front.misbehave(twice, 'pool.get_all')
        assert session.call('pool.get_all') == ['first']
        front.behave()
        assert session.call('host.get_all') != ['second']


@pytest.fixture
def tls_front(site: Site) -> Iterator[hostile.Hostile]:
    """A hostile server with TLS before xen3."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / 'certificate.pem', TLS / 'key.pem')
    front = hostile.Hostile(site.running.sim.host('xen3').url, context)
    site.running.hosts.change('xen3', {'url': front.url})
    site.running.conf.set_override(
        'ca_file', str(TLS / 'certificate.pem'), 'xenserver'
    )
    yield front
    front.stop()


@pytest.mark.parametrize(
    'name',
    ['slow_body', 'slow_head', 'endless_body', 'endless_continues', 'silent'],
)
def test_hostile_joiner_behind_tls(
    site: Site, tls_front: hostile.Hostile, name: str
) -> None:
    tls_front.misbehave(name)
    site.join(lambda: site.rests('ANSWER_LOST'))
    assert_bounded(tls_front)
    tls_front.behave()
    site.forget_rests()
    site.running.conf.set_override('call_timeout', 30.0, 'compute')
    assert site.running.settle(site.key) == 'succeeded'


@pytest.mark.parametrize('name', sorted(hostile.GREETINGS))
def test_handshake_that_does_not_come_about(
    site: Site, tls_front: hostile.Hostile, name: str
) -> None:
    tls_front.misbehave(name)
    final = name == 'answer_before_request'
    if final:
        site.join(lambda: site.running.operation(site.key).state == 'failed')
        assert site.running.error(site.key)['code'] == 'TLS_REFUSED'
    else:
        site.join(lambda: site.rests('HOST_UNREACHABLE'))
    assert_bounded(tls_front)
    assert tls_front.calls == []


def test_values_are_counted_before_they_are_made(site: Site) -> None:
    """A hundred thousand of nothing fits into the size of a plain answer."""
    front = site.fronts['xen3']
    connector = connections.Connector(site.running.conf)
    with contextlib.closing(
        connector.login(site.running.hosts.get('xen3'))
    ) as session:
        session._transport.timeout = LIMIT
        body = hostile.wrapped(
            f'<value><array><data>{"<value/>" * 100000}</data></array></value>'
        )
        front.misbehave(lambda talk: talk.answer(body), 'pool.get_all')
        with pytest.raises(failures.AnswerLost, match='values'):
            session.call('pool.get_all')


def test_only_records_may_be_as_large_as_a_pool(site: Site) -> None:
    site.running.conf.set_override('max_answer', 3, 'compute')
    front = site.fronts['xen3']
    connector = connections.Connector(site.running.conf)
    label = 'x' * (32 << 10)
    body = hostile.success(
        {f'OpaqueRef:{n}': {'name_label': label} for n in range(64)}
    )
    with contextlib.closing(
        connector.login(site.running.hosts.get('xen3'))
    ) as session:
        session._transport.timeout = LIMIT
        front.misbehave(lambda talk: talk.answer(body))
        found = session.records('host').values()
        assert [host['name_label'] for host in found] == [label] * 64
        with pytest.raises(failures.AnswerLost, match='1024 KiB'):
            session.call('pool.get_all')
        front.behave()


def test_reason_of_any_length_is_told_in_short(site: Site) -> None:
    front = site.fronts['xen3']
    body = hostile.wrapped(f'<value><int>{"9" * 500000}</int></value>')
    front.misbehave(lambda talk: talk.answer(body))
    connector = connections.Connector(site.running.conf)
    with pytest.raises(failures.AnswerLost) as lost:
        connector.login(site.running.hosts.get('xen3'))
    assert len(str(lost.value)) < xenapi.MAX_REASON + 200


def test_memory_comes_back_after_large_answers(
    make_front: Callable[..., hostile.Hostile],
) -> None:
    """Several at once, again and again; each has 64 MiB before it is left."""
    front = make_front('endless_body')
    done = subprocess.run(
        [
            *(sys.executable, '-m', 'tests.functional.held'),
            *(parse.urlsplit(front.url).netloc, '4', '5'),
        ],
        cwd=pathlib.Path(__file__).parents[2],
        capture_output=True,
        check=True,
        text=True,
    )
    assert int(done.stdout) < 20 << 20
