"""FAULTS row 18: changed code of a workflow against stored runs.

Each case begins with the old code and is answered under the new. The new code cannot go on with it: the journal is not what it
asks for. So it says what the two sides are and leaves the execution as it is, and the old code completes it.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from pydantic import BaseModel

from restpoint import Context, ExecutionRecord, ExecutionStore, Runner, Workflow, workflow
from restpoint.prompts import HumanPromptNotification, HumanPromptText
from runners import answer, asked, ended, question, unloaded, until

done: list[str] = []


def one(text: str) -> str:
    done.append(f"one {text}")
    return f"1{text}"


def two(text: str) -> str:
    done.append(f"two {text}")
    return f"2{text}"


class Order(BaseModel):
    item: str


@workflow("order")
async def old(ctx: Context, order: Order) -> list[str]:
    first = await ctx.step(one, order.item)
    second = await ctx.step(two, order.item)
    way = await ctx.ask(question("Which way?"))
    third = await ctx.step(two, way.text)
    last = await ctx.ask(question("And then?"))
    return [first, second, way.text, third, last.text]


Body = Callable[[Context, Order], Coroutine[Any, Any, Any]]


def renamed(text: str) -> str:
    return one(text)


def other_result(text: str) -> int:
    return len(one(text))


async def _renamed_step(ctx: Context, order: Order) -> Any:
    await ctx.step(renamed, order.item)


async def _reordered_steps(ctx: Context, order: Order) -> Any:
    await ctx.step(two, order.item)
    await ctx.step(one, order.item)


async def _removed_first_step(ctx: Context, order: Order) -> Any:
    await ctx.step(two, order.item)
    await ctx.ask(question("Which way?"))


async def _removed_middle_step(ctx: Context, order: Order) -> Any:
    await ctx.step(one, order.item)
    way = await ctx.ask(question("Which way?"))
    await ctx.step(two, way.text)


async def _removed_last_step(ctx: Context, order: Order) -> Any:
    await ctx.step(one, order.item)
    await ctx.step(two, order.item)
    await ctx.ask(question("Which way?"))
    return (await ctx.ask(question("And then?"))).text


async def _added_step(ctx: Context, order: Order) -> Any:
    await ctx.step(one, order.item)
    await ctx.step(one, "added")
    await ctx.step(two, order.item)


async def _changed_prompt(ctx: Context, order: Order) -> Any:
    await ctx.step(one, order.item)
    await ctx.step(two, order.item)
    return (await ctx.ask(question("Delete everything?"), name="deletion")).text


async def _swapped_prompts(ctx: Context, order: Order) -> Any:
    await ctx.step(one, order.item)
    await ctx.step(two, order.item)
    await ctx.ask(question("And then?"), name="last")


async def _other_kind(ctx: Context, order: Order) -> Any:
    await ctx.step(one, order.item)
    await ctx.step(two, order.item)
    await ctx.ask(HumanPromptNotification(text="Which way?"))


async def _blank_text_allowed(ctx: Context, order: Order) -> Any:
    await ctx.step(one, order.item)
    await ctx.step(two, order.item)
    await ctx.ask(HumanPromptText(text="Which way?", required=False))


async def _changed_terms(ctx: Context, order: Order) -> Any:
    await ctx.step(one, order.item)
    await ctx.step(two, order.item)
    await ctx.ask(question("Which way?"), assignees=["finance"])


async def _step_for_ask(ctx: Context, order: Order) -> Any:
    await ctx.step(one, order.item)
    await ctx.step(two, order.item)
    await ctx.step(one, "Which way?")


async def _ask_for_step(ctx: Context, order: Order) -> Any:
    await ctx.ask(question("Which way?"))


async def _other_arguments(ctx: Context, order: Order) -> Any:
    await ctx.step(one, order.item.upper())


async def _returns_early(ctx: Context, order: Order) -> Any:
    return await ctx.step(one, order.item)


async def _fails_early(ctx: Context, order: Order) -> Any:
    await ctx.step(one, order.item)
    raise ValueError("a defect of the new code")


async def _swallows_everything(ctx: Context, order: Order) -> Any:
    try:
        await ctx.step(renamed, order.item)
    except BaseException:
        return "as if nothing were"


async def _other_result_type(ctx: Context, order: Order) -> Any:
    await ctx.step(other_result, order.item, name="one")


async def _in_a_branch(ctx: Context, order: Order) -> Any:
    import asyncio

    return await asyncio.gather(asyncio.create_task(ctx.step(two, order.item)), ctx.step(one, order.item))


CASES: list[tuple[Body, str, str]] = [
    (_renamed_step, "call 1 was recorded as step one", "step renamed"),
    (_reordered_steps, "call 1 was recorded as step one", "step two"),
    (_removed_first_step, "call 1 was recorded as step one", "step two"),
    (_removed_middle_step, "call 2 was recorded as step two", "ask text"),
    (_removed_last_step, "call 4 was recorded as step two", "ask text"),
    (_added_step, "call 2 was recorded as step two", "step one"),
    (_changed_prompt, "call 3 was recorded as ask text “Which way?”", "ask deletion (text) “Delete everything?”"),
    (_swapped_prompts, "call 3 was recorded as ask text “Which way?”", "ask last (text) “And then?”"),
    (_other_kind, "call 3 was recorded as ask text “Which way?”", "ask notification “Which way?”"),
    (_blank_text_allowed, "call 3 was recorded as ask text “Which way?”", "ask text “Which way?” under other rules"),
    (_changed_terms, "call 3 was recorded as ask text “Which way?”", "ask text “Which way?” for finance"),
    (_step_for_ask, "call 3 was recorded as ask text", "step one"),
    (_ask_for_step, "call 1 was recorded as step one", "ask text"),
    (_other_arguments, "call 1 was recorded as step one", "step one with other arguments"),
    (_returns_early, "call 2 was recorded as step two", "nothing"),
    (_fails_early, "call 2 was recorded as step two", "nothing"),
    (_swallows_everything, "call 1 was recorded as step one", "step renamed"),
    (_other_result_type, "call 1 was recorded as step one", "int"),
    (_in_a_branch, "call 1 was recorded as step one", "step two"),
]


async def _begun(store: ExecutionStore) -> ExecutionRecord:
    """An execution of the old code, which waits for its last answer, and nobody has it."""
    done.clear()
    async with Runner(store, [old], hold_paused_for=0) as runner:
        record = (await runner.start("order", {"item": "tea"})).record
        await answer(store, record, "Which way?", "left")
        await asked(record, "And then?")
        await unloaded(runner)
    assert done == ["one tea", "two tea", "two left"]
    return record


async def _completed_by_the_old_code(store: ExecutionStore, record: ExecutionRecord) -> None:
    async with Runner(store, [old], hold_paused_for=0):
        await ended(record)
    assert (record.status, record.problem) == ("completed", None)
    assert record.result == ["1tea", "2tea", "left", "2left", "home"], "every answer at its own question"
    assert done == ["one tea", "two tea", "two left"], "no step ran again, under either code"


@pytest.mark.parametrize(("changed", "recorded", "asks"), CASES, ids=[case[0].__name__.strip("_") for case in CASES])
async def test_changed_code_names_both_sides_and_the_old_code_completes(
    store: ExecutionStore, changed: Body, recorded: str, asks: str
) -> None:
    record = await _begun(store)
    async with Runner(store, [Workflow(changed, "order", 1)], hold_paused_for=0) as runner:
        await answer(store, record, "And then?", "home")
        await until(record, lambda: record.problem)
        await unloaded(runner)
    assert recorded in (record.problem or "")
    assert asks in (record.problem or "").split("now asks for")[1]
    assert record.status == "running", "as it was"
    events = [entry.event for entry in await store.history(record.execution_id)]
    assert events.count("execution_stuck") == 1
    assert "execution_failed" not in events
    await _completed_by_the_old_code(store, record)


async def test_a_changed_input_model_leaves_the_execution_to_the_old_one(store: ExecutionStore) -> None:
    class Changed(BaseModel):
        item: str
        amount: int

    async def changed(ctx: Context, order: Changed) -> str:
        return "never"

    record = await _begun(store)
    async with Runner(store, [Workflow(changed, "order", 1)], hold_paused_for=0):
        await answer(store, record, "And then?", "home")
        await until(record, lambda: record.problem)
    assert "amount" in (record.problem or "")
    assert record.status == "running"
    await _completed_by_the_old_code(store, record)


@pytest.mark.parametrize(
    ("name", "version"), [("another", 1), ("order", 2)], ids=["an unknown name", "a newer version only"]
)
async def test_what_no_workflow_here_can_run_is_left_alone(store: ExecutionStore, name: str, version: int) -> None:
    done.clear()

    async def other(ctx: Context) -> str:
        return "other"

    record = await _begun(store)
    async with Runner(store, [Workflow(other, name, version)], hold_paused_for=0) as runner:
        await answer(store, record, "And then?", "home")
        assert (await ended((await runner.start(name)).record)).result == "other", "while there was time to claim it"
    assert (record.status, record.problem) == ("running", None)
    await _completed_by_the_old_code(store, record)


async def test_an_older_version_only_leaves_a_newer_one_alone(store: ExecutionStore) -> None:
    async def newer(ctx: Context, order: Order) -> str:
        return (await ctx.ask(question(f"{order.item}?"))).text

    done.clear()
    newest = Workflow(newer, "order", 2)
    async with Runner(store, [old, newest], hold_paused_for=0) as runner:
        record = (await runner.start("order", {"item": "tea"})).record
        await asked(record, "tea?")
        await unloaded(runner)
    async with Runner(store, [old], hold_paused_for=0) as runner:
        await answer(store, record, "tea?", "yes")
        beside = (await runner.start("order", {"item": "milk"})).record
        await asked(beside, "Which way?")
    assert (record.status, record.problem) == ("running", None)
    async with Runner(store, [newest]):
        assert (await ended(record)).result == "yes"
    assert beside.status == "interaction_required"


async def test_what_is_stuck_stays_cancellable_and_costs_the_others_nothing(store: ExecutionStore) -> None:
    record = await _begun(store)
    async with Runner(store, [Workflow(_renamed_step, "order", 1)], hold_paused_for=0, concurrency=1) as runner:
        await answer(store, record, "And then?", "home")
        await until(record, lambda: record.problem)
        beside = (await runner.start("order", {"item": "milk"})).record
        assert (await ended(beside)).status == "completed"
        await store.cancel(record.execution_id, "nobody can run it")
    assert (record.status, record.problem) == ("cancelled", None)


class CountedOrder(BaseModel):
    item: int


async def _counted(ctx: Context, order: CountedOrder) -> Any:
    await ctx.step(two, str(order.item))


async def test_an_input_that_the_new_code_does_not_take_is_told_of_without_what_is_in_it(
    store: ExecutionStore, caplog: pytest.LogCaptureFixture
) -> None:
    async with Runner(store, [old], hold_paused_for=0) as runner:
        record = (await runner.start("order", {"item": "canary"})).record
        await asked(record, "Which way?")
        await unloaded(runner)
    async with Runner(store, [Workflow(_counted, "order", 1)], hold_paused_for=0):
        await answer(store, record, "Which way?", "home")
        await until(record, lambda: record.problem)
    assert "item: Input should be a valid integer" in (record.problem or "")
    assert "canary" not in f"{record.problem} {caplog.text}"
