"""What is shown of an operation, and what never is."""

import datetime
import types
from typing import Any

import pytest

from aggregates_ext.api.edge import microversions
from aggregates_ext.api.forms import shapes
from aggregates_ext.api.resources import operations
from aggregates_ext.db import records

NOW = datetime.datetime(2012, 3, 30, 10, 11, 12, 123456)
CTX: Any = types.SimpleNamespace(can=lambda rule: None)


@pytest.mark.parametrize('shape', [shapes.Legacy(), None])
def test_operation_without_what_is_not_for_clients(
    shape: shapes.Shape | None,
) -> None:
    operation = records.Operation(
        id=5,
        uuid='0a4e6c32-9b1e-4a8e-9d57-1e0a6d1c2b3f',
        kind='remove_host',
        aggregate_id=1,
        host='x1',
        state='running',
        settled=False,
        step='eject',
        progress=50,
        attempts=1,
        not_before=None,
        begun=None,
        parameters={'accept_data_loss': ['sr'], 'disks': ['secret-disk']},
        call={'session': 'secret-session'},
        error=None,
        request_id='req-1',
        user_id='u',
        project_id='p',
        created_at=NOW,
        started_at=NOW,
        finished_at=None,
    )
    domain: Any = types.SimpleNamespace(
        operations=types.SimpleNamespace(look=lambda uuid: (operation, 0.0)),
        moves=types.SimpleNamespace(of_operation=lambda _operation: []),
    )
    used = shape or shapes.Modern(microversions.MIN)
    shown = operations.show(CTX, domain, used, operation.uuid)['operation']
    assert 'secret' not in str(shown)
    assert shown['asked'] == {'accept_data_loss': ['sr']}
    assert shown['created_at'] == (
        '2012-03-30 10:11:12.123456' if shape else '2012-03-30T10:11:12.123456'
    )
