"""The history: rows are appended in the transaction of what they tell of, each chained to the one before it, and read back.

The digest of a row is SHA-256 over the previous row's digest (32 bytes), the SHA-256 of its detail (32 bytes; zeros where it has
no detail) and its other columns in order, each as ``=`` and its text, NULL as nothing, with NUL bytes between them, in UTF-8.
The digest does not cover the detail itself, so a detail can be erased later and the chain still verifies. A row that was changed,
removed, inserted or moved breaks the chain at that place. Only a later digest that was kept elsewhere shows that rows were cut
from the end.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, case, func, insert, literal_column, select

from restpoint._core.serialization import READ_ERRORS, decode, encode, unreadable
from restpoint._storage.schema import executions, history, history_anchor, interactions, journal
from restpoint._storage.sqlite.connection import ONE, ZERO, limited, listed, prepare, word, words
from restpoint._storage.sqlite.database import Database, Row, Transaction
from restpoint._storage.sqlite.triggers import RETIRED
from restpoint.errors import DamagedFile
from restpoint.events import READDRESSINGS, EventKind, WaitKind

_h, _e, _i, _j = history.c, executions.c, interactions.c, journal.c

GENESIS: Final = bytes(32)
"""The digest that the first row is chained to."""

HEAD: Final = prepare(limited(select(_h.sequence, _h.digest).order_by(_h.sequence.desc()), ONE))
ANCHOR: Final = prepare(select(history_anchor.c.sequence, history_anchor.c.digest))
_APPEND: Final = prepare(insert(history), order=tuple(history.c.keys()))


def detail_digest(detail: str | None) -> bytes | None:
    """Return the SHA-256 of a detail in UTF-8; None where there is no detail."""
    return None if detail is None else sha256(detail.encode()).digest()


def row_digest(previous: bytes, columns: tuple[Any, ...], detail_sha256: bytes | None) -> bytes:
    """Return the digest of a row.

    ``columns`` begin with sequence, execution_id, event, wait_id, from_status, to_status, actor, cause and time. A whole row may
    be given, because what follows is ignored. Raises ``TypeError`` where a text column holds something else: the digest of a
    BLOB must not equal that of the text which Python shows for it.
    """
    texts = "\0".join(["" if text is None else "=" + text for text in columns[1:8]])
    return sha256(previous + (detail_sha256 or GENESIS) + f"={columns[0]}\0{texts}\0={columns[8]}".encode()).digest()


def head(tx: Transaction) -> tuple[int, bytes]:
    """Return the sequence and digest of the last row, or those of the anchor where retention left no row."""
    if tx.head is None:
        row = tx.one(HEAD, ()) or tx.one(ANCHOR, ())
        if row is None:
            raise DamagedFile("The history has lost its anchor; restore a backup.")
        tx.head = row[0], row[1]
    return tx.head


def keys_rotated(
    tx: Transaction, *, current: str, retired: Sequence[str], resealed: int, actor: str | None = None
) -> int:
    """Append that secrets are sealed with another key now. The detail has the ids of the keys and the number of secrets."""
    detail = encode({"current": current, "retired": list(retired), "resealed": resealed})
    return append(tx, EventKind.KEYS_ROTATED, actor=actor, cause="rotation", detail=detail)


def migrated(tx: Transaction, before: str, after: str, actor: str | None = None) -> int:
    """Append that the file was brought from the revision ``before`` to ``after``."""
    detail = encode({"from": before, "to": after})
    cause = "upgrade" if before < after else "downgrade"
    return append(tx, EventKind.MIGRATED, actor=actor, cause=cause, detail=detail)


def append(
    tx: Transaction,
    event: EventKind,
    execution_id: str | None = None,
    *,
    wait_id: str | None = None,
    moved: tuple[str | None, str | None] = (None, None),
    actor: str | None = None,
    cause: str | None = None,
    detail: str | None = None,
    hashed: str | None = None,
) -> int:
    """Append one row to the history and return its sequence.

    ``moved`` is the status of the execution before and after. ``hashed`` is a detail of which only the SHA-256 is kept.
    """
    sequence, previous = head(tx)
    sequence += 1
    from_status, to_status = moved
    # As a plain text: sqlite3 looks for an adapter of every other type at each row, which costs 2 us.
    columns = (sequence, execution_id, str(event), wait_id, from_status, to_status, actor, cause, tx.now)
    detail_sha256 = detail_digest(hashed or detail)
    digest = row_digest(previous, columns, detail_sha256)
    tx.deferred.append((_APPEND, (*columns, detail, detail_sha256, digest)))
    tx.head = sequence, digest
    tx.first_sequence = tx.first_sequence or sequence
    return sequence


# --- Read back --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One row of history. ``time`` is seconds since the epoch; ``digest`` is hexadecimal.

    The detail of an ``execution_completed`` is the result, of which the history keeps the SHA-256 only: ``result_sha256``.
    """

    sequence: int
    execution_id: str | None
    event: str
    wait_id: str | None
    from_status: str | None
    to_status: str | None
    actor: str | None
    cause: str | None
    time: float
    detail: Any
    digest: str

    @property
    def kind(self) -> EventKind | None:
        """What kind of event it is; None for one that this version does not know."""
        return EventKind.named(self.event)


