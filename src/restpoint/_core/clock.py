"""The wall clock that deadlines, leases and the sweep use. Tests replace it."""

import asyncio
import time
from typing import Final, Protocol

_LONGEST_SLEEP: Final = 30.0  # seconds; the wall clock can be set during a sleep, so it is read again after this


class Clock(Protocol):
    """The clock that a store uses."""

    def now(self) -> int:
        """Return the time in milliseconds since the epoch (UTC). It may go back, so nothing is ordered by it."""

    async def sleep_until(self, instant: int) -> None:
        """Return at ``instant`` (milliseconds since the epoch). It may return earlier, so callers check the time."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> int:
        """Return the time in milliseconds since the epoch (UTC)."""
        return time.time_ns() // 1_000_000

    async def sleep_until(self, instant: int) -> None:
        """Sleep until ``instant`` (milliseconds since the epoch), but for at most 30 seconds."""
        await asyncio.sleep(min(max(instant - self.now(), 0) / 1000, _LONGEST_SLEEP))


async def elapse(clock: Clock, duration: int) -> None:
    """Return after ``duration`` milliseconds, or as soon as the clock is seen to be set back to before the call."""
    start = clock.now()
    while start <= clock.now() < start + duration:
        await clock.sleep_until(start + duration)


async def pass_until(clock: Clock, due: int, longest: int) -> None:
    """Return at ``due`` (milliseconds since the epoch), which is at most ``longest`` milliseconds away.

    Where the clock is set back meanwhile, return ``longest`` milliseconds after that was seen, and not when the clock says
    ``due`` again: a pause or a time limit of seconds must not become one of hours.
    """
    while (now := clock.now()) < due:
        due = min(due, now + longest)
        await clock.sleep_until(due)
