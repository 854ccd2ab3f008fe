"""The API told as stories: one YAML file each, in order.

gabbi's own plugin for pytest takes every parametrized test with a colon in
its id for one of its own, so a story is run as the unittest suite it is.
"""

import os
import pathlib
import shutil
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


NAMES = sorted(path.stem for path in DIRECTORY.glob('*.yaml'))


def read(name: str, directory: pathlib.Path) -> suite.GabbiSuite:
    """The suite of one file, which can be run once.

    :param directory: an empty one: gabbi reads all files of one.
    """
    shutil.copy(DIRECTORY / f'{name}.yaml', directory)
    [found] = driver.build_tests(
        str(directory),
        unittest.TestLoader(),
        intercept=lambda: api_service.LAZY,
        fixture_module=FIXTURES,
        content_handlers=[xmlhandler.XMLHandler, jsonhandler.JSONHandler],
        test_loader_name='story',
    )
    return found


def test_no_story_is_lost() -> None:
    assert {f'{name}.yaml' for name in NAMES} == set(os.listdir(DIRECTORY))


@pytest.mark.every_database
@pytest.mark.parametrize('name', NAMES)
def test_story(
    name: str,
    database_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = unittest.TestResult()
    monkeypatch.setattr(api_service.LAZY, 'database_url', database_url)
    read(name, tmp_path_factory.mktemp('story')).run(result)
    assert result.testsRun
    failed = [text for _test, text in result.failures + result.errors]
    assert result.wasSuccessful(), '\n'.join(failed)
