"""Time as a parameter: the wall clock that deadlines, leases and the sweep go by, replaceable in tests."""

import asyncio
import time
from typing import Final, Protocol

_LONGEST_SLEEP: Final = 30.0  # seconds; a wall clock can be set while a sleep is under way, so look again


class Clock(Protocol):
    """What the store needs of a clock."""

    def now(self) -> int:
        """Milliseconds since the epoch, UTC. May go back: order is never taken from it."""

    async def sleep_until(self, instant: int) -> None:
        """Return at ``instant`` (milliseconds since the epoch), or earlier for any reason."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000

    async def sleep_until(self, instant: int) -> None:
        """Sleep until ``instant``, at most half a minute."""
        await asyncio.sleep(min(max(instant - self.now(), 0) / 1000, _LONGEST_SLEEP))


async def elapse(clock: Clock, duration: int) -> None:
    """Return after ``duration`` milliseconds, or at once when the clock is set back to before it was asked."""
    begun = clock.now()
    while begun <= clock.now() < begun + duration:
        await clock.sleep_until(begun + duration)
