"""The chain of the history: reads the rows in order, checks that each follows from the one before, and says what is wrong.

A *head* is the sequence and the digest of a row. A head that was kept elsewhere shows later whether any row up to it has
changed. ``history.py`` has the rule for the digest. These are plain functions on a connection of the caller's, for a thread or a
command. They read some thousands of rows at a time, so that no snapshot of the file is held for long.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple, Self

from sqlalchemy import bindparam, func, select

from restpoint._storage.history import ANCHOR, HEAD, row_digest
from restpoint._storage.schema import history
from restpoint._storage.sqlite.connection import limited, prepare
from restpoint.errors import InvalidArgument

_h = history.c

CHUNK: Final = 10_000
"""How many rows are read at a time."""

LAST_SEQUENCE: Final = (1 << 63) - 1
_DIGEST_BYTES: Final = 32


class HistoryRow(NamedTuple):
    """One row of history as it is in the file. A file that was tampered with may hold values of other types."""

    sequence: int
    execution_id: str | None
    event: str
    wait_id: str | None
    from_status: str | None
    to_status: str | None
    actor: str | None
    cause: str | None
    time: int
    detail: str | None
    detail_sha256: bytes | None
    digest: bytes


Row = tuple[Any, ...]
"""The values of a ``HistoryRow`` in order. To make one of each row would cost a verification a tenth of its time."""

_ROWS: Final = prepare(
    limited(
        select(*(_h[name] for name in HistoryRow._fields))
        .where(_h.sequence > bindparam("after"), _h.sequence <= bindparam("last"))
        .order_by(_h.sequence),
        "most",
    )
)
_DIGEST: Final = prepare(select(_h.digest).where(_h.sequence == bindparam("sequence")))
_WRITTEN: Final = prepare(
    select(func.min(_h.sequence), func.max(_h.sequence)).where(
        _h.sequence.between(bindparam("first"), bindparam("last")),
        _h.time >= bindparam("since"),
        _h.time < bindparam("until"),
    )
)

Problem = Literal[
    "no_anchor", "anchor_moved", "row_before_anchor", "rows_missing", "row_altered", "digest_altered", "row_inserted",
    "row_out_of_place", "event_unknown", "detail_altered", "detail_missing", "tail_missing", "head_differs",
    "head_pruned", "status_differs", "wait_differs", "payload_differs", "session_differs",
    "mail_address_differs", "notice_differs", "execution_missing",
    "hold_differs", "four_eyes_violated", "assignment_differs", "vote_differs",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """A place where the file is not what was written: the row, what is wrong with it, and what probably happened."""

    problem: Problem
    sequence: int | None
    what: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Head:
    """A row of history by its sequence and digest: what to keep elsewhere."""

    sequence: int
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the form that ``str`` gives, ``SEQUENCE:DIGEST``. Raises ``InvalidArgument``."""
        number, _, digest = text.strip().partition(":")
        try:
            self = cls(int(number), bytes.fromhex(digest))
        except ValueError:
            self = cls(-1, b"")
        if self.sequence < 0 or len(self.digest) != _DIGEST_BYTES:
            raise InvalidArgument(
                f"{text[:80]!r} is no head; give what `restpoint audit head` printed, SEQUENCE:DIGEST."
            )
        return self

    @classmethod
    def of(cls, row: Row) -> Self:
        """The head that a row is."""
        sequence, *_, digest = row
        return cls(sequence, digest)

    def __str__(self) -> str:
        return f"{self.sequence}:{self.digest.hex()}"


# --- Reading ---------------------------------------------------------------------------------------------------------


