"""The questions that auditors ask: a view each, and the history itself, with filters, some rows at a time.

A view is read through windows of the history, each one statement in a short read of its own: nobody waits for a reader who
is slow, and the rows come in the order of the history.
"""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from restpoint._storage.sqlite.views import response_times
from restpoint.errors import InvalidArgument
from restpoint.events import EventKind
from restpoint.lifecycle import statuses

WINDOW: Final = 20_000
"""Rows of history that one statement looks at."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with the view that answers it. ``shown`` are the columns that a table for people has room for."""

    name: str
    title: str
    view: str
    shown: tuple[str, ...]


QUESTIONS: Final = {
    question.name: question
    for question in (
        Question(
            "approvals",
            "Who approved what",
            "approvals",
            ("at", "approved_by", "decision", "question", "workflow", "execution_id", "authority"),
        ),
        Question(
            "others",
            "Prompts answered by someone other than the people and groups they were addressed to",
            "answers_by_others",
            ("at", "answered_by", "assignees", "finding", "decision", "question", "execution_id"),
        ),
        Question(
            "response-times",
            "How long people took",
            "response_times",
            ("workflow", "position", "question", "answers", "p50_ms", "p90_ms", "p99_ms", "max_ms"),
        ),
        Question(
            "defaults",
            "Answers that were defaults at the deadline",
            "default_answers",
            ("at", "decision", "question", "assignees", "workflow", "execution_id"),
        ),
        Question(
            "recoveries",
            "Executions recovered after a crash",
            "recoveries",
            ("at", "event", "status", "cause", "attempt", "workflow", "execution_id"),
        ),
        Question(
            "sweeps",
            "What was swept or removed, and when",
            "sweeps",
            ("at", "how", "actor", "status", "ended_at", "workflow", "owner", "execution_id"),
        ),
        Question(
            "four-eyes",
            "Four-eyes violations",
            "four_eyes_violations",
            ("at", "answered_by", "owner", "question", "execution_id"),
        ),
        Question(
            "file",
            "What was done to the file: migrations, rotated keys, pruned history, erased payloads",
            "file_changes",
            ("at", "event", "actor", "cause", "detail"),
        ),
    )
}
"""By name. What happened to one execution is asked of ``execution_timeline``."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is wanted; None: all. Times are milliseconds since the epoch, ``until`` not included."""

    since: int | None = None
    until: int | None = None
    workflow: str | None = None
    actor: str | None = None
    event: str | None = None
    status: str | None = None
    execution_id: str | None = None


_SPAN: Final = "SELECT coalesce(min(sequence), 0), coalesce(max(sequence), 0) FROM history"
_IN_TIME: Final = " AND (:since IS NULL OR at_ms >= :since) AND (:until IS NULL OR at_ms < :until)"
_OF_WORKFLOW: Final = " AND (:workflow IS NULL OR workflow = :workflow)"
_QUERY: Final = (
    "SELECT h.sequence, h.at, h.at_ms, h.execution_id, json_extract(c.detail, '$.workflow') AS workflow, h.event, h.wait_id,"  # noqa: S608 - our words
    " h.from_status, h.to_status, h.actor, h.cause, h.detail, h.digest FROM execution_history AS h LEFT JOIN history AS c"
    f" ON c.execution_id = h.execution_id AND c.event = '{EventKind.EXECUTION_CREATED}'"
    f" WHERE h.sequence > :after AND h.sequence <= :upto{_IN_TIME.replace('at_ms', 'h.at_ms')}"
    " AND (:actor IS NULL OR h.actor = :actor) AND (:event IS NULL OR h.event = :event)"
    " AND (:status IS NULL OR h.to_status = :status) AND (:workflow IS NULL OR workflow = :workflow) ORDER BY h.sequence"
)
_TIMELINE: Final = (
    "SELECT sequence, at, at_ms, after_ms, event, status, actor, cause, about, wait_id, detail FROM execution_timeline"
    " WHERE execution_id = :execution_id ORDER BY sequence"
)

