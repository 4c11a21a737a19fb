"""A glance at an open file: the newest row of its history, read on the event loop's own thread."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from restpoint._core.threads import in_thread
from restpoint._storage.schema import REVISION, alembic_version, history
from restpoint._storage.sqlite.connection import open_connection, prepare
from restpoint._storage.sqlite.guard import Guard
from restpoint.errors import StorageError

NEWEST: Final = prepare(
    select(
        select(func.max(history.c.sequence)).scalar_subquery(), select(alembic_version.c.version_num).scalar_subquery()
    )
)


class Glance:
    """Looks at one file, with a connection that the first look opens in another thread.

    The two pages are in memory, a reader of the log waits for nobody, and the hop to another thread costs ten times as much.
    """

    def __init__(self, path: Path, guard: Guard) -> None:
        self._path = path
        self._guard = guard
        self._opening: asyncio.Task[sqlite3.Connection | None] | None = None
        self._seen: tuple[int | None] | None = None

    def newest(self) -> int | None:
        """The sequence of the newest row of history; None where a proper reading must find out."""
        if self._opening is None:
            self._opening = asyncio.create_task(in_thread(_open, self._path, self._guard))
        if not self._opening.done():
            return None
        connection = _opened(self._opening)
        if connection is None:
            self._opening = None
            return None
        if self._seen is None:
            # Cache the result for the rest of this iteration of the loop.
            self._seen = (_read(connection),)
            asyncio.get_running_loop().call_soon(self._look_away)
        return self._seen[0]

    def _look_away(self) -> None:
        self._seen = None

    async def close(self) -> None:
        """Close the connection. Nobody may look after that."""
        if self._opening is None:
            return
        await asyncio.wait([self._opening])
        connection = _opened(self._opening)
        if connection is not None:
            connection.close()


def _opened(opening: "asyncio.Task[sqlite3.Connection | None]") -> sqlite3.Connection | None:
    """The connection; None also where the opening was cancelled, as all tasks are when their loop ends."""
    return None if opening.cancelled() or opening.exception() is not None else opening.result()


def _open(path: Path, guard: Guard) -> sqlite3.Connection | None:
    """A connection that has read the schema; None where it cannot be opened now."""
    try:
        connection = open_connection(path, "glance")
    except sqlite3.Error:
        return None
    try:
        guard.check()  # this may be long after the file was opened, and another one may stand there
        connection.execute(NEWEST).fetchone()
    except (sqlite3.Error, StorageError):
        connection.close()
        return None
    return connection


def _read(connection: sqlite3.Connection) -> int | None:
    try:
        row = connection.execute(NEWEST).fetchone()
    except sqlite3.Error:
        return None
    return row[0] if row is not None and row[1] == REVISION else None
