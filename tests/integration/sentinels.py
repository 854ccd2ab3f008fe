"""Looks for secrets wherever they might have got to."""

import contextlib
import os
import pathlib
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator

import psutil


def in_texts(texts: Iterable[str], secrets: Collection[str]) -> list[str]:
    """Each line that holds a secret."""
    return [
        line
        for text in texts
        for line in text.splitlines()
        if any(secret in line for secret in secrets)
    ]


def in_cells(
    cells: Iterable[tuple[str, str, str]], secrets: Collection[str]
) -> set[tuple[str, str]]:
    """Table and column of every cell of a database that holds a secret."""
    return {
        (table, column)
        for table, column, value in cells
        if any(secret in value for secret in secrets)
    }


def in_processes(
    process_ids: Collection[int], secrets: Collection[str]
) -> list[str]:
    """Arguments and environment of processes and their children."""
    found = []
    for process_id in process_ids:
        parent = psutil.Process(process_id)
        for process in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                words = [*process.cmdline(), *process.environ().values()]
                found += in_texts(words, secrets)
    return found


def in_files(
    paths: Iterable[pathlib.Path], secrets: Collection[str]
) -> set[str]:
    """Names of files, below directories too, that hold a secret.

    Whose files they are may go on: what is gone meanwhile holds none.
    """
    wanted = [secret.encode() for secret in secrets]
    found = set()
    for file in _files(paths):
        with contextlib.suppress(FileNotFoundError):
            content = file.read_bytes()
            if any(secret in content for secret in wanted):
                found.add(file.name)
    return found


def _files(paths: Iterable[pathlib.Path]) -> Iterator[pathlib.Path]:
    for path in paths:
        if path.is_file():
            yield path
        for directory, _below, names in os.walk(path):
            for name in names:
                if (file := pathlib.Path(directory, name)).is_file():
                    yield file
