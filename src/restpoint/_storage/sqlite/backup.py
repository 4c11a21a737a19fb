"""Backups of the file: written while it is in use, verified before they get their name, rotated, and restored.

A backup is one file that needs nothing beside it: SQLite's online copy (https://www.sqlite.org/backup.html) with the log
folded in. It is the file at one moment, whatever is written meanwhile. A backup gets its name only after it was read back:
SQLite's checks pass, every foreign key refers to a row, and the history is unbroken from its anchor to its head. So a file with
the name of a backup is a good one.
"""

import fcntl
import glob
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import delete

from restpoint._core.secret_files import flush
from restpoint._core.serialization import encode
from restpoint._storage.history import HEAD, append
from restpoint._storage.schema import APPLICATION_ID, REVISION, sessions
from restpoint._storage.sqlite import guard
from restpoint._storage.sqlite.connection import (
    STAMP,
    beside,
    create_empty,
    file_revision,
    inspect,
    open_connection,
    opened,
    prepare,
    set_log_aside,
    storage_error,
)
from restpoint._storage.sqlite.database import Transaction
from restpoint.errors import DamagedFile, InvalidArgument, SchemaTooNew, StorageBusy, StorageError, UnusableFile
from restpoint.events import EventKind

_HEADER: Final = b"SQLite format 3\x00"
_STAMPED: Final = r"\d{8}T\d{12}Z"
_IN_USE_SECONDS: Final = 1.0
_SIGN_OUT: Final = prepare(delete(sessions))
_PAGES_AT_ONCE: Final = -1  # all: SQLite copies a log's snapshot without keeping writers waiting


# --- Writing ---------------------------------------------------------------------------------------------------------


def backup(path: Path, target: Path, *, verified: bool = True) -> None:
    """Copy the file as it is at one moment, while others use it. The copy gets its name once it has been verified.

    With ``verified=False`` only SQLite's quick check is made, so that a file with a damaged history can be kept as evidence.
    Raises ``UnusableFile`` where ``target`` exists, and ``DamagedFile``; both leave nothing behind.
    """
    if inspect(path) != "file":
        raise UnusableFile(f"{path} holds nothing to back up.")
    with opened(path) as source:
        file_revision(source, path)  # refuses another program's file
    if target.exists() or target.is_symlink():
        raise UnusableFile(f"{target} exists; name a new file for the backup.")
    unfinished = target.with_name(f"{target.name}.unfinished")
    inspect(unfinished)
    create_empty(unfinished)
    try:
        with opened(path) as source:
            _copy(source, unfinished, verified=verified)
        flush(unfinished)
        unfinished.replace(target)
        flush(target.parent)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise UnusableFile(f"{target} cannot be written: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def stamped(path: Path, folder: Path) -> Path:
    """Return a name in ``folder`` for a backup of ``path`` made now. ``rotate`` recognises names of this form."""
    return folder / f"{path.name}.{datetime.now(UTC).strftime(STAMP)}.backup"


def left_behind(path: Path) -> list[Path]:
    """Return what a file that was at ``path`` has left: its log, its key ring, backups, the newest first."""
    log, ring = path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}.keys")
    left = [log] if log.is_file() and log.stat().st_size else []
    kinds = ("backup", "bak", "replaced")
    copies = [each for kind in kinds for each in path.parent.glob(f"{glob.escape(path.name)}.*.{kind}")]
    left += sorted(copies, key=lambda each: each.name, reverse=True)
    return left + ([ring] if ring.is_file() else [])


def rotate(path: Path, folder: Path, keep: int) -> list[Path]:
    """Delete all but the ``keep`` newest backups of ``path`` in ``folder``, and return those that were deleted.

    Deletes only regular files with a name by ``stamped`` that are restpoint files. Raises ``InvalidArgument``.
    """
    if keep < 1:
        raise InvalidArgument(f"keep is {keep}; keep at least the backup that has just been made.")
    name = re.compile(rf"{re.escape(path.name)}\.{_STAMPED}\.backup")
    ours = sorted(entry for entry in folder.iterdir() if name.fullmatch(entry.name) and _is_ours(entry))
    gone = ours[:-keep]
    for old in gone:
        old.unlink(missing_ok=True)
    return gone


def _is_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    header = guard.beginning(path, 72)
    # https://www.sqlite.org/fileformat2.html, section 1.3: the application id is at offset 68.
    return header[: len(_HEADER)] == _HEADER and int.from_bytes(header[68:72], "big") == APPLICATION_ID


def _copy(source: sqlite3.Connection, target: Path, *, verified: bool) -> None:
    try:
        with closing(open_connection(target, "alone")) as copy:
            source.backup(copy, pages=_PAGES_AT_ONCE)
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()
            problem = first_problem(copy, thorough=verified)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise storage_error(error) from error
    if problem is not None:
        raise DamagedFile(f"The copy does not pass its check ({problem}); it was not kept. See: restpoint db check")


def first_problem(connection: sqlite3.Connection, *, thorough: bool = True) -> str | None:
    """Return what is wrong with a file, in a few words; None where nothing is."""
    pragma = "integrity_check" if thorough else "quick_check"
    problems = [str(row[0]) for row in connection.execute(f"PRAGMA {pragma}").fetchall() if row[0] != "ok"]
    if problems:
        return problems[0]
    if not thorough:
        return None
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        return "rows refer to nothing"
    # Not with the module, because every store that opens its file would wait for the SQL of the verification to be compiled.
    from restpoint._storage.verification import verify

    findings = verify(connection).findings
    return findings[0].what.removesuffix(".") if findings else None


