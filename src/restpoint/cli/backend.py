"""The two backends of the commands on executions: a file on this machine, or a server over HTTP."""

import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack

from pydantic import BaseModel

from restpoint.access import LOCAL, OPERATOR, Actor
from restpoint.cli.options import existing, times_to_live, user_name
from restpoint.errors import ExecutionNotFound, NotAllowed
from restpoint.events import EventKind
from restpoint.models import (
    Event,
    Execution,
    ExecutionListItem,
    Failure,
    HistoryItem,
    InboxItem,
    Notification,
    OpenInteraction,
    Reminders,
    StepUnderWay,
)

if TYPE_CHECKING:
    from restpoint._core.execution_row import StartOptions
    from restpoint._storage import HistoryEntry
from restpoint.cli.abbreviations import CANDIDATES, find_on_server, is_whole, only_one


async def _answers(history: Awaitable[Sequence[HistoryItem]]) -> Sequence[HistoryItem]:
    try:
        return [item for item in await history if item.kind is EventKind.INTERACTION_ANSWERED]
    except (ExecutionNotFound, NotAllowed):
        return []


async def _asked(
    show: Callable[[str], Awaitable[Execution]], execution_ids: Sequence[str]
) -> dict[str, OpenInteraction]:
    """The oldest open prompt of each of these executions, by its id; those that ask nothing any more are left out."""
    asked = {}
    for execution_id in execution_ids:
        with suppress(ExecutionNotFound):
            if prompts := (await show(execution_id)).interactions:
                asked[execution_id] = prompts[0]
    return asked


