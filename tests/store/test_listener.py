"""Who waits is woken by what other processes write, and while nobody waits nobody looks."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from restpoint import ExecutionStore
from restpoint._core.changes import Change
from restpoint._storage import queries
from restpoint._storage.sqlite.database import Database
from restpoint._store import listener
from restpoint.errors import ExecutionCancelled, ExecutionNotFound
from support import ADA, PATIENCE, TEXT, eventually, file_of, sought


class Counted:
    """Counts the looks of each store at its file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._reads: Counter[Database | None] = Counter()
        read = Database.read

        async def counting(database: Database, *arguments: Any, **options: Any) -> Iterable[Any]:
            self._reads[database] += 1
            return await read(database, *arguments, **options)

        monkeypatch.setattr(Database, "read", counting)
        newest = Database.newest

        def glancing(database: Database) -> int | None:
            self._reads[database] += 1
            return newest(database)

        monkeypatch.setattr(Database, "newest", glancing)

    def by(self, store: ExecutionStore) -> int:
        """How often a store has looked."""
        return self._reads[file_of(store).database]

    async def more_by(self, store: ExecutionStore, looks: int) -> None:
        """Return when a store has looked this many times more."""
        seen = self.by(store)
        await eventually(lambda: self.by(store) >= seen + looks)


async def test_an_idle_store_does_not_look_at_the_file(
    store: ExecutionStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "INTERVAL", 0.001)
    async with ExecutionStore(database=path, clock=file_of(store).clock) as other:
        waited_for = await other.set_interaction_required((await other.create_execution()).execution_id, TEXT)
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, TEXT)
        counted = Counted(monkeypatch)
        looking = waited_for.future  # while another store looks again and again, one that nobody waits at does not
        await counted.more_by(other, 50)
        assert counted.by(store) == 0
        future = pending.future
        await counted.more_by(store, 3)
        await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
        await future
        await counted.more_by(other, 3)  # what had begun is over
        seen = counted.by(store)
        await counted.more_by(other, 50)
        assert counted.by(store) == seen
        assert not looking.done()


async def test_an_answer_from_elsewhere_wakes_the_waiter(path: Path) -> None:
    async with ExecutionStore(database=path) as here, ExecutionStore(database=path) as there:
        record = await here.create_execution()
        pending = await here.set_interaction_required(record.execution_id, TEXT)
        future = pending.future
        await there.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
        assert await asyncio.wait_for(future, PATIENCE) == ADA
        assert record.status == "running"


async def test_the_first_outcome_elsewhere_wakes_who_waits_for_it(path: Path) -> None:
    async with ExecutionStore(database=path) as here, ExecutionStore(database=path) as there:
        record = await here.create_execution()
        event = record.first_outcome
        waiting = asyncio.create_task(event.wait())
        await asyncio.sleep(0)
        await there.set_completed(record.execution_id, {"by": "there"})
        await asyncio.wait_for(waiting, PATIENCE)
        assert record.status == "completed"
        assert record.result == {"by": "there"}


async def test_a_waiter_far_behind_is_woken_all_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "_MOST", 5)
    async with ExecutionStore(database=path) as here, ExecutionStore(database=path) as there:
        record = await here.create_execution()
        pending = await here.set_interaction_required(record.execution_id, TEXT)
        for _ in range(20):
            await there.create_execution()
        await there.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
        assert await asyncio.wait_for(pending.future, PATIENCE) == ADA


async def test_own_writes_between_those_of_others_are_not_lost_on_the_way(path: Path) -> None:
    async with ExecutionStore(database=path) as here, ExecutionStore(database=path) as there:
        records = [await here.create_execution() for _ in range(20)]
        asked = [await here.set_interaction_required(record.execution_id, TEXT) for record in records]
        futures = [pending.future for pending in asked]

        async def answer(index: int) -> None:
            store = here if index % 2 else there
            await store.resolve_interaction(records[index].execution_id, asked[index].interaction_id, ADA)

        await asyncio.gather(*(answer(index) for index in range(20)))
        assert await asyncio.wait_for(asyncio.gather(*futures), PATIENCE) == [ADA] * 20


async def test_a_write_of_ones_own_does_not_hide_the_answer_of_another(path: Path) -> None:
    async with ExecutionStore(database=path) as here, ExecutionStore(database=path) as there:
        record = await here.create_execution()
        one = record.execution_id
        first = await here.set_interaction_required(one, TEXT)
        second = await here.set_interaction_required(one, TEXT)
        futures = [first.future, second.future]
        await there.resolve_interaction(one, first.interaction_id, ADA)
        await here.resolve_interaction(one, second.interaction_id, ADA)
        assert await asyncio.wait_for(asyncio.gather(*futures), PATIENCE) == [ADA, ADA]
        assert record.status == "running"


