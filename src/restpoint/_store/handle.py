"""A store's hold on its file: opens it at the first use, once, and closes it."""

import asyncio
from collections.abc import Callable

from restpoint._core.changes import Change
from restpoint._storage import (
    Observer,
)
from restpoint._store.open_file import FileOptions, OpenFile
from restpoint.errors import StoreClosed


class FileHandle:
    """The file of one store, which is opened at its first use. ``open_file`` is None until then, and after closing."""

    def __init__(self, options: FileOptions) -> None:
        self.options = options
        self.open_file: OpenFile | None = None
        self._observer: Observer | None = None
        self._subscribers: list[Callable[[Change], None]] = []
        self._opening = asyncio.Lock()
        self._closing: asyncio.Future[None] | None = None
        self._closed = False

    async def opened(self) -> OpenFile:
        """The open file, for the parts of restpoint that share it; opens it if it is not open. The store closes it."""
        if self.open_file is not None:
            return self.open_file
        async with self._opening:
            if self._closed:
                raise StoreClosed("The store is closed; make a new ExecutionStore to go on.")
            if self.open_file is None:
                self.open_file = await OpenFile.open(self.options, self._observer, self._subscribers)
        return self.open_file

    async def close(self) -> None:
        """Finish what was accepted and close the file. Prompts stay open in it; who awaits one here gets ``StoreClosed``."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)  # a caller that is cancelled leaves the closing under way, not half done

    async def _close(self) -> None:
        async with self._opening:
            self._closed = True
            if self.open_file is not None:
                try:
                    await self.open_file.close()
                finally:
                    self.open_file = None

    def subscribe(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``listener`` with every event that this process commits, right after COMMIT. Call the result to end that."""
        self._subscribers.append(listener)

        def unsubscribe() -> None:
            if listener in self._subscribers:
                self._subscribers.remove(listener)

        return unsubscribe

    def observe(self, observer: Observer | None) -> None:
        """Report each batch of writes to ``observer``, for metrics: its jobs, its seconds, how many the storage failed.

        It is called in the thread that writes, and must not call the store. There is one observer, or None.
        """
        self._observer = observer
        if self.open_file is not None:
            self.open_file.database.observe(observer)
