"""The schema of the file over time: create, upgrade, downgrade, check, back up. The only importer of Alembic.

Alembic's default on SQLite runs DDL outside any transaction, so a migration that fails or is killed leaves a file between
two schemas. Here every run is one explicit BEGIN IMMEDIATE transaction: other upgraders wait for it, and it is all there or
not at all. Foreign keys are off meanwhile, as SQLite's own recipe for changing tables wants
(https://www.sqlite.org/lang_altertable.html#otheralter), and are checked before COMMIT.
"""

import glob
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from restpoint.engine import (
    BUSY_TIMEOUT_SECONDS,
    check_revision,
    create_empty,
    file_revision,
    inspect,
    locate,
    storage_error,
    use_log,
    writing_engine,
)
from restpoint.errors import DamagedFile, InvalidArgument, SchemaTooNew, SchemaTooOld, StorageError, UnusableFile
from restpoint.schema import REVISION, ddl, metadata

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from sqlalchemy import Connection

DEFAULT_URL: Final = "sqlite+aiosqlite:///restpoint.db"


def scripts() -> Path:
    """The folder of the revisions: in the installed package, or at the top of a checkout."""
    here = Path(__file__).resolve()
    packaged = here.parent / "migrations"
    return packaged if packaged.is_dir() else here.parents[2] / "migrations"


def prepare(path: Path, mode: Literal["refuse", "auto"] = "refuse") -> None:
    """Make sure that a file at the current revision stands at ``path``.

    Creates a new one; raises ``SchemaTooOld`` for an old one, or upgrades it when ``mode`` is ``auto``; always raises
    ``SchemaTooNew`` for a newer one. Creates nothing where it raises.
    """
    if mode not in {"refuse", "auto"}:
        raise InvalidArgument(f"migrate is 'refuse' or 'auto', not {mode!r}.")
    kind = inspect(path)
    if kind == "file":
        with _connected(path) as connection:
            try:
                check_revision(connection, path)
            except SchemaTooOld:
                if mode == "refuse" and file_revision(connection, path) is not None:
                    raise
            else:
                return
    upgrade(path)


def upgrade(path: Path, revision: str = "head") -> Path | None:
    """Bring the file to ``revision``, creating it if it is absent; where it held anything, a backup is made first.

    Returns the backup, or None. Raises ``SchemaTooNew`` for a file whose revision this program does not know.
    """
    return _migrate(path, revision, "upgrade")


def downgrade(path: Path, revision: str) -> Path | None:
    """Take the file back to ``revision`` (``base``: no tables at all). Returns the backup, or None."""
    if inspect(path) != "file":
        raise UnusableFile(f"{path} holds nothing to downgrade.")
    return _migrate(path, revision, "downgrade")


def current(path: Path) -> str | None:
    """The revision of the file; None where it has none."""
    if inspect(path) == "absent":
        raise UnusableFile(f"{path} does not exist; run: restpoint db upgrade --database {path}")
    with _connected(path) as connection:
        return file_revision(connection, path)


def _migrate(path: Path, revision: str, direction: Literal["upgrade", "downgrade"]) -> Path | None:
    from alembic import command  # noqa: PLC0415 - a third of a second that most openings do not need
    from alembic.util.exc import CommandError  # noqa: PLC0415

    if not revision:
        raise InvalidArgument(f"{direction} to what? Name a revision, such as head.")
    found = current(path) if inspect(path) != "absent" else None
    if found is not None and found > REVISION:
        raise SchemaTooNew(
            f"{path} is at revision {found} and this program knows {REVISION}; use the release that wrote it."
        )
    create_empty(path)
    config = _config()
    config.attributes["path"] = path
    try:
        getattr(command, direction)(config, revision)
    except CommandError as error:
        raise InvalidArgument(f"{direction} to {revision!r} is not possible: {error}.") from error
    backup: Path | None = config.attributes.get("backup")
    return backup


def _config() -> "Config":
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


# --- What migrations/env.py runs -------------------------------------------------------------------------------------


