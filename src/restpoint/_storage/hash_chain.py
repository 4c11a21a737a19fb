"""The chain of the history, walked: each row must follow from the one before it, and where one does not, what is wrong.

A *head* is the sequence and the digest of a row: whoever kept one elsewhere learns whether anything up to that row has
changed. ``history.py`` has the rule that the rows follow, ``evidence.py`` what else must hold. Plain functions on a
connection of their own, for a thread or a command, which read some thousands of rows at a time, so that no snapshot is held
for long.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal, Self

from restpoint._storage.history import GENESIS
from restpoint.errors import InvalidArgument

Row = tuple[Any, ...]

CHUNK: Final = 10_000
"""Rows that are read at a time."""

_COLUMNS: Final = (
    "sequence, execution_id, event, wait_id, from_status, to_status, actor, cause, time, detail, detail_sha256, digest"
)
ROWS: Final = (
    f"SELECT {_COLUMNS} FROM history WHERE sequence > :after AND sequence <= :last ORDER BY sequence LIMIT :most"  # noqa: S608 - our words
)
LAST_SEQUENCE: Final = (1 << 63) - 1
_DIGEST_BYTES: Final = 32

Problem = Literal[
    "no_anchor",
    "anchor_moved",
    "row_before_anchor",
    "rows_missing",
    "row_altered",
    "digest_altered",
    "row_inserted",
    "row_out_of_place",
    "event_unknown",
    "detail_altered",
    "detail_missing",
    "tail_missing",
    "head_differs",
    "head_pruned",
    "status_differs",
    "wait_differs",
    "payload_differs",
    "execution_missing",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written: at which row, what is wrong, and what that probably means."""

    problem: Problem
    sequence: int | None
    what: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Head:
    """A row of history by its sequence and digest; what there is to keep elsewhere."""

    sequence: int
    digest: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """The head that ``str`` wrote, ``SEQUENCE:DIGEST``. Raises ``InvalidArgument``."""
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

    def __str__(self) -> str:
        return f"{self.sequence}:{self.digest.hex()}"


# --- Walking ---------------------------------------------------------------------------------------------------------


class Broken(Exception):
    """The walk came to a row that does not follow."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.what)
        self.finding = finding


def read_anchor(connection: sqlite3.Connection) -> Head:
    """What the oldest row that is left is chained to. Raises ``Broken``."""
    rows = connection.execute("SELECT sequence, digest FROM history_anchor").fetchall()
    if len(rows) != 1 or type(rows[0][0]) is not int or type(rows[0][1]) is not bytes or rows[0][0] < 0:
        raise Broken(
            Finding(
                "no_anchor", None, "The anchor of the history is gone.", "Its row was removed, or is not one of ours."
            )
        )
    return Head(*rows[0])


def read_head(connection: sqlite3.Connection) -> Head:
    """The newest row, unverified; the anchor where there is none. Raises ``Broken``."""
    row = connection.execute("SELECT sequence, digest FROM history ORDER BY sequence DESC LIMIT 1").fetchone()
    return read_anchor(connection) if row is None else Head(row[0], row[1])


def digest_of(previous: bytes, row: Row) -> bytes:
    """The digest that a row should have, as ``history.row_digest``; raises ``TypeError`` where a text is none."""
    middle = "\0".join(["" if value is None else "=" + value for value in row[1:8]])
    text = f"={row[0]}\0{middle}\0={row[8]}"
    return sha256(previous + (row[10] or GENESIS) + text.encode()).digest()


def chunks(
    connection: sqlite3.Connection, after: int, last: int = LAST_SEQUENCE, most: int = CHUNK
) -> Iterator[list[Row]]:
    """The rows after a row up to another, in order, some at a time, each in a short read."""
    while True:
        parameters = {"after": after, "last": last, "most": most}
        try:
            rows = connection.execute(ROWS, parameters).fetchall()
        except (sqlite3.OperationalError, UnicodeDecodeError) as error:
            if "decode" not in str(error):
                raise
            # What is no UTF-8 was not written by us: read it so that the row can be named.
            factory, connection.text_factory = connection.text_factory, lambda data: data.decode("utf-8", "replace")
            try:
                rows = connection.execute(ROWS, parameters).fetchall()
            finally:
                connection.text_factory = factory
        if rows:
            yield rows
        if len(rows) < most:
            return
        after = rows[-1][0]


def first_wrong(rows: Sequence[Row], sequence: int, digest: bytes) -> int | None:
    """The index of the first row that does not follow from row ``sequence``, whose digest this is; None: each does."""
    index = 0
    try:
        for index, row in enumerate(rows):
            sequence += 1
            detail, detail_sha256, found = row[9], row[10], row[11]
            if row[0] != sequence:
                return index
            if detail_sha256 is None:
                if detail is not None:
                    return index
            elif len(detail_sha256) != _DIGEST_BYTES or (
                detail is not None and sha256(detail.encode()).digest() != detail_sha256
            ):
                return index
            if digest_of(digest, row) != found:
                return index
            digest = found
    except (TypeError, AttributeError, ValueError):  # a value of another kind than any that we write
        return index
    return None


def diagnose(row: Row, last: Head, following: Row | None = None, before: Head | None = None) -> Finding:
    """What is wrong with a row that does not follow from ``last``.

    ``following`` is the row after it and ``before`` the one before ``last``, where there are such.
    """
    sequence, digest = last.sequence, last.digest
    expected = sequence + 1
    if row[0] != expected:
        gone = f"Row {expected} is" if row[0] == expected + 1 else f"Rows {expected} to {row[0] - 1} are"
        return Finding("rows_missing", expected, f"{gone} missing.", "Rows were removed, or given other numbers.")
    detail, detail_sha256, found = row[9], row[10], row[11]
    try:
        computed: bytes | None = digest_of(digest, row)
        is_detail = detail is None or sha256(detail.encode()).digest() == detail_sha256
    except (TypeError, AttributeError, ValueError):
        computed, is_detail = None, True
    if computed == found and not is_detail:
        return Finding(
            "detail_altered",
            expected,
            f"The detail of row {expected} is not the one that was hashed.",
            "What the row says of a prompt, a response or an error was changed.",
        )
    # With the number that it had, does the next row, or this one, follow from a row further up?
    roots: tuple[tuple[int, Row | None, Head | None], ...] = ((expected, following, last), (sequence, row, before))
    for inserted, moved, root in roots:
        if moved is not None and root is not None and _follows((inserted, *moved[1:]), root.sequence, root.digest):
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


def _follows(row: Row, sequence: int, digest: object) -> bool:
    return isinstance(digest, bytes) and first_wrong([row], sequence, digest) is None


def walk(
    connection: sqlite3.Connection, start: Head, last: int = LAST_SEQUENCE, most: int = CHUNK
) -> Iterator[list[Row]]:
    """The rows after ``start``, some at a time, each known to follow from the one before. Raises ``Broken``."""
    before: Head | None = None
    for rows in chunks(connection, start.sequence, last, most):
        wrong = first_wrong(rows, start.sequence, start.digest)
        sound = rows[:wrong]
        if sound:
            yield sound
            before = start if len(sound) == 1 else Head(sound[-2][0], sound[-2][11])
            start = Head(sound[-1][0], sound[-1][11])
        if wrong is not None:
            after = next(chunks(connection, rows[wrong][0], most=1), None)
            raise Broken(diagnose(rows[wrong], start, None if after is None else after[0], before))