_BEGINNING: Final = (
    "SELECT DISTINCT execution_id FROM history WHERE execution_id >= :part AND execution_id < :part || char(1114111)"
    " LIMIT :most"
)
_ENDING: Final = (
    f"SELECT execution_id FROM history WHERE event = '{EventKind.EXECUTION_CREATED}'"  # noqa: S608 - our words
    " AND substr(execution_id, -length(:part)) = :part LIMIT :most"
)
_JSON: Final = frozenset({"detail", "prompt", "response", "assignees", "actor_groups", "actor_roles"})

Answer = dict[str, Any]
"""A row by column; what is JSON in the file is the value that it stands for."""


def question(name: str) -> Question:
    """A question by its name. Raises ``InvalidArgument``."""
    found = QUESTIONS.get(name)
    if found is None:
        raise InvalidArgument(f"{name[:80]!r} is no question; the questions are {', '.join(QUESTIONS)}.")
    return found


def answers(connection: sqlite3.Connection, name: str, filters: Filters) -> Iterator[Answer]:
    """The rows that answer a question, each by column, in the order of the history. Raises ``InvalidArgument``.

    Of the filters, the times and the workflow count; not every question has a workflow.
    """
    view = question(name).view
    if view == "response_times":
        yield from _all(connection, response_times(_IN_TIME + _OF_WORKFLOW), filters)
        return
    of_workflow = "" if filters.workflow is None else _OF_WORKFLOW
    if view == "file_changes":
        of_workflow = "" if filters.workflow is None else " AND 0"
    sql = f"SELECT * FROM {view} WHERE sequence > :after AND sequence <= :upto{_IN_TIME}{of_workflow} ORDER BY sequence"  # noqa: S608 - our words
    yield from _through_windows(connection, sql, filters, 0)


def events(connection: sqlite3.Connection, filters: Filters, after: int = 0) -> Iterator[Answer]:
    """The rows of history after one that the filters want, each by column, in order. Raises ``InvalidArgument``."""
    if filters.status is not None and filters.status not in statuses("execution"):
        raise InvalidArgument(f"{filters.status[:80]!r} is no status; use one of {', '.join(statuses('execution'))}.")
    yield from _through_windows(connection, _QUERY, filters, after)


def timeline(connection: sqlite3.Connection, execution_id: str) -> Iterator[Answer]:
    """Everything that happened to one execution, its sweep included, each row by column, in order."""
    yield from _all(connection, _TIMELINE, Filters(execution_id=execution_id))


def ids(connection: sqlite3.Connection, part: str, most: int) -> list[str]:
    """The executions that the history tells of whose id begins with ``part``; else those whose id ends with it."""
    for sql in (_BEGINNING, _ENDING):
        found = [row[0] for row in connection.execute(sql, {"part": part, "most": most}).fetchall()]
        if found:
            return found
    return []


def _parameters(filters: Filters) -> dict[str, object]:
    return {name: getattr(filters, name) for name in Filters.__slots__}


def _through_windows(connection: sqlite3.Connection, sql: str, filters: Filters, after: int) -> Iterator[Answer]:
    first, last = connection.execute(_SPAN).fetchone()
    after = max(after, first - 1)
    while after < last:
        upto = min(after + WINDOW, last)
        yield from _all(connection, sql, filters, after=after, upto=upto)
        after = upto


def _all(connection: sqlite3.Connection, sql: str, filters: Filters, **more: int) -> Iterator[Answer]:
    cursor = connection.execute(sql, {**_parameters(filters), **more})
    names = [column[0] for column in cursor.description]
    for row in cursor.fetchall():
        yield {name: _parsed(value) if name in _JSON else value for name, value in zip(names, row, strict=True)}


def _parsed(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:  # another program's; as it stands
        return text
