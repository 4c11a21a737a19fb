"""The checks of ``restpoint db check``: each gives its figures, a few words, and how bad it is.

They read through a connection of their own, while others use the file. The checks whose cost grows with the file (SQLite's full
check, the chain of the history) can be left out. While SQLite checks the whole file, its log cannot be folded in, so on a large
and busy file run the quick checks every minute and all of them every night.
"""

import glob
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import bindparam, case, func, select, union_all

from restpoint._core.timestamps import span
from restpoint._storage import leases, progress, verification
from restpoint._storage.leases import Holder
from restpoint._storage.schema import consents, executions, interactions, outbox, routes
from restpoint._storage.sqlite import migrations
from restpoint._storage.sqlite.connection import ONE, ZERO, listed, opened, prepare, word, words
from restpoint.lifecycle import OPEN

Severity = Literal["ok", "warning", "error"]

LARGE_LOG_BYTES: Final = 64 * 1024 * 1024
"""A log larger than this is not being folded in, because some program keeps a snapshot open."""

OVERDUE: Final = 60_000  # milliseconds after its deadline; by then a wait should have expired
UNSWEPT: Final = (
    600_000  # milliseconds after its time to live; by then the sweep, which runs now and then, should have come
)
UNTOLD: Final = 60_000  # milliseconds after it was due; by then a notice should have been tried
FAILING: Final = 3_600_000  # milliseconds after it was written; by then an outage that ends by itself has ended
_LARGE_FREE_PAGES: Final = 16_384  # 64 MB