_ENTRY: Final = select(history).order_by(_h.sequence)
_HISTORY_OF: Final = prepare(_ENTRY.where(_h.execution_id == bindparam("id")))
_SINCE: Final = prepare(
    limited(select(_h.sequence, _h.execution_id).where(_h.sequence > bindparam("after")).order_by(_h.sequence))
)
_CONCERNED_SINCE: Final = prepare(
    limited(
        select(_h.sequence, _h.execution_id, _h.event, _h.wait_id, _e.owner, _i.assignees)
        .select_from(
            history.outerjoin(executions, _e.id == _h.execution_id).outerjoin(
                interactions, (_i.execution_key == _e.key) & (_i.id == _h.wait_id)
            )
        )
        .where(_h.sequence > bindparam("after"))
        .order_by(_h.sequence)
    )
)
_EVER_ADDRESSED: Final = prepare(
    select(func.json_extract(_h.detail, word("$.assignees"))).where(
        _h.execution_id == bindparam("id"),
        _h.wait_id == bindparam("wait"),
        _h.event.in_(words([EventKind.INTERACTION_ASKED, *READDRESSINGS])),
    )
)
_LAST: Final = prepare(select(func.coalesce(func.max(_h.sequence), ZERO)))


async def history_of(database: Database, execution_id: str) -> list[HistoryEntry]:
    """Return the history of an execution, in order, also after it was removed or swept."""
    return [_entry(row) for row in await database.read(_HISTORY_OF, {"id": execution_id}, lane="long")]


def _entry(row: Row) -> HistoryEntry:
    sequence, execution_id, event, wait_id, before, after, actor, cause, time, detail, hashed, digest = row
    try:
        told, at = decode(detail), time / 1000
        kind = EventKind.named(event)
        if detail is None and hashed is not None and kind is not None and kind.keeps_digest_only:
            told = {"result_sha256": hashed.hex()}
        return HistoryEntry(sequence, execution_id, event, wait_id, before, after, actor, cause, at, told, digest.hex())
    except READ_ERRORS as error:
        raise unreadable(f"row {sequence} of the history", error) from error


_EVENT_BYTES: Final = 1024 * 1024
"""The bytes of details and payloads after which a batch of events ends; it has one event at least, whatever that one's size."""

_PAYLOAD: Final = (
    select(_j.result)
    .select_from(journal.join(executions, _j.execution_key == _e.key))
    .where(_e.id == _h.execution_id, _j.position == func.json_extract(_h.detail, literal_column("'$.position'")))
    .correlate(history)
    .scalar_subquery()
)
_HAS_PAYLOAD: Final = _h.event.in_([literal_column(f"'{kind}'") for kind in EventKind if kind.journal_field])
_BYTES: Final = func.coalesce(func.length(_h.detail), ZERO) + case(
    (_HAS_PAYLOAD, func.coalesce(func.length(_PAYLOAD), ZERO)), else_=ZERO
)


def _batch(*which: ColumnElement[bool]) -> str:
    """SQL: the first of these rows, at most so many, and no more after the one that brings them to so many bytes."""
    first = limited(select(_h.sequence, _BYTES.label("bytes")).where(*which).order_by(_h.sequence)).subquery()
    before = func.sum(first.c.bytes).over(order_by=first.c.sequence) - first.c.bytes
    sums = select(first.c.sequence, before.label("before")).subquery()
    end = select(func.max(sums.c.sequence)).where(sums.c.before < bindparam("bytes")).scalar_subquery()
    return prepare(_ENTRY.where(*which, _h.sequence <= end))


_EVENTS_OF: Final = _batch(_h.execution_id == bindparam("id"), _h.sequence > bindparam("after"))
_EVENTS_AT: Final = _batch(_h.sequence.in_(listed("sequences")))
_retired = func.instr(_j.position, word(RETIRED))
_JOURNALED: Final = prepare(
    select(_j.position, _j.result)
    .select_from(journal.join(executions, _j.execution_key == _e.key))
    .where(
        _e.id == bindparam("id"),
        _j.position.in_(listed("positions"))
        | ((_retired > ZERO) & func.substr(_j.position, ONE, _retired - ONE).in_(listed("positions"))),
    )
)


