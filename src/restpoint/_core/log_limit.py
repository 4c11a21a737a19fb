"""Log lines that a fault would repeat for every request: at most one a second."""

import logging
import time
from typing import Final

_SECOND: Final = 1.0


class LogLimit:
    """Lets one line a second through, and tells with the next one how many it kept back."""

    def __init__(self) -> None:
        self._next = 0.0
        self._kept_back = 0

    def error(self, log: logging.Logger, message: str, *arguments: object) -> None:
        """Log an error, unless one was logged within the last second, by whichever logger."""
        now = time.monotonic()
        if now < self._next:
            self._kept_back += 1
            return
        self._next = now + _SECOND
        kept_back, self._kept_back = self._kept_back, 0
        if kept_back:
            message, arguments = f"{message} (and %d more such failures since)", (*arguments, kept_back)
        log.error(message, *arguments)


STORAGE_FAILURES: Final = LogLimit()
"""For the failures of files that this process has open."""
