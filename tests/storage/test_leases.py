"""Leases where /proc cannot tell who is alive, as on another machine or in another container."""

import asyncio
from pathlib import Path

import pytest

from restpoint import ExecutionStore
from restpoint._core.log_limit import STORAGE_FAILURES
from restpoint._storage import leases
from restpoint._storage.sqlite import writer
from support import TEXT, ManualClock, eventually, file_of, rows, sql


@pytest.fixture(autouse=True)
def nobody_can_see_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "_started", lambda _: None)


async def renewed(path: Path, clock: ManualClock) -> None:
    """Return once the only lease runs from now on, and those who renew leases sleep until the next time.

    They announce neither. One that does not sleep yet would count its time from after the next step of the clock.
    """
    renewers = [task for task in asyncio.all_tasks() if task.get_name() == "restpoint:renew"]
    await eventually(lambda: rows(path, "SELECT expires_at FROM leases") == [(clock.now() + leases.DURATION,)])
    await eventually(lambda: not any(clock.asleep.get(task, 0) <= clock.now() for task in renewers))


async def test_a_process_that_runs_for_longer_than_a_lease_is_not_taken_for_dead(
    path: Path, clock: ManualClock
) -> None:
    async with ExecutionStore(database=path, clock=clock) as here, ExecutionStore(database=path, clock=clock) as there:
        record = await here.create_execution()
        for _ in range(6):
            clock.step(leases.DURATION / 3 / 1000)
            await renewed(path, clock)
        assert await there.recover() == []
        assert record.status == "running"


async def test_a_lease_that_was_buried_too_early_is_taken_again(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock) as here, ExecutionStore(database=path, clock=clock) as there:
        await here.create_execution()
        with sql(path) as connection:
            connection.execute("DELETE FROM leases")
        clock.step(leases.DURATION / 3 / 1000)
        await renewed(path, clock)
        later = await here.create_execution()
        assert await there.recover() == []
        assert later.status == "running"


async def test_a_lease_that_ran_out_leaves_its_executions_to_recovery(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock) as here, ExecutionStore(database=path, clock=clock) as there:
        record = await here.create_execution()
        with sql(path) as connection:
            connection.execute("UPDATE leases SET expires_at = ?", (clock.now(),))
        assert [found.execution_id for found in await there.recover()] == [record.execution_id]


async def test_who_could_not_be_adopted_for_a_locked_file_is_adopted_with_the_next(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "BUSY_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(STORAGE_FAILURES, "_next", 0.0)  # whatever was logged within the last second
    async with ExecutionStore(database=path, clock=clock) as first:
        records = [await first.create_execution() for _ in range(2)]
        for record in records:
            await first.set_interaction_required(record.execution_id, TEXT)
    async with ExecutionStore(database=path, clock=clock) as here:
        lease = await file_of(here).lease_keeper.take_lease()
        found = [await here.get(record.execution_id) for record in records]
        pending = [each.pending_interaction for each in found if each is not None]
        assert pending[0] is not None
        assert pending[1] is not None
        with sql(path) as another:
            another.execute("BEGIN IMMEDIATE")
            futures = [pending[0].future]
            await eventually(lambda: "refused a write" in caplog.text)
            another.execute("ROLLBACK")
        futures.append(pending[1].future)
        await eventually(lambda: rows(path, "SELECT DISTINCT lease FROM executions") == [(lease,)])
        assert not any(future.done() for future in futures)
