"""Every write of status and history, as one named function each.

A function here is a job for the writer of ``database.py``: it is given the open transaction, asks the lifecycle whether the
move is legal, writes the move with the expected state in its WHERE clause, writes the side rows, and appends the row of
history that tells of it. What it returns is a ``Change``, which the store applies to its records once COMMIT returned.

The house rule of a job: refuse before the first write. Then a refusal costs its batch-mates nothing.

The questions that are asked of the file are in ``queries.py``.
"""

import sqlite3
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Update, and_, bindparam, insert, literal_column, null, select, union_all, update
from sqlalchemy.sql.expression import ColumnElement

from restpoint.database import Transaction, prepare
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
from restpoint.lifecycle import OPEN, move
from restpoint.payloads import encode
from restpoint.schema import consents, executions, interactions

WaitKind = Literal["interaction", "consent"]


@dataclass(slots=True)
class Wait:
    """A row of ``interactions`` or ``consents``. Times are milliseconds since the epoch."""

    kind: WaitKind
    id: str
    status: str
    opened: int
    created_at: int
    deadline_at: int | None
    prompt: str | None = None
    response: str | None = None
    auth_url: str | None = None
    oauth_state: str | None = None


@dataclass(slots=True)
class Change:
    """What one row of history did to an execution."""

    sequence: int
    execution_id: str
    event: str
    status: str
    at: int
    waits: tuple[Wait, ...] = ()
    expires_at: int | None = None


# --- Statements ------------------------------------------------------------------------------------------------------

_e, _i, _c = executions.c, interactions.c, consents.c


def _given(name: str) -> ColumnElement[object]:
    return bindparam(name)


def _const(value: str) -> ColumnElement[str]:
    return literal_column(f"'{value}'")


_OPEN_CONSENT: Final = _c.status.in_([_const(status) for status in OPEN])
_OPEN_INTERACTION: Final = _i.status == _const("pending")

_EXECUTION: Final = prepare(
    select(_e.key, _e.status, _e.version, _e.open_waits, _e.lease, _e.hold).where(_e.id == _given("id"))
)
_CREATE: Final = prepare(
    insert(executions).values(
        id=_given("id"),
        status=_const("running"),
        version=literal_column("1"),
        open_waits=literal_column("0"),
        workflow=_given("workflow"),
        owner=_given("owner"),
        lease=_given("lease"),
        created_at=_given("now"),
    )
)
_GUARD: Final = and_(_e.key == _given("the_key"), _e.status == _given("the_status"), _e.version == _given("the_version"))


def _moves(**values: ColumnElement[object]) -> str:
    statement: Update = update(executions).where(_GUARD)
    return prepare(
        statement.values(
            status=_given("to_status"), version=_e.version + literal_column("1"), open_waits=_given("waits"), **values
        )
    )


_MOVE: Final = _moves()
_MOVE_LEASED: Final = _moves(lease=_given("the_lease"))
_END: Final = _moves(
    lease=null(),
    completed_at=_given("now"),
    expires_at=_given("expires"),
    result=_given("the_result"),
    error=_given("the_error"),
    error_code=_given("the_code"),
)

