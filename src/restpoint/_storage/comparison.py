"""The tables against the history: executions, waits, rights and payloads that are not what the history says of them.

Whoever changes a table with a program of their own, and no row of history, is found here. ``verification.py`` has checked by then
that the history itself is what was written.
"""

import functools
import json
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
    Table,
    bindparam,
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
from restpoint._storage.hash_chain import CHUNK, Finding
from restpoint._storage.schema import consents, executions, history, interactions, journal, reminders, runs, sessions
from restpoint._storage.sqlite.connection import ONE, ZERO, limited, prepare, word, words
from restpoint.events import (
    CLAIMINGS,
    DECISIONS,
    ENDINGS,
    ESCALATIONS,
    READDRESSINGS,
    UNDOINGS,
    EventKind,
    WaitKind,
)
from restpoint.lifecycle import OPEN

_NAMED: Final = 5  # differences between tables and history that are reported, of each kind

_e, _i, _c, _h, _j = executions.c, interactions.c, consents.c, history.c, journal.c


def _count(table: Table, *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).select_from(table).where(*conditions).correlate(executions).scalar_subquery()


def _some(statement: Select[Any] | CompoundSelect[Any]) -> str:
    return prepare(limited(statement, "most"))


_told = (
    limited(
        select(case((_h.event == word(EventKind.EXECUTION_REMOVED), word("removed")), else_=_h.to_status))
        .where(_h.execution_id == _e.id, _h.to_status.is_not(None) | (_h.event == word(EventKind.EXECUTION_REMOVED)))
        .order_by(_h.sequence.desc()),
        ONE,
    )
    .correlate(executions)
    .scalar_subquery()
)
_by_status = select(_e.id, _e.status, _told.label("told")).subquery()
_STATUSES: Final = _some(select(_by_status).where(_by_status.c.status.is_distinct_from(_by_status.c.told)))
_OPEN_COUNTS: Final = _some(
    select(_e.id, _e.open_waits).where(
        _e.open_waits
        != _count(interactions, _i.execution_key == _e.key, _i.status == word("pending"))
        + _count(consents, _c.execution_key == _e.key, _c.status.in_(words(OPEN)))
    )
)
_kept = _count(interactions, _i.execution_key == _e.key) + _count(consents, _c.execution_key == _e.key)
_asked = _count(history, _h.execution_id == _e.id, _h.event.in_(words(kind for kind in EventKind if kind.opens_wait)))
_by_count = select(_e.id, _kept.label("kept"), _asked.label("told")).subquery()
_WAIT_COUNTS: Final = _some(select(_by_count).where(_by_count.c.kept != _by_count.c.told))
_held = (
    limited(
        select(case((_h.event == word(EventKind.EXECUTION_HELD), _h.cause)))
        .where(_h.execution_id == _e.id, _h.event.in_(words((EventKind.EXECUTION_HELD, EventKind.EXECUTION_RELEASED))))
        .order_by(_h.sequence.desc()),
        ONE,
    )
    .correlate(executions)
    .scalar_subquery()
)
_by_hold = select(_e.id, _e.hold, _held.label("told")).subquery()
_HOLDS: Final = _some(select(_by_hold).where(_by_hold.c.hold.is_distinct_from(_by_hold.c.told)))
_value: Final[ColumnElement[str]] = literal_column("value")
_undone = history.alias("u")
# An end that was undone by a retry counts no more.
_last_undoing = (
    select(func.max(_undone.c.sequence))
    .where(_undone.c.execution_id == _value, _undone.c.event.in_(words(UNDOINGS)))
    .scalar_subquery()
)
_GONE: Final = _some(
    select(_value)
    .select_from(func.json_each(bindparam("ids")))
    .where(
        ~exists().where(_e.id == _value),
        ~exists().where(
            _h.execution_id == _value,
            _h.event.in_(words((*ENDINGS, EventKind.EXECUTION_REMOVED))),
            _h.sequence > func.coalesce(_last_undoing, ZERO),
        ),
    )
)


_TABLES: Final[tuple[tuple[WaitKind, Table], ...]] = (("interaction", interactions), ("consent", consents))


def _waits(wait: WaitKind, table: Table) -> str:
    """SQL: the waits whose status is not the one that history gives them by the last event that gives them any."""
    moving = {kind: kind.wait_status for kind in EventKind if kind.wait == wait and kind.wait_status is not None}
    told = case(*((_h.event == word(kind), word(status)) for kind, status in moving.items()))
    later = history.alias("l")
    last = (
        select(func.max(later.c.sequence))
        .where(later.c.execution_id == _e.id, later.c.wait_id == table.c.id, later.c.event.in_(words(moving)))
        .correlate(executions, table)
        .scalar_subquery()
    )
    return _some(
        select(_e.id, table.c.id, table.c.status, told.label("told"))
        .select_from(table.join(executions, _e.key == table.c.execution_key).outerjoin(history, _h.sequence == last))
        .where(table.c.status.is_distinct_from(told))
    )


