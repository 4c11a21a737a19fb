"""The questions that auditors ask, each with the view that answers it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from restpoint._storage import Answer, Connection, Filters, audit_queries
from restpoint.errors import InvalidArgument
from restpoint.events import EventKind
from restpoint.lifecycle import statuses

__all__ = ["QUESTIONS", "Answer", "Filters", "Question", "answers", "events", "question", "timeline"]


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
            ("at", "approved_by", "decision", "comment", "question", "workflow", "execution_id", "authority"),
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
            "told",
            "Who was told what, when, and how long until they answered",
            "told",
            (
                "at",
                "outcome",
                "recipient",
                "channel",
                "told",
                "question",
                "opened_at",
                "answered_by",
                "answered_after_ms",
            ),
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


def question(name: str) -> Question:
    """A question by its name. Raises ``InvalidArgument``."""
    found = QUESTIONS.get(name)
    if found is None:
        raise InvalidArgument(f"{name[:80]!r} is no question; the questions are {', '.join(QUESTIONS)}.")
    return found


def answers(connection: Connection, name: str, filters: Filters) -> Iterator[Answer]:
    """The rows that answer a question, each by column, in the order of the history. Raises ``InvalidArgument``.

    Of the filters, the times, the workflow and the execution count; the rows of ``file`` have no workflow.
    """
    yield from audit_queries.rows_of(connection, question(name).view, filters)


def events(connection: Connection, filters: Filters, after: int = 0) -> Iterator[Answer]:
    """The rows of history after row ``after`` that the filters want, each by column, in order. Raises ``InvalidArgument``."""
    if filters.status is not None and filters.status not in statuses("execution"):
        raise InvalidArgument(f"{filters.status[:80]!r} is no status; use one of {', '.join(statuses('execution'))}.")
    if filters.event is not None:
        EventKind.read([filters.event])
    yield from audit_queries.events(connection, filters, after)


def timeline(connection: Connection, execution_id: str) -> Iterator[Answer]:
    """Everything that happened to one execution, its sweep included, each row by column, in order."""
    yield from audit_queries.timeline(connection, execution_id)
