"""A user of the original store who changed one import: the names, the signatures, the errors, the identity."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import BaseModel

from restpoint import (
    DEFAULT_EXECUTION_TTL,
    ExecutionRecord,
    ExecutionStatus,
    ExecutionStore,
    PendingInteraction,
    PendingOAuth,
    prompts,
)
from restpoint.prompts import RESPONSE, HumanPrompt, HumanResponse
from support import ADA, GRACE, KINDS, PAIRS, TEXT
from their_models import TEA, THEIRS

Make = Callable[..., ExecutionStore]


@pytest_asyncio.fixture
async def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    """``ExecutionStore`` with the arguments of the original only, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESTPOINT_DATABASE", raising=False)
    made: list[ExecutionStore] = []

    def factory(*arguments: Any, **named: Any) -> ExecutionStore:
        made.append(ExecutionStore(*arguments, **named))
        return made[-1]

    yield factory
    for each in made:
        await each.close()


# --- Construction ----------------------------------------------------------------------------------------------------


async def test_a_store_made_without_arguments_works_without_another_call(make: Make, tmp_path: Path) -> None:
    store = make()
    record = await store.create_execution()
    assert (await store.get(record.execution_id)) is record
    assert (tmp_path / "restpoint.db").stat().st_size > 0


async def test_an_environment_variable_names_the_file(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTPOINT_DATABASE", str(tmp_path / "elsewhere.db"))
    await make().create_execution()
    assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "restpoint.db").exists()


def test_no_file_is_made_before_the_first_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESTPOINT_DATABASE", raising=False)
    ExecutionStore()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["by position", "by name"])
async def test_a_time_to_live_of_zero_lets_ended_executions_go_at_once(make: Make, how: str) -> None:
    store = make(0) if how == "by position" else make(ttl_seconds=0)
    ended, running = await store.create_execution(), await store.create_execution()
    await store.set_completed(ended.execution_id, "done")
    assert await store.cleanup_expired() == 1
    assert await store.get(ended.execution_id) is None
    assert await store.get(running.execution_id) is running
    assert await store.cleanup_expired() == 0


async def test_within_its_time_to_live_an_ended_execution_stays(make: Make) -> None:
    store = make(ttl_seconds=600)
    record = await store.create_execution()
    await store.set_failed(record.execution_id, "no luck")
    assert await store.cleanup_expired() == 0
    assert await store.get(record.execution_id) is record


