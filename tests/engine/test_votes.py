"""Workflows whose prompts several people vote on: what they are given, the same on every replay."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from restpoint import Answer, Context, ExecutionRecord, ExecutionStore, PromptDeclined, Runner, Workflow
from restpoint._engine import writes
from restpoint._storage import queries
from restpoint.errors import InteractionExpired, InvalidArgument, StorageError
from restpoint.prompts import HumanPromptBinary
from runners import WAYS, ended, unloaded, until
from support import NO, YES, ManualClock, eventually, rows

Body = Callable[[Context], Coroutine[Any, Any, Any]]
PEOPLE = ["ada", "eve", "joe"]


class Opinion(BaseModel):
    verdict: Literal["pay", "refuse"]
    amount: float = 5


def shown(answer: Answer[Any]) -> list[Any]:
    value = answer.value
    said = (
        value.selected_option.id if isinstance(value, BaseModel) and hasattr(value, "selected_option") else repr(value)
    )
    return [said, answer.answered_by, answer.comment, [shown(each) for each in answer.votes]]


def flow(prompt: Any = None, **terms: Any) -> Body:
    terms = {"votes": 2, "assignees": PEOPLE, **terms}

    async def body(ctx: Context) -> Any:
        asked = prompt or HumanPromptBinary(text="Pay?", options=[YES, NO])
        try:
            answer: Answer[Any] = await ctx.answer_to(asked, **terms)
        except InteractionExpired as expired:
            return ["expired", [shown(each) for each in expired.votes]]
        except PromptDeclined as declined:
            return [declined.reason, declined.declined_by]
        again = await ctx.step(lambda: shown(answer), name="remember")
        return again if again == shown(answer) else "differs"

    return body


async def begun(runner: Runner) -> ExecutionRecord:
    record = (await runner.start("flow", owner="olga")).record
    await until(record, lambda: record.pending_interactions)
    return record


async def vote(store: ExecutionStore, record: ExecutionRecord, actor: str, **response: Any) -> None:
    (pending,) = record.pending_interactions
    await store.resolve_interaction(record.execution_id, pending.interaction_id, response, actor=actor)


def binary(option: Any, **more: Any) -> dict[str, Any]:
    return {"type": "binary_choice", "selected_option": option.model_dump(mode="json"), **more}


@pytest.mark.parametrize("way", WAYS)
async def test_a_workflow_gets_the_answer_that_enough_people_gave_and_every_vote(
    store: ExecutionStore, way: str
) -> None:
    async with Runner(store, [Workflow(flow(), "flow", 1)], **WAYS[way]) as runner:
        record = await begun(runner)
        await vote(store, record, "joe", **binary(NO, comment="Too much"))
        await vote(store, record, "ada", **binary(YES))
        await vote(store, record, "eve", **binary(YES, comment="Fine"))
        assert (await ended(record)).result == [
            "yes", None, None, [["no", "joe", "Too much", []], ["yes", "ada", None, []], ["yes", "eve", "Fine", []]],
        ]  # fmt: skip


@pytest.mark.parametrize("votes", [0, 1, 2])
async def test_a_restart_between_votes_loses_none(store: ExecutionStore, path: Path, votes: int) -> None:
    said = [("joe", NO), ("ada", YES), ("eve", YES)]
    async with Runner(store, [Workflow(flow(), "flow", 1)], hold_paused_for=0) as runner:
        record = await begun(runner)
        for who, option in said[:votes]:
            await vote(store, record, who, **binary(option))
        await unloaded(runner)
    async with Runner(store, [Workflow(flow(), "flow", 1)]):
        await until(record, lambda: record.pending_interactions)
        assert record.pending_interactions[0].voted == tuple(who for who, _ in said[:votes])
        for who, option in said[votes:]:
            await vote(store, record, who, **binary(option))
        assert [each[1] for each in (await ended(record)).result[3]] == ["joe", "ada", "eve"]
    assert rows(path, "SELECT count(*) FROM interactions") == [(1,)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ending", ["undecided", "deadline"])
async def test_a_workflow_is_told_the_votes_of_a_prompt_that_came_to_no_answer(
    store: ExecutionStore, clock: ManualClock, way: str, ending: str
) -> None:
    body = flow(votes=3, timeout=60)
    async with Runner(store, [Workflow(body, "flow", 1)], **WAYS[way]) as runner:
        record = await begun(runner)
        await vote(store, record, "ada", **binary(YES))
        if ending == "undecided":
            await vote(store, record, "eve", **binary(NO))
        else:
            clock.step(61)
        more: list[Any] = [["no", "eve", None, []]] if ending == "undecided" else []
        assert (await ended(record)).result == ["expired", [["yes", "ada", None, []], *more]]


async def test_votes_on_a_form_come_as_the_model(store: ExecutionStore) -> None:
    body = flow(Opinion, text="What do you think?", actions=["submit", "decline"], assignees=["group:board"])
    async with Runner(store, [Workflow(body, "flow", 1)]) as runner:
        record = await begun(runner)
        await vote(store, record, "joe", type="form", action="decline", comment="Not mine")
        await vote(store, record, "ada", type="form", content={"verdict": "pay", "amount": 7})
        await vote(store, record, "eve", type="form", content={"amount": 7.0, "verdict": "pay"}, comment="Yes")
        pay = "Opinion(verdict='pay', amount=7.0)"
        assert (await ended(record)).result == [
            pay, None, None, [["None", "joe", "Not mine", []], [pay, "ada", None, []], [pay, "eve", "Yes", []]],
        ]  # fmt: skip


async def test_enough_people_may_decline_a_form_together(store: ExecutionStore) -> None:
    body = flow(Opinion, text="What do you think?", actions=["submit", "decline"])
    async with Runner(store, [Workflow(body, "flow", 1)]) as runner:
        record = await begun(runner)
        await vote(store, record, "joe", type="form", action="decline", comment="Not mine")
        await vote(store, record, "ada", type="form", content={"verdict": "pay", "amount": 7})
        await vote(store, record, "eve", type="form", action="decline", comment="Nor mine")
        assert (await ended(record)).result == ["Not mine; Nor mine", "joe, eve"]


async def test_code_that_asks_for_other_votes_does_not_fit(store: ExecutionStore) -> None:
    async with Runner(store, [Workflow(flow(), "flow", 1)], hold_paused_for=0) as runner:
        record = await begun(runner)
        await unloaded(runner)
    async with Runner(store, [Workflow(flow(votes=3), "flow", 1)]):
        for who in ("ada", "eve"):
            await vote(store, record, who, **binary(YES))
        await until(record, lambda: record.problem is not None)
        assert "how many votes" in (record.problem or "")


async def test_more_votes_than_people_are_refused_where_they_are_asked_for(store: ExecutionStore) -> None:
    async def body(ctx: Context) -> str:
        try:
            await ctx.ask(HumanPromptBinary(text="?", options=[YES, NO]), votes=3, assignees=["ada", "ben"])
        except InvalidArgument as error:
            return str(error)
        return ""

    async with Runner(store, [Workflow(body, "flow", 1)]) as runner:
        record = (await runner.start("flow")).record
        assert "3 equal votes" in (await ended(record)).result


async def test_an_execution_that_failed_undecided_is_retried_with_a_new_vote(store: ExecutionStore) -> None:
    async with Runner(store, [Workflow(flow(votes=3, on_deadline="fail"), "flow", 1)]) as runner:
        record = await begun(runner)
        for who, option in (("ada", YES), ("eve", NO)):
            await vote(store, record, who, **binary(option))
        assert (await ended(record)).error_code == "undecided"
        await store.retry(record.execution_id)
        await until(record, lambda: record.pending_interactions)
        assert record.pending_interactions[0].voted == ()
        for who in PEOPLE:
            await vote(store, record, who, **binary(YES))
        assert (await ended(record)).result[0] == "yes"


async def test_a_step_under_way_is_not_begun_again_where_the_votes_of_another_branch_cannot_be_read(
    store: ExecutionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "AGAIN", 0.01)
    called: list[str] = []
    go = asyncio.Event()

    async def slow() -> str:
        called.append("slow")
        await go.wait()
        return "done"

    async def body(ctx: Context) -> list[Any]:
        step = asyncio.create_task(ctx.step(slow))
        answer = await ctx.answer_to(HumanPromptBinary(text="Pay?", options=[YES, NO]), votes=2, assignees=PEOPLE)
        return [len(answer.votes), await step]

    reading = queries.asked

    async def refused(*arguments: Any) -> queries.Asked:
        called.append("read")
        if len(called) < 4:
            raise StorageError("The disk does not answer.", "SQLITE_IOERR_READ")
        go.set()
        return await reading(*arguments)

    async with Runner(store, [Workflow(body, "flow", 1)]) as runner:
        record = await begun(runner)
        await eventually(lambda: called)
        monkeypatch.setattr(queries, "asked", refused)
        for who in ("ada", "eve"):
            await vote(store, record, who, **binary(YES))
        assert (await ended(record)).result == [2, "done"]
    assert called == ["slow", "read", "read", "read"]
