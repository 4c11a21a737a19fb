"""Exports: a range of the history as bytes that are the same every time, with a manifest that describes them.

The bytes come only from the rows of the history, so neither a sweep nor a vacuum changes them; an erased detail becomes null.
Each row is compared with its digest before it is exported. ``jsonl`` has one JSON object a line, with ``detail`` last and as it
was hashed, so that every digest can be computed again from the export alone. ``csv`` is RFC 4180 with every text in quotes, so
that an empty text differs from a missing one, and is for spreadsheets: no text of it is a formula (OWASP, "CSV Injection").
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Literal

from restpoint._storage import Broken, Connection, Head, hash_chain
from restpoint.audit.signing import SigningKey, VerifyingKey
from restpoint.errors import DamagedFile, InvalidArgument, NothingToExport

Format = Literal["jsonl", "csv"]

FORMATS: Final[tuple[Format, ...]] = ("jsonl", "csv")
MEDIA_TYPES: Final = {"jsonl": "application/jsonl", "csv": "text/csv"}
CHUNK: Final = 1_000
"""How many rows are written at a time."""

COLUMNS: Final = (
    "sequence", "at", "time", "execution_id", "event", "wait_id", "from_status", "to_status", "actor", "cause",
    "detail_sha256", "digest", "detail",
)  # fmt: skip
"""The columns of an exported row, in order. ``time`` is in milliseconds since the epoch; ``at`` is the same time for people."""

FORMULAS: Final = (
    "An apostrophe stands before each text that begins with = + - @ (also in full width), a tab, a line end or an apostrophe, so "
    "that no spreadsheet takes it for a formula. Take it away to have the text; an export in the format jsonl has it as it is."
)
"""What the manifest of a ``csv`` says of the texts in it."""

_FORMULA_BEGINS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_KIND: Final = "restpoint-history"
_VERSION: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DETAIL: Final = ',"detail":'


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive rows of the history: those after ``previous``, up to ``last``."""

    previous: Head
    last: int


def span(
    connection: Connection,
    *,
    first: int | None = None,
    last: int | None = None,
    since: int | None = None,
    until: int | None = None,
) -> Span:
    """Return the rows from ``first`` to ``last``, cut down to those from the first to the last one that was written in a time.

    ``since`` and ``until`` are milliseconds since the epoch, the latter not included. Where the clock was set back, rows of
    another time may stand between them: an export has no holes. Raises ``NothingToExport``, ``InvalidArgument`` for rows that
    retention has removed, and ``DamagedFile``.
    """
    try:
        anchor, head = hash_chain.read_anchor(connection), hash_chain.read_head(connection)
    except Broken as broken:
        raise damaged(broken) from None
    if first is not None and first <= anchor.sequence:
        raise InvalidArgument(
            f"Rows up to {anchor.sequence} have left the file by retention; export from row {anchor.sequence + 1} on."
        )
    rows: tuple[int, int] | None = (
        anchor.sequence + 1 if first is None else first,
        head.sequence if last is None else min(last, head.sequence),
    )
    if rows is not None and (since is not None or until is not None):
        rows = hash_chain.written_within(connection, *rows, since, until)
    if rows is None or rows[0] > rows[1]:
        raise NothingToExport("No row of the history is in this range; restpoint audit head tells the last one.")
    begin, end = rows
    previous = anchor.digest if begin == anchor.sequence + 1 else hash_chain.read_digest(connection, begin - 1)
    if previous is None:
        raise DamagedFile(f"Row {begin - 1} of the history is missing; run: restpoint audit verify")
    return Span(Head(begin - 1, previous), end)


def damaged(broken: Broken) -> DamagedFile:
    """Return the error for a request for evidence from a broken history."""
    return DamagedFile(f"The history is not what was written: {broken.finding.what} Run: restpoint audit verify")


def form_of(name: str) -> Format:
    """Return a format by its name. Raises ``InvalidArgument``."""
    for form in FORMATS:
        if form == name:
            return form
    raise InvalidArgument(f"format is {name[:80]!r}; use one of {', '.join(FORMATS)}.")


