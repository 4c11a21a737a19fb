"""FAULTS row 10: what cannot be a restpoint file gets one clear error, and nothing is created, truncated or changed."""

import asyncio
import os
import socket
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest

from elsewhere import copied_scripts, environment, run_python, schema_of, tree
from restpoint import ExecutionStore
from restpoint._storage.schema import REVISION
from restpoint._storage.sqlite import backup, migrations
from restpoint.errors import DamagedFile, InvalidArgument, RestpointError, UnusableFile
from support import ADA, TEXT, ManualClock

MODES: tuple[Literal["refuse"], Literal["auto"]] = ("refuse", "auto")
ENTRANCES: dict[str, Callable[[Path], object]] = {
    "prepare": migrations.prepare,
    "prepare_auto": lambda path: migrations.prepare(path, "auto"),
    "upgrade": migrations.upgrade,
    "downgrade": lambda path: migrations.downgrade(path, "base"),
    "current": migrations.current,
    "check": migrations.check,
    "backup": lambda path: backup.backup(path, path.with_name("copy.db")),
}


async def enter(entrance: str, path: Path) -> None:
    if entrance == "store":
        await opened_and_closed(path, "refuse")
    else:
        ENTRANCES[entrance](path)


def text_file(path: Path) -> None:
    path.write_text("Dear diary, this is no database.\n" * 300)


def empty_file(path: Path) -> None:
    path.touch()


def size(path: Path) -> int:
    return path.stat().st_size


def short_text_file(path: Path) -> None:
    path.write_text("no database")


def directory(path: Path) -> None:
    path.mkdir()


def dangling_symlink(path: Path) -> None:
    path.symlink_to(path.with_name("nothing.db"))


def symlink_to_itself(path: Path) -> None:
    path.symlink_to(path)


