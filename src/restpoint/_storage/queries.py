"""Queries of the file: one statement each, read in one snapshot, never inside a write."""

import json
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, Table, bindparam, case, exists, func, literal_column, null, select, tuple_, union_all
from sqlalchemy.sql.expression import ColumnElement

from restpoint._core.changes import Wait
from restpoint._core.execution_row import OF_EXECUTIONS, OF_RUNS, ExecutionRow
from restpoint._core.reminders import Reminders
from restpoint._core.serialization import decode
from restpoint._storage.schema import (
    REVISION,
    consents,
    executions,
    history,
    interactions,
    outbox,
    reminders,
    runs,
    votes,
)
from restpoint._storage.sqlite.connection import ONE, ZERO, limited, listed, prepare, word, words
from restpoint._storage.sqlite.database import Database
from restpoint._storage.statements import REMINDERS
from restpoint._storage.votes import VOTERS
from restpoint.access import Question
from restpoint.errors import ExecutionNotFound, InteractionNotFound, NotFound
from restpoint.events import EventKind
from restpoint.lifecycle import OPEN, TERMINAL

_e, _i, _c, _h, _r, _v = executions.c, interactions.c, consents.c, history.c, runs.c, votes.c
_OPEN_CONSENT: Final = _c.status.in_(words(OPEN))


class Snapshot(NamedTuple):
    """An execution and some of its waits, as they were after the row of history ``as_of``."""

    as_of: int
    row: ExecutionRow
    waits: tuple[Wait, ...]


# --- One execution ---------------------------------------------------------------------------------------------------

_THIS: Final = select(_e.key).where(_e.id == bindparam("id")).scalar_subquery()
_KNOWN: Final = listed("known")
# The row of history of a wait that was withdrawn because its execution ended has the final status of that execution.
_ENDED_WITH: Final = (
    select(_h.to_status.in_(words(TERMINAL)))
    .where(
        _h.execution_id == bindparam("id"),
        _h.wait_id == _i.id,
        _h.event == word(EventKind.INTERACTION_WITHDRAWN),
        _i.status == word("withdrawn"),
    )
    .correlate(interactions)
    .scalar_subquery()
)
_AS_OF: Final = select(func.coalesce(func.max(_h.sequence), ZERO)).scalar_subquery()
_ROW: Final = {
    **{name: _e[name] for name in OF_EXECUTIONS},
    **{name: _r[column].label(name) for name, column in OF_RUNS.items()},
}
_WAIT: Final = tuple(each.name for each in fields(Wait) if each.name != "given")
_HEADER: Final = ("part", "as_of", "revision", "opened_at")
_SIZE: Final = len(_HEADER) + len(ExecutionRow._fields)


def _part(given: dict[str, ColumnElement[Any]]) -> Select[Any]:
    """One part of the snapshot. All parts have the same columns; those that are not ``given`` are null."""
    names = [*_HEADER, *(f"row_{name}" for name in ExecutionRow._fields), *(f"wait_{name}" for name in _WAIT)]
    return select(*(given.get(name, null()).label(name) for name in names))


def _waits(table: Table, kind: str, more: dict[str, ColumnElement[Any]]) -> dict[str, ColumnElement[Any]]:
    own = {f"wait_{name}": table.c[name] for name in _WAIT if name in table.c}
    return {"part": ONE, "opened_at": table.c.opened, "wait_kind": word(kind), **own, **more}


_OF_INTERACTIONS: Final = {
    "wait_ended": func.coalesce(_ENDED_WITH, ZERO),
    "wait_voters": case((_i.votes.is_not(None), VOTERS)),
    "wait_reminders": REMINDERS,
}
_SNAPSHOT: Final = prepare(
    union_all(
        _part(
            {
                "part": ZERO,
                "as_of": _AS_OF,
                "revision": literal_column("(SELECT version_num FROM alembic_version)"),
                "opened_at": ZERO,
                **{f"row_{name}": column for name, column in _ROW.items()},
            }
        )
        .select_from(executions.outerjoin(runs, _r.execution_key == _e.key))
        .where(_e.id == bindparam("id")),
        _part(_waits(interactions, "interaction", _OF_INTERACTIONS)).where(
            _i.execution_key == _THIS, (_i.status == word("pending")) | _i.id.in_(_KNOWN)
        ),
        _part(_waits(consents, "consent", {"wait_ended": ZERO})).where(
            _c.execution_key == _THIS, _OPEN_CONSENT | _c.id.in_(_KNOWN)
        ),
    ).order_by("opened_at")
)


