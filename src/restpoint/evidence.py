"""The history as evidence: walked from its anchor to its head, so that the first row that is not what was written is named.

Each row must follow from the one before it (``history.py`` has the rule), each detail must be the one that was hashed, each
detail that is gone must be named by an event that says it was erased, the anchor must stand where retention says that it
moved it, and what the tables say of executions and waits must be what the history tells of them. A *head* is the sequence
and the digest of a row: whoever kept one elsewhere learns whether anything up to that row has changed, and whether the rows
up to it are still there. Nothing else can tell that rows were cut from the end, or that a history was written anew from some
row to the last.

Plain functions on a connection of their own, for a thread or a command: a million rows take seconds. They are read some
thousands at a time, so that no snapshot is held for long.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal, Self

from restpoint.errors import InvalidArgument
from restpoint.history import GENESIS
from restpoint.lifecycle import OPEN, TERMINAL
from restpoint.signing import SigningKey, VerifyingKey

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
_NAMED: Final = 5  # differences between tables and history that are named

Problem = Literal[
    "no_anchor",
    "anchor_moved",
    "row_before_anchor",
    "rows_missing",
    "row_altered",
    "digest_altered",
    "row_inserted",
    "row_out_of_place",
    "detail_altered",
    "detail_missing",
    "tail_missing",
    "head_differs",
    "head_pruned",
    "status_differs",
    "wait_differs",
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found: the findings, the first row first, and what it went over."""

    findings: tuple[Finding, ...]
    anchor: int
    """The last row that retention removed; 0: none."""
    head: Head | None
    """The newest row, if all up to it follow from each other."""
    rows: int
    erased: int
    """Rows whose detail was erased, as an event tells."""

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def seal(head: Head, key: SigningKey) -> str:
    """A head with a signature on it, ``SEQUENCE:DIGEST:KEY:SIGNATURE``; the same every time."""
    return f"{head}:{key.public.id}:{key.sign('head', str(head).encode())}"


def read_kept(text: str, key: VerifyingKey | None = None) -> Head:
    """A head as it was kept, with a signature or without.

    With a ``key`` the signature must be there and be this key's. Raises ``InvalidArgument``.
    """
    number, digest, signature = [*text.strip().split(":", 2), "", ""][:3]
    head = Head.parse(f"{number}:{digest}")
    if key is None:
        return head
    signer, _, value = signature.partition(":")
    if not value:
        raise InvalidArgument(f"The head {number} has no signature; sign it with: restpoint audit head --key KEY")
    if not key.verifies("head", str(head).encode(), value):
        raise InvalidArgument(
            f"The signature on the head {number} is not one of the key {key.id}; it names {signer[:80]}."
        )
    return head


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
    # With the number that it had, does the next row, or this one, follow from a row further up?
    for inserted, moved, root in ((expected, following, last), (sequence, row, before)):
        if root is not None and _follows((inserted, *moved[1:]), root.sequence, root.digest):
            what = f"Row {inserted} does not belong here: without it the rows around it follow from each other."
            return Finding("row_inserted", inserted, what, "A row was inserted, and those behind it were renumbered.")
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


# --- Verifying -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tally:
    """What the rows say that only all of them together can confirm."""

    heads: dict[int, bytes | None]
    without_detail: list[int] = field(default_factory=list)
    erased: set[int] = field(default_factory=set)
    pruned_to: set[int] = field(default_factory=set)
    live: set[str] = field(default_factory=set)
    rows: int = 0

    def add(self, rows: Sequence[Row]) -> None:
        self.rows += len(rows)
        for sequence in self.heads:
            if rows[0][0] <= sequence <= rows[-1][0]:
                self.heads[sequence] = rows[sequence - rows[0][0]][11]
        live, ended = self.live, TERMINAL
        for row in rows:
            if row[9] is None and row[10] is not None:
                self.without_detail.append(row[0])
            if row[5] != row[4]:
                if row[5] is None or row[5] in ended:
                    live.discard(row[1])
                else:
                    live.add(row[1])
            elif row[2] == "payloads_erased":
                self.erased.update(_numbers(row[9], "sequences"))
            elif row[2] == "history_pruned":
                self.pruned_to.update(_numbers(row[9], "last"))


