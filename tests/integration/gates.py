"""Where a process that ``forkserver`` made waits at a COMMIT."""

import contextlib
import os
import pathlib


class Gate:
    """A FIFO that the process reads until somebody opens the gate."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.file = directory / 'gate'
        self.file.unlink(missing_ok=True)
        os.mkfifo(self.file)
        self._end: int | None = None

    def is_reached(self) -> bool:
        """Whether the service waits there; then it does until ``open``."""
        if self._end is None:
            with contextlib.suppress(OSError):
                # Refused while nobody reads at the other end.
                self._end = os.open(self.file, os.O_WRONLY | os.O_NONBLOCK)
        return self._end is not None

    def open(self) -> None:
        """Let the service pass."""
        if self._end is not None:
            os.close(self._end)
            self._end = None