async def snapshot(database: Database, execution_id: str, known_waits: Collection[str] = ()) -> Snapshot | None:
    """Return the execution with its open waits, and with those of ``known_waits`` in any status."""
    rows = list(await database.read(_SNAPSHOT, {"id": execution_id, "known": json.dumps(list(known_waits))}))
    if not rows or rows[0][0] != 0:
        return None
    _, as_of, revision, *_ = rows[0]
    if revision != REVISION:
        await database.pass_gate()
    waits = tuple(Wait(*row[_SIZE:]) for row in rows[1:])
    return Snapshot(as_of, ExecutionRow(*rows[0][len(_HEADER) : _SIZE]), waits)


_PROMPT: Final = prepare(
    select(_i.prompt, _i.votes)
    .select_from(interactions.join(executions, _i.execution_key == _e.key))
    .where(_e.id == bindparam("id"), _i.id == bindparam("wait"))
)
_EXISTS: Final = prepare(select(_e.key).where(_e.id == bindparam("id")))


async def prompt_of(database: Database, execution_id: str, interaction_id: str) -> tuple[str, int | None]:
    """The stored prompt of an interaction, and how many equal votes answer it.

    Raises ``ExecutionNotFound`` and ``InteractionNotFound``.
    """
    for prompt, needed in await database.read(_PROMPT, {"id": execution_id, "wait": interaction_id}):
        return str(prompt), needed
    raise await missing(database, execution_id, interaction_id)


async def missing(database: Database, execution_id: str, wait_id: str) -> NotFound:
    """The error for a wait that was not found: the execution has none with this id, or there is no such execution."""
    if list(await database.read(_EXISTS, {"id": execution_id})):
        return InteractionNotFound(execution_id, wait_id)
    return ExecutionNotFound(execution_id)


_ADDRESS: Final = prepare(
    select(_e.owner, _i.assignees, _i.four_eyes, _i.excluded, _i.status)
    .select_from(executions.outerjoin(interactions, (_i.execution_key == _e.key) & (_i.id == bindparam("wait"))))
    .where(_e.id == bindparam("id"))
)


@dataclass(frozen=True, slots=True)
class Address(Question):
    """Whom an interaction is addressed to and whose its execution is, with its status now."""

    status: str = "pending"


async def address(database: Database, execution_id: str, interaction_id: str) -> Address:
    """Whom an interaction is addressed to. Raises ``ExecutionNotFound`` and ``InteractionNotFound``."""
    for owner, assignees, four_eyes, excluded, status in await database.read(
        _ADDRESS, {"id": execution_id, "wait": interaction_id}
    ):
        if status is None:
            raise InteractionNotFound(execution_id, interaction_id)
        return Address(
            owner, tuple(decode(assignees) or ()), bool(four_eyes), tuple(decode(excluded) or ()), status=status
        )
    raise ExecutionNotFound(execution_id)


# --- Interactions for people ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Vote:
    """A vote on a prompt: who voted, when (seconds since the epoch), and the stored JSON of the response.

    The response is None where whoever looks may not see it, and where it was erased.
    """

    voter: str
    voted_at: float
    response: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Question):
    """An interaction in any status. Times are seconds since the epoch; ``prompt`` and ``response`` are the stored JSON.

    ``on_deadline`` is what happens at the deadline: None where the prompt expires, ``default`` where its default answers it,
    ``fail`` where the execution fails. ``votes`` is how many equal votes answer it (None: it takes none), and ``voted`` are those
    that were given, the first one first. ``by_votes`` says that they answered it, and no default. ``priority`` and ``due`` are
    as in an inbox.
    """

    execution_id: str
    interaction_id: str
    workflow: str | None
    status: str
    prompt: dict[str, Any]
    created_at: float
    deadline: float | None
    closed_at: float | None
    response: dict[str, Any] | None
    answered_by: str | None
    on_deadline: str | None
    claimed_by: str | None
    votes: int | None = None
    voted: tuple[Vote, ...] = ()
    by_votes: bool = False
    reminders: Reminders | None = None
    priority: int = 0
    due: float | None = None


