"""Closing: what was accepted is done, what comes later is refused, and nobody waits for ever."""

import asyncio
import threading
from pathlib import Path

import pytest

from restpoint import ExecutionStore
from restpoint.errors import StoreClosed
from support import ADA, PATIENCE, TEXT, eventually, rows


@pytest.mark.parametrize("workers", [1, 10, 100])
async def test_a_write_issued_while_the_store_closes_is_done_or_refused(path: Path, workers: int) -> None:
    store = await ExecutionStore(database=path).open()
    created: list[str] = []

    async def work() -> None:
        while True:
            created.append((await store.create_execution()).execution_id)

    tasks = [asyncio.create_task(work()) for _ in range(workers)]
    await eventually(lambda: len(created) >= workers)
    await store.close()
    outcomes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), PATIENCE)
    assert [type(outcome) for outcome in outcomes] == [StoreClosed] * workers
    assert {row[0] for row in rows(path, "SELECT id FROM executions")} >= set(created)


async def test_a_cancelled_close_is_finished_all_the_same(store: ExecutionStore) -> None:
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT)
    future = pending.future
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await store.close()
    with pytest.raises(StoreClosed):
        await future
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("restpoint-writer")]


async def test_who_waits_when_the_store_closes_is_told(store: ExecutionStore) -> None:
    record = await store.create_execution()
    paused = await store.create_execution()
    pending = await store.set_interaction_required(paused.execution_id, TEXT)
    waiting = asyncio.create_task(record.first_outcome.wait())
    await asyncio.sleep(0)
    await store.close()
    with pytest.raises(StoreClosed):
        await asyncio.wait_for(waiting, PATIENCE)
    with pytest.raises(StoreClosed):
        await asyncio.wait_for(pending.future, PATIENCE)  # first asked for afterwards
    with pytest.raises(StoreClosed):
        await store.resolve_interaction(paused.execution_id, pending.interaction_id, ADA)


async def test_the_log_is_gone_after_the_last_one_closed(path: Path) -> None:
    async with ExecutionStore(database=path) as store:
        await store.create_execution()
        await store.list()
        assert path.with_name("restpoint.db-wal").exists()
    assert [each.name for each in path.parent.iterdir()] == [path.name]
