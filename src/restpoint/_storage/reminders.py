"""Reminders and escalation: what falls due of an open prompt before its deadline, and how it is done.

The rows are written in the transaction that asks, and a trigger deletes them in the one that closes the prompt. What is due is
done in a job of the writer, which marks the rows and appends the event: so each is done once, whichever processes look.
"""

from typing import Final

from sqlalchemy import bindparam, select, update

from restpoint._core.changes import Change, Wait
from restpoint._core.reminders import ESCALATE, STAY, FallsDue
from restpoint._core.serialization import decode, encode
from restpoint._storage import event_details, statements, votes
from restpoint._storage.history import append
from restpoint._storage.schema import executions, interactions, reminders
from restpoint._storage.sqlite.connection import limited, prepare, word
from restpoint._storage.sqlite.database import Database, Transaction
from restpoint.errors import Conflict
from restpoint.events import EventKind

_e, _i, _r = executions.c, interactions.c, reminders.c

_IS_OVERDUE: Final = (_r.done_at.is_(None), _r.at <= bindparam("now"))
_OVERDUE: Final = prepare(
    limited(
        select(_e.id, _i.id)
        .select_from(
            reminders.join(interactions, _i.key == _r.interaction_key).join(executions, _e.key == _i.execution_key)
        )
        # A prompt whose deadline is over is about to be closed, and nobody is told of it any more.
        .where(
            *_IS_OVERDUE, _i.status == word("pending"), _i.deadline_at.is_(None) | (_i.deadline_at > bindparam("now"))
        )
        .order_by(_r.at)
    )
)
_DUE_NOW: Final = prepare(
    select(_r.at, _r.what, _r.done_at, _r.assignees).where(_r.interaction_key == bindparam("wait_key"), *_IS_OVERDUE)
)
_DONE: Final = prepare(
    update(reminders).where(_r.interaction_key == bindparam("wait_key"), *_IS_OVERDUE).values(done_at=bindparam("done"))
)
_STAY: Final = prepare(
    update(reminders)
    .where(_r.interaction_key == bindparam("wait_key"), _r.what == word(ESCALATE))
    .values(what=word(STAY))
)
_REMINDERS_NOW: Final = prepare(
    select(statements.REMINDERS).select_from(interactions).where(_i.key == bindparam("wait_key"))
)


async def overdue(database: Database, now: int, most: int) -> list[tuple[str, str]]:
    """Return execution and interaction of the prompts that something falls due of at ``now``, the longest overdue first."""
    return [(row[0], row[1]) for row in await database.read(_OVERDUE, {"now": now, "max": most})]


def fall_due(tx: Transaction, execution_id: str, wait_id: str) -> None:
    """Do what is due of a prompt. Do nothing where it was done or the prompt was closed meanwhile.

    Of several reminders that are due, as after a time in which no process ran, there is one event; and none where the prompt
    escalates too, because those who had it have it no more.
    """
    row = tx.one(statements.OPEN_INTERACTION, {"id": execution_id, "wait": wait_id})
    if row is None:
        return
    status, owner, key, _, _, *columns = row
    wait = Wait("interaction", **dict(zip(statements.OF_A_PROMPT, columns, strict=True)))
    if wait.status != "pending" or (wait.deadline_at is not None and wait.deadline_at <= tx.now):
        return
    due = [FallsDue(*each) for each in tx.all(_DUE_NOW, {"wait_key": key, "now": tx.now})]
    if not due:
        return
    tx.execute(_DONE, {"wait_key": key, "now": tx.now, "done": tx.now})
    escalation = next((one.assignees for one in due if one.what == ESCALATE), None)
    if escalation is None:
        event, cause = EventKind.INTERACTION_REMINDED, "remind_after"
        detail = event_details.reminded(_holders(wait, owner))
    else:
        cause = "escalate_after"
        event, detail = _escalate(tx, execution_id, key, wait, owner, escalation)
    ((wait.reminders,),) = tx.all(_REMINDERS_NOW, {"wait_key": key})
    moved = (status, status)
    sequence = append(tx, event, execution_id, wait_id=wait_id, moved=moved, cause=cause, detail=detail)
    tx.emit(Change(sequence, execution_id, event, status, status, tx.now, wait))


def _holders(wait: Wait, owner: str | None) -> list[str]:
    """Who has a prompt: whoever claimed it, or else those whom it is addressed to."""
    if wait.claimed_by is not None:
        return [wait.claimed_by]
    return list(decode(wait.assignees) or ()) or ([] if owner is None else [owner])


def _escalate(
    tx: Transaction, execution_id: str, key: int, wait: Wait, owner: str | None, to: str
) -> tuple[EventKind, str]:
    """Address a prompt to those of ``to`` who may answer it, which ends a claim.

    Where there are none, or too few for the votes that it takes, it stays as it is.
    """
    barred = votes.barred(wait, owner, wait.excluded)
    named = list(dict.fromkeys(decode(to)))
    people, kept_out = [name for name in named if name not in barred], [name for name in named if name in barred]
    voters: list[str] = decode(wait.voters) or []
    most = votes.leading(tx, key)[1] if voters else 0
    if not votes.are_possible(wait.votes or 1, people, barred, voters, most):
        tx.execute(_STAY, {"wait_key": key})
        return EventKind.INTERACTION_NOT_ESCALATED, event_details.escalated((), named)
    assignees = encode(people)
    if tx.execute(statements.ADDRESS, (assignees, key, wait.status)).rowcount != 1:
        raise Conflict(f"The wait {wait.id} of execution {execution_id}", wait.status)
    wait.assignees, wait.claimed_by, wait.claimed_at = assignees, None, None
    return EventKind.INTERACTION_ESCALATED, event_details.escalated(people, kept_out)
