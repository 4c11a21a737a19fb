"""A form asks for a pydantic model: what a workflow gets, also after a restart, a decline, and a change of the model."""

from collections.abc import Callable, Coroutine
from datetime import UTC, date, datetime
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from restpoint import Answer, Context, ExecutionRecord, ExecutionStore, PromptDeclined, Runner, Workflow
from restpoint.errors import InvalidArgument, PromptNotAccepted, Refused, ResponseNotAccepted
from restpoint.prompts import HumanPromptForm, HumanResponseText
from runners import WAYS, asked, ended, question, unloaded, until
from support import START, ManualClock

Body = Callable[[Context], Coroutine[Any, Any, Any]]


class Speed(Enum):
    SLOW = "slow"
    FAST = "fast"


class Refund(BaseModel):
    amount: Annotated[int, Field(ge=0, le=100, title="How much?")]
    until: date
    speed: Speed = Speed.SLOW
    note: str | None = Field(default=None, json_schema_extra={"x-multiline": True})


CONTENT = {"amount": 70, "until": "2026-12-31"}
REFUND = Refund(amount=70, until=date(2026, 12, 31))


def asking(model: type[BaseModel] = Refund, **terms: Any) -> Body:
    async def body(ctx: Context) -> list[Any]:
        answer: Answer[Any] = await ctx.answer_to(model, text="Refund?", **terms)
        return [repr(answer.value), answer.comment, answer.answered_by, answer.answered_at.isoformat()]

    return body


async def begun(store: ExecutionStore, body: Body) -> ExecutionRecord:
    """An execution that waits for an answer, and is in no memory."""
    async with Runner(store, [Workflow(body, "flow", 1)], hold_paused_for=0) as runner:
        record = (await runner.start("flow")).record
        await until(record, lambda: record.pending_interactions)
        await unloaded(runner)
    return record


async def reply(store: ExecutionStore, record: ExecutionRecord, **response: Any) -> None:
    """Answer the open prompt as ada, with a form unless told otherwise."""
    await until(record, lambda: record.pending_interactions)
    (pending,) = record.pending_interactions
    response = {"type": "form", **response}
    await store.resolve_interaction(record.execution_id, pending.interaction_id, response, actor="ada")


async def went_on(store: ExecutionStore, record: ExecutionRecord, body: Body) -> ExecutionRecord:
    async with Runner(store, [Workflow(body, "flow", 1)], hold_paused_for=0) as runner:
        await until(record, lambda: record.problem or record.status in {"completed", "failed"})
        await unloaded(runner)
    return record


@pytest.mark.parametrize("way", WAYS)
async def test_a_workflow_gets_the_model_that_it_asked_for(store: ExecutionStore, way: str) -> None:
    got = []

    async def body(ctx: Context) -> None:
        got.append(await ctx.ask(Refund, text="Refund?"))

    async with Runner(store, [Workflow(body, "flow", 1)], **WAYS[way]) as runner:
        record = (await runner.start("flow")).record
        await reply(store, record, content=CONTENT)
        await ended(record)
    assert record.status == "completed"
    assert got[-1] == REFUND


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["form", "text"])
async def test_who_answered_and_when_and_the_comment_are_the_same_on_every_replay(
    store: ExecutionStore, clock: ManualClock, way: str, kind: str
) -> None:
    told: list[Any] = []

    async def body(ctx: Context) -> None:
        if kind == "form":
            told.append(await ctx.answer_to(Refund, text="Refund?"))
        else:
            told.append(await ctx.answer_to(question("Refund?")))
        await ctx.ask(question("Sure?"))

    async with Runner(store, [Workflow(body, "flow", 1)], **WAYS[way]) as runner:
        record = (await runner.start("flow")).record
        await until(record, lambda: record.pending_interactions)
        clock.step(5)
        answer = {"content": CONTENT} if kind == "form" else {"text": "Yes"}
        await reply(store, record, type=kind, comment="By phone", **answer)
        await asked(record, "Sure?")
        clock.step(5)
    async with Runner(store, [Workflow(body, "flow", 1)], **WAYS[way]):
        await reply(store, record, type="text", text="Yes")
        await ended(record)
    assert record.status == "completed"
    assert len(told) > 1
    at = datetime.fromtimestamp(START / 1000 + 5, UTC)
    value = REFUND if kind == "form" else HumanResponseText(text="Yes", comment="By phone")
    assert all(each == Answer(value, "By phone", "ada", at) for each in told)


