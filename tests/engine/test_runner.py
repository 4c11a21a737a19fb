"""What a workflow may do, and comes to: the same while it stays in memory, while it is parked, and always replayed."""

import asyncio
import dataclasses
import logging
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from restpoint import Context, ExecutionStore, Runner, StepFailed, WorkflowFailed, step_key, workflow
from restpoint._engine import poller
from restpoint._storage import claims
from restpoint._storage import journal as runs
from restpoint._storage.sqlite.database import Database
from restpoint.errors import (
    IdempotencyConflict,
    InputNotAccepted,
    InteractionExpired,
    InteractionWithdrawn,
    InvalidArgument,
    NotJSON,
    StoreClosed,
    WorkflowNotFound,
)
from restpoint.prompts import HumanPromptNotification, HumanResponseText
from runners import PATIENCE, WAYS, answer, asked, completed, ended, journal, journaled, question, unloaded, until
from support import ManualClock, eventually, file_of, rows


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    return WAYS[request.param]


class Order(BaseModel):
    name: str
    price: float = 1.0
    due: date | None = None


@dataclasses.dataclass
class Receipt:
    number: int
    at: datetime


# --- Steps -----------------------------------------------------------------------------------------------------------


async def test_a_step_runs_once_and_its_result_is_the_same_object_kind_on_every_run(
    store: ExecutionStore, path: Path, way: dict[str, Any]
) -> None:
    calls: list[str] = []
    seen: list[Receipt] = []

    def charge(order: Order) -> Receipt:
        calls.append(order.name)
        assert threading.current_thread() is not threading.main_thread(), "a sync step does not block the loop"
        return Receipt(7, datetime(2026, 11, 24, 12, tzinfo=UTC))

    async def note(receipt: Receipt) -> int:
        calls.append("note")
        return receipt.number

    @workflow
    async def buy(ctx: Context, order: Order) -> dict[str, Any]:
        receipt = await ctx.step(charge, order)
        seen.append(receipt)
        number = await ctx.step(note, receipt)
        reply = await ctx.ask(question("Ship it?"))
        return {"number": number, "reply": reply.text, "due": str(order.due)}

    record = await completed(store, [buy], "buy", {"name": "tea", "due": "2026-12-01"}, {"Ship it?": "yes"}, **way)
    assert record.result == {"number": 7, "reply": "yes", "due": "2026-12-01"}
    assert calls == ["tea", "note"]
    assert set(map(type, seen)) == {Receipt}
    assert len(seen) == 1 or way["hold_paused_for"] == 0, "what stays in memory runs once"
    assert [row[1] for row in journal(path)] == ["step", "step", "ask"]


async def test_a_step_is_tried_again_as_often_as_asked_and_then_fails_with_what_it_raised(
    store: ExecutionStore, clock: ManualClock, way: dict[str, Any]
) -> None:
    tries: list[int] = []
    caught: list[StepFailed] = []
    pauses = asyncio.Event()

    async def flaky(good_after: int) -> int:
        tries.append(good_after)
        pauses.set()
        if len(tries) < good_after:
            raise ConnectionError("the bank is closed")
        return len(tries)

    @workflow
    async def pay(ctx: Context) -> list[Any]:
        first = await ctx.step(flaky, 3, retries=2, backoff=10)
        tries.clear()
        try:
            await ctx.step(flaky, 99, retries=1, backoff=0)
        except StepFailed as error:
            caught.append(error)
            return [first, error.error_type, error.error_message, await ctx.step(str, "after")]
        return []

    async with Runner(store, [pay], **way) as runner:
        record = (await runner.start("pay")).record
        for seconds in (10, 20):  # twice as long each time
            await pauses.wait()
            pauses.clear()
            for _ in range(5):
                await asyncio.sleep(0)
            clock.step(seconds)
        await ended(record)
    assert record.result == [3, "ConnectionError", "the bank is closed", "after"]
    assert all(each.step.endswith("flaky") for each in caught)