def test_the_default_time_to_live_is_ten_minutes() -> None:
    assert DEFAULT_EXECUTION_TTL == 600
    assert inspect.signature(ExecutionStore).parameters["ttl_seconds"].default == 600


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("create_execution", []),
        ("get", ["execution_id"]),
        ("set_interaction_required", ["execution_id", "prompt", "interaction_id"]),
        ("set_oauth_required", ["execution_id", "auth_url", "oauth_state"]),
        ("set_running", ["execution_id"]),
        ("set_completed", ["execution_id", "result"]),
        ("set_failed", ["execution_id", "error"]),
        ("resolve_interaction", ["execution_id", "interaction_id", "response"]),
        ("cleanup_expired", []),
        ("remove", ["execution_id"]),
    ],
)
def test_each_method_takes_what_the_original_took_and_asks_for_no_more(method: str, parameters: list[str]) -> None:
    signature = inspect.signature(getattr(ExecutionStore, method))
    positional = [name for name, each in signature.parameters.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert positional == ["self", *parameters]
    added = [each for each in signature.parameters.values() if each.kind is each.KEYWORD_ONLY]
    assert all(each.default is not each.empty for each in added)
    assert inspect.iscoroutinefunction(getattr(ExecutionStore, method))


async def test_everything_can_be_given_by_name(make: Make) -> None:
    store = make(ttl_seconds=600)
    one = (await store.create_execution()).execution_id
    pending = await store.set_interaction_required(execution_id=one, prompt=TEXT, interaction_id="first")
    await store.resolve_interaction(execution_id=one, interaction_id="first", response=ADA)
    assert await pending.future == ADA
    await store.set_oauth_required(execution_id=one, auth_url="https://id.example/go", oauth_state="s-1")
    await store.set_running(execution_id=one)
    await store.set_completed(execution_id=one, result={"sum": 3})
    await store.remove(execution_id=one)
    assert await store.get(execution_id=one) is None


def test_the_five_statuses_of_the_wire_are_there_with_their_names() -> None:
    assert {"running", "interaction_required", "oauth_required", "completed", "failed"} <= set(ExecutionStatus)
    assert str(ExecutionStatus.OAUTH_REQUIRED) == "oauth_required"
    assert isinstance(ExecutionStatus.RUNNING, str)


def test_every_prompt_name_of_the_original_is_there() -> None:
    kinds = ("Text", "Notification", "Binary", "Radio", "Checkbox", "Dropdown")
    names = [f"{family}{kind}" for family in ("HumanPrompt", "HumanResponse") for kind in kinds]
    names += ["HumanPromptModelType", "BinaryHumanPromptOption", "MultipleChoiceOption", "HumanPrompt", "HumanResponse"]
    names += ["InteractionStatus", "InteractionPrompt", "InteractionResponse"]
    names += ["BinaryChoiceOptionsType", "MultipleChoiceOptionType"]
    assert prompts.HumanPromptModelType("oauth_consent") is prompts.HumanPromptModelType.OAUTH_CONSENT
    assert [name for name in names if not hasattr(prompts, name)] == []


# --- Records ---------------------------------------------------------------------------------------------------------


async def test_a_new_record_is_running_and_empty(make: Make) -> None:
    before = time.time()
    record = await make().create_execution()
    assert isinstance(record, ExecutionRecord)
    assert isinstance(record.execution_id, str)
    assert record.status is ExecutionStatus.RUNNING
    empty = (record.task, record.result, record.error, record.pending_interaction, record.pending_oauth)
    assert empty == (None,) * 5
    assert record.completed_at is None
    assert isinstance(record.first_outcome, asyncio.Event)
    assert not record.first_outcome.is_set()
    assert before - 1 < record.created_at < time.time() + 1


async def test_every_execution_has_an_id_of_its_own(make: Make) -> None:
    store = make()
    records = await asyncio.gather(*(store.create_execution() for _ in range(50)))
    assert len({record.execution_id for record in records}) == 50


async def test_a_record_is_the_same_object_and_follows_every_transition(make: Make) -> None:
    store = make()
    record = await store.create_execution()
    one = record.execution_id
    seen = [record.status]
    pending = await store.set_interaction_required(one, TEXT)
    assert record.pending_interaction is pending
    seen.append(record.status)
    await store.resolve_interaction(one, pending.interaction_id, ADA)
    await store.set_running(one)
    seen.append(record.status)
    await store.set_oauth_required(one, "https://id.example/go", "s-2")
    seen.append(record.status)
    await store.set_running(one)
    await store.set_completed(one, [1, 2])
    seen.append(record.status)
    assert seen == ["running", "interaction_required", "running", "oauth_required", "completed"]
    assert await store.get(one) is record
    assert record.result == [1, 2]
    assert record.completed_at is not None
    assert record.completed_at >= record.created_at


async def test_the_first_outcome_is_a_pause_or_an_end(make: Make) -> None:
    store = make()
    outcomes = []
    for how in ("ask", "authorize", "complete", "fail"):
        record = await store.create_execution()
        one, event = record.execution_id, record.first_outcome
        waiter = asyncio.create_task(event.wait())
        assert not event.is_set()
        if how == "ask":
            await store.set_interaction_required(one, TEXT)
        elif how == "authorize":
            await store.set_oauth_required(one, "https://id.example/go", "s-3")
        elif how == "complete":
            await store.set_completed(one, None)
        else:
            await store.set_failed(one, "it broke")
        assert record.first_outcome is event
        outcomes.append((await waiter, event.is_set()))
    assert outcomes == [(True, True)] * 4


async def test_the_first_outcome_stays_set_when_the_execution_runs_again(make: Make) -> None:
    store = make()
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT)
    await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
    assert record.status == "running"
    assert record.first_outcome.is_set()


