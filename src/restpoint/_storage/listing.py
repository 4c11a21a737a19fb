"""Lists of executions, a page at a time."""

import functools
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, exists, func, select, true

from restpoint._core.execution_row import SUMMARIZED, ExecutionSummary, summary_of
from restpoint._core.serialization import READ_ERRORS, unreadable
from restpoint._storage.schema import executions, interactions
from restpoint._storage.sqlite.connection import limited, listed, prepare, word
from restpoint._storage.sqlite.database import Database
from restpoint.errors import InvalidArgument

__all__ = ["MAX_PAGE", "ExecutionSummary", "Page", "page"]

MAX_PAGE: Final = 1_000

_e, _i = executions.c, interactions.c


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a list, the newest first. ``next_cursor`` gets the page after it; None on the last one."""

    items: tuple[ExecutionSummary, ...]
    next_cursor: str | None


_SUMMARY: Final = select(_e.key, *(_e[name] for name in SUMMARIZED))


@functools.cache
def _page_query(given: frozenset[str]) -> str:
    # In two steps: the people of an open prompt are a list in its row.
    named = func.json_each(_i.assignees).table_valued("value")
    addressed = (
        select(_i.key)
        .select_from(interactions.join(named, true()))
        .where(
            _i.execution_key == _e.key,
            _i.status == word("pending"),
            _i.assignees.is_not(None),
            named.c.value.in_(listed("audience")),
        )
        .correlate(executions)
    )
    conditions = {
        "statuses": _e.status.in_(listed("statuses")),
        "workflow": _e.workflow == bindparam("workflow"),
        "owner": _e.owner == bindparam("owner"),
        "audience": _e.owner.in_(listed("audience")) | exists(addressed),
        "before": _e.key < bindparam("before"),
    }
    return prepare(limited(_SUMMARY.where(*(conditions[name] for name in sorted(given))).order_by(_e.key.desc())))


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
    filters = {
        "statuses": json.dumps(list(statuses)) if statuses else None,
        "workflow": workflow,
        "owner": owner,
        "audience": None if audience is None else json.dumps(list(audience)),
        "before": _read_cursor(cursor),
    }
    given = {name: value for name, value in filters.items() if value is not None}
    rows = list(await database.read(_page_query(frozenset(given)), {**given, "max": limit + 1}, lane="long"))
    try:
        items = tuple(summary_of(row[1:]) for row in rows[:limit])
    except READ_ERRORS as error:
        raise unreadable("an execution", error) from error
    if len(rows) <= limit:
        return Page(items, None)
    return Page(items, urlsafe_b64encode(f"k{rows[limit - 1][0]}".encode()).decode().rstrip("="))


def _read_cursor(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    try:
        text = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
        if text[:1] == "k" and text[1:].isdecimal() and len(text) < 20:
            return int(text[1:])
    except ValueError:
        pass
    raise InvalidArgument(f"{cursor[:80]!r} is not a cursor; use next_cursor of the page before, or none to begin.")