def _numbers(detail: str | None, name: str) -> list[int]:
    """A number of a detail, or a list of them."""
    try:
        told = json.loads(detail or "{}").get(name, [])
    except (ValueError, AttributeError):
        return []
    return [number for number in (told if isinstance(told, list) else [told]) if type(number) is int]


def verify(connection: sqlite3.Connection, heads: Sequence[Head] = ()) -> Verdict:
    """Go over the whole history. ``heads`` are what was kept elsewhere.

    Findings come in the order of their rows; after a row that does not follow nothing can be said of the rows behind it, and
    of the tables nothing either, so it is the last of them but for the heads. Raises ``sqlite3.Error`` for a file that
    cannot be read.
    """
    while True:
        try:
            anchor = read_anchor(connection)
        except Broken as broken:
            return Verdict((broken.finding,), 0, None, 0, 0)
        verdict = _verify_from(connection, anchor, heads)
        # Retention may have moved the anchor while its rows were read: those that were gone then are not missing.
        if verdict.holds or read_anchor(connection) == anchor:
            return verdict


def _verify_from(connection: sqlite3.Connection, anchor: Head, heads: Sequence[Head]) -> Verdict:
    tally = _Tally({head.sequence: None for head in heads})
    if anchor.sequence in tally.heads:
        tally.heads[anchor.sequence] = anchor.digest
    last, findings = anchor, []
    early = connection.execute("SELECT min(sequence) FROM history").fetchone()[0]
    if early is not None and early <= anchor.sequence:
        what = (
            f"Row {early} is still there, and the anchor says that retention removed all up to row {anchor.sequence}."
        )
        findings.append(Finding("row_before_anchor", early, what, "The anchor was moved, or rows were put before it."))
    try:
        for rows in walk(connection, anchor):
            tally.add(rows)
            last = Head(rows[-1][0], rows[-1][11])
    except Broken as broken:
        findings.append(broken.finding)
        whole = False
    else:
        whole = True
        findings += _of_all(anchor, tally)
    findings += _of_heads(anchor, last, tally.heads, heads, whole=whole)
    if not findings:
        findings += of_tables(connection, tally.live)
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

_STATUSES: Final = (
    "SELECT id, status, told FROM (SELECT e.id, e.status, (SELECT CASE WHEN h.event = 'execution_removed' THEN 'removed'"
    " ELSE h.to_status END FROM history AS h WHERE h.execution_id = e.id"
    " AND (h.to_status IS NOT NULL OR h.event = 'execution_removed') ORDER BY h.sequence DESC LIMIT 1) AS told"
    " FROM executions AS e) WHERE status IS NOT told LIMIT :most"
)
_OPEN_COUNTS: Final = (
    "SELECT id, open_waits FROM executions AS e WHERE open_waits <> (SELECT count(*) FROM interactions AS i"  # noqa: S608 - our words
    " WHERE i.execution_key = e.key AND i.status = 'pending') + (SELECT count(*) FROM consents AS c"
    f" WHERE c.execution_key = e.key AND c.status IN ({', '.join(repr(str(status)) for status in OPEN)})) LIMIT :most"
)
_GONE: Final = (
    "SELECT value FROM json_each(:ids) WHERE NOT EXISTS (SELECT 1 FROM executions WHERE id = value)"
    " AND NOT EXISTS (SELECT 1 FROM history AS h WHERE h.execution_id = value"
    " AND h.event IN ('execution_completed', 'execution_failed', 'execution_cancelled', 'execution_removed')) LIMIT :most"
)


