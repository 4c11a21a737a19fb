"""The history: appended to in the transaction of what it tells of, each row chained to the one before it.

A row's digest is SHA-256 over the previous row's digest (32 bytes), the SHA-256 of its detail (32 bytes; zeros for none) and
its other columns in order, each as ``=`` and its text, NULL as nothing, with NUL bytes between them, in UTF-8. The detail
itself is not in it, so that a detail can be erased later and the chain still verifies. A row that was changed, removed, inserted
or moved breaks the chain at that place; rows cut from the end are found by whoever kept a later digest.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import insert, literal_column, select

from restpoint.database import Transaction
from restpoint.engine import prepare
from restpoint.errors import DamagedFile
from restpoint.schema import history, history_anchor

GENESIS: Final = bytes(32)
"""What the first row is chained to."""

_HEAD: Final = prepare(
    select(history.c.sequence, history.c.digest)
    .order_by(history.c.sequence.desc())
    .limit(literal_column("1"))
    .offset(literal_column("0"))
)
ANCHOR: Final = prepare(select(history_anchor.c.sequence, history_anchor.c.digest))
_APPEND: Final = prepare(insert(history), order=tuple(history.c.keys()))


def detail_digest(detail: str | None) -> bytes | None:
    """SHA-256 of a detail's UTF-8, or None where there is no detail."""
    return None if detail is None else sha256(detail.encode()).digest()


def row_digest(previous: bytes, columns: tuple[Any, ...], detail_sha256: bytes | None) -> bytes:
    """The digest of a row: ``columns`` are sequence, execution_id, event, wait_id, from_status, to_status, actor, cause, time."""
    text = "\0".join(["" if value is None else f"={value}" for value in columns])
    return sha256(previous + (detail_sha256 or GENESIS) + text.encode()).digest()


def first_break(rows: Iterable[tuple[Any, ...]], sequence: int, digest: bytes) -> int | None:
    """The sequence of the first row that does not follow from the one before it; None when every row does.

    ``sequence`` and ``digest`` are the anchor's. Each row is the nine columns, detail, detail_sha256 and digest.
    """
    for *columns, detail, detail_sha256, found in rows:
        sequence += 1
        if columns[0] != sequence:
            return sequence
        if detail is not None and detail_digest(detail) != detail_sha256:
            return sequence
        if row_digest(digest, tuple(columns), detail_sha256) != found:
            return sequence
        digest = found
    return None


def head(tx: Transaction) -> tuple[int, bytes]:
    """Sequence and digest of the last row; the anchor's where retention left none."""
    if tx.head is None:
        row = tx.one(_HEAD, ()) or tx.one(ANCHOR, ())
        if row is None:
            raise DamagedFile("The history has lost its anchor; restore a backup.")
        tx.head = row[0], row[1]
    return tx.head


def append(
    tx: Transaction,
    event: str,
    execution_id: str | None = None,
    *,
    wait_id: str | None = None,
    moved: tuple[str | None, str | None] = (None, None),
    actor: str | None = None,
    cause: str | None = None,
    detail: str | None = None,
) -> int:
    """Append one row to the history and return its sequence."""
    sequence, previous = head(tx)
    sequence += 1
    from_status, to_status = moved
    columns = (sequence, execution_id, event, wait_id, from_status, to_status, actor, cause, tx.now)
    detail_sha256 = detail_digest(detail)
    digest = row_digest(previous, columns, detail_sha256)
    tx.deferred.append((_APPEND, (*columns, detail, detail_sha256, digest)))
    tx.head = sequence, digest
    tx.first_sequence = tx.first_sequence or sequence
    return sequence
