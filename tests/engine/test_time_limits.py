"""Time limits of asyncio around a wait: they outlast neither a restart nor parking, so they are refused the first time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from restpoint import Context, ExecutionStore, Runner, workflow
from restpoint._engine.parking import Parking
from restpoint.prompts import HumanResponseText
from runners import PATIENCE, WAYS, answer, asked, ended, question
from support import ManualClock

Body = Callable[[Context], Coroutine[Any, Any, Any]]


async def around_ask(ctx: Context) -> None:
    async with asyncio.timeout(3_600):
        await ctx.ask(question("Well?"))


async def around_sleep(ctx: Context) -> None:
    async with asyncio.timeout(3_600):
        await ctx.sleep(7_200)


async def around_consent(ctx: Context) -> None:
    async with asyncio.timeout(3_600):
        await ctx.authorize(auth_url="http://localhost/", oauth_state="state")


async def around_a_group(ctx: Context) -> None:
    async with asyncio.timeout(3_600), asyncio.TaskGroup() as group:
        group.create_task(ctx.ask(question("Well?")))
        group.create_task(ctx.ask(question("And?")))


async def in_a_function(ctx: Context) -> None:
    await asyncio.gather(around_ask(ctx), ctx.now())


async def wait_for(ctx: Context) -> None:
    await asyncio.wait_for(ctx.ask(question("Well?")), 3_600)


async def wait(ctx: Context) -> None:
    await asyncio.wait({asyncio.create_task(ctx.ask(question("Well?")))}, timeout=3_600)


async def swallowed(ctx: Context) -> str:
    try:
        async with asyncio.timeout(3_600):
            await ctx.ask(question("Well?"))
    except BaseException:
        return "as if nothing were"
    return ""


@pytest.mark.parametrize("way", ["held", "parked"])
@pytest.mark.parametrize(
    "body",
    [around_ask, around_sleep, around_consent, around_a_group, in_a_function, wait_for, wait, swallowed],
    ids=lambda body: body.__name__,
)
async def test_a_time_limit_of_asyncio_around_a_wait_fails_the_execution_at_once(
    store: ExecutionStore, body: Body, way: str
) -> None:
    limited = workflow("limited")(body)
    async with asyncio.timeout(PATIENCE), Runner(store, [limited], **WAYS[way]) as runner:
        record = await ended((await runner.start("limited")).record)
    assert (record.status, record.error_code) == ("failed", "time_limit_refused")
    assert "asyncio." in (record.error or "")
    assert "ctx.ask(..., timeout=60)" in (record.error or "")
    assert not record.pending_interactions


@pytest.mark.parametrize("way", ["held", "parked"])
async def test_what_limits_no_wait_is_not_refused(store: ExecutionStore, clock: ManualClock, way: str) -> None:
    @workflow
    async def free(ctx: Context) -> list[str]:
        async with asyncio.timeout(3_600):
            first = await ctx.step(str, "a step")
        async with asyncio.timeout(None) as limit:
            second = (await ctx.ask(question("Well?"))).text
        assert limit.when() is None
        asking, sleeping = (asyncio.create_task(each) for each in (ctx.ask(question("Soon?")), ctx.sleep(60)))
        done, _ = await asyncio.wait({asking, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        asking.cancel()
        return [first, second, "too late" if sleeping in done else "in time"]

    async with asyncio.timeout(PATIENCE), Runner(store, [free], **WAYS[way]) as runner:
        record = (await runner.start("free")).record
        await answer(store, record, "Well?", "yes")
        await asked(record, "Soon?")
        clock.step(61)
        await ended(record)
    assert record.result == ["a step", "yes", "too late"]


async def test_an_execution_that_waited_within_a_limit_before_that_was_refused_goes_on(
    store: ExecutionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = workflow("limited")(around_ask)
    with monkeypatch.context() as before:
        before.setattr(Parking, "_time_limit", lambda _: None)
        async with Runner(store, [limited]) as runner:
            record = (await runner.start("limited")).record
            await asked(record, "Well?")
    async with asyncio.timeout(PATIENCE), Runner(store, [limited], hold_paused_for=0):
        (pending,) = record.pending_interactions
        await store.resolve_interaction(record.execution_id, pending.interaction_id, HumanResponseText(text="yes"))
        assert (await ended(record)).status == "completed"
