"""What one owner may take of a server: how many executions may be open, and how many may be started in a minute."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import ceil
from typing import Final

from restpoint._storage import owner_counts
from restpoint._store.store import ExecutionStore
from restpoint.errors import InvalidArgument, OwnerLimitReached

_MINUTE: Final = 60_000  # milliseconds
_RETRY_SECONDS: Final = 30  # while executions are open: nobody knows when one ends


@dataclass(frozen=True, slots=True)
class OwnerLimits:
    """The limits of each owner; None is no limit. Raises ``InvalidArgument`` for less than 1."""

    open_executions: int | None = None
    """How many executions may run or wait at the same time."""
    starts_per_minute: int | None = None
    """How many may be started within any 60 seconds. What has left the file counts no more."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise InvalidArgument(f"{name} is {value!r}; give a whole number from 1, or None for no limit.")


class OwnerLimiter:
    """Holds the limits of the owners of one file, whichever process started what they have.

    A start counts from the moment that it is admitted, so that many at once cannot pass together. Two processes that start
    something for the same owner in the same moment may exceed a limit by one.
    """

    def __init__(self, store: ExecutionStore, limits: OwnerLimits) -> None:
        self._store = store
        self._limits = limits
        self._starting: Counter[str] = Counter()

    @asynccontextmanager
    async def admitted(self, owner: str) -> AsyncIterator[None]:
        """For ``async with`` around a start. Raises ``OwnerLimitReached``."""
        self._starting[owner] += 1
        try:
            await self._check(owner, self._starting[owner] - 1)
            yield
        finally:
            self._starting[owner] -= 1
            if not self._starting[owner]:
                del self._starting[owner]

    async def _check(self, owner: str, starting: int) -> None:
        file, limits = await self._store.file(), self._limits
        if (most := limits.open_executions) is not None:
            count = await owner_counts.open_executions(file.database, owner, most)
            if count + starting >= most:
                what = f"has {most} executions that run or wait, which is the limit here"
                raise OwnerLimitReached(owner, what, _RETRY_SECONDS)
        if (most := limits.starts_per_minute) is not None:
            nth = most - starting
            at = file.clock.now() if nth < 1 else await owner_counts.nth_newest(file.database, owner, nth)
            left = 0 if at is None else at + _MINUTE - file.clock.now()
            if left > 0:
                what = f"has started {most} executions within a minute, which is the limit here"
                raise OwnerLimitReached(owner, what, min(60, ceil(left / 1000)))