_VOTED: Final[ColumnElement[Any]] = literal_column(
    "(SELECT json_group_array(json_array(voter, voted_at, json(response))) FROM (SELECT voter, voted_at, response FROM votes"
    " WHERE interaction_key = interactions.key AND interactions.votes IS NOT NULL ORDER BY sequence))"
)
_ASKED_COLUMNS: Final = (
    _e.owner, _i.assignees, _i.four_eyes, _e.id, _i.id, _e.workflow, _i.status, _i.prompt, _i.created_at, _i.deadline_at,
    _i.closed_at, _i.response, _i.answered_by, _i.on_deadline, _i.excluded, _i.claimed_by, _i.votes,
    case((_i.votes.is_not(None), _VOTED)), REMINDERS, func.coalesce(_i.priority, _e.priority), _i.due_at,
)  # fmt: skip
_SELECT_ASKED: Final = select(*_ASKED_COLUMNS).select_from(interactions.join(executions, _i.execution_key == _e.key))
_ASKED: Final = prepare(_SELECT_ASKED.where(_e.id == bindparam("id"), _i.id == bindparam("wait")))
# Each read in order from its index: what somebody answered alone, and what they voted on.
_alone: Final = (
    select(_i.key.label("key"), _i.closed_at.label("at"))
    .where(_i.answered_by == bindparam("actor"))
    .order_by(_i.closed_at.desc(), _i.key.desc())
)
_with_others: Final = (
    select(_v.interaction_key, _v.voted_at)
    .where(_v.voter == bindparam("actor"))
    .order_by(_v.voted_at.desc(), _v.interaction_key.desc())
)
_theirs: Final = union_all(*(select(limited(each).subquery()) for each in (_alone, _with_others))).subquery()
_ANSWERED_BY: Final = prepare(
    limited(
        select(*_ASKED_COLUMNS)
        .select_from(_theirs.join(interactions, _i.key == _theirs.c.key).join(executions, _i.execution_key == _e.key))
        .order_by(_theirs.c.at.desc(), _i.key.desc())
    )
)


def _asked(row: Sequence[Any]) -> Asked:
    owner, assignees, four_eyes, execution_id, wait_id, workflow, status, prompt, *rest = row
    created_at, deadline_at, closed_at, response, answered_by, on_deadline, excluded, claimed_by, needed, *more = rest
    voted, reminders, priority, due_at = more
    votes = tuple(Vote(voter, voted_at / 1000, said) for voter, voted_at, said in decode(voted) or ())
    answer = {**(decode(response) or {}), "comment": None}
    equal = sum(vote.response is not None and {**vote.response, "comment": None} == answer for vote in votes)
    return Asked(
        owner=owner,
        assignees=tuple(decode(assignees) or ()),
        four_eyes=bool(four_eyes),
        execution_id=execution_id,
        interaction_id=wait_id,
        workflow=workflow,
        status=status,
        prompt=decode(prompt),
        created_at=created_at / 1000,
        deadline=None if deadline_at is None else deadline_at / 1000,
        closed_at=None if closed_at is None else closed_at / 1000,
        response=decode(response),
        answered_by=answered_by,
        on_deadline=on_deadline,
        excluded=tuple(decode(excluded) or ()),
        claimed_by=claimed_by,
        votes=needed,
        voted=votes,
        by_votes=needed is not None and status == "answered" and (equal >= needed or on_deadline != "default"),
        reminders=Reminders.read(reminders),
        priority=priority,
        due=None if due_at is None else due_at / 1000,
    )


async def asked(database: Database, execution_id: str, interaction_id: str) -> Asked:
    """One interaction. Raises ``ExecutionNotFound`` and ``InteractionNotFound``."""
    for row in await database.read(_ASKED, {"id": execution_id, "wait": interaction_id}):
        return _asked(row)
    raise await missing(database, execution_id, interaction_id)


