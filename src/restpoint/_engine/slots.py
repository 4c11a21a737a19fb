"""Slots: how many runs may work at once, and whose turn it is."""

import asyncio
from collections import deque


class Slots:
    """How many runs may work at once. Owners whose runs wait for a slot take turns; each one's runs come in their order.

    ``freed`` is set when one is free that the poller needs.
    """

    def __init__(self, limit: int, freed: asyncio.Event) -> None:
        self.free = limit
        self.saturated = False
        """Whether the poller stopped claiming because no slot was free."""
        self.queued = 0
        """How many runs wait for a slot."""
        self._freed = freed
        self.last_owner: str | None = None
        """Whose run got a slot last: the next one's turn comes then."""
        self._queues: dict[str | None, deque[asyncio.Future[None]]] = {}
        """By owner; the next one's turn comes first."""

    def try_take(self, owner: str | None) -> bool:
        """Take a slot for a run of this owner, if one is free that nobody waits for."""
        if self.free <= 0 or self.queued:
            return False
        self.free -= 1
        self.given_to(owner)
        return True

    def given_to(self, owner: str | None) -> None:
        """Note that a run of this owner got a slot."""
        self.last_owner = owner

    async def take(self, owner: str | None) -> None:
        """Wait for a slot and take it, for a run of this owner."""
        if self.try_take(owner):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(owner, deque()).append(turn)
        self.queued += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give()
            else:
                queue = self._queues.get(owner, deque())
                if turn in queue:
                    queue.remove(turn)
                    self._leave(owner, queue)
            raise

    def give(self) -> None:
        """Give a slot back."""
        while self._queues:
            owner, queue = next(iter(self._queues.items()))
            turn = queue.popleft()
            self._queues[owner] = self._queues.pop(owner)  # behind the others
            self._leave(owner, queue)
            if not turn.done():
                turn.set_result(None)
                self.given_to(owner)
                break
        else:
            self.free += 1
        if self.saturated and not self.queued:
            self._freed.set()

    def _leave(self, owner: str | None, queue: "deque[asyncio.Future[None]]") -> None:
        self.queued -= 1
        if not queue:
            del self._queues[owner]
