"""What a database would refuse is made to fit."""

import json
from typing import Any

import hypothesis
from hypothesis import strategies

from aggregates_ext.db import fitting
from aggregates_ext.db.schema import models

VALUES = strategies.recursive(
    strategies.one_of(
        strategies.none(),
        strategies.booleans(),
        strategies.integers(),
        strategies.floats(),
        strategies.text(strategies.characters(codec=None), max_size=20),
    ),
    lambda inner: strategies.one_of(
        strategies.lists(inner, max_size=3),
        strategies.dictionaries(strategies.text(max_size=5), inner),
    ),
)


@hypothesis.given(VALUES)
def test_json_is_what_every_database_takes(value: Any) -> None:
    text = json.dumps(
        fitting.fit_json(value), allow_nan=False, ensure_ascii=False
    )
    assert '\x00' not in text
    text.encode()


def test_text_is_cut_to_its_column_and_an_identity_is_not() -> None:
    fit = fitting.fit_columns(
        models.hosts,
        {'address': 'x' * 300, 'uuid': 'y' * 40, 'alarm': 'z' * 70000},
    )
    assert len(fit['address']) == 255
    assert fit['address'].endswith('…')
    assert fit['uuid'] == 'y' * 40
    assert len(fit['alarm']) == fitting.LONGEST


def test_what_fits_stays_as_it_is() -> None:
    values = {'address': '10.0.0.1', 'phase': 'free', 'shown': None}
    assert fitting.fit_columns(models.hosts, values) == values
