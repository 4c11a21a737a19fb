"""The one function that opens a file, in each of its modes."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest

from elsewhere import tree
from restpoint import ExecutionStore
from restpoint._core.clock import SystemClock
from restpoint._storage.sqlite import backup, migrations
from restpoint._storage.sqlite import connection as connections
from restpoint._storage.sqlite.connection import Mode, open_connection, opened, reading
from restpoint._storage.sqlite.database import Database
from restpoint.errors import UnusableFile
from support import PATIENCE

MODES: tuple[Mode, ...] = get_args(Mode)
NAMES = (
    "what? is=this&mode=memory.db",
    "100%41.db",
    "a#b.db",
    "Größe und Maß.db",
    "'quoted' \"twice\".db",
    "back\\slash.db",
)


@pytest.mark.parametrize("mode", MODES)
def test_no_mode_creates_a_file(tmp_path: Path, mode: Mode) -> None:
    path = tmp_path / "absent.db"
    with pytest.raises(UnusableFile), opened(path, mode) as connection:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", MODES)
def test_only_the_modes_that_say_so_can_write(tmp_path: Path, mode: Mode) -> None:
    path = tmp_path / "restpoint.db"
    migrations.prepare(path)
    with closing(open_connection(path, mode)) as connection:
        if mode in {"write", "alone"}:
            connection.execute("DELETE FROM settings")
        else:
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                connection.execute("DELETE FROM settings")


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_may_have_characters_that_mean_something_in_a_uri(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    async with ExecutionStore(database=path) as store:
        record = await store.create_execution()
        assert await store.history(record.execution_id)
    with reading(path) as connection:
        assert connection.execute("SELECT count(*) FROM executions").fetchone() == (1,)
    copy = tmp_path / f"copy of {name}"
    backup.backup(path, copy)
    with closing(open_connection(copy, "sealed")) as connection:
        assert connection.execute("SELECT count(*) FROM executions").fetchone() == (1,)
    assert set(tree(tmp_path)) == {path.name, copy.name}


async def test_a_file_is_closed_after_the_connection_whose_first_reader_gave_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations.prepare(path)
    database = await Database.open(path, SystemClock())
    begun, goes_on, order = threading.Event(), threading.Event(), list[str]()

    def open_slowly(where: Path) -> sqlite3.Connection:
        begun.set()
        assert goes_on.wait(PATIENCE)
        order.append("opened")
        return open_connection(where)

    monkeypatch.setattr(connections, "open_connection", open_slowly)
    reading = asyncio.create_task(database.read("SELECT 1", lane="long"))
    assert await asyncio.to_thread(begun.wait, PATIENCE)
    reading.cancel()
    await asyncio.wait([reading])
    asyncio.get_running_loop().call_later(0.1, goes_on.set)
    await database.close()
    order.append("closed")
    assert order == ["opened", "closed"]