_ASK: Final = prepare(
    insert(interactions).values(
        execution_key=_given("key"),
        id=_given("wait"),
        status=_const("pending"),
        opened=_given("sequence"),
        prompt=_given("the_prompt"),
        created_at=_given("now"),
        deadline_at=_given("deadline"),
    )
)
_AUTHORIZE: Final = prepare(
    insert(consents).values(
        execution_key=_given("key"),
        id=_given("wait"),
        status=_const("pending"),
        opened=_given("sequence"),
        auth_url=_given("url"),
        oauth_state=_given("state"),
        created_at=_given("now"),
        deadline_at=_given("deadline"),
    )
)
_WAIT_STATUS: Final = prepare(
    union_all(
        select(_const("interaction"), _i.status).where(_i.execution_key == _given("key"), _i.id == _given("wait")),
        select(_const("consent"), _c.status).where(_c.execution_key == _given("key"), _c.id == _given("wait")),
    )
)
_INTERACTION: Final = prepare(
    select(_e.key, _e.status, _e.version, _e.open_waits, _i.key, _i.status, _i.deadline_at, _i.response, _i.answered_by, _i.closed_at)
    .select_from(executions.join(interactions, _i.execution_key == _e.key))
    .where(_e.id == _given("id"), _i.id == _given("wait"))
)
_CLOSE_INTERACTION: Final = prepare(
    update(interactions)
    .where(_i.key == _given("the_key"), _OPEN_INTERACTION)
    .values(status=_given("to_status"), closed_at=_given("now"), response=_given("the_response"), answered_by=_given("actor"))
)
_CLOSE_CONSENT: Final = prepare(
    update(consents)
    .where(_c.key == _given("the_key"), _c.status == _given("the_status"))
    .values(status=_given("to_status"), closed_at=_given("now"))
)
_OPEN_WAITS: Final = prepare(
    union_all(
        select(
            _const("interaction").label("kind"), _i.key, _i.id, _i.status, _i.opened.label("opened"), _i.created_at, _i.deadline_at
        ).where(_i.execution_key == _given("key"), _OPEN_INTERACTION),
        select(_const("consent"), _c.key, _c.id, _c.status, _c.opened, _c.created_at, _c.deadline_at).where(
            _c.execution_key == _given("key"), _OPEN_CONSENT
        ),
    ).order_by("opened")
)
_ADOPT: Final = prepare(update(executions).where(_e.id == _given("the_id")).values(lease=_given("the_lease")))
_DUE: Final = prepare(
    union_all(
        select(_e.id, _const("interaction").label("kind"), _i.id.label("wait"), _i.deadline_at.label("deadline"))
        .select_from(interactions.join(executions, _i.execution_key == _e.key))
        .where(_OPEN_INTERACTION, _i.deadline_at <= _given("now")),
        select(_e.id, _const("consent"), _c.id, _c.deadline_at)
        .select_from(consents.join(executions, _c.execution_key == _e.key))
        .where(_OPEN_CONSENT, _c.deadline_at <= _given("now")),
    )
    .order_by("deadline")
    .limit(_given("max"))
    .offset(literal_column("0"))
)
# --- Executions ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Execution:
    """A row of ``executions`` as this transaction read it."""

    id: str
    key: int
    status: str
    version: int
    open_waits: int
    lease: int | None = None
    hold: str | None = None

    def write(self, tx: Transaction, sql: str, to: str, waits: int, **values: object) -> None:
        """Move the row on, if it is still as it was read."""
        changed = tx.execute(
            sql,
            {
                "the_key": self.key,
                "the_status": self.status,
                "the_version": self.version,
                "to_status": to,
                "waits": waits,
                **values,
            },
        ).rowcount
        if changed != 1:
            raise Conflict(f"Execution {self.id}", f"{self.status} at version {self.version}")
        self.status, self.version, self.open_waits = to, self.version + 1, waits


def execution_row(tx: Transaction, execution_id: str) -> Execution:
    """The execution, or ``ExecutionNotFound``."""
    row = tx.one(_EXECUTION, {"id": execution_id})
    if row is None:
        raise ExecutionNotFound(execution_id)
    return Execution(execution_id, *row)


def create(
    tx: Transaction, execution_id: str, workflow: str | None, owner: str | None, lease: int | None, actor: str | None
) -> Change:
    """A new execution, running."""
    tx.execute(
        _CREATE, {"id": execution_id, "workflow": workflow, "owner": owner, "lease": lease, "now": tx.now}
    )
    about = {name: value for name, value in (("workflow", workflow), ("owner", owner)) if value is not None}
    sequence = append(
        tx, "execution_created", execution_id, moved=(None, "running"), actor=actor, detail=encode(about) if about else None
    )
    return Change(sequence, execution_id, "execution_created", "running", tx.now)


