"""Processes that use a file while it is opened by other means, moved or deleted; and the ways to do so."""

import asyncio
import ctypes
import hashlib
import mmap
import os
import shutil
import sqlite3
import sys
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

from starlette.responses import FileResponse

from faults.harness import Link
from restpoint import ExecutionStore
from restpoint._storage.sqlite import guard
from restpoint.cli import main
from restpoint.errors import StorageError
from restpoint.prompts import HumanPromptText, HumanResponseText

QUESTION = HumanPromptText(text="Which way?")

# --- How a program opens a file that it has open already: each ends with closing a descriptor of it -------------------


def _open(path: Path) -> None:
    path.read_bytes()


def _copy(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(path, folder)


def _digest(path: Path) -> None:
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")


def _map(path: Path) -> None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        mapped.read()


def _sqlite3(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT count(*) FROM history").fetchone()


def _backup(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, closing(sqlite3.connect(":memory:")) as copy:
        connection.backup(copy)


def second_library() -> str | None:
    """The SQLite library of this process, of which a copy is a library of its own; None where it has none."""
    with Path("/proc/self/maps").open() as maps:
        return next((line.split()[-1] for line in maps if "libsqlite3" in line), None)


def _second_library(path: Path) -> None:
    library = second_library()
    assert library is not None
    with tempfile.TemporaryDirectory() as folder:
        other = ctypes.CDLL(shutil.copy(library, f"{folder}/another.so"), mode=os.RTLD_LOCAL | os.RTLD_DEEPBIND)
    handle = ctypes.c_void_p()
    assert other.sqlite3_open_v2(os.fsencode(path), ctypes.byref(handle), 1, None) == 0  # SQLITE_OPEN_READONLY
    assert other.sqlite3_exec(handle, b"SELECT count(*) FROM history", None, None, None) == 0
    assert other.sqlite3_close(handle) == 0


def _file_response(path: Path) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        pass

    asyncio.run(
        FileResponse(path)(
            {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": "2.4"}}, receive, send
        )
    )


def _tar(path: Path) -> None:
    with tempfile.TemporaryFile() as target, tarfile.open(fileobj=target, mode="w") as archive:
        archive.add(path.parent, "backup")  # the log and its index, too


OPENINGS: dict[str, Callable[[Path], None]] = {
    "open": _open,
    "shutil.copy": _copy,
    "hashlib": _digest,
    "mmap": _map,
    "sqlite3": _sqlite3,
    "sqlite3.backup": _backup,
    "a second SQLite library": _second_library,
    "FileResponse": _file_response,
    "tarfile": _tar,
}
OF_SQLITE = {"sqlite3", "sqlite3.backup"}
"""Which know of the other connections of their process, and keep its locks."""


# --- The processes ---------------------------------------------------------------------------------------------------


class _User:
    """Writes on its own, and when it is told to; tells of what was acknowledged."""

    def __init__(self, store: ExecutionStore, link: Link) -> None:
        self._store = store
        self._link = link

    async def write(self) -> bool:
        """Go through one execution. False where the storage refused something of it."""
        tell = self._link.tell
        try:
            execution_id = (await self._store.create_execution(workflow="moved")).execution_id
            tell("execution_created", execution_id, None, "running", None)
            pending = await self._store.set_interaction_required(execution_id, QUESTION)
            tell("interaction_asked", execution_id, pending.interaction_id, None, None)
            await self._store.resolve_interaction(
                execution_id, pending.interaction_id, HumanResponseText(text="a" * 500)
            )
            tell("interaction_answered", execution_id, pending.interaction_id, None, "a" * 500)
            await self._store.set_completed(execution_id, 1)
            tell("execution_completed", execution_id, None, "completed", 1)
        except StorageError as error:
            tell("refused", type(error).__name__, str(error))
            return False
        return True

    async def go_on_writing(self) -> None:
        while True:
            if not await self.write():
                await asyncio.sleep(0.05)


async def use(link: Link, path: str, *, busy: bool, locks: bool = True) -> None:
    """Have the file open. ``busy`` writes all the time; without ``locks``, it is as on a system that has only POSIX locks."""
    if not locks:
        patch.object(guard, "lock", _no_lock).start()
    async with ExecutionStore({"completed": None}, database=path, sweep_interval_seconds=1e6) as store:
        user = _User(store, link)
        assert await user.write()
        link.tell("opened")
        writing = asyncio.create_task(user.go_on_writing()) if busy else None
        while (order := await link.hear()) is not None:
            if order in OPENINGS:
                await asyncio.to_thread(OPENINGS[order], Path(path))
                link.tell("done", order)
            elif order == "check":
                try:
                    await store.check()
                except StorageError as error:
                    link.tell("done", type(error).__name__, str(error))
                else:
                    link.tell("done", None, None)
            else:
                link.tell("from here")
                link.tell("done", await user.write())
        if writing is not None:
            writing.cancel()


def _no_lock(*_: object) -> None:
    raise OSError("there are no such locks")


async def look(link: Link, path: str) -> None:
    """``restpoint list``, as another process."""
    sys.argv = ["restpoint", "list", "--database", path, "-o", "jsonl"]
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        await asyncio.to_thread(main)
    except SystemExit as end:
        link.tell("looked", end.code)


async def look_with_sqlite(link: Link, path: str) -> None:
    """Another program that knows nothing of restpoint."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT count(*) FROM history").fetchone()
    link.tell("looked", 0)