async def test_a_failed_step_that_nobody_catches_fails_the_execution_without_its_text(
    store: ExecutionStore, way: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    def charge() -> None:
        raise RuntimeError("password=hunter2")

    @workflow
    async def pay(ctx: Context) -> None:
        await ctx.step(charge)

    record = await completed(store, [pay], "pay", **way)
    assert (record.status, record.error_code) == ("failed", "step_failed")
    assert "RuntimeError" in str(record.error)
    assert "hunter2" not in str(record.error)
    assert "hunter2" in caplog.text


async def test_a_step_whose_result_is_no_json_says_where(store: ExecutionStore, way: dict[str, Any]) -> None:
    def make() -> Any:
        return {"rows": [1, {2, 3}]}

    @workflow
    async def bad(ctx: Context) -> str:
        try:
            await ctx.step(make)
        except NotJSON as error:
            return error.path
        return "?"

    assert (await completed(store, [bad], "bad", **way)).result == "$.rows[1]"


async def test_a_step_has_a_key_that_is_the_same_at_every_try(store: ExecutionStore) -> None:
    keys: list[str] = []

    def charge(order: str) -> str:
        keys.append(step_key())
        if len(keys) < 3:
            raise ConnectionError
        return step_key()

    @workflow
    async def pay(ctx: Context) -> list[str]:
        return [await ctx.step(charge, "a", retries=2, backoff=0), await ctx.step(charge, "b")]

    record = await completed(store, [pay], "pay")
    assert keys == [record.result[0]] * 3 + [record.result[1]]
    assert record.result[0] != record.result[1]
    assert record.execution_id in record.result[0]
    with pytest.raises(InvalidArgument):
        step_key()


async def test_a_step_cannot_use_the_context(store: ExecutionStore) -> None:
    @workflow
    async def nested(ctx: Context) -> str:
        async def inner() -> None:
            await ctx.now()

        try:
            await ctx.step(inner)
        except StepFailed as error:
            return error.error_type
        return "?"

    assert (await completed(store, [nested], "nested")).result == "InvalidArgument"


# --- People ----------------------------------------------------------------------------------------------------------


async def test_answers_given_in_any_order_reach_the_questions_they_were_given_to(
    store: ExecutionStore, way: dict[str, Any]
) -> None:
    @workflow
    async def survey(ctx: Context) -> dict[str, str]:
        texts = ["one", "two", "three", "four"]
        replies = await asyncio.gather(*(ctx.ask(question(text)) for text in texts))
        return {text: reply.text for text, reply in zip(texts, replies, strict=True)}

    order = ["three", "one", "four", "two"]
    record = await completed(store, [survey], "survey", None, {text: f"to {text}" for text in order}, **way)
    assert record.result == {text: f"to {text}" for text in ["one", "two", "three", "four"]}


async def test_branches_of_a_task_group_go_on_each_at_its_own_answer(
    store: ExecutionStore, path: Path, way: dict[str, Any]
) -> None:
    done: list[str] = []

    def note(name: str) -> str:
        done.append(name)
        return name.upper()

    @workflow
    async def approve(ctx: Context) -> list[str]:
        async def one(name: str) -> str:
            first = await ctx.ask(question(f"{name}?"))
            noted = await ctx.step(note, name)
            second = await ctx.ask(question(f"{name} again?"))
            return f"{noted}:{first.text}:{second.text}"

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(name)) for name in ("a", "b", "c")]
        return [task.result() for task in tasks]

    async with Runner(store, [approve], **way) as runner:
        record = (await runner.start("approve")).record
        await asked(record, "a?", "b?", "c?")
        await answer(store, record, "b?", "1")
        await asked(record, "a?", "b again?", "c?")
        assert done == ["b"], "a branch goes on while the others wait"
        await answer(store, record, "b again?", "2")
        await answer(store, record, "c?", "3")
        await answer(store, record, "a?", "4")
        await answer(store, record, "a again?", "5")
        await answer(store, record, "c again?", "6")
        await ended(record)
    assert record.result == ["A:4:5", "B:1:2", "C:3:6"]
    assert sorted(done) == ["a", "b", "c"]
    assert len({position for position, *_ in journal(path)}) == len(journal(path)) == 9


