"""What people were shown, said and may do, against the history: prompts, responses, rights, reminders, inputs and results.

``comparison.py`` compares the rest of the tables with the history.
"""

import functools
import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    FromClause,
    ScalarSelect,
    Select,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from restpoint._core.execution_row import LABELS, ExecutionRow
from restpoint._core.reminders import ESCALATE, REMIND, STAY
from restpoint._storage.event_details import differs
from restpoint._storage.hash_chain import Finding
from restpoint._storage.schema import executions, history, interactions, journal, reminders, runs
from restpoint._storage.sqlite.connection import ONE, ZERO, limited, prepare, word, words
from restpoint.events import CLAIMINGS, DECISIONS, ENDINGS, ESCALATIONS, READDRESSINGS, UNDOINGS, EventKind

NAMED: Final = 5
"""Differences between tables and history that are reported, of each kind."""

_e, _i, _h, _j = executions.c, interactions.c, history.c, journal.c


def some(statement: Select[Any] | CompoundSelect[Any]) -> str:
    return prepare(limited(statement, "most"))


def columns(connection: sqlite3.Connection, table: str) -> set[str]:
    """The columns that the file has of a table: one of an older revision lacks those that came later."""
    return {name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")}


def in_detail(name: str) -> ColumnElement[Any]:
    return func.json_extract(_h.detail, word(f"$.{name}"))


def _label_differs(name: str) -> ColumnElement[bool]:
    default = ExecutionRow._field_defaults[name]  # which the detail does not tell
    told = func.coalesce(in_detail(name), literal_column("NULL" if default is None else repr(default)))
    return told.is_distinct_from(_e[name])


def _payload(what: ColumnElement[str], rows: FromClause, *conditions: ColumnElement[bool]) -> Select[Any]:
    return select(what.label("what"), _e.id.label("execution_id"), _h.sequence).select_from(rows).where(*conditions)


_of_waits = interactions.join(executions, _e.key == _i.execution_key)
_of_executions = executions.join(history, _h.execution_id == _e.id)
_end = history.alias("end")
# The last row that ended the execution or undid that: what it tells is what the table must have now.
_is_last_end = _h.event.in_(words((*ENDINGS, *UNDOINGS))) & (
    _h.sequence
    == select(func.max(_end.c.sequence))
    .where(_end.c.execution_id == _e.id, _end.c.event.in_(words((*ENDINGS, *UNDOINGS))))
    .correlate(executions)
    .scalar_subquery()
)
_was_undone = _h.event.in_(words(UNDOINGS))
_answers = _of_waits.join(history, (_h.execution_id == _e.id) & (_h.wait_id == _i.id))
_askings = _of_waits.join(history, _h.sequence == _i.opened)


def _last_told(kinds: tuple[EventKind, ...], what: ColumnElement[Any]) -> ScalarSelect[Any]:
    """What the newest of these events of a prompt tells."""
    last: ScalarSelect[Any] = (
        limited(
            select(what)
            .where(_l.execution_id == _e.id, _l.wait_id == _i.id, _l.event.in_(words(kinds)))
            .order_by(_l.sequence.desc()),
            ONE,
        )
        .correlate(executions, interactions)
        .scalar_subquery()
    )
    return last


_later = history.alias("l")
_l = _later.c
_readdressed = _last_told(READDRESSINGS, func.json_extract(_l.detail, word("$.assignees")))
_claimed = _last_told(CLAIMINGS, case((_l.event.in_(words(kind for kind in CLAIMINGS if kind.claims)), _l.actor)))
_others = func.json_each(in_detail("other_than")).table_valued("value", name="others")
_kept_out = func.json_each(_i.excluded).table_valued("value", name="kept_out")
# Somebody answered one of the prompts that the detail names, and is not kept from answering this one.
_is_let_in = (
    exists(_l.actor)
    .where(
        _l.execution_id == _e.id,
        _l.event.in_(words(DECISIONS)),
        _l.wait_id.in_(select(_others.c.value).correlate(history)),
        _l.actor.is_not(None),
        _l.actor.not_in(select(_kept_out.c.value).correlate(interactions)),
    )
    .correlate(executions, interactions, history)
)
_is_open = _i.status == word("pending")
# What decides who may answer, until when, and what then: by column, its name and how it differs. A detail that
# has timeout_ms tells of the deadline.
_RIGHTS: Final = {
    "assignees": (
        "assignees",
        (_is_open | in_detail("assignees").is_distinct_from(_i.assignees))
        & func.coalesce(_readdressed, in_detail("assignees")).is_distinct_from(_i.assignees),
    ),
    "claimed_by": (
        "claim",
        (_is_open | _i.claimed_by.is_not(None)) & _claimed.is_distinct_from(_i.claimed_by),
    ),
    "excluded": (
        "other than",
        case((in_detail("other_than").is_(None), _i.excluded.is_not(None)), else_=_is_let_in),
    ),
    "priority": ("priority", in_detail("priority").is_distinct_from(_i.priority)),
    "votes": ("number of votes", in_detail("votes").is_distinct_from(_i.votes)),
    "due_at": ("due date", (in_detail("due_ms") + _h.time).is_distinct_from(_i.due_at)),
    "four_eyes": ("four eyes", func.coalesce(in_detail("four_eyes"), ZERO) != func.coalesce(_i.four_eyes, ZERO)),
    "deadline_at": (
        "deadline",
        in_detail("timeout_ms").is_not(None) & (in_detail("timeout_ms") + _h.time).is_distinct_from(_i.deadline_at),
    ),
    "on_deadline": (
        "effect of the deadline",
        in_detail("timeout_ms").is_not(None) & in_detail("on_deadline").is_distinct_from(_i.on_deadline),
    ),
}
_is_answer = _h.event == word(EventKind.INTERACTION_ANSWERED)
_error_differs = case(
    (
        func.json_type(_h.detail, word("$.error")).is_(None),
        in_detail("error_sha256").is_distinct_from(func.sha256_hex(_e.error)),
    ),
    else_=in_detail("error").is_distinct_from(_e.error),
)


_OF_RUNS: Final = (
    *(
        _payload(
            word(f"{kind} at position ").concat(in_detail("position")),
            _of_executions.outerjoin(journal, (_j.execution_key == _e.key) & (_j.position == in_detail("position"))),
            _h.event == word(kind),
            in_detail(f"{kind.journal_field}_sha256") != func.coalesce(func.sha256_hex(_j.result), word("")),
        )
        for kind in EventKind
        if kind.journal_field is not None
    ),
    _payload(
        word("input"),
        _of_executions.outerjoin(runs, runs.c.execution_key == _e.key),
        _h.event == word(EventKind.EXECUTION_CREATED),
        in_detail("input_sha256") != func.coalesce(func.sha256_hex(runs.c.input), word("")),
    ),
)


_r = reminders.c
_planned = func.json_each(in_detail("remind_after_ms")).table_valued("value", name="planned")
_of_prompt = _r.interaction_key == _i.key
_is_reminder = _r.what == word(REMIND)


def _rows(*conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    """How many of the rows of a prompt meet these conditions."""
    counted = select(func.count()).select_from(reminders).where(_of_prompt, *conditions)
    return counted.correlate(interactions, history, _later).scalar_subquery()


_is_told = (
    exists(_l.sequence)
    .where(
        _l.execution_id == _e.id,
        _l.wait_id == _i.id,
        _l.time == _r.done_at,
        case(
            (_r.what == word(ESCALATE), _l.event == word(EventKind.INTERACTION_ESCALATED)),
            (_r.what == word(STAY), _l.event == word(EventKind.INTERACTION_NOT_ESCALATED)),
            # A reminder that is overdue together with the escalation is not given.
            else_=_l.event.in_(words((EventKind.INTERACTION_REMINDED, *ESCALATIONS))),
        ),
    )
    .correlate(executions, interactions, reminders)
)
_is_marked = (
    exists(_l.sequence)
    .where(
        _l.execution_id == _e.id,
        _l.wait_id == _i.id,
        _l.event.in_(words((EventKind.INTERACTION_REMINDED, *ESCALATIONS))),
        _rows(_r.done_at == _l.time) == ZERO,
    )
    .correlate(executions, interactions)
)
_REMINDERS_DIFFER: Final = case(
    (~_is_open, _rows() > ZERO),
    else_=(_rows(_is_reminder) != func.coalesce(func.json_array_length(_h.detail, word("$.remind_after_ms")), ZERO))
    | (_rows(_is_reminder, (_r.at - _h.time).not_in(select(_planned.c.value).correlate(history))) > ZERO)
    | (_rows(~_is_reminder) != in_detail("escalate_after_ms").is_not(None))
    | (
        _rows(
            ~_is_reminder,
            (_r.at != in_detail("escalate_after_ms") + _h.time) | (_r.assignees != in_detail("escalate_to")),
        )
        > ZERO
    )
    | (_rows(_r.done_at.is_not(None), ~_is_told) > ZERO)
    | _is_marked,
)


@functools.cache
def _payloads(labels: tuple[str, ...], rights: tuple[str, ...], *, has_runs: bool, has_reminders: bool) -> str:
    """SQL: the payloads, and of these labels and rights those, that are not what the history tells of them."""
    reminding = _payload(
        word("reminders of prompt ").concat(_i.id), _askings, _h.detail.is_not(None), _REMINDERS_DIFFER
    )
    return some(
        union_all(
            _payload(
                word("response to ").concat(_i.id), _answers, _is_answer, differs("response", _h.detail, _i.response)
            ),
            _payload(
                word("prompt ").concat(_i.id),
                _askings,
                differs("prompt", _h.detail, _i.prompt),
            ),
            *(
                _payload(word(f"{what} of prompt ").concat(_i.id), _askings, _h.detail.is_not(None), condition)
                for what, condition in (_RIGHTS[column] for column in rights)
            ),
            *((reminding,) if has_reminders else ()),
            *(_OF_RUNS if has_runs else ()),
            _payload(
                word(" or ".join((*labels, "created_at"))),
                _of_executions,
                _h.event == word(EventKind.EXECUTION_CREATED),
                or_(_h.time != _e.created_at, *map(_label_differs, labels)),
            ),
            _payload(
                word("completed_at"),
                _of_executions,
                _is_last_end,
                case((~_was_undone, _h.time)).is_distinct_from(_e.completed_at),
            ),
            _payload(
                word("result"),
                _of_executions,
                _h.event == word(EventKind.EXECUTION_COMPLETED),
                _h.detail_sha256.is_not(None),
                func.lower(func.hex(_h.detail_sha256)) != func.sha256_hex(_e.result),
            ),
            _payload(
                word("error"),
                _of_executions,
                _is_last_end,
                ((_h.event == word(EventKind.EXECUTION_FAILED)) & _h.detail.is_not(None))
                & (in_detail("code").is_distinct_from(_e.error_code) | _error_differs)
                | _was_undone & (_e.error.is_not(None) | _e.error_code.is_not(None)),
            ),
        )
    )


_ANSWERED_BY: Final = some(
    select(_e.id, _i.id, _i.answered_by, _h.actor, _h.sequence)
    .select_from(_answers)
    .where(_is_answer, _i.answered_by.is_distinct_from(_h.actor))
)


def _sha256_hex(text: str | None) -> str | None:
    return None if text is None else sha256(text.encode()).hexdigest()


def of_payloads(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Yield where what an execution was given, asked, told or came to is not what the history tells of it."""
    limit = {"most": NAMED}
    for execution_id, wait_id, who, actor, sequence in connection.execute(_ANSWERED_BY, limit).fetchall():
        by = f"by {who or 'nobody'} in its table, and by {actor or 'nobody'} in row {sequence}"
        what = f"The prompt {wait_id} of execution {execution_id} was answered {by}."
        yield Finding("wait_differs", None, what, "The name was changed where it is kept, and not in the history.")
    of_executions, of_interactions = columns(connection, "executions"), columns(connection, "interactions")
    payloads = _payloads(
        tuple(name for name in LABELS if name in of_executions),
        tuple(name for name in _RIGHTS if name in of_interactions),
        has_runs=bool(columns(connection, "runs")),
        has_reminders=bool(columns(connection, "reminders")),
    )
    connection.create_function("sha256_hex", 1, _sha256_hex, deterministic=True)
    for name, execution_id, sequence in connection.execute(payloads, limit).fetchall():
        what = f"The {name} of execution {execution_id} is not the one that row {sequence} tells of."
        yield Finding("payload_differs", None, what, "It was changed where it is kept, and not in the history.")
