"""Before any pipeline: what no part of one could make sense of."""

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from aggregates_ext import exception

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Entrance:
    """Refuses what is no path at all, such as that of ``OPTIONS *``.

    Servers hand it over as it came; Paste's map of paths would end in an
    error of its own.

    :param application: the whole pipeline.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        """:raises exception.Invalid: the path does not begin with a slash."""
        path = environ.get('PATH_INFO', '')
        if path and not path.startswith('/'):
            raise exception.Invalid(
                reason=f'Malformed request url: {ascii(path[:60])} does not '
                'begin with a slash.'
            )
        return self._application(environ, start_response)