def _deadline(tx: Transaction, timeout: int | None) -> int | None:
    return None if timeout is None else tx.now + timeout


def ask(
    tx: Transaction,
    execution_id: str,
    wait_id: str,
    prompt: str,
    timeout: int | None,
    lease: int | None,
    actor: str | None,
    detail: str,
) -> Change:
    """One more open interaction. ``timeout`` is in milliseconds from now. Raises ``InteractionExists``."""
    execution = execution_row(tx, execution_id)
    before = execution.status
    to = move("execution", execution_id, before, "ask")
    sequence = head(tx)[0] + 1
    wait = Wait("interaction", wait_id, "pending", sequence, tx.now, _deadline(tx, timeout), prompt)
    try:
        tx.execute(
            _ASK,
            {
                "key": execution.key,
                "wait": wait_id,
                "sequence": sequence,
                "the_prompt": prompt,
                "now": tx.now,
                "deadline": wait.deadline_at,
            },
        )
    except sqlite3.IntegrityError as error:
        raise InteractionExists(execution_id, wait_id) from error
    execution.write(tx, _MOVE_LEASED, to, execution.open_waits + 1, the_lease=lease)
    append(tx, "interaction_asked", execution_id, wait_id=wait_id, moved=(before, to), actor=actor, detail=detail)
    return Change(sequence, execution_id, "interaction_asked", to, tx.now, (wait,))


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
    execution = execution_row(tx, execution_id)
    before = execution.status
    to = move("execution", execution_id, before, "authorize")
    sequence = head(tx)[0] + 1
    wait = Wait(
        "consent", wait_id, "pending", sequence, tx.now, _deadline(tx, timeout), auth_url=auth_url, oauth_state=oauth_state
    )
    tx.execute(
        _AUTHORIZE,
        {
            "key": execution.key,
            "wait": wait_id,
            "sequence": sequence,
            "url": auth_url,
            "state": oauth_state,
            "now": tx.now,
            "deadline": wait.deadline_at,
        },
    )
    execution.write(tx, _MOVE_LEASED, to, execution.open_waits + 1, the_lease=lease)
    append(tx, "consent_asked", execution_id, wait_id=wait_id, moved=(before, to), actor=actor)
    return Change(sequence, execution_id, "consent_asked", to, tx.now, (wait,))


def resume(tx: Transaction, execution_id: str, lease: int | None, actor: str | None) -> list[Change]:
    """Back to running, withdrawing every wait that is still open. Nothing at all on one that runs already."""
    execution = execution_row(tx, execution_id)
    if execution.status == "running":
        return []
    move("execution", execution_id, execution.status, "settle", "running")
    changes = [
        _close(tx, execution, wait_key, wait, "withdraw", actor=actor, cause="resumed")
        for wait_key, wait in open_waits(tx, execution)
    ]
    tx.execute(_ADOPT, {"the_id": execution_id, "the_lease": lease})
    return changes


def complete(
    tx: Transaction, execution_id: str, result: str, time_to_live: int | None, actor: str | None
) -> Change:
    """The end, with a result. Legal only from running: an open wait must be settled first."""
    return end(tx, execution_row(tx, execution_id), "complete", time_to_live, actor=actor, result=result)[-1]


def fail(
    tx: Transaction, execution_id: str, error: str, code: str | None, time_to_live: int | None, actor: str | None
) -> list[Change]:
    """The end, with an error, from any status that is not an end."""
    return end(tx, execution_row(tx, execution_id), "fail", time_to_live, actor=actor, error=error, code=code)


def cancel(
    tx: Transaction, execution_id: str, reason: str | None, time_to_live: int | None, actor: str | None
) -> list[Change]:
    """The end, because someone said so. Nothing at all on one that is cancelled already."""
    execution = execution_row(tx, execution_id)
    if execution.status == "cancelled":
        return []
    return end(tx, execution, "cancel", time_to_live, actor=actor, cause=reason)


