"""Files as the programs of past revisions left them when they were killed."""

import sqlite3
from contextlib import closing
from pathlib import Path

from restpoint._storage.schema import APPLICATION_ID
from restpoint._storage.sqlite import migrations

FILES = Path(__file__).parent / "files"


def load(revision: str, path: Path) -> Path:
    """The file as the program of that revision left it when it was killed."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.executescript((FILES / f"{revision}.sql").read_text())
    assert migrations.current(path) == revision
    return path
