"""Gives unused space back, in small steps: each is a short transaction of its own, with pauses for other writers.

SQLite keeps the pages that deletes leave empty, and fills them again. A file that was made with incremental vacuum can give
them back, some at a time (https://www.sqlite.org/pragma.html#pragma_incremental_vacuum). The file gets shorter only when the
log, through which this goes, is folded into it.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from restpoint._storage import queries
from restpoint._storage.sqlite.connection import opened
from restpoint._storage.sqlite.database import Database, Transaction

PAGES_FREED_AT_ONCE: Final = 64
FREE_PAGES_KEPT: Final = 1_024  # new rows reuse them, so a file in use keeps some
PAUSE_SECONDS: Final = 0.005  # between two batches, so that other writes pass
_PATIENCE_SECONDS: Final = 0.5

_FREE: Final = (
    "PRAGMA incremental_vacuum(1)"  # Python's sqlite3 takes one step of a statement without columns: one page
)


async def shrink(database: Database, *, keep: int = FREE_PAGES_KEPT, told: Callable[[int], None] | None = None) -> int:
    """Give back free pages until ``keep`` are left, and return how many went. ``told`` is called with how many are left.

    Does nothing to a file that was not made with incremental vacuum.
    """
    first = free = await queries.free_pages(database)
    while free > keep:
        step = min(PAGES_FREED_AT_ONCE, free - keep)
        await database.write(partial(_free_some, pages=step))
        await asyncio.sleep(PAUSE_SECONDS)
        left = await queries.free_pages(database)
        if left >= free:
            break  # the file was not made with incremental vacuum, or others free as much as this does
        free = left
        if told is not None:
            told(free)
    return first - free


def _free_some(tx: Transaction, pages: int) -> None:
    for _ in range(pages):
        tx.all(_FREE)


def fold_log(path: Path) -> bool:
    """Move the log into the file and empty it. Waits half a second for a reader who needs it; False if that was not enough."""
    with opened(path, "alone", wait=_PATIENCE_SECONDS) as connection:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def rewrite(path: Path) -> None:
    """Write the whole file anew (https://www.sqlite.org/lang_vacuum.html), while everybody else waits.

    For a file that cannot shrink in steps, or whose unused parts must go for certain. Needs as much disk space again.
    """
    with opened(path, "alone") as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
