"""What durability costs at the least: the dict of ``in_memory.py``, and one row committed for each change before it is told.

One table, no index, no history, nothing that could be read again; written on the event loop's own thread, which a slow disk
would stop for everyone. The file is beside the one that ``RESTPOINT_DATABASE`` names.
"""

import os
import sqlite3

import in_memory

app = in_memory.app

_file = sqlite3.connect(os.environ["RESTPOINT_DATABASE"] + ".floor", isolation_level=None, check_same_thread=False)
_file.execute("PRAGMA journal_mode = WAL")
_file.execute("PRAGMA synchronous = FULL")
_file.execute("CREATE TABLE changes (key INTEGER PRIMARY KEY, execution_id TEXT NOT NULL, payload TEXT NOT NULL)")


def _commit(execution_id: str) -> None:
    _file.execute("BEGIN IMMEDIATE")
    _file.execute("INSERT INTO changes (execution_id, payload) VALUES (?, ?)", (execution_id, "x" * 300))
    _file.execute("COMMIT")


in_memory.kept = _commit
