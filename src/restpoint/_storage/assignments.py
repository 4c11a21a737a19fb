"""Whom an open prompt is for: claiming it, handing it on, and the inboxes.

``interactions`` says whom a prompt is addressed to and who has claimed it; the table ``assignments`` is the index of it by
name, which the triggers keep. The functions that write are jobs for the writer and follow the rules of ``executions.py``.
"""

import functools
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, exists, func, select, tuple_, union

from restpoint._core.changes import Change, Wait
from restpoint._core.reminders import Reminders
from restpoint._core.serialization import READ_ERRORS, decode, encode, unreadable
from restpoint._storage import statements
from restpoint._storage.executions import read
from restpoint._storage.history import append
from restpoint._storage.listing import MAX_PAGE
from restpoint._storage.schema import assignments, executions, interactions
from restpoint._storage.sqlite.connection import ONE, limited, listed, prepare
from restpoint._storage.sqlite.database import Database, Row, Transaction
from restpoint._storage.waits import refuse, rights
from restpoint.errors import (
    Conflict,
    InteractionAlreadyResolved,
    InteractionClaimed,
    InteractionExpired,
    InteractionNotFound,
    InteractionWithdrawn,
    InvalidArgument,
)
from restpoint.events import EventKind

EVERYONE: Final = ""
"""The name in ``assignments`` that every open prompt has."""

_MANY_NAMES: Final = 100

# --- Jobs ------------------------------------------------------------------------------------------------------------


def claim(
    tx: Transaction, execution_id: str, wait_id: str, actor: str, detail: str | None, addressed: str | None
) -> None:
    """Have ``actor`` alone answer an open prompt from now on. Nothing happens where they have claimed it already.

    ``addressed`` is as ``waits.answer`` has it. Raises what that raises, and ``InteractionExpired``.
    """
    status, _, wait = _open_prompt(tx, execution_id, wait_id)
    if wait.claimed_by == actor:
        return
    values = (actor, tx.now, *rights(tx, execution_id, wait_id, actor, addressed))
    if tx.execute(statements.CLAIM, values).rowcount != 1:
        row = (wait.claimed_by, wait.claimed_at, wait.assignees, wait.excluded)
        refuse(execution_id, wait_id, row, actor, addressed)
    wait.claimed_by, wait.claimed_at = actor, tx.now
    _tell(tx, EventKind.INTERACTION_CLAIMED, execution_id, status, wait, actor, None, detail)


def release(
    tx: Transaction, execution_id: str, wait_id: str, actor: str | None, reason: str | None, *, anyone: bool
) -> None:
    """End the claim of an open prompt. Nothing happens where there is none.

    With ``anyone``, also that of another person; without it, that raises ``InteractionClaimed``.
    """
    status, key, wait = _open_prompt(tx, execution_id, wait_id)
    if wait.claimed_by is None:
        return
    if not anyone:
        _must_be_free(execution_id, wait, actor)
    _write(tx, execution_id, wait, statements.RELEASE, (key, wait.status))
    wait.claimed_by = wait.claimed_at = None
    _tell(tx, EventKind.INTERACTION_RELEASED, execution_id, status, wait, actor, reason, None)


def address(
    tx: Transaction,
    event: EventKind,
    execution_id: str,
    wait_id: str,
    assignees: str,
    actor: str | None,
    reason: str | None,
    detail: str,
    addressed: str | None = None,
    *,
    anyone: bool,
) -> None:
    """Address an open prompt to others, with ``event``, which ends a claim. Nothing happens where it is addressed so already.

    With ``anyone``, whoever has claimed it; without it, a claim of another person raises ``InteractionClaimed``. Where
    ``addressed`` is given and the prompt has other assignees by now, raises ``Conflict``.
    """
    status, key, wait = _open_prompt(tx, execution_id, wait_id)
    if wait.assignees == assignees and wait.claimed_by is None:
        return
    if not anyone:
        _must_be_free(execution_id, wait, actor)
    if addressed is not None and addressed != (wait.assignees or ""):
        raise Conflict(f"Interaction {wait_id} of execution {execution_id}", "addressed to others by now")
    _write(tx, execution_id, wait, statements.ADDRESS, (assignees, key, wait.status))
    wait.assignees, wait.claimed_by, wait.claimed_at = assignees, None, None
    _tell(tx, event, execution_id, status, wait, actor, reason, detail)


