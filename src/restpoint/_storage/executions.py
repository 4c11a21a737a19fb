"""The ledger: every transition, as one named function each. With ``waits.py`` the only writer of a status.

A function here is a job for the writer of ``database.py``. It is given the open transaction, asks the lifecycle whether the
move is legal, writes the move with the expected state in its WHERE clause, writes the side rows, and appends the row of
history that tells of it. What it returns are ``Change`` values, which the store applies to its records once COMMIT returned.

Two rules of the house. Refuse before the first write: then a refusal costs the jobs of the same batch nothing. And suppose
the usual state before reading it: the WHERE clause finds out, so the usual case saves a query, and only where no row
matched is the state read, to decide again or to refuse with what is really there.

Here is what an execution does; what its waits do is in ``waits.py``. The statements are in ``statements.py``, the questions in
``queries.py``, deletion in ``retention.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from restpoint._core.changes import Change, Wait
from restpoint._core.execution_row import OF_EXECUTIONS, ExecutionRow
from restpoint._core.retention_rules import RetentionRules
from restpoint._storage import event_details, statements
from restpoint._storage.history import append
from restpoint._storage.leases import live
from restpoint._storage.sqlite.database import Transaction
from restpoint.errors import Conflict, ExecutionNotFound
from restpoint.events import EventKind
from restpoint.lifecycle import move

T = TypeVar("T")


@dataclass(slots=True)
class Execution:
    """The part of an execution's row that decisions rest on, as read or as supposed (``statements.EXPECTED``)."""

    id: str
    status: str
    open_waits: int
    lease: int | None = None
    hold: str | None = None
    secrets: int | None = None

    def write(self, tx: Transaction, sql: str, to: str, waits: int, *values: object) -> bool:
        """Move the row on; False where it is not in this state, and then nothing was written."""
        if tx.execute(sql, (to, waits, *values, self.id, self.status, self.open_waits)).rowcount != 1:
            return False
        self.status, self.open_waits = to, waits
        return True


def read(tx: Transaction, execution_id: str) -> Execution:
    """The execution, or ``ExecutionNotFound``."""
    row = tx.one(statements.EXECUTION, {"id": execution_id})
    if row is None:
        raise ExecutionNotFound(execution_id)
    return Execution(execution_id, *row)


def from_state(tx: Transaction, execution_id: str, attempt: Callable[[Execution], T | None]) -> T:
    """Attempt a write from the usual state, unread; then, if that was not it, from the one in the file."""
    done = attempt(Execution(execution_id, "running", 0))
    if done is None:
        done = attempt(read(tx, execution_id))
    if done is None:
        raise Conflict(f"Execution {execution_id}", "as it was read in the same transaction")
    return done


# --- Executions ------------------------------------------------------------------------------------------------------


def create(tx: Transaction, row: ExecutionRow, actor: str | None) -> None:
    """A new execution, running, which is this row; its time is that of the transaction."""
    row = row._replace(created_at=tx.now)
    tx.execute(statements.CREATE, row[: len(OF_EXECUTIONS)])
    detail = event_details.created(row.workflow, row.owner)
    event = EventKind.EXECUTION_CREATED
    sequence = append(tx, event, row.id, moved=(None, row.status), actor=actor, detail=detail)
    tx.emit(Change(sequence, row.id, event, None, row.status, tx.now, execution=row))


def resume(tx: Transaction, execution_id: str, lease: int | None, actor: str | None) -> None:
    """Back to running, withdrawing every wait that is still open.

    On one that runs already nothing changes, but that it is driven by this lease if no living process drives it.
    """
    execution = read(tx, execution_id)
    if execution.status == "running":
        if lease is not None and execution.lease != lease:
            adopt(tx, [execution_id], lease)
        return
    move("execution", execution_id, execution.status, "settle", "running")
    for wait_key, wait in open_waits(tx, execution):
        close(tx, execution, wait_key, wait, "withdraw", actor=actor, cause="resumed")
    tx.execute(statements.DRIVE, {"id": execution_id, "the_lease": lease})


def complete(tx: Transaction, execution_id: str, result: str, keeping: RetentionRules, actor: str | None) -> None:
    """The end, with a result. Legal only from running: an open wait must be settled first."""
    end(tx, execution_id, "complete", keeping, actor=actor, result=result)


def fail(
    tx: Transaction, execution_id: str, error: str, code: str | None, keeping: RetentionRules, actor: str | None
) -> None:
    """The end, with an error, from any status that is not an end."""
    end(tx, execution_id, "fail", keeping, actor=actor, error=error, code=code)


def cancel(tx: Transaction, execution_id: str, reason: str | None, keeping: RetentionRules, actor: str | None) -> None:
    """The end, because someone said so. Nothing at all on one that is cancelled already."""
    if read(tx, execution_id).status != "cancelled":
        end(tx, execution_id, "cancel", keeping, actor=actor, cause=reason)


def interrupt(tx: Transaction, execution_id: str, lease: int | None, error: str, keeping: RetentionRules) -> bool:
    """Fail an execution that a dead process left running. False, and nothing at all, if anyone has dealt with it since."""
    try:
        execution = read(tx, execution_id)
    except ExecutionNotFound:
        return False  # recovered and swept by another process meanwhile
    if execution.status != "running" or execution.lease != lease:
        return False
    end(tx, execution_id, "fail", keeping, cause="recover", error=error, code="interrupted_by_restart")
    return True


_PAST: Final = {"complete": "completed", "fail": "failed", "cancel": "cancelled"}


