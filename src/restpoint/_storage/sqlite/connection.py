"""How the file is found and opened, what SQLite's failures mean, and which revision of the file this program accepts.

This program reads and writes files of one revision only: ``check_revision`` says what to do with a file of another one.
"""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import aiosqlite
from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Executable,
    Select,
    bindparam,
    func,
    literal_column,
    make_url,
    select,
)
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.exc import ArgumentError

from restpoint import errors
from restpoint._storage.schema import APPLICATION_ID, REVISION, alembic_version, sqlite_master
from restpoint._storage.sqlite import guard

Synchronous = Literal["FULL", "NORMAL"]
Connection = sqlite3.Connection

BUSY_TIMEOUT_SECONDS: Final = 30.0
_HEADER_BYTES: Final = 100  # https://www.sqlite.org/fileformat2.html, section 1.3
_MINIMUM_SQLITE: Final = (3, 35, 0)  # RETURNING
_WAL_LIMIT_BYTES: Final = 32 * 1024 * 1024
_CACHE_KIB: Final = 16 * 1024


# Two for all statements, because a dialect remembers what it found out about types: half of the time that compiling takes.
_BY_NAME: Final = sqlite_dialect.dialect(paramstyle="named")
_BY_PLACE: Final = sqlite_dialect.dialect(paramstyle="qmark")


def prepare(statement: Executable, *, order: tuple[str, ...] = ()) -> str:
    """The SQL of a Core statement, compiled once, with ``:name`` for every bind parameter.

    With ``order``, the names of all parameters, it takes a tuple in that order instead: binding by name costs the busiest
    statements a quarter of a microsecond for each.
    """
    compiled = statement.compile(dialect=_BY_PLACE if order else _BY_NAME)  # type: ignore[attr-defined]
    unnamed = [name for name, value in compiled.params.items() if value is not None]
    if unnamed or (order and tuple(compiled.positiontup) != order):
        raise AssertionError(f"{compiled} takes {compiled.positiontup}, not {order}; without a name: {unnamed}")
    return str(compiled)


ZERO: Final[ColumnElement[int]] = literal_column("0")
ONE: Final[ColumnElement[int]] = literal_column("1")


def word(text: str) -> ColumnElement[str]:
    """A word of restpoint's own, such as a status, in the SQL itself and not as a parameter."""
    return literal_column(f"'{text}'")


def words(texts: Iterable[str]) -> list[ColumnElement[str]]:
    """``word`` of each text."""
    return [word(text) for text in texts]


def listed(name: str) -> Select[Any]:
    """The values of a parameter that is a JSON list."""
    return select(literal_column("value")).select_from(func.json_each(bindparam(name)))


def limited(statement: Select[Any] | CompoundSelect[Any], most: str | ColumnElement[int] = "max") -> Any:
    """The statement with ``LIMIT``. Left to itself, SQLAlchemy adds an OFFSET whose zero is a parameter without a name."""
    return statement.limit(bindparam(most) if isinstance(most, str) else most).offset(ZERO)


# --- Where the file is -----------------------------------------------------------------------------------------------


def locate(database: str | os.PathLike[str]) -> Path:
    """The absolute path that ``database`` means: a path, or a URL such as ``sqlite+aiosqlite:///restpoint.db``.

    Raises ``InvalidArgument`` for another database than SQLite and for one in memory, which could survive nothing.
    """
    text = os.fspath(database)
    if "://" in text:
        try:
            url = make_url(text)
        except (ArgumentError, ValueError) as error:
            raise errors.InvalidArgument(
                f"{text!r} is not a database URL ({error}); use sqlite+aiosqlite:///PATH."
            ) from None
        if url.get_backend_name() != "sqlite":
            raise errors.InvalidArgument(
                f"{url.drivername} is not supported; restpoint keeps one SQLite file, sqlite+aiosqlite:///PATH."
            )
        text = url.database or ""
    if not text or text == ":memory:" or text.startswith("file:"):
        raise errors.InvalidArgument(
            f"{text or 'an empty name'!r} names no file; give a path, so that there is something to survive in."
        )
    if "\x00" in text:
        raise errors.InvalidArgument("The path of the database has a NUL character.")
    return Path(text).absolute()


