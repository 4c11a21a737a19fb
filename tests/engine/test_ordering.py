"""The order in which a workflow is given its outcomes: the same on a replay, down to what its tasks do between two of them."""

import asyncio
from typing import Any

import pytest

from restpoint import Context, ExecutionStore, Runner, workflow
from restpoint._engine.replay import TURNS as SETTLED
from restpoint._engine.replay import Order
from restpoint._storage import queries
from restpoint._storage.sqlite.database import Database
from restpoint.prompts import HumanResponseText
from runners import PATIENCE, WAYS, answer, asked, ended, question, unloaded
from support import eventually

TURNS = 10
"""Turns of the loop that a task of the workflow below needs for what it does after an answer."""


async def test_a_task_has_as_many_turns_between_two_outcomes_on_a_replay_as_it_had_before(
    store: ExecutionStore,
) -> None:
    done: list[str] = []

    async def slowly(ctx: Context) -> None:
        await ctx.ask(question("a"))
        for _ in range(TURNS):
            await asyncio.sleep(0)
        done.append("a")

    async def at_once(ctx: Context) -> None:
        await ctx.ask(question("b"))
        done.append("b")

    @workflow
    async def racing(ctx: Context) -> list[str]:
        done.clear()
        await asyncio.gather(slowly(ctx), at_once(ctx))
        await ctx.ask(question("more"))
        return done

    async with asyncio.timeout(PATIENCE), Runner(store, [racing], hold_paused_for=600) as runner:
        record = (await runner.start("racing")).record
        await asked(record, "a", "b")
        await answer(store, record, "a", "yes")
        await eventually(lambda: done == ["a"])
        await answer(store, record, "b", "yes")
        await asked(record, "more")
    async with asyncio.timeout(PATIENCE), Runner(store, [racing]):
        await answer(store, record, "more", "yes")
        assert (await ended(record)).result == ["a", "b"]


@pytest.mark.parametrize("first", ["b", "a", "consent"])
async def test_what_is_closed_while_a_run_comes_back_is_given_in_the_order_of_the_history(
    store: ExecutionStore, first: str
) -> None:
    back, goes_on = asyncio.Event(), asyncio.Event()
    goes_on.set()

    async def consented(ctx: Context) -> str:
        await ctx.authorize(auth_url="https://example.org/authorize", oauth_state="s1")
        return "consent"

    async def told(ctx: Context, text: str) -> str:
        return (await ctx.ask(question(text))).text

    @workflow
    async def racing(ctx: Context) -> list[str]:
        if not goes_on.is_set():
            back.set()
            await goes_on.wait()
        tasks = [asyncio.create_task(told(ctx, text)) for text in ("wake", "a", "b")]
        tasks.append(asyncio.create_task(consented(ctx)))
        return [await each for each in asyncio.as_completed(tasks)]

    async with asyncio.timeout(PATIENCE), Runner(store, [racing], hold_paused_for=0) as runner:
        record = (await runner.start("racing")).record
        await asked(record, "wake", "a", "b")
        await unloaded(runner)
        goes_on.clear()
        await answer(store, record, "wake", "wake")
        await back.wait()
        order = [first, *(each for each in ("consent", "b", "a") if each != first)]
        for each in order:
            if each == "consent":
                await store.set_running(record.execution_id)
            else:
                await answer(store, record, each, each)
        goes_on.set()
        assert (await ended(record)).result == ["wake", *order]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_an_answer_by_votes_that_came_before_a_plain_one_is_given_before_it(
    store: ExecutionStore, way: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = queries.asked

    async def read_slowly(database: Database, execution_id: str, wait_id: str) -> queries.Asked:
        for _ in range(10 * SETTLED):
            await asyncio.sleep(0)
        return await read(database, execution_id, wait_id)

    monkeypatch.setattr(queries, "asked", read_slowly)

    @workflow
    async def racing(ctx: Context) -> list[str]:
        plain = asyncio.create_task(ctx.ask(question("plain")))
        by_votes = asyncio.create_task(ctx.ask(question("by votes"), votes=2, assignees=["ada", "bob"]))
        return [(await each).text for each in asyncio.as_completed([plain, by_votes])]

    async with asyncio.timeout(PATIENCE), Runner(store, [racing], **way) as runner:
        record = (await runner.start("racing")).record
        await asked(record, "by votes", "plain")
        ids = {each.prompt.text: each.interaction_id for each in record.pending_interactions}
        answers = (
            store.resolve_interaction(record.execution_id, ids[text], HumanResponseText(text=text), actor=actor)
            for actor, text in (("ada", "by votes"), ("bob", "by votes"), ("cleo", "plain"))
        )
        await asyncio.gather(*answers)
        assert (await ended(record)).result == ["by votes", "plain"]


async def test_what_was_heard_against_the_order_of_the_file_is_numbered_in_the_order_of_the_file() -> None:
    order = Order()
    later, earlier = order.unnumbered("later", 9), order.unnumbered("earlier", 4)
    own, number_of_own = order.reserve()
    assert [outcome.number for outcome in (earlier, later, own)] == [1, 2, 3]
    assert number_of_own == 3
    waiting = [asyncio.ensure_future(order.give(each)) for each in (later, own, earlier)]
    for number, outcome in enumerate((earlier, later, own), 1):
        async with asyncio.timeout(PATIENCE):
            while not outcome.is_given:  # noqa: ASYNC110 - turns of the loop
                await asyncio.sleep(0)
        assert order.newest_given == number
    await asyncio.gather(*waiting)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_tasks_that_are_done_at_once_are_gone_through_by_their_list_in_the_same_order_on_every_replay(
    store: ExecutionStore, way: dict[str, Any]
) -> None:
    people = [f"person {number}" for number in range(6)]

    @workflow
    async def first_come(ctx: Context) -> list[str]:
        asked_for = [asyncio.create_task(ctx.ask(question(person))) for person in people]
        noted: list[str] = []
        while asked_for:
            done, _ = await asyncio.wait(asked_for, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in asked_for if task in done]:
                asked_for.remove(task)
                noted.append(await ctx.step(str, task.result().text))
        return noted

    async with asyncio.timeout(PATIENCE), Runner(store, [first_come], **way) as runner:
        record = (await runner.start("first_come")).record
        await asked(record, *people)
        await asyncio.gather(
            *(
                store.resolve_interaction(
                    record.execution_id, each.interaction_id, HumanResponseText(text=each.prompt.text)
                )
                for each in reversed(record.pending_interactions)
            )
        )
        assert sorted((await ended(record)).result) == people
