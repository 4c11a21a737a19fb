"""Reading an execution while it changes: what overtakes the reading is never lost, whoever still holds its record."""

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest

from restpoint import ExecutionRecord, ExecutionStore
from restpoint._storage import queries
from restpoint._storage.queries import Snapshot
from support import ADA, TEXT, file_of


class HeldBack:
    """Readings of the file that are done and not given yet."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read, self.go = asyncio.Event(), asyncio.Event()
        self._snapshot = queries.snapshot
        monkeypatch.setattr(queries, "snapshot", self._read)

    async def _read(self, *arguments: Any) -> Snapshot | None:
        reading = await self._snapshot(*arguments)
        self.read.set()
        await self.go.wait()
        return reading


@pytest.mark.parametrize("let_go", [True, False])
async def test_an_event_that_overtakes_a_reading_is_not_lost_also_when_nobody_held_the_record(
    path: Path, monkeypatch: pytest.MonkeyPatch, let_go: bool
) -> None:
    async with ExecutionStore(database=path) as store:
        held: list[ExecutionRecord] = [await store.create_execution()]
        execution_id = held[0].execution_id
        if let_go:
            held.clear()
            gc.collect()
        back = HeldBack(monkeypatch)
        reading = asyncio.create_task(store.get(execution_id))
        await back.read.wait()
        await store.set_completed(execution_id, "done")
        back.go.set()
        record = await reading
        assert record is not None
        assert (record.status, record.result) == ("completed", "done")
        assert not held or record is held[0]


async def test_a_prompt_that_another_process_closes_while_the_file_is_read_is_asked_about_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ExecutionStore(database=path) as store, ExecutionStore(database=path) as other:
        record = await store.create_execution()
        reading_back = HeldBack(monkeypatch)
        reading = asyncio.create_task(store.get(record.execution_id))
        await reading_back.read.wait()
        future = (await store.set_interaction_required(record.execution_id, TEXT, "q")).future
        reading_back.go.set()
        await other.resolve_interaction(record.execution_id, "q", ADA)
        assert await reading is record
        assert await future == ADA
        assert record.status == "running"


async def test_two_who_read_one_execution_at_a_time_get_one_record(path: Path) -> None:
    async with ExecutionStore(database=path) as store:
        execution_id = (await store.create_execution()).execution_id
        gc.collect()
        one, two = await asyncio.gather(store.get(execution_id), store.get(execution_id))
        assert one is two is not None


async def test_nothing_is_kept_of_an_execution_that_is_not_there(path: Path) -> None:
    async with ExecutionStore(database=path) as store:
        assert await store.get("nobody") is None
        gc.collect()
        assert "nobody" not in file_of(store).records


async def test_who_asks_gets_the_prompt_also_when_it_is_closed_in_the_same_commit(path: Path) -> None:
    async with ExecutionStore(database=path) as store:
        record = await store.create_execution()
        pending, _ = await asyncio.gather(
            store.set_interaction_required(record.execution_id, TEXT, "q"), store.cancel(record.execution_id)
        )
        assert (pending.interaction_id, record.status, record.pending_interactions) == ("q", "cancelled", ())
        assert "cancelled" in str(pending.future.exception())


async def test_the_summary_of_a_record_is_the_line_that_a_list_has_of_it(path: Path) -> None:
    async with ExecutionStore(database=path) as store:
        record = await store.create_execution(workflow="refund", owner="ada")
        await store.set_interaction_required(record.execution_id, TEXT)
        assert [record.summary] == list((await store.list()).items)
        await store.set_failed(record.execution_id, "No funds.", code="no_funds")
        assert [record.summary] == list((await store.list()).items)
