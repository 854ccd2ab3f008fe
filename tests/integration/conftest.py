"""Fixtures of the integration tests."""

import pathlib
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

# Before it is imported: what it asserts is told in full.
pytest.register_assert_rewrite(
    'tests.integration.processes', 'tests.integration.stories'
)

from tests.integration import processes  # noqa: E402


@pytest.fixture
def make_site(
    tmp_path: pathlib.Path, database_url: str
) -> Iterator[Callable[..., processes.Site]]:
    """Builds a site of simulated hosts, without processes yet."""
    with ExitStack() as stack:

        def make(*arguments: Any, **named: Any) -> processes.Site:
            named.setdefault('connection', database_url)
            site = processes.Site(tmp_path, *arguments, **named)
            return stack.enter_context(site)

        yield make