def run_environment(context: "EnvironmentContext") -> None:
    """One run of Alembic, begun by this module or by the ``alembic`` command in a checkout."""
    config = context.config
    if context.is_offline_mode():
        context.configure(dialect_name="sqlite", target_metadata=metadata, literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
        return
    path = config.attributes.get("path")
    if path is None:
        path = locate(os.environ.get("RESTPOINT_DATABASE") or config.get_main_option("sqlalchemy.url") or DEFAULT_URL)
        if inspect(path) == "file":
            current(path)  # refuses another program's file before anything is said to it
        create_empty(path)
    engine = writing_engine(path)
    try:
        with engine.connect() as connection:
            # What must be said outside a transaction, some of it only to a file that is still empty.
            use_log(
                _driver(connection),
                f"busy_timeout = {int(BUSY_TIMEOUT_SECONDS * 1000)}",
                "foreign_keys = OFF",
                "auto_vacuum = INCREMENTAL",
            )
            _run(context, connection, path)
    except Exception as error:
        cause = getattr(error, "orig", error)
        if isinstance(cause, sqlite3.Error | UnicodeDecodeError):
            raise storage_error(cause) from error
        raise
    finally:
        engine.dispose()


def _run(context: "EnvironmentContext", connection: "Connection", path: Path) -> None:
    driver = _driver(connection)
    with connection.begin():
        before = file_revision(driver, path)
        applied: list[str] = []
        context.configure(
            connection=connection,
            target_metadata=metadata,
            transactional_ddl=True,
            on_version_apply=lambda **step: applied.append(str(step["step"])),
        )
        with context.begin_transaction():
            context.run_migrations()
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise DamagedFile(
                f"The migration would leave {len(broken)} rows without what they refer to; nothing was changed."
            )
        if applied and before is not None:
            # Another connection still sees the file as it was: the transaction has not been committed.
            for unfinished in path.parent.glob(f"{glob.escape(path.name)}.*.bak.unfinished"):
                unfinished.unlink(missing_ok=True)  # of a migration that was killed; nobody else is in here
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
            target = path.with_name(f"{path.name}.{before}-{stamp}.bak")
            backup(path, target)
            context.config.attributes["backup"] = target


def _driver(connection: "Connection") -> sqlite3.Connection:
    driver: Any = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - the engine is ours
    return driver


# --- Backup and check ------------------------------------------------------------------------------------------------


def backup(path: Path, target: Path) -> None:
    """Copy the file as it is at one moment, while others use it. The copy is checked before it gets its name.

    Raises ``UnusableFile`` where ``target`` exists.
    """
    if inspect(path) != "file":
        raise UnusableFile(f"{path} holds nothing to back up.")
    current(path)  # refuses another program's file
    if target.exists() or target.is_symlink():
        raise UnusableFile(f"{target} exists; name a new file for the backup.")
    unfinished = target.with_name(f"{target.name}.unfinished")
    inspect(unfinished)
    create_empty(unfinished)
    try:
        with _connected(path) as source, closing(sqlite3.connect(unfinished, isolation_level=None)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE").fetchall()
            problems = [row[0] for row in copy.execute("PRAGMA quick_check").fetchall() if row[0] != "ok"]
        if problems:
            raise DamagedFile(f"The copy does not pass SQLite's check ({problems[0]}); restore an older backup.")
        _flush(unfinished)
        unfinished.replace(target)
    except sqlite3.Error as error:
        raise storage_error(error) from error
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise UnusableFile(f"{target} cannot be written: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def check(path: Path) -> list[tuple[str, bool, str]]:
    """Is the file what this program expects, and whole? Each check with its outcome and a word on it."""
    if inspect(path) != "file":
        raise UnusableFile(f"{path} holds nothing to check.")
    with _connected(path) as connection:
        revision = file_revision(connection, path)
        integrity = [str(row[0]) for row in connection.execute("PRAGMA integrity_check").fetchall()]
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall())
    expected = ddl()
    differing = sorted(name for name, sql in expected.items() if _normal(found.get(name)) != _normal(sql))
    return [
        ("revision", revision == REVISION, f"{revision}, this program needs {REVISION}"),
        (
            "schema",
            not differing,
            f"differs in {', '.join(differing)}" if differing else f"{len(expected)} objects as expected",
        ),
        ("integrity", integrity == ["ok"], "; ".join(integrity[:3])),
        ("foreign keys", not orphans, f"{len(orphans)} rows refer to nothing" if orphans else "ok"),
    ]


def _normal(sql: str | None) -> str:
    return "" if sql is None else " ".join(sql.replace('"', "").split())


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _connected:  # noqa: N801 - a context manager
    """A plain connection that reads, with SQLite's errors translated."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._connection = sqlite3.connect(self._path, isolation_level=None, timeout=BUSY_TIMEOUT_SECONDS)
        except sqlite3.Error as error:
            raise storage_error(error) from error
        return self._connection

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._connection.close()
        if isinstance(error, sqlite3.Error | UnicodeDecodeError):
            translated = storage_error(error)
            if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB":
                translated = UnusableFile(f"{self._path} is not a SQLite database; name another file.", "SQLITE_NOTADB")
            raise translated from error
