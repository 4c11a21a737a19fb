"""The journal: the executions that a runner runs, and the recorded calls of each.

The functions are jobs for the writer, and they change a status only through ``executions.py``. Each write of a run carries its
claim (``claims.py``), so that the writes of a process that has lost the run are refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import bindparam, delete, exists, func, insert, literal_column, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from restpoint._core.changes import NO_TERMS, Change, Terms
from restpoint._core.retention_rules import RetentionRules
from restpoint._core.serialization import encode
from restpoint._storage import event_details, waits
from restpoint._storage.claims import fence
from restpoint._storage.executions import end, open_waits, read
from restpoint._storage.history import append, head
from restpoint._storage.leases import Claim
from restpoint._storage.schema import executions, failures, history, journal, runs, step_attempts
from restpoint._storage.sqlite.connection import ONE, ZERO, limited, prepare, word
from restpoint._storage.sqlite.database import Database, Transaction
from restpoint._storage.sqlite.triggers import RETIRED
from restpoint.errors import LeaseLost
from restpoint.events import CLOSINGS, EventKind

_e, _r, _j, _h, _a = executions.c, runs.c, journal.c, history.c, step_attempts.c

_KEY_OF: Final = select(_e.key).where(_e.id == bindparam("id")).scalar_subquery()
_GOT_ON: Final = prepare(update(executions).where(_e.key == bindparam("run")).values(attempts=literal_column("0")))
_RECORD: Final = prepare(insert(journal), order=tuple(journal.c.keys()))
_SETTLE: Final = prepare(
    update(journal)
    .where(_j.execution_key == bindparam("run"), _j.position == bindparam("at"), _j.settled.is_(None))
    .values(settled=bindparam("after"), ordinal=bindparam("nth"))
)
_ABANDON: Final = prepare(
    update(journal)
    .where(_j.execution_key == bindparam("run"), _j.position == bindparam("at"))
    .values(
        settled=func.coalesce(_j.settled, bindparam("after")), ordinal=bindparam("nth"), error=bindparam("the_error")
    )
)
_NUMBER: Final = prepare(
    update(journal).where(_j.execution_key == _KEY_OF, _j.position == bindparam("at")).values(ordinal=bindparam("nth"))
)
_ATTEMPTED_AGAIN: Final = upsert(step_attempts)
_ATTEMPTED: Final = prepare(
    _ATTEMPTED_AGAIN.on_conflict_do_update(
        index_elements=["execution_key", "position"],
        set_={
            column.name: _ATTEMPTED_AGAIN.excluded[column.name]
            for column in step_attempts.c
            if column.name not in {"execution_key", "position"}
        },
    ),
    order=tuple(step_attempts.c.keys()),
)
_RAISED: Final = prepare(insert(failures), order=tuple(failures.c.keys()))
_FORGET_ATTEMPTS: Final = prepare(
    delete(step_attempts).where(_a.execution_key == bindparam("run"), _a.position == bindparam("at"))
)


# --- What a run writes -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a workflow's context: where it stands, and what was called.

    ``seen`` is the number of the newest outcome that the workflow had been given when it made the call; None where that was
    not recorded.
    """

    position: str
    kind: str
    name: str
    fingerprint: str
    seen: int | None = field(default=None, compare=False)


AUTHORIZE: Final = "authorize"
"""The kind of a call that waits for a consent which restpoint drives."""
AUTHORIZE_EXTERNAL: Final = "authorize_external"
"""The kind of a call that waits for a consent which the caller drives. The file has it as ``authorize`` without a fingerprint."""
WAITING: Final = frozenset({"ask", AUTHORIZE, AUTHORIZE_EXTERNAL})
"""The kinds of calls that open a wait: the result in the journal is its id."""


