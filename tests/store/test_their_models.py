"""A store that is opened with the models of another library gives back prompts and responses of these, in every process."""

import asyncio
from pathlib import Path
from typing import cast

import pytest
from pydantic import BaseModel

import their_models
from restpoint import ExecutionStore, PromptModels, Runner, workflow
from restpoint._engine.context import Context
from restpoint.errors import InvalidArgument
from restpoint.prompts import HumanResponseText, read_response
from second_process import child
from support import KINDS, PAIRS, PATIENCE, TEXT
from their_models import THEIRS, TheirText, TheirTextPrompt


def store_at(path: Path) -> ExecutionStore:
    return ExecutionStore(database=path, models=their_models)


@pytest.mark.parametrize(("prompt", "response"), THEIRS, ids=KINDS)
async def test_after_a_restart_a_prompt_and_its_response_are_of_their_classes(
    path: Path, prompt: BaseModel, response: BaseModel
) -> None:
    async with store_at(path) as before:
        one = (await before.create_execution()).execution_id
        await before.set_interaction_required(one, prompt, "q")
    async with store_at(path) as after, store_at(path) as other:
        record = await after.get(one)
        assert record is not None
        pending = record.pending_interaction
        assert pending is not None
        assert pending.prompt == prompt
        assert type(pending.prompt) is type(prompt)
        future = pending.future
        # The answer comes as our own class, as from a command line, and through another store on the file.
        await other.resolve_interaction(one, "q", read_response(response))
        async with asyncio.timeout(PATIENCE):
            answer = await future
    assert answer == response
    assert type(answer) is type(response)


ANSWER = """
async with ExecutionStore(database=path) as store:
    await store.resolve_interaction(arguments[0], "q", HumanResponseText(text="Hopper"))
"""


async def test_an_answer_of_another_process_that_does_not_know_their_models_comes_as_theirs(path: Path) -> None:
    async with store_at(path) as store:
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, TheirTextPrompt(text="Who?"), "q")
        future = pending.future
        async with child(ANSWER, path, record.execution_id) as answering:
            await answering.end()
        async with asyncio.timeout(PATIENCE):
            answer: object = await future
        assert answer == TheirText(text="Hopper")
        assert type(answer) is TheirText


@pytest.mark.parametrize("given", [HumanResponseText(text="Hopper"), {"type": "text", "text": "Hopper"}])
async def test_an_answer_of_our_class_or_a_mapping_comes_as_theirs_in_the_same_process(
    path: Path, given: BaseModel | dict[str, str]
) -> None:
    async with store_at(path) as store:
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, {"input_type": "text", "text": "Who?"})
        prompt: object = pending.prompt
        assert type(prompt) is TheirTextPrompt
        future = pending.future
        await store.resolve_interaction(record.execution_id, pending.interaction_id, given)
        answer: object = await future
        assert type(answer) is TheirText


@pytest.mark.parametrize("hold_paused_for", [0, 60])
async def test_a_workflow_gets_an_answer_of_the_same_class_at_first_and_in_a_replay(
    path: Path, hold_paused_for: float
) -> None:
    seen: list[type] = []

    @workflow
    async def greet(ctx: Context) -> str:
        response = cast("HumanResponseText", await ctx.ask(TEXT))
        seen.append(type(response))
        await ctx.ask(TEXT)
        return response.text

    async def answered(models: object, expected: type) -> None:
        seen.clear()
        async with (
            ExecutionStore(database=path, models=models) as store,  # type: ignore[arg-type]
            Runner(store, [greet], hold_paused_for=hold_paused_for) as runner,
        ):
            record = (await runner.start("greet")).record
            for _ in range(2):
                while (pending := record.pending_interaction) is None:
                    await record.changed()
                answer = TheirText(text="Hopper")
                await store.resolve_interaction(record.execution_id, pending.interaction_id, answer)
            while record.completed_at is None:
                await record.changed()
        assert set(seen) == {expected}
        assert record.result == "Hopper"

    await answered(None, HumanResponseText)  # although the answer was given as another class
    await answered(their_models, TheirText)


async def test_a_prompt_of_a_kind_that_they_do_not_have_is_named(path: Path) -> None:
    only_text = PromptModels(TheirTextPrompt, TheirText)
    async with ExecutionStore(database=path) as ours, ExecutionStore(database=path, models=only_text) as theirs:
        record = await ours.create_execution()
        prompt, response = PAIRS[2]
        await ours.set_interaction_required(record.execution_id, prompt, "q")
        seen = await theirs.get(record.execution_id)
        assert seen is not None
        assert seen.pending_interaction is not None
        with pytest.raises(InvalidArgument, match="none of the models that the store was opened with"):
            _ = seen.pending_interaction.prompt
        future = seen.pending_interaction.future
        await theirs.resolve_interaction(record.execution_id, "q", response)  # it can be answered all the same
        with pytest.raises(InvalidArgument, match="none of the models"):
            await future


async def test_models_that_are_none_are_refused_with_what_to_give(path: Path) -> None:
    with pytest.raises(InvalidArgument, match="no HumanPrompt and no HumanResponse; give a module that has"):
        ExecutionStore(database=path, models=asyncio)
    with pytest.raises(InvalidArgument, match="pydantic cannot read"):
        PromptModels(object(), TheirText)


# --- Back to running -------------------------------------------------------------------------------------------------


async def test_back_to_running_after_one_of_two_answers_leaves_the_prompt_that_is_awaited(path: Path) -> None:
    """The original's runner says that the execution runs after each answer, whatever else is asked."""
    async with ExecutionStore(database=path) as store:
        record = await store.create_execution()
        one = record.execution_id

        async def branch(name: str) -> str:
            pending = await store.set_interaction_required(one, TEXT, name)
            response = cast("HumanResponseText", await asyncio.wait_for(pending.future, PATIENCE))
            await store.set_running(one)
            return response.text

        branches = [asyncio.create_task(branch(name)) for name in ("first", "second")]
        while len(record.pending_interactions) < 2:
            await record.changed()
        await store.resolve_interaction(one, "first", HumanResponseText(text="A"))
        assert await branches[0] == "A"
        assert record.status == "interaction_required"
        assert [each.interaction_id for each in record.pending_interactions] == ["second"]
        await store.resolve_interaction(one, "second", HumanResponseText(text="B"))
        assert await branches[1] == "B"
        assert record.status == "running"
        await store.set_completed(one, None)


async def test_back_to_running_withdraws_a_prompt_whose_wait_timed_out(path: Path) -> None:
    async with ExecutionStore(database=path) as store:
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, TEXT)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pending.future, 0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.wait([pending.future])
        await store.set_running(record.execution_id)
        assert record.status == "running"
        assert record.pending_interactions == ()


async def test_back_to_running_leaves_the_prompts_of_a_workflow_that_left_memory(path: Path) -> None:
    @workflow
    async def both(ctx: Context) -> str:
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(ctx.ask(TEXT))
            group.create_task(ctx.authorize(auth_url="https://id.example/go", oauth_state="s"))
        return asked.result().text

    async with ExecutionStore(database=path) as store, Runner(store, [both], hold_paused_for=0) as runner:
        record = (await runner.start("both")).record
        while not (record.pending_interactions and record.pending_oauths):
            await record.changed()
        await store.set_running(record.execution_id)
        assert record.status == "interaction_required"
        (pending,) = record.pending_interactions
        await store.resolve_interaction(record.execution_id, pending.interaction_id, HumanResponseText(text="on"))
        while record.completed_at is None:
            await record.changed()
        assert record.result == "on"
