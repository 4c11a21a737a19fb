"""What tells open pages that something has changed: one look at the history for all of them, whichever process wrote it."""

import asyncio
from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, suppress
from typing import Final

from restpoint._store.store import ExecutionStore
from restpoint.errors import RestpointError

INTERVAL: Final = 0.5
"""Seconds between two looks at the history. Nobody looks while no page is open."""


class Touched:
    """The executions that were touched since one page last asked."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._news = asyncio.Event()

    def add(self, ids: AbstractSet[str]) -> None:
        """These were touched, too."""
        self._ids |= ids
        self._news.set()

    async def next(self) -> AbstractSet[str]:
        """Those that were touched since the last call; waits until there are any."""
        await self._news.wait()
        self._news.clear()
        ids, self._ids = self._ids, set()
        return ids


class Changes:
    """The changes of a file, for every page that is open in this process."""

    def __init__(self, store: ExecutionStore) -> None:
        self._store = store
        self._pages: set[Touched] = set()
        self._looking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[Touched]:
        """What is touched from now on, for as long as the block runs."""
        touched = Touched()
        position, _ = await self._store.touched(None)
        self._pages.add(touched)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(position), name="restpoint:pages")
        try:
            yield touched
        finally:
            self._pages.discard(touched)
            if not self._pages and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look(self, position: int) -> None:
        while True:
            with suppress(
                RestpointError
            ):  # the storage failed, which its own log says; or the store is closed for good
                position, ids = await self._store.touched(position)
                if ids:
                    for page in self._pages:
                        page.add(frozenset(ids))
            await asyncio.sleep(INTERVAL)
