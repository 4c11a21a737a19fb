"""What tells open pages that something has changed: one look at the history for all of them, whichever process wrote it.

What an answer costs with many pages open depends on those that it concerns: the others are not asked. A prompt that has
changed is read once, for all the lists that may have it.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from restpoint._storage import Asked
from restpoint._store.store import ExecutionStore
from restpoint.errors import NotFound, RestpointError

if TYPE_CHECKING:
    from restpoint._store.reader import Concern

INTERVAL: Final = 0.5
"""Seconds between two looks at the history. Nobody looks while no page is open."""

_MOST_PROMPTS: Final = 50
"""Where more prompts than a list has at first have changed at once, it asks for itself again."""

Key = tuple[str, str]
_EVERYTHING: Final[Key] = ("everything", "")
_EVERY_WAIT: Final[Key] = ("waits", "")


@dataclass(frozen=True, slots=True)
class ChangedPrompt:
    """A prompt that has changed, as it is now, and its row in a list: one text for all who see the same."""

    asked: Asked
    rows: dict[tuple[object, ...], str] = field(default_factory=dict)


class Listener:
    """An open page, and what it has not heard yet of the keys that it goes by.

    Only a page that lists prompts hears which of them have changed.
    """

    def __init__(self, keys: Iterable[Key], *, lists_prompts: bool = False) -> None:
        self.keys = tuple(keys)
        self.lists_prompts = lists_prompts
        self._prompts: dict[Key, ChangedPrompt] = {}
        self._has_more = False
        self._news = asyncio.Event()

    def hear(self, prompt: ChangedPrompt | None) -> None:
        """Note that a prompt has changed, or something else (None)."""
        if prompt is None or len(self._prompts) == _MOST_PROMPTS:
            self._has_more = True
        else:
            self._prompts[prompt.asked.execution_id, prompt.asked.interaction_id] = prompt
        self._news.set()

    async def hears(self, seconds: float) -> bool:
        """Whether something has happened that concerns the page; waits at most so long for it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        return self._news.is_set()

    def take(self) -> Collection[ChangedPrompt] | None:
        """The prompts that have changed since this was called before; None where something else has too."""
        prompts, has_more = self._prompts, self._has_more
        self._prompts, self._has_more = {}, False
        self._news.clear()
        return None if has_more else prompts.values()


def of_execution(execution_id: str) -> Listener:
    """A page that shows one execution."""
    return Listener([("execution", execution_id)])


def of_everything() -> Listener:
    """A page that shows executions of everybody."""
    return Listener([_EVERYTHING])


def of_inbox(names: Iterable[str] | None) -> Listener:
    """A page that lists the prompts and consents that these names lead to; None: all of them."""
    return Listener([_EVERY_WAIT] if names is None else [("name", name) for name in names], lists_prompts=True)


class Changes:
    """The changes of a file, for every page that is open in this process."""

    def __init__(self, store: ExecutionStore) -> None:
        self._store = store
        self._listeners: dict[Key, set[Listener]] = {}
        self._looking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def told(self, listener: Listener, after: int | None) -> AsyncIterator[None]:
        """The listener hears of what happens after this row of history, for as long as the block runs; None: from now on."""
        position, _ = await self._store.touched(None)
        for key in listener.keys:
            self._listeners.setdefault(key, set()).add(listener)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(position), name="restpoint:pages")
        try:
            if after is not None and after < position:
                read, touched = await self._store.touched(after)
                await self._tell(touched, {key: {listener} for key in listener.keys})
                if read < position:
                    listener.hear(None)
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
                await self._tell(touched, self._listeners)
            await asyncio.sleep(INTERVAL)

    async def _tell(self, touched: "Collection[Concern]", listeners: Mapping[Key, Collection[Listener]]) -> None:
        prompts: dict[Key, ChangedPrompt | None] = {}
        for concern in touched:
            concerned = {each for key in _keys(concern) for each in listeners.get(key, ())}
            prompt = None
            if concern.wait == "interaction" and any(each.lists_prompts for each in concerned):
                prompt = await self._prompt(concern, prompts)
            for listener in concerned:
                listener.hear(prompt if listener.lists_prompts else None)

    async def _prompt(self, concern: "Concern", known: dict[Key, ChangedPrompt | None]) -> ChangedPrompt | None:
        address = concern.execution_id, concern.wait_id or ""
        if address not in known:
            known[address] = None
            if len(known) <= _MOST_PROMPTS:
                with suppress(NotFound):  # the execution was deleted meanwhile
                    known[address] = ChangedPrompt(await self._store.asked(*address))
        return known[address]


def _keys(concern: "Concern") -> Iterable[Key]:
    yield _EVERYTHING
    yield "execution", concern.execution_id
    if concern.wait is not None:
        yield _EVERY_WAIT
        for name in concern.names:
            yield "name", name
