"""Retries: a failed execution that a runner runs goes on at the call that failed.

What was recorded stays recorded, so a replay gives the workflow every answer and every result again. Only the calls that made
it fail are made again. They are found in the journal: those that failed (a step raised, a prompt or consent was closed without an
answer), and after whose failure the workflow made no other call. Calls without an effect (``emit``, ``notify`` and ``now``) do
not count: a workflow that tells of a failure before it gives up may tell of it again. What the workflow stopped awaiting because
of the failure is called again too.

A call that is made again keeps its row in the journal, under a position that no call has: its own, and behind ``~`` the row of
history that tells of the retry. So nothing that was recorded is lost, and events that were shown keep their payloads.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, null, select, union_all, update

from restpoint._core.changes import Change
from restpoint._core.serialization import decode, encode
from restpoint._storage.executions import read
from restpoint._storage.history import append, head
from restpoint._storage.journal import ABANDONED, WAITING
from restpoint._storage.schema import (
    consents,
    erasures,
    executions,
    failures,
    history,
    interactions,
    journal,
    runs,
    step_attempts,
)
from restpoint._storage.sqlite.connection import ONE, ZERO, limited, prepare, word
from restpoint._storage.sqlite.database import Transaction
from restpoint._storage.sqlite.triggers import RETIRED
from restpoint.errors import CannotRetry, Conflict
from restpoint.events import EventKind
from restpoint.lifecycle import move

_e, _j, _r, _i, _c, _h = executions.c, journal.c, runs.c, interactions.c, consents.c, history.c
_KEY: Final = select(_e.key).where(_e.id == bindparam("id")).scalar_subquery()

_EFFECTLESS: Final = frozenset({"emit", "notify", "now"})
_UNANSWERED: Final = frozenset({"expired", "withdrawn", "denied"})

_RUN: Final = prepare(select(_r.execution_key).where(_r.execution_key == _KEY))
_ERASED: Final = prepare(
    limited(
        select(ONE)
        .select_from(history.join(erasures, erasures.c.sequence == _h.sequence))
        .where(_h.execution_id == bindparam("id")),
        ONE,
    )
)
_TOKEN_GONE: Final = prepare(
    limited(
        select(_c.provider).where(
            _c.execution_key == _KEY, _c.provider.is_not(None), _c.status == word("granted"), _c.token.is_(None)
        ),
        ONE,
    )
)
_CALLS: Final = prepare(
    select(_j.position, _j.kind, _j.name, _j.seen, _j.result, _j.error, _j.ordinal).where(
        _j.execution_key == _KEY, func.instr(_j.position, word(RETIRED)) == ZERO
    )
)
_WAITS: Final = prepare(
    union_all(
        select(_i.id, _i.status).where(_i.execution_key == _KEY),
        select(_c.id, _c.status).where(_c.execution_key == _KEY),
    )
)
_THIS_CALL: Final = (_j.execution_key == bindparam("run"), _j.position == bindparam("at"))
_RETIRE: Final = prepare(update(journal).where(*_THIS_CALL).values(position=bindparam("to")))
_TAKE_UP: Final = prepare(
    update(journal).where(*_THIS_CALL).values(error=null(), ordinal=null(), settled=null())
)  # fmt: skip
# Steps that are tried again have all their attempts again.
_FORGET_ATTEMPTS: Final = prepare(delete(step_attempts).where(step_attempts.c.execution_key == bindparam("run")))
_FORGET_FAILURE: Final = prepare(delete(failures).where(failures.c.execution_key == bindparam("run")))
_RETRY: Final = prepare(
    update(executions)
    .where(_e.id == bindparam("the_id"), _e.status == bindparam("before"))
    .values(
        status=bindparam("to"),
        version=_e.version + ONE,
        ready=ONE,
        attempts=ZERO,
        completed_at=null(),
        expires_at=null(),
        error=null(),
        error_code=null(),
    )
)


@dataclass(frozen=True, slots=True)
class _Call:
    position: str
    kind: str
    name: str
    seen: int | None
    result: str | None
    error: str | None
    ordinal: int | None
    wait_status: str | None = None

    @property
    def is_abandoned(self) -> bool:
        return self.error == ABANDONED

    def has_failed_after(self, last: int) -> bool:
        """Whether it failed, and the workflow was given that after outcome number ``last``, or not yet."""
        if self.is_abandoned or (self.ordinal is not None and self.ordinal <= last):
            return False
        return self.wait_status in _UNANSWERED if self.kind in WAITING else self.error is not None


def retry(tx: Transaction, execution_id: str, actor: str | None, reason: str | None) -> None:
    """Let a failed execution run again, ready for whichever runner claims it; its expiry is taken back.

    The event names the calls that are made again. Raises ``ExecutionNotFound``, ``IllegalTransition`` unless it has failed, and
    ``CannotRetry``.
    """
    execution = read(tx, execution_id)
    before = execution.status
    to = move("execution", execution_id, before, "retry")
    this = {"id": execution_id}
    run = tx.one(_RUN, this)
    if run is None:
        raise CannotRetry(execution_id, "no runner ran it, so nothing is recorded that could be gone on from.")
    if tx.one(_ERASED, this) is not None:
        raise CannotRetry(execution_id, "what people said in it was erased.")
    gone = tx.one(_TOKEN_GONE, this)
    if gone is not None:
        raise CannotRetry(
            execution_id,
            f"its token of {gone[0]} was deleted when it failed, and a replay that waits for another consent would come to what "
            "was recorded after it too late; start the workflow anew.",
        )
    retired, taken_up = _made_again(_calls(tx, execution_id))
    sequence = head(tx)[0] + 1
    for call in retired:
        tx.execute(_RETIRE, {"run": run[0], "at": call.position, "to": f"{call.position}{RETIRED}{sequence}"})
    for call in taken_up:
        tx.execute(_TAKE_UP, {"run": run[0], "at": call.position})
    for statement in (_FORGET_ATTEMPTS, _FORGET_FAILURE):
        tx.execute(statement, {"run": run[0]})
    if tx.execute(_RETRY, {"the_id": execution_id, "before": before, "to": to}).rowcount != 1:
        raise Conflict(f"Execution {execution_id}", before)
    again = [{"position": call.position, "kind": call.kind, "name": call.name} for call in retired]
    event = EventKind.EXECUTION_RETRIED
    append(
        tx, event, execution_id, moved=(before, to), actor=actor, cause=reason, detail=encode({"again": again})
    )  # fmt: skip
    tx.emit(Change(sequence, execution_id, event, before, to, tx.now))


def _calls(tx: Transaction, execution_id: str) -> list[_Call]:
    waits: dict[str, str] = dict(tx.all(_WAITS, {"id": execution_id}))
    calls = []
    for position, kind, name, seen, result, error, ordinal in tx.all(_CALLS, {"id": execution_id}):
        wait_status = waits.get(str(decode(result))) if kind in WAITING and result is not None else None
        calls.append(_Call(position, kind, name, seen, result, error, ordinal, wait_status))
    return calls


def _made_again(calls: list[_Call]) -> tuple[list[_Call], list[_Call]]:
    """The calls that are made again, and those that the workflow goes on awaiting though it had abandoned them."""
    endless: Any = float("inf")
    # A call without ``seen`` is one that an older release recorded: it may have been made after anything.
    last = max(
        (endless if each.seen is None else each.seen for each in calls if each.kind not in _EFFECTLESS), default=0
    )
    failed = [each for each in calls if each.has_failed_after(last)]
    first = min((each.ordinal for each in failed if each.ordinal is not None), default=endless)
    again, taken_up = list(failed), list[_Call]()
    for each in calls:
        if each in failed:
            continue
        if each.is_abandoned and each.ordinal is not None and each.ordinal >= first:
            may_go_on = each.kind == "sleep" or each.wait_status in {"answered", "granted"}
            (taken_up if may_go_on else again).append(each)
        elif each.kind in _EFFECTLESS and each.seen is not None and each.seen >= first:
            again.append(each)
    return sorted(again, key=lambda call: call.position), taken_up
