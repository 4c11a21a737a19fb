"""The tables against the history: executions, waits, rights and payloads that are not what the history says of them.

Whoever changes a table with a program of their own, and no row of history, is found here. ``verification.py`` has checked by then
that the history itself is what was written.
"""

import json
import sqlite3
from collections.abc import Iterator
from typing import Final

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Table,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    select,
)

from restpoint._storage.hash_chain import CHUNK, Finding
from restpoint._storage.payload_comparison import NAMED, columns, in_detail, of_payloads, some
from restpoint._storage.schema import consents, executions, history, interactions, journal, sessions
from restpoint._storage.sqlite.connection import ONE, ZERO, limited, word, words
from restpoint.events import (
    ENDINGS,
    UNDOINGS,
    EventKind,
    WaitKind,
)
from restpoint.lifecycle import OPEN

_e, _i, _c, _h, _j = executions.c, interactions.c, consents.c, history.c, journal.c


def _count(table: Table, *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.count()).select_from(table).where(*conditions).correlate(executions).scalar_subquery()


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
_STATUSES: Final = some(select(_by_status).where(_by_status.c.status.is_distinct_from(_by_status.c.told)))
_OPEN_COUNTS: Final = some(
    select(_e.id, _e.open_waits).where(
        _e.open_waits
        != _count(interactions, _i.execution_key == _e.key, _i.status == word("pending"))
        + _count(consents, _c.execution_key == _e.key, _c.status.in_(words(OPEN)))
    )
)
_kept = _count(interactions, _i.execution_key == _e.key) + _count(consents, _c.execution_key == _e.key)
_asked = _count(history, _h.execution_id == _e.id, _h.event.in_(words(kind for kind in EventKind if kind.opens_wait)))
_by_count = select(_e.id, _kept.label("kept"), _asked.label("told")).subquery()
_WAIT_COUNTS: Final = some(select(_by_count).where(_by_count.c.kept != _by_count.c.told))
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
_HOLDS: Final = some(select(_by_hold).where(_by_hold.c.hold.is_distinct_from(_by_hold.c.told)))
_value: Final[ColumnElement[str]] = literal_column("value")
_undone = history.alias("u")
# An end that was undone by a retry counts no more.
_last_undoing = (
    select(func.max(_undone.c.sequence))
    .where(_undone.c.execution_id == _value, _undone.c.event.in_(words(UNDOINGS)))
    .scalar_subquery()
)
_GONE: Final = some(
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
    return some(
        select(_e.id, table.c.id, table.c.status, told.label("told"))
        .select_from(table.join(executions, _e.key == table.c.execution_key).outerjoin(history, _h.sequence == last))
        .where(table.c.status.is_distinct_from(told))
    )


_s = sessions.c
_of_session = in_detail("session") == _s.id
_SESSIONS: Final = some(
    select(_s.id, _s.actor).where(
        # Retention may have taken the events of those that are older than what is left.
        _s.created_at >= select(func.min(_h.time)).scalar_subquery(),
        exists().where(_h.execution_id.is_(None), _h.event == word(EventKind.SIGNED_OUT), _of_session)
        | ~exists().where(
            _h.execution_id.is_(None),
            _h.event == word(EventKind.SIGNED_IN),
            _of_session,
            _h.actor == _s.actor,
            in_detail("groups") == _s.groups,
            in_detail("roles") == _s.roles,
        ),
    )
)


def _of_sessions(connection: sqlite3.Connection) -> Iterator[Finding]:
    if not columns(connection, sessions.name):
        return
    for session_id, person in connection.execute(_SESSIONS, {"most": NAMED}).fetchall():
        what = (
            f"The session {session_id} of {person} is not one that the history tells of, with these groups and roles."
        )
        yield Finding(
            "session_differs", None, what, "Another program put it there: end it (restpoint sessions revoke)."
        )


def _of_holds(connection: sqlite3.Connection) -> Iterator[Finding]:
    for execution_id, hold, told in connection.execute(_HOLDS, {"most": NAMED}).fetchall():
        kept = [f"held ({reason})" if reason is not None else "not held" for reason in (hold, told)]
        what = f"Execution {execution_id} is {kept[0]} in its table, and {kept[1]} by its history."
        yield Finding("hold_differs", None, what, "The hold was changed where it is kept, and not in the history.")


def of_tables(connection: sqlite3.Connection, live: set[str]) -> Iterator[Finding]:
    """Yield where the tables differ from the history. ``live`` are the executions that have not ended by the history."""
    limit = {"most": NAMED}
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
    yield from _of_holds(connection)
    yield from of_payloads(connection)
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
