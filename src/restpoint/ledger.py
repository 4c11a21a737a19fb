"""The ledger: every transition, as one named function each, and the only writer of a status.

A function here is a job for the writer of ``database.py``. It is given the open transaction, asks the lifecycle whether the
move is legal, writes the move with the expected state in its WHERE clause, writes the side rows, and appends the row of
history that tells of it. What it returns are ``Change`` values, which the store applies to its records once COMMIT returned.

Two rules of the house. Refuse before the first write: then a refusal costs the jobs of the same batch nothing. And suppose
the usual state before reading it: the WHERE clause finds out, so the usual case saves a query, and only where no row
matched is the state read, to decide again or to refuse with what is really there.

The statements are in ``statements.py``, the questions in ``queries.py``, deletion in ``retention.py``.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from restpoint import statements
from restpoint.database import Transaction
from restpoint.errors import (
    Conflict,
    ExecutionNotFound,
    InteractionAlreadyResolved,
    InteractionExists,
    InteractionExpired,
    InteractionNotFound,
    InteractionWithdrawn,
)
from restpoint.history import append, head
from restpoint.leases import live
from restpoint.lifecycle import move
from restpoint.payloads import encode

T = TypeVar("T")


@dataclass(slots=True)
class Wait:
    """A row of ``interactions`` or ``consents``. Times are milliseconds since the epoch."""

    kind: Literal["interaction", "consent"]
    id: str
    status: str
    opened: int
    created_at: int
    deadline_at: int | None
    prompt: str | None = None
    response: str | None = None
    auth_url: str | None = None
    oauth_state: str | None = None
    ended: bool = False
    """Withdrawn because its execution ended."""
    assignees: str | None = None
    four_eyes: int | None = None


@dataclass(slots=True)
class Change:
    """What one row of history did to an execution."""

    sequence: int
    execution_id: str
    event: str
    before: str | None
    status: str
    at: int
    wait: Wait | None = None
    expires_at: int | None = None
    result: str | None = None
    error: str | None = None
    code: str | None = None


Changes = list[Change]


@dataclass(frozen=True, slots=True)
class Terms:
    """Whom an interaction is addressed to, and what happens at its deadline. Payloads are JSON text."""

    assignees: str | None = None
    four_eyes: int | None = None
    on_deadline: Literal["default", "fail"] | None = None
    default_response: str | None = None


NO_TERMS: Final = Terms()


@dataclass(frozen=True, slots=True)
class Deadlines:
    """What expiring needs to know of its store: how history tells of a default response, and how long a failure stays."""

    detail: Callable[[str], str]
    time_to_live: int | None


@dataclass(slots=True)
class Refusal:
    """A job that had to write something and still says no: the change it made, and the error for the caller."""

    changes: Changes
    error: InteractionExpired


@dataclass(slots=True)
class Execution:
    """The state of an execution, as read or as supposed."""

    id: str
    status: str
    open_waits: int
    lease: int | None = None
    hold: str | None = None

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


def _from_state(tx: Transaction, execution_id: str, attempt: Callable[[Execution], T | None]) -> T:
    """Attempt a write from the usual state, unread; then, if that was not it, from the one in the file."""
    done = attempt(Execution(execution_id, "running", 0))
    if done is None:
        done = attempt(read(tx, execution_id))
    if done is None:
        raise Conflict(f"Execution {execution_id}", "as it was read in the same transaction")
    return done


# --- Executions ------------------------------------------------------------------------------------------------------


def create(
    tx: Transaction, execution_id: str, workflow: str | None, owner: str | None, lease: int | None, actor: str | None
) -> Change:
    """A new execution, running."""
    tx.execute(statements.CREATE, (execution_id, workflow, owner, lease, tx.now))
    about = {name: value for name, value in (("workflow", workflow), ("owner", owner)) if value is not None}
    detail = encode(about) if about else None
    sequence = append(tx, "execution_created", execution_id, moved=(None, "running"), actor=actor, detail=detail)
    return Change(sequence, execution_id, "execution_created", None, "running", tx.now)


def resume(tx: Transaction, execution_id: str, lease: int | None, actor: str | None) -> Changes:
    """Back to running, withdrawing every wait that is still open.

    On one that runs already nothing changes, but that it is driven by this lease if no living process drives it.
    """
    execution = read(tx, execution_id)
    if execution.status == "running":
        if lease is not None and execution.lease != lease:
            adopt(tx, [execution_id], lease)
        return []
    move("execution", execution_id, execution.status, "settle", "running")
    changes = [
        _close(tx, execution, wait_key, wait, "withdraw", actor=actor, cause="resumed")
        for wait_key, wait in open_waits(tx, execution)
    ]
    tx.execute(statements.DRIVE, {"id": execution_id, "the_lease": lease})
    return changes


def complete(tx: Transaction, execution_id: str, result: str, time_to_live: int | None, actor: str | None) -> Changes:
    """The end, with a result. Legal only from running: an open wait must be settled first."""
    return end(tx, execution_id, "complete", time_to_live, actor=actor, result=result)


def fail(
    tx: Transaction, execution_id: str, error: str, code: str | None, time_to_live: int | None, actor: str | None
) -> Changes:
    """The end, with an error, from any status that is not an end."""
    return end(tx, execution_id, "fail", time_to_live, actor=actor, error=error, code=code)


def cancel(
    tx: Transaction, execution_id: str, reason: str | None, time_to_live: int | None, actor: str | None
) -> Changes:
    """The end, because someone said so. Nothing at all on one that is cancelled already."""
    if read(tx, execution_id).status == "cancelled":
        return []
    return end(tx, execution_id, "cancel", time_to_live, actor=actor, cause=reason)


def interrupt(tx: Transaction, execution_id: str, lease: int | None, error: str, time_to_live: int | None) -> Changes:
    """Fail an execution that a dead process left running; nothing at all if anyone has dealt with it since."""
    try:
        execution = read(tx, execution_id)
    except ExecutionNotFound:
        return []  # recovered and swept by another process meanwhile
    if execution.status != "running" or execution.lease != lease:
        return []
    return end(tx, execution_id, "fail", time_to_live, cause="recover", error=error, code="interrupted_by_restart")


_PAST: Final = {"complete": "completed", "fail": "failed", "cancel": "cancelled"}


def end(
    tx: Transaction,
    execution_id: str,
    trigger: str,
    time_to_live: int | None,
    *,
    actor: str | None = None,
    cause: str | None = None,
    result: str | None = None,
    error: str | None = None,
    code: str | None = None,
) -> Changes:
    """End an execution by ``trigger`` and withdraw what is open. ``time_to_live`` is in milliseconds; None: for ever."""
    expires_at = None if time_to_live is None else tx.now + time_to_live

    def attempt(execution: Execution) -> tuple[str, str, list[tuple[int, Wait]]] | None:
        before = execution.status
        to = move("execution", execution_id, before, trigger)
        waits = open_waits(tx, execution) if execution.open_waits else []
        ended = execution.write(tx, statements.END, to, 0, tx.now, expires_at, result, error, code)
        return (before, to, waits) if ended else None

    before, to, waits = _from_state(tx, execution_id, attempt)
    event = f"execution_{_PAST[trigger]}"
    detail = None if error is None else encode({"error": error, "code": code})
    sequence = append(tx, event, execution_id, moved=(before, to), actor=actor, cause=cause, detail=detail)
    tx.execute(statements.END_RUN, (execution_id,))
    changes = [
        Change(
            sequence, execution_id, event, before, to, tx.now,
            expires_at=expires_at, result=result, error=error, code=code,
        )
    ]  # fmt: skip
    for wait_key, wait in waits:
        _write_closed(tx, execution_id, wait_key, wait, "withdraw")
        wait.ended = True
        event = f"{wait.kind}_withdrawn"
        sequence = append(
            tx, event, execution_id, wait_id=wait.id, moved=(to, to), actor=actor, cause=f"execution {to}"
        )
        changes.append(Change(sequence, execution_id, event, to, to, tx.now, wait))
    return changes


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


# --- Waits -----------------------------------------------------------------------------------------------------------


def ask(
    tx: Transaction,
    execution_id: str,
    wait_id: str,
    prompt: str,
    timeout: int | None,
    lease: int | None,
    actor: str | None,
    detail: str,
    *,
    chosen: bool = True,
    terms: Terms = NO_TERMS,
) -> Change:
    """One more open interaction. ``timeout`` is in milliseconds from now; ``chosen``: the caller chose the id.

    Raises ``InteractionExists``.
    """
    wait = Wait("interaction", wait_id, "pending", head(tx)[0] + 1, tx.now, _deadline(tx, timeout), prompt)
    wait.assignees, wait.four_eyes = terms.assignees, terms.four_eyes
    content = (prompt, terms.assignees, terms.four_eyes, terms.on_deadline, terms.default_response)
    return _open(tx, execution_id, wait, "ask", statements.ASK, content, lease, actor, detail, chosen=chosen)


def authorize(
    tx: Transaction,
    execution_id: str,
    wait_id: str,
    auth_url: str,
    oauth_state: str,
    timeout: int | None,
    lease: int | None,
    actor: str | None,
) -> Change:
    """One more open consent, which the caller drives. History keeps neither the URL nor the state: both are secrets."""
    wait = Wait("consent", wait_id, "pending", head(tx)[0] + 1, tx.now, _deadline(tx, timeout))
    wait.auth_url, wait.oauth_state = auth_url, oauth_state
    shown = (auth_url, oauth_state)
    return _open(tx, execution_id, wait, "authorize", statements.AUTHORIZE, shown, lease, actor, None)


def _deadline(tx: Transaction, timeout: int | None) -> int | None:
    return None if timeout is None else tx.now + timeout


def _open(
    tx: Transaction,
    execution_id: str,
    wait: Wait,
    trigger: str,
    sql: str,
    content: tuple[object, ...],
    lease: int | None,
    actor: str | None,
    detail: str | None,
    *,
    chosen: bool = False,
) -> Change:
    row = (wait.id, wait.opened, tx.now, wait.deadline_at, *content)
    # An id is for one wait, of either kind; only one that a caller chose can be taken.
    if chosen and tx.one(statements.WAIT_STATUS, {"id": execution_id, "wait": wait.id}) is not None:
        move("execution", execution_id, read(tx, execution_id).status, trigger)
        raise InteractionExists(execution_id, wait.id)

    def attempt(execution: Execution) -> tuple[Execution, str] | None:
        to = move("execution", execution_id, execution.status, trigger)
        try:
            opened = tx.execute(sql, (*row, execution_id, execution.status, execution.open_waits)).rowcount
        except sqlite3.IntegrityError as error:
            raise InteractionExists(execution_id, wait.id) from error
        return (execution, to) if opened == 1 else None

    execution, to = _from_state(tx, execution_id, attempt)
    before = execution.status
    if not execution.write(tx, statements.MOVE_AND_DRIVE, to, execution.open_waits + 1, lease):
        raise Conflict(f"Execution {execution_id}", before)
    event = f"{wait.kind}_asked"
    sequence = append(tx, event, execution_id, wait_id=wait.id, moved=(before, to), actor=actor, detail=detail)
    return Change(sequence, execution_id, event, before, to, tx.now, wait)


def answer(
    tx: Transaction,
    execution_id: str,
    wait_id: str,
    response: str,
    actor: str | None,
    detail: str,
    deadlines: Deadlines,
) -> Changes | Refusal:
    """A response to an open interaction. The same response again changes nothing and is a success.

    ``response`` must have passed ``prompts.accepts``; a prompt never changes, so that check needs no transaction. An open
    interaction whose deadline has passed expires here and now, and the response is refused.
    """
    to = move("interaction", wait_id, "pending", "answer")
    values = (to, tx.now, response, actor, execution_id, wait_id, "pending", tx.now)
    if tx.execute(statements.ANSWER, values).rowcount != 1:
        return _not_answered(tx, execution_id, wait_id, response, deadlines)
    wait = Wait("interaction", wait_id, to, 0, 0, None, response=response)
    execution = Execution(execution_id, "interaction_required", 1)  # the usual state, which the settling verifies
    return [_settle(tx, execution, wait, actor=actor, detail=detail)]


def _not_answered(
    tx: Transaction, execution_id: str, wait_id: str, response: str, deadlines: Deadlines
) -> Changes | Refusal:
    """Why an interaction took no response, if it is not that it has this very response already."""
    row = tx.one(statements.INTERACTION, {"id": execution_id, "wait": wait_id})
    if row is None:
        read(tx, execution_id)
        raise InteractionNotFound(execution_id, wait_id)
    status, waits, wait_key, wait_status, deadline_at, stored, answered_by, closed_at = row
    if wait_status == "answered":
        if stored == response:
            return []
        raise InteractionAlreadyResolved(execution_id, wait_id, answered_by, closed_at)
    if wait_status == "withdrawn":
        raise InteractionWithdrawn(execution_id, wait_id)
    changes = []
    if wait_status == "pending":
        wait = Wait("interaction", wait_id, wait_status, 0, 0, deadline_at)
        changes = _fall_due(tx, Execution(execution_id, status, waits), wait_key, wait, deadlines)
    return Refusal(changes, InteractionExpired(execution_id, wait_id))


def withdraw(tx: Transaction, execution_id: str, wait_id: str, reason: str | None, actor: str | None) -> Changes:
    """Take one open wait back. Nothing at all on one that is withdrawn already."""
    execution = read(tx, execution_id)
    for wait_key, wait in open_waits(tx, execution):
        if wait.id == wait_id:
            return [_close(tx, execution, wait_key, wait, "withdraw", actor=actor, cause=reason)]
    row = tx.one(statements.WAIT_STATUS, {"id": execution_id, "wait": wait_id})
    if row is None:
        raise InteractionNotFound(execution_id, wait_id)
    kind, status = row
    if status != "withdrawn":
        move(kind, wait_id, status, "withdraw")
    return []


def expire(tx: Transaction, execution_id: str, wait_id: str, deadlines: Deadlines) -> Changes:
    """What an open wait's passed deadline does. Nothing at all on one that was closed meanwhile."""
    execution = read(tx, execution_id)
    for wait_key, wait in open_waits(tx, execution):
        if wait.id == wait_id and wait.deadline_at is not None and wait.deadline_at <= tx.now:
            return _fall_due(tx, execution, wait_key, wait, deadlines)
    return []


