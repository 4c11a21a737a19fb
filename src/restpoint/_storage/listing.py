"""Lists of executions, a page at a time."""

import functools
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, exists, func, literal_column, select, union_all

from restpoint._core.execution_row import OF_EXECUTIONS, OF_RUNS, SUMMARIZED, ExecutionSummary, summary_of
from restpoint._core.serialization import READ_ERRORS, unreadable
from restpoint._storage.schema import executions, interactions, runs
from restpoint._storage.sqlite.connection import limited, listed, prepare, word
from restpoint._storage.sqlite.database import Database
from restpoint.access import GROUP
from restpoint.errors import InvalidArgument

__all__ = ["MAX_PAGE", "ExecutionSummary", "Page", "page"]

MAX_PAGE: Final = 1_000

_e, _i, _r = executions.c, interactions.c, runs.c


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a list, the newest first. ``next_cursor`` gets the page after it; None on the last one."""

    items: tuple[ExecutionSummary, ...]
    next_cursor: str | None


_COLUMNS: Final = {**{name: _e[name] for name in OF_EXECUTIONS}, **{name: _r[of] for name, of in OF_RUNS.items()}}
_SUMMARY: Final = select(_e.key, *(_COLUMNS[name] for name in SUMMARIZED)).select_from(
    executions.outerjoin(runs, _r.execution_key == _e.key)
)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a page is filtered by, as far as its SQL depends on it: how many statuses and names of owners, and which others."""

    statuses: tuple[str, ...]
    names: int
    is_addressed: bool
    given: frozenset[str]


@functools.lru_cache(maxsize=200)
def _page_query(shape: _Shape) -> str:
    """SQL: a page, merged from one ordered read of an index for each status and each name, which ends after a page."""
    branches = []
    for status in shape.statuses or (None,):
        common = _conditions(status, shape.given)
        if shape.names or shape.is_addressed:
            branches += [_keys(*common, _owned_by(status, f"name{number}")) for number in range(shape.names)]
            branches += [_addressed(*common)] if shape.is_addressed else []
        else:
            branches.append(_keys(*common))
    keys = select(union_all(*(select(branch.c.key) for branch in branches)).subquery().c.key)
    return prepare(limited(_SUMMARY.where(_e.key.in_(keys)).order_by(_e.key.desc())))


def _conditions(status: str | None, given: frozenset[str]) -> list[ColumnElement[bool]]:
    found = (
        [] if status is None else [_status_is(status, by_index=status != _DENSE or not given & {"owner", "workflow"})]
    )
    if "workflow" in given:
        found.append(_column("workflow", by_index=status in {None, _DENSE}) == bindparam("workflow"))
    if "owner" in given:
        found.append(_column("owner", by_index=status in {None, _DENSE}) == bindparam("owner"))
    if "version" in given:
        its_run = (_r.execution_key == _e.key) & (_r.version == bindparam("version"))
        found.append(exists(select(_r.execution_key).where(its_run).correlate(executions)))
    if "before" in given:
        found.append(_e.key < bindparam("before"))
    return found


# Most executions have completed, so of two indexes that of the status is the worse one for those, and the better one for others.
_DENSE: Final = "completed"


def _column(name: str, *, by_index: bool) -> ColumnElement[Any]:
    """A column, or with a plus before it, by which SQLite uses no index of it (https://www.sqlite.org/optoverview.html)."""
    return _e[name] if by_index else literal_column(f"+executions.{name}")


def _status_is(status: str, *, by_index: bool) -> ColumnElement[bool]:
    return _column("status", by_index=by_index) == word(status)


def _owned_by(status: str | None, name: str) -> ColumnElement[bool]:
    return _column("owner", by_index=status in {None, _DENSE}) == bindparam(name)


def _keys(*conditions: ColumnElement[bool]) -> Any:
    return limited(select(_e.key).where(*conditions).order_by(_e.key.desc())).subquery()


def _addressed(*conditions: ColumnElement[bool]) -> Any:
    """The executions that have an open prompt which is addressed to one of the audience."""
    named = func.json_each(_i.assignees).table_valued("value")
    is_named = select(named.c.value).where(named.c.value.in_(listed("audience"))).correlate(interactions).exists()
    rows = interactions.join(executions, _e.key == _i.execution_key) if conditions else interactions
    return limited(
        select(_i.execution_key.label("key"))
        .distinct()
        .select_from(rows)
        .where(_i.status == word("pending"), _i.assignees.is_not(None), is_named, *conditions)
        .order_by(_i.execution_key.desc())
    ).subquery()


async def page(
    database: Database,
    *,
    statuses: Collection[str],
    workflow: str | None,
    version: int | None,
    owner: str | None,
    limit: int,
    cursor: str | None,
    audience: Collection[str] | None = None,
) -> Page:
    """Executions, the newest first. Raises ``InvalidArgument`` for a cursor that no page gave."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidArgument(f"limit is {limit}; give one from 1 to {MAX_PAGE}.")
    filters = {"workflow": workflow, "version": version, "owner": owner, "before": _read_cursor(cursor)}
    given = {name: value for name, value in filters.items() if value is not None}
    names: Sequence[str] = ()
    if audience is not None:  # groups own nothing; somebody must be named, or the page would have no filter
        names = [name for name in audience if not name.startswith(GROUP)] or [""]
        given |= {f"name{number}": name for number, name in enumerate(names)}
        given["audience"] = json.dumps(list(audience))
    shape = _Shape(tuple(sorted(set(statuses))), len(names), audience is not None, frozenset(given) & set(filters))
    rows = list(await database.read(_page_query(shape), {**given, "max": limit + 1}, lane="long"))
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
