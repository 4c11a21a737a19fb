"""The identity map: the records that anyone in this process holds, one for each execution, and how they are kept up to date.

Its references to records are weak: a record lives for as long as anyone holds it. ``hear`` gets every event that this process
commits; ``load`` reads the file, which has what other processes wrote.
"""

import weakref
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from restpoint._core.changes import Change
from restpoint._core.execution_row import ExecutionRow
from restpoint._core.serialization import READ_ERRORS, unreadable
from restpoint._storage import Database, Snapshot, history, leases, queries
from restpoint._store import execution_state
from restpoint._store.execution_state import end_by_history, unread
from restpoint._store.records import ExecutionRecord
from restpoint.errors import ExecutionCancelled, StoreClosed
from restpoint.events import EventKind
from restpoint.lifecycle import TERMINAL
from restpoint.prompts.prompt_models import PromptModels

if TYPE_CHECKING:
    import asyncio


class Creation:
    """An execution whose rows are being written; ``written`` is done after COMMIT. Its workflow may run already."""

    __slots__ = ("record", "written")

    def __init__(self, draft: ExecutionRecord, written: "asyncio.Future[Any]") -> None:
        self.record = draft
        """A draft until the execution is created; from then on the record that the identity map has."""
        self.written = written


class Records:
    """The records that anyone holds, by the id of their execution."""

    def __init__(
        self,
        database: Database,
        watch: Callable[[ExecutionRecord, object], None],
        models: PromptModels,
        standing: leases.Standing,
    ) -> None:
        self._database = database
        self._watch = watch
        self._models = models
        self._standing = standing
        self._held: weakref.WeakValueDictionary[str, ExecutionRecord] = weakref.WeakValueDictionary()
        self._creations: dict[str, Creation] = {}

    def get(self, execution_id: str) -> ExecutionRecord | None:
        """The record, if anyone holds it."""
        record = self._held.get(execution_id)
        return record if record is not None and record.state.row.version else None

    def __contains__(self, execution_id: str) -> bool:
        """Whether anyone holds the record, or reads it at this moment."""
        return execution_id in self._held

    # --- What this process writes ---

    def draft(self, row: ExecutionRow) -> ExecutionRecord:
        """A record for an execution that is about to be created; the map does not have it yet."""
        return self._record(execution_state.draft(row))

    def _record(self, state: execution_state.ExecutionState) -> ExecutionRecord:
        return ExecutionRecord(state, self._watch, self._models, self._standing)

    def create(self, draft: ExecutionRecord, written: "asyncio.Future[Any]") -> Creation:
        """Note that the execution of this draft is being written, so that its first event finds the draft.

        Whoever calls this awaits ``written`` and calls ``finish`` then, however it went.
        """
        creation = self._creations[draft.execution_id] = Creation(draft, written)
        return creation

    def finish(self, execution_id: str) -> None:
        """Forget the creation of an execution, which is written now, or has failed."""
        self._creations.pop(execution_id, None)

    def creation(self, execution_id: str) -> Creation | None:
        """The creation of this execution, while it is being written."""
        return self._creations.get(execution_id)

    def hear(self, event: Change) -> None:
        """Fold an event that this process committed into the record of its execution, if anyone holds it."""
        record = self._held.get(event.execution_id)
        if event.execution is not None and (creation := self._creations.get(event.execution_id)) is not None:
            if record is None:
                record = self._held[event.execution_id] = creation.record
            else:  # someone found it in a list before this process heard of its own commit
                creation.record = record
        if record is None:
            return
        record.hear(event)
        if event.event is EventKind.EXECUTION_REMOVED:
            self.drop(event.execution_id)

    # --- What the file has ---

    async def find(self, execution_id: str) -> ExecutionRecord | None:
        """The record as the file has it now; None where the execution is not in the file. Raises ``DamagedFile``."""
        found = await self.load(execution_id)
        return None if found is None else found[0]

    async def load(
        self, execution_id: str, known_waits: Collection[str] = ()
    ) -> tuple[ExecutionRecord, Snapshot] | None:
        """The record as the file has it now, and the snapshot that was read, which includes the known waits.

        None where the execution is not in the file. Raises ``DamagedFile`` for values that this program never wrote.
        """
        while True:
            # Hold a record from before the reading, so that events that overtake the reading are folded into it.
            record = self._held.get(execution_id)
            if record is None:
                record = self._held[execution_id] = self._record(unread(execution_id))
            as_of, lease = record.state.as_of, record.lease
            reading = await queries.snapshot(self._database, execution_id, {*known_waits, *record.state.open})
            if self._held.get(execution_id) is not record:
                continue  # it was dropped meanwhile
            if reading is None:
                if record.state.as_of != as_of:
                    continue  # a workflow knows its id before the file does, which came to have it meanwhile
                if record.state.is_read:
                    record.become(end_by_history(record.state, await history.history_of(self._database, execution_id)))
                self.drop(execution_id)
                return None
            # Fold this process's own events first: they say more than the file does.
            await self._database.told(reading.as_of)
            if record.is_detached or record.lease != lease:
                continue  # an adoption overtook the reading; it writes no event
            try:
                execution_state.check(reading)
                if record.learn(reading):
                    return record, reading
            except READ_ERRORS as error:
                raise unreadable(f"execution {execution_id}", error) from error

    # --- Who is held ---

    def all(self) -> list[str]:
        """The executions whose records are held, those first that someone awaits."""
        held = sorted(self._held.items(), key=lambda each: not each[1].is_awaited)
        return [execution_id for execution_id, _ in held]

    def ended(self) -> list[str]:
        """The executions whose records are held and have ended."""
        return [execution_id for execution_id, record in list(self._held.items()) if record.status in TERMINAL]

    def swept(self, execution_ids: Iterable[str]) -> None:
        """Drop executions that this process swept. A record that does not know the end yet learns it from the history."""
        for execution_id in execution_ids:
            record = self._held.get(execution_id)
            if record is not None and record.status in TERMINAL:
                self.drop(execution_id)

    def drop(self, execution_id: str) -> None:
        """Detach the record of an execution that left the file; whoever holds it keeps it as it was, and waits no more."""
        record = self._held.pop(execution_id, None)
        if record is not None:
            record.detach(ExecutionCancelled(f"Execution {execution_id} was removed while it waited."))

    def close(self) -> None:
        """Detach every record, because the store closes. The prompts stay open in the file."""
        for record in list(self._held.values()):
            record.detach(StoreClosed("The store was closed; the prompt is still open in the file."))
