"""Slots: how many runs may work at once in a process."""

import asyncio
from collections import deque


class Slots:
    """How many runs may work at once. First come, first served."""

    def __init__(self, limit: int) -> None:
        self.free = limit
        self.saturated = False
        """Whether whoever claims runs stopped because none was free."""
        self._queue: deque[asyncio.Future[None]] = deque()

    def try_take(self) -> bool:
        """Take a free slot, if there is one that nobody waits for."""
        if self.free <= 0 or self._queue:
            return False
        self.free -= 1
        return True

    async def take(self) -> None:
        """Wait for a slot."""
        if self.try_take():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()
            else:
                self._queue.remove(turn)
            raise

    def give(self) -> None:
        """Give a slot back."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1

    @property
    def queued(self) -> int:
        """How many wait for one."""
        return len(self._queue)
