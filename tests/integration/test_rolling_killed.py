"""Services die, freeze, or hear nothing, while hosts are taken in turn.

At any of their steps: another one finishes the run, every guest has run all
the time and is at home, and what was switched off is on again.
They are restarted, or updated as each product wants it.

A run of four hosts and twelve guests has 5,000 steps, or 9,000, at some 250
places: a place is where in the program the service is, with all who called
it. ``tox -e sweep`` kills a service when it comes to each place for the first
time, freezes it when it is there for the last time, and loses what is asked
from there, and what is answered.
"""

import contextlib
import functools
import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest
from oslo_config import cfg

from aggregates_ext.compute.xen import updates
from aggregates_ext.db import operations
from aggregates_ext.xensim.plan import presets
from tests.functional import mortal
from tests.functional import relay
from tests.functional import service
from tests.functional import test_rolling
from tests.functional import test_updates

ALL = bool(os.environ.get('AGGREGATES_EXT_SWEEP_ALL'))
NEWEST = list(presets.PRESETS)[-1]
GIB = 1 << 30
NAMES = ('xen1', 'xen2', 'xen3', 'xen4')[: 4 if ALL else 3]
GUESTS = 3 if ALL else 1
# Those that are restarted.
ROLLED = NAMES if ALL else ('xen1', 'xen2')
# So many tests share the places.
PARTS = 24
REBOOT = 'Async.host.reboot'
# The products whose hosts are updated.
UPDATED = ('xenserver-8.4', 'xcp-ng-8.3')
NEWER = {'xapi_build': '26.99.0'}
# The steps of a service at which it ends; there are fewer.
POINTS = range(13, 2400, 400)
UPDATE_POINTS = range(601, 2400, 600)
# What changes something, and is to be answered.
CALLS = (
    'Async.pool.disable_ha',
    'pool.remove_from_other_config',
    'host.disable',
    'host.add_to_other_config',
    'Async.VM.pool_migrate',
    'pool.sync_database',
    REBOOT,
    'host.remove_from_other_config',
    'host.enable',
    'pool.add_to_other_config',
    'Async.pool.enable_ha',
)


class Play:
    """One run of a pool with high availability, from its request to its end."""

    def __init__(
        self,
        running: service.Service,
        key: int,
        kind: str,
    ) -> None:
        self._running = running
        self._key = key
        self._kind = kind
        self._relay = relay.Relay(running, key)
        self._before = self._settings()

    def _settings(self) -> dict[str, Any]:
        pool = self._running.sim.host('xen1').database.pool
        names = (
            'ha_enabled',
            'ha_configuration',
            'ha_host_failures_to_tolerate',
            'ha_statefiles',
            'other_config',
            'master',
        )
        return {name: pool[name] for name in names}

    def _boots(self) -> dict[str, int]:
        hosts = self._running.sim.state()['hosts']
        return {name: hosts[name]['boots'] for name in ROLLED}

    def _guests(self) -> list[dict[str, Any]]:
        rows = self._running.sim.host('xen1').database.rows('VM')
        return [row for _ref, row in rows if '-' in row['name_label']]

    def perform(
        self,
        plan: relay.Plan | None = None,
        act: relay.Act | None = None,
        lost: int = 0,
    ) -> bool:
        """Let it end, and look at what has become of the pool.

        :param plan: when ``act`` happens to the first service.
        :param lost: how many calls to reboot may not arrive.
        :returns: whether it has come to that.
        """
        running = self._running
        boots = self._boots()
        self._relay.begin(plan, act)
        uuid = running.rolling.begin(
            running.ctx,
            self._key,
            self._kind,
            {'hosts': ROLLED, 'suspend_ha': True},
        ).uuid
        for _ in range(900):
            self._relay.go_on()
            assert running.sim.harmed() == []
            states = {row['power_state'] for row in self._guests()}
            assert states == {'Running'}
            found = running.operations.get(uuid)
            if found.finished_at is not None:
                break
        self._relay.close()
        assert (found.state, found.error) == ('succeeded', None), found
        more = len(running.arrivals(REBOOT)) - len(ROLLED)
        assert 0 <= more <= lost
        assert self._boots() == {name: boots[name] + 1 for name in ROLLED}
        self._check()
        return self._relay.happened

    def _check(self) -> None:
        running = self._running
        assert self._settings() == self._before
        if self._kind == operations.ROLLING_UPDATE:
            for name in ROLLED:
                row = test_rolling.row(running, name)
                versions = row['software_version']
                assert versions['xapi_build'] == NEWER['xapi_build']
        for row in self._guests():
            home, _number = row['name_label'].split('-')
            assert running.sim.places(row['uuid']) == [home]
        for name in NAMES:
            host = running.hosts.get(name)
            assert (host.maintenance, host.disabled) == (None, False)
        assert running.state(self._key) == 'active'

    def plant(self, call: str, action: str) -> None:
        """Let the first answer to a call be lost."""
        self._running.sim.plant(call, action=action)


