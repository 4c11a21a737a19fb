"""Files with very many executions, whose rows are written past the store: that takes a tenth of the time."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from restpoint._storage.history import detail_digest, row_digest
from restpoint._storage.schema import ddl
from support import PATIENCE, START, TEXT

AT: Final = START - 3_600_000
"""When everything in them happened: an hour ago."""

_PROMPT: Final = TEXT.model_dump_json()
_Event = tuple[str, str | None, str | None, str, str | None]
_ASKED: Final[tuple[_Event, ...]] = (
    ("execution_created", None, None, "running", None),
    ("interaction_asked", "w", "running", "interaction_required", f'{{"prompt":{_PROMPT}}}'),
)
_ENDED: Final[tuple[_Event, ...]] = (
    ("interaction_answered", "w", "interaction_required", "running", '{"response":{"type":"text","text":"Ada"}}'),
    ("execution_completed", None, "running", "completed", None),
)


@contextmanager
def without_triggers(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to write rows that took place long ago; the triggers are back afterwards."""
    triggers = {name: text for name, text in ddl().items() if text.startswith("CREATE TRIGGER")}
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -200000")
        connection.execute("BEGIN IMMEDIATE")
        for name in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        for text in triggers.values():
            connection.execute(text)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def expired_executions(path: Path, count: int) -> None:
    """``count`` executions that asked one prompt, had it answered, completed, and whose time to live is over."""
    with without_triggers(path) as connection:
        ids = _told(connection, count, (*_ASKED, *_ENDED))
        connection.executemany(
            "INSERT INTO executions (key, id, status, version, open_waits, created_at, completed_at, expires_at, result)"
            " VALUES (?, ?, 'completed', 4, 0, ?, ?, ?, '\"done\"')",
            ((key, id_, AT, AT, AT + 600_000) for key, id_ in ids),
        )
        connection.executemany(
            "INSERT INTO interactions (execution_key, id, status, opened, prompt, created_at, closed_at, response)"
            ' VALUES (?, \'w\', \'answered\', ?, ?, ?, ?, \'{"type":"text","text":"Ada"}\')',
            ((key, opened, _PROMPT, AT, AT) for opened, (key, _) in enumerate(ids, 1)),
        )


def waiting_executions(path: Path, count: int) -> None:
    """``count`` executions that asked one prompt, which is open."""
    with without_triggers(path) as connection:
        ids = _told(connection, count, _ASKED)
        connection.executemany(
            "INSERT INTO executions (key, id, status, version, open_waits, created_at)"
            " VALUES (?, ?, 'interaction_required', 2, 1, ?)",
            ((key, id_, AT) for key, id_ in ids),
        )
        connection.executemany(
            "INSERT INTO interactions (execution_key, id, status, opened, prompt, created_at)"
            " VALUES (?, 'w', 'pending', ?, ?, ?)",
            ((key, opened, _PROMPT, AT) for opened, (key, _) in enumerate(ids, 1)),
        )


def _told(connection: sqlite3.Connection, count: int, events: Sequence[_Event]) -> list[tuple[int, str]]:
    """Write these events of ``count`` executions into the history. Returns the key and the id that each of these is to have."""
    hashes = [detail_digest(event[4]) for event in events]
    (base,) = connection.execute("SELECT coalesce(max(key), 0) FROM executions").fetchone()
    sequence, digest = connection.execute(
        "SELECT sequence, digest FROM history UNION ALL SELECT sequence, digest FROM history_anchor"
        " ORDER BY 1 DESC LIMIT 1"
    ).fetchone()
    ids = [f"{AT:013x}-{number:08x}-{sha256(str(number).encode()).hexdigest()[:12]}" for number in range(count)]

    def history() -> Iterator[tuple[object, ...]]:
        nonlocal sequence, digest
        for execution_id in ids:
            for (event, wait, before, after, detail), detail_sha256 in zip(events, hashes, strict=True):
                sequence += 1
                row = (sequence, execution_id, event, wait, before, after, None, None, AT)
                digest = row_digest(digest, row, detail_sha256)
                yield (*row, detail, detail_sha256, digest)

    connection.executemany("INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", history())
    return list(enumerate(ids, base + 1))
