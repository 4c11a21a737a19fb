"""Whom an open prompt is for: claiming it, handing it on, and the inboxes.

``interactions`` says whom a prompt is addressed to and who has claimed it; the table ``assignments`` is the index of it by
name, which the triggers keep. The functions that write are jobs for the writer and follow the rules of ``executions.py``.
"""

import functools
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, case, exists, func, select, tuple_, union

from restpoint._core.changes import Change, Wait
from restpoint._core.reminders import Reminders
from restpoint._core.serialization import READ_ERRORS, decode, encode, unreadable
from restpoint._storage import statements, votes
from restpoint._storage.history import append
from restpoint._storage.listing import MAX_PAGE
from restpoint._storage.schema import assignments, executions, interactions
from restpoint._storage.schema import votes as votes_table
from restpoint._storage.sqlite.connection import ONE, limited, listed, prepare
from restpoint._storage.sqlite.database import Database, Row, Transaction
from restpoint._storage.waits import open_prompt, refuse, rights, write
from restpoint.errors import AlreadyVoted, Conflict, InteractionClaimed, InvalidArgument, NotAllowed
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
    status, _, wait, _ = open_prompt(tx, execution_id, wait_id)
    if wait.claimed_by == actor:
        return
    if wait.votes is not None:
        raise NotAllowed(
            f"Interaction {wait_id} of execution {execution_id} takes votes, so nobody claims it. Vote, or leave it."
        )
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
    status, key, wait, _ = open_prompt(tx, execution_id, wait_id)
    if wait.claimed_by is None:
        return
    if not anyone:
        _must_be_free(execution_id, wait, actor)
    write(tx, execution_id, wait, statements.RELEASE, (key, wait.status))
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

    With ``anyone``, whoever has claimed it; without it, a claim of another person raises ``InteractionClaimed``, and that the
    actor has voted raises ``AlreadyVoted``. Where ``addressed`` is given and the prompt has other assignees by now, raises
    ``Conflict``; and ``InvalidArgument`` where the new ones must not answer it, or could not vote it to an answer any more.
    """
    status, key, wait, owner = open_prompt(tx, execution_id, wait_id)
    if wait.assignees == assignees and wait.claimed_by is None:
        return
    if not anyone:
        _must_be_free(execution_id, wait, actor)
        if wait.voters is not None and (own := tx.one(votes.OWN, {"id": execution_id, "wait": wait_id, "who": actor})):
            raise AlreadyVoted(execution_id, wait_id, own[1])
    if addressed is not None and addressed != (wait.assignees or ""):
        raise Conflict(f"Interaction {wait_id} of execution {execution_id}", "addressed to others by now")
    _must_be_answerable(tx, key, wait, owner, assignees)
    write(tx, execution_id, wait, statements.ADDRESS, (assignees, key, wait.status))
    wait.assignees, wait.claimed_by, wait.claimed_at = assignees, None, None
    _tell(tx, event, execution_id, status, wait, actor, reason, detail)


def _must_be_answerable(tx: Transaction, key: int, wait: Wait, owner: str | None, assignees: str) -> None:
    barred = votes.barred(wait, owner, wait.excluded)
    voters: list[str] = decode(wait.voters) or []
    most = votes.leading(tx, key)[1] if voters else 0
    if votes.are_possible(wait.votes or 1, decode(assignees), barred, voters, most):
        return
    if wait.votes is None:
        raise InvalidArgument(
            "None of these people may answer the prompt; address it to somebody else too, or to a group."
        )
    raise InvalidArgument(
        f"The prompt takes {wait.votes} equal votes, and with these people no answer can get so many any more; address it to "
        "more who have not voted, or to a group."
    )


def _must_be_free(execution_id: str, wait: Wait, actor: str | None) -> None:
    if wait.claimed_by is not None and wait.claimed_by != actor:
        raise InteractionClaimed(execution_id, wait.id, wait.claimed_by, wait.claimed_at or 0)


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
    ``excluded`` are people who must not answer it. ``votes`` is how many equal votes answer it (None: it takes none), and
    ``voted`` are those who have voted, the first one first. ``reminders`` are its reminders and its escalation, if it has any.
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
    votes: int | None = None
    voted: tuple[str, ...] = ()
    reminders: Reminders | None = None


@dataclass(frozen=True, slots=True)
class InboxPage:
    """Some of an inbox, the most urgent first. ``next_cursor`` gets the page after it; None on the last one."""

    items: tuple[InboxItem, ...]
    next_cursor: str | None


_a, _e, _i, _v = assignments.c, executions.c, interactions.c, votes_table.c
_PLACE: Final = ("due", "urgency", "opened")
_SHOWN: Final = (
    *(_e.id.label("execution_id"), _i.id.label("interaction_id"), _e.workflow, _e.owner),
    func.coalesce(_i.priority, _e.priority).label("priority"),
    *(_i.due_at, _i.deadline_at, _i.created_at, _i.assignees, _i.four_eyes, _i.excluded, _i.claimed_by, _i.claimed_at),
    *(_i.prompt, _i.votes, case((_i.votes.is_not(None), votes.VOTERS)), statements.REMINDERS),
)


@functools.lru_cache(maxsize=200)
def _page_query(names: int, *, of_workflow: bool, is_next: bool, has_voter: bool = False) -> str:
    """SQL: a page, merged from one ordered read of the index for each name, which ends after a page."""
    also: list[ColumnElement[bool]] = []
    if is_next:
        after = tuple_(*(bindparam(f"after_{name}") for name in _PLACE))
        also.append(tuple_(*(_a[name] for name in _PLACE)) > after)
    if of_workflow:
        also.append(_a.workflow == bindparam("workflow"))
    if has_voter:
        theirs = select(_v.voter).where(_v.interaction_key == _a.interaction_key, _v.voter == bindparam("voter"))
        also.append(~exists(theirs).correlate(assignments))
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
    database: Database,
    names: Collection[str],
    *,
    workflow: str | None,
    voter: str | None,
    limit: int,
    cursor: str | None,
) -> InboxPage:
    """The open prompts that these names lead to, by when they are due, then by priority, then by age.

    Those that ``voter`` has voted on are left out.
    Raises ``InvalidArgument`` for a limit that is not from 1 to 1,000, and a cursor that no page gave.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidArgument(f"limit is {limit}; give one from 1 to {MAX_PAGE}.")
    given: dict[str, Any] = {"max": limit + 1}
    few = names if len(names) <= _MANY_NAMES else ()
    given |= {f"name{number}": name for number, name in enumerate(few)} if few else {"names": encode(list(names))}
    if workflow is not None:
        given["workflow"] = workflow
    if voter is not None:
        given["voter"] = voter
    if cursor is not None:
        given |= _read_cursor(cursor)
    query = _page_query(
        len(few), of_workflow=workflow is not None, is_next=cursor is not None, has_voter=voter is not None
    )
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
    assignees, four_eyes, excluded, claimed_by, claimed_at, prompt, needed, voters, reminders = rest
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
        needed,
        tuple(decode(voters) or ()),
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


_of_execution: Final = (
    select(_i.key)
    .select_from(interactions.join(executions, _e.key == _i.execution_key))
    .where(_e.id == bindparam("id"))
)
_voted: Final = exists(select(_v.voter).where(_v.interaction_key == _i.key, _v.voter == bindparam("name")))
_HAS_ANSWERED: Final = prepare(
    limited(
        union(
            _of_execution.where(_i.answered_by == bindparam("name")),
            _of_execution.where(_i.votes.is_not(None), _voted.correlate(interactions)),
        ),
        ONE,
    )
)


async def has_answered(database: Database, execution_id: str, name: str) -> bool:
    """Whether someone has answered a prompt of this execution, or voted on one."""
    return bool(list(await database.read(_HAS_ANSWERED, {"id": execution_id, "name": name})))
