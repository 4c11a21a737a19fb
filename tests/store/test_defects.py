"""The defects of the in-memory original, each as the behaviour that is wanted instead. The numbers are its list's."""

import asyncio
import math
import time
from pathlib import Path
from typing import Any

import pytest

from restpoint import Actor, ExecutionStore
from restpoint.errors import (
    IllegalTransition,
    InteractionAlreadyResolved,
    InteractionExpired,
    InteractionWithdrawn,
    NotJSON,
    ResponseNotAccepted,
)
from restpoint.prompts import (
    HumanPromptBinary,
    HumanPromptCheckbox,
    HumanPromptRadio,
    HumanPromptText,
    HumanResponseCheckbox,
    HumanResponseDropdown,
    HumanResponseText,
)
from second_process import PATIENCE, WatchedClock, child
from support import ADA, CALL, GRACE, MAIL, NO, PAIRS, START, TEXT, YES, ManualClock, dump, rows

CONSENT = ("https://id.example/authorize", "state-1")


async def test_an_ended_execution_takes_no_further_transition(store: ExecutionStore, path: Path) -> None:
    """Defect 1: completed -> failed -> running -> interaction_required was accepted."""
    record = await store.create_execution()
    one = record.execution_id
    await store.set_completed(one, {"answer": 42})
    before = dump(path)
    for attempt in (
        store.set_failed(one, "no"),
        store.set_running(one),
        store.set_interaction_required(one, TEXT),
        store.set_oauth_required(one, *CONSENT),
        store.set_completed(one, {"answer": 43}),
        store.cancel(one),
    ):
        with pytest.raises(IllegalTransition, match=f"Execution {one} is completed"):
            await attempt
    assert dump(path) == before
    assert (record.status, record.result) == ("completed", {"answer": 42})


async def test_a_failure_after_success_leaves_the_success(store: ExecutionStore, path: Path) -> None:
    """Defect 2: a failure while tearing down after success turned `completed` into `failed`."""
    record = await store.create_execution()

    async def work() -> None:
        await store.set_completed(record.execution_id, "the result")
        raise RuntimeError("the teardown fails")

    record.task = task = asyncio.create_task(work())
    await asyncio.wait({task})
    assert isinstance(task.exception(), RuntimeError)
    with pytest.raises(IllegalTransition):
        await store.set_failed(record.execution_id, "the teardown fails")
    assert (record.status, record.result, record.error) == ("completed", "the result", None)
    assert rows(path, "SELECT status, result, error FROM executions") == [("completed", '"the result"', None)]


async def test_a_cancelled_task_ends_its_execution_and_wakes_who_waits(store: ExecutionStore) -> None:
    """Defect 3: a cancelled task stayed `running` for ever and the waiting request never returned."""
    record = await store.create_execution()
    waiting = asyncio.create_task(record.first_outcome.wait())
    record.task = asyncio.create_task(asyncio.Event().wait())
    await asyncio.sleep(0)  # both have begun
    record.task.cancel()
    async with asyncio.timeout(PATIENCE):
        await waiting
    assert record.status == "cancelled"
    assert record.completed_at is not None


async def test_there_is_a_cancel_call_and_it_reaches_the_task(store: ExecutionStore) -> None:
    """Defect 3, the other half: there was no cancel call."""
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT)

    async def work() -> object:
        return await pending.future

    record.task = task = asyncio.create_task(work())
    await asyncio.sleep(0)
    await store.cancel(record.execution_id, "nobody wants it any more")
    await asyncio.wait({task}, timeout=PATIENCE)
    assert task.cancelled()
    assert record.status == "cancelled"
    assert record.pending_interaction is None


