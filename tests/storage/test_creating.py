"""A new file is not made where there was one, and no command that only looks makes any."""

import asyncio
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from elsewhere import tree
from inside import Command
from restpoint import ExecutionStore
from restpoint._storage.sqlite import backup, migrations
from restpoint.cli.app import EXAMPLES
from restpoint.errors import UnusableFile
from support import dump, rows


def a_key_ring(path: Path) -> None:
    path.with_name(f"{path.name}.keys").write_text("")


def a_backup(path: Path) -> None:
    backup.stamped(path, path.parent).touch()


def a_backup_of_a_migration(path: Path) -> None:
    path.with_name(f"{path.name}.0004-20260101T000000000000Z.bak").touch()


def a_replaced_file(path: Path) -> None:
    path.with_name(f"{path.name}.20260101T000000000000Z.replaced").touch()


def a_log(path: Path) -> None:
    path.with_name(f"{path.name}-wal").write_bytes(b"7\x7f\x06\x82 and what was acknowledged last")


LEFT = [a_key_ring, a_backup, a_backup_of_a_migration, a_replaced_file, a_log]


async def open_store(path: Path) -> None:
    async with ExecutionStore(database=path):
        pass


@pytest.mark.parametrize("leave", LEFT, ids=lambda leave: leave.__name__)
def test_a_store_makes_no_file_where_one_left_something_behind(path: Path, leave: Callable[[Path], None]) -> None:
    leave(path)
    before = tree(path.parent)
    with pytest.raises(UnusableFile, match="create=True") as refused:
        asyncio.run(open_store(path))
    assert next(iter(before)) in str(refused.value), "it says what there is"
    with pytest.raises(UnusableFile, match="--create"):
        migrations.upgrade(path)
    assert tree(path.parent) == before


async def test_a_store_that_is_told_to_makes_a_new_file(path: Path) -> None:
    for leave in LEFT:
        leave(path)
    log = path.with_name(f"{path.name}-wal").read_bytes()
    async with ExecutionStore(database=path, create=True) as store:
        await store.create_execution()
    (aside,) = path.parent.glob(f"{path.name}.*.replaced-wal")
    assert aside.read_bytes() == log, "SQLite would have deleted it"


def test_an_emptied_file_is_like_a_missing_one(path: Path) -> None:
    a_key_ring(path)
    path.touch()
    with pytest.raises(UnusableFile, match="is empty"):
        asyncio.run(open_store(path))
    assert path.read_bytes() == b""


def test_the_command_line_has_an_option_for_it(restpoint: Command, path: Path) -> None:
    a_backup(path)
    refused = restpoint("db", "upgrade", "--database", str(path))
    assert refused.returncode == 5
    assert "--create" in refused.stderr
    assert not path.exists()
    assert restpoint("serve", "nothing.py", "--database", str(path)).returncode != 0
    assert not path.exists()
    assert restpoint("db", "upgrade", "--create", "--database", str(path)).returncode == 0
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]


def test_what_is_restored_where_the_file_was_deleted_is_the_backup_without_the_old_log(path: Path) -> None:
    async def fill() -> None:
        async with ExecutionStore(database=path) as store:
            await store.create_execution(workflow="before")
            backup.backup(path, path.with_name("copy.db"))
            for _ in range(20):
                await store.create_execution(workflow="after")
            shutil.copyfile(log, kept)

    log, kept = path.with_name(f"{path.name}-wal"), path.with_name("kept")
    asyncio.run(fill())
    path.unlink()
    kept.rename(log)  # as a process leaves it that was killed
    saved = dump(path.with_name("copy.db"))
    backup.restore(path.with_name("copy.db"), path)
    assert [line for line in saved if "executions" in line] == [line for line in dump(path) if "executions" in line]
    assert len(list(path.parent.glob(f"{path.name}.*.replaced-wal"))) == 1


MAKING = {
    "serve",
    "demo",
    "db upgrade",
    "tokens add",
    "keys generate",
    "keys rotate",
    "audit keygen",
    "routes keygen",
    "start",
    "authorize",
}
"""They make files, or ask a server."""


@pytest.mark.parametrize("command", sorted(set(EXAMPLES) - MAKING))
def test_a_command_that_needs_the_file_makes_none(restpoint: Command, tmp_path: Path, command: str) -> None:
    arguments = shlex.split(EXAMPLES[command][0])[1:]
    ran = restpoint(*arguments, *([] if "--database" in arguments else ["--database", "absent.db"]))
    assert ran.returncode != 0
    assert "Traceback" not in ran.stderr
    assert [
        entry.name for entry in tmp_path.iterdir() if entry.name.startswith("absent.db") and entry.suffix != ".keys"
    ] == []