@pytest.mark.parametrize(("first", "second"), [("left", "right"), ("right", "left")])
async def test_of_two_racing_prompts_the_first_answer_wins_again_on_every_replay(
    store: ExecutionStore, way: dict[str, Any], first: str, second: str
) -> None:
    winners: list[str] = []

    @workflow
    async def race(ctx: Context) -> list[str]:
        async def one(text: str) -> str:
            return f"{text}={(await ctx.ask(question(text))).text}"

        tasks = [asyncio.create_task(one(text)) for text in ("left", "right")]
        finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        winner = finished.pop().result()
        winners.append(winner)
        last = await ctx.ask(question(f"{winner} was first?"))
        return [winner, await tasks[0], last.text]

    async with Runner(store, [race], **way) as runner:
        record = (await runner.start("race")).record
        await asked(record, "left", "right")
        await answer(store, record, first, "1st")
        await asked(record, second, f"{first}=1st was first?")
        if not way["hold_paused_for"]:
            await unloaded(runner)
        await answer(store, record, second, "2nd")
        if not way["hold_paused_for"]:
            await unloaded(runner)  # and so it has been through both answers at once
        await answer(store, record, f"{first}=1st was first?", "yes")
        await ended(record)
    assert record.result == [f"{first}=1st", "left=1st" if first == "left" else "left=2nd", "yes"]
    assert set(winners) == {f"{first}=1st"}


async def test_a_prompt_that_nobody_awaits_any_more_is_withdrawn(store: ExecutionStore, way: dict[str, Any]) -> None:
    @workflow
    async def first_of(ctx: Context) -> str:
        tasks = {text: asyncio.create_task(ctx.ask(question(text))) for text in ("left", "right")}
        finished, others = await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
        for other in others:
            other.cancel()
        winner = finished.pop().result().text
        return f"{winner} {(await ctx.ask(question('sure?'))).text}"

    async with Runner(store, [first_of], **way) as runner:
        record = (await runner.start("first_of")).record
        await asked(record, "left", "right")
        await answer(store, record, "right", "r")
        await asked(record, "sure?")
        await answer(store, record, "sure?", "yes")
        await ended(record)
    assert record.result == "r yes"
    events = [entry.event for entry in await store.history(record.execution_id)]
    assert events.count("interaction_withdrawn") == 1


async def test_a_run_that_asks_without_end_and_gives_up_keeps_nothing_of_it(store: ExecutionStore) -> None:
    kept: list[str] = []

    @workflow
    async def impatient(ctx: Context) -> None:
        for number in range(5):
            task = asyncio.create_task(ctx.ask(question(f"{number}")))
            while not any(each.prompt.text == f"{number}" for each in ctx._run.record.pending_interactions):
                await ctx._run.record.changed()
            for _ in range(3):  # to be awaited, and not only written
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        kept.extend(ctx._run.pending)

    async with Runner(store, [impatient]) as runner:
        await ended((await runner.start("impatient")).record)
    assert kept == []


async def test_what_is_still_asked_when_the_workflow_returns_is_withdrawn(
    store: ExecutionStore, way: dict[str, Any]
) -> None:
    @workflow
    async def careless(ctx: Context) -> str:
        left = asyncio.create_task(ctx.ask(question("left")))
        reply = await ctx.ask(question("right"))
        assert not left.done()
        return reply.text

    async with Runner(store, [careless], **way) as runner:
        record = (await runner.start("careless")).record
        await asked(record, "left", "right")
        await answer(store, record, "right", "r")
        await ended(record)
    assert record.result == "r"
    assert not record.pending_interactions


@pytest.mark.parametrize("policy", ["raise", "default", "fail"])
async def test_a_deadline_does_what_the_prompt_said(
    store: ExecutionStore, clock: ManualClock, way: dict[str, Any], policy: str
) -> None:
    policies: dict[str, dict[str, Any]] = {
        "raise": {},
        "default": {"default": HumanResponseText(text="nobody")},
        "fail": {"on_deadline": "fail"},
    }
    options = policies[policy]

    @workflow
    async def wait(ctx: Context) -> str:
        try:
            return str((await ctx.ask(question("Well?"), timeout=timedelta(minutes=1), **options)).text)
        except InteractionExpired:
            return await ctx.step(str, "too late")

    async with Runner(store, [wait], **way) as runner:
        record = (await runner.start("wait")).record
        await asked(record, "Well?")
        if way["hold_paused_for"] == 0:
            await unloaded(runner)
        clock.step(61)
        await ended(record)
    if policy == "fail":
        assert (record.status, record.error_code) == ("failed", "deadline_passed")
        assert "deadline" in (record.error or "")
    else:
        assert record.result == {"raise": "too late", "default": "nobody"}[policy]
    told = [(entry.event, entry.cause) for entry in await store.history(record.execution_id)]
    assert ("interaction_answered" if policy == "default" else "interaction_expired", "deadline") in told


