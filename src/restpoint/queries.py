"""The questions that are asked of the file: one statement each, read in one snapshot, never inside a write."""

import functools
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Select, bindparam, exists, func, literal_column, null, select, tuple_, union_all

from restpoint.changes import Wait
from restpoint.database import Database, Row
from restpoint.engine import prepare
from restpoint.errors import ExecutionNotFound, InteractionNotFound, InvalidArgument
from restpoint.history import ANCHOR, first_break
from restpoint.lifecycle import OPEN, TERMINAL
from restpoint.schema import REVISION, consents, executions, history, interactions, journal, runs

MAX_PAGE: Final = 1_000

_e, _i, _c, _h, _j, _r = executions.c, interactions.c, consents.c, history.c, journal.c, runs.c
_OPEN_CONSENT: Final = _c.status.in_([literal_column(f"'{status}'") for status in OPEN])


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An execution and its waits at one moment: after history row ``as_of``. Times are milliseconds since the epoch."""

    as_of: int
    id: str
    status: str
    version: int
    workflow: str | None
    owner: str | None
    lease: int | None
    created_at: int
    completed_at: int | None
    expires_at: int | None
    result: str | None
    error: str | None
    error_code: str | None
    run_version: int | None
    problem: str | None
    waits: tuple[Wait, ...]


@dataclass(frozen=True, slots=True)
class ExecutionSummary:
    """One line of a list. Times are seconds since the epoch."""

    execution_id: str
    status: str
    workflow: str | None
    owner: str | None
    created_at: float
    completed_at: float | None
    expires_at: float | None
    hold: str | None
    open_waits: int
    error: str | None
    error_code: str | None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a list, the newest first. ``next_cursor`` gets the page after it; None on the last one."""

    items: tuple[ExecutionSummary, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One row of history. ``time`` is seconds since the epoch; ``digest`` is hexadecimal."""

    sequence: int
    execution_id: str | None
    event: str
    wait_id: str | None
    from_status: str | None
    to_status: str | None
    actor: str | None
    cause: str | None
    time: float
    detail: Any
    digest: str


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


# --- One execution ---------------------------------------------------------------------------------------------------

_THIS: Final = select(_e.key).where(_e.id == bindparam("id")).scalar_subquery()
_KNOWN: Final[Select[Any]] = select(literal_column("value")).select_from(
    func.json_each(bindparam("known")).alias("known")
)
_NOTHING: Final = [null()] * 4
# A wait that is withdrawn because its execution ended says so in its row of history, which stays while the execution does.
_ENDED_WITH: Final = (
    select(_h.to_status.in_([literal_column(f"'{status}'") for status in TERMINAL]))
    .where(
        _h.execution_id == bindparam("id"),
        _h.wait_id == _i.id,
        _h.event == literal_column("'interaction_withdrawn'"),
        _i.status == literal_column("'withdrawn'"),
    )
    .correlate(interactions)
    .scalar_subquery()
)
_SNAPSHOT: Final = prepare(
    union_all(
        select(
            literal_column("'execution'").label("kind"),
            literal_column("0").label("opened"),
            select(func.coalesce(func.max(_h.sequence), literal_column("0"))).scalar_subquery(),
            _e.status,
            _e.version,
            _e.workflow,
            _e.owner,
            _e.lease,
            _e.created_at,
            _e.completed_at,
            _e.expires_at,
            _e.result,
            _e.error,
            _e.error_code,
            literal_column("(SELECT version_num FROM alembic_version)"),
            _r.version,
            _r.problem,
        )
        .select_from(executions.outerjoin(runs, _r.execution_key == _e.key))
        .where(_e.id == bindparam("id")),
        select(
            literal_column("'interaction'"), _i.opened, _i.id, _i.status, _i.created_at, _i.deadline_at, _i.prompt, _i.response,
            null(), null(), _ENDED_WITH, _i.assignees, _i.four_eyes, *_NOTHING,
        ).where(
            _i.execution_key == _THIS,
            (_i.status == literal_column("'pending'")) | _i.id.in_(_KNOWN),
        ),
        select(
            literal_column("'consent'"), _c.opened, _c.id, _c.status, _c.created_at, _c.deadline_at, null(), null(),
            _c.auth_url, _c.oauth_state, null(), null(), null(), *_NOTHING,
        ).where(
            _c.execution_key == _THIS,
            _OPEN_CONSENT | _c.id.in_(_KNOWN),
        ),
    ).order_by("opened")
)  # fmt: skip


async def snapshot(database: Database, execution_id: str, known_waits: Collection[str] = ()) -> Snapshot | None:
    """The execution with its open waits, and with those of ``known_waits`` whatever became of them."""
    rows = list(await database.read(_SNAPSHOT, {"id": execution_id, "known": json.dumps(list(known_waits))}))
    if not rows or rows[0][0] != "execution":
        return None
    _, _, as_of, *rest = rows[0]
    waits = [
        Wait(
            kind, wait_id, status, opened, created, deadline, prompt, response, url, state, bool(ended), assignees, eyes
        )
        for kind, opened, wait_id, status, created, deadline, prompt, response, url, state, ended, assignees, eyes, *_
        in rows[1:]
    ]  # fmt: skip
    (
        status,
        version,
        workflow,
        owner,
        lease,
        created,
        completed,
        expires,
        result,
        error,
        code,
        revision,
        run,
        problem,
    ) = rest
    if revision != REVISION:
        await database.pass_gate()
    return Snapshot(
        as_of,
        execution_id,
        status,
        version,
        workflow,
        owner,
        lease,
        created,
        completed,
        expires,
        result,
        error,
        code,
        run,
        problem,
        tuple(waits),
    )


_PROMPT: Final = prepare(
    select(_i.prompt)
    .select_from(interactions.join(executions, _i.execution_key == _e.key))
    .where(_e.id == bindparam("id"), _i.id == bindparam("wait"))
)
_EXISTS: Final = prepare(select(_e.key).where(_e.id == bindparam("id")))


async def prompt_of(database: Database, execution_id: str, interaction_id: str) -> str:
    """The stored prompt of an interaction. Raises ``ExecutionNotFound`` and ``InteractionNotFound``."""
    for (prompt,) in await database.read(_PROMPT, {"id": execution_id, "wait": interaction_id}):
        return str(prompt)
    if not list(await database.read(_EXISTS, {"id": execution_id})):
        raise ExecutionNotFound(execution_id)
    raise InteractionNotFound(execution_id, interaction_id)


_ADDRESS: Final = prepare(
    select(_e.owner, _i.assignees, _i.four_eyes, _i.status)
    .select_from(executions.outerjoin(interactions, (_i.execution_key == _e.key) & (_i.id == bindparam("wait"))))
    .where(_e.id == bindparam("id"))
)


@dataclass(frozen=True, slots=True)
class Address:
    """Whom an interaction is addressed to, and whose its execution is. All but ``status`` never change."""

    owner: str | None
    assignees: tuple[str, ...]
    four_eyes: bool
    status: str


async def address(database: Database, execution_id: str, interaction_id: str) -> Address:
    """Whom an interaction is addressed to. Raises ``ExecutionNotFound`` and ``InteractionNotFound``."""
    for owner, assignees, four_eyes, status in await database.read(
        _ADDRESS, {"id": execution_id, "wait": interaction_id}
    ):
        if status is None:
            raise InteractionNotFound(execution_id, interaction_id)
        return Address(owner, tuple(json.loads(assignees or "[]")), bool(four_eyes), status)
    raise ExecutionNotFound(execution_id)


# --- Lists -----------------------------------------------------------------------------------------------------------

_SUMMARY: Final = select(
    _e.key,
    _e.id,
    _e.status,
    _e.workflow,
    _e.owner,
    _e.created_at,
    _e.completed_at,
    _e.expires_at,
    _e.hold,
    _e.open_waits,
    _e.error,
    _e.error_code,
)


@functools.cache
def _page_query(
    by_status: bool,  # noqa: FBT001 - all given
    by_workflow: bool,  # noqa: FBT001
    by_owner: bool,  # noqa: FBT001
    by_audience: bool,  # noqa: FBT001
    after: bool,  # noqa: FBT001
) -> str:
    query: Select[Any] = _SUMMARY
    if by_status:
        wanted: Select[Any] = select(literal_column("value")).select_from(func.json_each(bindparam("statuses")))
        query = query.where(_e.status.in_(wanted))
    if by_workflow:
        query = query.where(_e.workflow == bindparam("the_workflow"))
    if by_owner:
        query = query.where(_e.owner == bindparam("the_owner"))
    if by_audience:
        names: Select[Any] = select(literal_column("value")).select_from(func.json_each(bindparam("audience")))
        # In two steps: the people of an open prompt are a list in its row.
        named = func.json_each(_i.assignees).table_valued("value")
        addressed = (
            select(_i.key)
            .select_from(interactions.join(named, literal_column("1") == literal_column("1")))
            .where(
                _i.execution_key == _e.key,
                _i.status == literal_column("'pending'"),
                _i.assignees.is_not(None),
                named.c.value.in_(names),
            )
            .correlate(executions)
        )
        query = query.where(_e.owner.in_(names) | exists(addressed))
    if after:
        query = query.where(_e.key < bindparam("before"))
    return prepare(query.order_by(_e.key.desc()).limit(bindparam("max")).offset(literal_column("0")))


async def page(
    database: Database,
    *,
    statuses: Collection[str],
    workflow: str | None,
    owner: str | None,
    limit: int,
    cursor: str | None,
    audience: Collection[str] | None = None,
) -> Page:
    """Executions, the newest first. Raises ``InvalidArgument`` for a cursor that no page gave."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidArgument(f"limit is {limit}; give one from 1 to {MAX_PAGE}.")
    before = _read_cursor(cursor)
    query = _page_query(
        bool(statuses), workflow is not None, owner is not None, audience is not None, before is not None
    )
    rows = list(
        await database.read(
            query,
            {
                "statuses": json.dumps(list(statuses)),
                "the_workflow": workflow,
                "the_owner": owner,
                "audience": None if audience is None else json.dumps(list(audience)),
                "before": before,
                "max": limit + 1,
            },
            lane="long",
        )
    )
    items = tuple(
        ExecutionSummary(
            execution_id,
            status,
            name,
            whose,
            created / 1000,
            _seconds(completed),
            _seconds(expires),
            hold,
            waits,
            error,
            code,
        )
        for _, execution_id, status, name, whose, created, completed, expires, hold, waits, error, code in rows[:limit]
    )
    return Page(items, _write_cursor(rows[limit - 1][0]) if len(rows) > limit else None)


def _write_cursor(key: int) -> str:
    return urlsafe_b64encode(f"k{key}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    try:
        text = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
        if text[:1] == "k" and text[1:].isdecimal() and len(text) < 20:  # noqa: PLR2004 - digits of a 64-bit integer
            return int(text[1:])
    except ValueError:
        pass
    raise InvalidArgument(f"{cursor[:80]!r} is not a cursor; use next_cursor of the page before, or none to begin.")


# --- History ---------------------------------------------------------------------------------------------------------

_ENTRY: Final = select(
    _h.sequence,
    _h.execution_id,
    _h.event,
    _h.wait_id,
    _h.from_status,
    _h.to_status,
    _h.actor,
    _h.cause,
    _h.time,
    _h.detail,
    _h.detail_sha256,
    _h.digest,
).order_by(_h.sequence)
_HISTORY_OF: Final = prepare(_ENTRY.where(_h.execution_id == bindparam("id")))
_CHAIN: Final = prepare(
    _ENTRY.where(_h.sequence > bindparam("after")).limit(bindparam("max")).offset(literal_column("0"))
)
_PRUNED: Final = prepare(
    # What retention removed it says so, in a row that is never removed before the anchor has moved past it.
    select(_h.sequence).where(
        _h.event == literal_column("'history_pruned'"),
        func.json_extract(_h.detail, literal_column("'$.last'")) == bindparam("last"),
    )
)
_SINCE: Final = prepare(
    select(_h.sequence, _h.execution_id)
    .where(_h.sequence > bindparam("after"))
    .order_by(_h.sequence)
    .limit(bindparam("max"))
    .offset(literal_column("0"))
)
_LAST: Final = prepare(select(func.coalesce(func.max(_h.sequence), literal_column("0"))))


async def history_of(database: Database, execution_id: str) -> list[HistoryEntry]:
    """Everything that happened to an execution, in order; also after it was removed or swept."""
    return [_entry(row) for row in await database.read(_HISTORY_OF, {"id": execution_id}, lane="long")]


def _entry(row: Row) -> HistoryEntry:
    sequence, execution_id, event, wait_id, before, after, actor, cause, time, detail, _, digest = row
    told = None if detail is None else json.loads(detail)
    return HistoryEntry(
        sequence, execution_id, event, wait_id, before, after, actor, cause, time / 1000, told, digest.hex()
    )


_EVENTS_OF: Final = prepare(
    _ENTRY.where(_h.execution_id == bindparam("id"), _h.sequence > bindparam("after"))
    .limit(bindparam("max"))
    .offset(literal_column("0"))
)
_JOURNALED: Final = prepare(
    select(_j.position, _j.result)
    .select_from(journal.join(executions, _j.execution_key == _e.key))
    .where(
        _e.id == bindparam("id"),
        _j.position.in_(select(literal_column("value")).select_from(func.json_each(bindparam("positions")))),
    )
)
_SHOWN: Final = {"emitted": "data", "notified": "prompt"}


async def events_of(database: Database, execution_id: str, after: int, most: int) -> list[HistoryEntry]:
    """What happened to an execution after a row of history, in order, at most ``most``, with what it emitted and notified.

    That is kept in the journal and goes with the execution; the history only says where it stands.
    """
    rows = await database.read(_EVENTS_OF, {"id": execution_id, "after": after, "max": most})
    entries = [_entry(row) for row in rows]
    positions = [entry.detail["position"] for entry in entries if entry.event in _SHOWN]
    if not positions:
        return entries
    journaled = await database.read(_JOURNALED, {"id": execution_id, "positions": json.dumps(positions)})
    values = {position: json.loads(result) for position, result in journaled if result is not None}
    return [
        replace(entry, detail={**entry.detail, _SHOWN[entry.event]: values[entry.detail["position"]]})
        if entry.event in _SHOWN and entry.detail["position"] in values
        else entry
        for entry in entries
    ]


async def last_sequence(database: Database) -> int:
    """The sequence of the newest row of history; 0 where there is none."""
    ((sequence,),) = await database.read(_LAST)
    return int(sequence)


async def touched_since(database: Database, sequence: int, most: int) -> list[tuple[int, str | None]]:
    """Sequence and execution of the rows after ``sequence``, at most ``most``."""
    return [(row[0], row[1]) for row in await database.read(_SINCE, {"after": sequence, "max": most})]


async def broken_history(database: Database, *, chunk: int = 5_000) -> int | None:
    """The sequence of the first row of history that does not follow from the one before it; None when all do.

    Also the anchor's, where nothing says that retention moved it there.
    """
    ((after, digest),) = await database.read(ANCHOR, lane="long")
    if after and not list(await database.read(_PRUNED, {"last": after}, lane="long")):
        return int(after)
    async for rows in _chain(database, after, chunk):
        broken = first_break(rows, after, digest)
        if broken is not None:
            return broken
        after, digest = rows[-1][0], rows[-1][-1]
    return None


async def _chain(database: Database, after: int, chunk: int) -> AsyncIterator[list[Row]]:
    while rows := list(await database.read(_CHAIN, {"after": after, "max": chunk}, lane="long")):
        yield rows
        after = rows[-1][0]


# --- The clockwork's ---------------------------------------------------------------------------------------------------

_NEXT_DEADLINE: Final = prepare(
    select(func.min(literal_column("deadline"))).select_from(
        union_all(
            select(func.min(_i.deadline_at).label("deadline")).where(
                _i.status == literal_column("'pending'"), _i.deadline_at.is_not(None)
            ),
            select(func.min(_c.deadline_at)).where(
                _OPEN_CONSENT,
                _c.deadline_at.is_not(None),
            ),
        ).subquery()
    )
)
_DUE: Final = prepare(
    union_all(
        select(_e.id, _i.id.label("wait"), _i.deadline_at.label("deadline"))
        .select_from(interactions.join(executions, _i.execution_key == _e.key))
        .where(_i.status == literal_column("'pending'"), _i.deadline_at <= bindparam("now")),
        select(_e.id, _c.id, _c.deadline_at)
        .select_from(consents.join(executions, _c.execution_key == _e.key))
        .where(_OPEN_CONSENT, _c.deadline_at <= bindparam("now")),
    )
    .order_by("deadline")
    .limit(bindparam("max"))
    .offset(literal_column("0"))
)
# What a runner runs is not interrupted by a restart: a runner goes on with it.
_RUNNING: Final = prepare(
    select(_e.id, _e.lease)
    .select_from(executions.outerjoin(runs, _r.execution_key == _e.key))
    .where(_e.status == literal_column("'running'"), _r.execution_key.is_(None))
    .order_by(_e.key)
)
_EXPIRED: Final = prepare(
    select(_e.expires_at, _e.key, _e.id, _e.status)
    .where(
        _e.expires_at.is_not(None),
        _e.hold.is_(None),
        _e.expires_at <= bindparam("now"),
        tuple_(_e.expires_at, _e.key) > tuple_(bindparam("since"), bindparam("key")),
    )
    .order_by(_e.expires_at, _e.key)
    .limit(bindparam("max"))
    .offset(literal_column("0"))
)
_FREE_PAGES: Final = prepare(
    select(literal_column("freelist_count")).select_from(func.pragma_freelist_count().alias("p"))
)


async def next_deadline(database: Database) -> int | None:
    """When the next open wait falls due, in milliseconds since the epoch; None when none will."""
    ((deadline,),) = await database.read(_NEXT_DEADLINE)
    return None if deadline is None else int(deadline)


async def due(database: Database, now: int, most: int) -> list[tuple[str, str]]:
    """Execution and wait of what has fallen due at ``now`` (milliseconds), the longest overdue first, at most ``most``."""
    return [(row[0], row[1]) for row in await database.read(_DUE, {"now": now, "max": most})]


async def running(database: Database) -> list[tuple[str, int | None]]:
    """Every running execution, the oldest first, with the lease of the process that drives it."""
    return [(row[0], row[1]) for row in await database.read(_RUNNING, lane="long")]


async def expired(database: Database, now: int, *, chunk: int = 1_000) -> AsyncIterator[tuple[str, str, float]]:
    """What a sweep at ``now`` (milliseconds) would delete: id, status, and since when (seconds)."""
    since, key = -1, 0
    while True:
        rows = list(await database.read(_EXPIRED, {"now": now, "since": since, "key": key, "max": chunk}, lane="long"))
        for since, key, execution_id, status in rows:  # noqa: B007 - where the next chunk begins
            yield execution_id, status, since / 1000
        if len(rows) < chunk:
            return


async def free_pages(database: Database) -> int:
    """Pages that the file has and does not use."""
    ((count,),) = await database.read(_FREE_PAGES)
    return int(count)