def _write(
    tx: Transaction,
    run: tuple[int, str, int],
    call: Call,
    result: str | None,
    error: str | None = None,
    ordinal: int | None = None,
) -> None:
    key, _, attempts = run
    settled = None if ordinal is None else head(tx)[0]
    kind = AUTHORIZE if call.kind == AUTHORIZE_EXTERNAL else call.kind
    made = (call.position, kind, call.name, call.fingerprint)
    row = (key, *made, result, tx.now, error, settled, ordinal, call.seen)
    tx.execute(_RECORD, row)
    if attempts:
        tx.execute(_GOT_ON, {"run": key})


def record(tx: Transaction, run: Claim, call: Call, ordinal: int, result: str | None, error: str | None = None) -> None:
    """Record the outcome of a call, which a replay gives again. ``ordinal`` is its place among the outcomes of the run."""
    _write(tx, fence(tx, run), call, result, error, ordinal)


def record_step(
    tx: Transaction,
    run: Claim,
    call: Call,
    ordinal: int,
    result: str | None,
    error: str | None = None,
    *,
    attempted: bool = False,
) -> None:
    """Record the outcome of a step, as ``record`` does. With ``attempted``, failed attempts of it are in the file, and go."""
    fenced = fence(tx, run)
    _write(tx, fenced, call, result, error, ordinal)
    if attempted:
        tx.execute(_FORGET_ATTEMPTS, {"run": fenced[0], "at": call.position})


def attempt_failed(tx: Transaction, run: Claim, call: Call, attempts: int, error: str, next_at: int) -> None:
    """Record that a step failed for the ``attempts``-th time, with ``error`` (JSON), and is tried again at ``next_at``.

    A restart goes on counting there. The journal has no entry for the step until it has an outcome.
    """
    key, _, deaths = fence(tx, run)
    tx.execute(_ATTEMPTED, (key, call.position, call.name, call.fingerprint, attempts, error, tx.now, next_at))
    if deaths:
        tx.execute(_GOT_ON, {"run": key})


SHOWN: Final = {"emit": (EventKind.EMITTED, "data"), "notify": (EventKind.NOTIFIED, "prompt")}
"""The kinds of calls that show people something: the event of each, and what the event calls the payload."""


def show(tx: Transaction, run: Claim, call: Call, ordinal: int, payload: str) -> None:
    """Record something for people to see, which blocks nothing.

    The journal has the payload; the history says where, and has its SHA-256.
    """
    fenced = fence(tx, run)
    status, (event, name) = fenced[1], SHOWN[call.kind]
    _write(tx, fenced, call, payload, None, ordinal)
    detail = event_details.shown(name, payload, call.position)
    sequence = append(tx, event, run.execution_id, moved=(status, status), detail=detail)
    tx.emit(Change(sequence, run.execution_id, event, status, status, tx.now))


_REWORDED: Final = prepare(
    limited(
        select(_h.detail)
        .where(
            _h.execution_id == bindparam("id"),
            _h.wait_id == bindparam("wait"),
            _h.event == word(EventKind.INTERACTION_REWORDED),
        )
        .order_by(_h.sequence.desc()),
        ONE,
    )
)


def reword(tx: Transaction, run: Claim, wait_id: str, detail: str) -> None:
    """Record that the code words a prompt otherwise than it was asked; once for each wording."""
    _, status, _ = fence(tx, run)
    told = tx.one(_REWORDED, {"id": run.execution_id, "wait": wait_id})
    if told is not None and told[0] in {None, detail}:  # None: the wording was erased
        return
    event, moved = EventKind.INTERACTION_REWORDED, (status, status)
    sequence = append(tx, event, run.execution_id, wait_id=wait_id, moved=moved, cause="changed code", detail=detail)
    tx.emit(Change(sequence, run.execution_id, event, status, status, tx.now))


def begin(tx: Transaction, run: Claim, call: Call, result: str) -> None:
    """Record a call whose outcome comes later."""
    _write(tx, fence(tx, run), call, result)


