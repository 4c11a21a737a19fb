"""Giving back what the file does not use: in small steps, each its own short transaction, with pauses for other writers.

SQLite keeps the pages that deletes leave empty and fills them again. A file that was made with incremental vacuum gives
them back some at a time (https://www.sqlite.org/pragma.html#pragma_incremental_vacuum); the log that this goes through is
folded into the file afterwards, which only then is shorter.
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
    """Give back free pages until ``keep`` are left; returns how many went. ``told`` is called with how many are left.

    Nothing at all on a file that was not made with incremental vacuum.
    """
    first = free = await queries.free_pages(database)
    while free > keep:
        step = min(PAGES_FREED_AT_ONCE, free - keep)
        await database.write(partial(_free_some, pages=step))
        await asyncio.sleep(PAUSE_SECONDS)
        left = await queries.free_pages(database)
        if left >= free:
            break  # not a file that was made with incremental vacuum, or others free as much as this does
        free = left
        if told is not None:
            told(free)
    return first - free


def _free_some(tx: Transaction, pages: int) -> None:
    for _ in range(pages):
        tx.all(_FREE)


def fold_log(path: Path) -> bool:
    """Move the log into the file and empty it; False where a reader keeps it, who is waited for half a second."""
    with opened(path, "alone", wait=_PATIENCE_SECONDS) as connection:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy


def rewrite(path: Path) -> None:
    """Write the whole file anew (https://www.sqlite.org/lang_vacuum.html), which keeps everybody else waiting.

    For a file that cannot shrink in steps, or whose unused parts must go for certain. Needs as much room again.
    """
    with opened(path, "alone") as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
