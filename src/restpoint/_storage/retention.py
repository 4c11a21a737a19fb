"""Retention: removal, holds, the sweep of ended executions, the pruning of old history.

The functions are jobs for the writer. Each deletes a bounded number of rows, so that its transaction is short.
"""

from typing import Final

from sqlalchemy import bindparam, delete, select, update

from restpoint._core.changes import Change
from restpoint._core.retention_rules import FOREVER
from restpoint._core.serialization import encode
from restpoint._storage.executions import end, read
from restpoint._storage.history import ANCHOR, append, head
from restpoint._storage.schema import erasures, executions, history, history_anchor
from restpoint._storage.sqlite.connection import ONE, limited, prepare
from restpoint._storage.sqlite.database import Transaction
from restpoint.errors import ExecutionHeld, ExecutionNotFound
from restpoint.events import EventKind
from restpoint.lifecycle import TERMINAL

_e, _h = executions.c, history.c

_HOLD: Final = prepare(update(executions).where(_e.id == bindparam("the_id")).values(hold=bindparam("reason")))
_REMOVE: Final = prepare(delete(executions).where(_e.id == bindparam("the_id")))
_SWEEP: Final = prepare(
    delete(executions)
    .where(
        _e.key.in_(
            limited(
                select(_e.key)
                .where(_e.expires_at.is_not(None), _e.hold.is_(None), _e.expires_at <= bindparam("now"))
                .order_by(_e.expires_at)
            )
        )
    )
    .returning(_e.id)
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


def remove(tx: Transaction, execution_id: str, actor: str | None) -> None:
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
    tx.execute(_REMOVE, {"the_id": execution_id})
    event = EventKind.EXECUTION_REMOVED
    sequence = append(tx, event, execution_id, moved=(status, None), actor=actor)
    tx.emit(Change(sequence, execution_id, event, status, status, tx.now))


def sweep(tx: Transaction, most: int) -> list[str]:
    """Delete ended executions whose time to live is over and that nothing holds, at most ``most``; their ids."""
    swept = sorted(execution_id for (execution_id,) in tx.all(_SWEEP, {"now": tx.now, "max": most}))
    if swept:
        detail = encode({"count": len(swept), "execution_ids": swept})
        append(tx, EventKind.SWEPT, cause="time to live", detail=detail)
    return swept


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
    append(tx, EventKind.HISTORY_PRUNED, cause="retention", detail=encode({"first": after + 1, "last": to}))
    return int(to - after)
