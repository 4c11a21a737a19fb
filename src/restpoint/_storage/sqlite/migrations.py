"""Creates, upgrades, downgrades and checks the schema of the file. This is the only module that imports Alembic.

By default, Alembic runs DDL on SQLite outside any transaction, so that a migration which fails or is killed leaves a file
between two schemas. Here each run is one BEGIN IMMEDIATE transaction: other upgraders wait for it, and it is done whole or not
at all. Foreign keys are off meanwhile, as SQLite's own procedure for changing tables demands
(https://www.sqlite.org/lang_altertable.html#otheralter), and are checked before COMMIT.
"""

import glob
import os
import sqlite3
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from restpoint._core import secret_files
from restpoint._core.addresses import DEFAULT_DATABASE
from restpoint._core.clock import SystemClock
from restpoint._storage.history import migrated
from restpoint._storage.schema import REVISION, ddl, metadata, sqlite_master
from restpoint._storage.sqlite import backup as backups
from restpoint._storage.sqlite.connection import (
    BUSY_TIMEOUT_SECONDS,
    beside,
    check_revision,
    create_empty,
    file_revision,
    inspect,
    locate,
    open_connection,
    opened,
    set_log_aside,
    storage_error,
    use_log,
    word,
)
from restpoint._storage.sqlite.connection import prepare as statement
from restpoint._storage.sqlite.database import Transaction
from restpoint.errors import DamagedFile, InvalidArgument, SchemaTooNew, SchemaTooOld, UnusableFile

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from sqlalchemy import Connection, Engine

Direction = Literal["upgrade", "downgrade"]

DEFAULT_URL: Final = f"sqlite+aiosqlite:///{DEFAULT_DATABASE}"


def scripts() -> Path:
    """Return the folder of the revisions: in the installed package, or at the top of a checkout."""
    here = Path(__file__).resolve()
    packaged = here.parents[2] / "migrations"
    return packaged if packaged.is_dir() else here.parents[4] / "migrations"


def prepare(path: Path, mode: Literal["refuse", "auto"] = "refuse", *, create: bool = False) -> None:
    """Make sure that a file of the current revision is at ``path``.

    Creates it if there is none; see ``upgrade`` for ``create``. For an older file it raises ``SchemaTooOld``, or upgrades it
    if ``mode`` is ``auto``; for a newer one it always raises ``SchemaTooNew``. Where it raises, it creates nothing.
    """
    kind = inspect(path)
    if kind == "file":
        with opened(path) as connection:
            try:
                check_revision(connection, path)
            except SchemaTooOld:
                if mode == "refuse" and file_revision(connection, path) is not None:
                    raise
            else:
                return
    upgrade(path, create=create)


def upgrade(path: Path, revision: str = "head", *, actor: str | None = None, create: bool = False) -> Path | None:
    """Bring the file to ``revision``; create it if it is absent. A file that held anything is backed up first.

    Where a key ring, backups or a log show that there was a file, it was deleted or moved, and a new one in its place would hide
    that: then an absent or empty file is refused with ``UnusableFile``, unless ``create`` is true.

    The history of a file that was at another revision gets an event, with the ``actor``. Returns the backup, or None.

    Raises ``SchemaTooNew`` for a file whose revision this program does not know.
    """
    _movable(path, revision, "upgrade")
    _make(path, create=create)
    return _migrate(path, revision, "upgrade", actor)


def _make(path: Path, *, create: bool) -> None:
    """Make an empty file if there is none. Raises ``UnusableFile`` where there was one, unless ``create`` is true."""
    if inspect(path) == "file":
        return
    with secret_files.folder_lock(path.parent):
        left = backups.left_behind(path)
        found = inspect(path)  # after that: a file that another process is making has a log only once it has a page
        if found != "file" and left and not create:
            raise UnusableFile(_was_here(path, left))
        if found == "absent":
            set_log_aside(path, beside(path, "replaced"))  # SQLite would delete it
            create_empty(path)


