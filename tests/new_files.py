"""New files made quickly, for tests that are about something else than how a file is made.

The revisions make a first file, and each further one gets the pages of that one, in one transaction: the same tables,
triggers, views and rows, in a fiftieth of the time. Where migrations are tested, the revisions make every file.
"""

import fcntl
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from restpoint._storage.sqlite import migrations
from restpoint._storage.sqlite.connection import BUSY_TIMEOUT_SECONDS, open_connection, use_log

by_revisions = migrations._migrate


@cache
def first() -> sqlite3.Connection:
    """A file as the revisions made it, in memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "restpoint.db"
        migrations._make(path, create=True)
        by_revisions(path, "head", "upgrade", None)
        kept = sqlite3.connect(":memory:", check_same_thread=False)
        with closing(sqlite3.connect(path)) as connection:
            connection.backup(kept)
        return kept


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait for other processes that make this file. (A lock on the file itself would be in the way of SQLite's.)"""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def migrate(path: Path, revision: str, direction: Any, actor: str | None) -> Path | None:
    """Stand in for ``migrations._migrate``: an empty file gets everything at once, any other one its revisions."""
    if (revision, direction) == ("head", "upgrade") and path.stat().st_size == 0:
        with _alone(path), closing(open_connection(path, "write")) as connection:
            busy = f"busy_timeout = {int(BUSY_TIMEOUT_SECONDS * 1000)}"
            use_log(connection, busy, "foreign_keys = OFF", "auto_vacuum = INCREMENTAL")
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                first().backup(connection)
                return None
    return by_revisions(path, revision, direction, actor)
