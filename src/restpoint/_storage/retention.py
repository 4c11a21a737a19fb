"""Retention: removal, holds, the sweep of ended executions, the pruning of old history.

The functions are jobs for the writer. Each deletes a bounded number of rows, so that its transaction is short.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, bindparam, delete, exists, func, select, update
from sqlalchemy.dialects.sqlite import insert

from restpoint._core.changes import Change
from restpoint._core.ids import first_id_at
from restpoint._core.retention_rules import FOREVER, RetentionRules
from restpoint._core.serialization import encode
from restpoint._core.timestamps import span
from restpoint._storage.executions import end, read
from restpoint._storage.history import ANCHOR, append, head
from restpoint._storage.leases import live
from restpoint._storage.outbox import mail_addresses
from restpoint._storage.schema import (
    consents,
    erasures,
    executions,
    history,
    history_anchor,
    interactions,
    kept_keys,
    outbox,
    runs,
)
from restpoint._storage.sqlite.connection import ONE, limited, listed, prepare, word, words
from restpoint._storage.sqlite.database import Transaction
from restpoint.errors import ExecutionHeld, ExecutionNotFound
from restpoint.events import EventKind
from restpoint.lifecycle import OPEN, TERMINAL

UNTOLD_STAY: Final = 3_600_000
"""Milliseconds that an execution stays beyond its time to live while people are still to be told of it."""

_e, _h, _r = executions.c, history.c, runs.c

_HOLD: Final = prepare(update(executions).where(_e.id == bindparam("the_id")).values(hold=bindparam("reason")))
_REMOVE: Final = prepare(delete(executions).where(_e.id == bindparam("the_id")))
_EXPIRED: Final[Select[Any]] = limited(
    select(_e.key)
    .where(_e.expires_at.is_not(None), _e.hold.is_(None), _e.expires_at <= bindparam("now"))
    .order_by(_e.expires_at, _e.key)
)
_POSTPONE: Final = prepare(
    update(executions)
    .where(
        _e.key.in_(_EXPIRED),
        exists().where(outbox.c.execution_id == _e.id, outbox.c.status == word("pending")),
    )
    .values(expires_at=bindparam("later"))
)
_SWEEP: Final = prepare(delete(executions).where(_e.key.in_(_EXPIRED)).returning(_e.id))


def _keep_keys(*which: ColumnElement[bool]) -> str:
    """SQL: keep the idempotency keys of executions that are about to leave the file, for as long as they are known."""
    known_until = _e.completed_at + bindparam("kept")
    kept = (
        select(_r.start_sha256, _r.request_sha256, _e.id, known_until)
        .select_from(executions.join(runs, _r.execution_key == _e.key))
        .where(_r.start_sha256.is_not(None), known_until > bindparam("now"), *which)
    )
    names = ["start_sha256", "request_sha256", "execution_id", "expires_at"]
    return prepare(insert(kept_keys).from_select(names, kept).on_conflict_do_nothing())


_KEEP_KEYS: Final = _keep_keys(_e.key.in_(_EXPIRED))
_KEEP_KEY: Final = _keep_keys(_e.id == bindparam("the_id"))
_FORGET_KEYS: Final = prepare(
    delete(kept_keys).where(
        kept_keys.c.start_sha256.in_(
            limited(select(kept_keys.c.start_sha256).where(kept_keys.c.expires_at <= bindparam("now")))
        )
    )
)
_FIRST_KEPT: Final = prepare(
    limited(
        select(_h.sequence)
        .where(
            _h.sequence > bindparam("after"),
            _h.sequence <= bindparam("most"),
            (_h.time > bindparam("before")) | _h.execution_id.in_(select(_e.id)),
        )
        .order_by(_h.sequence),
        ONE,
    )
)
_DIGEST_AT: Final = prepare(select(_h.digest).where(_h.sequence == bindparam("sequence")))
_MOVE_ANCHOR: Final = prepare(update(history_anchor).values(sequence=bindparam("to"), digest=bindparam("the_digest")))
_PRUNE: Final = prepare(delete(history).where(_h.sequence <= bindparam("to")))
_PRUNE_ERASURES: Final = prepare(delete(erasures).where(erasures.c.sequence <= bindparam("to")))


def hold(tx: Transaction, execution_id: str, reason: str, actor: str | None) -> None:
    """Keep an execution in the file until it is released, whatever its time to live."""
    execution = read(tx, execution_id)
    if execution.hold != reason:
        tx.execute(_HOLD, {"the_id": execution_id, "reason": reason})
        moved = (execution.status, execution.status)
        append(tx, EventKind.EXECUTION_HELD, execution_id, moved=moved, actor=actor, cause=reason)


def release(tx: Transaction, execution_id: str, actor: str | None) -> None:
    """End a hold; do nothing if there is none."""
    execution = read(tx, execution_id)
    if execution.hold is not None:
        tx.execute(_HOLD, {"the_id": execution_id, "reason": None})
        moved = (execution.status, execution.status)
        append(tx, EventKind.EXECUTION_RELEASED, execution_id, moved=moved, actor=actor)


def remove(tx: Transaction, execution_id: str, keeping: RetentionRules, actor: str | None) -> None:
    """Delete an execution; cancel it first if it has not ended. Does nothing if there is none. Raises ``ExecutionHeld``."""
    try:
        execution = read(tx, execution_id)
    except ExecutionNotFound:
        return
    if execution.hold is not None:
        raise ExecutionHeld(execution_id, execution.hold)
    status = execution.status
    if status not in TERMINAL:
        status = end(tx, execution_id, "cancel", FOREVER, actor=actor, cause="removed")
    tx.execute(_KEEP_KEY, {"the_id": execution_id, "kept": keeping.key_time, "now": tx.now})
    tx.execute(_REMOVE, {"the_id": execution_id})
    event = EventKind.EXECUTION_REMOVED
    sequence = append(tx, event, execution_id, moved=(status, None), actor=actor)
    tx.emit(Change(sequence, execution_id, event, status, status, tx.now))


@dataclass(frozen=True, slots=True)
class Swept:
    """What one step of the sweep did: the executions that it deleted, and the number of those that it left for later."""

    ids: list[str]
    postponed: int


def sweep(tx: Transaction, most: int, keeping: RetentionRules) -> Swept:
    """Delete ended executions whose time to live is over and that nothing holds, at most ``most``.

    Their idempotency keys stay for their own time. One that people are still to be told of stays for another hour, and then for
    another one, until each of its notices is delivered, or is given up.
    """
    postponed = tx.execute(_POSTPONE, {"now": tx.now, "max": most, "later": tx.now + UNTOLD_STAY}).rowcount
    tx.execute(_KEEP_KEYS, {"now": tx.now, "max": most, "kept": keeping.key_time})
    swept = sorted(execution_id for (execution_id,) in tx.all(_SWEEP, {"now": tx.now, "max": most}))
    if swept:
        detail = encode({"count": len(swept), "execution_ids": swept})
        append(tx, EventKind.SWEPT, cause="time to live", detail=detail)
    return Swept(swept, postponed)


_ABANDONED: Final = prepare(
    limited(
        select(_e.id)
        .where(
            # Ids begin with the time, so the index of the ids finds the old ones.
            _e.id < bindparam("id_before"),
            _e.completed_at.is_(None),
            _e.ready.is_(None),
            _e.lease.is_(None) | _e.lease.not_in(listed("alive")),
            select(func.max(_h.time)).where(_h.execution_id == _e.id).correlate(executions).scalar_subquery()
            < bindparam("before"),
            *(
                ~exists().where(
                    table.c.execution_key == _e.key,
                    table.c.status.in_(words(OPEN)),
                    table.c.deadline_at > bindparam("now"),
                )
                for table in (interactions, consents)
            ),
        )
        .order_by(_e.id)
    )
)


def fail_abandoned(tx: Transaction, most: int, keeping: RetentionRules) -> int:
    """Fail executions that nothing can go on with: no runner runs them, their process is gone, and nothing happens to them.

    They are those that nothing has happened to for as long as the rule says, and that wait for no deadline; at most ``most``.
    Returns their number.
    """
    if keeping.abandoned is None:
        return 0
    before = tx.now - keeping.abandoned
    which = {"id_before": first_id_at(before), "before": before, "alive": encode(sorted(live(tx)))}
    left = tx.all(_ABANDONED, {**which, "now": tx.now, "max": most})
    error = f"Nothing has happened to this execution for {span(keeping.abandoned // 1000)}, and the process that ran it is gone."
    for (execution_id,) in left:
        end(tx, execution_id, "fail", keeping, cause="retention", error=error, code="abandoned")
    return len(left)


def forget_keys(tx: Transaction, most: int) -> int:
    """Delete idempotency keys of executions that have left the file, at most ``most`` whose time is over; their number."""
    return tx.execute(_FORGET_KEYS, {"now": tx.now, "max": most}).rowcount


def prune_history(tx: Transaction, before: int, last: int, most: int) -> int:
    """Delete the oldest rows of history, at most ``most``, and return their number.

    It deletes rows from before ``before`` (milliseconds since the epoch), up to row ``last``. It stops before the first row of an
    execution that is still in the file, and the newest row stays. So the rest is one unbroken chain, which begins at the anchor.
    """
    anchor = tx.one(ANCHOR, ())
    after = anchor[0] if anchor else 0
    last = min(after + most, last, head(tx)[0] - 1)
    kept = tx.one(_FIRST_KEPT, {"after": after, "most": last, "before": before})
    to = kept[0] - 1 if kept else last
    row = tx.one(_DIGEST_AT, {"sequence": to}) if to > after else None
    if row is None:
        return 0
    tx.execute(_MOVE_ANCHOR, {"to": to, "the_digest": row[0]})
    tx.execute(_PRUNE, {"to": to})
    tx.execute(_PRUNE_ERASURES, {"to": to})
    mail_addresses.prune(tx, to)
    append(tx, EventKind.HISTORY_PRUNED, cause="retention", detail=encode({"first": after + 1, "last": to}))
    return int(to - after)