async def test_a_task_that_fails_fails_its_execution_without_telling_its_insides(
    store: ExecutionStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Defect 3, and the end of a task that nobody awaits."""
    record = await store.create_execution()

    async def work() -> None:
        raise RuntimeError("password is hunter2")

    outcome = record.first_outcome
    record.task = asyncio.create_task(work())
    async with asyncio.timeout(PATIENCE):
        await outcome.wait()
    assert (record.status, record.error_code) == ("failed", "task_failed")
    assert record.error
    assert "hunter2" not in record.error
    assert "hunter2" in caplog.text


async def test_a_second_prompt_stands_beside_the_first(store: ExecutionStore) -> None:
    """Defect 4: a second prompt overwrote the first: its answer got 404 and its branch hung."""
    record = await store.create_execution()
    one = record.execution_id
    all_asked = asyncio.Event()

    async def branch(question: str) -> str:
        pending = await store.set_interaction_required(one, HumanPromptText(text=question))
        if len(record.pending_interactions) == 3:
            all_asked.set()
        answer = await pending.future
        assert isinstance(answer, HumanResponseText)
        return answer.text

    branches = asyncio.gather(*(branch(f"Question {number}") for number in range(3)))
    await all_asked.wait()
    open_prompts = record.pending_interactions
    assert len({pending.interaction_id for pending in open_prompts}) == 3
    assert record.pending_interaction is open_prompts[0]
    for pending in reversed(open_prompts):
        await store.resolve_interaction(
            one, pending.interaction_id, HumanResponseText(text=f"To {pending.prompt.text}")
        )
    async with asyncio.timeout(PATIENCE):
        assert await branches == [f"To Question {number}" for number in range(3)]
    assert record.status == "running"


async def test_a_prompt_and_a_consent_wait_side_by_side(store: ExecutionStore) -> None:
    """Defect 5: a prompt and an OAuth wait overwrote each other; ending either cleared both."""
    record = await store.create_execution()
    one = record.execution_id
    pending = await store.set_interaction_required(one, TEXT)
    await store.set_oauth_required(one, *CONSENT)
    consent = record.pending_oauth
    assert consent is not None
    assert record.pending_interaction is pending
    assert str(record.status) == "interaction_required"  # the kind of the oldest

    await store.resolve_interaction(one, pending.interaction_id, ADA)
    assert str(record.status) == "oauth_required"
    assert record.pending_interactions == ()
    assert [left.oauth_state for left in record.pending_oauths] == ["state-1"]

    second = await store.set_interaction_required(one, TEXT)
    await store.withdraw(one, consent.consent_id, "consent was given")
    assert record.status == "interaction_required"
    assert (record.pending_oauth, record.pending_interaction) == (None, second)
    assert not second.future.done()


async def test_a_timeout_leaves_no_dead_prompt(store: ExecutionStore, clock: ManualClock) -> None:
    """Defect 6: a timeout left `interaction_required` with a dead prompt in the record."""
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, HumanPromptText(text="Quick!", timeout=5))
    future = pending.future
    clock.step(4.999)
    assert (await store.get(record.execution_id)) is record
    assert not future.done()
    clock.step(0.001)
    with pytest.raises(InteractionExpired):
        await future
    assert record.status == "running"
    assert record.pending_interaction is None
    with pytest.raises(InteractionExpired):
        await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)


@pytest.mark.parametrize("end", ["fail", "cancel"])
async def test_no_answer_is_accepted_after_the_execution_has_ended(store: ExecutionStore, path: Path, end: str) -> None:
    """Defect 7: an answer was accepted after the execution had ended."""
    record = await store.create_execution()
    one = record.execution_id
    pending = await store.set_interaction_required(one, TEXT)
    await (store.set_failed(one, "broken") if end == "fail" else store.cancel(one))
    before = dump(path)
    with pytest.raises(InteractionWithdrawn):
        await store.resolve_interaction(one, pending.interaction_id, ADA)
    assert dump(path) == before
    assert rows(path, "SELECT status, response FROM interactions") == [("withdrawn", None)]


async def test_no_answer_is_accepted_after_the_prompt_was_taken_back(store: ExecutionStore) -> None:
    """Defect 7, where the execution has gone on to its success."""
    record = await store.create_execution()
    one = record.execution_id
    pending = await store.set_interaction_required(one, TEXT)
    await store.set_running(one)
    await store.set_completed(one, "without the answer")
    with pytest.raises(InteractionWithdrawn):
        await store.resolve_interaction(one, pending.interaction_id, ADA)


RADIO = HumanPromptRadio(text="How?", options=[MAIL, CALL])
BINARY = HumanPromptBinary(text="Go on?", options=[YES, NO])
CHECKBOX = HumanPromptCheckbox(text="How?", options=[MAIL, CALL])


@pytest.mark.parametrize(
    ("prompt", "response"),
    [
        (TEXT, HumanResponseDropdown(selected_option=MAIL)),
        (RADIO, HumanResponseDropdown(selected_option=MAIL)),
        (RADIO, {"type": "text", "text": "mail"}),
        (RADIO, {"type": "radio", "selected_option": {"id": "fax", "label": "Fax", "value": "fax"}}),
        (RADIO, {"type": "radio", "selected_option": {"id": "mail", "value": "call"}}),
        (RADIO, {"type": "radio", "selected_option": {}}),
        (BINARY, {"type": "binary_choice", "selected_option": {}}),
        (BINARY, {"type": "binary_choice", "selected_option": {"id": "yes", "value": False}}),
        (CHECKBOX, {"type": "checkbox", "selected_options": []}),
        (CHECKBOX, {"type": "checkbox", "selected_options": [{"id": "fax", "value": "fax"}]}),
        (TEXT, HumanResponseText(text="")),
        (TEXT, HumanResponseText(text=" \n\t ")),
        (TEXT, HumanResponseText(text="x" * 20_000_000)),
        (TEXT, {}),
        (TEXT, {"type": "text"}),
        (TEXT, {"type": "telepathy", "text": "Ada"}),
    ],
    ids=[
        "another kind",
        "choice of another kind",
        "text for a choice",
        "not offered",
        "value of another",
        "empty option",
        "empty binary option",
        "value swapped",
        "nothing chosen",
        "one not offered",
        "empty text",
        "blank text",
        "20 MB",
        "empty body",
        "no text",
        "unknown kind",
    ],
)
async def test_an_answer_that_does_not_fit_the_prompt_is_refused(
    store: ExecutionStore, path: Path, prompt: Any, response: Any
) -> None:
    """Defect 8: the answer was not compared with the prompt."""
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, prompt)
    before = dump(path)
    with pytest.raises(ResponseNotAccepted):
        await store.resolve_interaction(record.execution_id, pending.interaction_id, response)
    assert dump(path) == before
    assert not pending.future.done()
    assert record.status == "interaction_required"


async def test_the_documented_bodies_are_accepted(store: ExecutionStore) -> None:
    """Defect 9: the documentation shows `input_type`, and `selected_options` for a checkbox; both were refused."""
    for prompt, response in PAIRS:
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, prompt)
        body = response.model_dump(mode="json")
        body["input_type"] = body.pop("type")
        body.pop("selected_option" if "selected_options" in body else "", None)
        future = pending.future
        await store.resolve_interaction(record.execution_id, pending.interaction_id, body)
        assert await future == response


async def test_a_checkbox_carries_several_choices(store: ExecutionStore) -> None:
    """Defect 9, the other face: a checkbox could not carry several choices at all."""
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, CHECKBOX)
    future = pending.future
    both = {"type": "checkbox", "selected_options": [{"id": "call", "value": "call"}, {"id": "mail", "value": "mail"}]}
    await store.resolve_interaction(record.execution_id, pending.interaction_id, both)
    answer = await future
    assert isinstance(answer, HumanResponseCheckbox)
    assert answer.selected_options == [CALL, MAIL]
    assert answer.selected_option == CALL


async def test_a_retried_answer_is_told_that_it_counted(path: Path, clock: ManualClock) -> None:
    """Defect 10: a retried POST got 400 for a moment, then 404."""
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await store.create_execution()
        one = record.execution_id
        pending = await store.set_interaction_required(one, TEXT, "q")
        await store.resolve_interaction(one, "q", ADA, actor="ada")
        before = dump(path)
        await store.resolve_interaction(one, "q", ADA)
        with pytest.raises(
            InteractionAlreadyResolved, match=r"already been resolved.* by ada at 2027-01-15 08:00:00 UTC"
        ):
            await store.resolve_interaction(one, "q", GRACE)
        assert dump(path) == before
        assert await pending.future == ADA
        await store.set_completed(one, "done")
        await store.resolve_interaction(one, "q", ADA)
        with pytest.raises(InteractionAlreadyResolved):
            await store.resolve_interaction(one, "q", GRACE)
    async with ExecutionStore(database=path, clock=clock) as store:
        await store.resolve_interaction(one, "q", ADA)
        with pytest.raises(InteractionAlreadyResolved) as caught:
            await store.resolve_interaction(one, "q", GRACE)
        assert (caught.value.answered_by, caught.value.answered_at) == ("ada", START)


async def test_a_poll_after_the_answer_does_not_show_the_prompt(store: ExecutionStore, path: Path) -> None:
    """Defect 11: a poll straight after the 204 still showed the answered prompt."""
    record = await store.create_execution()
    one = record.execution_id
    async with ExecutionStore(database=path) as other:
        elsewhere = await other.get(one)
        assert elsewhere is not None
        for _ in range(20):
            pending = await store.set_interaction_required(one, TEXT)
            assert await other.get(one) is elsewhere
            assert elsewhere.status == "interaction_required"
            await store.resolve_interaction(one, pending.interaction_id, ADA)
            assert (record.status, record.pending_interaction) == ("running", None)
            assert await other.get(one) is elsewhere
            assert (elsewhere.status, elsewhere.pending_interaction) == ("running", None)
            assert [(item.status, item.open_waits) for item in (await other.list()).items] == [("running", 0)]
            assert rows(path, "SELECT count(*) FROM open_waits") == [(0,)]


async def test_an_accepted_answer_wins_over_the_timer_that_falls_due_with_it(
    store: ExecutionStore, clock: ManualClock
) -> None:
    """Defect 12: an accepted answer could lose to the timer when both fell due in one loop iteration."""
    for yields in range(8):
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, TEXT, timeout=5)
        future = pending.future
        answering = asyncio.create_task(store.resolve_interaction(record.execution_id, pending.interaction_id, ADA))
        for _ in range(yields):
            await asyncio.sleep(0)
        clock.step(5)
        accepted = (await asyncio.gather(answering, return_exceptions=True))[0] is None
        outcome = (await asyncio.gather(future, return_exceptions=True))[0]
        assert outcome == ADA if accepted else isinstance(outcome, InteractionExpired)
        events = [entry.event for entry in await store.history(record.execution_id)]
        assert events[2:] == ["interaction_answered" if accepted else "interaction_expired"]


async def test_an_acknowledged_answer_is_what_the_waiter_gets(store: ExecutionStore, clock: ManualClock) -> None:
    """Defect 12, with the order of the two made certain, and with the timer of the caller's own."""
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT, timeout=5)
    future = pending.future
    await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
    clock.step(5)
    assert await future == ADA

    pending = await store.set_interaction_required(record.execution_id, TEXT)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pending.future, 0)
    await store.resolve_interaction(record.execution_id, pending.interaction_id, GRACE)
    assert await pending.future == GRACE


