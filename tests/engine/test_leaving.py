"""Runs that leave memory leave nothing behind: no tasks, no slot, no claim."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from restpoint import Context, ExecutionStore, Runner, workflow
from restpoint._engine import run
from restpoint._storage import journal
from runners import PATIENCE, WAYS, answer, ended, question, unloaded, until
from support import rows, sql


@workflow
async def quick(ctx: Context) -> str:
    return (await ctx.now()).isoformat()


@workflow
async def broken(ctx: Context) -> None:
    raise ValueError("broken")


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_a_task_of_a_workflow_that_has_ended_is_kept_by_nobody(
    store: ExecutionStore, way: dict[str, Any]
) -> None:
    alive: list[int] = []

    async def one(ctx: Context) -> None:
        await ctx.now()

    @workflow
    async def busy(ctx: Context) -> None:
        begun: weakref.WeakSet[asyncio.Task[None]] = weakref.WeakSet()
        for _ in range(30):
            task = asyncio.create_task(one(ctx))
            begun.add(task)
            await task
            del task
        await asyncio.sleep(0)
        gc.collect()  # a task and its context hold each other
        alive.append(len(begun))

    async with Runner(store, [busy], **way) as runner:
        await ended((await runner.start("busy")).record)
    assert alive
    assert max(alive) <= 1


async def test_a_failure_that_cannot_be_recorded_lets_go_of_the_claim_and_says_so(
    store: ExecutionStore, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(*_: Any, **__: Any) -> Any:
        raise TypeError("a defect")

    with monkeypatch.context() as patched:
        patched.setattr(journal, "fail", defect)
        async with Runner(store, [broken]) as runner:
            record = (await runner.start("broken")).record
            await until(record, lambda: record.problem)
            await unloaded(runner)
            assert runner.running == 0
    assert "TypeError" in str(record.problem)
    assert "a defect" not in str(record.problem)
    assert "a defect" in caplog.text
    assert rows(path, "SELECT lease, ready FROM executions") == [(None, 0)]
    async with Runner(store, [broken]):
        await ended(record)
    assert (record.status, record.error_code, record.problem) == ("failed", "workflow_error", None)


@pytest.mark.parametrize("why", ["cancelled", "lost"])
async def test_a_workflow_that_swallows_its_cancellation_keeps_no_slot_from_others(
    store: ExecutionStore, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, why: str
) -> None:
    monkeypatch.setattr(run, "_GRACE_SECONDS", 0.01)
    working, go_on = asyncio.Event(), asyncio.Event()
    heard: list[str] = []

    @workflow
    async def stubborn(ctx: Context) -> str:
        while not go_on.is_set():
            try:
                working.set()
                await go_on.wait()
            except asyncio.CancelledError as told:
                heard.append(str(told))
        try:
            await ctx.emit("after all")
        except asyncio.CancelledError:
            heard.append("refused")
        return "done"

    try:
        async with asyncio.timeout(PATIENCE), Runner(store, [stubborn, quick], concurrency=1) as runner:
            record = (await runner.start("stubborn")).record
            await working.wait()
            if why == "cancelled":
                await store.cancel(record.execution_id)
            else:
                runner._runs[record.execution_id].leave("lost")
            await ended((await runner.start("quick")).record)
            await unloaded(runner)
            assert runner.running == 0
            task = next(task for task in asyncio.all_tasks() if task.get_name().endswith(record.execution_id))
            go_on.set()
            await asyncio.wait([task])
            assert runner.running == 0
    finally:
        go_on.set()  # else the loop could not end either
    assert len(heard) >= 2
    assert heard[-1] == "refused"
    assert "goes on though" in caplog.text
    assert rows(path, "SELECT 1 FROM history WHERE event = 'emitted'") == []


@pytest.mark.parametrize("call", ["emit", "ask"])
async def test_a_run_that_leaves_while_its_write_is_committed_goes_no_further(
    store: ExecutionStore, path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Its main task is told at once; another one hears of it when its write is committed, and waits for no answer."""
    monkeypatch.setattr(run, "_GRACE_SECONDS", 10 * PATIENCE)
    ready, locked, calling, go_on, over = (asyncio.Event() for _ in range(5))
    reached: list[str] = []

    async def branch(ctx: Context) -> None:
        try:
            await ctx.emit("before")
            ready.set()
            await locked.wait()
            calling.set()
            await (ctx.emit("while it leaves") if call == "emit" else ctx.ask(question("while it leaves")))
            reached.append("the next statement")
        finally:
            over.set()

    @workflow
    async def branching(ctx: Context) -> None:
        task = asyncio.create_task(branch(ctx))
        try:
            await asyncio.wait([task])  # which does not hand the cancellation on
        except asyncio.CancelledError:
            await go_on.wait()
            raise

    async with asyncio.timeout(PATIENCE), Runner(store, [branching]) as runner:
        record = (await runner.start("branching")).record
        try:
            with sql(path) as another:
                await ready.wait()
                another.execute("BEGIN IMMEDIATE")  # so that the commit takes as long as the test wants
                locked.set()
                await calling.wait()
                runner._runs[record.execution_id].leave("lost")
                another.execute("ROLLBACK")
            await over.wait()
        finally:
            go_on.set()
        await unloaded(runner)
    assert reached == []


