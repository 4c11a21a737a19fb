"""A prompt that the code words otherwise is the same prompt: what was asked stays, and the answer that was given arrives."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from restpoint import Context, EventKind, ExecutionRecord, ExecutionStore, Runner, Workflow
from restpoint.prompts import HumanPromptBinary, HumanPromptRadio, HumanPromptText
from runners import asked, ended, question, unloaded, until
from support import ManualClock, rows

Body = Callable[[Context], Coroutine[Any, Any, Any]]


def radio(text: str, **options: str) -> HumanPromptRadio:
    """A prompt with these options: labels by id."""
    return HumanPromptRadio.model_validate(
        {"text": text, "options": [{"id": key, "value": key, "label": label} for key, label in options.items()]}
    )


def binary(text: str, *options: str) -> HumanPromptBinary:
    return HumanPromptBinary.model_validate({"text": text, "options": [{"id": key, "value": key} for key in options]})


def asking(*prompts: Any, **terms: Any) -> Body:
    async def body(ctx: Context) -> list[Any]:
        replies = [await ctx.ask(prompt, **terms) for prompt in prompts]
        return [reply.summary for reply in replies]

    return body


async def begun(store: ExecutionStore, body: Body) -> ExecutionRecord:
    async with Runner(store, [Workflow(body, "flow", 1)], hold_paused_for=0) as runner:
        record = (await runner.start("flow")).record
        await until(record, lambda: record.pending_interactions)
        await unloaded(runner)
    return record


async def reply(store: ExecutionStore, record: ExecutionRecord, response: dict[str, Any]) -> None:
    await until(record, lambda: record.pending_interactions)
    await store.resolve_interaction(record.execution_id, record.pending_interactions[0].interaction_id, response)


async def went_on(store: ExecutionStore, record: ExecutionRecord, body: Body, **options: Any) -> ExecutionRecord:
    async with Runner(store, [Workflow(body, "flow", 1, **options)], hold_paused_for=0) as runner:
        await until(record, lambda: record.problem or record.status == "completed")
        await unloaded(runner)
    return record


async def completed_by(store: ExecutionStore, record: ExecutionRecord, body: Body, **options: Any) -> Any:
    """The result that this code brings the execution to, which other code could not go on with."""
    async with Runner(store, [Workflow(body, "flow", 1, **options)]):
        await ended(record)
    return record.result


def told(path: Path) -> list[dict[str, Any]]:
    found = rows(path, f"SELECT detail FROM history WHERE event = '{EventKind.INTERACTION_REWORDED}'")
    return [json.loads(detail) for (detail,) in found]


LEFT = {"type": "radio", "selected_option": {"id": "l", "value": "l", "label": "Left"}}


@pytest.mark.parametrize(
    "changed",
    [
        radio("Which way, please?", l="Left", r="Right"),
        radio("Which way?", l="To the left", r="To the right"),
        radio("Which way?", r="Right", l="Left"),
        radio("Which way?", l="Left", r="Right").model_copy(update={"error": "Too late.", "timeout": 60}),
    ],
    ids=["another text", "other labels", "another order", "another error and deadline"],
)
async def test_an_answer_arrives_at_a_prompt_that_was_reworded_and_the_history_shows_both_wordings_once(
    store: ExecutionStore, path: Path, changed: HumanPromptRadio
) -> None:
    first = radio("Which way?", l="Left", r="Right")
    record = await begun(store, asking(first, question("Why?")))
    await reply(store, record, LEFT)
    new = asking(changed, question("Why?"))
    for _ in range(3):  # each deployment replays it
        async with Runner(store, [Workflow(new, "flow", 1)], hold_paused_for=0) as runner:
            await asked(record, "Why?")
            await unloaded(runner)
        async with Runner(store, [Workflow(new, "flow", 1)], replay_always=True) as runner:
            await unloaded(runner)
    await reply(store, record, {"type": "text", "text": "because"})
    assert (await went_on(store, record, new)).result == ["Left", "because"]
    (detail,) = told(path)
    assert detail["asked"] == json.loads(first.model_dump_json())
    assert detail["now"] == json.loads(changed.model_dump_json())


async def test_a_prompt_that_is_open_stays_as_it_was_asked(store: ExecutionStore, path: Path) -> None:
    record = await begun(store, asking(question("Your nmae?")))
    before = record.pending_interactions[0].data
    async with Runner(store, [Workflow(asking(question("Your name?")), "flow", 1)], replay_always=True):
        assert record.pending_interactions[0].data == before
        await reply(store, record, {"type": "text", "text": "Ada"})
        await ended(record)
    assert record.result == ["Ada"]
    assert [detail["now"]["text"] for detail in told(path)] == ["Your name?"]


async def test_a_default_with_a_label_is_the_same_default_in_other_words(store: ExecutionStore) -> None:
    default = {"type": "radio", "selected_option": {"id": "r", "value": "r", "label": "whatever"}}
    record = await begun(store, asking(radio("Which way?", l="Left", r="Right"), default=default, timeout=60))
    await reply(store, record, LEFT)
    changed = asking(radio("Which way?", l="Links", r="Rechts"), default=default, timeout=60)
    assert (await went_on(store, record, changed)).result == ["Left"]


@pytest.mark.parametrize(
    ("changed", "terms", "says"),
    [
        (radio("Which way?", l="Left", u="Up"), {}, "l=l, u=u"),
        (radio("Which way?", l="Left"), {}, "options l=l. Run"),
        (radio("Which way?", l="Left", r="Right"), {"name": "way"}, "ask way (radio)"),
        (radio("Whither?", l="Left", r="Right"), {"four_eyes": True}, "under four eyes"),
        (radio("Whither?", l="Left", r="Right"), {"on_deadline": "fail", "timeout": 5}, "ask radio “Whither?”"),
        (HumanPromptText(text="Which way?"), {}, "ask text “Which way?”"),
        (binary("Which way?", "l", "r"), {}, "ask binary_choice"),
    ],
    ids=[
        "another option", "an option less", "another name", "other rules", "another end", "another kind",
        "a kind with the same options",
    ],
)  # fmt: skip
async def test_another_prompt_gets_no_answer_and_both_are_shown_in_words(
    store: ExecutionStore, path: Path, changed: Any, terms: dict[str, Any], says: str
) -> None:
    first = asking(radio("Which way?", l="Left", r="Right"))
    record = await begun(store, first)
    await reply(store, record, LEFT)
    await went_on(store, record, asking(changed, **terms))
    assert record.problem is not None
    assert (
        "recorded as ask radio “Which way?” with the options l=l, r=r, and the workflow now asks for" in record.problem
    )
    assert says in record.problem.split("now asks for")[1]
    assert told(path) == []
    assert await completed_by(store, record, first) == ["Left"]


async def test_a_prompt_that_is_recorded_at_another_place_gets_no_answer_of_this_one(
    store: ExecutionStore, path: Path
) -> None:
    """A set of coroutines has another order in each process; then each branch would get the answer of another."""

    def deletes(*names: str) -> Body:
        async def delete(ctx: Context, name: str) -> str:
            return name if (await ctx.ask(question(f"Delete {name}?"))).text == "yes" else ""

        async def body(ctx: Context) -> list[str]:
            return sorted(await asyncio.gather(*(delete(ctx, name) for name in names)))

        return body

    record = await begun(store, deletes("A", "B"))
    await until(record, lambda: len(record.pending_interactions) == 2)
    await reply(store, record, {"type": "text", "text": "yes"})
    await went_on(store, record, deletes("B", "A"))
    assert "ask text “Delete B?”, which is recorded as call 2/1: the calls come in another order" in str(record.problem)
    assert told(path) == []
    assert record.status == "interaction_required"
    async with Runner(store, [Workflow(deletes("A", "B"), "flow", 1)]):
        await reply(store, record, {"type": "text", "text": "no"})
        await ended(record)
    assert record.result == ["", "A"]


async def test_a_workflow_may_insist_on_the_exact_wording(store: ExecutionStore, path: Path) -> None:
    record = await begun(store, asking(question("Delete A?")))
    await reply(store, record, {"type": "text", "text": "yes"})
    await went_on(store, record, asking(question("Delete B?")), wording="exact")
    assert "ask text “Delete A?”" in str(record.problem)
    assert "ask text “Delete B?”" in str(record.problem)
    assert told(path) == []
    assert await completed_by(store, record, asking(question("Delete A?")), wording="exact") == ["yes"]


async def test_where_the_history_keeps_digests_it_has_those_of_both_wordings(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock, history="digest") as store:
        record = await begun(store, asking(question("Your nmae?")))
        await reply(store, record, {"type": "text", "text": "Ada"})
        await went_on(store, record, asking(question("Your name?")))
    (detail,) = told(path)
    assert sorted(detail) == ["asked_sha256", "now_sha256"]