async def test_a_withdrawn_prompt_raises_in_the_workflow(store: ExecutionStore, way: dict[str, Any]) -> None:
    @workflow
    async def wait(ctx: Context) -> str:
        try:
            await ctx.ask(question("Well?"))
        except InteractionWithdrawn:
            return (await ctx.ask(question("Or else?"))).text
        return "?"

    async with Runner(store, [wait], **way) as runner:
        record = (await runner.start("wait")).record
        await asked(record, "Well?")
        await store.withdraw(record.execution_id, record.pending_interactions[0].interaction_id, "a typo")
        await answer(store, record, "Or else?", "fine")
        await ended(record)
    assert record.result == "fine"


async def test_notifications_and_emitted_values_are_told_once_in_order_and_block_nothing(
    store: ExecutionStore, way: dict[str, Any]
) -> None:
    @workflow
    async def tell(ctx: Context) -> str:
        await ctx.notify("It begins.")
        await ctx.emit({"done": 1})
        await ctx.emit([2])
        await ctx.notify(HumanPromptNotification(text="Half of it."))
        return (await ctx.ask(question("More?"))).text

    record = await completed(store, [tell], "tell", None, {"More?": "no"}, **way)
    events = await store.events(record.execution_id)
    shown = [
        entry.detail.get("data") or entry.detail["prompt"]["text"]
        for entry in events
        if entry.event in {"emitted", "notified"}
    ]
    assert shown == ["It begins.", {"done": 1}, [2], "Half of it."]
    assert (await store.events(record.execution_id, after=events[3].sequence, limit=1))[0] == events[4]


async def test_a_consent_that_the_application_drives_goes_on_when_it_says_so(
    store: ExecutionStore, way: dict[str, Any]
) -> None:
    @workflow
    async def login(ctx: Context) -> str:
        await ctx.authorize(auth_url="https://example.org/authorize", oauth_state="s1")
        return (await ctx.ask(question("Which repository?"))).text

    async with Runner(store, [login], **way) as runner:
        record = (await runner.start("login")).record
        await until(record, lambda: record.status == "oauth_required")
        assert [each.oauth_state for each in record.pending_oauths] == ["s1"]
        if way["hold_paused_for"] == 0:
            await unloaded(runner)
        await store.set_running(record.execution_id)
        await answer(store, record, "Which repository?", "rest")
        await ended(record)
    assert record.result == "rest"


async def test_who_drives_a_consent_is_the_kind_of_its_call_and_the_file_has_it_as_it_always_had(
    store: ExecutionStore, path: Path
) -> None:
    @workflow
    async def login(ctx: Context) -> None:
        await ctx.authorize(auth_url="https://example.org/authorize", oauth_state="s1")

    async with Runner(store, [login]) as runner:
        record = (await runner.start("login")).record
        await until(record, lambda: record.status == "oauth_required")
        (entry,) = await runs.read_journal(file_of(store).database, record.execution_id)
    assert (entry.call.kind, entry.is_driven) == (runs.AUTHORIZE_EXTERNAL, False)
    assert rows(path, "SELECT kind, name, fingerprint FROM journal") == [("authorize", "consent", "")]


# --- Time ------------------------------------------------------------------------------------------------------------


async def test_a_sleep_goes_by_the_clock_and_a_restart_does_not_begin_it_anew(
    store: ExecutionStore, clock: ManualClock, path: Path, way: dict[str, Any]
) -> None:
    woke: list[int] = []

    @workflow
    async def nap(ctx: Context) -> str:
        before = await ctx.now()
        await ctx.sleep(timedelta(hours=1))
        after = await ctx.now()
        woke.append(1)
        await ctx.sleep(60)
        return str(after - before)

    async with Runner(store, [nap], **way) as runner:
        record = (await runner.start("nap")).record
        await journaled(path, "sleep", 1)
        clock.step(1800)
    assert record.status == "running"
    async with Runner(store, [nap], **way):
        clock.step(1801)
        await journaled(path, "sleep", 2)
        clock.step(61)
        await ended(record)
    assert record.result == "1:00:01"