class FileBackend:
    """A file on this machine. The actor is the user of the operating system, as an operator.

    Its methods, and those of ``ServerBackend``, raise ``RestpointError``.
    """

    def __init__(self, path: Path, ttl: Any) -> None:
        from restpoint._store.store import ExecutionStore
        from restpoint.service import Service

        self._path = path
        self.actor = Actor(user_name(), roles=frozenset({OPERATOR}))
        self.store = ExecutionStore(ttl, database=path, remember=False)
        self._service = Service(self.store)

    async def __aenter__(self) -> Self:
        self._database = (await self.store.file()).database
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.store.close()

    async def find(self, part: str) -> str:
        """Return the id that begins or ends with ``part``. Raises ``ExecutionNotFound``, and ``Usage`` if there are several."""
        from restpoint._storage import search

        if is_whole(part):
            return part
        return only_one(part, await search.ids_with(self._database, part, CANDIDATES + 1))

    async def list(self, **filters: Any) -> AsyncIterator[ExecutionListItem]:
        """Yield executions, the newest first. The filters are those of ``ExecutionStore.list``."""
        cursor: str | None = None
        while True:
            page = await self._service.list(self.actor, **filters, limit=200, cursor=cursor)
            for item in page.items:
                yield ExecutionListItem.model_validate(asdict(item))
            cursor = page.next_cursor
            if cursor is None:
                return

    async def show(self, execution_id: str) -> Execution:
        """Return one execution."""
        view = await self._service.status(self.actor, execution_id)
        record, consent = view.record, view.consent
        execution = Execution.model_validate(asdict(record.summary))
        shown = (
            "interaction_id",
            "prompt",
            "created_at",
            "deadline",
            "four_eyes",
            "due",
            "claimed_by",
            "claimed_at",
            "votes",
        )
        execution.interactions = [
            OpenInteraction(
                **{name: getattr(pending, name) for name in shown},
                response_url="",
                assignees=list(pending.assignees),
                voted=list(pending.voted),
                priority=record.priority if pending.priority is None else pending.priority,
                reminders=None if pending.reminders is None else Reminders(**asdict(pending.reminders)),
            )
            for pending in view.prompts
        ]
        execution.auth_url = None if consent is None else consent.auth_url
        execution.oauth_state = None if consent is None else consent.oauth_state
        execution.result = record.result
        told = await self._service.notifications(view)
        execution.notifications = [Notification.model_validate(each) for each in told]
        progress, failure = await self._service.progress(view), await self._service.failure(self.actor, view)
        execution.problem, execution.sleeping_until = progress.problem, progress.sleeping_until
        execution.steps = [StepUnderWay.model_validate(asdict(step)) for step in progress.steps]
        execution.failure = None if failure is None else Failure.model_validate(asdict(failure))
        return execution

    async def asked(self, execution_ids: Sequence[str]) -> dict[str, OpenInteraction]:
        """Return the oldest open prompt of each of these executions that asks something, by its id."""
        return await _asked(self.show, execution_ids)

    async def answer(self, execution_id: str, interaction_id: str, response: BaseModel) -> None:
        """Answer a prompt."""
        await self._service.answer(self.actor, execution_id, interaction_id, response)

    async def inbox(self, *, workflow: str | None = None) -> AsyncIterator[InboxItem]:
        """Yield the open prompts that the actor may answer, the most urgent first."""
        cursor: str | None = None
        while True:
            page = await self._service.inbox(self.actor, workflow=workflow, limit=200, cursor=cursor)
            for item in page.items:
                yield InboxItem.model_validate(asdict(item))
            cursor = page.next_cursor
            if cursor is None:
                return

    async def claim(self, execution_id: str, interaction_id: str) -> None:
        """Claim a prompt."""
        await self._service.claim(self.actor, execution_id, interaction_id)

    async def unclaim(self, execution_id: str, interaction_id: str, reason: str | None) -> None:
        """End the claim of a prompt."""
        await self._service.release(self.actor, execution_id, interaction_id, reason)

    async def delegate(self, execution_id: str, interaction_id: str, to: str, reason: str | None) -> None:
        """Hand a prompt on."""
        await self._service.delegate(self.actor, execution_id, interaction_id, to, reason)

    async def reassign(self, execution_id: str, interaction_id: str, to: Sequence[str], reason: str | None) -> None:
        """Address a prompt to others."""
        await self._service.reassign(self.actor, execution_id, interaction_id, to, reason)

    async def consent_url(self, execution_id: str, consent_id: str) -> str:
        """Return the link to the page of an open consent; empty if it belongs to someone else.

        A server without tokens records the owner ``local``: the user of this machine.
        """
        from restpoint._core.clock import SystemClock
        from restpoint.oauth.keyring import vault_for
        from restpoint.oauth.signed_links import SignedLinks, page_path, with_ticket

        record = (await self._service.status(self.actor, execution_id)).record
        consent = next((each for each in record.pending_oauths if each.consent_id == consent_id), None)
        if consent is None or record.owner not in {None, LOCAL, self.actor.id}:
            return ""
        if consent.provider is None:
            return consent.auth_url
        base = os.environ.get("RESTPOINT_PUBLIC_URL")
        url = f"{base.rstrip('/')}{page_path(execution_id, consent_id)}" if base else consent.auth_url
        links = SignedLinks(vault_for(self._path, None, os.environ), {}, None)
        person = record.owner or self.actor.id
        return url and with_ticket(url, links.ticket(execution_id, consent_id, person, SystemClock().now()))

    async def cancel(self, execution_id: str, reason: str | None) -> None:
        """Cancel an execution."""
        await self._service.cancel(self.actor, execution_id, reason)

    async def retry(self, execution_id: str, reason: str | None) -> None:
        """Let a failed execution go on at the call that failed."""
        await self._service.retry(self.actor, execution_id, reason)

    async def history(self, execution_id: str) -> Sequence[HistoryItem]:
        """Return the history of an execution."""
        items: list[HistoryItem] = []
        after: int | None = 0
        while after is not None:
            page = await self._service.history(self.actor, execution_id, after=after)
            items += map(_item, page.items)
            after = page.next_after
        return items

    async def answers(self, execution_id: str) -> Sequence[HistoryItem]:
        """Return the rows of history that tell of answers; none where the actor may not read the history."""
        return await _answers(self.history(execution_id))

    async def follow(
        self, execution_id: str | None, after: int, *, workflow: str | None = None, events: Sequence[str] = ()
    ) -> AsyncGenerator[HistoryItem, None]:
        """Yield events as they happen: of one execution until it has ended, or of all executions without end.

        Of all executions, only those of a ``workflow`` and only these ``events``, where any are given.
        """
        if execution_id is not None:
            async for entry in self._service.follow(self.actor, execution_id, after=after):
                yield _item(entry)
            return
        from restpoint.service import Gap, Position

        happening = self._service.feed(self.actor, workflow=workflow, events=EventKind.read(events))
        async with aclosing(happening) as feed:
            async for each in feed:
                if not isinstance(each, Position | Gap):  # from now on nothing can be missing
                    yield _item(each)


