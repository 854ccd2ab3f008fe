"""The computed state of an aggregate: one function, one table."""

import datetime
from typing import Any

import pytest

from aggregates_ext.db import records
from aggregates_ext.domain import operations


def aggregate(**values: Any) -> records.Aggregate:
    plain: dict[str, Any] = {
        'id': 1,
        'uuid': 'u',
        'name': 'a',
        'availability_zone': None,
        'metadata': {},
        'created_at': datetime.datetime(2012, 3, 30),
        'updated_at': None,
        'deleted_at': None,
        'deleted': False,
        'pool_uuid': None,
        'credential': None,
        'master_uuid': None,
        'observation': None,
        'drift': (),
        'observed_at': None,
    }
    return records.Aggregate(**{**plain, **values})


@pytest.mark.parametrize(
    ('values', 'state'),
    [
        ({}, 'created'),
        ({'bound': 1}, 'active'),
        ({'bound': 1, 'standing': ('queued',)}, 'changing'),
        ({'bound': 1, 'standing': ('failed', 'running')}, 'changing'),
        ({'bound': 1, 'standing': ('failed',)}, 'error'),
        ({'bound': 1, 'standing': ('unresolved',)}, 'error'),
        ({'bound': 1, 'drift': ('something',)}, 'error'),
        ({'standing': ('failed',)}, 'error'),
        ({'deleted': True, 'standing': ('failed',)}, 'dismissed'),
    ],
)
def test_state(values: dict[str, Any], state: str) -> None:
    assert operations.operational_state(aggregate(**values)) == state