async def test_the_history_records_what_was_asked_and_answered_by_whom_and_when(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    """Defect 13: nothing recorded what was asked, what was answered, by whom, or when."""
    record = await store.create_execution(workflow="refund", owner="shop", actor="shop")
    one = record.execution_id
    clock.step(1)
    await store.set_interaction_required(one, TEXT, "q", actor="refunder")
    clock.step(60)
    await store.resolve_interaction(one, "q", ADA, actor=Actor("finance-7"))
    clock.step(1)
    await store.set_completed(one, {"paid": True})
    told = [
        (entry.event, entry.wait_id, entry.from_status, entry.to_status, entry.actor, entry.time - START / 1000)
        for entry in await store.history(one)
    ]
    assert told == [
        ("execution_created", None, None, "running", "shop", 0),
        ("interaction_asked", "q", "running", "interaction_required", "refunder", 1),
        ("interaction_answered", "q", "interaction_required", "running", "finance-7", 61),
        ("execution_completed", None, "running", "completed", None, 62),
    ]
    created, asked, answered, _ = await store.history(one)
    assert created.detail == {"workflow": "refund", "owner": "shop"}
    assert asked.detail == {"prompt": TEXT.model_dump(mode="json")}
    assert answered.detail == {"response": ADA.model_dump(mode="json"), "authority": "application"}
    assert rows(path, "SELECT interaction_id, answered_by, waited_ms, answered_at FROM answers") == [
        ("q", "finance-7", 60_000, "2027-01-15T08:01:01.000Z")
    ]


HOLD_TWO = """
async with ExecutionStore(database=path) as store:
    running = await store.create_execution()
    waiting = await store.create_execution()
    done = await store.create_execution()
    pending = await store.set_interaction_required(waiting.execution_id, HumanPromptText(text="Here?"), timeout=3600)
    await store.set_completed(done.execution_id, {"kept": [1, 2]})
    tell(running.execution_id, waiting.execution_id, done.execution_id, pending.interaction_id, pending.deadline)
    await heard()
"""


async def test_everything_acknowledged_survives_the_death_of_its_process(path: Path) -> None:
    """Defect 14: nothing survived a restart, and timestamps were readings of a monotonic clock."""
    before = time.time()
    async with child(HOLD_TWO, path) as process:
        running, waiting, done, interaction, deadline = (await process.line()).split()
        await process.kill()
    async with ExecutionStore(database=path) as store:
        records = [await store.get(each) for each in (running, waiting, done)]
        assert [record.status for record in records if record] == ["running", "interaction_required", "completed"]
        _, record, ended = records
        assert record is not None
        assert ended is not None
        assert ended.result == {"kept": [1, 2]}
        assert before - 1 < record.created_at < time.time() + 1  # wall-clock seconds, readable by any process
        pending = record.pending_interaction
        assert pending is not None
        assert (pending.interaction_id, pending.deadline) == (interaction, float(deadline))
        assert pending.prompt == HumanPromptText(text="Here?")
        future = pending.future
        await store.resolve_interaction(waiting, interaction, ADA)
        assert await future == ADA
        await store.set_completed(waiting, "after the restart")
        assert record.result == "after the restart"


ANSWER = """
execution_id, interaction_id = arguments
async with ExecutionStore(database=path) as store:
    record = await store.get(execution_id)
    tell(record.status, record.pending_interaction.interaction_id)
    await store.resolve_interaction(execution_id, interaction_id, HumanResponseText(text="Ada"), actor="worker-2")
    record = await store.get(execution_id)
    tell(record.status, record.pending_interaction)
"""


async def test_another_process_sees_the_prompt_and_its_answer_wakes_the_waiter_here(path: Path) -> None:
    """Defect 17: one process only; with several workers, polls and answers reached the wrong one."""
    async with ExecutionStore(database=path) as store:
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, TEXT)
        future = pending.future
        async with child(ANSWER, path, record.execution_id, pending.interaction_id) as process:
            assert await process.line() == f"interaction_required {pending.interaction_id}"
            assert await process.line() == "running None"
            async with asyncio.timeout(PATIENCE):
                assert await future == ADA
            await process.end()
        assert (record.status, record.pending_interaction) == ("running", None)
        await store.set_completed(record.execution_id, "heard")
        assert [entry.actor for entry in await store.history(record.execution_id)] == [
            None,
            None,
            "worker-2",
            None,
        ]