async def test_code_may_change_from_ask_to_answer_to(store: ExecutionStore) -> None:
    async def before(ctx: Context) -> str:
        return repr(await ctx.ask(Refund, text="Refund?"))

    record = await begun(store, before)
    await reply(store, record, content=CONTENT)
    await went_on(store, record, asking())
    assert record.result == [repr(REFUND), None, "ada", "2027-01-15T08:00:00+00:00"]


async def test_a_default_at_the_deadline_was_given_by_nobody(store: ExecutionStore, clock: ManualClock) -> None:
    body = asking(timeout=60, default=REFUND)
    async with Runner(store, [Workflow(body, "flow", 1)]) as runner:
        record = (await runner.start("flow")).record
        await until(record, lambda: record.pending_interactions)
        clock.step(61)
        await ended(record)
    assert record.result == [repr(REFUND), None, None, "2027-01-15T08:01:01+00:00"]


async def test_declining_raises_an_error_that_says_who_and_why_and_when(store: ExecutionStore) -> None:
    async def body(ctx: Context) -> list[Any]:
        try:
            await ctx.ask(Refund, text="Refund?", actions=["submit", "decline"])
        except PromptDeclined as error:
            return [error.reason, error.declined_by, error.declined_at, str(error)]
        return []

    record = await begun(store, body)
    with pytest.raises(ResponseNotAccepted, match="reason"):
        await reply(store, record, action="decline")
    await reply(store, record, action="decline", comment="Not mine")
    await went_on(store, record, body)
    assert record.result == ["Not mine", "ada", START / 1000, "ada declined: Not mine"]


async def test_a_form_that_is_declined_fails_a_workflow_that_does_not_expect_it(store: ExecutionStore) -> None:
    body = asking(actions=["submit", "decline"])
    record = await begun(store, body)
    await reply(store, record, action="decline", comment="Not mine")
    await went_on(store, record, body)
    assert (record.status, record.error, record.error_code) == ("failed", "ada declined: Not mine", "prompt_declined")


async def test_a_form_that_only_submits_cannot_be_declined(store: ExecutionStore) -> None:
    record = await begun(store, asking())
    with pytest.raises(ResponseNotAccepted, match="cannot be declined"):
        await reply(store, record, action="decline", comment="Not mine")


async def test_initial_values_are_shown_and_not_taken_for_an_answer(store: ExecutionStore) -> None:
    record = await begun(store, asking(initial={"amount": 12, "note": "Hello", "until": date(2027, 1, 1)}))
    (pending,) = record.pending_interactions
    assert isinstance(pending.prompt, HumanPromptForm)
    assert [field.default for field in pending.prompt.fields] == [12, "2027-01-01", "slow", "Hello"]
    with pytest.raises(ResponseNotAccepted, match="amount: This field is required"):
        await reply(store, record, content={"until": "2027-01-01"})


# --- Changed code ---


class Reworded(BaseModel):
    note: str | None = Field(default=None, title="Anything else?")
    speed: Literal["fast", "slow"] = Field(default="fast", description="How soon")
    until: date = date(2030, 1, 1)
    amount: int = Field(ge=0, le=1000)


class Narrower(Refund):
    amount: Annotated[int, Field(ge=0, le=50)]


class Renamed(BaseModel):
    sum: int
    until: date
    speed: Speed = Speed.SLOW
    note: str | None = None


class OtherKind(Refund):
    amount: float  # type: ignore[assignment]


class OtherOptions(Refund):
    speed: Literal["slow", "fast", "now"] = "slow"  # type: ignore[assignment]


@pytest.mark.parametrize("answered", [False, True])
async def test_other_words_and_defaults_are_the_same_form(store: ExecutionStore, answered: bool) -> None:
    record = await begun(store, asking())
    if answered:
        await reply(store, record, content=CONTENT)
    async with Runner(store, [Workflow(asking(Reworded, initial={"amount": 3}), "flow", 1)]):
        if not answered:
            await reply(store, record, content=CONTENT)
        await ended(record)
    model = Reworded(amount=70, until=date(2026, 12, 31), speed="slow")
    assert record.result is not None
    assert record.result[0] == repr(model)


@pytest.mark.parametrize("model", [Renamed, OtherKind, OtherOptions], ids=lambda model: model.__name__)
async def test_other_names_kinds_and_options_are_another_form(store: ExecutionStore, model: type[BaseModel]) -> None:
    record = await begun(store, asking())
    await reply(store, record, content=CONTENT)
    await went_on(store, record, asking(model))
    assert record.problem is not None
    assert "amount (integer), until (date), speed (single choice of slow/fast)" in record.problem