def _open_prompt(tx: Transaction, execution_id: str, wait_id: str) -> tuple[str, int, Wait]:
    """The status of the execution, and an open prompt of it with its key. Raises why it is not open."""
    row = tx.one(statements.OPEN_INTERACTION, {"id": execution_id, "wait": wait_id})
    if row is None:
        read(tx, execution_id)
        raise InteractionNotFound(execution_id, wait_id)
    status, key, answered_by, closed_at, *columns = row
    wait = Wait("interaction", **dict(zip(statements.OF_A_PROMPT, columns, strict=True)))
    if wait.status == "answered":
        raise InteractionAlreadyResolved(execution_id, wait_id, answered_by, closed_at)
    if wait.status == "withdrawn":
        raise InteractionWithdrawn(execution_id, wait_id)
    if wait.status != "pending" or (wait.deadline_at is not None and wait.deadline_at <= tx.now):
        raise InteractionExpired(execution_id, wait_id)
    return status, key, wait


def _must_be_free(execution_id: str, wait: Wait, actor: str | None) -> None:
    if wait.claimed_by is not None and wait.claimed_by != actor:
        raise InteractionClaimed(execution_id, wait.id, wait.claimed_by, wait.claimed_at or 0)


def _write(tx: Transaction, execution_id: str, wait: Wait, sql: str, values: tuple[object, ...]) -> None:
    if tx.execute(sql, values).rowcount != 1:
        raise Conflict(f"The wait {wait.id} of execution {execution_id}", wait.status)


def _tell(
    tx: Transaction,
    event: EventKind,
    execution_id: str,
    status: str,
    wait: Wait,
    actor: str | None,
    reason: str | None,
    detail: str | None,
) -> None:
    sequence = append(
        tx, event, execution_id, wait_id=wait.id, moved=(status, status), actor=actor, cause=reason, detail=detail
    )
    tx.emit(Change(sequence, execution_id, event, status, status, tx.now, wait, actor=actor))


# --- Inboxes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InboxItem:
    """An open prompt in an inbox. Times are seconds since the epoch.

    ``priority`` is its own, or else that of its execution. ``due`` is when it should be answered, and from ``deadline`` on it
    cannot be answered any more; None where there is none. ``prompt`` is the JSON object that is stored and sent.
    ``excluded`` are people who must not answer it. ``reminders`` are its reminders and its escalation, where it has any.
    """

    execution_id: str
    interaction_id: str
    workflow: str | None
    owner: str | None
    priority: int
    due: float | None
    deadline: float | None
    created_at: float
    assignees: tuple[str, ...]
    four_eyes: bool
    excluded: tuple[str, ...]
    claimed_by: str | None
    claimed_at: float | None
    prompt: dict[str, Any]
    reminders: Reminders | None = None


@dataclass(frozen=True, slots=True)
class InboxPage:
    """Some of an inbox, the most urgent first. ``next_cursor`` gets the page after it; None on the last one."""

    items: tuple[InboxItem, ...]
    next_cursor: str | None


_a, _e, _i = assignments.c, executions.c, interactions.c
_PLACE: Final = ("due", "urgency", "opened")
_SHOWN: Final = (
    *(_e.id.label("execution_id"), _i.id.label("interaction_id"), _e.workflow, _e.owner),
    func.coalesce(_i.priority, _e.priority).label("priority"),
    *(_i.due_at, _i.deadline_at, _i.created_at, _i.assignees, _i.four_eyes, _i.excluded, _i.claimed_by, _i.claimed_at),
    *(_i.prompt, statements.REMINDERS),
)


