"""The API told as stories: one YAML file each, in order.

gabbi's own plugin for pytest takes every parametrized test with a colon in
its id for one of its own, so a story is run as the unittest suite it is.
"""

import pathlib
import types
import unittest

import pytest
from gabbi import driver
from gabbi import suite
from gabbi.handlers import jsonhandler

from tests.functional import api_service
from tests.functional import checked_service
from tests.functional import xmlhandler

# What the files name as theirs, from wherever it is.
FIXTURES = types.SimpleNamespace(**vars(api_service) | vars(checked_service))
DIRECTORY = pathlib.Path(__file__).parent / 'gabbits'


def stories() -> dict[str, suite.GabbiSuite]:
    """The suites by the names of their files."""
    built = driver.build_tests(
        str(DIRECTORY),
        unittest.TestLoader(),
        intercept=lambda: api_service.LAZY,
        fixture_module=FIXTURES,
        content_handlers=[xmlhandler.XMLHandler, jsonhandler.JSONHandler],
        test_loader_name='story',
    )
    return {type(next(iter(s))).__name__.split('_')[0]: s for s in built}


STORIES = stories()


def test_no_story_is_lost() -> None:
    assert len(STORIES) == len(list(DIRECTORY.glob('*.yaml')))


@pytest.mark.every_database
@pytest.mark.parametrize('name', sorted(STORIES))
def test_story(
    name: str, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = unittest.TestResult()
    monkeypatch.setattr(api_service.LAZY, 'database_url', database_url)
    # A suite can be run only once.
    stories()[name].run(result)
    assert result.testsRun
    failed = [text for _test, text in result.failures + result.errors]
    assert result.wasSuccessful(), '\n'.join(failed)
