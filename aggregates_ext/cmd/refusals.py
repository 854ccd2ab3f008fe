"""What keeps a command from beginning is told in a sentence."""

import contextlib
import sys
from collections.abc import Iterator

import yaml
from oslo_config import cfg

from aggregates_ext import exception

# With a message that is meant for whoever runs the command.
KINDS = (exception.AggregatesError, cfg.Error, OSError, yaml.YAMLError)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """End the process with 1 and a sentence, not with a traceback.

    A traceback would go to the log, with all that its lines show.
    """
    try:
        yield
    except KINDS as exc:
        print(exc, file=sys.stderr)
        sys.exit(1)
