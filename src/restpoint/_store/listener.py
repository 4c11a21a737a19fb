"""The listener: reads what other processes append to the history, so that their answers wake whoever waits here."""

import asyncio
import logging
import weakref
from typing import Any, Final

from restpoint._storage import Database, history
from restpoint._store.identity_map import Records
from restpoint.errors import StorageError

log = logging.getLogger(__name__)

INTERVAL: Final = 0.1
"""Seconds between two looks at the file. The listener does not look while nobody waits."""

_MOST: Final = 2_000  # rows; further behind than that, it is cheaper to read every held record again


Waiter = asyncio.Future[Any] | asyncio.Event


def _waits(waiter: Waiter | None) -> bool:
    if waiter is None:
        return False
    return not (waiter.is_set() if isinstance(waiter, asyncio.Event) else waiter.done())


class Listener:
    """Follows the history after ``position``, and reloads the records that its rows concern."""

    def __init__(self, database: Database, position: int, records: Records) -> None:
        self._database = database
        self._position = position
        self._records = records
        self._waiters: list[weakref.ref[Waiter]] = []  # pruned when it has doubled
        self._pruned_at = 1_000
        self._someone = asyncio.Event()

    def watch(self, waiter: Waiter) -> None:
        """Follow the history until the waiter is done or garbage-collected."""
        if not self._waiters:
            self._someone.set()
        self._waiters.append(weakref.ref(waiter))
        if len(self._waiters) > self._pruned_at:
            self._waiters = [reference for reference in self._waiters if _waits(reference())]
            self._pruned_at = max(2 * len(self._waiters), 1_000)

    async def has_heard_all(self) -> bool:
        """Whether the records are as new as the file was at the call.

        If this process is writing, this waits for COMMIT first, which is cheaper than reading the file.
        """
        newest = self._database.newest()
        if newest is not None and newest > self._position:
            await self._database.delivery()
        return newest is not None and newest <= self._position

    def anyone_waits(self) -> bool:
        """Whether a waiter is not done."""
        return any(_waits(reference()) for reference in reversed(self._waiters))

    def committed(self, first: int, last: int) -> None:
        """Skip rows that this process wrote, unless another process wrote rows before them."""
        if first == self._position + 1:
            self._position = last

    async def run(self) -> None:
        """Follow the history while anyone waits, until cancelled."""
        while True:
            await self._someone.wait()
            try:
                await self._look()
            except StorageError:
                log.exception("the history could not be followed; trying again")
            if self.anyone_waits():
                await asyncio.sleep(INTERVAL)
            else:
                self._waiters.clear()
                self._someone.clear()

    async def _look(self) -> None:
        if await self.has_heard_all():
            return
        rows = await history.touched_since(self._database, self._position, _MOST)
        most = len(rows) >= _MOST
        # Wait until the records have heard of this process's own rows among these.
        await self._database.delivery()
        rows = [row for row in rows if row[0] > self._position]
        if not rows:
            return
        if not most:
            touched = {execution_id for _, execution_id in rows if execution_id is not None}
            concerned = [execution_id for execution_id in touched if execution_id in self._records]
            if any(execution_id is None for _, execution_id in rows):
                concerned += self._records.ended()  # a sweep names its executions only in the detail
            position = rows[-1][0]
        else:
            position = await history.last_sequence(self._database)
            concerned = self._records.all()
        for execution_id in concerned:
            try:
                await self._records.load(execution_id)
            except StorageError:
                raise
            except Exception:  # one that cannot be read must not keep the others from being woken
                log.exception("execution %s could not be followed", execution_id)
        self._position = max(self._position, position)
