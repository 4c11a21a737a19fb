"""Where executions are looked after: a file on this machine, or a server. Commands need not know which."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from pydantic import BaseModel

from restpoint.access import OPERATOR, Actor
from restpoint.cli.local import existing, user_name
from restpoint.cli.options import times_to_live
from restpoint.cli.terminal import Usage
from restpoint.errors import ExecutionNotFound
from restpoint.models import Event, Execution, ExecutionListItem, HistoryItem, OpenInteraction

if TYPE_CHECKING:
    from restpoint._storage.history import HistoryEntry

CANDIDATES: Final = 10
"""How many executions an ambiguous id lists."""

_FULL_ID: Final = 36  # characters
_LOOK_EVERY: Final = 0.2  # seconds between two looks at the whole file, or
_ASK_EVERY: Final = 1.0  # at the whole of a server
_SCANNED: Final = 10_000  # executions of a server among which an abbreviated id is looked for

Filters = Mapping[str, Any]


class Place(AbstractAsyncContextManager["Place"], Protocol):
    """What the commands ask for. The errors are restpoint's."""

    async def find(self, part: str) -> str:
        """The id that begins or ends with ``part``. Raises ``ExecutionNotFound``, and ``Usage`` where several do."""

    def list(self, filters: Filters) -> AsyncIterator[ExecutionListItem]:
        """Executions, the newest first."""

    async def show(self, execution_id: str) -> Execution:
        """One execution as it is now."""

    async def answer(self, execution_id: str, interaction_id: str, response: BaseModel) -> None:
        """Answer a prompt."""

    async def consent_url(self, execution_id: str, consent_id: str) -> str:
        """Where the consent of an execution is granted; the oldest open one is meant. Empty where it is not the asker's."""

    async def cancel(self, execution_id: str, reason: str | None) -> None:
        """End an execution."""

    async def history(self, execution_id: str) -> Sequence[HistoryItem]:
        """Everything that happened to an execution."""

    def follow(self, execution_id: str | None, after: int) -> AsyncIterator[HistoryItem]:
        """What happens, as it happens: to one execution until it has ended, or to every one for ever."""


def ambiguous(part: str, found: Sequence[str]) -> Usage:
    """Several ids go by this abbreviation."""
    shown = "\n".join(found[:CANDIDATES]) + ("\n…" if len(found) > CANDIDATES else "")
    return Usage(f"{part!r} stands for several executions; type more of its beginning, or its end:\n{shown}")


def some(part: str) -> None:
    """Refuse an abbreviation that every id begins with."""
    if not part:
        raise Usage("No id is given: the one that is, is empty.\nTry: restpoint list")


