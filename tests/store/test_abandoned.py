"""What a dead process left behind, and no runner runs, ends after a time of its own."""

import math
from pathlib import Path

import pytest

from restpoint import Context, ExecutionStore, Runner, workflow
from runners import asked, question
from support import ADA, TEXT, ManualClock

DAY = 86_400.0


async def left(path: Path, clock: ManualClock, timeout: float | None = None) -> tuple[str, str]:
    """One that runs and one that waits, both left by a process that has ended."""
    async with ExecutionStore(database=path, clock=clock) as store:
        running = (await store.create_execution()).execution_id
        waiting = (await store.create_execution()).execution_id
        await store.set_interaction_required(waiting, TEXT, timeout=timeout)
    return running, waiting


async def statuses(store: ExecutionStore, *ids: str) -> list[tuple[str, str | None]]:
    records = [await store.get(each) for each in ids]
    return [(str(record.status), record.error_code) for record in records if record is not None]


async def test_it_is_failed_when_nothing_has_happened_to_it_for_ninety_days(path: Path, clock: ManualClock) -> None:
    ids = await left(path, clock)
    clock.step(90 * DAY - 1)
    async with ExecutionStore(database=path, clock=clock) as store:
        await store.cleanup_expired()
        assert await statuses(store, *ids) == [("running", None), ("interaction_required", None)]
        clock.step(3_601)
        await store.cleanup_expired()
        assert await statuses(store, *ids) == [("failed", "abandoned")] * 2
        record = await store.get(ids[0])
        assert record is not None
        assert record.error == ("Nothing has happened to this execution for 90 d, and the process that ran it is gone.")
        assert [entry.cause for entry in await store.history(ids[0])] == [None, "retention"]


async def test_an_answer_begins_the_time_anew(path: Path, clock: ManualClock) -> None:
    _, waiting = await left(path, clock)
    clock.step(80 * DAY)
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await store.get(waiting)
        assert record is not None
        assert record.pending_interaction is not None
        await store.resolve_interaction(waiting, record.pending_interaction.interaction_id, ADA)
    clock.step(80 * DAY)
    async with ExecutionStore(database=path, clock=clock) as store:
        await store.cleanup_expired()
        assert await statuses(store, waiting) == [("running", None)]


async def test_a_prompt_with_a_deadline_is_waited_for(path: Path, clock: ManualClock) -> None:
    _, waiting = await left(path, clock, timeout=200 * DAY)
    clock.step(100 * DAY)
    async with ExecutionStore(database=path, clock=clock) as store:
        await store.cleanup_expired()
        assert await statuses(store, waiting) == [("interaction_required", None)]


@pytest.mark.parametrize(("rule", "status"), [(math.inf, "running"), (60.0, "failed")])
async def test_the_time_is_what_the_store_says_and_the_file_remembers_it(
    path: Path, clock: ManualClock, rule: float, status: str
) -> None:
    async with ExecutionStore(database=path, clock=clock, abandoned_after_seconds=rule):
        pass
    running, _ = await left(path, clock)
    clock.step(100 if rule == 60 else 1_000 * DAY)
    async with ExecutionStore(database=path, clock=clock) as store:
        await store.cleanup_expired()
        assert (await statuses(store, running))[0][0] == status


async def test_what_a_living_process_drives_or_a_runner_runs_is_left_alone(path: Path, clock: ManualClock) -> None:
    @workflow
    async def greet(ctx: Context) -> str:
        return (await ctx.ask(question("Who?"))).text

    async with ExecutionStore(database=path, clock=clock) as store:
        async with Runner(store, [greet]) as runner:
            paused = (await runner.start("greet")).record
            await asked(paused, "Who?")
        driven = await store.create_execution()
        clock.step(1_000 * DAY)
        async with ExecutionStore(database=path, clock=clock) as other:
            await other.cleanup_expired()
        assert await statuses(store, paused.execution_id, driven.execution_id) == [
            ("interaction_required", None), ("running", None),
        ]  # fmt: skip