def interrupt(
    tx: Transaction, execution_id: str, lease: int | None, error: str, time_to_live: int | None
) -> list[Change]:
    """Fail an execution that a dead process left running; nothing at all if anyone has taken it up since."""
    execution = execution_row(tx, execution_id)
    if execution.status != "running" or execution.lease != lease:
        return []
    return end(tx, execution, "fail", time_to_live, cause="recover", error=error, code="interrupted_by_restart")


_PAST: Final = {"complete": "completed", "fail": "failed", "cancel": "cancelled"}


def end(
    tx: Transaction,
    execution: Execution,
    trigger: str,
    time_to_live: int | None,
    *,
    actor: str | None = None,
    cause: str | None = None,
    result: str | None = None,
    error: str | None = None,
    code: str | None = None,
) -> list[Change]:
    """End an execution by ``trigger`` and withdraw what is open. Times in milliseconds."""
    before = execution.status
    to = move("execution", execution.id, before, trigger)
    waits = open_waits(tx, execution) if execution.open_waits else []
    expires_at = None if time_to_live is None else tx.now + time_to_live
    execution.write(
        tx, _END, to, 0, now=tx.now, expires=expires_at, the_result=result, the_error=error, the_code=code
    )
    event = f"execution_{_PAST[trigger]}"
    detail = None if error is None else encode({"error": error, "code": code})
    sequence = append(tx, event, execution.id, moved=(before, to), actor=actor, cause=cause, detail=detail)
    changes = [Change(sequence, execution.id, event, to, tx.now, expires_at=expires_at)]
    for wait_key, wait in waits:
        _write_closed(tx, execution.id, wait_key, wait, "withdraw")
        event = f"{wait.kind}_withdrawn"
        sequence = append(tx, event, execution.id, wait_id=wait.id, moved=(to, to), actor=actor, cause=f"execution {to}")
        changes.append(Change(sequence, execution.id, event, to, tx.now, (wait,)))
    return changes


# --- Waits -----------------------------------------------------------------------------------------------------------


def open_waits(tx: Transaction, execution: Execution) -> list[tuple[int, Wait]]:
    """The open waits of an execution, the oldest first, each with its key."""
    return [
        (wait_key, Wait(kind, wait_id, status, opened, created_at, deadline_at))
        for kind, wait_key, wait_id, status, opened, created_at, deadline_at in tx.all(_OPEN_WAITS, {"key": execution.key})
    ]


def _write_closed(
    tx: Transaction,
    execution_id: str,
    wait_key: int,
    wait: Wait,
    trigger: str,
    response: str | None = None,
    actor: str | None = None,
) -> None:
    to = move(wait.kind, wait.id, wait.status, trigger)
    guard = {"the_key": wait_key, "to_status": to, "now": tx.now}
    if wait.kind == "interaction":
        changed = tx.execute(_CLOSE_INTERACTION, {**guard, "the_response": response, "actor": actor}).rowcount
    else:
        changed = tx.execute(_CLOSE_CONSENT, {**guard, "the_status": wait.status}).rowcount
    if changed != 1:
        raise Conflict(f"The wait {wait.id} of execution {execution_id}", wait.status)
    wait.status, wait.response = to, response


def _close(
    tx: Transaction,
    execution: Execution,
    wait_key: int,
    wait: Wait,
    trigger: str,
    *,
    response: str | None = None,
    actor: str | None = None,
    cause: str | None = None,
    detail: str | None = None,
) -> Change:
    """Close one wait and settle its execution: on to the kind of the oldest wait still open, else back to running."""
    before = execution.status
    _write_closed(tx, execution.id, wait_key, wait, trigger, response, actor)
    left = execution.open_waits - 1
    to = "running"
    if left:
        oldest = open_waits(tx, execution)[0][1]
        to = "interaction_required" if oldest.kind == "interaction" else "oauth_required"
    to = move("execution", execution.id, before, "settle", to)
    execution.write(tx, _MOVE, to, left)
    event = f"{wait.kind}_{wait.status}"
    sequence = append(
        tx, event, execution.id, wait_id=wait.id, moved=(before, to), actor=actor, cause=cause, detail=detail
    )
    return Change(sequence, execution.id, event, to, tx.now, (wait,))