# --- Putting back ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. ``replaced`` is where the file that was replaced is kept; None where there was none."""

    revision: str
    replaced: Path | None


def restore(source: Path, path: Path, actor: str | None = None) -> Restored:
    """Replace the file by a backup. The old file is kept beside it under another name, and the backup stays where it is.

    Everything is checked before anything is touched. The file is replaced in one step, so that ``path`` is at every moment
    either the old file or the restored one, whole. An event ``restored`` is appended to the history of the restored file: whoever
    compares it with a head that was kept after the backup learns why it differs.

    Raises ``UnusableFile`` (no backup of restpoint's), ``DamagedFile`` (the backup), ``SchemaTooNew`` (of a newer release),
    and ``StorageBusy`` where another process has the file open.
    """
    revision = _restorable(source, path)
    standing = inspect(path)
    unfinished = path.with_name(f"{path.name}.restoring")
    unfinished.unlink(missing_ok=True)
    create_empty(unfinished)
    try:
        with opened(source, "sealed", instead="a backup") as reading:
            _copy(reading, unfinished, verified=True)
        _sign_everybody_out(unfinished)
        with _alone(path, exists=standing != "absent") as head:
            if revision == REVISION:
                _tell(unfinished, head, source, actor)
            flush(unfinished)
            aside = beside(path, "replaced")
            set_log_aside(path, aside)
            replaced = None
            if standing == "file":
                replaced = aside
                os.link(path, aside)  # a second name
            unfinished.replace(path)
            flush(path.parent)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise UnusableFile(f"{path} cannot be replaced: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return Restored(revision, replaced)


def _restorable(source: Path, path: Path) -> str:
    """Return the revision of a backup, after checking that this program can put it at ``path``."""
    if not source.is_file():
        raise UnusableFile(f"{source} is not a file; name a backup.")
    if path.exists() and source.samefile(path):
        raise UnusableFile(f"{source} is the file itself; name a backup of it.")
    with opened(source, "sealed", instead="a backup") as connection:
        revision = file_revision(connection, source)
    if revision is None:
        raise UnusableFile(f"{source} holds no tables; name another backup.")
    if revision > REVISION:
        raise SchemaTooNew(
            f"{source} is at revision {revision}, written by a newer restpoint than this one, which knows {REVISION}; "
            "restore it with the newer release."
        )
    if path.exists() and _has_header(path):
        with suppress(DamagedFile), opened(path) as connection:  # damage is what backups are for
            file_revision(connection, path)  # refuses to replace another program's file
    return revision


def _has_header(path: Path) -> bool:
    """Whether SQLite would take the file for a database. If not, SQLite would delete its log, and data that might be saved."""
    return guard.beginning(path, len(_HEADER)) == _HEADER


@contextmanager
def _alone(path: Path, *, exists: bool) -> Iterator[dict[str, object] | None]:
    """Hold the file exclusively: nobody has it open, and nobody can open it meanwhile. Folds its log in, if it can be read.

    Gives the head of its history, or None if that cannot be read. Do not open the file inside: the operating system drops a
    process's locks on a file when it closes any descriptor of that file.
    """
    if not exists:
        yield None
        return
    head = None
    in_use = StorageBusy(f"{path} is in use; stop every program that has it open, then restore.", "SQLITE_BUSY")
    try:
        if _has_header(path):
            # Leaving WAL mode needs the file exclusively. SQLite also knows of the connections of this process.
            with closing(open_connection(path, "alone", wait=_IN_USE_SECONDS)) as connection:
                connection.execute("PRAGMA journal_mode = DELETE").fetchall()
                head = _head(connection)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if (getattr(error, "sqlite_errorname", None) or "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise in_use from error
        # Damaged: then its log is set aside with it.
    if guard.used_here(path):
        raise in_use
    with path.open("r+b") as file:
        give_up = time.monotonic() + _IN_USE_SECONDS
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, guard.LOCK_BYTES, guard.PENDING_BYTE)
                break
            except OSError as error:
                if time.monotonic() > give_up:
                    raise in_use from error
                time.sleep(0.05)
        yield head


def _tell(restored: Path, head: dict[str, object] | None, source: Path, actor: str | None) -> None:
    """Append to the history of the restored file that it was restored, and the head of the file that it replaces."""
    detail = encode({"backup": source.name, "replaced": head})
    with opened(restored, "alone") as connection:
        connection.execute("BEGIN IMMEDIATE")
        tx = Transaction(connection, time.time_ns() // 1_000_000)
        append(tx, EventKind.RESTORED, actor=actor, cause="restore", detail=detail)
        tx.flush()
        connection.execute("COMMIT")


def _sign_everybody_out(restored: Path) -> None:
    """Delete the sessions of the restored file: who signed out since the backup was made must not be signed in again."""
    with opened(restored, "alone") as connection:
        if connection.execute(f"PRAGMA table_info({sessions.name})").fetchall():  # none in a file of an older revision
            connection.execute(_SIGN_OUT)


def _head(connection: sqlite3.Connection) -> dict[str, object] | None:
    try:
        row = connection.execute(HEAD).fetchone()
        return None if row is None else {"sequence": int(row[0]), "digest": bytes(row[1]).hex()}
    except (TypeError, ValueError):
        return None  # the row holds values that we never write