ASK = """
async with ExecutionStore(database=path) as store:
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, HumanPromptText(text="Anyone?"))
    tell(record.execution_id, pending.interaction_id)
    answer = await pending.future
    await store.set_completed(record.execution_id, answer.text)
    tell(answer.text, record.status)
"""


async def test_an_answer_given_here_wakes_the_waiter_in_another_process(path: Path) -> None:
    """Defect 17, the other way round."""
    async with ExecutionStore(database=path) as store, child(ASK, path) as process:
        execution_id, interaction_id = (await process.line()).split()
        await store.resolve_interaction(execution_id, interaction_id, ADA)
        assert await process.line() == "Ada completed"
        await process.end()
        record = await store.get(execution_id)
        assert record is not None
        assert (record.status, record.result) == ("completed", "Ada")


@pytest.mark.parametrize(
    ("result", "where"),
    [
        (object(), "$"),
        ({"rows": [1, {"when": {1, 2}}]}, "$.rows[1].when"),
        ({"a b": [math.nan]}, '$["a b"][0]'),
        ([[math.inf]], "$[0][0]"),
        ({"x": {7: "seven"}}, "$.x"),
        ({"bytes": b"1"}, "$.bytes"),
        ({"half": "\ud800"}, "$.half"),
    ],
)
async def test_a_result_that_is_not_json_is_refused_with_its_path_and_nothing_changes(
    store: ExecutionStore, path: Path, result: object, where: str
) -> None:
    """Defect 22: a result that cannot be serialised made every later poll a 500."""
    record = await store.create_execution()
    before = dump(path)
    with pytest.raises(NotJSON) as caught:
        await store.set_completed(record.execution_id, result)
    assert caught.value.path == where
    assert where in str(caught.value)
    assert dump(path) == before
    assert record.status == "running"
    await store.set_completed(record.execution_id, {"fine": True})
    assert record.result == {"fine": True}