def inspect(path: Path) -> Literal["absent", "empty", "file"]:
    """What stands at ``path``, with a clear ``UnusableFile`` for what cannot become or be a restpoint file.

    Creates and changes nothing.
    """
    if sqlite3.sqlite_version_info < _MINIMUM_SQLITE:
        raise errors.UnusableFile(f"This Python has SQLite {sqlite3.sqlite_version}; restpoint needs 3.35 or later.")
    try:
        problem = _problem(path)
        size = path.stat().st_size if path.exists() else None
    except OSError as error:
        raise errors.UnusableFile(f"{path} cannot be used: {error.strerror or error}.") from error
    if problem is not None:
        raise errors.UnusableFile(problem)
    if size is not None and 0 < size < _HEADER_BYTES:  # SQLite would take one byte for none at all
        raise errors.UnusableFile(f"{path} is not a SQLite database; name another file.", "SQLITE_NOTADB")
    if size is None:
        return "absent"
    return "file" if size else "empty"


def _problem(path: Path) -> str | None:
    folder_is_writable = os.access(path.parent, os.W_OK | os.X_OK)
    checks = (
        (
            path.is_symlink() and not path.exists(),
            f"{path} is a symbolic link to nothing; point it at a file or remove it.",
        ),
        (path.is_dir(), f"{path} is a directory; name a file in it."),
        (not path.parent.is_dir(), f"The folder {path.parent} does not exist; create it first."),
        (path.exists() and not path.is_file(), f"{path} is not a regular file; name another one."),
        (
            path.exists() and not os.access(path, os.R_OK | os.W_OK),
            f"{path} cannot be read and written; change its permissions.",
        ),
        (
            not folder_is_writable,
            f"The folder {path.parent} cannot be written to, and SQLite keeps its log beside the file; change its permissions.",
        ),
    )
    return next((problem for wrong, problem in checks if wrong), None)


