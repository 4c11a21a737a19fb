"""Ids of executions and waits: UUIDs of version 7 (RFC 9562, section 5.7).

A UUIDv7 begins with the time, so new rows land next to each other in an index and inserts stay fast as the file grows. It
ends with 74 random bits. Ids are not secrets: knowing one gives no right to anything.
"""

import os
from collections.abc import Callable
from typing import Final

_RANDOM_BYTES: Final = 10


def uuid7(milliseconds: int, random: bytes) -> str:
    """Make the UUID of a time (milliseconds since the epoch) from 10 random bytes, of which it uses 74 bits."""
    rest = random.hex()
    variant = "89ab"[random[9] & 3]
    return f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7{rest[:3]}-{variant}{rest[3:6]}-{rest[6:18]}"


def first_id_at(milliseconds: int) -> str:
    """What sorts before every id that was made at a time (milliseconds since the epoch) or later, and after all earlier ones."""
    return f"{max(milliseconds, 0) >> 16:08x}-{max(milliseconds, 0) & 0xFFFF:04x}"


class Identifiers:
    """Makes ids. It reads random bytes in blocks, because one system call for each id costs more than the id itself."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._block = b""
        self._used = 0

    def new(self) -> str:
        """Return a new id."""
        if self._used == len(self._block):
            self._block, self._used = os.urandom(_RANDOM_BYTES * 128), 0
        self._used += _RANDOM_BYTES
        return uuid7(self._now(), self._block[self._used - _RANDOM_BYTES : self._used])