async def test_the_sweep_runs_by_itself_and_its_time_can_be_set(path: Path) -> None:
    """Defect 24: `cleanup_expired` was never called, and the TTL could not be configured."""
    clock = WatchedClock()
    async with ExecutionStore(ttl_seconds=30, database=path, clock=clock, sweep_interval_seconds=7) as store:
        ended, waiting = await store.create_execution(), await store.create_execution()
        await store.set_completed(ended.execution_id, 1)
        await store.set_interaction_required(waiting.execution_id, TEXT)
        assert ended.expires_at == START / 1000 + 30
        await clock.someone_sleeps_until(START + 7_000)  # the first sweep
        clock.step(29.999)
        await clock.someone_sleeps_until(START + 36_999)  # it swept, and sleeps until the next one
        assert await store.get(ended.execution_id) is ended
        clock.step(10)
        await clock.someone_sleeps_until(START + 46_999)
        assert await store.get(ended.execution_id) is None
        assert await store.get(waiting.execution_id) is waiting
        assert rows(path, "SELECT count(*) FROM history WHERE event = 'swept'") == [(1,)]
        assert len(await store.history(ended.execution_id)) == 2  # which tells of it still


async def test_a_prompt_that_nobody_answers_or_awaits_expires(path: Path) -> None:
    """Defect 25: unanswered executions never expired."""
    clock = WatchedClock()
    async with ExecutionStore(database=path, clock=clock) as store:
        one = (await store.create_execution()).execution_id
        await store.set_interaction_required(one, TEXT, timeout=7 * 24 * 3600)
        await store.set_oauth_required(one, *CONSENT, timeout=9 * 24 * 3600)
        clock.step(7 * 24 * 3600)
        # The scheduler sleeps until the next deadline, so the one before has fired.
        await clock.someone_sleeps_until(START + 9 * 24 * 3600 * 1000)
        record = await store.get(one)
        assert record is not None
        assert (record.status, record.pending_interaction) == ("oauth_required", None)
        assert [entry.event for entry in await store.history(one)][3:] == ["interaction_expired"]