def create_empty(path: Path) -> None:
    """Make an empty file readable by its owner only; SQLite gives its log and index the same mode. Leaves one that exists."""
    if path.exists():
        return
    try:
        with suppress(FileExistsError):  # never close a descriptor of a file that may be open: see ``guard``
            os.close(os.open(path.resolve(), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise errors.UnusableFile(f"{path} cannot be created: {error.strerror}.") from error


STAMP: Final = "%Y%m%dT%H%M%S%fZ"
"""How the name of a backup or of a replaced file gives its time, in UTC. Names sort by time."""


def beside(path: Path, kind: str, what: str = "") -> Path:
    """A name beside the file for what it is now, such as ``restpoint.db.20261129T120000000000Z.replaced``."""
    return path.with_name(f"{path.name}.{what}{datetime.now(UTC).strftime(STAMP)}.{kind}")


def set_log_aside(path: Path, aside: Path) -> None:
    """Move a log that is at ``path`` beside ``aside``: SQLite would take it for that of the next file there. Opens nothing."""
    log = path.with_name(f"{path.name}-wal")
    if log.exists():
        log.rename(aside.with_name(f"{aside.name}-wal"))
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)


# --- Errors ----------------------------------------------------------------------------------------------------------


def storage_error(error: Exception) -> errors.StorageError:
    """What a failure of SQLite means to the caller. https://www.sqlite.org/rescode.html has the names."""
    if isinstance(error, errors.StorageError):
        return error
    name = getattr(error, "sqlite_errorname", None) or ""
    if isinstance(error, UnicodeDecodeError) or name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return errors.DamagedFile(f"The database file is damaged ({error}); restore a backup.", name or None)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return errors.StorageBusy(
            "Another program kept the database file locked for too long; nothing was written.", name
        )
    if name in {"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"}:  # the second for the 32 kB of the index of the log
        return errors.StorageFull(
            "There is no room for this write; make room and try again. Nothing was written.", name
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return errors.UnusableFile(f"The database file cannot be opened or written ({error}).", name)
    return errors.StorageError(
        f"The write or read failed ({error}); what this call asked for was not acknowledged.", name or None
    )


# --- Opening ---------------------------------------------------------------------------------------------------------


Mode = Literal["write", "read", "glance", "alone", "sealed"]
"""What a connection is for.

- ``write``: the connection of the writer. Its statements do not wait for a lock; the writer itself waits at BEGIN.
- ``read``: cannot write, and waits for a lock.
- ``glance``: cannot write, does not wait for a lock, and keeps next to nothing in memory.
- ``alone``: for an operator's tool that works on the whole file (VACUUM, folding the log in, a copy that is being made).
- ``sealed``: reads a file beside which nothing may be created, such as a backup in a folder that nobody may write to.
"""

_READING: Final = ("foreign_keys = ON", "query_only = ON", "cell_size_check = ON", f"cache_size = -{_CACHE_KIB}")
_PRAGMAS: Final[dict[Mode, tuple[str, ...]]] = {
    "write": (
        "foreign_keys = ON",
        f"journal_size_limit = {_WAL_LIMIT_BYTES}",
        f"cache_size = -{_CACHE_KIB}",
        "cell_size_check = ON",
        # Overwrite what is deleted, whatever this SQLite was built to do. FAST would leave it in the pages that come free, and
        # so in backups and behind an erasure that was cut short. It costs a trip nothing; a sweep writes 3.8 kB for each
        # execution instead of 3.2 kB, and where results fill pages of their own, as much again as writing them did.
        "secure_delete = ON",
        "busy_timeout = 0",
    ),
    "read": _READING,
    "glance": ("query_only = ON",),
    "alone": (),
    "sealed": _READING,
}


def open_connection(
    path: Path, mode: Mode = "read", *, synchronous: Synchronous = "FULL", wait: float = BUSY_TIMEOUT_SECONDS
) -> sqlite3.Connection:
    """Open a file that exists. Every connection to a file is made here, and by ``reading_connection`` for the event loop.

    The driver is in autocommit mode, so the transactions are ours (https://docs.python.org/3/library/sqlite3.html), and any
    one thread at a time may use the connection. ``wait`` is how many seconds a statement waits for a lock; ``write`` and
    ``glance`` do not wait. Never creates a file. Raises ``sqlite3.Error``; ``opened`` translates it.
    """
    connection = sqlite3.connect(
        _uri(path, mode),
        uri=True,
        isolation_level=None,
        timeout=0 if mode == "glance" else wait,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        _configure(connection, mode, synchronous)
    except BaseException:
        connection.close()
        raise
    return connection


def _uri(path: Path, mode: Mode) -> str:
    """The file as SQLite's URI (https://www.sqlite.org/uri.html): ``mode=rw`` opens what exists and creates nothing."""
    options = "mode=rw"
    if mode == "sealed":
        # SQLite wants to make the index of a log, unless the file is said not to change. It does not without its log.
        options = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
    return f"{path.absolute().as_uri()}?{options}"


def _configure(connection: Any, mode: Mode, synchronous: Synchronous = "FULL") -> None:
    cursor = connection.cursor()
    try:
        if mode == "write":
            cursor.execute(f"PRAGMA synchronous = {synchronous}")
        for pragma in _PRAGMAS[mode]:
            cursor.execute(f"PRAGMA {pragma}")
    finally:
        cursor.close()


def reading_connection(path: Path, opened: sqlite3.Connection | None = None) -> aiosqlite.Connection:
    """A connection of mode ``read`` for the event loop, which opens when it is awaited. It keeps no process from ending.

    Where one is ``opened`` already, it is that one.
    """
    opening = partial(open_connection, path) if opened is None else lambda: opened
    connection = aiosqlite.Connection(opening, iter_chunk_size=64)
    connection._thread.daemon = True  # noqa: SLF001 - aiosqlite has no other way to say it
    return connection


@contextmanager
def opened(
    path: Path, mode: Mode = "read", *, wait: float = BUSY_TIMEOUT_SECONDS, instead: str = "another file"
) -> Iterator[sqlite3.Connection]:
    """``open_connection`` as a context manager that translates SQLite's errors into ``StorageError`` and its kinds.

    For a file that is no database the message says what to name ``instead``.
    """
    try:
        with guard.in_use(path), closing(open_connection(path, mode, wait=wait)) as connection:
            yield connection
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise opening_error(error, path, instead) from error


def opening_error(error: Exception, path: Path, instead: str = "another file") -> errors.StorageError:
    """What a failure of SQLite means to who opens a file. For one that is no database it says what to name ``instead``."""
    if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB":
        return errors.UnusableFile(f"{path} is not a SQLite database; name {instead}.", "SQLITE_NOTADB")
    return storage_error(error)


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of mode ``read`` on a file of this program's revision, for code that reads much, outside the event loop.

    Raises ``UnusableFile``, ``DamagedFile``, ``SchemaTooOld`` and ``SchemaTooNew``.
    """
    if inspect(path) != "file":
        raise errors.UnusableFile(f"{path} holds no tables; run: restpoint db upgrade --database {path}")
    with opened(path) as connection:
        check_revision(connection, path)
        yield connection


def use_log(connection: sqlite3.Connection, *before: str) -> None:
    """Turn on write-ahead logging (https://www.sqlite.org/wal.html), which the file keeps; a restored backup has it off.

    ``before`` are pragmas to run first. Changing the journal mode needs the file exclusively and does not wait by itself, so
    this function waits, for at most ``BUSY_TIMEOUT_SECONDS``.
    """
    give_up = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            for pragma in (*before, "journal_mode = WAL"):
                connection.execute(f"PRAGMA {pragma}").fetchall()
        except sqlite3.OperationalError as error:
            if not (error.sqlite_errorname or "").startswith("SQLITE_BUSY") or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


# --- The revision of the file ----------------------------------------------------------------------------------------


REVISION_OF_FILE: Final = prepare(select(alembic_version.c.version_num))
_TABLES: Final = prepare(select(sqlite_master.c.name).where(sqlite_master.c.type == word("table")))


def check_revision(connection: sqlite3.Connection, path: Path) -> None:
    """The gate: raises ``SchemaTooOld``, ``SchemaTooNew`` or ``UnusableFile`` unless the file is at ``REVISION``."""
    revision = file_revision(connection, path)
    if revision == REVISION:
        return
    if revision is None or revision < REVISION:
        raise errors.SchemaTooOld(
            f"{path} is at revision {revision or 'none'} and this program needs {REVISION}; "
            f"run: restpoint db upgrade --database {path}"
        )
    raise errors.SchemaTooNew(
        f"{path} is at revision {revision}, written by a newer restpoint than this one, which knows {REVISION}; "
        "start the newer release, or restore the backup that its upgrade made."
    )


def file_revision(connection: sqlite3.Connection, path: Path) -> str | None:
    """The Alembic revision of the file; none for a file without tables. Raises ``UnusableFile`` for another program's."""
    names = {name for (name,) in connection.execute(_TABLES)}
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if names - {"alembic_version", "sqlite_sequence", "sqlite_stat1"} and application != APPLICATION_ID:
        raise errors.UnusableFile(f"{path} is a SQLite file of another program; name another file.")
    if "alembic_version" not in names:
        return None
    row = connection.execute(REVISION_OF_FILE).fetchone()
    return None if row is None else str(row[0])