async def answered_by(database: Database, actor: str, most: int) -> list[Asked]:
    """What this actor answered or voted on, the newest first, as far as the executions are in the file."""
    return [_asked(row) for row in await database.read(_ANSWERED_BY, {"actor": actor, "max": most}, lane="long")]


# --- Deadlines, recovery and retention -----------------------------------------------------------------------------

_NEXT_DUE: Final = prepare(
    select(func.min(literal_column("due"))).select_from(
        union_all(
            select(func.min(_i.deadline_at).label("due")).where(
                _i.status == word("pending"), _i.deadline_at > bindparam("after")
            ),
            select(func.min(_c.deadline_at)).where(_OPEN_CONSENT, _c.deadline_at > bindparam("after")),
            select(func.min(reminders.c.at)).where(reminders.c.done_at.is_(None), reminders.c.at > bindparam("after")),
        ).subquery()
    )
)
_PAST_DEADLINE: Final = prepare(
    limited(
        union_all(
            select(_e.id, _i.id.label("wait"), _i.deadline_at.label("deadline"))
            .select_from(interactions.join(executions, _i.execution_key == _e.key))
            .where(_i.status == word("pending"), _i.deadline_at <= bindparam("now")),
            select(_e.id, _c.id, _c.deadline_at)
            .select_from(consents.join(executions, _c.execution_key == _e.key))
            .where(_OPEN_CONSENT, _c.deadline_at <= bindparam("now")),
        ).order_by("deadline")
    )
)
# Runs are not interrupted by a restart: a runner continues them.
_RUNNING: Final = prepare(
    select(_e.id, _e.lease, _e.epoch).where(_e.status == word("running"), _e.ready.is_(None)).order_by(_e.key)
)
_EXPIRED: Final = prepare(
    limited(
        select(_e.expires_at, _e.key, _e.id, _e.status)
        .where(
            _e.expires_at.is_not(None),
            _e.hold.is_(None),
            _e.expires_at <= bindparam("now"),
            ~exists().where(outbox.c.execution_id == _e.id, outbox.c.status == word("pending")),
            tuple_(_e.expires_at, _e.key) > tuple_(bindparam("since"), bindparam("key")),
        )
        .order_by(_e.expires_at, _e.key)
    )
)
_FREE_PAGES: Final = prepare(
    select(literal_column("freelist_count")).select_from(func.pragma_freelist_count().alias("p"))
)


async def next_due(database: Database, after: int = 0) -> int | None:
    """Return when the next deadline, reminder or escalation after ``after`` falls due; None where nothing is to come.

    Both are milliseconds since the epoch.
    """
    ((due,),) = await database.read(_NEXT_DUE, {"after": after})
    return None if due is None else int(due)


async def past_deadline(database: Database, now: int, most: int) -> list[tuple[str, str]]:
    """Return execution and wait of the waits whose deadline is over at ``now`` (milliseconds), the longest overdue first."""
    return [(row[0], row[1]) for row in await database.read(_PAST_DEADLINE, {"now": now, "max": most})]


async def running(database: Database) -> list[tuple[str, int | None, int]]:
    """Every running execution, the oldest first, with the lease of the process that drives it and the epoch of its claim."""
    return [(row[0], row[1], row[2]) for row in await database.read(_RUNNING, lane="long")]


async def expired(database: Database, now: int, *, chunk: int = 1_000) -> AsyncIterator[tuple[str, str, float]]:
    """Yield what a sweep at ``now`` (milliseconds) would delete: id, status, and since when (seconds).

    A sweep leaves those that people are still to be told of.
    """
    since, key = -1, 0
    while True:
        rows = list(await database.read(_EXPIRED, {"now": now, "since": since, "key": key, "max": chunk}, lane="long"))
        for row in rows:
            yield row[2], row[3], row[0] / 1000
        if len(rows) < chunk:
            return
        since, key = rows[-1][:2]


async def free_pages(database: Database) -> int:
    """Return the number of unused pages in the file."""
    ((count,),) = await database.read(_FREE_PAGES)
    return int(count)