def settle(tx: Transaction, run: Claim, call: Call, ordinal: int) -> None:
    """Record that a call which was begun is over."""
    key, _, _ = fence(tx, run)
    tx.execute(_SETTLE, {"run": key, "at": call.position, "after": head(tx)[0], "nth": ordinal})


def ask(
    tx: Transaction,
    run: Claim,
    call: Call,
    wait_id: str,
    prompt: str,
    timeout: int | None,
    detail: str,
    terms: Terms = NO_TERMS,
) -> None:
    """Open an interaction. The journal names it, and the history says at which call of the workflow it was asked."""
    fenced = fence(tx, run)
    waits.ask(tx, run.execution_id, wait_id, prompt, timeout, None, None, detail, chosen=False, terms=terms)
    _write(tx, fenced, call, encode(wait_id))


def authorize(
    tx: Transaction,
    run: Claim,
    call: Call,
    wait_id: str,
    auth_url: str,
    oauth_state: str,
    timeout: int | None,
    provider: str | None = None,
    scopes: str | None = None,
) -> None:
    """Open a consent, which the journal names. Without a ``provider``, the caller drives it."""
    fenced = fence(tx, run)
    waits.authorize(tx, run.execution_id, wait_id, auth_url, oauth_state, timeout, None, None, provider, scopes)
    _write(tx, fenced, call, encode(wait_id))


ABANDONED: Final = '"abandoned"'
"""The error in the journal of a call that the workflow stopped awaiting: no replay gives it an outcome either."""


def abandon(tx: Transaction, run: Claim, call: Call, wait_id: str | None, seen: int) -> None:
    """Record that the workflow stopped awaiting a call, after outcome number ``seen``. Withdraw its wait if that is open."""
    key, _, _ = fence(tx, run)
    if wait_id is not None:
        execution = read(tx, run.execution_id)
        if any(wait.id == wait_id for _, wait in open_waits(tx, execution)):
            waits.withdraw(tx, run.execution_id, wait_id, "no longer awaited", None)
    # Also where an outcome was there that the workflow did not come to hear of: a replay must not tell it either.
    tx.execute(_ABANDON, {"run": key, "at": call.position, "after": head(tx)[0], "nth": seen, "the_error": ABANDONED})


def number(tx: Transaction, run: Claim, numbers: Mapping[str, int]) -> None:
    """Record the places of outcomes in the order, by position. Only for jobs that have checked the claim already."""
    for position, ordinal in numbers.items():
        tx.execute(_NUMBER, {"id": run.execution_id, "at": position, "nth": ordinal})


def complete(tx: Transaction, run: Claim, result: str, keeping: RetentionRules) -> None:
    """End the execution with a result. Open waits are withdrawn, because nobody awaits them."""
    _, status, _ = fence(tx, run)
    if status != "running":
        execution = read(tx, run.execution_id)
        for _, wait in open_waits(tx, execution):
            waits.withdraw(tx, run.execution_id, wait.id, "no longer awaited", None)
    end(tx, run.execution_id, "complete", keeping, result=result)


def fail(
    tx: Transaction, run: Claim, error: str, code: str, keeping: RetentionRules, raised: tuple[str, str, str]
) -> None:
    """End the execution with an error. ``raised`` is for operators: the class, the message and the traceback of what it was."""
    key, _, _ = fence(tx, run)
    tx.execute(_RAISED, (key, *raised))
    end(tx, run.execution_id, "fail", keeping, error=error, code=code)


# --- Reading ---------------------------------------------------------------------------------------------------------

