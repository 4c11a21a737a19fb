"""Lists of executions, a page at a time."""

import functools
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, case, exists, false, func, literal_column, or_, select, union_all

from restpoint._core.execution_row import OF_EXECUTIONS, OF_RUNS, SUMMARIZED, ExecutionSummary, summary_of
from restpoint._core.serialization import READ_ERRORS, encode, unreadable
from restpoint._storage.progress import HAS_A_PROBLEM, Processes
from restpoint._storage.schema import executions, interactions, runs, votes
from restpoint._storage.sqlite.connection import ONE, ZERO, limited, listed, prepare, word
from restpoint._storage.sqlite.database import Database
from restpoint.access import GROUP
from restpoint.errors import InvalidArgument
from restpoint.lifecycle import PAUSED, ExecutionStatus

__all__ = ["MAX_PAGE", "ExecutionSummary", "Page", "page"]

MAX_PAGE: Final = 1_000

_e, _i, _r, _v = executions.c, interactions.c, runs.c, votes.c


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
    """What a page is filtered by, as far as its SQL depends on it: the statuses, how many names, and which other filters.

    ``owners`` is the number of names that may own executions, ``audience`` that of all to whom prompts may be addressed.
    """

    statuses: tuple[str, ...]
    owners: int
    audience: int
    given: frozenset[str]


@functools.lru_cache(maxsize=200)
def _page_query(shape: _Shape) -> str:
    """SQL: a page, merged from one ordered read of an index for each status and each name, which ends after a page."""
    branches = []
    for status in shape.statuses or (None,):
        if not shape.audience:
            branches.append(_keys(*_conditions(status, shape.given)))
            continue
        for number in range(shape.owners):
            owned = _column("owner", by_index=status in {None, _DENSE}) == bindparam(f"owner{number}")
            branches.append(_keys(*_conditions(status, shape.given), owned))
            conditions = _conditions(status, shape.given, by_index=False)
            branches += [_answered(f"owner{number}", *conditions), _voted(f"owner{number}", *conditions)]
        if status is None or status in PAUSED:  # nothing is asked in any other
            branches.append(_addressed(shape.audience, *_conditions(status, shape.given, by_index=False)))
    if not branches:
        branches.append(_keys(false()))
    keys = select(union_all(*(select(branch.c.key) for branch in branches)).subquery().c.key)
    return prepare(limited(_SUMMARY.where(_e.key.in_(keys)).order_by(_e.key.desc())))


def _conditions(status: str | None, given: frozenset[str], *, by_index: bool = True) -> list[ColumnElement[bool]]:
    """The filters but for the audience. Without ``by_index``, no index is to be used for them."""
    found = []
    if status is not None:
        is_best = by_index and (status != _DENSE or not given & {"owner", "workflow"})
        is_best = is_best and ("problem" not in given or status == ExecutionStatus.RUNNING)
        found.append(_column("status", by_index=is_best) == word(status))
    is_best = by_index and status in {None, _DENSE}
    found += [_column(name, by_index=is_best) == bindparam(name) for name in ("workflow", "owner") if name in given]
    if "problem" in given:
        # Only one that runs has a problem without having it in its row; the others are found by an index of those that have.
        found.append(HAS_A_PROBLEM if status == ExecutionStatus.RUNNING else _e.problem.is_not(None))
    if "version" in given:
        its_run = (_r.execution_key == _e.key) & (_r.version == bindparam("version"))
        found.append(exists(select(_r.execution_key).where(its_run).correlate(executions)))
    if "before" in given:
        found.append((_e.key if by_index else literal_column("+executions.key")) < bindparam("before"))
    return found


# Most executions have completed, so of two indexes that of the status is the worse one for those, and the better one for others.
_DENSE: Final = "completed"


def _column(name: str, *, by_index: bool) -> ColumnElement[Any]:
    """A column, or with a plus before it, by which SQLite uses no index of it (https://www.sqlite.org/optoverview.html)."""
    return _e[name] if by_index else literal_column(f"+executions.{name}")


def _keys(*conditions: ColumnElement[bool]) -> Any:
    return limited(select(_e.key).where(*conditions).order_by(_e.key.desc())).subquery()


def _answered(name: str, *conditions: ColumnElement[bool]) -> Any:
    """The executions that have a prompt which somebody answered."""
    rows = interactions.join(executions, _e.key == _i.execution_key) if conditions else interactions
    return limited(
        select(_i.execution_key.label("key"))
        .distinct()
        .select_from(rows)
        .where(_i.answered_by == bindparam(name), *conditions)
        .order_by(_i.execution_key.desc())
    ).subquery()


def _voted(name: str, *conditions: ColumnElement[bool]) -> Any:
    """The executions that have a prompt which somebody voted on."""
    rows = votes.join(interactions, _i.key == _v.interaction_key).join(executions, _e.key == _i.execution_key)
    return limited(
        select(_i.execution_key.label("key"))
        .distinct()
        .select_from(rows)
        .where(_v.voter == bindparam(name), *conditions)
        .order_by(_i.execution_key.desc())
    ).subquery()


def _addressed(names: int, *conditions: ColumnElement[bool]) -> Any:
    """The executions that have an open prompt which is addressed to one of the audience."""
    named = func.json_each(_i.assignees).table_valued("value")
    is_named = select(named.c.value).where(named.c.value.in_(listed("audience"))).correlate(interactions).exists()
    # To look for a name as text costs a tenth of taking the list apart, which is left for those where it is found.
    may_be_named = or_(*(func.instr(_i.assignees, bindparam(f"quoted{number}")) > ZERO for number in range(names)))
    is_found = case((may_be_named, is_named), else_=ZERO) == ONE
    rows = interactions.join(executions, _e.key == _i.execution_key) if conditions else interactions
    return limited(
        select(_i.execution_key.label("key"))
        .distinct()
        .select_from(rows)
        .where(_i.status == word("pending"), _i.assignees.is_not(None), is_found, *conditions)
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
    there: Processes | None = None,
) -> Page:
    """Executions, the newest first. Raises ``InvalidArgument`` for a cursor that no page gave.

    With ``there``, the processes on the file, only those that none of them goes on with.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidArgument(f"limit is {limit}; give one from 1 to {MAX_PAGE}.")
    problem = None if there is None else 1
    filters = {
        "workflow": workflow, "version": version, "owner": owner, "before": _read_cursor(cursor), "problem": problem,
    }  # fmt: skip
    given: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
    if there is not None:
        given |= there.parameters()
        statuses = statuses or [ExecutionStatus.RUNNING, *PAUSED]
    owners: Sequence[str] = ()
    names: Sequence[str] = ()
    if audience is not None:
        names = list(audience) or [""]  # who is nobody sees nothing
        owners = [name for name in names if not name.startswith(GROUP)]  # groups own nothing
        given |= {f"owner{number}": name for number, name in enumerate(owners)}
        given |= {f"quoted{number}": encode(name) for number, name in enumerate(names)}
        given["audience"] = encode(names)
    shape = _Shape(tuple(sorted(set(statuses))), len(owners), len(names), frozenset(given) & set(filters))
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