def _fall_due(tx: Transaction, execution: Execution, wait_key: int, wait: Wait, deadlines: Deadlines) -> Changes:
    """Expire it; or answer it with its default; or fail its execution: as was said when it was asked."""
    then, default = None, None
    if wait.kind == "interaction":
        then, default = tx.one(statements.AT_DEADLINE, {"wait_key": wait_key}) or (None, None)
    if then == "default":
        to = move("interaction", wait.id, wait.status, "answer")
        if tx.execute(statements.ANSWER_BY_DEFAULT, (to, tx.now, wait_key, wait.status)).rowcount != 1:
            raise Conflict(f"The wait {wait.id} of execution {execution.id}", wait.status)
        wait.status, wait.response = to, default
        return [_settle(tx, execution, wait, cause="deadline", detail=deadlines.detail(wait.response or ""))]
    changes = [_close(tx, execution, wait_key, wait, "expire", cause="deadline")]
    if then == "fail":
        error = "Nobody answered a prompt of this execution before its deadline."
        ttl = deadlines.time_to_live
        changes += end(tx, execution.id, "fail", ttl, cause="deadline", error=error, code="deadline_passed")
    return changes


def open_waits(tx: Transaction, execution: Execution) -> list[tuple[int, Wait]]:
    """The open waits of an execution, the oldest first, each with its key."""
    return [(wait_key, Wait(*row)) for wait_key, *row in tx.all(statements.OPEN_WAITS, {"id": execution.id})]


