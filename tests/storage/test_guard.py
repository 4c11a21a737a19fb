"""The guard of an open file: nothing of restpoint's drops the locks of a connection, and what was replaced is noticed."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from elsewhere import environment
from restpoint import ExecutionStore
from restpoint._storage.sqlite import backup, guard, migrations
from restpoint._storage.sqlite.connection import create_empty
from restpoint.errors import FileGone, StorageBusy
from support import PATIENCE, file_of, rows

LOOK = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM history').fetchone()"


@pytest.fixture
def only_posix_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system on which a process loses its locks whenever it closes a descriptor of the file."""

    def refuse(*_: object) -> None:
        raise OSError("there are no such locks")

    monkeypatch.setattr(guard, "lock", refuse)


async def others_fold_the_log_in(path: Path) -> bool:
    """Whether another process that looks at the file takes itself for its last user."""
    command = [sys.executable, "-c", LOOK, str(path)]
    await asyncio.to_thread(subprocess.run, command, env=environment(), check=True, timeout=PATIENCE)
    return not path.with_name(f"{path.name}-wal").exists()


async def close_another_store(path: Path) -> None:
    async with ExecutionStore(database=path):
        pass


async def restore(path: Path) -> None:
    copy = path.with_name("copy.db")
    backup.backup(path, copy)
    with pytest.raises(StorageBusy):
        backup.restore(copy, path)


async def rotate(path: Path) -> None:
    link = backup.stamped(path, path.parent)
    os.link(path, link)  # somebody's idea of a backup: the file itself
    backup.rotate(path, path.parent, 1)


async def upgrade(path: Path) -> None:
    migrations.upgrade(path)
    create_empty(path)


@pytest.mark.usefixtures("only_posix_locks")
@pytest.mark.parametrize("work", [close_another_store, restore, rotate, upgrade], ids=lambda work: work.__name__)
async def test_nothing_of_restpoint_drops_the_locks_of_an_open_store(
    fresh: Path, path: Path, work: Callable[[Path], object]
) -> None:
    shutil.copyfile(fresh, path)
    async with ExecutionStore(database=path) as store:
        await store.create_execution()
        await work(path)  # type: ignore[misc]
        assert not await others_fold_the_log_in(path)
        await store.create_execution()
        await asyncio.to_thread(path.read_bytes)
        assert await others_fold_the_log_in(path), "so a lost lock would have been seen"


async def test_the_last_store_of_a_process_moves_the_log_into_the_file(store: ExecutionStore, path: Path) -> None:
    await store.create_execution()
    await store.close()
    assert not path.with_name(f"{path.name}-wal").exists()
    assert guard._held == {}
    assert len(rows(path, "SELECT * FROM executions")) == 1


async def test_another_file_at_the_path_is_not_read_as_if_it_were_this_one(
    store: ExecutionStore, fresh: Path, path: Path
) -> None:
    await store.create_execution()
    other = path.with_name("other.db")
    shutil.copyfile(fresh, other)
    other.replace(path)
    with pytest.raises(FileGone, match="in the place of"):
        await file_of(store).database.read("SELECT 1", lane="long")  # whose connection is opened now


def link(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


async def test_a_symbolic_link_that_leads_elsewhere_is_noticed(fresh: Path, path: Path) -> None:
    one, other = path.with_name("one.db"), path.with_name("other.db")
    shutil.copyfile(fresh, one)
    shutil.copyfile(fresh, other)
    link(path, one)
    async with ExecutionStore(database=path) as store:
        await store.create_execution()
        link(path, other)
        with pytest.raises(FileGone):
            await store.create_execution()


async def test_a_log_that_another_process_empties_in_good_order_is_no_loss(store: ExecutionStore, path: Path) -> None:
    """As ``restpoint db vacuum`` does."""
    for _ in range(3):
        await store.create_execution()
        assert rows(path, "PRAGMA wal_checkpoint(TRUNCATE)") == [(0, 0, 0)]
        assert path.with_name(f"{path.name}-wal").stat().st_size == 0
    await store.create_execution()


async def test_other_files_come_and_go_in_the_folder_without_disturbing(store: ExecutionStore, path: Path) -> None:
    for number in range(3):
        path.with_name(f"note-{number}").touch()
        await store.create_execution()
        path.with_name(f"note-{number}").unlink()
        await store.create_execution()


async def test_a_forked_process_does_not_keep_the_locks_of_its_parent(store: ExecutionStore, path: Path) -> None:
    await store.create_execution()
    pid = os.fork()
    if pid == 0:
        os._exit(len(guard._held))
    assert os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, pid, 0))[1]) == 0
    await store.create_execution()