@pytest.mark.parametrize("caught", [asyncio.CancelledError, BaseException])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_a_workflow_that_swallows_every_cancellation_in_a_loop_does_not_hold_the_process(
    store: ExecutionStore, monkeypatch: pytest.MonkeyPatch, way: dict[str, Any], caught: type[BaseException]
) -> None:
    monkeypatch.setattr(run, "_GRACE_SECONDS", 0.0)
    rounds: list[None] = []
    over = asyncio.Event()

    @workflow
    async def stubborn(ctx: Context) -> None:
        while not over.is_set() and len(rounds) < 100_000:
            rounds.append(None)
            try:
                await ctx.ask(question("Go on?"))
            except caught:
                continue

    try:
        async with asyncio.timeout(PATIENCE), Runner(store, [stubborn, quick], **way) as runner:
            record = (await runner.start("stubborn")).record
            await until(record, lambda: record.pending_interactions)
            kept = asyncio.all_tasks()  # a coroutine that is collected before it has ended would swallow that too
            assert kept
            await store.cancel(record.execution_id)
            await ended((await runner.start("quick")).record)  # the loop goes on
            await unloaded(runner)
        assert len(rounds) < 1_000
    finally:
        over.set()
        for task in asyncio.all_tasks():
            if task.get_name().startswith("restpoint:"):  # it would wait for ever
                task.cancel()


async def _poller_is_woken() -> None:
    """Return in a turn of the loop in which the time limit of the poller's pause has cancelled its task, which is yet to run."""
    (poller,) = (task for task in asyncio.all_tasks() if task.get_name() == "restpoint:look_for_work")
    while not poller.cancelling():  # noqa: ASYNC110 - of a single turn no event tells
        await asyncio.sleep(0)


async def raises_in_a_step(ctx: Context) -> None:
    async def step() -> None:
        await _poller_is_woken()
        raise ValueError("no")

    await ctx.step(step)


async def raises_itself(ctx: Context) -> None:
    await _poller_is_woken()
    raise ValueError("no")


@pytest.mark.parametrize("body", [raises_in_a_step, raises_itself])
async def test_what_is_raised_in_the_very_turn_in_which_the_poller_is_woken_is_the_outcome(
    store: ExecutionStore, body: Callable[[Context], Awaitable[None]]
) -> None:
    called: list[str] = []

    @workflow
    async def work(ctx: Context) -> None:
        called.append(ctx.execution_id)
        await body(ctx)

    async with Runner(store, [work]) as runner:
        record = await ended((await runner.start("work")).record)
    assert (record.status, len(called)) == ("failed", 1)


async def test_a_step_that_is_given_up_in_the_very_turn_in_which_the_poller_is_woken_is_done_by_no_replay(
    store: ExecutionStore, path: Path
) -> None:
    called: list[str] = []
    begun = asyncio.Event()

    async def step() -> None:
        called.append("step")
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await _poller_is_woken()

    @workflow
    async def work(ctx: Context) -> str:
        called.append("work")
        task = asyncio.create_task(ctx.step(step))
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        return (await ctx.ask(question("And now?"))).text

    async with Runner(store, [work], hold_paused_for=600) as runner:
        record = (await runner.start("work")).record
        await answer(store, record, "And now?", "leave it")
        await ended(record)
    assert (record.result, called) == ("leave it", ["work", "step"])
    assert rows(path, "SELECT error FROM journal WHERE kind = 'step'") == [('"abandoned"',)]
