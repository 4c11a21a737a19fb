"""The registry: the records that anyone here holds, one for each execution, which what is committed is applied to."""

import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from hashlib import sha256
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from restpoint._core.changes import Change
from restpoint._core.serialization import encode
from restpoint._storage.history import HistoryEntry
from restpoint._storage.queries import Snapshot
from restpoint._store.records import ExecutionRecord
from restpoint.errors import ExecutionCancelled, StoreClosed
from restpoint.events import EventKind
from restpoint.lifecycle import TERMINAL

if TYPE_CHECKING:
    import asyncio

_OF_NULL: Final = sha256(b"null").hexdigest()


class Coming:
    """An execution on its way into the file, whose id the workflow that has begun may know: ``written`` is done after COMMIT."""

    __slots__ = ("record", "written")

    def __init__(self, draft: ExecutionRecord, written: "asyncio.Future[Any]") -> None:
        self.record = draft
        self.written = written


class Records:
    """The records that anyone holds, by execution: what is committed is applied to them."""

    def __init__(self, watch: Callable[[ExecutionRecord, object], None]) -> None:
        self._watch = watch
        self._held: weakref.WeakValueDictionary[str, ExecutionRecord] = weakref.WeakValueDictionary()
        self._loading: dict[str, int] = {}
        self._overtaken: dict[str, int] = {}
        self._coming: dict[str, Coming] = {}

    def get(self, execution_id: str) -> ExecutionRecord | None:
        """The record, if anyone holds it."""
        return self._held.get(execution_id)

    def draft(
        self,
        execution_id: str,
        workflow: str | None,
        owner: str | None,
        lease: int | None = None,
        *,
        is_run: bool = False,
    ) -> ExecutionRecord:
        """The record of an execution that is about to be created; nobody finds it here until it is added."""
        record = ExecutionRecord(execution_id, 0.0, self._watch, workflow=workflow, owner=owner, lease=lease)
        record.is_run = is_run
        return record

    def expect(self, draft: ExecutionRecord, written: "asyncio.Future[Any]") -> "Coming":
        """The execution of this draft is on its way into the file; its record is found here once that is ``written``."""
        coming = self._coming[draft.execution_id] = Coming(draft, written)
        written.add_done_callback(lambda _: self._coming.pop(draft.execution_id, None))
        return coming

    def coming(self, execution_id: str) -> "Coming | None":
        """The execution that is on its way into the file under this id, if one is."""
        return self._coming.get(execution_id)

    def _created(self, change: Change, coming: "Coming") -> None:
        """The record of an execution that this process has just created: the draft, if nobody holds another."""
        record = self._held.get(change.execution_id)
        if record is not None:  # someone found it in a list before this process heard of its own commit
            coming.record = record
            return
        draft = coming.record
        draft.created_at, draft._as_of = change.at / 1000, change.sequence
        self._held[change.execution_id] = draft

    def apply(self, change: Change) -> None:
        """What a committed change did, done to its record too."""
        if change.before is None and (coming := self._coming.get(change.execution_id)) is not None:
            self._created(change, coming)
            return
        # Also where a record hears it: that may be gone when the reading is done.
        if change.execution_id in self._loading:
            self._overtaken[change.execution_id] = change.sequence
        record = self._held.get(change.execution_id)
        if record is None or change.sequence <= record._as_of:
            return
        record._as_of = change.sequence
        if change.event is EventKind.EXECUTION_REMOVED:
            self.drop(change.execution_id)
        if change.status in TERMINAL and record.completed_at is None:
            record.completed_at = change.at / 1000
            record.expires_at = None if change.expires_at is None else change.expires_at / 1000
            record.error, record.error_code, record._result = change.error, change.code, change.result
            record.problem = None
        if change.problem is not None:
            record.problem = change.problem
        record._move(change.status)
        if (wait := change.wait) is not None:
            if wait.status == "pending":
                record._lease = change.lease
                record._open[wait.id] = wait
            else:
                record._close(wait)
        record._pulse()

    def refresh(self, snapshot: Snapshot) -> ExecutionRecord:
        """The record as the file has it, which another process may have changed."""
        record = self._held.get(snapshot.id)
        if record is None:
            record = ExecutionRecord(
                snapshot.id,
                snapshot.created_at / 1000,
                self._watch,
                workflow=snapshot.workflow,
                owner=snapshot.owner,
                as_of=-1,
            )
            self._held[snapshot.id] = record
        if snapshot.as_of < record._as_of:
            return record
        news, were_open = snapshot.as_of > record._as_of, set(record._open)
        record._as_of = snapshot.as_of
        record.is_run, record.problem = snapshot.run_version is not None, snapshot.problem
        record._lease = snapshot.lease
        record.completed_at = None if snapshot.completed_at is None else snapshot.completed_at / 1000
        record.expires_at = None if snapshot.expires_at is None else snapshot.expires_at / 1000
        record.error, record.error_code, record._result = snapshot.error, snapshot.error_code, snapshot.result
        record._move(snapshot.status, outcome_seen=snapshot.version > 1)
        for wait in snapshot.waits:
            if wait.status in {"pending", "exchanging"}:
                record._open.setdefault(wait.id, wait)
            else:
                record._close(wait)
        record._open = {wait.id: wait for wait in sorted(record._open.values(), key=attrgetter("opened"))}
        if news or record._open.keys() != were_open:  # others may have closed one before our own newest row
            record._pulse()
        return record

    def is_current(self, snapshot: Snapshot) -> bool:
        """Whether the record of this execution, if anyone holds it, tells of nothing that the snapshot does not."""
        record = self._held.get(snapshot.id)
        if record is None:
            return True
        told = {wait.id for wait in snapshot.waits}
        unheard = [wait for wait in record._open.values() if wait.opened <= snapshot.as_of and wait.id not in told]
        return record._as_of <= snapshot.as_of and not unheard

    def open_waits(self, execution_id: str) -> Collection[str]:
        """The waits that the record takes for open, which the file may know better."""
        record = self._held.get(execution_id)
        return () if record is None else tuple(record._open)

    def all(self) -> list[str]:
        """Every execution that someone here holds, those first of which someone awaits something, or may."""

        def awaited(record: ExecutionRecord) -> bool:
            return bool(
                record._pending or record._observers or record._first_outcome is not None or record._task is not None
            )

        held = sorted(self._held.items(), key=lambda each: not awaited(each[1]))
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

    def begin_loading(self, execution_id: str) -> None:
        """Someone reads this execution: changes that overtake the reading must not be missed."""
        self._loading[execution_id] = self._loading.get(execution_id, 0) + 1

    def end_loading(self, execution_id: str, as_of: int | None) -> bool:
        """Whether what was read as of a row of history is still what is in the file, as far as this process wrote it."""
        overtaken = self._overtaken.get(execution_id)
        self._loading[execution_id] -= 1
        if not self._loading[execution_id]:
            del self._loading[execution_id]
            self._overtaken.pop(execution_id, None)
        return overtaken is None or (as_of is not None and overtaken <= as_of)

    def close_by_history(self, execution_id: str, history: Iterable[HistoryEntry]) -> None:
        """The execution left the file before this process saw how it ended: its history still knows."""
        record = self._held.get(execution_id)
        if record is None:
            return
        for entry in history:
            wait, kind = record._open.get(entry.wait_id or ""), entry.kind
            if entry.to_status in TERMINAL and record.completed_at is None:
                record.completed_at = entry.time
                _tell_end(record, entry.detail if isinstance(entry.detail, dict) else {})
            if entry.to_status is not None and not (kind is not None and kind.opens_wait):
                record._move(entry.to_status)
            if wait is not None and kind is not None and kind.closes_wait:
                wait.status = str(kind.wait_status)
                wait.ended = entry.to_status in TERMINAL
                told = entry.detail.get("response") if isinstance(entry.detail, dict) else None
                if wait.status == "answered" and told is None:
                    continue  # the history keeps only its digest
                wait.response = None if told is None else encode(told)
                wait.given = None
                record._close(wait)

    def drop(self, execution_id: str) -> None:
        """The execution left the file; whoever holds the record keeps it as it was, and waits no more."""
        record = self._held.pop(execution_id, None)
        if record is not None:
            record._abandon(ExecutionCancelled(f"Execution {execution_id} was removed while it waited."))

    def close(self) -> None:
        """The store closes: what still waits is told so. The prompts stay open in the file."""
        for record in list(self._held.values()):
            record._abandon(StoreClosed("The store was closed; the prompt is still open in the file."))


def _tell_end(record: ExecutionRecord, detail: Mapping[str, Any]) -> None:
    """How it ended, as far as the history knows: of a result that is the digest."""
    record.error, record.error_code = detail.get("error"), detail.get("code")
    if detail.get("result_sha256") == _OF_NULL:
        record._result = "null"