def _in_detail(name: str) -> ColumnElement[Any]:
    return func.json_extract(_h.detail, word(f"$.{name}"))


def _label_differs(name: str) -> ColumnElement[bool]:
    default = ExecutionRow._field_defaults[name]  # which the detail does not tell
    told = func.coalesce(_in_detail(name), literal_column("NULL" if default is None else repr(default)))
    return told.is_distinct_from(_e[name])


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    """The columns that the file has of a table: one of an older revision lacks those that came later."""
    return {name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")}


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
_others = func.json_each(_in_detail("other_than")).table_valued("value", name="others")
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
        (_is_open | _in_detail("assignees").is_distinct_from(_i.assignees))
        & func.coalesce(_readdressed, _in_detail("assignees")).is_distinct_from(_i.assignees),
    ),
    "claimed_by": (
        "claim",
        (_is_open | _i.claimed_by.is_not(None)) & _claimed.is_distinct_from(_i.claimed_by),
    ),
    "excluded": (
        "other than",
        case((_in_detail("other_than").is_(None), _i.excluded.is_not(None)), else_=_is_let_in),
    ),
    "priority": ("priority", _in_detail("priority").is_distinct_from(_i.priority)),
    "votes": ("number of votes", _in_detail("votes").is_distinct_from(_i.votes)),
    "due_at": ("due date", (_in_detail("due_ms") + _h.time).is_distinct_from(_i.due_at)),
    "four_eyes": ("four eyes", func.coalesce(_in_detail("four_eyes"), ZERO) != func.coalesce(_i.four_eyes, ZERO)),
    "deadline_at": (
        "deadline",
        _in_detail("timeout_ms").is_not(None) & (_in_detail("timeout_ms") + _h.time).is_distinct_from(_i.deadline_at),
    ),
    "on_deadline": (
        "effect of the deadline",
        _in_detail("timeout_ms").is_not(None) & _in_detail("on_deadline").is_distinct_from(_i.on_deadline),
    ),
}
_is_answer = _h.event == word(EventKind.INTERACTION_ANSWERED)
_error_differs = case(
    (
        func.json_type(_h.detail, word("$.error")).is_(None),
        _in_detail("error_sha256").is_distinct_from(func.sha256_hex(_e.error)),
    ),
    else_=_in_detail("error").is_distinct_from(_e.error),
)


_OF_RUNS: Final = (
    *(
        _payload(
            word(f"{kind} at position ").concat(_in_detail("position")),
            _of_executions.outerjoin(journal, (_j.execution_key == _e.key) & (_j.position == _in_detail("position"))),
            _h.event == word(kind),
            _in_detail(f"{kind.journal_field}_sha256") != func.coalesce(func.sha256_hex(_j.result), word("")),
        )
        for kind in EventKind
        if kind.journal_field is not None
    ),
    _payload(
        word("input"),
        _of_executions.outerjoin(runs, runs.c.execution_key == _e.key),
        _h.event == word(EventKind.EXECUTION_CREATED),
        _in_detail("input_sha256") != func.coalesce(func.sha256_hex(runs.c.input), word("")),
    ),
)


_r = reminders.c
_planned = func.json_each(_in_detail("remind_after_ms")).table_valued("value", name="planned")
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
    | (_rows(~_is_reminder) != _in_detail("escalate_after_ms").is_not(None))
    | (
        _rows(
            ~_is_reminder,
            (_r.at != _in_detail("escalate_after_ms") + _h.time) | (_r.assignees != _in_detail("escalate_to")),
        )
        > ZERO
    )
    | (_rows(_r.done_at.is_not(None), ~_is_told) > ZERO)
    | _is_marked,
)

_s = sessions.c
_of_session = _in_detail("session") == _s.id
_SESSIONS: Final = _some(
    select(_s.id, _s.actor).where(
        # Retention may have taken the events of those that are older than what is left.
        _s.created_at >= select(func.min(_h.time)).scalar_subquery(),
        exists().where(_h.execution_id.is_(None), _h.event == word(EventKind.SIGNED_OUT), _of_session)
        | ~exists().where(
            _h.execution_id.is_(None),
            _h.event == word(EventKind.SIGNED_IN),
            _of_session,
            _h.actor == _s.actor,
            _in_detail("groups") == _s.groups,
            _in_detail("roles") == _s.roles,
        ),
    )
)


