"""Verification: whether the history is what was written, and whether the tables say the same as the history.

It checks six things. Each row follows from the one before it (``hash_chain.py``). Each detail that is missing is named by an
event that says that it was erased. The anchor is where an event says that retention moved it. The heads that were kept elsewhere
are in the history. The tables say of executions, waits, rights, votes and payloads what the history says of them. Nobody answered
a prompt of their own execution that asked for four eyes. Without a head that was kept, nothing can tell that rows were cut from
the end, or that a history was written anew from some row to the last.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import bindparam, func, select

from restpoint._storage import comparison, prompt_comparison
from restpoint._storage.hash_chain import LAST_SEQUENCE, Broken, Finding, Head, Row, read_anchor, walk
from restpoint._storage.history import GENESIS
from restpoint._storage.outbox import mail_addresses
from restpoint._storage.outbox.comparison import of_notices
from restpoint._storage.payload_comparison import NAMED
from restpoint._storage.schema import history
from restpoint._storage.sqlite.connection import prepare, word
from restpoint.events import DECISIONS, EventKind
from restpoint.lifecycle import TERMINAL

_h = history.c
_FIRST: Final = prepare(select(func.min(_h.sequence)))
_OF_FOUR_EYES: Final = {EventKind.INTERACTION_ASKED, *DECISIONS}
_OWNER: Final = prepare(
    select(func.json_extract(_h.detail, word("$.owner"))).where(
        _h.execution_id == bindparam("id"), _h.event == word(EventKind.EXECUTION_CREATED)
    )
)


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

    @property
    def may_have_more(self) -> bool:
        """Whether the tables may differ from the history in more places: only the first few of each kind are found."""
        found = Counter(finding.problem for finding in self.findings if finding.sequence is None)
        return any(count >= NAMED for count in found.values())


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
    four_eyes: set[tuple[str, str]] = field(default_factory=set)
    """The prompts that asked for four eyes, each by its execution and id."""
    answers: list[tuple[str, str, str | None, int]] = field(default_factory=list)
    """Who answered those, each with its row. The default at a deadline is nobody's answer."""
    rows: int = 0

    def add(self, rows: Sequence[Row]) -> None:
        self.rows += len(rows)
        first, last = Head.of(rows[0]).sequence, Head.of(rows[-1]).sequence
        for sequence in self.heads:
            if first <= sequence <= last:
                self.heads[sequence] = Head.of(rows[sequence - first]).digest
        live, ended = self.live, TERMINAL
        for sequence, execution_id, event, wait, before, after, actor, cause, _, detail, detail_sha256, _ in rows:
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
            elif kind is EventKind.PAYLOADS_ERASED or kind is EventKind.HISTORY_PRUNED:
                self.erased.update(_numbers(detail, "sequences"))
                self.pruned_to.update(_numbers(detail, "last"))
            if kind in _OF_FOUR_EYES:
                self._add_four_eyes((execution_id, wait), detail, actor, cause, sequence)

    def _add_four_eyes(
        self, prompt: tuple[str, str], detail: str | None, actor: str | None, cause: str | None, sequence: int
    ) -> None:
        if prompt in self.four_eyes:
            if cause is None:
                self.answers.append((*prompt, actor, sequence))
        # The text is looked for first, because parsing every prompt would cost a verification much of its time.
        elif detail is not None and '"four_eyes":true' in detail and json.loads(detail).get("four_eyes") is True:
            self.four_eyes.add(prompt)


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
    of_heads = list(_of_heads(anchor, last, tally.heads, heads, whole=whole))
    # A head that retention has passed says nothing against the history, so the tables can be compared with it all the same.
    is_sound = not findings and all(finding.problem == "head_pruned" for finding in of_heads)
    findings += of_heads
    if is_sound:
        findings += comparison.of_tables(connection, tally.live)
        findings += prompt_comparison.of_prompts(connection)
        findings += of_notices(connection)
        findings += mail_addresses.differences(connection)
        findings += _of_four_eyes(connection, tally.answers)
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


def _of_four_eyes(
    connection: sqlite3.Connection, answers: Sequence[tuple[str, str, str | None, int]]
) -> Iterator[Finding]:
    for execution_id, wait_id, actor, sequence in answers:
        row = connection.execute(_OWNER, {"id": execution_id}).fetchone()
        if row is not None and row[0] is not None and actor in {None, row[0]}:
            what = f"The prompt {wait_id} of execution {execution_id} asked for four eyes, and was answered by "
            what += f"its owner, {actor}." if actor is not None else "nobody known."
            yield Finding("four_eyes_violated", sequence, what, "A program got round the rule.")