async def test_an_answer_is_told_also_when_the_execution_left_the_file_before_anyone_looked(path: Path) -> None:
    async with ExecutionStore(database=path) as here, ExecutionStore(database=path, ttl_seconds=0) as there:
        record = await here.create_execution()
        pending = await here.set_interaction_required(record.execution_id, TEXT)
        unanswered = await here.create_execution()
        lost = await here.set_interaction_required(unanswered.execution_id, TEXT)
        futures = [pending.future, lost.future]
        await there.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
        await there.set_completed(record.execution_id, None)
        await there.cleanup_expired()
        await there.remove(unanswered.execution_id)
        assert await asyncio.wait_for(futures[0], PATIENCE) == ADA
        with pytest.raises(ExecutionCancelled):
            await asyncio.wait_for(futures[1], PATIENCE)
        assert (record.status, unanswered.status) == ("completed", "cancelled")


async def test_a_store_that_does_not_wait_still_tells_the_truth_when_asked(path: Path) -> None:
    async with ExecutionStore(database=path) as here, ExecutionStore(database=path) as there:
        record = await here.create_execution()
        pending = await there.set_interaction_required(record.execution_id, TEXT)
        assert record.status == "running"
        assert await here.get(record.execution_id) is record
        assert record.status == "interaction_required"
        assert [open_.interaction_id for open_ in record.pending_interactions] == [pending.interaction_id]


async def test_one_who_held_on_far_behind_and_did_not_wait_is_told_the_truth_when_asking(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "_MOST", 5)
    async with ExecutionStore(database=path) as here, ExecutionStore(database=path) as there:
        held, waited = await here.create_execution(), await here.create_execution()
        pending = await here.set_interaction_required(waited.execution_id, TEXT)
        await there.set_completed(held.execution_id, None)
        for _ in range(20):
            await there.create_execution()
        await there.resolve_interaction(waited.execution_id, pending.interaction_id, ADA)
        await asyncio.wait_for(pending.future, PATIENCE)
        await sought(file_of(here).listener.has_heard_all)
        assert await here.get(held.execution_id) is held
        assert held.status == "completed"


async def test_a_subscriber_that_fails_keeps_nothing_from_those_who_wait(
    store: ExecutionStore, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def once(change: Change) -> None:
        heard.append(change.event)
        unsubscribe()
        raise LookupError

    unsubscribe = store.subscribe(once)
    store.subscribe(lambda change: heard.append(change.event))
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT)
    future = pending.future
    await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
    assert await asyncio.wait_for(future, PATIENCE) == ADA
    assert heard == ["execution_created", *("execution_created", "interaction_asked", "interaction_answered")]
    assert "subscriber" in caplog.text


async def test_a_result_that_was_swept_before_it_was_read_here_is_not_taken_for_null(path: Path) -> None:
    async with ExecutionStore(database=path) as here, ExecutionStore(0, database=path) as there:
        records = [await here.create_execution() for _ in range(3)]
        lost, nothing, failed = (record.execution_id for record in records)
        await there.set_completed(lost, {"paid": True})
        await there.set_completed(nothing, None)
        await there.set_failed(failed, "No funds.", code="no_funds")
        assert await there.cleanup_expired() == 3
        assert [await here.get(record.execution_id) for record in records] == [None] * 3
    assert [record.status for record in records] == ["completed", "completed", "failed"]
    assert all(record.completed_at is not None for record in records)
    with pytest.raises(ExecutionNotFound):
        _ = records[0].result
    assert records[1].result is None
    assert (records[2].error, records[2].error_code) == ("No funds.", "no_funds")


async def test_what_this_process_writes_is_not_read_again_while_someone_waits(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "INTERVAL", 0.0)
    async with ExecutionStore(database=path) as store:
        waiting = await store.create_execution()
        future = (await store.set_interaction_required(waiting.execution_id, TEXT, "q")).future
        read: list[str] = []
        snapshot = queries.snapshot

        def reading(database: Database, execution_id: str, *known: Any) -> Any:
            read.append(execution_id)
            return snapshot(database, execution_id, *known)

        monkeypatch.setattr(queries, "snapshot", reading)
        for _ in range(50):
            record = await store.create_execution()
            await store.set_completed(record.execution_id, 1)
        assert read == []
        await store.resolve_interaction(waiting.execution_id, "q", ADA)
        assert await future == ADA
