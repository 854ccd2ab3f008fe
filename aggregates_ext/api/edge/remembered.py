"""What was made of short texts of clients, which send the same ones again."""

import functools
from collections.abc import Callable
from typing import TypeVar

T = TypeVar('T')

# So many of up to so many characters: half a MiB at most.
MOST = 1024
SHORT = 128


def remembered(function: Callable[..., T]) -> Callable[..., T]:
    """The same function; what it has made of short texts it makes once.

    What is long is made each time: nobody fills the memory with it.

    :param function: of texts or None alone. What it returns nobody changes;
        what it raises is raised each time.
    """
    again = functools.lru_cache(MOST)(function)

    @functools.wraps(function)
    def ask(*texts: str | None) -> T:
        for text in texts:
            if text is not None and len(text) > SHORT:
                return function(*texts)
        return again(*texts)

    return ask