@dataclass(slots=True)
class Refusal:
    """A job that had to write something and still says no: the change it made, and the error for the caller."""

    changes: list[Change]
    error: InteractionExpired


def answer(
    tx: Transaction, execution_id: str, wait_id: str, response: str, actor: str | None, detail: str
) -> list[Change] | Refusal:
    """A response to an open interaction. The same response again changes nothing and is a success.

    ``response`` must have passed ``prompts.accepts``; a prompt never changes, so that check needs no transaction. An open
    interaction whose deadline has passed expires here and now, and the response is refused.
    """
    row = tx.one(_INTERACTION, {"id": execution_id, "wait": wait_id})
    if row is None:
        execution_row(tx, execution_id)
        raise InteractionNotFound(execution_id, wait_id)
    key, status, version, open_waits, wait_key, wait_status, deadline_at, stored, answered_by, closed_at = row
    if wait_status == "answered":
        if stored == response:
            return []
        raise InteractionAlreadyResolved(execution_id, wait_id, answered_by, closed_at)
    if wait_status == "expired":
        raise InteractionExpired(execution_id, wait_id)
    if wait_status != "pending":
        raise InteractionWithdrawn(execution_id, wait_id)
    execution = Execution(execution_id, key, status, version, open_waits)
    wait = Wait("interaction", wait_id, wait_status, 0, 0, deadline_at)
    if deadline_at is not None and deadline_at <= tx.now:
        change = _close(tx, execution, wait_key, wait, "expire", cause="deadline")
        return Refusal([change], InteractionExpired(execution_id, wait_id))
    return [_close(tx, execution, wait_key, wait, "answer", response=response, actor=actor, detail=detail)]


def withdraw(
    tx: Transaction, execution_id: str, wait_id: str, reason: str | None, actor: str | None
) -> list[Change]:
    """Take one open wait back. Nothing at all on one that is withdrawn already."""
    execution = execution_row(tx, execution_id)
    for wait_key, wait in open_waits(tx, execution):
        if wait.id == wait_id:
            return [_close(tx, execution, wait_key, wait, "withdraw", actor=actor, cause=reason)]
    status = tx.one(_WAIT_STATUS, {"key": execution.key, "wait": wait_id})
    if status is None:
        raise InteractionNotFound(execution_id, wait_id)
    if status[1] != "withdrawn":
        move(status[0], wait_id, status[1], "withdraw")
    return []


def expire_due(tx: Transaction, most: int) -> list[Change]:
    """Expire the waits whose deadline has passed, the longest overdue first, at most ``most`` of them."""
    changes = []
    for execution_id, _, wait_id, _ in tx.all(_DUE, {"now": tx.now, "max": most}):
        execution = execution_row(tx, execution_id)
        for wait_key, wait in open_waits(tx, execution):
            if wait.id == wait_id:
                changes.append(_close(tx, execution, wait_key, wait, "expire", cause="deadline"))
    return changes


def adopt(tx: Transaction, execution_ids: list[str], lease: int) -> None:
    """Take over those of the executions that no living process drives: the one with this lease waits for them now."""
    alive = live(tx)
    for execution_id in execution_ids:
        row = tx.one(_EXECUTION, {"id": execution_id})
        if row is not None:
            execution = Execution(execution_id, *row)
            if execution.lease not in alive:
                tx.execute(_ADOPT, {"the_id": execution_id, "the_lease": lease})