async def test_an_answer_that_the_changed_model_does_not_take_waits_for_code_that_takes_it(
    store: ExecutionStore,
) -> None:
    record = await begun(store, asking())
    await reply(store, record, content=CONTENT)
    await went_on(store, record, asking(Narrower))
    assert record.problem is not None
    assert "Narrower, which takes another: amount" in record.problem
    await went_on_anew(store, record, asking())
    assert record.status == "completed"


async def went_on_anew(store: ExecutionStore, record: ExecutionRecord, body: Body) -> None:
    async with Runner(store, [Workflow(body, "flow", 1)]):
        await ended(record)


async def test_the_stored_schema_takes_an_answer_without_the_code(store: ExecutionStore) -> None:
    record = await begun(store, asking())
    with pytest.raises(ResponseNotAccepted) as refused:
        await reply(store, record, content={"amount": 101, "untill": "2026-12-31"})
    assert [error.pointer for error in refused.value.errors] == ["#/amount", "#/until", "#/untill"]
    await reply(store, record, content=CONTENT)
    assert (await store.events(record.execution_id))[-1].detail["response"]["content"] == {**CONTENT, "speed": "slow"}


# --- What is refused ---


class WithNested(BaseModel):
    refund: Refund


async def test_a_model_that_no_form_can_say_is_refused_when_the_call_is_made(store: ExecutionStore) -> None:
    async def body(ctx: Context) -> str:
        model: type[BaseModel] = WithNested
        try:
            await ctx.ask(model, text="Refund?")
        except PromptNotAccepted as error:
            return str(error)
        return ""

    async with Runner(store, [Workflow(body, "flow", 1)]) as runner:
        record = await ended((await runner.start("flow")).record)
    assert "field 'refund'" in str(record.result)


async def test_a_prompt_takes_no_text_beside_itself(store: ExecutionStore) -> None:
    async def body(ctx: Context) -> str:
        try:
            await ctx.ask(question("Well?"), text="Well?")  # type: ignore[call-overload]
        except InvalidArgument as error:
            return str(error)
        return ""

    async with Runner(store, [Workflow(body, "flow", 1)]) as runner:
        record = await ended((await runner.start("flow")).record)
    assert "says text itself" in str(record.result)


@pytest.mark.parametrize(
    ("asked", "options", "told"),
    [
        ("Well?", {}, "'Well?' is not a prompt that can be asked. Give a prompt, such as HumanPromptText(text=...)"),
        (question("Well?"), {"assignee": "ada"}, "no option assignee; did you mean assignees?"),
        (question("Well?"), {"colour": "red"}, "A prompt has no option colour."),
        (
            question("Well?"),
            {"assignees": "ada"},
            "assignees is the text 'ada'; give a list, such as ['ada', 'group:finance']",
        ),
        (Refund, {"text": "Well?", "asignees": ["ada"]}, "no option asignees; did you mean assignees?"),
    ],
)
async def test_a_call_that_is_mistyped_says_what_to_write(
    store: ExecutionStore, asked: Any, options: dict[str, Any], told: str
) -> None:
    async def body(ctx: Context) -> str:
        try:
            await ctx.ask(asked, **options)
        except Refused as error:
            return str(error)
        return ""

    async with Runner(store, [Workflow(body, "flow", 1)]) as runner:
        record = await ended((await runner.start("flow")).record)
    assert told in str(record.result)


def test_a_model_that_no_form_can_say_is_refused_when_the_workflow_is_decorated() -> None:
    async def body(ctx: Context) -> None:
        await ctx.ask(question("Well?"))
        await ctx.ask(WithNested, text="Refund?")

    with pytest.raises(PromptNotAccepted, match="field 'refund'"):
        Workflow(body, "flow", 1)


def test_a_model_of_the_function_around_a_workflow_is_looked_at_too() -> None:
    class Nested(BaseModel):
        refund: Refund

    async def body(context: Context) -> None:
        await context.answer_to(Nested, text="Refund?")

    with pytest.raises(PromptNotAccepted, match="field 'refund'"):
        Workflow(body, "flow", 1)


def test_models_that_a_workflow_only_makes_may_be_any() -> None:
    async def body(ctx: Context) -> WithNested:
        return WithNested(refund=await ctx.ask(Refund, text="Refund?"))

    Workflow(body, "flow", 1)


def test_other_objects_may_be_asked_for_any_model() -> None:
    async def body(ctx: Context, agent: Any) -> None:
        await agent.ask(WithNested)

    Workflow(body, "flow", 1)


def test_a_workflow_may_ask_for_a_model_that_is_made_after_it() -> None:
    async def body(ctx: Context) -> None:
        await ctx.ask(Later, text="Refund?")

    Workflow(body, "flow", 1)

    class Later(BaseModel):
        refund: Refund
