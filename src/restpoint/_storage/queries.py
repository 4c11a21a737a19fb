"""The questions that are asked of the file: one statement each, read in one snapshot, never inside a write."""

import json
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, bindparam, func, literal_column, null, select, tuple_, union_all

from restpoint._core.changes import Wait
from restpoint._core.serialization import decode
from restpoint._storage.schema import REVISION, consents, executions, history, interactions, runs
from restpoint._storage.sqlite.connection import prepare
from restpoint._storage.sqlite.database import Database
from restpoint.errors import ExecutionNotFound, InteractionNotFound
from restpoint.events import EventKind
from restpoint.lifecycle import OPEN, TERMINAL

_e, _i, _c, _h, _r = executions.c, interactions.c, consents.c, history.c, runs.c
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
        _h.event == literal_column(f"'{EventKind.INTERACTION_WITHDRAWN}'"),
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
            _c.auth_url, _c.oauth_state, null(), null(), null(), _c.provider, _c.scopes, null(), null(),
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
            kind, wait_id, status, opened, created, deadline, prompt, response, url, state, bool(ended), assignees, eyes,
            provider, scopes,
        )
        for kind, opened, wait_id, status, created, deadline, prompt, response, url, state, ended, assignees, eyes,
            provider, scopes, *_
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
        return Address(owner, tuple(decode(assignees) or ()), bool(four_eyes), status)
    raise ExecutionNotFound(execution_id)


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