def _workflow(tx: Transaction, execution_id: str) -> str | None:
    row = tx.one(statements.WORKFLOW, {"id": execution_id})
    return None if row is None else row[0]


def end(
    tx: Transaction,
    execution_id: str,
    trigger: str,
    keeping: RetentionRules,
    *,
    actor: str | None = None,
    cause: str | None = None,
    result: str | None = None,
    error: str | None = None,
    code: str | None = None,
) -> str:
    """End an execution by ``trigger`` and withdraw what is open; returns its status. ``keeping`` says how long it stays."""
    workflow = _workflow(tx, execution_id) if keeping.workflows else None
    time_to_live = keeping.of(_PAST[trigger], workflow)
    expires_at = None if time_to_live is None else tx.now + time_to_live

    def attempt(execution: Execution) -> tuple[Execution, str, str, list[tuple[int, Wait]]] | None:
        before = execution.status
        to = move("execution", execution_id, before, trigger)
        waits = open_waits(tx, execution) if execution.open_waits else []
        expected = (execution_id, before, execution.open_waits, execution.secrets)
        row = (to, 0, tx.now, expires_at, result, error, code, *expected)
        if tx.execute(statements.END, row).rowcount != 1:
            return None
        return execution, before, to, waits

    execution, before, to, waits = from_state(tx, execution_id, attempt)
    event = EventKind.ended(to)
    detail = None if error is None else event_details.failed(error, code, digest=keeping.digest)
    # The result itself goes with the execution; that it was this one can be shown for as long as there is history.
    sequence = append(
        tx, event, execution_id, moved=(before, to), actor=actor, cause=cause, detail=detail, hashed=result
    )
    tx.execute(statements.END_RUN, (execution_id,))
    tx.emit(
        Change(
            sequence, execution_id, event, before, to, tx.now,
            expires_at=expires_at, result=result, error=error, code=code,
        )
    )  # fmt: skip
    for wait_key, wait in waits:
        _write_closed(tx, execution_id, wait_key, wait, "withdraw")
        wait.ended = True
        event = EventKind.moved(wait.kind, wait.status)
        sequence = append(
            tx, event, execution_id, wait_id=wait.id, moved=(to, to), actor=actor, cause=f"execution {to}"
        )
        tx.emit(Change(sequence, execution_id, event, to, to, tx.now, wait))
    if execution.secrets:
        tx.execute(statements.FORGET_SECRETS, (execution_id,))
    return to


def adopt(tx: Transaction, execution_ids: list[str], lease: int) -> list[str]:
    """Take over those of the executions that no living process drives: the one with this lease waits for them now.

    Which of them it drives from now on, those included that it drove before.
    """
    alive = live(tx)
    driven = []
    for execution_id in execution_ids:
        row = tx.one(statements.EXECUTION, {"id": execution_id})
        if row is None:
            continue
        driver = Execution(execution_id, *row).lease
        if driver not in alive:
            tx.execute(statements.DRIVE, {"id": execution_id, "the_lease": lease})
            driver = lease
        if driver == lease:
            driven.append(execution_id)
    return driven


# --- Their waits ----------------------------------------------------------------------------------------------------


def open_waits(tx: Transaction, execution: Execution) -> list[tuple[int, Wait]]:
    """The open waits of an execution, the oldest first, each with its key."""
    return [(wait_key, Wait(*row)) for wait_key, *row in tx.all(statements.OPEN_WAITS, {"id": execution.id})]


def close(
    tx: Transaction,
    execution: Execution,
    wait_key: int,
    wait: Wait,
    trigger: str,
    *,
    actor: str | None = None,
    cause: str | None = None,
    detail: str | None = None,
) -> None:
    """Close one wait without a response, and settle its execution."""
    _write_closed(tx, execution.id, wait_key, wait, trigger)
    settle(tx, execution, wait, actor=actor, cause=cause, detail=detail)


def settle(
    tx: Transaction,
    execution: Execution,
    wait: Wait,
    *,
    actor: str | None = None,
    cause: str | None = None,
    detail: str | None = None,
) -> None:
    """After a wait was closed: on to the kind of the oldest wait still open, else back to running; and tell of it."""
    for state in (execution, None):
        execution = state or read(tx, execution.id)
        before = execution.status
        left = execution.open_waits - 1
        to = "running"
        if left:
            oldest = open_waits(tx, execution)[0][1]
            to = "interaction_required" if oldest.kind == "interaction" else "oauth_required"
        to = move("execution", execution.id, before, "settle", to)
        if execution.write(tx, statements.MOVE, to, left):
            break
    else:
        raise Conflict(f"Execution {execution.id}", execution.status)
    event = EventKind.moved(wait.kind, wait.status)
    sequence = append(
        tx, event, execution.id, wait_id=wait.id, moved=(before, to), actor=actor, cause=cause, detail=detail
    )
    tx.execute(statements.TELL_RUN, (execution.id,))
    tx.emit(Change(sequence, execution.id, event, before, to, tx.now, wait))


def _write_closed(tx: Transaction, execution_id: str, wait_key: int, wait: Wait, trigger: str) -> None:
    to = move(wait.kind, wait.id, wait.status, trigger)
    sql = statements.CLOSE_INTERACTION if wait.kind == "interaction" else statements.CLOSE_CONSENT
    if tx.execute(sql, (to, tx.now, wait_key, wait.status)).rowcount != 1:
        raise Conflict(f"The wait {wait.id} of execution {execution_id}", wait.status)
    wait.status = to