def _was_here(path: Path, left: list[Path]) -> str:
    names = ", ".join(each.name for each in left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
    backup = next((each for each in left if each.suffix in {".backup", ".bak", ".replaced"}), "BACKUP")
    return (
        f"{path} is {'empty' if path.exists() else 'missing'}, and beside it there is {names}: there was a file here, with its "
        f"executions. Move it back, or run `restpoint db restore {backup} --database {path}`, or allow a new, empty file with "
        "--create on the command line, create=True in Python."
    )


def downgrade(path: Path, revision: str, *, actor: str | None = None) -> Path | None:
    """Take the file back to ``revision`` (``base``: no tables at all). Returns the backup, or None.

    The history gets an event, with the ``actor``, if the file still has a history.
    """
    if inspect(path) != "file":
        raise UnusableFile(f"{path} holds nothing to downgrade.")
    return _migrate(path, revision, "downgrade", actor)


def current(path: Path) -> str | None:
    """Return the revision of the file; None where it has none. Raises ``UnusableFile``."""
    if inspect(path) == "absent":
        raise UnusableFile(
            f"{path} does not exist. Name another file with --database, or make this one with: "
            f"restpoint db upgrade --database {path}"
        )
    with opened(path) as connection:
        return file_revision(connection, path)


def plan(path: Path, revision: str, direction: Direction) -> str:
    """Return the SQL that would bring the file to ``revision``; empty if it is there already. Changes nothing."""
    found = _movable(path, revision, direction)
    config, sql = _config(), StringIO()
    config.output_buffer = sql
    _alembic(config, direction, f"{found or 'base'}:{revision}", sql=True)
    statements = [line for line in sql.getvalue().splitlines() if line.strip()]
    return "" if statements in ([], ["BEGIN;", "COMMIT;"]) else sql.getvalue()


_master = sqlite_master.c
_ours = _master.name.not_like(word("sqlite_%"))  # SQLite's own objects have names of this form
_DDL: Final = statement(sa.select(_master.sql).where(_master.sql.is_not(None), _ours).order_by(_master.rowid))
_TABLES_AND_VIEWS: Final = statement(
    sa.select(_master.type, _master.name)
    .where(_master.type.in_([word("table"), word("view")]), _ours)
    .where(_master.name != word("alembic_version"))
    .order_by(_master.type, _master.name)
)
_COLUMNS_OF: Final = statement(sa.select(sa.func.pragma_table_info(sa.bindparam("of")).table_valued("name").c.name))
_SCHEMA: Final = statement(sa.select(_master.name, _master.sql).where(_master.sql.is_not(None)))


def losses(path: Path, revision: str) -> list[str]:
    """Return what a downgrade of the file to ``revision`` would drop, with the number of rows or values. Changes nothing."""
    sql = plan(path, revision, "downgrade")
    with opened(path) as connection, closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
        # Make the schema on an empty database, in its order, and downgrade that: what is gone afterwards would be dropped.
        for (statement,) in connection.execute(_DDL).fetchall():
            empty.execute(statement)
        before = _contents(empty)
        empty.executescript(sql)
        after = _contents(empty)
        dropped = []
        for (kind, name), columns in before.items():
            if (kind, name) not in after:
                dropped.append(f"{kind} {name}" + (f" ({_count(connection, name)} rows)" if kind == "table" else ""))
                continue
            gone = [column for column in columns if column not in after[kind, name]]
            if kind == "table":
                dropped += [f"column {name}.{column} ({_count(connection, name, column)} values)" for column in gone]
    return dropped


def _contents(connection: sqlite3.Connection) -> dict[tuple[str, str], list[str]]:
    """Return the tables and views with their columns, without Alembic's own table."""
    found = connection.execute(_TABLES_AND_VIEWS).fetchall()
    return {
        (kind, name): [column for (column,) in connection.execute(_COLUMNS_OF, {"of": name})] for kind, name in found
    }


def _count(connection: sqlite3.Connection, table: str, column: str | None = None) -> int:
    counted = sa.func.count() if column is None else sa.func.count(sa.column(column))
    (count,) = connection.execute(statement(sa.select(counted).select_from(sa.table(table)))).fetchone()
    return int(count)


def _movable(path: Path, revision: str, direction: Direction) -> str | None:
    """Return the revision of a file, after checking that this program may change it; None for one that holds nothing yet."""
    if not revision:
        raise InvalidArgument(f"{direction} to what? Name a revision, such as head.")
    found = current(path) if inspect(path) != "absent" else None
    if found is not None and found > REVISION:
        raise SchemaTooNew(
            f"{path} is at revision {found} and this program knows {REVISION}; use the release that wrote it."
        )
    return found


def _migrate(path: Path, revision: str, direction: Direction, actor: str | None) -> Path | None:
    _movable(path, revision, direction)
    config = _config()
    config.attributes["path"] = path
    config.attributes["actor"] = actor
    _alembic(config, direction, revision)
    backup: Path | None = config.attributes.get("backup")
    return backup


def _alembic(config: "Config", direction: Direction, revision: str, *, sql: bool = False) -> None:
    from alembic import command
    from alembic.util.exc import CommandError

    try:
        getattr(command, direction)(config, revision, sql=sql)
    except CommandError as error:
        target = revision.rpartition(":")[2]
        raise InvalidArgument(f"{direction} to {target!r} is not possible: {error}.") from error


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


# --- What migrations/env.py runs -------------------------------------------------------------------------------------


def run_environment(context: "EnvironmentContext") -> None:
    """Do one run of Alembic, started by this module or by the ``alembic`` command in a checkout."""
    config = context.config
    if context.is_offline_mode():
        context.configure(dialect_name="sqlite", target_metadata=metadata, literal_binds=True, transactional_ddl=True)
        with context.begin_transaction():
            context.run_migrations()
        return
    path = config.attributes.get("path")
    if path is None:
        path = locate(os.environ.get("RESTPOINT_DATABASE") or config.get_main_option("sqlalchemy.url") or DEFAULT_URL)
        if inspect(path) == "file":
            current(path)  # refuses another program's file before touching it
        _make(path, create=False)
    engine = _engine(path)
    try:
        with engine.connect() as connection:
            # These pragmas work only outside a transaction, and auto_vacuum only on an empty file.
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


def _engine(path: Path) -> "Engine":
    """The engine that Alembic wants. Its ``begin()`` is BEGIN IMMEDIATE."""
    engine = sa.create_engine("sqlite://", creator=lambda: open_connection(path, "write"), poolclass=NullPool)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


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
        after = file_revision(driver, path) if applied else before
        if before is not None and after is not None and before != after:
            _tell(driver, before, after, context.config.attributes.get("actor"))
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise DamagedFile(
                f"The migration would leave {len(broken)} rows without what they refer to; nothing was changed."
            )
        if applied and before is not None:
            # Another connection still sees the file as it was: the transaction has not been committed.
            for unfinished in path.parent.glob(f"{glob.escape(path.name)}.*.bak.unfinished"):
                unfinished.unlink(missing_ok=True)  # of a migration that was killed; nobody else is in here
            target = beside(path, "bak", f"{before}-")
            # Only SQLite's quick check: the full one would keep every writer waiting.
            backups.backup(path, target, verified=False)
            context.config.attributes["backup"] = target


def _tell(driver: sqlite3.Connection, before: str, after: str, actor: str | None) -> None:
    """Append the event of a migration, in its transaction."""
    tx = Transaction(driver, SystemClock().now())
    migrated(tx, before, after, actor)
    tx.flush()


def _driver(connection: "Connection") -> sqlite3.Connection:
    driver: Any = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - the engine is ours
    return driver


# --- Check ------------------------------------------------------------------------------------------------------------


def check(path: Path, *, quick: bool = False) -> list[tuple[str, bool, str]]:
    """Check that the schema is what this program expects and that the file is whole: name, outcome and a few words each.

    With ``quick``, SQLite leaves out what costs most: whether the indexes agree with their tables.
    """
    if inspect(path) != "file":
        raise UnusableFile(f"{path} holds nothing to check.")
    with opened(path) as connection:
        revision = file_revision(connection, path)
        integrity = [
            str(row[0]) for row in connection.execute(f"PRAGMA {'quick' if quick else 'integrity'}_check").fetchall()
        ]
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
        found = dict(connection.execute(_SCHEMA).fetchall())
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
