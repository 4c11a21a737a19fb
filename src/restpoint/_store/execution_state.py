"""What this process knows of one execution, and how an event, a reading of the file or a history changes that.

Everything here is pure: a state never changes, and each function returns a new one, or the same where nothing is new. A record
shows its newest state, and resolves futures by the difference of two states.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from hashlib import sha256
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from restpoint._core.changes import Change, Wait
from restpoint._core.execution_row import STATUS, ExecutionRow
from restpoint._core.serialization import encode
from restpoint._storage import HistoryEntry, Snapshot
from restpoint.lifecycle import OPEN, TERMINAL, ExecutionStatus

_NO_WAITS: Final[Mapping[str, Wait]] = MappingProxyType({})
_SHA256_OF_NULL: Final = sha256(b"null").hexdigest()


class ExecutionState(NamedTuple):
    """An execution after the row of history ``as_of``, as far as this process knows.

    ``open`` are the open waits, the oldest first, and ``closed`` those that the last event or reading closed. ``has_paused``
    says that the execution has paused or ended before. ``version``, ``open_waits`` and ``hold`` of the row are as they were
    last read.
    """

    as_of: int
    row: ExecutionRow
    open: Mapping[str, Wait]
    closed: tuple[Wait, ...] = ()
    has_paused: bool = False

    @property
    def is_read(self) -> bool:
        """Whether more than the id is known."""
        return self.row.version > 0


def unread(execution_id: str) -> ExecutionState:
    """The state of an execution of which only the id is known."""
    return ExecutionState(-1, ExecutionRow(execution_id, "running", version=0), {})


def draft(row: ExecutionRow) -> ExecutionState:
    """The state of an execution that is being written."""
    return ExecutionState(0, row, _NO_WAITS)


def fold(state: ExecutionState, event: Change) -> ExecutionState:
    """The state after an event that this process committed. An event older than the state changes nothing."""
    if event.sequence <= state.as_of:
        return state
    if event.execution is not None:
        return ExecutionState(event.sequence, event.execution, _NO_WAITS)
    if not state.row.version:  # not read yet: remember that the reading under way may be older than this
        return state._replace(as_of=event.sequence)
    wait, still_open = event.wait, state.open
    closed: tuple[Wait, ...] = ()
    if wait is not None and event.event.closes_wait:
        still_open = _without(still_open, wait.id)
        closed = (wait,)
    elif wait is not None:
        still_open = {**still_open, wait.id: _newer(still_open.get(wait.id), wait)} if still_open else {wait.id: wait}
    has_paused = state.has_paused or event.status != "running"
    return ExecutionState(event.sequence, _after(state.row, event), still_open, closed, has_paused)


def _after(row: ExecutionRow, event: Change) -> ExecutionRow:
    if event.status == row.status:
        pass
    elif event.event.undoes_end:
        row = _running_again(row)
    elif event.status not in TERMINAL:
        row = row.changed(status=event.status)
    elif row.completed_at is None:
        row = row.changed(
            status=event.status, lease=None, completed_at=event.at, expires_at=event.expires_at,
            result=event.result, error=event.error, error_code=event.code, problem=None,
        )  # fmt: skip
    if event.problem is not None:
        row = row.changed(problem=event.problem)
    if event.lease is not None and (event.lease, event.epoch) != (row.lease, row.epoch):
        row = row.changed(lease=event.lease, epoch=event.epoch)
    return row


def _newer(known: Wait | None, wait: Wait) -> Wait:
    """An open wait as it is now, with the caller's own prompt if this process had it."""
    if known is None or known.given is None:
        return wait
    return wait if wait.given is not None else dataclasses.replace(wait, given=known.given)


def _as_read(known: Wait | None, read: Wait) -> Wait:
    """An open wait as it was read: the one that is known, unless something has changed of it."""
    if known is None or _may_change(known) != _may_change(read):
        return _newer(known, read)
    return known


