"""The identity map: the records that anyone here holds, one for each execution, and how they are read and kept up to date.

References from here to a record are weak: a record lives for as long as anyone holds it. The sink tells the map of every event
that this process commits (``hear``); what other processes do is read from the file (``load``).
"""

import weakref
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from restpoint._core.changes import Change
from restpoint._core.execution_row import ExecutionRow
from restpoint._core.serialization import READ_ERRORS, unreadable
from restpoint._storage import queries
from restpoint._storage.history import history_of
from restpoint._storage.queries import Snapshot
from restpoint._storage.sqlite.database import Database
from restpoint._store import execution_state
from restpoint._store.execution_state import end_by_history, unread
from restpoint._store.records import ExecutionRecord
from restpoint.errors import ExecutionCancelled, StoreClosed
from restpoint.events import EventKind
from restpoint.lifecycle import TERMINAL

if TYPE_CHECKING:
    import asyncio


class Coming:
    """An execution on its way into the file, whose id the workflow that has begun may know: ``written`` is done after COMMIT."""

    __slots__ = ("record", "written")

    def __init__(self, draft: ExecutionRecord, written: "asyncio.Future[Any]") -> None:
        self.record = draft
        """Its record: a draft until it is created. From then on it is the one that is held here."""
        self.written = written


class Records:
    """The records that anyone holds, by execution."""

    def __init__(self, watch: Callable[[ExecutionRecord, object], None]) -> None:
        self._watch = watch
        self._held: weakref.WeakValueDictionary[str, ExecutionRecord] = weakref.WeakValueDictionary()
        self._coming: dict[str, Coming] = {}

    def get(self, execution_id: str) -> ExecutionRecord | None:
        """The record, if anyone holds it."""
        record = self._held.get(execution_id)
        return record if record is not None and record.state.is_read else None

    def __contains__(self, execution_id: str) -> bool:
        """Whether anyone holds the record, or reads it at this moment."""
        return execution_id in self._held

    # --- What this process writes ---

    def draft(self, row: ExecutionRow) -> ExecutionRecord:
        """The record of an execution that is about to be created; nobody finds it here until then."""
        return ExecutionRecord(execution_state.draft(row), self._watch)

    def expect(self, draft: ExecutionRecord, written: "asyncio.Future[Any]") -> Coming:
        """The execution of this draft is on its way into the file; its record is found here once that is ``written``."""
        execution_id = draft.execution_id
        coming = self._coming[execution_id] = Coming(draft, written)
        written.add_done_callback(lambda _: self._coming.pop(execution_id, None))
        return coming

    def coming(self, execution_id: str) -> Coming | None:
        """The execution that is on its way into the file under this id, if one is."""
        return self._coming.get(execution_id)

    def hear(self, event: Change) -> None:
        """Fold an event that this process committed into the record of its execution, if anyone holds it."""
        record = self._held.get(event.execution_id)
        if event.execution is not None and (coming := self._coming.get(event.execution_id)) is not None:
            if record is None:
                record = self._held[event.execution_id] = coming.record
            else:  # someone found it in a list before this process heard of its own commit
                coming.record = record
        if record is None:
            return
        record.hear(event)
        if event.event is EventKind.EXECUTION_REMOVED:
            self.drop(event.execution_id)

    # --- What is in the file ---

    async def load(
        self, database: Database, execution_id: str, known_waits: Collection[str] = ()
    ) -> tuple[ExecutionRecord, Snapshot] | None:
        """The record as the file has it now, and the reading, which also tells of the known waits.

        None where the execution is not in the file. Raises ``DamagedFile`` for values that this program never wrote.
        """
        while True:
            # Hold a record from before the reading, so that events that overtake the reading are folded into it.
            record = self._held.get(execution_id)
            if record is None:
                record = self._held[execution_id] = ExecutionRecord(unread(execution_id), self._watch)
            as_of, lease = record.state.as_of, record.lease
            reading = await queries.snapshot(database, execution_id, {*known_waits, *record.state.open})
            if self._held.get(execution_id) is not record:
                continue  # it was dropped meanwhile
            if reading is None:
                if record.state.as_of != as_of:
                    continue  # a workflow knows its id before the file does, which came to have it meanwhile
                if record.state.is_read:
                    record.become(end_by_history(record.state, await history_of(database, execution_id)))
                self.drop(execution_id)
                return None
            # What this process committed itself and was read here is told first: its events say more than the file.
            await database.told(reading.as_of)
            if record.is_gone or record.lease != lease:
                continue  # an adoption overtook the reading, and has no row of history to be told by
            try:
                execution_state.check(reading)
                if record.learn(reading):
                    return record, reading
            except READ_ERRORS as error:
                raise unreadable(f"execution {execution_id}", error) from error

    # --- Who is held ---

    def all(self) -> list[str]:
        """Every execution that someone here holds, those first of which someone awaits something, or may."""
        held = sorted(self._held.items(), key=lambda each: not each[1].is_awaited)
        return [execution_id for execution_id, _ in held]

    def ended(self) -> list[str]:
        """The executions that have ended, as far as this process knows, and that someone here still holds."""
        return [execution_id for execution_id, record in list(self._held.items()) if record.status in TERMINAL]

    def swept(self, execution_ids: Iterable[str]) -> None:
        """This process swept them. One that has not heard how its execution ended is told so by the history."""
        for execution_id in execution_ids:
            record = self._held.get(execution_id)
            if record is not None and record.status in TERMINAL:
                self.drop(execution_id)

    def drop(self, execution_id: str) -> None:
        """The execution left the file; whoever holds the record keeps it as it was, and waits no more."""
        record = self._held.pop(execution_id, None)
        if record is not None:
            record.abandon(ExecutionCancelled(f"Execution {execution_id} was removed while it waited."))

    def close(self) -> None:
        """The store closes: what still waits is told so. The prompts stay open in the file."""
        for record in list(self._held.values()):
            record.abandon(StoreClosed("The store was closed; the prompt is still open in the file."))