class File:
    """A file on this machine. Who asks is the user of the operating system, as an operator."""

    def __init__(self, path: Path, ttl: Any) -> None:
        self._path = path
        self._ttl = ttl
        self._stack = AsyncExitStack()
        self.actor = Actor(user_name(), roles=frozenset({OPERATOR}))

    async def __aenter__(self) -> Self:
        from restpoint._core.clock import SystemClock
        from restpoint._storage.sqlite.database import Database
        from restpoint._store.store import ExecutionStore
        from restpoint.service import Desk

        opened = ExecutionStore(self._ttl, database=self._path, remember=False)
        self.store = await self._stack.enter_async_context(opened)
        self._desk = Desk(self.store)
        self._database = await Database.open(self._path, SystemClock())
        self._stack.push_async_callback(self._database.close)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def find(self, part: str) -> str:
        """As ``Place.find``; one query of the file."""
        from restpoint._storage import search

        if len(part) >= _FULL_ID:
            return part
        some(part)
        found = await search.ids_with(self._database, part, CANDIDATES + 1)
        if not found:
            raise ExecutionNotFound(part)
        if len(found) > 1:
            raise ambiguous(part, sorted(found))
        return found[0]

    async def list(self, filters: Filters) -> AsyncIterator[ExecutionListItem]:
        """As ``Place.list``."""
        cursor: str | None = None
        while True:
            page = await self._desk.list(self.actor, **filters, limit=200, cursor=cursor)
            for item in page.items:
                yield ExecutionListItem.model_validate(asdict(item))
            cursor = page.next_cursor
            if cursor is None:
                return

    async def show(self, execution_id: str) -> Execution:
        """As ``Place.show``."""
        from restpoint._storage import search

        view = await self._desk.status(self.actor, execution_id)
        record, consent = view.record, view.consent
        return Execution(
            execution_id=record.execution_id,
            status=view.status,
            workflow=record.workflow,
            owner=record.owner,
            created_at=record.created_at,
            completed_at=record.completed_at,
            expires_at=record.expires_at,
            hold=await search.hold_of(self._database, execution_id),
            interactions=[
                OpenInteraction(
                    interaction_id=pending.interaction_id,
                    prompt=pending.prompt,
                    response_url="",
                    created_at=pending.created_at,
                    deadline=pending.deadline,
                    assignees=list(pending.assignees),
                    four_eyes=pending.four_eyes,
                )
                for pending in view.prompts
            ],
            auth_url=None if consent is None else consent.auth_url,
            oauth_state=None if consent is None else consent.oauth_state,
            result=record.result,
            error=record.error,
            error_code=record.error_code,
        )

    async def answer(self, execution_id: str, interaction_id: str, response: BaseModel) -> None:
        """As ``Place.answer``."""
        await self._desk.answer(self.actor, execution_id, interaction_id, response)

    async def consent_url(self, execution_id: str, consent_id: str) -> str:
        """As ``Place.consent_url``. The owner ``local`` is whoever works on this machine: a server without tokens says so."""
        from restpoint._core.clock import SystemClock
        from restpoint.oauth.keyring import vault_for
        from restpoint.oauth.signed_links import SignedLinks, page_path, with_ticket

        record = (await self._desk.status(self.actor, execution_id)).record
        consent = next((each for each in record.pending_oauths if each.consent_id == consent_id), None)
        if consent is None or record.owner not in {None, "local", self.actor.id}:
            return ""
        if consent.provider is None:
            return consent.auth_url
        base = os.environ.get("RESTPOINT_PUBLIC_URL")
        url = f"{base.rstrip('/')}{page_path(execution_id, consent_id)}" if base else consent.auth_url
        links = SignedLinks(vault_for(self._path, None, os.environ), {}, None)
        person = record.owner or self.actor.id
        return url and with_ticket(url, links.ticket(execution_id, consent_id, person, SystemClock().now()))

    async def cancel(self, execution_id: str, reason: str | None) -> None:
        """As ``Place.cancel``."""
        await self._desk.cancel(self.actor, execution_id, reason)

    async def history(self, execution_id: str) -> Sequence[HistoryItem]:
        """As ``Place.history``."""
        return [_item(entry) for entry in await self._desk.history(self.actor, execution_id)]

    async def follow(self, execution_id: str | None, after: int) -> AsyncIterator[HistoryItem]:
        """As ``Place.follow``. The whole file is looked at five times a second."""
        from restpoint._storage import history, search

        if execution_id is not None:
            async for entry in self._desk.follow(self.actor, execution_id, after=after):
                yield _item(entry)
            return
        position = await history.last_sequence(self._database)
        while True:
            for entry in await search.happened_since(self._database, position):
                position = entry.sequence
                yield _item(entry)
            await asyncio.sleep(_LOOK_EVERY)


