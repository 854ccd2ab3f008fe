"""SIGHUP: which options change, and what the log is told of it."""

import functools
import logging
import pathlib
from collections.abc import Iterator

import pytest
from oslo_config import cfg
from oslo_config import sources

from aggregates_ext import conf as settings
from aggregates_ext.cmd import signals

OLD, NEW = 'the-old-password', 'the-new-password'


class Service:
    """A configuration that has been read, and its file."""

    def __init__(self, file: pathlib.Path) -> None:
        self._file = file
        self.conf = cfg.ConfigOpts()
        self.read = functools.partial(
            settings.parse_service, args=['--config-file', str(file)]
        )

    def write(self, password: str, **compute: object) -> None:
        lines = [f'{name} = {value}' for name, value in compute.items()]
        self._file.write_text(
            '[xenserver]\ncredentials = default\n'
            f'[xenserver:default]\npassword = {password}\n'
            '[compute]\n' + '\n'.join(lines)
        )

    @property
    def password(self) -> str:
        group = settings.register_credential(self.conf, 'default')
        return str(self.conf[group].password)


class Keys(sources.ConfigurationSource):
    """Another source than files, as castellan is one."""

    username = 'before'

    def get(
        self, group_name: str, option_name: str, opt: cfg.Opt
    ) -> tuple[object, object]:
        if (group_name, option_name) == ('xenserver:default', 'username'):
            where = cfg.LocationInfo(cfg.Locations.user, 'keys')
            return self.username, where
        return sources._NoValue, None


@pytest.fixture
def service(tmp_path: pathlib.Path) -> Service:
    service = Service(tmp_path / 'aggregates_ext.conf')
    service.write(OLD, poll_interval=2, workers=3)
    service.read(service.conf)
    assert service.password == OLD
    return service


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What is logged, down to the last detail."""
    caplog.set_level(logging.DEBUG)
    logger = logging.getLogger('oslo_config.cfg')
    logger.addFilter(signals.tells_no_values)
    lines: list[str] = []
    caplog.handler.addFilter(lambda r: lines.append(r.getMessage()) or True)
    yield lines
    logger.removeFilter(signals.tells_no_values)


def test_what_can_change_is_taken_over(
    service: Service, log: list[str]
) -> None:
    service.write(NEW, poll_interval=5, workers=9)
    signals.reload(service.conf, service.read)
    assert service.password == NEW
    assert service.conf.compute.poll_interval == 5
    assert service.conf.compute.workers == 3
    text = '\n'.join(log)
    assert 'Ignoring change to immutable option compute.workers' in text
    assert '[compute] poll_interval, [xenserver:default] password' in text


def test_other_sources_are_asked_again(service: Service) -> None:
    keys = Keys()
    service.conf._sources.append(keys)
    group = service.conf['xenserver:default']
    assert group.username == 'before'
    keys.username = 'after'
    assert group.username == 'before'
    signals.reload(service.conf, service.read)
    assert group.username == 'after'


def test_log_of_a_change_has_no_password(
    service: Service, log: list[str]
) -> None:
    service.write(NEW)
    signals.reload(service.conf, service.read)
    assert '[xenserver:default] password' in '\n'.join(log)
    assert OLD not in '\n'.join(log)
    assert NEW not in '\n'.join(log)


@pytest.mark.parametrize(
    'compute', [{'poll_interval': 'soon'}, {'poll_interval': 0}]
)
def test_a_wrong_value_changes_nothing(
    service: Service, log: list[str], compute: dict[str, object]
) -> None:
    service.write(NEW, **compute)
    signals.reload(service.conf, service.read)
    assert service.password == OLD
    assert service.conf.compute.poll_interval == 2
    assert 'poll_interval' in '\n'.join(log)


def test_a_file_that_is_gone_changes_nothing(
    service: Service, tmp_path: pathlib.Path, log: list[str]
) -> None:
    (tmp_path / 'aggregates_ext.conf').unlink()
    signals.reload(service.conf, service.read)
    assert service.password == OLD
    assert 'not taken over' in '\n'.join(log)