def _close(
    tx: Transaction,
    execution: Execution,
    wait_key: int,
    wait: Wait,
    trigger: str,
    *,
    actor: str | None = None,
    cause: str | None = None,
) -> Change:
    """Close one wait without a response, and settle its execution."""
    _write_closed(tx, execution.id, wait_key, wait, trigger)
    return _settle(tx, execution, wait, actor=actor, cause=cause)


def _settle(
    tx: Transaction,
    execution: Execution,
    wait: Wait,
    *,
    actor: str | None = None,
    cause: str | None = None,
    detail: str | None = None,
) -> Change:
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
    event = f"{wait.kind}_{wait.status}"
    sequence = append(
        tx, event, execution.id, wait_id=wait.id, moved=(before, to), actor=actor, cause=cause, detail=detail
    )
    tx.execute(statements.TELL_RUN, (execution.id,))
    return Change(sequence, execution.id, event, before, to, tx.now, wait)


def _write_closed(tx: Transaction, execution_id: str, wait_key: int, wait: Wait, trigger: str) -> None:
    to = move(wait.kind, wait.id, wait.status, trigger)
    sql = statements.CLOSE_INTERACTION if wait.kind == "interaction" else statements.CLOSE_CONSENT
    if tx.execute(sql, (to, tx.now, wait_key, wait.status)).rowcount != 1:
        raise Conflict(f"The wait {wait.id} of execution {execution_id}", wait.status)
    wait.status = to
