"""Configurations are read from their own place and share nothing."""

import pathlib

import pytest
from oslo_config import cfg

from aggregates_ext import conf as options


def test_two_configurations_share_nothing() -> None:
    first, second = cfg.ConfigOpts(), cfg.ConfigOpts()
    options.parse(first, [], [])
    first.set_override('join_timeout', 5.0, 'compute')
    options.parse(second, [], [])
    assert second.compute.join_timeout == 600.0


def test_registering_twice_does_no_harm() -> None:
    conf = cfg.ConfigOpts()
    options.register_opts(conf)
    options.parse(conf, [], [])
    assert conf.api.settle_wait == 10.0


def test_file_is_looked_for_in_the_named_directory_first(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('OS_AGGREGATES_EXT_CONFIG_DIR', str(tmp_path))
    assert options.config_dirs()[0] == str(tmp_path)
    (tmp_path / 'aggregates_ext.conf').write_text('[api]\nthreads = 3\n')
    conf = cfg.ConfigOpts()
    options.parse(conf, [])
    assert conf.api.threads == 3


def test_a_directory_beside_the_file_is_read_where_it_is(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / 'a.conf'
    path.write_text('[api]\nthreads = 3\n')
    (tmp_path / 'b.conf.d').mkdir()
    (tmp_path / 'b.conf.d' / '1.conf').write_text('[api]\nthreads = 4\n')
    for further, threads in (('', 3), ('b.conf.d', 4), ('c.conf.d', 3)):
        conf = cfg.ConfigOpts()
        options.parse(conf, [], [str(path)], further=further)
        assert conf.api.threads == threads


def test_credentials_are_named_groups(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'a.conf'
    path.write_text(
        '[xenserver]\ncredentials = lab\n'
        '[xenserver:lab]\nusername = pool\npassword = p\n'
    )
    conf = cfg.ConfigOpts()
    options.parse(conf, [], [str(path)])
    group = conf[options.register_credential(conf, 'lab')]
    assert (group.username, group.password) == ('pool', 'p')


@pytest.mark.parametrize(
    'bad', ['[compute]\nlease_ttl = 0', '[api]\nauth_strategy = none']
)
def test_value_out_of_bounds_is_refused(
    tmp_path: pathlib.Path, bad: str
) -> None:
    path = tmp_path / 'a.conf'
    path.write_text(bad)
    conf = cfg.ConfigOpts()
    options.parse(conf, [], [str(path)])
    group = 'compute' if 'compute' in bad else 'api'
    name = bad.split('\n')[1].split(' ')[0]
    with pytest.raises(cfg.ConfigFileValueError):
        getattr(conf[group], name)