def symlink_into_a_missing_folder(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere" / "nothing.db")


def unix_socket(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as bound:
        bound.bind(str(path))


def named_pipe(path: Path) -> None:
    os.mkfifo(path)


def of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE customers (name TEXT)")
        connection.execute("INSERT INTO customers VALUES ('Ada')")


def of_another_program_that_uses_alembic(path: Path) -> None:
    of_another_program(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (REVISION,))


def of_another_program_in_wal_mode(path: Path) -> None:
    of_another_program(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()


WRONG = [
    text_file,
    short_text_file,
    directory,
    dangling_symlink,
    symlink_to_itself,
    symlink_into_a_missing_folder,
    unix_socket,
    named_pipe,
    of_another_program,
    of_another_program_that_uses_alembic,
    of_another_program_in_wal_mode,
]


@pytest.fixture
def near(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a short name: a socket's path may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="rp") as folder:
        yield Path(folder)


def assert_clear(error: RestpointError, path: Path) -> None:
    assert str(path) in str(error) or str(path.parent) in str(error), "the error names what it is about"
    assert len(str(error)) < 500
    assert "Traceback" not in str(error)


@pytest.mark.parametrize("make", WRONG, ids=lambda make: make.__name__)
async def test_a_store_refuses_what_is_no_restpoint_file_and_leaves_it_alone(
    near: Path, make: Callable[[Path], None]
) -> None:
    path = near / "x.db"
    make(path)
    before = tree(near)
    for mode in MODES:
        store = ExecutionStore(database=path, migrate=mode)
        with pytest.raises(UnusableFile) as raised:
            await store.create_execution()
        await store.close()
        assert_clear(raised.value, path)
        assert raised.value.code == "unusable_file"
        assert tree(near) == before


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("make", WRONG, ids=lambda make: make.__name__)
def test_no_entrance_touches_what_is_no_restpoint_file(near: Path, make: Callable[[Path], None], entrance: str) -> None:
    path = near / "x.db"
    make(path)
    before = tree(near)
    with pytest.raises(UnusableFile) as raised:
        ENTRANCES[entrance](path)
    assert_clear(raised.value, path)
    assert tree(near) == before


@pytest.mark.parametrize("entrance", ["store", *ENTRANCES])
@pytest.mark.parametrize("name", ["missing/x.db", "a-file/x.db", "n" * 300])
async def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path, name: str, entrance: str) -> None:
    (tmp_path / "a-file").write_text("I am no folder.")
    before = tree(tmp_path)
    path = tmp_path / name
    with pytest.raises(UnusableFile) as raised:
        await enter(entrance, path)
    assert str(tmp_path) in str(raised.value)
    assert tree(tmp_path) == before


async def test_an_empty_file_becomes_a_restpoint_file_at_head(path: Path, clock: ManualClock) -> None:
    empty_file(path)
    assert size(path) == 0
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, TEXT)
        await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
    assert migrations.current(path) == REVISION
    assert all(passed for _, passed, _ in migrations.check(path))
    assert list(path.parent.iterdir()) == [path], "and no backup of nothing"


async def test_a_symlink_to_a_restpoint_file_is_followed(path: Path, tmp_path: Path, clock: ManualClock) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await store.create_execution()
    async with ExecutionStore(database=link, clock=clock) as store:
        assert await store.get(record.execution_id) is not None
    assert link.is_symlink()


@pytest.mark.parametrize(
    "database",
    [
        "postgresql+asyncpg://user:secret@host/base",
        "mysql://host/base",
        "duckdb:///x.db",
        "nonsense://",
        "://",
        "sqlite://",
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:///:memory:",
        ":memory:",
        "",
        "file:x.db?mode=memory",
        "sqlite+aiosqlite:///file:x.db?mode=memory&uri=true",
        "nul\x00.db",
    ],
)
def test_what_names_no_file_of_sqlite_is_refused_at_once(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidArgument) as raised:
        ExecutionStore(database=database)
    assert "secret" not in str(raised.value), "a password in a URL is nobody's to read"
    if "\x00" not in database:  # which no variable can hold
        monkeypatch.setenv("RESTPOINT_DATABASE", database)
        with pytest.raises(InvalidArgument):
            ExecutionStore()
    assert not list(tmp_path.iterdir())


async def opened_and_closed(path: Path, mode: Literal["refuse", "auto"]) -> None:
    async with ExecutionStore(database=path, migrate=mode):
        pass


async def made(path: Path) -> tuple[str, str]:
    async with ExecutionStore(database=path) as store:
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, TEXT)
        return record.execution_id, pending.interaction_id


@pytest.mark.parametrize("left", [1, 15, 16, 50, 99, 100, 511, 512, 4095, 4096, 4097, 0.25, 0.5, 0.9, 0.999])
async def test_a_truncated_file_is_refused_and_left_as_it_is(path: Path, left: float) -> None:
    await made(path)
    whole = size(path)
    # A page at least: what is cut off the zeros at the end of the last page is not missed, because SQLite reads zeros there.
    kept = left if isinstance(left, int) else min(int(whole * left), whole - 4096)
    os.truncate(path, kept)
    before = tree(path.parent)
    assert size(path) == kept < whole
    for mode in MODES:
        with pytest.raises((DamagedFile, UnusableFile)) as raised:
            await opened_and_closed(path, mode)
        assert raised.value.sqlite_name in {"SQLITE_CORRUPT", "SQLITE_NOTADB"}
        assert tree(path.parent) == before
    for entrance in ENTRANCES.values():
        with pytest.raises((DamagedFile, UnusableFile)):
            entrance(path)
        assert tree(path.parent) == before


_AS_NOBODY = """
import asyncio, json, os, sys
from pathlib import Path
from restpoint import ExecutionStore
from restpoint._storage.sqlite import backup as backups, migrations as migrate
from restpoint.errors import RestpointError

folder, warm, scripts = map(Path, sys.argv[1:])
migrate.scripts = lambda: scripts  # which that user can read, wherever the checkout is

async def attempt(path):
    try:
        async with ExecutionStore(database=path) as store:
            await store.create_execution()
    except RestpointError as error:
        return [type(error).__name__, str(error)]
    return ["nothing", ""]

asyncio.run(attempt(warm))  # everything that is imported late is imported, while it can be read
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
told = {"uid": os.geteuid()}
for name in ("readonly.db", "unreadable.db", "closed/new.db", "closed/old.db", "hidden/x.db", "open/new.db"):
    told[name] = asyncio.run(attempt(folder / name))
for name in ("prepare", "upgrade", "current", "check"):
    try:
        getattr(migrate, name)(folder / "readonly.db")
        told["readonly " + name] = "nothing"
    except RestpointError as error:
        told["readonly " + name] = type(error).__name__
print(json.dumps(told))
"""


def test_read_only_files_and_folders_are_refused_to_who_may_not_write_them(path: Path, tmp_path: Path) -> None:
    asyncio.run(made(path))
    content = path.read_bytes()
    with tempfile.TemporaryDirectory(prefix="rp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        scripts = copied_scripts(folder / "scripts", upto=REVISION)
        for file, mode in (("readonly.db", 0o444), ("unreadable.db", 0o000)):
            (folder / file).write_bytes(content)
            (folder / file).chmod(mode)
        for below, mode in (("closed", 0o555), ("hidden", 0o000), ("open", 0o777)):
            (folder / below).mkdir()
            if below == "closed":
                (folder / below / "old.db").write_bytes(content)
                (folder / below / "old.db").chmod(0o666)
            (folder / below).chmod(mode)
        try:
            before = tree(folder)
            # A user other than root: root may write everything, whatever the mode says.
            unwritten = environment(PYTHONDONTWRITEBYTECODE="1")  # the revisions are among what must stay as it is
            told = run_python(_AS_NOBODY, folder, tmp_path / "warm.db", scripts, env=unwritten)
            after = tree(folder)
        finally:
            for below in ("closed", "hidden"):
                (folder / below).chmod(0o755)
    assert told.pop("uid") != 0
    assert told.pop("open/new.db") == ["nothing", ""], "the harness itself works, where it may write"
    assert after.pop("open/new.db")
    for seen in (before, after):
        del seen["open"]
    for which, what in told.items():
        error, message = what if isinstance(what, list) else (what, name)
        assert error == "UnusableFile", which
        assert name in message
    assert after == before


async def test_a_file_that_turns_out_to_be_unusable_later_can_be_replaced(path: Path, clock: ManualClock) -> None:
    """A refused store is not spoiled: once the path is put right, its next use opens it."""
    directory(path)
    store = ExecutionStore(database=path, clock=clock)
    with pytest.raises(UnusableFile):
        await store.open()
    os.rmdir(path)  # noqa: PTH106 - pathlib's is not for coroutines
    record = await store.create_execution()
    assert record.status == "running"
    await store.close()
    assert "executions" in schema_of(path)
