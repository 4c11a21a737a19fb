"""The transitions of executions, one function each. Only this module and ``waits.py`` write a status.

Each function is a job for the writer (``sqlite/writer.py``). It gets the open transaction, asks the lifecycle whether the
transition is legal, writes it with the expected state in the WHERE clause, writes the side rows, appends the row of history, and
emits the event, which the store folds into its records after COMMIT.

Two rules hold here. A job refuses before its first write, because a refusal then costs the other jobs of the batch nothing. And a
job assumes the usual state instead of reading it. The WHERE clause checks the assumption, which saves a query in the usual case;
only when no row matched does the job read the state, and then tries again or refuses with what is really there.

The transitions of waits are in ``waits.py``, the statements in ``statements.py``, the reads in ``queries.py``, and deletion is in
``retention.py``.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, TypeVar

from restpoint._core.changes import Change, Wait
from restpoint._core.execution_row import AT_FIRST, ExecutionRow
from restpoint._core.retention_rules import RetentionRules
from restpoint._storage import event_details, leases, statements
from restpoint._storage.history import append
from restpoint._storage.leases import Claim
from restpoint._storage.sqlite.database import Transaction
from restpoint.errors import Conflict, ExecutionNotFound, LeaseLost
from restpoint.events import EventKind
from restpoint.lifecycle import move

T = TypeVar("T")


@dataclass(slots=True)
class Execution:
    """The part of an execution's row that decisions rest on, as read or as supposed (``statements.EXPECTED``).

    Without an ``epoch`` a write expects none: the writer has no claim.
    """

    id: str
    status: str
    open_waits: int
    epoch: int | None = None
    lease: int | None = None
    hold: str | None = None
    secrets: int | None = None

    def write(self, tx: Transaction, sql: str, to: str, waits: int, *values: object) -> bool:
        """Move the row on; False where it is not in this state, and then nothing was written."""
        if tx.execute(sql, (to, waits, *values, self.id, self.status, self.open_waits, self.epoch)).rowcount != 1:
            return False
        self.status, self.open_waits = to, waits
        return True

    def check(self, tx: Transaction, claim: Claim | None) -> None:
        """Raise ``LeaseLost`` if the execution was taken over from the process that has this claim: see ``leases.py``."""
        if claim is not None and self.epoch != claim.epoch and not leases.stands(tx, claim):
            raise LeaseLost(self.id)


def read(tx: Transaction, execution_id: str) -> Execution:
    """The execution, or ``ExecutionNotFound``."""
    row = tx.one(statements.EXECUTION, {"id": execution_id})
    if row is None:
        raise ExecutionNotFound(execution_id)
    return Execution(execution_id, *row)


def from_state(
    tx: Transaction, execution_id: str, attempt: Callable[[Execution], T | None], claim: Claim | None = None
) -> T:
    """Attempt a write from the usual state without reading it. If no row matches, attempt it from the state in the file."""
    done = attempt(Execution(execution_id, "running", 0, None if claim is None else claim.epoch))
    if done is None:
        done = attempt(read(tx, execution_id))
    if done is None:
        raise Conflict(f"Execution {execution_id}", "as it was read in the same transaction")
    return done


# --- Executions ------------------------------------------------------------------------------------------------------


_at_first: Final = attrgetter(*AT_FIRST)


def create(tx: Transaction, row: ExecutionRow, actor: str | None, begins_with: str | None = None) -> None:
    """Create the execution of this row, at the time of the transaction. ``begins_with`` is the input of a run, as JSON."""
    row = row.changed(created_at=tx.now)
    tx.execute(statements.CREATE, _at_first(row))
    detail = event_details.created(row, begins_with)
    event = EventKind.EXECUTION_CREATED
    sequence = append(tx, event, row.id, moved=(None, row.status), actor=actor, detail=detail)
    tx.emit(Change(sequence, row.id, event, None, row.status, tx.now, execution=row, actor=actor))


def resume(
    tx: Transaction,
    execution_id: str,
    lease: int,
    claim: Claim | None,
    actor: str | None,
    awaited: Collection[str] = (),
) -> Claim | None:
    """Withdraw the waits of a paused execution that nobody awaits any more, which sets it back to running if none is left.

    ``awaited`` are the interactions that someone in this process awaits. A workflow that a runner runs awaits all of its own.
    On an execution that runs already nothing changes, except that this lease drives it from now on if no living process did.
    Returns the claim of this lease where it drives the execution. Raises ``LeaseLost`` if a living process took the execution
    over from whoever has ``claim``.
    """
    execution = read(tx, execution_id)
    if execution.status != "running":
        move("execution", execution_id, execution.status, "settle", "running")
    if not (taken := leases.take_over(tx, [execution_id], lease)):
        execution.check(tx, claim)
    if execution.status == "running":
        return taken[0] if taken else None
    execution.epoch = None  # it may just have grown
    driven = leases.drive(tx, execution_id, lease)
    for wait_key, wait in open_waits(tx, execution):
        if wait.kind == "consent" or not (driven is None or wait.id in awaited):
            close(tx, execution, wait_key, wait, "withdraw", actor=actor, cause="resumed")
    return driven


def complete(
    tx: Transaction,
    execution_id: str,
    result: str,
    keeping: RetentionRules,
    actor: str | None,
    claim: Claim | None = None,
) -> None:
    """End the execution with a result. This is legal only from running: an open wait must be settled first."""
    end(tx, execution_id, "complete", keeping, actor=actor, result=result, claim=claim)


def fail(
    tx: Transaction,
    execution_id: str,
    error: str,
    code: str | None,
    keeping: RetentionRules,
    actor: str | None,
    claim: Claim | None = None,
) -> None:
    """End the execution with an error, from any status that is not terminal."""
    end(tx, execution_id, "fail", keeping, actor=actor, error=error, code=code, claim=claim)


def cancel(
    tx: Transaction,
    execution_id: str,
    reason: str | None,
    keeping: RetentionRules,
    actor: str | None,
    claim: Claim | None = None,
) -> None:
    """Cancel the execution. Do nothing if it is cancelled already."""
    if read(tx, execution_id).status != "cancelled":
        end(tx, execution_id, "cancel", keeping, actor=actor, cause=reason, claim=claim)


def interrupt(
    tx: Transaction, execution_id: str, lease: int | None, epoch: int, error: str, keeping: RetentionRules
) -> bool:
    """Fail an execution that a dead process left running. Do nothing and return False if anyone has dealt with it since.

    ``lease`` and ``epoch`` are those that were found with the dead process.
    """
    try:
        execution = read(tx, execution_id)
    except ExecutionNotFound:
        return False  # recovered and swept by another process meanwhile
    if execution.status != "running" or (execution.lease, execution.epoch) != (lease, epoch):
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
    claim: Claim | None = None,
) -> str:
    """End an execution by ``trigger`` and withdraw what is open; returns its status. ``keeping`` says how long it stays.

    Raises ``LeaseLost`` if the execution was taken over from whoever has ``claim``.
    """
    workflow = _workflow(tx, execution_id) if keeping.workflows else None
    time_to_live = keeping.of(_PAST[trigger], workflow)
    expires_at = None if time_to_live is None else tx.now + time_to_live

    def attempt(execution: Execution) -> tuple[Execution, str, str, list[tuple[int, Wait]]] | None:
        before = execution.status
        to = move("execution", execution_id, before, trigger)
        execution.check(tx, claim)
        waits = open_waits(tx, execution) if execution.open_waits else []
        expected = (execution_id, before, execution.open_waits, execution.epoch, execution.secrets)
        row = (to, 0, tx.now, expires_at, result, error, code, *expected)
        if tx.execute(statements.END, row).rowcount != 1:
            return None
        return execution, before, to, waits

    execution, before, to, waits = from_state(tx, execution_id, attempt, claim)
    event = EventKind.ended(to)
    detail = None if error is None else event_details.failed(error, code, digest=keeping.digest)
    # The result itself goes with the execution; that it was this one can be shown for as long as there is history.
    sequence = append(
        tx, event, execution_id, moved=(before, to), actor=actor, cause=cause, detail=detail, hashed=result
    )
    tx.emit(
        Change(
            sequence, execution_id, event, before, to, tx.now,
            expires_at=expires_at, result=result, error=error, code=code, actor=actor,
        )
    )  # fmt: skip
    for wait_key, wait in waits:
        _write_closed(tx, execution_id, wait_key, wait, "withdraw")
        wait.ended = True
        event = EventKind.moved(wait.kind, wait.status)
        sequence = append(
            tx, event, execution_id, wait_id=wait.id, moved=(to, to), actor=actor, cause=f"execution {to}"
        )
        tx.emit(Change(sequence, execution_id, event, to, to, tx.now, wait, actor=actor))
    if execution.secrets:
        tx.execute(statements.FORGET_SECRETS, (execution_id,))
    return to


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
    """Move the execution after a wait was closed: to the kind of the oldest wait still open, else back to running."""
    for state in (execution, None):
        execution = state or read(tx, execution.id)
        before = execution.status
        left = execution.open_waits - 1
        to = "running"
        if left:
            oldest = tx.one(statements.OLDEST_OPEN_WAIT, {"id": execution.id})
            to = "interaction_required" if oldest and oldest[0] == "interaction" else "oauth_required"
        to = move("execution", execution.id, before, "settle", to)
        if execution.write(tx, statements.MOVE_AND_WAKE, to, left):
            break
    else:
        raise Conflict(f"Execution {execution.id}", execution.status)
    event = EventKind.moved(wait.kind, wait.status)
    sequence = append(
        tx, event, execution.id, wait_id=wait.id, moved=(before, to), actor=actor, cause=cause, detail=detail
    )
    tx.emit(Change(sequence, execution.id, event, before, to, tx.now, wait, actor=actor))


def _write_closed(tx: Transaction, execution_id: str, wait_key: int, wait: Wait, trigger: str) -> None:
    to = move(wait.kind, wait.id, wait.status, trigger)
    sql = statements.CLOSE_INTERACTION if wait.kind == "interaction" else statements.CLOSE_CONSENT
    if tx.execute(sql, (to, tx.now, wait_key, wait.status)).rowcount != 1:
        raise Conflict(f"The wait {wait.id} of execution {execution_id}", wait.status)
    wait.status = to
