"""What keeps a process from its work is told in a sentence."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator

import yaml
from oslo_config import cfg
from oslo_log import log as logging

from aggregates_ext import exception

# With a message that is meant for whoever runs the command.
KINDS = (
    exception.AggregatesError,
    cfg.Error,
    logging.LogConfigError,
    OSError,
    UnicodeError,
    yaml.YAMLError,
)
ENDS = (*KINDS, KeyboardInterrupt)
REFUSED = 1
INTERRUPTED = 130
# What a shell makes of SIGPIPE: nobody reads on, as after "| head".
NOBODY_READS = 141


def sentence(exc: BaseException) -> str:
    """What an error tells whoever runs the command."""
    if isinstance(exc, exception.Unavailable) and exc.detail:
        return f'{exc} {exc.detail}'
    if isinstance(exc, OSError) and exc.filename is not None:
        return f'{exc.filename}: {exc.strerror}.'
    return str(exc)


def print_anything() -> None:
    """Let no terminal, whatever it can show, end a command.

    What the encoding of the output lacks is told by its number; names of
    files need not be text at all.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')


def end(exc: BaseException, refused: int = REFUSED) -> int:
    """Tell why a command ends, if anybody reads on; its exit code."""
    if isinstance(exc, BrokenPipeError):
        # What the interpreter flushes at its end goes nowhere either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS
    if isinstance(exc, KeyboardInterrupt):
        return INTERRUPTED
    print(sentence(exc), file=sys.stderr)
    return refused


@contextlib.contextmanager
def told(refused: int = REFUSED) -> Iterator[None]:
    """End the process with a sentence, not with a traceback.

    A traceback would go to the log, with all that its lines show.

    :param refused: the exit code then.
    """
    print_anything()
    try:
        yield
    except ENDS as exc:
        sys.exit(end(exc, refused))