async def events_of(database: Database, execution_id: str, after: int, most: int) -> list[HistoryEntry]:
    """Return the events of an execution after a row of history, in order, at most ``most`` of them.

    Fewer where they are large: a batch ends with the event that brings it to a mebibyte. It is empty only at the end.
    They have what the workflow emitted and notified. The journal keeps that for as long as the execution is in the file; the
    history only says where in the journal it stands.
    """
    rows = await database.read(_EVENTS_OF, {"id": execution_id, "after": after, "max": most, "bytes": _EVENT_BYTES})
    return await _with_payloads(database, execution_id, [_entry(row) for row in rows])


async def events_at(database: Database, sequences: Sequence[int]) -> list[HistoryEntry]:
    """Return the events at these rows, in order; as of ``events_of``, there are fewer where they are large."""
    given = {"sequences": json.dumps(list(sequences)), "max": len(sequences), "bytes": _EVENT_BYTES}
    entries = [_entry(row) for row in await database.read(_EVENTS_AT, given)]
    of_journal = {each.execution_id for each in entries if _journaled(each) is not None}
    for execution_id in of_journal - {None}:
        its = [each for each in entries if each.execution_id == execution_id]
        told = {each.sequence: each for each in await _with_payloads(database, str(execution_id), its)}
        entries = [told.get(each.sequence, each) for each in entries]
    return entries


async def _with_payloads(database: Database, execution_id: str, entries: list[HistoryEntry]) -> list[HistoryEntry]:
    positions = [shown[0] for entry in entries if (shown := _journaled(entry)) is not None]
    if not positions:
        return entries
    journaled = await database.read(_JOURNALED, {"id": execution_id, "positions": json.dumps(positions)})
    values: dict[str, dict[float, Any]] = {}
    for where, result in journaled:
        position, _, retired_at = where.partition(RETIRED)
        values.setdefault(position, {})[int(retired_at) if retired_at else math.inf] = result
    return [_with_payload(entry, values) for entry in entries]


def _with_payload(entry: HistoryEntry, values: Mapping[str, Mapping[float, Any]]) -> HistoryEntry:
    """The entry with its payload of the journal; as it is where it has none.

    ``values`` has the results by position, and by the row of history with which they were retired, infinity if they were not.
    """
    match _journaled(entry):
        case (position, name) if position in values:
            at_that_time = min((until for until in values[position] if until > entry.sequence), default=math.inf)
            result = values[position].get(at_that_time)
            return entry if result is None else replace(entry, detail={**entry.detail, name: decode(result)})
        case _:
            return entry


def _journaled(entry: HistoryEntry) -> tuple[str, str] | None:
    """Where the journal has the payload of an event, and the name that the detail shows it under; None for no payload."""
    if entry.kind is None or entry.kind.journal_field is None or not isinstance(entry.detail, dict):
        return None
    position = entry.detail.get("position")
    return None if position is None else (position, entry.kind.journal_field)


async def last_sequence(database: Database) -> int:
    """Return the sequence of the newest row of history; 0 where there is none."""
    ((sequence,),) = await database.read(_LAST)
    return int(sequence)


async def touched_since(database: Database, sequence: int, most: int) -> list[tuple[int, str | None]]:
    """Return the sequence and execution of each row after ``sequence``, at most ``most`` of them."""
    return [(row[0], row[1]) for row in await database.read(_SINCE, {"after": sequence, "max": most})]


@dataclass(frozen=True, slots=True)
class Concern:
    """An execution that a row of history is about, and the prompt or consent of it that has changed, if one has.

    ``names`` lead to that prompt or consent: its assignees, or the owner where it has none; where it was addressed to others,
    those of before too. ``wait`` says which of the two it is; None for neither.
    """

    execution_id: str
    names: frozenset[str] = frozenset()
    wait: WaitKind | None = None
    wait_id: str | None = None


async def concerned_since(database: Database, sequence: int, most: int) -> tuple[int, list[Concern]]:
    """The newest row of history, and what the rows after ``sequence`` are about, at most ``most`` of them."""
    found = []
    for number, execution_id, event, wait_id, owner, assignees in await database.read(
        _CONCERNED_SINCE, {"after": sequence, "max": most}
    ):
        sequence = number
        if execution_id is None:
            continue
        kind = EventKind.named(event)
        if kind is EventKind.NOTICE_OPENED:  # or every page of a prompt would change because it was opened
            continue
        if kind is None or kind.wait is None:
            found.append(Concern(execution_id))
            continue
        lists = [assignees]
        if kind in READDRESSINGS:
            lists += [row[0] for row in await database.read(_EVER_ADDRESSED, {"id": execution_id, "wait": wait_id})]
        names = {name for each in lists for name in (decode(each) if each else (owner,)) if name is not None}
        found.append(Concern(execution_id, frozenset(names), kind.wait, wait_id))
    return sequence, found
