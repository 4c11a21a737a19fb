"""What tells open pages that something has changed: one look at the history for all of them, whichever process wrote it.

What an answer costs with many pages open depends on those that it concerns: the others are not asked.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from restpoint._store.store import ExecutionStore
from restpoint.access import Actor
from restpoint.errors import RestpointError
from restpoint.http.handlers import Handlers
from restpoint.http.problems import problem_of
from restpoint.http.sse import EventStream, event

INTERVAL: Final = 0.5
"""Seconds between two looks at the history. Nobody looks while no page is open."""
CHECK_EVERY: Final = 20.0
"""Seconds until an open page whose reader has signed out, or lost their rights, hears of that."""

_EVERYTHING: Final = ""


class Listener:
    """An open page: it hears of one execution, of the prompts and consents that some names lead to, or of everything."""

    def __init__(self, keys: Iterable[tuple[str, str]]) -> None:
        self.keys = tuple(keys)
        self.news = asyncio.Event()

    async def hears(self, seconds: float) -> bool:
        """Whether something has happened that concerns the page; waits at most so long for it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.news.wait()
        heard = self.news.is_set()
        self.news.clear()
        return heard


def of_execution(execution_id: str) -> Listener:
    """A page that shows one execution."""
    return Listener([("execution", execution_id)])


def of_names(names: Iterable[str] | None) -> Listener:
    """A page that lists what these names lead to; None: everything."""
    return Listener([(_EVERYTHING, "")] if names is None else [("name", name) for name in names])


class Changes:
    """The changes of a file, for every page that is open in this process."""

    def __init__(self, store: ExecutionStore) -> None:
        self._store = store
        self._listeners: dict[tuple[str, str], set[Listener]] = {}
        self._looking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def told(self, listener: Listener) -> AsyncIterator[None]:
        """The listener hears of what happens from now on, for as long as the block runs."""
        position, _ = await self._store.touched(None)
        for key in listener.keys:
            self._listeners.setdefault(key, set()).add(listener)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(position), name="restpoint:pages")
        try:
            yield
        finally:
            self._forget(listener)

    def _forget(self, listener: Listener) -> None:
        for key in listener.keys:
            self._listeners[key].discard(listener)
            if not self._listeners[key]:
                del self._listeners[key]
        if not self._listeners and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _look(self, position: int) -> None:
        while True:
            # The storage failed, which its own log says, or the store is closed for good.
            with suppress(RestpointError):
                position, touched = await self._store.touched(position)
                keys = {(_EVERYTHING, "")} if touched else set()
                for each in touched:
                    keys.add(("execution", each.execution_id))
                    keys.update(("name", name) for name in each.names)
                for key in keys & self._listeners.keys():
                    for listener in self._listeners[key]:
                        listener.news.set()
            await asyncio.sleep(INTERVAL)


class Live:
    """The handler of the stream that open pages follow."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._service = handlers.service
        self._changes = Changes(handlers.service.store)

    async def stream(self, request: Request) -> Response:
        """Stream that something on the page has changed; ``execution`` says which one a page is about."""
        try:
            actor = await self._handlers.actor(request)
            execution_id = request.query_params.get("execution")
            if execution_id is not None:
                await self._service.status(actor, execution_id)
        except HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - a client gets a problem, never a traceback
            return problem_of(error).response()
        events = self._events(request, actor, execution_id)
        return EventStream(events, self._handlers.long_requests, is_head=request.method == "HEAD")

    async def _events(self, request: Request, actor: Actor, execution_id: str | None) -> AsyncGenerator[bytes, None]:
        reauthenticate, policy = self._handlers.reauthenticates(request), self._service.policy
        if execution_id is not None:
            listener = of_execution(execution_id)
        else:
            listener = of_names(None if policy.sees_everything(actor) else policy.inbox_names(actor))
        async with self._changes.told(listener):
            checked = time.monotonic()
            while True:
                # What is told has nothing in it; the page asks for what is new, as whoever it is then.
                if await listener.hears(CHECK_EVERY):
                    yield event("changed", {})
                if time.monotonic() - checked >= CHECK_EVERY:
                    now, checked = await reauthenticate(), time.monotonic()
                    if now != actor:  # in other groups by now: the browser comes again by itself
                        return
                    if execution_id is not None:
                        await self._service.status(actor, execution_id)
