"""What is shown of a pool, and what never is."""

import datetime
import types
from typing import Any

from aggregates_ext.api.forms import shapes
from aggregates_ext.api.resources import overview
from aggregates_ext.db import records
from aggregates_ext.domain import overview as domain_overview
from aggregates_ext.domain import sight

NOW = datetime.datetime(2012, 3, 30, 10, 11, 12, 123456)
CTX: Any = types.SimpleNamespace(can=lambda rule: None)


def host(
    name: str, uuid: str | None, phase: str, since: float | None = None
) -> records.Host:
    return records.Host(
        id=1,
        name=name,
        uuid=uuid,
        url=f'https://{name}',
        address='10.0.0.9',
        fingerprint=None,
        availability_zone=None,
        credential='secret-name',
        aggregate_id=1,
        phase=phase,
        phase_since=since,
        alarm='overdue' if phase == 'returning' else None,
        shown=None,
        consent=None,
    )


def seen(name: str, uuid: str) -> dict[str, Any]:
    return {
        'name_label': f'label of {name}',
        'uuid': uuid,
        'address': '10.0.0.1',
        'enabled': True,
        'live': True,
        'version': '8.3.0',
    }


def aggregate(**values: Any) -> records.Aggregate:
    fields: dict[str, Any] = {
        'id': 1,
        'uuid': 'aggregate-uuid',
        'name': 'a',
        'availability_zone': None,
        'metadata': {},
        'created_at': NOW,
        'updated_at': None,
        'deleted_at': None,
        'deleted': False,
        'pool_uuid': 'pool-uuid',
        'credential': 'secret-name',
        'master_uuid': None,
        'observation': None,
        'drift': (),
        'observed_at': None,
        **values,
    }
    return records.Aggregate(**fields)


def show_pool(*found: Any, now: float = 10.0) -> dict[str, Any]:
    shown_of, hosts = found
    looked = sight.Sight.of(
        shown_of.observation, shown_of.observed_at, now, 60.0
    )
    told = domain_overview.Pool(shown_of, hosts, [], looked, {})
    domain: Any = types.SimpleNamespace(
        overview=types.SimpleNamespace(get=lambda key: told)
    )
    shown = overview.pool(CTX, domain, shapes.Legacy(), '1')
    assert 'secret' not in str(shown)
    pool: dict[str, Any] = shown['pool']
    return pool


def test_registered_hosts_and_those_of_the_pool_are_merged() -> None:
    observation = {
        'name_label': 'a',
        'master': 'u1',
        'hosts': [seen('x1', 'u1'), seen('x3', 'u3')],
        'seen_at': 0.5,
    }
    pool = show_pool(
        aggregate(
            observation=observation,
            drift=(records.Drift('HOST_UNKNOWN', 'x3?', uuid='u3', since=1),),
            observed_at=0.5,
        ),
        [host('x1', 'u1', 'member'), host('x2', None, 'joining')],
    )
    assert pool['master'] == 'x1'
    assert pool['seen_at'] == '1970-01-01 00:00:00.500000'
    assert pool['drift'] == [
        {
            'code': 'HOST_UNKNOWN',
            'host': None,
            'message': 'x3?',
            'since': '1970-01-01 00:00:01',
        }
    ]
    assert [h['drift'] for h in pool['hosts']] == [[], [], ['HOST_UNKNOWN']]
    assert [h['seen_at'] is None for h in pool['hosts']] == [
        False,
        True,
        False,
    ]
    assert pool['uuid'] == 'pool-uuid'
    rows = [
        (h['name'], h['phase'], h['address'], h['live']) for h in pool['hosts']
    ]
    assert rows == [
        ('x1', 'member', '10.0.0.1', True),
        ('x2', 'joining', '10.0.0.9', None),
        ('label of x3', None, '10.0.0.1', True),
    ]


def test_a_master_that_is_not_registered_has_the_name_of_the_pool() -> None:
    observation = {
        'name_label': 'a',
        'master': 'u3',
        'hosts': [seen('x3', 'u3')],
    }
    pool = show_pool(aggregate(observation=observation), [])
    assert pool['master'] == 'label of x3'


def test_pool_never_seen() -> None:
    pool = show_pool(aggregate(), [host('x1', None, 'returning')])
    assert pool['master'] is None
    assert pool['seen_at'] is None
    assert pool['hosts'][0]['alarm'] == 'overdue'


def test_what_the_last_look_did_not_show_is_not_known_now() -> None:
    observation = {
        'name_label': 'a',
        'master': 'u1',
        'hosts': [seen('x1', 'u1'), seen('x3', 'u3')],
        'seen_at': 0.5,
    }
    pool = show_pool(
        aggregate(
            observation=observation,
            drift=(records.Drift('NO_MASTER', 'Nobody.', since=1),),
            observed_at=9.0,
        ),
        [host('x1', 'u1', 'member')],
    )
    assert pool['seen_at'] == '1970-01-01 00:00:00.500000'
    told = [
        (h['live'], h['enabled'], h['version'], h['drift'], h['seen_at'])
        for h in pool['hosts']
    ]
    assert (
        told
        == [(None, None, '8.3.0', ['NO_MASTER'], '1970-01-01 00:00:00.500000')]
        * 2
    )


def test_a_host_that_returns_is_not_live_for_what_was_seen_before() -> None:
    observation = {'hosts': [seen('x1', 'u1')], 'seen_at': 0.5}
    found = aggregate(observation=observation, observed_at=0.5)

    def live(phase: str, since: float) -> bool | None:
        pool = show_pool(found, [host('x1', 'u1', phase, since)])
        shown: bool | None = pool['hosts'][0]['live']
        return shown

    assert live('returning', 0.6) is None
    # Joined again by hand.
    assert live('returning', 0.4) is True
    assert live('leaving', 0.6) is True


def test_what_nobody_has_looked_at_since_is_not_known_now() -> None:
    """As when all compute services are dead: no look fails, none is made."""
    found = aggregate(
        observation={'hosts': [seen('x1', 'u1')], 'seen_at': 0.5},
        drift=(records.Drift('LABEL', 'Another.', since=0.5),),
        observed_at=0.5,
    )
    hosts = [host('x1', 'u1', 'member')]
    told = [
        (shown['live'], shown['drift'])
        for now in (10.0, 1000.0)
        for shown in show_pool(found, hosts, now=now)['hosts']
    ]
    assert told == [(True, []), (None, [])]
