"""Is the file well? What an operator wants to know of it, each with a figure, a word and how bad it is.

Everything is read in a connection of its own, beside whoever works with the file. What costs as much as the file is large
(SQLite's full check, the chain of the history) may be left out; the rest costs what is open, and no more. While SQLite checks
the whole file it keeps its log from being folded in, so on a large and busy file the quick way is the one for every minute
and the full one for every night.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from restpoint._core.timestamps import span
from restpoint._storage import verification
from restpoint._storage.leases import Holder
from restpoint._storage.sqlite import migrations
from restpoint._storage.sqlite.connection import opened

Severity = Literal["ok", "warning", "error"]

LARGE_LOG_BYTES: Final = 64 * 1024 * 1024
"""A log that grows beyond this is not being folded in: someone keeps a snapshot open."""

OVERDUE: Final = 60_000  # milliseconds after which what falls due by the clock should have happened
UNSWEPT: Final = 600_000  # the same, of the sweep, which runs once in a while
_LARGE_FREE_PAGES: Final = 16_384  # 64 MB

_OLDEST_WAIT: Final = (
    "SELECT count(*), min(created_at), sum(deadline_at IS NOT NULL AND deadline_at < :overdue) FROM ("
    "SELECT created_at, deadline_at FROM interactions WHERE status = 'pending' UNION ALL "
    "SELECT created_at, deadline_at FROM consents WHERE status IN ('pending', 'exchanging'))"
)
_HELD_BY: Final = (
    "SELECT (SELECT count(*) FROM runs WHERE lease = :lease), (SELECT count(*) FROM executions WHERE lease = :lease"
    " AND status = 'running' AND NOT EXISTS (SELECT 1 FROM runs WHERE execution_key = executions.key))"
)
_EXPIRED: Final = (
    "SELECT count(*), min(expires_at) FROM executions"
    " WHERE hold IS NULL AND expires_at IS NOT NULL AND expires_at < :overdue"
)
_PROBLEMS: Final = (
    "SELECT count(*), min(e.id), min(r.problem) FROM runs AS r JOIN executions AS e ON e.key = r.execution_key"
    " WHERE r.problem IS NOT NULL"
)
_HELD: Final = "SELECT count(*) FROM executions WHERE hold IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``figures`` are for programs; times are in milliseconds, sizes in bytes."""

    name: str
    severity: Severity
    word: str
    figures: Mapping[str, Any] = field(default_factory=dict)


def worst(findings: list[Finding]) -> Severity:
    """The severity of the worst of them."""
    for severity in ("error", "warning"):
        if any(each.severity == severity for each in findings):
            return severity
    return "ok"


def examine(path: Path, now: int, *, quick: bool = False) -> list[Finding]:
    """Look at everything, at ``now`` (milliseconds since the epoch); ``quick`` leaves out what costs as the file is large.

    Raises ``UnusableFile`` for what is no file of restpoint's, and ``DamagedFile`` where SQLite cannot even go on looking.
    """
    findings = [
        Finding(name, "ok" if fine else "error", word) for name, fine, word in migrations.check(path, quick=quick)
    ]
    with opened(path) as connection:
        if worst(findings) != "ok":
            return findings  # what the rest would ask may not be there
        if not quick:
            findings.append(_history(connection))
        findings += [_log(path), _space(connection)]
        findings += _live(connection, now)
    return findings


def _history(connection: sqlite3.Connection) -> Finding:
    verdict = verification.verify(connection)
    if not verdict.holds:
        # An event that a newer version wrote is no damage.
        broken = [finding for finding in verdict.findings if finding.problem != "event_unknown"]
        first = (broken or verdict.findings)[0]
        severity: Severity = "error" if broken else "warning"
        figures = {"broken_at": first.sequence, "problem": first.problem}
        return Finding("history", severity, f"{first.what} See: restpoint audit verify", figures)
    return Finding("history", "ok", f"{verdict.rows} rows, unbroken", {"rows": verdict.rows})


def _log(path: Path) -> Finding:
    log = path.with_name(f"{path.name}-wal")
    size = log.stat().st_size if log.exists() else 0
    if size > LARGE_LOG_BYTES:
        return Finding("log", "warning", f"{_mb(size)}: some program keeps a snapshot open", {"bytes": size})
    return Finding("log", "ok", _mb(size), {"bytes": size})


def _space(connection: sqlite3.Connection) -> Finding:
    (page_size,), (pages,), (free,), (mode,) = (
        connection.execute(f"PRAGMA {pragma}").fetchone()
        for pragma in ("page_size", "page_count", "freelist_count", "auto_vacuum")
    )
    figures = {"bytes": pages * page_size, "free_bytes": free * page_size}
    word = f"{free} of {pages} pages ({_mb(free * page_size)})"
    if mode != 2:
        return Finding(
            "free pages", "warning", f"{word}; the file cannot shrink in steps: restpoint db vacuum --full", figures
        )
    if free > _LARGE_FREE_PAGES and 2 * free > pages:
        return Finding("free pages", "warning", f"{word}; run: restpoint db vacuum", figures)
    return Finding("free pages", "ok", word, figures)


def _live(connection: sqlite3.Connection, now: int) -> Iterator[Finding]:
    yield _leases(connection, now)
    count, oldest, overdue = connection.execute(_OLDEST_WAIT, {"overdue": now - OVERDUE}).fetchone()
    figures = {"open": count, "oldest_age": None if oldest is None else max(now - oldest, 0), "overdue": overdue or 0}
    word = f"{count} open" + ("" if oldest is None else f", the oldest for {span(max(now - oldest, 0) // 1000)}")
    if overdue:
        word = f"{word}; {overdue} past their deadline: no program serves the file"
    yield Finding("waits", "warning" if overdue else "ok", word, figures)
    count, oldest = connection.execute(_EXPIRED, {"overdue": now - UNSWEPT}).fetchone()
    word = (
        f"{count} past their time to live, the oldest for {span(max(now - oldest, 0) // 1000)}; run: restpoint sweep"
        if count
        else "up to date"
    )
    yield Finding("sweep", "warning" if count else "ok", word, {"expired": count})
    count, execution_id, problem = connection.execute(_PROBLEMS).fetchone()
    word = f"{count} that no runner can go on with, such as {execution_id}: {problem}" if count else "none"
    yield Finding("problems", "warning" if count else "ok", word, {"runs": count})
    (count,) = connection.execute(_HELD).fetchone()
    yield Finding("holds", "ok", str(count), {"executions": count})


def _leases(connection: sqlite3.Connection, now: int) -> Finding:
    """Leases whose holders are gone and that something still names: whoever runs next takes it over, or must."""
    runs = left = 0
    living = 0
    for lease, host, pid, started, expires_at in connection.execute(
        "SELECT id, host, pid, started, expires_at FROM leases"
    ).fetchall():
        if Holder(host, pid, started).is_alive(expires_at, now):
            living += 1
            continue
        of_runs, of_others = connection.execute(_HELD_BY, {"lease": lease}).fetchone()
        runs, left = runs + of_runs, left + of_others
    figures = {"living": living, "stuck_runs": runs, "left_running": left}
    if not runs and not left:
        return Finding("leases", "ok", f"{living} living", figures)
    parts = [f"{runs} runs wait for a server to take them over"] if runs else []
    parts += [f"{left} executions were left running by a process that is gone"] if left else []
    return Finding("leases", "warning", "; ".join(parts), figures)


def _mb(size: int) -> str:
    return f"{size / 2**20:.1f} MB"
