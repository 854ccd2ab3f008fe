"""First contact: the certificates of hosts, shown and judged."""

import json
import pathlib
from collections.abc import Callable

import pytest

from aggregates_ext.cmd import manage
from tests.functional import service
from tests.functional import test_credentials

Make = Callable[..., service.Service]


@pytest.fixture(autouse=True)
def logging_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps the commands from setting logging up for all other tests."""
    monkeypatch.setattr(manage.logging, 'setup', lambda *args: None)


class Site:
    """Two hosts with certificates, and nothing that is registered yet.

    :ivar seen: the fingerprints of their certificates.
    """

    def __init__(
        self, running: service.Service, directory: pathlib.Path
    ) -> None:
        names = ('xen1', 'xen2')
        urls = {name: running.hosts.get(name).url for name in names}
        self.seen = {
            name: test_credentials.fingerprint(running, name) for name in names
        }
        for name in names:
            running.hosts.remove(name)
        self.file = directory / 'hosts.yaml'
        self.file.write_text(
            json.dumps([{'name': n, 'url': url} for n, url in urls.items()])
        )
        self._running = running
        self._conf = directory / 'aggregates_ext.conf'
        self._conf.write_text(
            '[database]\n'
            f'connection = sqlite:///{directory}/aggregates_ext.sqlite'
        )

    def add(self, *options: str) -> int:
        config = ('--config-file', str(self._conf))
        file = ('--file', str(self.file))
        return manage.main([*config, 'host', 'add', *file, *options])

    def registered(self) -> dict[str, str | None]:
        found = self._running.hosts.get_all()
        return {host.name: host.fingerprint for host in found}


@pytest.fixture
def site(make_service: Make, tmp_path: pathlib.Path) -> Site:
    hosts = [{'name': 'xen1'}, {'name': 'xen2'}]
    return Site(make_service({'tls': True, 'hosts': hosts}), tmp_path)


def test_each_certificate_is_shown_and_asked_for(
    site: Site,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter(['y', ''])
    monkeypatch.setattr('builtins.input', lambda _prompt: next(answers))
    assert site.add('--ask') == 1
    said = capsys.readouterr().out
    for digits in site.seen.values():
        assert digits in said.replace(':', '').lower()
    assert 'xen2 is left out' in said
    assert site.registered() == {'xen1': site.seen['xen1']}


def test_trust_on_first_use_asks_nobody(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert site.add('--trust-on-first-use') == 0
    assert 'is believed' in capsys.readouterr().out
    assert site.registered() == site.seen


def test_without_either_nothing_is_looked_at(site: Site) -> None:
    assert site.add() == 0
    assert site.registered() == {'xen1': None, 'xen2': None}


def test_without_anybody_to_ask_nothing_is_registered(
    site: Site,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def end(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr('builtins.input', end)
    assert site.add('--ask') == 1
    assert 'needs somebody who answers' in capsys.readouterr().err
    assert site.registered() == {}


def test_a_silent_host_is_left_out(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = json.loads(site.file.read_text())
    listed.append({'name': 'xen3', 'url': 'https://127.0.0.1:1'})
    site.file.write_text(json.dumps(listed))
    assert site.add('--trust-on-first-use') == 1
    assert 'xen3 at https://127.0.0.1:1 is left out: ' in (
        capsys.readouterr().out
    )
    assert site.registered() == site.seen