async def test_a_pending_interaction_has_what_the_original_had(make: Make) -> None:
    store = make()
    before = time.time()
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT)
    assert isinstance(pending, PendingInteraction)
    assert isinstance(pending.interaction_id, str)
    assert pending.prompt is TEXT
    assert isinstance(pending.future, asyncio.Future)
    assert pending.future is pending.future
    assert not pending.future.done()
    assert before - 1 < pending.created_at < time.time() + 1


async def test_an_interaction_id_of_the_callers_choice_is_kept(make: Make) -> None:
    store = make()
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT, "approval-7")
    assert pending.interaction_id == "approval-7"
    await store.resolve_interaction(record.execution_id, "approval-7", ADA)
    assert await pending.future == ADA


async def test_a_pending_consent_shows_what_it_was_given(make: Make) -> None:
    store = make()
    record = await store.create_execution()
    assert await store.set_oauth_required(record.execution_id, "https://id.example/a?x=1", "state-9") is None  # type: ignore[func-returns-value]
    pending = record.pending_oauth
    assert isinstance(pending, PendingOAuth)
    assert (pending.auth_url, pending.oauth_state) == ("https://id.example/a?x=1", "state-9")
    assert abs(pending.created_at - time.time()) < 60
    assert record.status == "oauth_required"


async def test_back_to_running_clears_what_was_open(make: Make) -> None:
    store = make()
    record = await store.create_execution()
    await store.set_interaction_required(record.execution_id, TEXT)
    await store.set_oauth_required(record.execution_id, "https://id.example/go", "s-4")
    await store.set_running(record.execution_id)
    assert record.status == "running"
    assert record.pending_interaction is None
    assert record.pending_oauth is None


async def test_failing_keeps_the_error_and_completing_keeps_the_result(make: Make) -> None:
    store = make()
    good, bad = await store.create_execution(), await store.create_execution()
    await store.set_completed(good.execution_id, {"rows": [1, None, "x"]})
    await store.set_failed(bad.execution_id, "the printer is on fire")
    assert (good.status, good.result, good.error) == ("completed", {"rows": [1, None, "x"]}, None)
    assert (bad.status, bad.result, bad.error) == ("failed", None, "the printer is on fire")
    assert bad.completed_at is not None


async def test_the_callers_task_is_kept_in_the_record(make: Make) -> None:
    store = make()
    record = await store.create_execution()
    release = asyncio.Event()

    async def work() -> None:
        await release.wait()
        await store.set_completed(record.execution_id, "worked")

    record.task = asyncio.create_task(work())
    assert not record.task.done()
    release.set()
    await record.task
    assert record.status == "completed"


# --- The whole way, in the six kinds ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("prompt", "response"), PAIRS, ids=KINDS)
async def test_a_prompt_of_each_kind_is_asked_and_answered(
    make: Make, prompt: HumanPrompt, response: HumanResponse
) -> None:
    store = make()
    record = await store.create_execution()
    one = record.execution_id
    pending = await store.set_interaction_required(one, prompt)
    assert pending.prompt is prompt
    assert record.status == "interaction_required"

    async def person() -> None:
        await store.resolve_interaction(one, pending.interaction_id, response)

    answering = asyncio.create_task(person())
    answer = await pending.future
    await answering
    assert answer == response
    await store.set_running(one)
    await store.set_completed(one, answer.model_dump(mode="json"))
    assert RESPONSE.validate_python(record.result) == response


# --- Errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["ask", "authorize", "run", "complete", "fail", "resolve"])
async def test_an_unknown_execution_is_a_key_error_that_says_not_found(make: Make, method: str) -> None:
    store = make()
    calls: dict[str, Callable[[], Any]] = {
        "ask": lambda: store.set_interaction_required("nobody", TEXT),
        "authorize": lambda: store.set_oauth_required("nobody", "https://id.example/go", "s"),
        "run": lambda: store.set_running("nobody"),
        "complete": lambda: store.set_completed("nobody", 1),
        "fail": lambda: store.set_failed("nobody", "why"),
        "resolve": lambda: store.resolve_interaction("nobody", "nothing", ADA),
    }
    with pytest.raises(KeyError, match="not found") as caught:
        await calls[method]()
    assert "nobody" in str(caught.value)


