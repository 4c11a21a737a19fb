"""Starting by the function itself, and the handle that a start gives."""

import asyncio
from datetime import date

import pytest
from pydantic import BaseModel

from restpoint import Context, ExecutionStore, Runner, WorkflowFailed, workflow
from restpoint.errors import ExecutionCancelled, InvalidArgument, StoreClosed, WorkflowNotFound
from runners import answer, question, unloaded, until


class Receipt(BaseModel):
    number: int
    on: date


@workflow("buy")
async def buy(ctx: Context, item: str) -> Receipt:
    reply = await ctx.ask(question("How many?"))
    return Receipt(number=int(reply.text), on=date(2026, 11, 29))


@workflow("buy", version=2)
async def buy_2(ctx: Context, item: str) -> int:
    return 2


async def plain(ctx: Context) -> str:
    return "plain"


async def test_a_handle_gives_the_result_as_the_workflow_returned_it(store: ExecutionStore) -> None:
    async with Runner(store, [buy], hold_paused_for=0) as runner:
        handle = await runner.start(buy, "tea")
        assert (handle.id, handle.created) == (handle.record.execution_id, True)
        waiting = asyncio.create_task(handle.result())
        await answer(store, handle.record, "How many?", "3")
        assert await waiting == Receipt(number=3, on=date(2026, 11, 29))
        assert handle.status == "completed"
        assert await handle.result() == Receipt(number=3, on=date(2026, 11, 29)), "as often as wanted"


async def test_a_function_starts_its_own_version_and_a_name_the_newest(store: ExecutionStore) -> None:
    async with Runner(store, [buy, buy_2, workflow("other")(plain)]) as runner:
        assert await (await runner.start("buy", "tea")).result() == 2
        assert await (await runner.start(buy_2, "tea")).result() == 2
        first = await runner.start(buy, "tea")
        await answer(store, first.record, "How many?", "1")
        assert (await first.result()).number == 1
        assert await (await runner.start(plain)).result() == "plain", "also by the function that was decorated"


async def test_a_function_that_the_runner_does_not_have_is_not_found(store: ExecutionStore) -> None:
    async with Runner(store, [buy]) as runner:
        with pytest.raises(WorkflowNotFound, match=r"buy@2 not found\. The workflows here are: buy"):
            await runner.start(buy_2, "tea")
        with pytest.raises(WorkflowNotFound, match="plain"):
            await runner.start(plain)


async def test_a_handle_raises_how_its_execution_ended_otherwise(store: ExecutionStore) -> None:
    @workflow
    async def gives_up(ctx: Context) -> None:
        raise WorkflowFailed("We do not ship there.", code="no_shipping")

    async with Runner(store, [gives_up, buy]) as runner:
        with pytest.raises(WorkflowFailed, match="We do not ship there") as caught:
            await (await runner.start(gives_up)).result()
        assert caught.value.failure_code == "no_shipping"
        handle = await runner.start(buy, "tea")
        waiting = asyncio.create_task(handle.result())
        await store.cancel(handle.id)
        with pytest.raises(ExecutionCancelled):
            await waiting


async def test_a_handle_says_when_the_store_closes_first(store: ExecutionStore) -> None:
    async with Runner(store, [buy]) as runner:
        handle = await runner.start(buy, "tea")
        waiting = asyncio.create_task(handle.result())
        await asyncio.sleep(0)
    await store.close()
    with pytest.raises(StoreClosed):
        await waiting


async def test_a_runner_names_at_its_start_the_open_executions_that_it_has_no_code_for(
    store: ExecutionStore, caplog: pytest.LogCaptureFixture
) -> None:
    async with Runner(store, [buy, buy_2, workflow("other")(plain)]) as runner:
        first, second = await runner.start(buy, "tea"), await runner.start(buy, "cake")
        await (await runner.start(buy_2, "tea")).result()
        for started in (first, second):
            await until(started.record, lambda started=started: started.record.pending_interactions)  # type: ignore[misc]
    caplog.clear()
    async with Runner(store, [buy_2]) as runner:
        await unloaded(runner)
        assert [each.getMessage() for each in caplog.records if each.levelname == "WARNING"] == [
            "2 open executions of buy@1: this process has no code for them; start one that has it, or cancel them"
        ]
    caplog.clear()
    await store.cancel(first.id)
    async with Runner(store, [buy_2]) as runner:
        await unloaded(runner)
        assert "1 open execution of buy@1" in caplog.text
    caplog.clear()
    async with Runner(store, [buy]) as runner:
        await unloaded(runner)
    assert "no code" not in caplog.text


async def test_lists_are_filtered_by_the_version_of_the_workflow(store: ExecutionStore) -> None:
    async with Runner(store, [buy, buy_2]) as runner:
        first = await runner.start(buy, "tea")
        second = await runner.start(buy_2, "tea")
        await second.result()
    assert {item.execution_id: item.version for item in (await store.list()).items} == {first.id: 1, second.id: 2}
    for version, found in ((1, [first.id]), (2, [second.id]), (3, [])):
        assert [item.execution_id for item in (await store.list(version=version)).items] == found
    for filters in ({"workflow": "buy"}, {"status": "completed"}, {"visible_to": ["ada"]}, {"owner": "ada"}):
        page = await store.list(version=2, **filters)
        assert [item.execution_id for item in page.items] == (
            [second.id] if set(filters) & {"workflow", "status"} else []
        )
    with pytest.raises(InvalidArgument, match="version"):
        await store.list(version=0)
