"""Ids that are seen outside: UUIDs of version 7 (RFC 9562, section 5.7).

They begin with the time, so that new rows land next to each other in an index and a growing file stays fast, and end in
74 random bits. No right rests on knowing one.
"""

import os
from collections.abc import Callable
from typing import Final

_RANDOM_BYTES: Final = 10


def uuid7(milliseconds: int, random: bytes) -> str:
    """The UUID of a moment (milliseconds since the epoch) and 10 random bytes, of which 74 bits are used."""
    rest = random.hex()
    variant = "89ab"[random[9] & 3]
    return f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7{rest[:3]}-{variant}{rest[3:6]}-{rest[6:18]}"


class Identifiers:
    """Makes ids. Takes its random bytes from the system in blocks, because a call for each id costs more than the id."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._block = b""
        self._used = 0

    def new(self) -> str:
        """An id that nobody has."""
        if self._used == len(self._block):
            self._block, self._used = os.urandom(_RANDOM_BYTES * 128), 0
        self._used += _RANDOM_BYTES
        return uuid7(self._now(), self._block[self._used - _RANDOM_BYTES : self._used])