class Export:
    """The bytes of a span and, once all of them were taken, the manifest."""

    def __init__(self, connection: Connection, of: Span, form: Format) -> None:
        self.span = of
        self.form = form
        self._connection = connection
        self._sha256 = sha256()
        self._size = 0
        self._last = of.previous

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes, some at a time. Raises ``DamagedFile`` at the first row that is not what was written."""
        line = _json_line if self.form == "jsonl" else _csv_line
        if self.form == "csv":
            yield self._counted((",".join(COLUMNS) + "\r\n").encode())
        try:
            for rows in hash_chain.walk(self._connection, self.span.previous, self.span.last, CHUNK):
                self._last = Head.of(rows[-1])
                yield self._counted("".join(map(line, rows)).encode())
        except Broken as broken:
            raise damaged(broken) from None

    def _counted(self, data: bytes) -> bytes:
        self._sha256.update(data)
        self._size += len(data)
        return data

    def manifest(self, key: SigningKey | None = None) -> dict[str, Any]:
        """Describe the bytes, once all of them were taken; signed if there is a key. The result is the same every time."""
        told = {
            "kind": _KIND,
            "version": _VERSION,
            "format": self.form,
            "first": self.span.previous.sequence + 1,
            "last": self._last.sequence,
            "rows": self._last.sequence - self.span.previous.sequence,
            "previous": self.span.previous.digest.hex(),
            "head": self._last.digest.hex(),
            "bytes": self._size,
            "sha256": self._sha256.hexdigest(),
        }
        if self.form == "csv":
            told["formulas"] = FORMULAS
        return signed(told, key) if key is not None else told


def _instant(milliseconds: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z"


def _values(row: hash_chain.Row) -> tuple[Any, ...]:
    sequence, execution_id, event, wait_id, before, after, actor, cause, time, detail, detail_sha256, digest = row
    hashed = None if detail_sha256 is None else detail_sha256.hex()
    at = _instant(time)
    return (sequence, at, time, execution_id, event, wait_id, before, after, actor, cause, hashed, digest.hex(), detail)


def _json_line(row: hash_chain.Row) -> str:
    *values, detail = _values(row)
    told = json.dumps(dict(zip(COLUMNS[:-1], values, strict=True)), ensure_ascii=False, separators=(",", ":"))
    return f"{told[:-1]}{_DETAIL}{'null' if detail is None else detail}}}\n"


def _csv_line(row: hash_chain.Row) -> str:
    cells = [
        "" if value is None else str(value) if isinstance(value, int) else _csv_text(value) for value in _values(row)
    ]
    return ",".join(cells) + "\r\n"


def _csv_text(text: str) -> str:
    escaped = text.replace('"', '""')
    return f'"\'{escaped}"' if text.startswith(_FORMULA_BEGINS) else f'"{escaped}"'


# --- Reading an export again -----------------------------------------------------------------------------------------


def canonical(manifest: dict[str, Any]) -> bytes:
    """Return the bytes of a manifest that are signed: all but the signature, with sorted keys and no spaces."""
    told = {name: value for name, value in manifest.items() if name != "signature"}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def signed(manifest: dict[str, Any], key: SigningKey) -> dict[str, Any]:
    """Return the manifest with a signature."""
    signature = {"algorithm": "Ed25519", "key": key.public.id, "value": key.sign("export", canonical(manifest))}
    return {**manifest, "signature": signature}


def check_export(lines: Iterable[bytes], manifest: dict[str, Any] | None, key: VerifyingKey | None) -> list[str]:
    """Return what is wrong with an export, in words; an empty list if it is what its manifest says and its chain is unbroken.

    Of ``csv`` only the bytes are compared with the manifest. Raises ``InvalidArgument`` for a manifest that is none.
    """
    told = None if manifest is None else _Manifest.read(manifest)
    problems = [] if key is None else _unsigned(manifest or {}, key)
    total, size = sha256(), 0
    chain = None if told is not None and told.form != "jsonl" else _Chain(None if told is None else told.previous)
    for number, line in enumerate(lines, 1):
        total.update(line)
        size += len(line)
        if chain is not None and chain.problem is None:
            chain.take(line, number)
    if told is None and not size:  # every export has a row
        problems.append("It is empty.")
    if chain is not None and chain.problem is not None:
        problems.append(chain.problem)
    elif chain is not None and told is not None and chain.last != told.head:
        last = 0 if chain.last is None else chain.last.sequence
        problems.append(f"It ends with row {last}, and its manifest says {told.head.sequence}, with another digest.")
    if told is not None and (size, total.hexdigest()) != (told.size, told.sha256):
        problems.append(f"Its bytes are not those of the manifest: {size} bytes with the SHA-256 {total.hexdigest()}.")
    return problems


def _unsigned(manifest: dict[str, Any], key: VerifyingKey) -> list[str]:
    signature = manifest.get("signature")
    if not isinstance(signature, dict) or not isinstance(signature.get("value"), str):
        return ["It has no signature, and one was asked for."]
    if not key.verifies("export", canonical(manifest), signature["value"]):
        return [f"The signature on its manifest is not one of the key {key.id} on this manifest."]
    return []


@dataclass(frozen=True, slots=True)
class _Manifest:
    """What a manifest says of its export."""

    form: str
    previous: Head
    head: Head
    size: int
    sha256: str

    @classmethod
    def read(cls, told: dict[str, Any]) -> "_Manifest":
        if told.get("kind") != _KIND or told.get("version") != _VERSION:
            raise InvalidArgument(f"This is no manifest of an export of version {_VERSION}.")
        try:
            previous = Head(int(told["first"]) - 1, bytes.fromhex(told["previous"]))
            head = Head(int(told["last"]), bytes.fromhex(told["head"]))
            return cls(str(told["format"]), previous, head, int(told["bytes"]), str(told["sha256"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidArgument(f"The manifest lacks something that it needs: {error}.") from None


class _Chain:
    """The rows of an export, one after another."""

    def __init__(self, last: Head | None) -> None:
        self.last = last
        self.problem: str | None = None

    def take(self, line: bytes, number: int) -> None:
        try:
            row = _row(line)
        except (ValueError, KeyError, TypeError, AttributeError):
            self.problem = f"Line {number} is no row of an export."
            return
        if self.last is None:  # without a manifest nothing tells what the first row must follow from
            self.last = Head.of(row)
            return
        if hash_chain.first_wrong([row], self.last.sequence, self.last.digest) is not None:
            finding = hash_chain.diagnose(row, self.last)
            self.problem = f"Line {number}: {finding.what} {finding.meaning}"
        self.last = Head.of(row)


def _row(line: bytes) -> hash_chain.HistoryRow:
    text = line.decode()
    values = json.loads(text)
    if values["detail"] is not None:  # the text that was hashed, which need not be what another encoder writes
        values["detail"] = text[text.index(_DETAIL) + len(_DETAIL) :].removesuffix("\n")[:-1]
    if values["detail_sha256"] is not None:
        values["detail_sha256"] = bytes.fromhex(values["detail_sha256"])
    values["digest"] = bytes.fromhex(values["digest"])
    return hash_chain.HistoryRow(*(values[name] for name in hash_chain.HistoryRow._fields))