def _waits(kind: str, table: str) -> str:
    """Waits whose status the history tells otherwise."""
    told = f"CASE h.event WHEN '{kind}_asked' THEN 'pending' ELSE substr(h.event, {len(kind) + 2}) END"
    return (
        f"SELECT e.id, w.id, w.status, {told} AS told FROM {table} AS w JOIN executions AS e ON e.key = w.execution_key"  # noqa: S608 - our words
        " LEFT JOIN history AS h ON h.sequence = (SELECT max(sequence) FROM history AS l WHERE l.execution_id = e.id"
        f" AND l.wait_id = w.id AND l.event >= '{kind}_' AND l.event < '{kind}`')"
        " WHERE w.status IS NOT told LIMIT :most"
    )


_RESPONSES: Final = (
    "SELECT e.id, w.id, w.answered_by, h.actor, h.sequence FROM interactions AS w"
    " JOIN executions AS e ON e.key = w.execution_key JOIN history AS h ON h.execution_id = e.id AND h.wait_id = w.id"
    " WHERE h.event = 'interaction_answered' AND (w.answered_by IS NOT h.actor OR (h.detail IS NOT NULL"
    " AND substr(h.detail, 1, 12) = '{\"response\":'"
    " AND substr(h.detail, 13, length(w.response)) IS NOT w.response)) LIMIT :most"
)
_PROMPTS: Final = (
    "SELECT e.id, w.id FROM interactions AS w JOIN executions AS e ON e.key = w.execution_key"
    " JOIN history AS h ON h.sequence = w.opened WHERE h.detail IS NOT NULL AND substr(h.detail, 1, 10) = '{\"prompt\":'"
    " AND substr(h.detail, 11, length(w.prompt)) IS NOT w.prompt LIMIT :most"
)


def of_tables(connection: sqlite3.Connection, live: set[str]) -> Iterator[Finding]:
    """Where the tables say other than the history; ``live`` are the executions that it tells of no end of."""
    limit = {"most": _NAMED}
    changed = "A row of the table was changed by another program, or rows were cut from the end of the history."
    for execution_id, status, told in connection.execute(_STATUSES, limit).fetchall():
        what = f"Execution {execution_id} is {status} in its table, and {told or 'nothing'} by its history."
        yield Finding("status_differs", None, what, changed)
    for kind, table in (("interaction", "interactions"), ("consent", "consents")):
        for execution_id, wait_id, status, told in connection.execute(_waits(kind, table), limit).fetchall():
            what = (
                f"The {kind} {wait_id} of execution {execution_id} is {status}, and {told or 'nothing'} by the history."
            )
            yield Finding("wait_differs", None, what, changed)
    for execution_id, wait_id, who, actor, sequence in connection.execute(_RESPONSES, limit).fetchall():
        what = (
            f"The answer to {wait_id} of execution {execution_id} is by {who or 'nobody'} in its table; row {sequence} has"
            + (f" {actor or 'nobody'}." if who != actor else " another response.")
        )
        yield Finding("wait_differs", None, what, "The answer was changed where it is kept, and not in the history.")
    for execution_id, wait_id in connection.execute(_PROMPTS, limit).fetchall():
        what = f"The prompt {wait_id} of execution {execution_id} is not the one that the history has."
        yield Finding("wait_differs", None, what, "The prompt was changed where it is kept, and not in the history.")
    for execution_id, waits in connection.execute(_OPEN_COUNTS, limit).fetchall():
        what = f"Execution {execution_id} says that {waits} of its waits are open, and its waits say otherwise."
        yield Finding("wait_differs", None, what, changed)
    ids = sorted(live)
    for at in range(0, len(ids), CHUNK):
        for (execution_id,) in connection.execute(_GONE, {"ids": json.dumps(ids[at : at + CHUNK]), **limit}).fetchall():
            what = f"Execution {execution_id} has not ended by its history, and is not in the file."
            yield Finding("execution_missing", None, what, "It was deleted by another program.")
