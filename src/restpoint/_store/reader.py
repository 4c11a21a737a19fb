"""What a store reads of its file: executions, what they do and ask, and their history."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from restpoint._core.changes import Change
from restpoint._core.execution_row import StepDone
from restpoint._core.serialization import decode
from restpoint._storage import Address, Asked, HistoryEntry, Observer, history, queries
from restpoint._store.handle import FileHandle
from restpoint._store.open_file import OpenFile
from restpoint._store.records import ExecutionRecord
from restpoint.access import normal
from restpoint.errors import ExecutionGone, ExecutionNotFound, InvalidArgument
from restpoint.lifecycle import ExecutionStatus

if TYPE_CHECKING:
    from restpoint._storage import Failure, Gauges, InboxPage, Page, Progress, search

_MOST_TOUCHED = 2_000

Concern = history.Concern  # a method of the reader has the name of the module


class StoreReader:
    """The reading half of a store, for those who need no more. ``handle`` is the file, which it opens at the first use."""

    def __init__(self, handle: FileHandle) -> None:
        self._handle = handle

    # --- The file ---

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._handle.options.path

    async def open(self) -> Self:
        """Open the file, creating it if there is none. Called by the first use of the store.

        Raises ``UnusableFile``, ``DamagedFile``, ``SchemaTooOld`` (upgrade it) and ``SchemaTooNew``.
        """
        await self.file()
        return self

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def file(self) -> OpenFile:
        """The open file, for the parts of restpoint that share it; opens it if it is not open. The store closes it."""
        return await self._handle.opened()

    async def close(self) -> None:
        """Finish what was accepted and close the file. Prompts stay open in it; who awaits one here gets ``StoreClosed``."""
        await self._handle.close()

    async def check(self) -> None:
        """Check that the file can be read and has this program's revision: raises what a read or a write would raise now."""
        await (await self.file()).database.check()

    async def gauges(self) -> "Gauges":
        """Count what waits and runs in the file now, and what this process has swept. Costs what is open, no more."""
        from restpoint._storage import counts

        file = self._handle.open_file or await self.file()
        counted = await counts.count(file.database, file.clock.now())
        return replace(counted, swept=file.maintenance.swept, swept_at=file.maintenance.swept_at)

    def subscribe(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``listener`` with every event that this process commits, right after COMMIT. Call the result to end that."""
        return self._handle.subscribe(listener)

    def observe(self, observer: Observer | None) -> None:
        """Report each batch of writes to ``observer``, for metrics: its jobs, its seconds, how many the storage failed.

        It is called in the thread that writes, and must not call the store. There is one observer, or None.
        """
        self._handle.observe(observer)

    # --- Executions ---

    async def get(self, execution_id: str) -> ExecutionRecord | None:
        """The execution as the file has it now; None if there is none. The same object while anyone holds it."""
        file = self._handle.open_file or await self.file()
        record = file.records.get(execution_id)
        # Trust the record only if a runner runs it: the lease of any other may change without an event.
        if record is not None and record.is_run:
            is_current = await file.listener.has_heard_all()
            if is_current and file.records.get(execution_id) is record:  # it may have been removed meanwhile
                return record
        found = await file.find(execution_id)
        if found is None and (creation := file.records.creation(execution_id)) is not None:
            await asyncio.wait([creation.written])
            found = await file.find(execution_id)
        return found

    async def list(
        self,
        *,
        status: str | Iterable[str] | None = None,
        workflow: str | None = None,
        version: int | None = None,
        owner: str | None = None,
        problem: bool = False,
        visible_to: Collection[str] | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> "Page":
        """List executions, the newest first, ``limit`` (1 to 1,000) at a time; ``cursor`` is the page before's ``next_cursor``.

        Filters by one status or several, by workflow, by the version of the workflow, and by owner; with ``problem``, to those
        that nobody goes on with; and with ``visible_to``, to those whose owner is among these names, or that have an open prompt
        which is addressed to one of them, or a prompt that one of them answered or voted on. Raises ``InvalidArgument``.
        """
        from restpoint._storage import listing, progress

        if version is not None and (type(version) is not int or not 1 <= version < 1 << 31):
            raise InvalidArgument(f"version is {version!r}; give a whole number from 1.")
        wanted = [status] if isinstance(status, str) else list(status or ())
        if status is not None and not wanted:
            raise InvalidArgument("status is empty; name one or several, or none to list all.")
        for name in wanted:
            if name not in set(ExecutionStatus):
                raise InvalidArgument(f"{name!r} is no status; use one of {', '.join(ExecutionStatus)}.")
        names, file = [str(name) for name in wanted], await self.file()
        now = file.clock.now()
        page = await listing.page(
            file.database,
            statuses=names,
            workflow=workflow,
            version=version,
            owner=None if owner is None else normal(owner),
            limit=limit,
            cursor=cursor,
            audience=None if visible_to is None else set(map(normal, visible_to)),
            there=await progress.processes(file.database, now) if problem else None,
        )
        return replace(page, items=await progress.with_progress(file.database, page.items, now))

    async def progress(self, execution_id: str) -> "Progress":
        """What an execution that runs is doing: why nobody goes on with it, until when it sleeps, which steps are tried again."""
        from restpoint._storage import progress

        file = self._handle.open_file or await self.file()
        return await progress.progress(file.database, execution_id, file.clock.now())

    async def notifications(self, execution_id: str, *, limit: int = 20) -> Sequence[Mapping[str, Any]]:
        """The newest notifications of a workflow, the oldest of them first, each as ``prompt`` and ``created_at`` (seconds)."""
        from restpoint._storage import journal

        found = await journal.read_notifications((await self.file()).database, execution_id, limit)
        return [{"prompt": decode(prompt), "created_at": at / 1000} for prompt, at in found]

    async def failure(self, execution_id: str) -> "Failure | None":
        """What the workflow of a failed execution raised, with its traceback, for operators; None if it did not raise."""
        from restpoint._storage import progress

        return await progress.failure((await self.file()).database, execution_id)

    async def departure(self, execution_id: str) -> "search.Departure | None":
        """How and when an execution left the file; None if it is in the file, or if the history has nothing of it."""
        from restpoint._storage import search

        return await search.departure((await self.file()).database, execution_id)

    async def absent(self, execution_id: str) -> ExecutionNotFound:
        """The error for an execution that is not in the file: ``ExecutionGone`` where the history tells how it left."""
        left = await self.departure(execution_id)
        return ExecutionNotFound(execution_id) if left is None else ExecutionGone(execution_id, left.how, left.at)

    async def history(self, execution_id: str) -> Sequence[HistoryEntry]:
        """The whole history of an execution, in order, also after it was swept. Raises ``ExecutionNotFound``."""
        entries = await history.history_of((await self.file()).database, execution_id)
        if not entries:
            raise ExecutionNotFound(execution_id)
        return entries

    async def events(self, execution_id: str, after: int = 0, limit: int = 500) -> Sequence[HistoryEntry]:
        """The history of an execution after the sequence ``after``, in order, at most ``limit`` entries.

        There are fewer where they are large: a reading ends with the entry that brings it to a mebibyte. It is empty only at the
        end, so read on after the last one until it is.
        ``detail`` of ``emitted`` has the ``data``, of ``notified`` the ``prompt``, for as long as the execution is in the file.
        """
        return await history.events_of((await self.file()).database, execution_id, after, limit)

    async def has_answered(self, execution_id: str, name: str) -> bool:
        """Whether someone of this name has answered a prompt of the execution, or voted on one."""
        from restpoint._storage import assignments

        return await assignments.has_answered((await self.file()).database, execution_id, normal(name))

    async def inbox(
        self,
        names: Collection[str] | None = None,
        *,
        workflow: str | None = None,
        voter: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> "InboxPage":
        """The open prompts that are addressed to one of these names (groups as ``group:NAME``), or to nobody where they own it.

        Without ``names``, every open prompt. Those that ``voter`` has voted on are left out. They come by ``due`` or
        ``deadline``, then by priority, then by age, ``limit`` (1 to 1,000) at a time; ``cursor`` is the page before's
        ``next_cursor``. Raises ``InvalidArgument``.
        """
        from restpoint._storage import assignments

        whose = (assignments.EVERYONE,) if names is None else sorted(set(map(normal, names)) - {assignments.EVERYONE})
        database = (await self.file()).database
        return await assignments.inbox(database, whose, workflow=workflow, voter=voter, limit=limit, cursor=cursor)

    async def address(self, execution_id: str, interaction_id: str, *, as_stored: bool = False) -> Address:
        """Whom an interaction is addressed to, as this process knows it, or ``as_stored``: as the file has it now.

        Raises ``ExecutionNotFound`` and ``InteractionNotFound``.
        """
        file = self._handle.open_file or await self.file()
        record = None if as_stored else file.records.get(execution_id)
        known = None if record is None else record.address(interaction_id)
        return known or await queries.address(file.database, execution_id, interaction_id)

    async def asked(self, execution_id: str, interaction_id: str) -> Asked:
        """An interaction, in any status. Raises ``ExecutionNotFound`` and ``InteractionNotFound``."""
        return await queries.asked((await self.file()).database, execution_id, interaction_id)

    async def answered_by(self, actor: str, *, limit: int = 50) -> Sequence[Asked]:
        """What this actor answered or voted on, the newest first, at most ``limit``, as far as the executions are in the file."""
        return await queries.answered_by((await self.file()).database, normal(actor), limit)

    async def steps(self, execution_id: str, *, limit: int = 500) -> Sequence[StepDone]:
        """The steps of a run that have an outcome, in the order of their outcomes."""
        from restpoint._storage import progress

        return await progress.steps((await self.file()).database, execution_id, limit)

    async def touched(self, after: int | None) -> tuple[int, Collection[Concern]]:
        """The newest row of history, and what the rows after ``after`` are about, whichever process wrote them.

        There is none where ``after`` is None, and at most the first 2,000 rows count, so that the next call gives the others.
        """
        database = (await self.file()).database
        if after is None:
            return await history.last_sequence(database), ()
        return await history.concerned_since(database, after, _MOST_TOUCHED)

    async def expired(self) -> AsyncIterator[tuple[str, str, float]]:
        """What a sweep would delete now, the longest expired first: id, status, and since when (seconds since the epoch)."""
        file = self._handle.open_file or await self.file()
        async for row in queries.expired(file.database, file.clock.now()):
            yield row
