"""Rows that another program bent past the triggers must not stop the rest."""

import asyncio
import json
import math
from pathlib import Path

import pytest

from restpoint import ExecutionStore
from restpoint.errors import DamagedFile, InteractionExpired
from support import ADA, PATIENCE, TEXT, ManualClock, rows, sql


async def test_a_bent_wait_does_not_keep_others_from_expiring(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    bent = await store.create_execution()
    await store.set_interaction_required(bent.execution_id, TEXT, timeout=5)
    with sql(path) as connection:
        connection.execute(
            "UPDATE executions SET status = 'failed', open_waits = 0, completed_at = 1 WHERE id = ?",
            (bent.execution_id,),
        )
    other = await store.create_execution()
    for _ in range(2):
        pending = await store.set_interaction_required(other.execution_id, TEXT, timeout=10)
        future = pending.future
        clock.step(10)
        with pytest.raises(InteractionExpired):
            await asyncio.wait_for(future, PATIENCE)


async def test_a_response_that_cannot_be_read_is_told_and_keeps_nobody_from_being_woken(path: Path) -> None:
    async with ExecutionStore(database=path) as here, ExecutionStore(database=path) as there:
        records = [await here.create_execution() for _ in range(2)]
        asked = [await here.set_interaction_required(record.execution_id, TEXT) for record in records]
        await there.resolve_interaction(records[0].execution_id, asked[0].interaction_id, ADA)
        with sql(path) as connection:
            connection.execute("DROP TRIGGER interactions_move_as_the_lifecycle_allows")
            connection.execute(
                "UPDATE interactions SET response = ? WHERE id = ?",
                (json.dumps({"no": "answer"}), asked[0].interaction_id),
            )
        await there.resolve_interaction(records[1].execution_id, asked[1].interaction_id, ADA)
        # Only now does anyone wait here, so both answers are found in the first look.
        futures = [pending.future for pending in asked]
        assert await asyncio.wait_for(futures[1], PATIENCE) == ADA
        with pytest.raises(DamagedFile):
            await asyncio.wait_for(futures[0], PATIENCE)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE OR REPLACE executions SET rowid = 2 WHERE rowid = 1",
        "UPDATE OR REPLACE interactions SET rowid = 2 WHERE rowid = 1",
        "UPDATE executions SET id = 'other' WHERE rowid = 1",
        "UPDATE interactions SET prompt = '{}' WHERE rowid = 1",
        "INSERT INTO history (sequence, event, time, digest) VALUES (9223372036854775807, 'x', 1, zeroblob(32))",
        "UPDATE history_anchor SET (sequence, digest) = (SELECT sequence, digest FROM history ORDER BY 1 DESC LIMIT 1)",
    ],
)
async def test_what_would_delete_or_rename_a_row_in_passing_is_refused(
    store: ExecutionStore, path: Path, statement: str
) -> None:
    for _ in range(2):
        record = await store.create_execution()
        await store.set_interaction_required(record.execution_id, TEXT)
    before = (
        rows(path, "SELECT * FROM executions"),
        rows(path, "SELECT * FROM interactions"),
        rows(path, "SELECT * FROM history"),
    )
    with sql(path) as connection, pytest.raises(Exception, match=r"what stays|append-only|moves forward"):
        connection.execute(statement)
    after = (
        rows(path, "SELECT * FROM executions"),
        rows(path, "SELECT * FROM interactions"),
        rows(path, "SELECT * FROM history"),
    )
    assert after == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("history", "3"),
        ("history", '"Digest"'),
        ("history", "[]"),
        ("times_to_live", "[1]"),
        ("times_to_live", '{"statuses": [1]}'),
        ("times_to_live", '{"statuses": {"completed": "x"}}'),
        ("times_to_live", '{"statuses": {"completed": 1e300}}'),
        ("times_to_live", '{"workflows": {"refund": 3}}'),
        ("history_retention", '"x"'),
        ("history_retention", "-5"),
    ],
)
async def test_a_setting_that_means_nothing_is_not_guessed_at_and_can_be_said_anew(
    path: Path, name: str, value: str
) -> None:
    async with ExecutionStore(database=path):
        pass
    with sql(path) as connection:
        connection.execute("INSERT OR REPLACE INTO settings VALUES (?, ?, 1)", (name, value))
    with pytest.raises(DamagedFile, match=name):
        async with ExecutionStore(database=path):
            pass
    async with ExecutionStore(600, database=path, history="digest", history_retention_seconds=math.inf) as store:
        await store.set_completed((await store.create_execution()).execution_id, 1)
    async with ExecutionStore(database=path):
        pass