@functools.cache
def _payloads(labels: tuple[str, ...], rights: tuple[str, ...], *, has_runs: bool, has_reminders: bool) -> str:
    """SQL: the payloads, and of these labels and rights those, that are not what the history tells of them."""
    reminding = _payload(
        word("reminders of prompt ").concat(_i.id), _askings, _h.detail.is_not(None), _REMINDERS_DIFFER
    )
    return _some(
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
                & (_in_detail("code").is_distinct_from(_e.error_code) | _error_differs)
                | _was_undone & (_e.error.is_not(None) | _e.error_code.is_not(None)),
            ),
        )
    )


_ANSWERED_BY: Final = _some(
    select(_e.id, _i.id, _i.answered_by, _h.actor, _h.sequence)
    .select_from(_answers)
    .where(_is_answer, _i.answered_by.is_distinct_from(_h.actor))
)


def _sha256_hex(text: str | None) -> str | None:
    return None if text is None else sha256(text.encode()).hexdigest()


def _of_sessions(connection: sqlite3.Connection) -> Iterator[Finding]:
    if not _columns(connection, sessions.name):
        return
    for session_id, person in connection.execute(_SESSIONS, {"most": _NAMED}).fetchall():
        what = (
            f"The session {session_id} of {person} is not one that the history tells of, with these groups and roles."
        )
        yield Finding(
            "session_differs", None, what, "Another program put it there: end it (restpoint sessions revoke)."
        )


def _of_holds(connection: sqlite3.Connection) -> Iterator[Finding]:
    for execution_id, hold, told in connection.execute(_HOLDS, {"most": _NAMED}).fetchall():
        kept = [f"held ({reason})" if reason is not None else "not held" for reason in (hold, told)]
        what = f"Execution {execution_id} is {kept[0]} in its table, and {kept[1]} by its history."
        yield Finding("hold_differs", None, what, "The hold was changed where it is kept, and not in the history.")


def of_tables(connection: sqlite3.Connection, live: set[str]) -> Iterator[Finding]:
    """Yield where the tables differ from the history. ``live`` are the executions that have not ended by the history."""
    limit = {"most": _NAMED}
    changed = "A row of the table was changed by another program, or rows were cut from the end of the history."
    for execution_id, status, told in connection.execute(_STATUSES, limit).fetchall():
        what = f"Execution {execution_id} is {status} in its table, and {told or 'nothing'} by its history."
        yield Finding("status_differs", None, what, changed)
    for kind, table in _TABLES:
        for execution_id, wait_id, status, told in connection.execute(_waits(kind, table), limit).fetchall():
            what = (
                f"The {kind} {wait_id} of execution {execution_id} is {status}, and {told or 'nothing'} by the history."
            )
            yield Finding("wait_differs", None, what, changed)
    for execution_id, wait_id, who, actor, sequence in connection.execute(_ANSWERED_BY, limit).fetchall():
        by = f"by {who or 'nobody'} in its table, and by {actor or 'nobody'} in row {sequence}"
        what = f"The prompt {wait_id} of execution {execution_id} was answered {by}."
        yield Finding("wait_differs", None, what, "The name was changed where it is kept, and not in the history.")
    yield from _of_holds(connection)
    of_executions, of_interactions = _columns(connection, "executions"), _columns(connection, "interactions")
    payloads = _payloads(
        tuple(name for name in LABELS if name in of_executions),
        tuple(name for name in _RIGHTS if name in of_interactions),
        has_runs=bool(_columns(connection, "runs")),
        has_reminders=bool(_columns(connection, "reminders")),
    )
    connection.create_function("sha256_hex", 1, _sha256_hex, deterministic=True)
    for name, execution_id, sequence in connection.execute(payloads, limit).fetchall():
        what = f"The {name} of execution {execution_id} is not the one that row {sequence} tells of."
        yield Finding("payload_differs", None, what, "It was changed where it is kept, and not in the history.")
    for execution_id, waits in connection.execute(_OPEN_COUNTS, limit).fetchall():
        what = f"Execution {execution_id} says that {waits} of its waits are open, and its waits say otherwise."
        yield Finding("wait_differs", None, what, changed)
    for execution_id, kept, told in connection.execute(_WAIT_COUNTS, limit).fetchall():
        what = f"Execution {execution_id} has {kept} prompts and consents in the tables, and {told} in the history."
        yield Finding("wait_differs", None, what, "They were deleted, or put there, by another program.")
    yield from _of_sessions(connection)
    ids = sorted(live)
    for at in range(0, len(ids), CHUNK):
        for (execution_id,) in connection.execute(_GONE, {"ids": json.dumps(ids[at : at + CHUNK]), **limit}).fetchall():
            what = f"Execution {execution_id} has not ended by its history, and is not in the file."
            yield Finding("execution_missing", None, what, "It was deleted by another program.")
