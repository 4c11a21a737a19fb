"""Verification: whether the history is what was written, and whether the tables say the same as the history.

It checks five things. Each row follows from the one before it (``hash_chain.py``). Each detail that is missing is named by an
event that says that it was erased. The anchor is where an event says that retention moved it. The heads that were kept elsewhere
are in the history. The tables say of executions, waits and payloads what the history says of them. Without a head that was kept,
nothing can tell that rows were cut from the end, or that a history was written anew from some row to the last.
"""

import functools
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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
from restpoint._storage.event_details import differs
from restpoint._storage.hash_chain import CHUNK, LAST_SEQUENCE, Broken, Finding, Head, Row, read_anchor, walk
from restpoint._storage.history import GENESIS
from restpoint._storage.schema import consents, executions, history, interactions
from restpoint._storage.sqlite.connection import ONE, ZERO, limited, prepare, word, words
from restpoint.events import ENDINGS, UNDOINGS, EventKind, WaitKind
from restpoint.lifecycle import OPEN, TERMINAL

_NAMED: Final = 5  # differences between tables and history that are reported, of each kind


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found: the findings, in the order of their rows, and what it read."""

    findings: tuple[Finding, ...]
    anchor: int
    """The last row that retention removed; 0 where it removed none."""
    head: Head | None
    """The newest row, if every row up to it follows from the one before it; else None."""
    rows: int
    erased: int
    """The number of rows whose detail was erased."""

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


# --- Verifying -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tally:
    """What is collected from the rows, because it can only be judged when all of them have been read."""

    heads: dict[int, bytes | None]
    without_detail: list[int] = field(default_factory=list)
    unknown: dict[str, int] = field(default_factory=dict)
    """The events that are not in the list, each with its first row."""
    erased: set[int] = field(default_factory=set)
    pruned_to: set[int] = field(default_factory=set)
    live: set[str] = field(default_factory=set)
    rows: int = 0

    def add(self, rows: Sequence[Row]) -> None:
        self.rows += len(rows)
        first, last = Head.of(rows[0]).sequence, Head.of(rows[-1]).sequence
        for sequence in self.heads:
            if first <= sequence <= last:
                self.heads[sequence] = Head.of(rows[sequence - first]).digest
        live, ended = self.live, TERMINAL
        for sequence, execution_id, event, _, before, after, _, _, _, detail, detail_sha256, _ in rows:
            kind = EventKind.named(event)
            if kind is None:
                self.unknown.setdefault(event, sequence)
            if detail is None and detail_sha256 is not None and (kind is None or not kind.keeps_digest_only):
                self.without_detail.append(sequence)
            if after != before:
                if after is None or after in ended:
                    live.discard(execution_id)
                else:
                    live.add(execution_id)
            elif kind is EventKind.PAYLOADS_ERASED:
                self.erased.update(_numbers(detail, "sequences"))
            elif kind is EventKind.HISTORY_PRUNED:
                self.pruned_to.update(_numbers(detail, "last"))


def _numbers(detail: str | None, name: str) -> list[int]:
    """Return the numbers that a field of a detail has: one, or a list."""
    try:
        told = json.loads(detail or "{}").get(name, [])
    except (ValueError, AttributeError):
        return []
    return [number for number in (told if isinstance(told, list) else [told]) if type(number) is int]


def verify(connection: sqlite3.Connection, heads: Sequence[Head] = ()) -> Verdict:
    """Verify the whole history, and the tables against it. ``heads`` are those that were kept elsewhere.

    Where a row does not follow from the one before it, nothing can be said of the rows after it, nor of the tables: only heads
    are reported beyond it. Raises ``sqlite3.Error`` for a file that cannot be read.
    """
    while True:
        try:
            anchor = read_anchor(connection)
        except Broken as broken:
            return Verdict((broken.finding,), 0, None, 0, 0)
        verdict = _verify_from(connection, anchor, heads)
        # Retention may have moved the anchor while the rows were read. The rows that it removed are not missing.
        if verdict.holds or read_anchor(connection) == anchor:
            return verdict


def _verify_from(connection: sqlite3.Connection, anchor: Head, heads: Sequence[Head]) -> Verdict:
    tally = _Tally({head.sequence: None for head in heads})
    if anchor.sequence in tally.heads:
        tally.heads[anchor.sequence] = anchor.digest
    last, findings = anchor, []
    if not anchor.sequence and anchor.digest != GENESIS:
        what = "The anchor stands before the first row, and has another digest than the one that histories begin with."
        findings.append(Finding("anchor_moved", 0, what, "The anchor was changed."))
    early = connection.execute(_FIRST).fetchone()[0]
    if early is not None and early <= anchor.sequence:
        what = (
            f"Row {early} is still there, and the anchor says that retention removed all up to row {anchor.sequence}."
        )
        findings.append(Finding("row_before_anchor", early, what, "The anchor was moved, or rows were put before it."))
    try:
        for rows in walk(connection, anchor):
            tally.add(rows)
            last = Head.of(rows[-1])
    except Broken as broken:
        findings.append(broken.finding)
        whole = False
    else:
        whole = True
        findings += _of_all(anchor, tally)
    findings += _of_heads(anchor, last, tally.heads, heads, whole=whole)
    if not findings:
        findings += of_tables(connection, tally.live)
    findings += _of_unknown(tally)
    findings.sort(key=lambda finding: LAST_SEQUENCE if finding.sequence is None else finding.sequence)
    erased = len(tally.without_detail)
    return Verdict(tuple(findings), anchor.sequence, last if whole else None, tally.rows, erased)


def _of_all(anchor: Head, tally: _Tally) -> Iterator[Finding]:
    if anchor.sequence and anchor.sequence not in tally.pruned_to:
        what = f"The anchor stands at row {anchor.sequence}, and no event says that retention moved it there."
        yield Finding(
            "anchor_moved", anchor.sequence, what, "The history up to that row was removed, and the anchor moved."
        )
    for sequence in tally.without_detail:
        if sequence not in tally.erased:
            what = f"The detail of row {sequence} is gone, and no event says that it was erased."
            yield Finding(
                "detail_missing", sequence, what, "A prompt, a response or an error was removed from the history."
            )
            return


def _of_unknown(tally: _Tally) -> Iterator[Finding]:
    for event, sequence in tally.unknown.items():
        what = f"Row {sequence} tells of the event {event}, which this version does not know."
        meaning = "A newer version wrote it, or another program; verify the file with the newest version."
        yield Finding("event_unknown", sequence, what, meaning)


def _of_heads(
    anchor: Head, last: Head, found: dict[int, bytes | None], heads: Sequence[Head], *, whole: bool
) -> Iterator[Finding]:
    proven = 0
    for head in sorted(heads, key=lambda head: head.sequence):
        sequence, digest = head.sequence, found[head.sequence]
        if digest == head.digest:
            proven = sequence
        elif digest is not None:
            what = f"Row {sequence} is not the one that was kept: its digest is {digest.hex()}."
            since = f"after row {proven}, which is the one that was kept, and " if proven else ""
            yield Finding("head_differs", sequence, what, f"The history was written anew {since}up to row {sequence}.")
        elif sequence < anchor.sequence:
            what = f"Row {sequence} has left the file by retention, which removed all up to row {anchor.sequence}."
            yield Finding(
                "head_pruned", sequence, what, "That head proves nothing any more; use one that was kept later."
            )
        elif whole:
            what = f"The history ends at row {last.sequence}, and row {sequence} was kept."
            yield Finding(
                "tail_missing",
                last.sequence + 1,
                what,
                "Rows were cut from the end, or an older copy of the file was put back.",
            )


# --- Tables and history ----------------------------------------------------------------------------------------------


_e, _i, _c, _h = executions.c, interactions.c, consents.c, history.c


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


def _labels_in(connection: sqlite3.Connection) -> tuple[str, ...]:
    """The labels that the file has a column for: one of an older revision lacks those that came later."""
    columns = {name for _, name, *_ in connection.execute("PRAGMA table_info(executions)")}
    return tuple(name for name in LABELS if name in columns)


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
_is_answer = _h.event == word(EventKind.INTERACTION_ANSWERED)
_error_differs = case(
    (
        func.json_type(_h.detail, word("$.error")).is_(None),
        _in_detail("error_sha256").is_distinct_from(func.sha256_hex(_e.error)),
    ),
    else_=_in_detail("error").is_distinct_from(_e.error),
)


@functools.cache
def _payloads(labels: tuple[str, ...]) -> str:
    """SQL: the payloads, and those of these labels, that are not what the history tells of them."""
    return _some(
        union_all(
            _payload(
                word("response to ").concat(_i.id), _answers, _is_answer, differs("response", _h.detail, _i.response)
            ),
            _payload(
                word("prompt ").concat(_i.id),
                _of_waits.join(history, _h.sequence == _i.opened),
                differs("prompt", _h.detail, _i.prompt),
            ),
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
_FIRST: Final = prepare(select(func.min(_h.sequence)))


def _sha256_hex(text: str | None) -> str | None:
    return None if text is None else sha256(text.encode()).hexdigest()


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
    connection.create_function("sha256_hex", 1, _sha256_hex, deterministic=True)
    for name, execution_id, sequence in connection.execute(_payloads(_labels_in(connection)), limit).fetchall():
        what = f"The {name} of execution {execution_id} is not the one that row {sequence} tells of."
        yield Finding("payload_differs", None, what, "It was changed where it is kept, and not in the history.")
    for execution_id, waits in connection.execute(_OPEN_COUNTS, limit).fetchall():
        what = f"Execution {execution_id} says that {waits} of its waits are open, and its waits say otherwise."
        yield Finding("wait_differs", None, what, changed)
    for execution_id, kept, told in connection.execute(_WAIT_COUNTS, limit).fetchall():
        what = f"Execution {execution_id} has {kept} prompts and consents in the tables, and {told} in the history."
        yield Finding("wait_differs", None, what, "They were deleted, or put there, by another program.")
    ids = sorted(live)
    for at in range(0, len(ids), CHUNK):
        for (execution_id,) in connection.execute(_GONE, {"ids": json.dumps(ids[at : at + CHUNK]), **limit}).fetchall():
            what = f"Execution {execution_id} has not ended by its history, and is not in the file."
            yield Finding("execution_missing", None, what, "It was deleted by another program.")
