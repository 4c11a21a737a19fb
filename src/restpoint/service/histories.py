"""The history of one execution, for an actor who may read it: in pages, and as it is written."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from restpoint.access import Actor, Policy
from restpoint.errors import ExecutionNotFound, NotAllowed, RestpointError, StorageError, StoreClosed
from restpoint.events import EventKind
from restpoint.lifecycle import TERMINAL
from restpoint.service.views import Views, subject_of

if TYPE_CHECKING:
    from restpoint._storage import HistoryEntry
    from restpoint._store.records import ExecutionRecord
    from restpoint._store.store import ExecutionStore

Reauthenticate = Callable[[], Awaitable[Actor]]
"""Returns the actor as the credentials say now; raises where they are no longer valid."""

BATCH: Final = 500
"""Rows of history that are read at a time."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some of a history. ``next_after`` is the sequence that the next page comes after; None at the end."""

    items: "Sequence[HistoryEntry]"
    next_after: int | None


class Histories:
    """The histories of a store, as the policy lets each actor read them."""

    def __init__(self, store: "ExecutionStore", policy: Policy, views: Views) -> None:
        self._store = store
        self._policy = policy
        self._views = views

    async def page(self, actor: Actor, execution_id: str, *, after: int = 0, limit: int = BATCH) -> HistoryPage:
        """A page of the history of an execution after the sequence ``after``, oldest first, at most ``limit`` entries.

        There are fewer where they are large; see ``ExecutionStore.events``. It includes what was emitted and notified. Actors
        who may see everything may read it after the execution has left the file, too.

        Raises ``ExecutionNotFound`` and ``NotAllowed``.
        """
        record = await self.readable(actor, execution_id)
        entries = await self._store.events(execution_id, after=after, limit=limit)
        if record is None and not entries and not after:
            raise ExecutionNotFound(execution_id)
        last = entries[-1].sequence if entries else after
        has_more = bool(entries) and bool(await self._store.events(execution_id, after=last, limit=1))
        return HistoryPage(entries, last if has_more else None)

    async def follow(
        self, actor: Actor, execution_id: str, *, after: int = 0, reauthenticate: Reauthenticate | None = None
    ) -> "AsyncIterator[HistoryEntry]":
        """The history of an execution after the sequence ``after``, entry by entry as it is written, until the execution ends.

        Before each batch ``reauthenticate`` is called, and the policy asked about the actor that it returns. Raises
        ``ExecutionNotFound``, ``NotAllowed``, ``StoreClosed``, and what ``reauthenticate`` raises.
        """
        record = await self.readable(actor, execution_id)
        if record is None and not await self._store.events(execution_id, after=0, limit=1):
            raise ExecutionNotFound(execution_id)
        while True:
            # Check before reading the rows: an end that comes in between is among the rows of the next turn.
            ended = record is None or record.status in TERMINAL
            # Watch for changes before reading, for the same reason.
            news = None if ended or record is None else asyncio.ensure_future(record.changed())
            try:
                entries = await self._store.events(execution_id, after=after, limit=BATCH)
                await self._check_again(actor, reauthenticate, execution_id)
                for entry in entries:
                    after = entry.sequence
                    yield entry
                if entries:
                    # Only the last entry counts: before it, the execution may have failed and been retried.
                    if entries[-1].to_status in TERMINAL or entries[-1].kind is EventKind.EXECUTION_REMOVED:
                        record = None
                    continue
                if news is None:
                    return
                try:
                    await news
                except (StoreClosed, StorageError):
                    raise
                except RestpointError:  # it left the file
                    record = None
            finally:
                if news is not None:
                    news.cancel()

    async def readable(self, actor: Actor, execution_id: str) -> "ExecutionRecord | None":
        """The execution whose history the actor may read; None where it left the file and they may see everything."""
        record = await self._store.get(execution_id)
        if record is None:
            if not self._policy.sees_everything(actor):
                raise await self._views.absent(actor, execution_id)
            return None
        self._must_read(actor, record)
        return record

    def _must_read(self, actor: Actor, record: "ExecutionRecord") -> None:
        subject = subject_of(record, record.pending_interactions)
        if not self._policy.may_see(actor, subject):
            raise ExecutionNotFound(record.execution_id)
        if not self._policy.may_read_history(actor, subject):
            raise NotAllowed(f"{actor.id} may not read the history of execution {record.execution_id}.")

    async def _check_again(self, actor: Actor, reauthenticate: Reauthenticate | None, execution_id: str) -> None:
        """Raise where the actor may not read on. Whoever follows an execution still sees that it leaves the file."""
        actor = actor if reauthenticate is None else await reauthenticate()
        record = await self._store.get(execution_id)
        if record is not None:
            self._must_read(actor, record)
