"""Queries of auditors: the views and the history, filtered, some rows at a time.

A view is read through windows of the history. Each window is one statement in a short read of its own, so that nobody waits for
a slow reader, and the rows come in the order of the history. These are plain functions on a connection of the caller's own.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import bindparam, column, false, func, literal_column, select, table

from restpoint._storage.schema import history
from restpoint._storage.sqlite.connection import ZERO, prepare, word
from restpoint._storage.sqlite.views import response_times
from restpoint.events import EventKind

WINDOW: Final = 20_000
"""Rows of history that one statement looks at."""

Answer = dict[str, Any]
"""A row by column, with JSON decoded."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rows are wanted; None: all. Times are milliseconds since the epoch, ``until`` not included."""

    since: int | None = None
    until: int | None = None
    workflow: str | None = None
    actor: str | None = None
    event: str | None = None
    status: str | None = None
    execution_id: str | None = None

    def given(self) -> dict[str, Any]:
        """The filters that are set, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


_h = history.c
_JSON: Final = frozenset({"detail", "prompt", "response", "assignees", "actor_groups", "actor_roles"})
_SPAN: Final = prepare(select(func.coalesce(func.min(_h.sequence), ZERO), func.coalesce(func.max(_h.sequence), ZERO)))
_OF_VIEWS: Final = frozenset({"since", "until", "workflow", "execution_id"})
_WITHOUT_WORKFLOW: Final = "file_changes"
_TIMELINE: Final = table(
    "execution_timeline",
    *map(
        column,
        ("sequence", "at", "at_ms", "after_ms", "event", "status", "actor", "cause", "about", "wait_id", "detail"),
    ),
)
_TIMELINE_OF: Final = prepare(
    select(_TIMELINE).where(column("execution_id") == bindparam("execution_id")).order_by(_TIMELINE.c.sequence)
)
# Raw, as the view is that it stands for: a condition inside it, before people's times are ranked.
_RESPONSE_TIMES: Final = response_times(
    " AND (:since IS NULL OR at_ms >= :since) AND (:until IS NULL OR at_ms < :until)"
    " AND (:workflow IS NULL OR workflow = :workflow) AND (:execution_id IS NULL OR execution_id = :execution_id)"
)


# --- Questions -------------------------------------------------------------------------------------------------------


def rows_of(connection: sqlite3.Connection, view: str, filters: Filters) -> Iterator[Answer]:
    """The rows of a view, in the order of the history. Of the filters, the times, the workflow and the execution count.

    ``response_times`` has the statistics of the answers that the filters want. A view whose rows have no workflow has none for
    a filter that asks for one.
    """
    if view == "response_times":
        yield from _all(connection, _RESPONSE_TIMES, asdict(filters))
        return
    given = {name: value for name, value in filters.given().items() if name in _OF_VIEWS}
    yield from _through_windows(connection, _of_view(view, frozenset(given)), given, 0)


@cache
def _of_view(view: str, given: frozenset[str]) -> str:
    rows = table(view, *map(column, ("sequence", "at_ms", "workflow", "execution_id")))
    conditions = {
        "since": rows.c.at_ms >= bindparam("since"),
        "until": rows.c.at_ms < bindparam("until"),
        "workflow": false() if view == _WITHOUT_WORKFLOW else rows.c.workflow == bindparam("workflow"),
        "execution_id": rows.c.execution_id == bindparam("execution_id"),
    }
    return prepare(
        select(literal_column("*"))
        .select_from(rows)
        .where(rows.c.sequence > bindparam("after"), rows.c.sequence <= bindparam("upto"))
        .where(*(conditions[name] for name in sorted(given)))
        .order_by(rows.c.sequence)
    )


def events(connection: sqlite3.Connection, filters: Filters, after: int = 0) -> Iterator[Answer]:
    """The rows of history after row ``after`` that meet all filters, in order."""
    given = filters.given()
    yield from _through_windows(connection, _events_with(frozenset(given)), given, after)


@cache
def _events_with(given: frozenset[str]) -> str:
    of_row = ("sequence", "at", "at_ms", "execution_id")
    of_event = ("event", "wait_id", "from_status", "to_status", "actor", "cause", "detail", "digest")
    told = table("execution_history", *map(column, of_row + of_event)).alias("h")
    created = history.alias("c")
    workflow = func.json_extract(created.c.detail, word("$.workflow"))
    columns = (*(told.c[name] for name in of_row), workflow.label("workflow"), *(told.c[name] for name in of_event))
    conditions = {
        "since": told.c.at_ms >= bindparam("since"),
        "until": told.c.at_ms < bindparam("until"),
        "workflow": workflow == bindparam("workflow"),
        "actor": told.c.actor == bindparam("actor"),
        "event": told.c.event == bindparam("event"),
        "status": told.c.to_status == bindparam("status"),
        "execution_id": told.c.execution_id == bindparam("execution_id"),
    }
    is_created = created.c.event == word(EventKind.EXECUTION_CREATED)
    return prepare(
        select(*columns)
        .select_from(told.outerjoin(created, (created.c.execution_id == told.c.execution_id) & is_created))
        .where(told.c.sequence > bindparam("after"), told.c.sequence <= bindparam("upto"))
        .where(*(conditions[name] for name in sorted(given)))
        .order_by(told.c.sequence)
    )


def timeline(connection: sqlite3.Connection, execution_id: str) -> Iterator[Answer]:
    """Everything that happened to one execution, its sweep included, in order."""
    yield from _all(connection, _TIMELINE_OF, {"execution_id": execution_id})


# --- Reading ---------------------------------------------------------------------------------------------------------


def _through_windows(
    connection: sqlite3.Connection, sql: str, given: Mapping[str, Any], after: int
) -> Iterator[Answer]:
    first, last = connection.execute(_SPAN).fetchone()
    after = max(after, first - 1)
    while after < last:
        upto = min(after + WINDOW, last)
        yield from _all(connection, sql, {**given, "after": after, "upto": upto})
        after = upto


def _all(connection: sqlite3.Connection, sql: str, parameters: Mapping[str, Any]) -> Iterator[Answer]:
    cursor = connection.execute(sql, parameters)
    names = [column[0] for column in cursor.description]
    for row in cursor.fetchall():
        yield {name: _parsed(value) if name in _JSON else value for name, value in zip(names, row, strict=True)}


def _parsed(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:  # written by another program; as it stands
        return text