@functools.lru_cache(maxsize=200)
def _page_query(names: int, *, of_workflow: bool, is_next: bool) -> str:
    """SQL: a page, merged from one ordered read of the index for each name, which ends after a page."""
    also: list[ColumnElement[bool]] = []
    if is_next:
        after = tuple_(*(bindparam(f"after_{name}") for name in _PLACE))
        also.append(tuple_(*(_a[name] for name in _PLACE)) > after)
    if of_workflow:
        its_execution = (_i.key == _a.interaction_key) & (_e.key == _i.execution_key)
        is_of_it = exists(select(_e.key).where(its_execution, _e.workflow == bindparam("workflow")))
        also.append(is_of_it.correlate(assignments))
    whose = [_a.name == bindparam(f"name{number}") for number in range(names)] or [_a.name.in_(listed("names"))]
    columns = [_a[name] for name in (*_PLACE, "interaction_key")]
    places = [
        limited(select(*columns).distinct().where(each, *also).order_by(*columns[:3])).subquery() for each in whose
    ]
    # A prompt that several of the names lead to is one.
    every = union(*map(select, places)).subquery() if len(places) > 1 else places[0]
    order = [every.c[name] for name in _PLACE]
    first = limited(select(every).order_by(*order)).subquery()
    order = [first.c[name] for name in _PLACE]
    rows = first.join(interactions, _i.key == first.c.interaction_key).join(executions, _e.key == _i.execution_key)
    return prepare(select(*order, *_SHOWN).select_from(rows).order_by(*order))


async def inbox(
    database: Database, names: Collection[str], *, workflow: str | None, limit: int, cursor: str | None
) -> InboxPage:
    """The open prompts that these names lead to, by when they are due, then by priority, then by age.

    Raises ``InvalidArgument`` for a limit that is not from 1 to 1,000, and a cursor that no page gave.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidArgument(f"limit is {limit}; give one from 1 to {MAX_PAGE}.")
    given: dict[str, Any] = {"max": limit + 1}
    few = names if len(names) <= _MANY_NAMES else ()
    given |= {f"name{number}": name for number, name in enumerate(few)} if few else {"names": encode(list(names))}
    if workflow is not None:
        given["workflow"] = workflow
    if cursor is not None:
        given |= _read_cursor(cursor)
    query = _page_query(len(few), of_workflow=workflow is not None, is_next=cursor is not None)
    rows = list(await database.read(query, given, lane="long"))
    try:
        items = tuple(_item(row[len(_PLACE) :]) for row in rows[:limit])
    except READ_ERRORS as error:
        raise unreadable("a prompt", error) from error
    if len(rows) <= limit:
        return InboxPage(items, None)
    place = ".".join(str(number) for number in rows[limit - 1][: len(_PLACE)])
    return InboxPage(items, urlsafe_b64encode(place.encode()).decode().rstrip("="))


def _item(row: Row) -> InboxItem:
    execution_id, interaction_id, workflow, owner, priority, due_at, deadline_at, created_at, *rest = row
    assignees, four_eyes, excluded, claimed_by, claimed_at, prompt, reminders = rest
    return InboxItem(
        execution_id,
        interaction_id,
        workflow,
        owner,
        priority,
        _seconds(due_at),
        _seconds(deadline_at),
        created_at / 1000,
        tuple(decode(assignees) or ()),
        bool(four_eyes),
        tuple(decode(excluded) or ()),
        claimed_by,
        _seconds(claimed_at),
        decode(prompt),
        Reminders.read(reminders),
    )


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _read_cursor(cursor: str) -> dict[str, int]:
    try:
        text = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
        numbers = [int(part) for part in text.split(".")] if len(text) < 80 else []
        if len(numbers) == len(_PLACE) and all(-(1 << 63) <= number < 1 << 63 for number in numbers):
            return {f"after_{name}": number for name, number in zip(_PLACE, numbers, strict=True)}
    except ValueError:
        pass
    raise InvalidArgument(f"{cursor[:80]!r} is not a cursor; use next_cursor of the page before, or none to begin.")


_HAS_ANSWERED: Final = prepare(
    limited(
        select(_i.key)
        .select_from(interactions.join(executions, _e.key == _i.execution_key))
        .where(_e.id == bindparam("id"), _i.answered_by == bindparam("name")),
        ONE,
    )
)


async def has_answered(database: Database, execution_id: str, name: str) -> bool:
    """Whether someone has answered a prompt of this execution."""
    return bool(list(await database.read(_HAS_ANSWERED, {"id": execution_id, "name": name})))
