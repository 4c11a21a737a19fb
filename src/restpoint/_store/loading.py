"""Records as the file has them, read while changes of this process may overtake the reading."""

from collections.abc import Collection

from restpoint._core.serialization import BENT, unreadable
from restpoint._storage import queries
from restpoint._storage.history import history_of
from restpoint._storage.queries import Snapshot
from restpoint._storage.sqlite.database import Database
from restpoint._store.identity_map import Records
from restpoint._store.records import ExecutionRecord


async def load(database: Database, records: Records, execution_id: str) -> ExecutionRecord | None:
    """The record as the file has it now; None where the execution is not in the file."""
    found = await read(database, records, execution_id)
    return None if found is None else found[0]


async def read(
    database: Database, records: Records, execution_id: str, known_waits: Collection[str] = ()
) -> tuple[ExecutionRecord, Snapshot] | None:
    """The record as the file has it now, and the snapshot it was read from, which also has the known waits."""
    while True:
        records.begin_loading(execution_id)
        found, held = None, records.get(execution_id)
        lease = None if held is None else held.lease
        try:
            waits = {*known_waits, *records.open_waits(execution_id)}
            found = await queries.snapshot(database, execution_id, waits)
        finally:
            current = records.end_loading(execution_id, found.as_of if found is not None else None)
        # What this process has told its records since then is newer: look again. An adoption has no row of history.
        adopted = held is not None and held.lease != lease
        if found is not None and current and not adopted and records.is_current(found):
            try:
                return records.refresh(found), found
            except BENT as error:
                raise unreadable(f"execution {execution_id}", error) from error
        if found is None:
            if records.get(execution_id) is not held:
                continue  # a workflow knows its id before the file does, which came to have it while this was read
            if held is not None:
                records.close_by_history(execution_id, await history_of(database, execution_id))
                records.drop(execution_id)
            return None