WAIT_SHORTLY = """
async with ExecutionStore(database=path) as store:
    record = await store.create_execution()
    await store.set_interaction_required(record.execution_id, HumanPromptText(text="Anyone?"), timeout=3600)
    later = await store.create_execution()
    last = await store.set_interaction_required(later.execution_id, HumanPromptText(text="And now?"), timeout=9000)
    tell(record.execution_id, round(last.deadline * 1000))
    await heard()
"""


async def test_an_unanswered_execution_whose_process_died_comes_to_its_end(path: Path) -> None:
    """Defect 25, all the way: its prompt expires, recovery fails it, and the sweep takes it."""
    async with child(WAIT_SHORTLY, path) as process:
        one, last = (await process.line()).split()
        await process.kill()
    clock = WatchedClock(time.time_ns() // 1_000_000 + 3_700_000)
    async with ExecutionStore(database=path, clock=clock) as store:
        await clock.someone_sleeps_until(int(last))  # the deadline before it has fired
        record = await store.get(one)
        assert record is not None
        assert (record.status, record.pending_interaction) == ("running", None)
        assert await store.recover() == [record]
        assert (record.status, record.error_code) == ("failed", "interrupted_by_restart")
        clock.step(600)
        assert await store.cleanup_expired() == 1
        assert await store.get(one) is None