class Broken(Exception):
    """A row does not follow from the one before it; ``finding`` says which, and how."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.what)
        self.finding = finding


def read_anchor(connection: sqlite3.Connection) -> Head:
    """The row that the oldest row left in the file is chained to. Raises ``Broken``."""
    match connection.execute(ANCHOR).fetchall():
        case [(int(sequence), bytes(digest))] if sequence >= 0:
            return Head(sequence, digest)
    what = "The anchor of the history is gone."
    raise Broken(Finding("no_anchor", None, what, "Its row was removed, or is not one of ours."))


def read_head(connection: sqlite3.Connection) -> Head:
    """The newest row, without checking it; the anchor where there is no row. Raises ``Broken``."""
    row = connection.execute(HEAD).fetchone()
    return read_anchor(connection) if row is None else Head(*row)


def read_digest(connection: sqlite3.Connection, sequence: int) -> bytes | None:
    """The digest of one row as it is in the file, without checking it; None where there is no such row."""
    row = connection.execute(_DIGEST, {"sequence": sequence}).fetchone()
    return None if row is None else row[0]


def written_within(
    connection: sqlite3.Connection, first: int, last: int, since: int | None, until: int | None
) -> tuple[int, int] | None:
    """The first and the last of the rows ``first`` to ``last`` that were written in a time; None where there is none.

    ``since`` and ``until`` are milliseconds since the epoch, the latter not included; None leaves that side open.
    """
    times = {"since": -LAST_SEQUENCE if since is None else since, "until": LAST_SEQUENCE if until is None else until}
    begin, end = connection.execute(_WRITTEN, {"first": first, "last": last, **times}).fetchone()
    return None if begin is None else (begin, end)


def chunks(
    connection: sqlite3.Connection, after: int, last: int = LAST_SEQUENCE, most: int = CHUNK
) -> Iterator[list[Row]]:
    """The rows after row ``after`` up to row ``last``, in order; each list is one short read of at most ``most`` rows."""
    while True:
        parameters = {"after": after, "last": last, "most": most}
        try:
            rows = connection.execute(_ROWS, parameters).fetchall()
        except (sqlite3.OperationalError, UnicodeDecodeError) as error:
            if "decode" not in str(error):
                raise
            # Not written by us, because it is no UTF-8. Read it all the same, so that the row can be named.
            factory, connection.text_factory = connection.text_factory, lambda data: data.decode("utf-8", "replace")
            try:
                rows = connection.execute(_ROWS, parameters).fetchall()
            finally:
                connection.text_factory = factory
        if rows:
            yield rows
        if len(rows) < most:
            return
        after = Head.of(rows[-1]).sequence


# --- Checking --------------------------------------------------------------------------------------------------------


def first_wrong(rows: Sequence[Row], sequence: int, digest: bytes) -> int | None:
    """The index of the first row that does not follow from the one before it; None where each does.

    ``sequence`` and ``digest`` are those of the row before the first one.
    """
    index = 0
    try:
        for index, row in enumerate(rows):
            sequence += 1
            number, _, _, _, _, _, _, _, _, detail, detail_sha256, found = row
            if number != sequence:
                return index
            if detail_sha256 is None:
                if detail is not None:
                    return index
            elif len(detail_sha256) != _DIGEST_BYTES or (
                detail is not None and sha256(detail.encode()).digest() != detail_sha256
            ):
                return index
            if row_digest(digest, row, detail_sha256) != found:
                return index
            digest = found
    except (TypeError, AttributeError, ValueError):  # a value of a type that we never write
        return index
    return None


def diagnose(row: HistoryRow, last: Head, following: HistoryRow | None = None, before: Head | None = None) -> Finding:
    """What is wrong with a row that does not follow from ``last``.

    ``following`` is the row after it, and ``before`` the row before ``last``, where there are such rows.
    """
    sequence, digest = last.sequence, last.digest
    expected = sequence + 1
    if row.sequence != expected:
        gone = f"Row {expected} is" if row.sequence == expected + 1 else f"Rows {expected} to {row.sequence - 1} are"
        return Finding("rows_missing", expected, f"{gone} missing.", "Rows were removed, or given other numbers.")
    found = row.digest
    try:
        computed: bytes | None = row_digest(digest, row, row.detail_sha256)
        is_detail = row.detail is None or sha256(row.detail.encode()).digest() == row.detail_sha256
    except (TypeError, AttributeError, ValueError):
        computed, is_detail = None, True
    if computed == found and not is_detail:
        return Finding(
            "detail_altered",
            expected,
            f"The detail of row {expected} is not the one that was hashed.",
            "What the row says of a prompt, a response or an error was changed.",
        )
    # Does the next row, or this one, follow from an earlier row, if it gets back the number that it had before an insertion?
    roots: tuple[tuple[int, HistoryRow | None, Head | None], ...] = (
        (expected, following, last),
        (sequence, row, before),
    )
    for inserted, moved, root in roots:
        if (
            moved is not None
            and root is not None
            and _follows(moved._replace(sequence=inserted), root.sequence, root.digest)
        ):
            what = f"Row {inserted} does not belong here: without it the rows around it follow from each other."
            return Finding("row_inserted", inserted, what, "A row was inserted, and those behind it were renumbered.")
    if computed is not None and following is not None and _follows(following, expected, computed):
        return Finding(
            "digest_altered",
            expected,
            f"The digest of row {expected} is not that of its content, which the next row is chained to.",
            "Only the digest was changed; what the row says is what was written.",
        )
    if following is None or _follows(following, expected, found):
        return Finding(
            "row_altered",
            expected,
            f"What row {expected} says is not what its digest was made of.",
            "A column of it was changed after it was written.",
        )
    return Finding(
        "row_out_of_place",
        expected,
        f"Row {expected} does not follow from row {sequence}, nor the next one from it.",
        "Rows were inserted, removed with the others renumbered, exchanged, or several of them rewritten here.",
    )


def _follows(row: HistoryRow, sequence: int, digest: object) -> bool:
    return isinstance(digest, bytes) and first_wrong([row], sequence, digest) is None


def walk(
    connection: sqlite3.Connection, start: Head, last: int = LAST_SEQUENCE, most: int = CHUNK
) -> Iterator[list[Row]]:
    """The rows after ``start``, at most ``most`` at a time, each checked to follow from the one before. Raises ``Broken``."""
    before: Head | None = None
    for rows in chunks(connection, start.sequence, last, most):
        wrong = first_wrong(rows, start.sequence, start.digest)
        sound = rows[:wrong]
        if sound:
            yield sound
            before = start if len(sound) == 1 else Head.of(sound[-2])
            start = Head.of(sound[-1])
        if wrong is not None:
            row = HistoryRow(*rows[wrong])
            after = next(chunks(connection, row.sequence, most=1), None)
            raise Broken(diagnose(row, start, None if after is None else HistoryRow(*after[0]), before))