_e, _i, _c, _o = executions.c, interactions.c, consents.c, outbox.c
_pending = _i.status == word("pending")
_open = _c.status.in_(words(OPEN))
_waits = union_all(
    select(_i.created_at, _i.deadline_at).where(_pending), select(_c.created_at, _c.deadline_at).where(_open)
).subquery()
_is_overdue = case((_waits.c.deadline_at < bindparam("overdue"), ONE), else_=ZERO)
_OLDEST_WAIT: Final = prepare(select(func.count(), func.min(_waits.c.created_at), func.sum(_is_overdue)))
_HELD_BY: Final = prepare(
    select(
        select(func.count())
        .select_from(executions)
        .where(_e.lease == bindparam("lease"), _e.ready.is_not(None))
        .scalar_subquery(),
        select(func.count())
        .select_from(executions)
        .where(
            _e.lease == bindparam("lease"),
            _e.status == word("running"),
            _e.ready.is_(None),
        )
        .scalar_subquery(),
    )
)
_EXPIRED: Final = prepare(
    select(func.count(), func.min(_e.expires_at)).where(
        _e.hold.is_(None), _e.expires_at.is_not(None), _e.expires_at < bindparam("overdue")
    )
)
_PROBLEMS: Final = prepare(select(func.count(), func.min(_e.id), _e.problem).where(_e.problem.is_not(None)))
_notice = select(_o.lease, _o.created_at, _o.due_at, _o.attempts, _o.problem).where(_o.status == word("pending"))
# Those that are claimed, and those that are not, each by the index of them.
_p = union_all(_notice.where(_o.lease.is_(None)), _notice.where(_o.lease.is_not(None))).subquery().c
_NOTICES: Final = prepare(
    select(
        func.count(),
        func.min(_p.created_at),
        func.count().filter(_p.due_at < bindparam("overdue"), _p.lease.is_(None) | _p.lease.not_in(listed("heard"))),
        func.count().filter(_p.attempts > ZERO, _p.problem.is_not(None), _p.created_at < bindparam("long_ago")),
        select(func.count()).select_from(outbox).where(_o.status == word("given_up")).scalar_subquery(),
    )
)
_DISABLED: Final = prepare(select(routes.c.name).distinct().where(routes.c.disabled_at.is_not(None)))
_HELD: Final = prepare(select(func.count()).select_from(executions).where(_e.hold.is_not(None)))


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check. ``figures`` are for programs: times in milliseconds, sizes in bytes."""

    name: str
    severity: Severity
    word: str
    figures: Mapping[str, Any] = field(default_factory=dict)


def worst(findings: list[Finding]) -> Severity:
    """Return the severity of the worst finding."""
    for severity in ("error", "warning"):
        if any(each.severity == severity for each in findings):
            return severity
    return "ok"


def examine(path: Path, now: int, *, quick: bool = False) -> list[Finding]:
    """Run all checks at ``now`` (milliseconds since the epoch). ``quick`` leaves out those whose cost grows with the file.

    Raises ``UnusableFile`` for what is no file of restpoint's, and ``DamagedFile`` where SQLite cannot even go on looking.
    """
    findings = [
        Finding(name, "ok" if fine else "error", word) for name, fine, word in migrations.check(path, quick=quick)
    ]
    with opened(path) as connection:
        if worst(findings) != "ok":
            return findings  # the tables that the other checks read may not be there
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
    path = path.resolve()  # SQLite keeps the log beside what a link leads to
    log = path.with_name(f"{path.name}-wal")
    size = log.stat().st_size if log.exists() else 0
    if left := sorted(path.parent.glob(f"{glob.escape(path.name)}.*.replaced-wal")):
        word = f"{_mb(size)}; {left[-1].name} is the log of a file that was replaced: delete it if nothing is missing"
        return Finding("log", "warning", word, {"bytes": size})
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
    more = "; run: restpoint list --problem" if count > 1 else ""
    word = f"{count} that no runner can go on with, such as {execution_id}: {problem}{more}" if count else "none"
    yield Finding("problems", "warning" if count else "ok", word, {"runs": count})
    count, execution_id, problem = progress.stranded(connection, now)
    others, more = (f", and {count - 1} others", "; run: restpoint list --problem") if count > 1 else ("", "")
    word = "every execution that runs has a process"
    if count:
        word = f"nobody goes on with {execution_id}{others}: {problem}{more}"
    yield Finding("running", "warning" if count else "ok", word, {"stranded": count})
    yield _outbox(connection, now)
    (count,) = connection.execute(_HELD).fetchone()
    yield Finding("holds", "ok", str(count), {"executions": count})


def _leases(connection: sqlite3.Connection, now: int) -> Finding:
    """Look for leases of dead holders that runs or executions still name: someone must take those over."""
    runs = left = 0
    living = 0
    for lease, host, pid, started, expires_at in connection.execute(leases.ALL).fetchall():
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


def _outbox(connection: sqlite3.Connection, now: int) -> Finding:
    """Look at what is told to people: what nobody sends, what fails, what was given up, and routes that are disabled."""
    # Whoever is gone or stands still sends nothing of what it has claimed.
    heard = [
        lease
        for lease, *holder, until in connection.execute(leases.ALL).fetchall()
        if now < until and Holder(*holder).is_alive(until, now)
    ]
    which = {"overdue": now - UNTOLD, "long_ago": now - FAILING, "heard": json.dumps(heard)}
    pending, oldest, overdue, failing, given_up = connection.execute(_NOTICES, which).fetchone()
    disabled = [name for (name,) in connection.execute(_DISABLED).fetchall()]
    figures = {
        "pending": pending, "overdue": overdue, "failing": failing, "given_up": given_up, "disabled_routes": disabled
    }  # fmt: skip
    age = "" if oldest is None else f", the oldest for {span(max(now - oldest, 0) // 1000)}"
    parts = [f"{pending} notices wait{age}" if pending else "no notice waits"]
    if overdue:
        parts.append(f"{overdue} are due and nobody sends them: run a server with --routes")
    if failing:
        parts.append(f"{failing} have failed for over an hour; see: restpoint outbox list --status pending")
    if given_up:
        parts.append(f"{given_up} were given up; see: restpoint outbox list --status given_up")
    if disabled:
        parts.append(f"the receiver is gone of {', '.join(disabled)}; see: restpoint routes list")
    severity: Severity = "warning" if overdue or failing or given_up or disabled else "ok"
    return Finding("outbox", severity, "; ".join(parts), figures)


def _mb(size: int) -> str:
    return f"{size / 2**20:.1f} MB"