_RUN: Final = prepare(
    select(_r.input, _r.trace, exists(select(_a.position).where(_a.execution_key == _e.key)))
    .select_from(runs.join(executions, _e.key == _r.execution_key))
    .where(_e.id == bindparam("id"))
)
_JOURNAL: Final = prepare(
    select(_j.position, _j.kind, _j.name, _j.fingerprint, _j.seen, _j.result, _j.error, _j.ordinal).where(
        _j.execution_key == _KEY_OF, func.instr(_j.position, word(RETIRED)) == ZERO
    )
)
_CLOSINGS: Final = prepare(
    select(_h.wait_id, func.max(_h.sequence))
    .where(
        _h.execution_id == bindparam("id"),
        _h.wait_id.is_not(None),
        _h.event.in_([literal_column(f"'{event}'") for event in CLOSINGS]),
    )
    .group_by(_h.wait_id)
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A call in the journal, with what is known of its outcome.

    ``ordinal`` is the outcome's place in the order in which the workflow was given them; of an abandoned call, the place
    of the newest outcome that it had been given by then. None where no outcome was given, as far as is recorded.
    """

    call: Call
    result: str | None
    error: str | None
    ordinal: int | None

    @property
    def is_driven(self) -> bool:
        """Whether the call waits for a consent that restpoint drives."""
        return self.call.kind == AUTHORIZE

    @property
    def is_abandoned(self) -> bool:
        """Whether the workflow stopped awaiting the call."""
        return self.error == ABANDONED

    @property
    def is_given(self) -> bool:
        """Whether the outcome has its place in the order."""
        return self.ordinal is not None and self.error != ABANDONED


async def read_journal(database: Database, execution_id: str) -> list[Entry]:
    """Every call that a run has in the journal."""
    rows = await database.read(_JOURNAL, {"id": execution_id})
    return [Entry(_read_call(*row[:5]), *row[5:]) for row in rows]


def _read_call(position: str, kind: str, name: str, fingerprint: str, seen: int | None) -> Call:
    is_external = kind == AUTHORIZE and not fingerprint
    return Call(position, AUTHORIZE_EXTERNAL if is_external else kind, name, fingerprint, seen)


async def read_closings(database: Database, execution_id: str) -> dict[str, int]:
    """For each wait of an execution that was closed, the row of history that tells of it."""
    return {row[0]: row[1] for row in await database.read(_CLOSINGS, {"id": execution_id})}


_NOTIFICATIONS: Final = prepare(
    limited(
        select(_j.result, _j.recorded_at)
        .where(_j.execution_key == _KEY_OF, _j.kind == word("notify"), _j.result.is_not(None))
        .order_by(_j.recorded_at.desc(), _j.ordinal.desc())
    )
)


async def read_notifications(database: Database, execution_id: str, most: int) -> list[tuple[str, int]]:
    """The newest notifications of an execution, the oldest of them first: the prompt as JSON, and when (milliseconds)."""
    rows = list(await database.read(_NOTIFICATIONS, {"id": execution_id, "max": most}))
    return [(prompt, at) for prompt, at in reversed(rows)]


async def read_run(database: Database, execution_id: str) -> tuple[str, str | None, bool]:
    """The input and the trace that a run was started with, and whether a step of it has failed and is tried again."""
    for text, trace, attempted in await database.read(_RUN, {"id": execution_id}):
        return str(text), trace, bool(attempted)
    raise LeaseLost(execution_id)


_ATTEMPTS: Final = prepare(
    select(_a.position, _a.name, _a.fingerprint, _a.attempts, _a.error, _a.failed_at, _a.next_at)
    .where(_a.execution_key == _KEY_OF)
    .order_by(_a.position)
)


@dataclass(frozen=True, slots=True)
class StepAttempts:
    """A step under way whose last attempt failed, and which is tried again. Times are milliseconds since the epoch.

    ``attempts`` have failed so far, the last one at ``failed_at``; the next one begins at ``next_at``. ``error`` is JSON, as the
    journal keeps errors: ``type`` and ``message`` of what the last one raised.
    """

    position: str
    name: str
    fingerprint: str
    attempts: int
    error: str
    failed_at: int
    next_at: int


async def read_attempts(database: Database, execution_id: str) -> list[StepAttempts]:
    """The steps of an execution that have failed and are tried again. An execution that has ended may have some left."""
    return [StepAttempts(*row) for row in await database.read(_ATTEMPTS, {"id": execution_id})]