class Server:
    """A server, by its HTTP interface. Who asks is whoever the token says."""

    def __init__(self, url: str, token: str | None) -> None:
        from restpoint.client.client import Client

        self._client = Client(url, token)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.close()

    async def find(self, part: str) -> str:
        """As ``Place.find``, among the newest ten thousand that this client may see."""
        if len(part) >= _FULL_ID:
            return part
        some(part)
        beginning, ending, scanned = [], [], 0
        async for item in self._client.list(page_size=1_000):
            scanned += 1
            if item.execution_id.startswith(part):
                beginning.append(item.execution_id)
            elif item.execution_id.endswith(part):
                ending.append(item.execution_id)
            if scanned >= _SCANNED:
                break
        found = beginning or ending
        if not found:
            raise ExecutionNotFound(part)
        if len(found) > 1:
            raise ambiguous(part, sorted(found))
        return found[0]

    def list(self, filters: Filters) -> AsyncIterator[ExecutionListItem]:
        """As ``Place.list``."""
        return self._client.list(**filters)

    async def show(self, execution_id: str) -> Execution:
        """As ``Place.show``."""
        return await self._client.status(execution_id)

    async def answer(self, execution_id: str, interaction_id: str, response: BaseModel) -> None:
        """As ``Place.answer``."""
        await self._client.answer(execution_id, interaction_id, response)

    async def consent_url(self, execution_id: str, consent_id: str) -> str:  # noqa: ARG002 - a server shows the oldest
        """As ``Place.consent_url``."""
        return (await self._client.status(execution_id)).auth_url or ""

    async def cancel(self, execution_id: str, reason: str | None) -> None:
        """As ``Place.cancel``."""
        await self._client.cancel(execution_id, reason)

    async def history(self, execution_id: str) -> Sequence[HistoryItem]:
        """As ``Place.history``."""
        return await self._client.history(execution_id)

    async def start(self, workflow: str, given: Any, wait: float, key: str | None) -> Execution:
        """Start a workflow."""
        return await self._client.start(workflow, given, wait=wait, idempotency_key=key)

    async def follow(self, execution_id: str | None, after: int) -> AsyncIterator[HistoryItem]:
        """As ``Place.follow``. Every execution means the newest hundred, asked for each second."""
        if execution_id is not None:
            async for event in self._client.events(execution_id, after=after):
                yield _of_event(execution_id, event)
            return
        seen: dict[str, tuple[str, int]] | None = None
        while True:
            now: dict[str, tuple[str, int]] = {}
            news = []
            async for item in self._client.list(page_size=100):
                now[item.execution_id] = (item.status, item.open_waits)
                if seen is not None and seen.get(item.execution_id) != now[item.execution_id]:
                    news.append(item)
                if len(now) >= 100:
                    break
            for item in reversed(news):
                yield HistoryItem(
                    sequence=0,
                    execution_id=item.execution_id,
                    event="seen",
                    to_status=item.status,
                    time=time.time(),
                    detail={"workflow": item.workflow, "open_waits": item.open_waits},
                )
            seen = now
            await asyncio.sleep(_ASK_EVERY)


def place(database: str, url: str | None, ttl: Sequence[str] | None = None) -> File | Server:
    """The place that the options of a command mean; ``ttl`` as it is typed, else as RESTPOINT_TTL or the file has it."""
    if url is not None:
        return Server(url, os.environ.get("RESTPOINT_TOKEN") or None)
    # Also a command that only looks lets deadlines fire that have come: what they end stays as long as elsewhere.
    return File(existing(database), times_to_live(ttl or [os.environ.get("RESTPOINT_TTL", "")]))


def file_place(database: str) -> File:
    """The file that commands work on which no server does for others."""
    place_here = place(database, None)
    assert isinstance(place_here, File)  # noqa: S101 - no url was given
    return place_here


def _item(entry: "HistoryEntry") -> HistoryItem:
    return HistoryItem.model_validate(asdict(entry))


def _of_event(execution_id: str, event: Event) -> HistoryItem:
    data = event.data if isinstance(event.data, dict) else {}
    told = {name: value for name, value in data.items() if name in HistoryItem.model_fields}
    return HistoryItem.model_validate(
        {"time": time.time(), **told, "sequence": event.sequence, "event": event.event, "execution_id": execution_id}
    )
