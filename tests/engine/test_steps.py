"""Steps over restarts: how often they are tried, how long they may take, what they keep, and the threads that they work in."""

import asyncio
import gc
import json
import logging
import threading
import weakref
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from restpoint import Context, ExecutionStore, Runner, StepFailed, workflow
from restpoint._core.threads import ThreadPool, in_thread
from restpoint._storage import journal as runs
from restpoint.errors import InvalidArgument
from runners import PATIENCE, WAYS, answer, ended, question
from support import ManualClock, eventually, file_of, rows

TRIES: list[str] = []


def decline() -> int:
    TRIES.append("tried")
    raise ValueError(f"declined {len(TRIES)}")


@workflow
async def paying(ctx: Context) -> str:
    try:
        await ctx.step(decline, retries=2, backoff=10.0)
    except StepFailed as error:
        return f"gave up: {error.error_message}"
    return "paid"


async def _failed(path: Path, attempts: int) -> None:
    """Return when this many attempts of the step are in the file."""
    await eventually(lambda: rows(path, "SELECT attempts FROM step_attempts") == [(attempts,)])


async def _rests(clock: ManualClock, instant: int) -> None:
    """Return when somebody sleeps until this instant."""
    await eventually(lambda: instant in clock.asleep.values())


async def test_the_attempts_of_a_step_and_the_time_of_the_next_one_hold_over_restarts(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    TRIES.clear()
    async with Runner(store, [paying]) as runner:
        record = (await runner.start("paying")).record
        await _failed(path, 1)
    began = clock.now()
    for attempt, pause in ((1, 10), (2, 20)):
        async with Runner(store, [paying]):  # a process that was started again: it waits on
            await _rests(clock, began + pause * 1000)
            assert len(TRIES) == attempt
        clock.step(pause)
        began = clock.now()
        async with Runner(store, [paying]):
            if attempt == 1:
                await _failed(path, 2)
            else:
                await ended(record)
    assert (record.result, len(TRIES)) == ("gave up: declined 3", 3)
    assert rows(path, "SELECT count(*) FROM step_attempts") == [(0,)]


async def test_a_step_under_way_tells_its_attempts_its_last_error_and_when_it_is_tried_again(
    store: ExecutionStore, path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    TRIES.clear()
    with caplog.at_level(logging.WARNING, logger="restpoint"):
        async with Runner(store, [paying]) as runner:
            record = (await runner.start("paying")).record
            await _failed(path, 1)
            (step,) = await runs.read_attempts(file_of(store).database, record.execution_id)
    assert (step.position, step.name, step.attempts) == ("1", "decline", 1)
    assert (step.failed_at, step.next_at) == (clock.now(), clock.now() + 10_000)
    assert json.loads(step.error) == {"step": "decline", "type": "ValueError", "message": "declined 1"}
    assert [each.getMessage() for each in caplog.records] == [
        "step decline failed in attempt 1 of 3, and is tried again in 10 seconds: ValueError: declined 1"
    ]


async def test_a_step_that_has_fewer_retries_now_has_failed_with_its_last_error(
    store: ExecutionStore, path: Path
) -> None:
    TRIES.clear()

    @workflow("paying")
    async def hasty(ctx: Context) -> str:
        try:
            await ctx.step(decline)
        except StepFailed as error:
            return error.error_message
        return "paid"

    async with Runner(store, [paying]) as runner:
        record = (await runner.start("paying")).record
        await _failed(path, 1)
    async with asyncio.timeout(PATIENCE), Runner(store, [hasty]):
        await ended(record)
    assert (record.result, len(TRIES)) == ("declined 1", 1)


async def test_the_attempts_of_another_step_are_not_counted(store: ExecutionStore, path: Path) -> None:
    @workflow("paying")
    async def changed(ctx: Context) -> int:
        return await ctx.step(len, "four")

    async with Runner(store, [paying]) as runner:
        record = (await runner.start("paying")).record
        await _failed(path, 1)
    async with asyncio.timeout(PATIENCE), Runner(store, [changed]):
        await ended(record)
    assert record.result == 4
    assert rows(path, "SELECT 1 FROM step_attempts") == []


async def test_a_step_that_rests_until_its_next_attempt_needs_no_slot(store: ExecutionStore, path: Path) -> None:
    @workflow
    async def quick(ctx: Context) -> str:
        return await ctx.step(str, "done")

    async with asyncio.timeout(PATIENCE), Runner(store, [paying, quick], concurrency=1) as runner:
        await runner.start("paying")
        await _failed(path, 1)
        assert (await ended((await runner.start("quick")).record)).result == "done"


async def test_a_step_that_the_workflow_gives_up_between_two_attempts_is_tried_no_more(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    TRIES.clear()

    @workflow
    async def impatient(ctx: Context) -> str:
        step = asyncio.create_task(ctx.step(decline, retries=5, backoff=10.0))
        reply = await ctx.ask(question("Give up?"))
        step.cancel()
        return f"{reply.text} {(await ctx.ask(question('Sure?'))).text}"

    async with asyncio.timeout(PATIENCE), Runner(store, [impatient], hold_paused_for=0) as runner:
        record = (await runner.start("impatient")).record
        await _failed(path, 1)
        await answer(store, record, "Give up?", "yes")
        await answer(store, record, "Sure?", "yes")
        clock.step(60)
        await ended(record)
    assert (record.result, len(TRIES)) == ("yes yes", 1)
    assert rows(path, "SELECT error FROM journal WHERE kind = 'step'") == [('"abandoned"',)]
    assert rows(path, "SELECT count(*) FROM step_attempts") == [(0,)]


# --- Timeouts ----------------------------------------------------------------------------------------------------------


async def test_an_attempt_that_takes_longer_than_its_timeout_is_cancelled_and_has_failed(
    store: ExecutionStore, clock: ManualClock
) -> None:
    begun: list[asyncio.Event] = [asyncio.Event(), asyncio.Event()]
    cancelled: list[int] = []

    async def slow() -> str:
        number = sum(each.is_set() for each in begun)
        begun[number].set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        return "never"

    @workflow
    async def work(ctx: Context) -> list[str]:
        try:
            await ctx.step(slow, retries=1, backoff=0.0, timeout=30)
        except StepFailed as error:
            return [error.error_type, error.error_message, await ctx.step(str, "after", timeout=30)]
        return []

    async with asyncio.timeout(PATIENCE), Runner(store, [work]) as runner:
        record = (await runner.start("work")).record
        for each in begun:
            await each.wait()
            await _rests(clock, clock.now() + 30_000)
            clock.step(30)
        await ended(record)
    assert record.result == ["TimeoutError", "it took longer than 30 seconds", "after"]
    assert cancelled == [0, 1]


async def test_a_clock_that_is_set_back_makes_neither_a_backoff_nor_a_timeout_longer(
    store: ExecutionStore, clock: ManualClock
) -> None:
    begun: list[asyncio.Event] = [asyncio.Event(), asyncio.Event()]

    async def slow() -> str:
        next(each for each in begun if not each.is_set()).set()
        await asyncio.Event().wait()
        return "never"

    @workflow
    async def work(ctx: Context) -> str:
        try:
            return await ctx.step(slow, retries=1, backoff=17.0, timeout=33)
        except StepFailed as error:
            return error.error_type

    async with asyncio.timeout(PATIENCE), Runner(store, [work]) as runner:
        record = (await runner.start("work")).record
        for each in begun:
            await each.wait()
            await _rests(clock, clock.now() + 33_000)
            clock.step(-7200)  # seconds
            await _rests(clock, clock.now() + 33_000)
            clock.step(33)
            if each is begun[0]:
                await _rests(clock, clock.now() + 17_000)
                clock.step(-7200)
                await _rests(clock, clock.now() + 17_000)
                clock.step(17)
        await ended(record)
    assert record.result == "TimeoutError"


async def test_a_sync_step_that_takes_longer_than_its_timeout_has_failed_though_its_thread_goes_on(
    store: ExecutionStore, clock: ManualClock
) -> None:
    begun, free = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        free.wait(PATIENCE)
        return "too late"

    @workflow
    async def work(ctx: Context) -> list[str]:
        try:
            await ctx.step(slow, timeout=30)
        except StepFailed as error:
            return [error.error_type, await ctx.step(str, "after")]
        return []

    try:
        async with asyncio.timeout(PATIENCE), Runner(store, [work], concurrency=1) as runner:
            record = (await runner.start("work")).record
            await in_thread(begun.wait, PATIENCE)
            await _rests(clock, clock.now() + 30_000)
            clock.step(30)
            await ended(record)
        assert record.result == ["TimeoutError", "after"], "the only thread is blocked, and another is made"
    finally:
        free.set()


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "60"])
async def test_a_timeout_that_is_no_time_is_refused(store: ExecutionStore, timeout: Any) -> None:
    refused: list[str] = []

    @workflow
    async def work(ctx: Context) -> None:
        try:
            await ctx.step(str, timeout=timeout)
        except InvalidArgument as error:
            refused.append(str(error))

    async with asyncio.timeout(PATIENCE), Runner(store, [work]) as runner:
        await ended((await runner.start("work")).record)
    assert "timeout is" in refused[0]


@pytest.mark.parametrize("backoff", [-1, float("nan"), "1", timedelta(seconds=1)])
async def test_a_backoff_that_is_no_number_of_seconds_is_refused_by_its_name(
    store: ExecutionStore, backoff: Any
) -> None:
    @workflow
    async def work(ctx: Context) -> str:
        try:
            return await ctx.step(str, backoff=backoff)
        except InvalidArgument as error:
            return str(error)

    async with Runner(store, [work]) as runner:
        record = await ended((await runner.start("work")).record)
    assert record.result == f"backoff is {backoff!r}; give seconds from 0."


# --- Threads, and what is kept -----------------------------------------------------------------------------------------


async def test_slow_sync_steps_leave_a_thread_for_every_slot_and_none_of_the_applications(
    store: ExecutionStore, tmp_path: Path
) -> None:
    free = threading.Event()

    def slow() -> int:
        free.wait(PATIENCE)
        return 1

    @workflow
    async def waiting(ctx: Context) -> int:
        return await ctx.step(slow)

    @workflow
    async def quick(ctx: Context) -> int:
        return await ctx.step(len, "four")

    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(PATIENCE), Runner(store, [waiting, quick], concurrency=50) as runner:
            slow_ones = [(await runner.start("waiting")).record for _ in range(49)]
            assert (await ended((await runner.start("quick")).record)).result == 4
            for _ in range(40):  # the application's own pool, which has fewer threads
                loop.run_in_executor(None, free.wait, PATIENCE)
            async with ExecutionStore(database=tmp_path / "other.db") as other:
                assert (await other.create_execution()).status == "running"
            free.set()
            for each in slow_ones:
                assert (await ended(each)).result == 1
    finally:
        free.set()


async def test_a_pool_works_on_as_many_calls_at_once_as_its_limit_and_not_on_what_nobody_awaits() -> None:
    begun: list[int] = []
    gates = [threading.Event() for _ in range(4)]

    def work(number: int) -> int:
        begun.append(number)
        gates[number].wait(PATIENCE)
        return number

    async def begins(*numbers: int) -> None:
        await eventually(lambda: begun == list(numbers))

    pool = ThreadPool(1, "test")
    try:
        calls = [pool.call(work, number) for number in range(4)]
        await begins(0)
        calls[1].cancel()
        calls[0].cancel()
        await begins(0, 2)  # the first one goes on, and counts no more
        assert (calls[0].is_over, calls[1].is_over, calls[2].is_over) == (False, True, False)
        gates[2].set()
        assert await calls[2] == (2, None)
        await begins(0, 2, 3)
        gates[3].set()
        assert await calls[3] == (3, None)
    finally:
        for gate in gates:
            gate.set()
        pool.close()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_nothing_keeps_what_a_step_captured(store: ExecutionStore, way: dict[str, Any]) -> None:
    captured: list[weakref.ref[Any]] = []

    class Big:
        def size(self) -> int:
            return 1

    @workflow
    async def work(ctx: Context) -> int:
        big = Big()
        captured.append(weakref.ref(big))
        return await ctx.step(lambda: big.size() + 0) + await ctx.step(big.size)

    async with asyncio.timeout(PATIENCE), Runner(store, [work], **way) as runner:
        assert (await ended((await runner.start("work")).record)).result == 2
    gc.collect()
    assert [each() for each in captured] == [None] * len(captured)


async def test_a_replay_at_every_write_calls_no_step_again_that_is_in_a_thread(store: ExecutionStore) -> None:
    called: list[str] = []
    go = threading.Event()

    def slow() -> str:
        called.append("slow")
        assert go.wait(PATIENCE)
        return "done"

    @workflow
    async def work(ctx: Context) -> str:
        step = asyncio.create_task(ctx.step(slow))
        await eventually(lambda: called)
        await ctx.emit("meanwhile")
        go.set()
        return await step

    async with Runner(store, [work], **WAYS["rebuilt"]) as runner:
        record = await ended((await runner.start("work")).record)
    assert (record.result, called) == ("done", ["slow"])


# --- Calls that are not awaited ---


def double(number: int) -> int:
    return 2 * number


@workflow
async def forgetful(ctx: Context) -> int:
    ctx.step(double, 1)  # type: ignore[unused-coroutine]
    ctx.ask(question("Forgotten?"))  # type: ignore[unused-coroutine]
    first, second = await asyncio.gather(ctx.ask(question("Left?")), ctx.ask(question("Right?")))
    ctx.sleep(5)  # type: ignore[unused-coroutine]
    return await ctx.step(double, len(first.text + second.text))


@workflow
async def careful(ctx: Context) -> str:
    asked = ctx.ask(question("Well?"))
    beside = asyncio.create_task(ctx.sleep(600))
    await asyncio.gather(ctx.step(double, 1), ctx.notify("Asked"), ctx.emit(1), ctx.now(), ctx.sleep(0))
    answer = await asked
    beside.cancel()
    return answer.text


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("way", WAYS)
async def test_a_workflow_that_returns_without_awaiting_a_call_is_told_so_in_the_log(
    store: ExecutionStore, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Runner(store, [forgetful], **WAYS[way]) as runner:
        record = (await runner.start("forgetful")).record
        await answer(store, record, "Left?", "a")
        await answer(store, record, "Right?", "bc")
        assert (await ended(record)).result == 6
    (warning,) = (each.getMessage() for each in caplog.records if each.levelname == "WARNING")
    assert warning == (
        "workflow forgetful returned without having awaited step double, ask text, sleep sleep, so nothing came of that: "
        "write await before a call of the context"
    )


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")  # of a run that left memory before
@pytest.mark.parametrize("way", WAYS)
async def test_a_workflow_that_awaits_its_calls_late_or_in_tasks_is_told_nothing(
    store: ExecutionStore, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Runner(store, [careful], **WAYS[way]) as runner:
        record = (await runner.start("careful")).record
        await answer(store, record, "Well?", "yes")
        assert (await ended(record)).result == "yes"
    assert not [each for each in caplog.records if each.levelname == "WARNING"]