async def test_getting_or_removing_an_unknown_execution_is_no_error(make: Make) -> None:
    store = make()
    assert await store.get("nobody") is None
    assert await store.remove("nobody") is None  # type: ignore[func-returns-value]


async def test_an_unknown_interaction_is_a_key_error_that_says_not_found(make: Make) -> None:
    store = make()
    record = await store.create_execution()
    with pytest.raises(KeyError, match="not found"):
        await store.resolve_interaction(record.execution_id, "nothing", ADA)
    await store.set_interaction_required(record.execution_id, TEXT)
    with pytest.raises(KeyError, match="not found") as caught:
        await store.resolve_interaction(record.execution_id, "nothing", ADA)
    assert "nothing" in str(caught.value)


async def test_an_interaction_of_another_execution_is_not_found(make: Make) -> None:
    store = make()
    mine, other = await store.create_execution(), await store.create_execution()
    pending = await store.set_interaction_required(mine.execution_id, TEXT)
    with pytest.raises(KeyError, match="not found"):
        await store.resolve_interaction(other.execution_id, pending.interaction_id, ADA)
    assert not pending.future.done()


async def test_a_second_answer_is_a_value_error_that_says_already_resolved(make: Make) -> None:
    store = make()
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT)
    await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
    with pytest.raises(ValueError, match="already been resolved"):
        await store.resolve_interaction(record.execution_id, pending.interaction_id, GRACE)
    assert await pending.future == ADA


async def test_removing_an_execution_takes_it_out_of_the_store(make: Make) -> None:
    store = make()
    record = await store.create_execution()
    await store.set_completed(record.execution_id, 1)
    await store.remove(record.execution_id)
    assert await store.get(record.execution_id) is None
    with pytest.raises(KeyError, match="not found"):
        await store.set_running(record.execution_id)


# --- The models of another library, with the same fields -------------------------------------------------------------


@pytest.mark.parametrize(("prompt", "response"), THEIRS, ids=KINDS)
async def test_models_of_another_library_come_back_as_they_were_given(
    make: Make, prompt: BaseModel, response: BaseModel
) -> None:
    store = make()
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, prompt)
    assert pending.prompt is prompt
    assert record.pending_interaction is pending
    future = pending.future
    await store.resolve_interaction(record.execution_id, pending.interaction_id, response)
    assert await future is response
    await store.resolve_interaction(record.execution_id, pending.interaction_id, response)  # a retry is a success


@pytest.mark.parametrize(("prompt", "response"), THEIRS, ids=KINDS)
async def test_models_of_another_library_survive_a_restart_in_all_their_fields(
    make: Make, prompt: BaseModel, response: BaseModel
) -> None:
    before = make()
    one = (await before.create_execution()).execution_id
    asked = await before.set_interaction_required(one, prompt)
    await before.close()

    after = make()
    record = await after.get(one)
    assert record is not None
    pending = record.pending_interaction
    assert pending is not None
    assert pending.interaction_id == asked.interaction_id
    assert pending.prompt.model_dump(mode="json") == prompt.model_dump(mode="json")
    future = pending.future
    await after.resolve_interaction(one, pending.interaction_id, response)
    assert await future is response
    await after.close()

    # Read back from the file by a third store, the answer has at least every field that was given.
    entries = await make().history(one)
    stored = next(entry.detail["response"] for entry in entries if entry.event == "interaction_answered")
    assert response.model_dump(mode="json").items() <= stored.items()


async def test_a_model_of_another_library_that_is_no_prompt_is_refused(make: Make) -> None:
    store = make()
    record = await store.create_execution()
    with pytest.raises(ValueError, match="not a prompt"):
        await store.set_interaction_required(record.execution_id, TEA)
    assert record.status == "running"
