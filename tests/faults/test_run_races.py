"""Races in and around a run: what is cancelled, closed or answered at the very moment when something else happens."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from restpoint import Context, ExecutionStore, Runner, workflow
from restpoint.errors import StepFailed
from runners import PATIENCE, WAYS, answer, asked, ended, question, unloaded
from support import rows


@pytest.fixture(params=["held", "parked"])
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    return WAYS[request.param]


async def test_a_step_that_its_workflow_cancelled_is_not_done_again_by_a_replay(
    store: ExecutionStore, way: dict[str, Any], path: Path
) -> None:
    done: list[str] = []
    begun = asyncio.Event()

    async def slow() -> None:
        done.append("slow")
        begun.set()
        await asyncio.get_running_loop().create_future()

    async def failing() -> None:
        await begun.wait()
        raise ValueError

    @workflow
    async def grouped(ctx: Context) -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(ctx.step(slow))
                group.create_task(ctx.step(failing))
        except* StepFailed:
            pass
        return (await ctx.ask(question("And now?"))).text

    async with asyncio.timeout(PATIENCE), Runner(store, [grouped], **way) as runner:
        record = (await runner.start("grouped")).record
        await asked(record, "And now?")
        if way["hold_paused_for"] == 0:
            await unloaded(runner)
        await answer(store, record, "And now?", "on")
        await ended(record)
    assert (record.result, done) == ("on", ["slow"])
    assert rows(path, "SELECT count(*) FROM journal WHERE name LIKE '%slow' AND error = '\"abandoned\"'") == [(1,)]


async def test_a_prompt_given_up_after_a_while_is_given_up_again_in_a_runner_that_holds_nothing(
    store: ExecutionStore,
) -> None:
    """A replay must not be parked at a call that was given up: nothing would ever bring it back."""

    @workflow
    async def impatient(ctx: Context) -> str:
        try:
            async with asyncio.timeout(0.05):
                await ctx.ask(question("Quick?"))
        except TimeoutError:
            pass
        return (await ctx.ask(question("Take your time."))).text

    async with asyncio.timeout(PATIENCE):
        async with Runner(store, [impatient], hold_paused_for=600) as runner:
            record = (await runner.start("impatient")).record
            await asked(record, "Take your time.")
        async with Runner(store, [impatient], hold_paused_for=0):
            await answer(store, record, "Take your time.", "I did")
            await ended(record)
    assert record.result == "I did"


async def test_what_is_behind_many_tasks_is_asked_before_the_run_is_parked(store: ExecutionStore) -> None:
    @workflow
    async def nested(ctx: Context) -> list[str]:
        async def deep(depth: int) -> str:
            if depth == 0:
                return (await ctx.ask(question("first"))).text
            (reply,) = await asyncio.gather(deep(depth - 1))
            return reply

        async def twice() -> str:
            return f"{await deep(8)} {(await ctx.ask(question('second'))).text}"

        long, both = await asyncio.gather(ctx.ask(question("long")), twice())
        return [long.text, both]

    async with asyncio.timeout(PATIENCE), Runner(store, [nested], hold_paused_for=0) as runner:
        record = (await runner.start("nested")).record
        await answer(store, record, "first", "1")
        await answer(store, record, "second", "2")
        await answer(store, record, "long", "3")
        await ended(record)
    assert record.result == ["3", "1 2"]