async def test_a_sleep_can_race_a_prompt(store: ExecutionStore, clock: ManualClock, way: dict[str, Any]) -> None:
    @workflow
    async def remind(ctx: Context) -> list[str]:
        said: list[str] = []
        prompt = asyncio.create_task(ctx.ask(question("Well?")))
        while True:
            alarm = asyncio.create_task(ctx.sleep(60))
            done, _ = await asyncio.wait({prompt, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if prompt in done:
                alarm.cancel()
                return [*said, prompt.result().text]
            said.append("reminded")
            await ctx.notify("Please answer.")

    async with Runner(store, [remind], **way) as runner:
        record = (await runner.start("remind")).record
        for reminders in (1, 2):
            await asked(record, "Well?")
            async with asyncio.timeout(PATIENCE):
                while len([e for e in await store.events(record.execution_id) if e.event == "notified"]) < reminders:
                    clock.step(10)
                    await asyncio.sleep(0.01)
        await answer(store, record, "Well?", "here")
        await ended(record)
    assert record.result[-1] == "here"
    assert record.result.count("reminded") >= 2


# --- Starting --------------------------------------------------------------------------------------------------------


async def test_the_same_key_gives_the_first_execution_and_another_request_with_it_is_refused(
    store: ExecutionStore,
) -> None:
    @workflow
    async def echo(ctx: Context, text: str) -> str:
        return text

    async with Runner(store, [echo]) as runner:
        first = await runner.start("echo", "a", owner="ada", idempotency_key="k")
        again = await asyncio.gather(*(runner.start("echo", "a", owner="ada", idempotency_key="k") for _ in range(20)))
        assert first.created
        assert {(each.created, each.record) for each in again} == {(False, first.record)}
        with pytest.raises(IdempotencyConflict) as conflict:
            await runner.start("echo", "b", owner="ada", idempotency_key="k")
        assert conflict.value.execution_id == first.record.execution_id
        other = await runner.start("echo", "b", owner="bob", idempotency_key="k")
        assert other.created, "a key belongs to who uses it"
        together = await asyncio.gather(*(runner.start("echo", "c", idempotency_key="new") for _ in range(20)))
        assert sorted(each.created for each in together) == [False] * 19 + [True]


@pytest.mark.parametrize(
    ("name", "value", "error", "says"),
    [
        ("nothing", None, WorkflowNotFound, "buy, none"),
        ("buy", {"price": 1}, InputNotAccepted, "name: Field required"),
        ("buy", None, InputNotAccepted, "buy"),
        ("buy", {"name": "x", "price": float("nan")}, InputNotAccepted, r"\$\.price"),
        ("buy", {"name": "\ud800"}, InputNotAccepted, "surrogate"),
        ("buy", {"name": "x" * (4 << 20)}, InputNotAccepted, "limit"),
        ("none", {"a": 1}, InputNotAccepted, "takes no input"),
    ],
)
async def test_what_cannot_be_started_is_refused_and_nothing_is_written(
    store: ExecutionStore, path: Path, name: str, value: object, error: type[Exception], says: str
) -> None:
    @workflow
    async def buy(ctx: Context, order: Order) -> str:
        return order.name

    @workflow("none")
    async def no_input(ctx: Context) -> None:
        return None

    async with Runner(store, [buy, no_input]) as runner:
        with pytest.raises(error, match=says):
            await runner.start(name, value)
    assert rows(path, "SELECT count(*) FROM executions") == [(0,)]


async def test_a_model_may_be_the_input_and_a_default_takes_the_place_of_none(store: ExecutionStore) -> None:
    @workflow
    async def buy(ctx: Context, order: Order = Order(name="tea")) -> Order:  # noqa: B008 - never changed
        return order

    assert (await completed(store, [buy], "buy", Order(name="cake", price=2))).result["name"] == "cake"
    assert (await completed(store, [buy], "buy")).result["name"] == "tea"


@pytest.mark.parametrize(
    "make",
    [
        lambda: workflow(_not_async),  # type: ignore[arg-type]
        lambda: workflow("no spaces")(_fine),
        lambda: workflow("fine", version=0)(_fine),
        lambda: workflow(_two_inputs),
        lambda: workflow(_no_context),
        lambda: workflow(_odd_type),
    ],
)
def test_what_is_no_workflow_is_refused_where_it_is_written(make: Any) -> None:
    with pytest.raises(InvalidArgument):
        make()


def _not_async(ctx: Context) -> None: ...
async def _fine(ctx: Context) -> None: ...
async def _two_inputs(ctx: Context, a: int, b: int) -> None: ...
async def _no_context() -> None: ...
async def _odd_type(ctx: Context, a: threading.Lock) -> None: ...


@pytest.mark.parametrize("options", [{"concurrency": -1}, {"max_attempts": 0}, {"hold_paused_for": -1}])
def test_a_runner_says_what_its_options_may_be(store: ExecutionStore, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(options))):
        Runner(store, [], **options)


async def test_two_workflows_of_one_name_and_version_are_refused(store: ExecutionStore) -> None:
    with pytest.raises(InvalidArgument, match="same"):
        Runner(store, [workflow("same")(_fine), workflow("same")(_no_argument_twin)])


async def _no_argument_twin(ctx: Context) -> None: ...


# --- Ends ------------------------------------------------------------------------------------------------------------


async def test_a_workflow_that_gives_up_says_why_in_public(store: ExecutionStore, way: dict[str, Any]) -> None:
    @workflow
    async def refuse(ctx: Context) -> None:
        await ctx.step(str, "x")
        raise WorkflowFailed("We do not ship there.", code="no_shipping")

    record = await completed(store, [refuse], "refuse", **way)
    assert (record.status, record.error, record.error_code) == ("failed", "We do not ship there.", "no_shipping")


@pytest.mark.parametrize("message", ["secret detail", ""])
async def test_an_exception_fails_the_execution_with_its_type_and_never_its_text(
    store: ExecutionStore, way: dict[str, Any], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    @workflow
    async def broken(ctx: Context) -> None:
        await ctx.now()
        raise LookupError(message)

    with caplog.at_level(logging.ERROR):
        record = await completed(store, [broken], "broken", **way)
    assert (record.status, record.error_code) == ("failed", "workflow_error")
    assert "LookupError" in str(record.error)
    assert "secret" not in str(record.error)
    assert message in caplog.text


async def test_a_result_that_is_no_json_fails_the_execution_and_says_where(
    store: ExecutionStore, way: dict[str, Any]
) -> None:
    @workflow
    async def broken(ctx: Context) -> Any:
        return {"at": {1, 2}}

    record = await completed(store, [broken], "broken", **way)
    assert (record.status, record.error_code) == ("failed", "not_json")
    assert "$.at" in (record.error or "")


async def test_cancelling_reaches_the_coroutine_wherever_it_is_and_withdraws_what_is_open(
    store: ExecutionStore, way: dict[str, Any]
) -> None:
    seen: list[str] = []

    @workflow
    async def patient(ctx: Context) -> None:
        try:
            await ctx.ask(question("Well?"))
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            with pytest.raises(asyncio.CancelledError):
                await ctx.emit("nothing is written any more")

    async with Runner(store, [patient], **way) as runner:
        record = (await runner.start("patient")).record
        await asked(record, "Well?")
        if way["hold_paused_for"] == 0:
            await unloaded(runner)
        await store.cancel(record.execution_id, "no longer needed", actor="ada")
        await store.cancel(record.execution_id)
        await unloaded(runner)
    assert record.status == "cancelled"
    assert seen
    events = [entry.event for entry in await store.history(record.execution_id)]
    assert events == ["execution_created", "interaction_asked", "execution_cancelled", "interaction_withdrawn"]


async def test_a_cancelled_step_is_not_recorded_and_does_not_fail_anything(store: ExecutionStore, path: Path) -> None:
    begun = asyncio.Event()

    async def slow() -> None:
        begun.set()
        await asyncio.get_running_loop().create_future()

    @workflow
    async def work(ctx: Context) -> None:
        await ctx.step(slow, retries=3)

    async with Runner(store, [work]) as runner:
        record = (await runner.start("work")).record
        await begun.wait()
        await store.cancel(record.execution_id)
        await unloaded(runner)
    assert record.status == "cancelled"
    assert journal(path) == []


# --- Memory, slots, and going away -----------------------------------------------------------------------------------


async def test_waiting_and_sleeping_hold_no_slot(store: ExecutionStore, clock: ManualClock) -> None:
    @workflow
    async def wait(ctx: Context) -> str:
        return (await ctx.ask(question("Well?"))).text

    @workflow
    async def nap(ctx: Context) -> None:
        await ctx.sleep(60)

    @workflow
    async def quick(ctx: Context) -> str:
        return await ctx.step(str, "done")

    async with Runner(store, [wait, nap, quick], concurrency=1, hold_paused_for=600) as runner:
        waiting = [(await runner.start("wait")).record for _ in range(20)]
        sleeping = [(await runner.start("nap")).record for _ in range(20)]
        for record in waiting:
            await asked(record, "Well?")
        assert (await ended((await runner.start("quick")).record)).result == "done"
        for record in waiting:
            await answer(store, record, "Well?", "x")
        clock.step(61)
        for record in (*waiting, *sleeping):
            assert (await ended(record)).status == "completed"
        await unloaded(runner)
        assert runner.running == 0


async def test_no_more_than_the_limit_work_at_once(store: ExecutionStore) -> None:
    working: list[int] = []
    most: list[int] = []
    full = asyncio.Event()

    async def busy() -> None:
        working.append(1)
        most.append(len(working))
        if len(working) == 3:
            full.set()
        await full.wait()
        await asyncio.sleep(0)
        working.pop()

    @workflow
    async def work(ctx: Context) -> str:
        await ctx.step(busy)
        reply = await ctx.ask(question("Well?"))
        await ctx.step(busy)
        return reply.text

    async with Runner(store, [work], concurrency=3) as runner:
        records = [(await runner.start("work")).record for _ in range(20)]
        await asyncio.gather(*(answer(store, record, "Well?", "x") for record in records))
        await asyncio.gather(*map(ended, records))
    assert max(most) == 3


async def test_a_paused_run_that_left_memory_costs_no_object(store: ExecutionStore) -> None:
    @workflow
    async def wait(ctx: Context) -> str:
        return (await ctx.ask(question("Well?"))).text

    async with Runner(store, [wait], hold_paused_for=0) as runner:
        execution_id = (await runner.start("wait")).record.execution_id
        record = await store.get(execution_id)
        assert record is not None
        await asked(record, "Well?")
        await unloaded(runner)
        del record
        await eventually(lambda: file_of(store).records.get(execution_id) is None)


async def test_a_runner_that_closes_leaves_everything_to_the_next_one(
    store: ExecutionStore, path: Path, way: dict[str, Any]
) -> None:
    effects: list[str] = []
    begun = asyncio.Event()

    async def slow(name: str) -> str:
        begun.set()
        if len(effects) < 1:
            effects.append(name)
            await asyncio.get_running_loop().create_future()
        return name

    @workflow
    async def wait(ctx: Context) -> str:
        return (await ctx.ask(question("Well?"))).text

    @workflow
    async def work(ctx: Context) -> str:
        return await ctx.step(slow, "x")

    async with Runner(store, [wait, work], **way) as runner:
        paused = (await runner.start("wait")).record
        await asked(paused, "Well?")
        working = (await runner.start("work")).record
        await begun.wait()
    assert (paused.status, working.status) == ("interaction_required", "running")
    assert rows(path, "SELECT count(*) FROM executions WHERE lease IS NOT NULL OR attempts > 0") == [(0,)]
    with pytest.raises(StoreClosed):
        await runner.start("wait")
    async with Runner(store, [wait, work], **way):
        assert (await ended(working)).result == "x"
        await answer(store, paused, "Well?", "fine")
        assert (await ended(paused)).result == "fine"


async def test_a_process_without_slots_starts_for_the_others(store: ExecutionStore, path: Path) -> None:
    @workflow
    async def echo(ctx: Context, text: str) -> str:
        return text

    async with Runner(store, [echo], concurrency=0) as starter:
        record = (await starter.start("echo", "x")).record
        assert (starter.running, record.status) == (0, "running")
        async with ExecutionStore(database=path) as other, Runner(other, [echo]):
            assert (await ended(record)).result == "x"


async def test_starting_what_is_claimed_at_once_makes_nobody_look_for_work(
    store: ExecutionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def next_wake(database: Database) -> int | None:
        nonlocal looks
        looks += 1
        return await found(database)

    found = claims.next_wake
    monkeypatch.setattr(claims, "next_wake", next_wake)
    monkeypatch.setattr(poller, "INTERVAL", 600.0)

    @workflow
    async def echo(ctx: Context, text: str) -> str:
        return text

    async with Runner(store, [echo]) as runner:
        for _ in range(10):
            await ended((await runner.start("echo", "x")).record)
    assert looks == 1, "when it opened"


async def test_an_answer_from_another_store_reaches_a_parked_run(
    store: ExecutionStore, path: Path, way: dict[str, Any]
) -> None:
    @workflow
    async def wait(ctx: Context) -> str:
        return (await ctx.ask(question("Well?"))).text

    async with Runner(store, [wait], **way) as runner, ExecutionStore(database=path) as other:
        record = (await runner.start("wait")).record
        await asked(record, "Well?")
        seen = await other.get(record.execution_id)
        assert seen is not None
        await answer(other, seen, "Well?", "from afar")
        assert (await ended(record)).result == "from afar"
        assert (await ended(seen)).result == "from afar"


async def test_a_run_that_is_cancelled_as_it_is_brought_back_gives_its_slot_back(
    store: ExecutionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    @workflow
    async def wait(ctx: Context) -> str:
        return (await ctx.ask(question("Well?"))).text

    read = runs.read_journal

    async def cancelled_meanwhile(database: Database, execution_id: str) -> list[runs.Entry]:
        await store.cancel(execution_id)
        return await read(database, execution_id)

    async with Runner(store, [wait], concurrency=1, hold_paused_for=0.0) as runner:
        record = (await runner.start("wait")).record
        await asked(record, "Well?")
        await unloaded(runner)
        with monkeypatch.context() as patch:
            patch.setattr(runs, "read_journal", cancelled_meanwhile)
            await answer(store, record, "Well?", "yes")
            await ended(record)
            await unloaded(runner)
        assert record.status == "cancelled"
        another = (await runner.start("wait")).record
        await answer(store, another, "Well?", "yes")
        assert (await ended(another)).result == "yes"


async def test_an_answer_reaches_a_run_that_is_being_parked_at_that_moment(store: ExecutionStore, path: Path) -> None:
    """The moments differ: the answer of another store comes some turns of the loop after the prompt."""

    @workflow
    async def wait(ctx: Context) -> str:
        return (await ctx.ask(question("Well?"))).text

    async with Runner(store, [wait], **WAYS["parked"]) as runner, ExecutionStore(database=path) as other:
        for turns in range(0, 40, 2):
            record = (await runner.start("wait")).record
            await asked(record, "Well?")
            seen = await other.get(record.execution_id)
            assert seen is not None
            for _ in range(turns):
                await asyncio.sleep(0)
            await answer(other, seen, "Well?", f"after {turns}")
            assert (await ended(record)).result == f"after {turns}"


async def test_of_two_answers_that_come_together_one_is_first_and_is_so_on_every_replay(
    store: ExecutionStore, way: dict[str, Any]
) -> None:
    firsts: list[list[str]] = []

    @workflow
    async def race(ctx: Context) -> list[str]:
        tasks = [asyncio.create_task(ctx.ask(question(text))) for text in ("a", "b", "c")]
        seen: list[str] = []
        while tasks:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            seen.append("+".join(sorted(task.result().text for task in done)))
            tasks = [task for task in tasks if task not in done]
        firsts.append(seen)
        await ctx.ask(question(f"{seen}?"))
        return seen

    async with Runner(store, [race], **way) as runner:
        record = (await runner.start("race")).record
        await asked(record, "a", "b", "c")
        if way["hold_paused_for"] == 0:
            await unloaded(runner)
        pending = {each.prompt.text: each.interaction_id for each in record.pending_interactions}
        await asyncio.gather(
            *(
                store.resolve_interaction(record.execution_id, pending[text], HumanResponseText(text=text))
                for text in ("c", "a", "b")
            )
        )
        await asked(record, "['c', 'a', 'b']?")
        await answer(store, record, "['c', 'a', 'b']?", "yes")
        assert (await ended(record)).result == ["c", "a", "b"]
    assert all(seen == ["c", "a", "b"] for seen in firsts)
