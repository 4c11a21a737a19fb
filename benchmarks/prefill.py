"""Files that hold many executions already, written by hand as the store would have written them."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from roundtrip import ByHand  # type: ignore[import-not-found]

from restpoint._storage.sqlite import migrations

FINISHED = 4
"""Steps of a trip until it is completed."""
PAUSED = 2
"""Steps of a trip until it waits for an answer."""
_AT_ONCE = 1_000


def prefill(path: Path, count: int, steps: int, more: Callable[[sqlite3.Connection], object] | None = None) -> None:
    """Make a file with ``count`` executions that got ``steps`` far, with all its triggers, its log checkpointed away.

    ``more`` may change the rows before the triggers that would refuse it are back.
    """
    migrations.upgrade(path)
    with closing(sqlite3.connect(path)) as connection:
        triggers = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE type = 'trigger'")]
    hand = ByHand(path, "OFF")
    with closing(hand.connection) as connection:
        for begun in range(0, count, _AT_ONCE):
            trips = [hand.trip() for _ in range(min(_AT_ONCE, count - begun))]
            connection.execute("BEGIN IMMEDIATE")
            for _ in range(steps):
                for trip in trips:
                    next(trip)
            connection.execute("COMMIT")
        if more is not None:
            more(connection)
        for sql in triggers:
            connection.execute(sql)


def used_bytes(path: Path) -> int:
    """The size of the file without the pages that it does not use."""
    with closing(sqlite3.connect(path)) as connection:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)