@pytest.fixture(params=[''])
def play(
    conf: cfg.ConfigOpts,
    database: Any,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Play]:
    """A pool with high availability, in the time of the simulated hosts.

    Its hosts are restarted, or updated if the parameter is a product.
    """
    with played(conf, request.param, monkeypatch) as made:
        yield made


@contextlib.contextmanager
def played(
    conf: cfg.ConfigOpts, product: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Play]:
    conf.set_override('retry_interval', 0.01, 'compute')
    version = product or NEWEST
    described = {'hosts': [{'name': n, 'version': version} for n in NAMES]}
    with mortal.serving(conf, described) as running:
        monkeypatch.setattr(updates, 'pause', running.clock.advance)
        yield make_play(running, product)


def make_play(running: service.Service, product: str) -> Play:
    key, sim = running.create(*NAMES), running.sim
    for name in NAMES:
        for number in range(GUESTS):
            sim.add_vm(name, f'{name}-{number}', memory=GIB)
    storage = sim.add_sr('xen1', 'nfs', shared=True, type='nfs')
    found = sim.host('xen1').database.pool['other_config']
    sim.set_pool('xen1', other_config={**found, 'auto_poweron': 'true'})
    with contextlib.closing(running.login('xen1')) as session:
        ref = session.find('SR', storage)
        session.call('pool.enable_ha', [ref], {'timeout': '60'})
    if product == test_updates.XENSERVER:
        sim.enable_repository('xen1')
    if product:
        test_updates.publish(running, product, versions=NEWER)
    running.watch(key, 0)
    return Play(
        running,
        key,
        operations.ROLLING_UPDATE if product else operations.ROLLING_REBOOT,
    )


@pytest.mark.parametrize(
    'act',
    [relay.Relay.kill, relay.Relay.freeze],
    ids=lambda act: str(act.__name__),
)
@pytest.mark.parametrize('number', POINTS)
def test_a_service_that_ends_is_followed_by_another(
    play: Play, number: int, act: relay.Act
) -> None:
    if not play.perform(relay.at_step(number), act):
        pytest.skip('the run has fewer steps')


@pytest.mark.parametrize(
    'act',
    [relay.Relay.kill, relay.Relay.freeze],
    ids=lambda act: str(act.__name__),
)
@pytest.mark.long
@pytest.mark.parametrize('number', UPDATE_POINTS)
@pytest.mark.parametrize('play', UPDATED, indirect=True)
def test_an_update_is_gone_on_with_by_another(
    play: Play, number: int, act: relay.Act
) -> None:
    if not play.perform(relay.at_step(number), act):
        pytest.skip('the run has fewer steps')


Disturb = Callable[[relay.Play, relay.Passed, int, int], None]


@pytest.mark.sweep
@pytest.mark.parametrize('part', range(PARTS))
@pytest.mark.parametrize('product', ['', *UPDATED])
@pytest.mark.parametrize(
    ('disturb', 'hook', 'lost'),
    [(relay.disturb, relay.STEP, 0), (relay.lose_answers, relay.ASKING, 1)],
    ids=['ended', 'lost'],
)
def test_each_place_is_disturbed(
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    disturb: Disturb,
    hook: str,
    lost: int,
    product: str,
    part: int,
) -> None:
    """Places that a restart comes by too are played with that alone.

    :param lost: how many calls to reboot may not arrive.
    """

    def play(kind: str, plan: relay.Plan, act: relay.Act) -> bool:
        conf = relay.fresh(str(tmp_path))
        with played(conf, kind, monkeypatch) as made:
            return made.perform(plan, act, lost)

    places = relay.passed(functools.partial(play, product), hook)
    if product:
        for place in relay.passed(functools.partial(play, ''), hook):
            places.pop(place, None)
    assert len(places) > PARTS
    disturb(functools.partial(play, product), places, part, PARTS)


@pytest.mark.parametrize(
    'action', ['drop_answer', *(['reset'] if ALL else [])]
)
@pytest.mark.parametrize('call', CALLS)
def test_a_lost_answer_is_looked_for(
    play: Play, call: str, action: str
) -> None:
    play.plant(call, action)
    play.perform(lost=1 if (call, action) == (REBOOT, 'reset') else 0)