def _may_change(wait: Wait) -> tuple[str | None, ...]:
    """What may change of a prompt while it is open: whom it is for, who claimed it or voted, and what is still to come of it."""
    return wait.assignees, wait.claimed_by, wait.voters, wait.reminders


def _without(still_open: Mapping[str, Wait], closed: str) -> Mapping[str, Wait]:
    """The open waits but for one. A copy as a whole: to look at each of thousands costs more than the rest of an answer."""
    if len(still_open) <= 1:
        return _NO_WAITS if closed in still_open else still_open
    left = dict(still_open)
    left.pop(closed, None)
    return left


def _running_again(row: ExecutionRow) -> ExecutionRow:
    """The row of an execution that had ended and runs again: its expiry is taken back too."""
    return row._replace(
        status=ExecutionStatus.RUNNING, completed_at=None, expires_at=None, result=None, error=None, error_code=None
    )


def replace(state: ExecutionState, reading: Snapshot) -> ExecutionState | None:
    """The state that a reading of the file gives. None where the reading is older or lacks a wait that is open in ``state``.

    Such a wait was opened while the file was read and closed since; the next reading must ask for it.
    """
    if reading.as_of < state.as_of or not {wait.id for wait in reading.waits}.issuperset(state.open):
        return None
    found = [wait for wait in reading.waits if wait.status in OPEN]
    still_open = {wait.id: _as_read(state.open.get(wait.id), wait) for wait in sorted(found, key=attrgetter("opened"))}
    # In the order in which they were closed: whoever waits for several is woken in that order.
    closed = tuple(
        sorted((each for each in reading.waits if each.status not in OPEN), key=lambda each: each.closed_at or 0)
    )
    has_paused = state.has_paused or reading.row.version > 1 or reading.row.status != "running"
    return ExecutionState(reading.as_of, reading.row, still_open, closed, has_paused)


def check(reading: Snapshot) -> None:
    """Raise one of ``READ_ERRORS`` for values that this program never wrote."""
    row = reading.row
    STATUS[row.status]
    for instant in (row.created_at, row.completed_at or 0, row.expires_at or 0):
        instant / 1000


def end_by_history(state: ExecutionState, history: Iterable[HistoryEntry]) -> ExecutionState:
    """The state, from its history, of an execution that left the file before this process saw how it ended.

    The history has only the digest of a result, and in a file with ``history="digest"`` only the digests of responses: a wait
    whose response is lost that way stays open.
    """
    row, still_open, closed, as_of = state.row, dict(state.open), list[Wait](), state.as_of
    for entry in history:
        as_of, kind = max(as_of, entry.sequence), entry.kind
        detail: Mapping[str, Any] = entry.detail if isinstance(entry.detail, dict) else {}
        if entry.to_status in TERMINAL and row.completed_at is None:
            row = row.changed(
                status=entry.to_status, completed_at=round(entry.time * 1000), error=detail.get("error"),
                error_code=detail.get("code"), problem=None,
                result="null" if detail.get("result_sha256") == _SHA256_OF_NULL else None,
            )  # fmt: skip
        elif kind is not None and kind.undoes_end:
            row = _running_again(row)
        elif entry.to_status is not None and row.completed_at is None and not (kind is not None and kind.opens_wait):
            row = row.changed(status=entry.to_status)
        if kind is None or not kind.closes_wait or (wait := still_open.get(entry.wait_id or "")) is None:
            continue
        status, response = str(kind.wait_status), detail.get("response")
        if status == "answered" and response is None:
            continue
        del still_open[wait.id]
        text = None if response is None else encode(response)
        ended = entry.to_status in TERMINAL
        closed.append(Wait(wait.kind, wait.id, status, wait.opened, wait.created_at, wait.deadline_at,
                           response=text, ended=ended, answered_by=entry.actor, closed_at=round(entry.time * 1000)))  # fmt: skip
    return ExecutionState(as_of, row, still_open, tuple(closed), state.has_paused or row.status != "running")