class ServerBackend:
    """A server, over HTTP. The token of the environment determines the actor."""

    def __init__(self, url: str, token: str | None) -> None:
        from restpoint.client.client import Client

        self._client = Client(url, token)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def find(self, part: str) -> str:
        """As ``FileBackend.find``, see ``find_on_server``."""
        return await find_on_server(self._client, part)

    def list(self, **filters: Any) -> AsyncIterator[ExecutionListItem]:
        """As ``FileBackend.list``."""
        return self._client.list(**filters)

    async def show(self, execution_id: str) -> Execution:
        """As ``FileBackend.show``."""
        return await self._client.status(execution_id)

    async def asked(self, execution_ids: Sequence[str]) -> dict[str, OpenInteraction]:
        """As ``FileBackend.asked``."""
        return await _asked(self.show, execution_ids)

    async def answer(self, execution_id: str, interaction_id: str, response: BaseModel) -> None:
        """As ``FileBackend.answer``."""
        await self._client.answer(execution_id, interaction_id, response)

    def inbox(self, *, workflow: str | None = None) -> AsyncIterator[InboxItem]:
        """As ``FileBackend.inbox``."""
        return self._client.inbox(workflow=workflow)

    async def claim(self, execution_id: str, interaction_id: str) -> None:
        """As ``FileBackend.claim``."""
        await self._client.claim(execution_id, interaction_id)

    async def unclaim(self, execution_id: str, interaction_id: str, reason: str | None) -> None:
        """As ``FileBackend.unclaim``."""
        await self._client.release(execution_id, interaction_id, reason)

    async def delegate(self, execution_id: str, interaction_id: str, to: str, reason: str | None) -> None:
        """As ``FileBackend.delegate``."""
        await self._client.delegate(execution_id, interaction_id, to, reason)

    async def reassign(self, execution_id: str, interaction_id: str, to: Sequence[str], reason: str | None) -> None:
        """As ``FileBackend.reassign``."""
        await self._client.reassign(execution_id, interaction_id, to, reason)

    async def consent_url(self, execution_id: str, _consent_id: str, /) -> str:
        """As ``FileBackend.consent_url``."""
        return (await self._client.status(execution_id)).auth_url or ""

    async def cancel(self, execution_id: str, reason: str | None) -> None:
        """As ``FileBackend.cancel``."""
        await self._client.cancel(execution_id, reason)

    async def retry(self, execution_id: str, reason: str | None) -> None:
        """As ``FileBackend.retry``."""
        await self._client.retry(execution_id, reason)

    async def history(self, execution_id: str) -> Sequence[HistoryItem]:
        """As ``FileBackend.history``."""
        return await self._client.history(execution_id)

    async def answers(self, execution_id: str) -> Sequence[HistoryItem]:
        """As ``FileBackend.answers``."""
        return await _answers(self.history(execution_id))

    async def start(self, workflow: str, data: Any, *, wait: float, **options: "Unpack[StartOptions]") -> Execution:
        """Start a workflow with the input ``data``, and wait up to ``wait`` seconds for a result or a prompt."""
        return await self._client.start(workflow, data, wait=wait, **options)

    async def follow(
        self, execution_id: str | None, after: int, *, workflow: str | None = None, events: Sequence[str] = ()
    ) -> AsyncGenerator[HistoryItem, None]:
        """As ``FileBackend.follow``."""
        since = after if execution_id is not None else None
        coming = self._client.events(execution_id, after=since, workflow=workflow, events=events)
        async with aclosing(coming) as stream:
            async for event in stream:
                yield _of_event(event)


def open_backend(database: str, url: str | None, ttl: Sequence[str] | None = None) -> FileBackend | ServerBackend:
    """Return the backend for the options of a command. ``ttl`` defaults to RESTPOINT_TTL, then to the rules in the file."""
    return file_backend(database, ttl) if url is None else server_backend(url)


def file_backend(database: str, ttl: Sequence[str] | None = None) -> FileBackend:
    """Return the backend of a file. Raises ``UnusableFile``."""
    # Every command needs the times to live: opening a file fires overdue deadlines, and they may end executions.
    return FileBackend(existing(database), times_to_live(ttl or [os.environ.get("RESTPOINT_TTL", "")]))


def server_backend(url: str) -> ServerBackend:
    """Return the backend of a server."""
    return ServerBackend(url, os.environ.get("RESTPOINT_TOKEN") or None)


def _item(entry: "HistoryEntry") -> HistoryItem:
    return HistoryItem.model_validate(asdict(entry))


def _of_event(event: Event) -> HistoryItem:
    data = event.data if isinstance(event.data, dict) else {}
    if event.event == "gap":
        return HistoryItem(sequence=event.sequence, event=event.event, time=time.time(), cause=str(data.get("detail")))
    fields = {name: value for name, value in data.items() if name in HistoryItem.model_fields}
    return HistoryItem.model_validate({"time": time.time(), **fields, "sequence": event.sequence, "event": event.event})
