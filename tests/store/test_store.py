"""What the store promises beyond the original: many waits, deadlines, recovery, lists, history, retention, identity."""

import asyncio
import gc
import json
import time
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from restpoint import DEFAULT_EXECUTION_TTL, Actor, ExecutionRecord, ExecutionStore
from restpoint._store.futures import PendingInteraction
from restpoint.errors import (
    ExecutionCancelled,
    ExecutionHeld,
    ExecutionNotFound,
    IllegalTransition,
    InteractionAlreadyResolved,
    InteractionExists,
    InteractionExpired,
    InteractionNotFound,
    InteractionWithdrawn,
    InvalidArgument,
    ResponseNotAccepted,
    StoreClosed,
)
from restpoint.prompts import HumanPromptText, HumanResponseText
from second_process import PATIENCE, WatchedClock, child
from support import ADA, GRACE, START, TEXT, ManualClock, dump, folded_statuses, rows, sql

URL = "https://id.example/authorize"
DAY = 24 * 3600


def question(number: int) -> HumanPromptText:
    return HumanPromptText(text=f"Question {number}?")


async def answer(store: ExecutionStore, pending: PendingInteraction, record: ExecutionRecord, text: str) -> None:
    await store.resolve_interaction(record.execution_id, pending.interaction_id, HumanResponseText(text=text))


# --- Several waits ---------------------------------------------------------------------------------------------------


async def test_each_open_prompt_has_an_id_and_a_future_of_its_own(store: ExecutionStore) -> None:
    record = await store.create_execution()
    asked = [await store.set_interaction_required(record.execution_id, question(n)) for n in range(4)]
    assert record.pending_interactions == tuple(asked)
    assert record.pending_interaction is asked[0]
    assert len({pending.interaction_id for pending in asked}) == 4
    futures = [pending.future for pending in asked]
    for n in (2, 0, 3, 1):
        await answer(store, asked[n], record, f"Answer {n}")
    assert await asyncio.gather(*futures) == [HumanResponseText(text=f"Answer {n}") for n in range(4)]


async def test_answering_the_oldest_makes_the_next_one_the_oldest(store: ExecutionStore) -> None:
    record = await store.create_execution()
    asked = [await store.set_interaction_required(record.execution_id, question(n)) for n in range(3)]
    await answer(store, asked[0], record, "x")
    assert record.pending_interactions == (asked[1], asked[2])
    await answer(store, asked[2], record, "x")
    assert record.pending_interaction is asked[1]
    assert str(record.status) == "interaction_required"
    await answer(store, asked[1], record, "x")
    assert (len(record.pending_interactions), str(record.status)) == (0, "running")


async def test_the_order_of_the_waits_survives_a_restart(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        one = (await store.create_execution()).execution_id
        asked = [(await store.set_interaction_required(one, question(n))).interaction_id for n in range(5)]
        await store.set_oauth_required(one, URL, "s-1")
        await store.set_oauth_required(one, URL, "s-2")
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await store.get(one)
        assert record is not None
        assert [pending.interaction_id for pending in record.pending_interactions] == asked
        assert [pending.prompt for pending in record.pending_interactions] == [question(n) for n in range(5)]
        assert [consent.oauth_state for consent in record.pending_oauths] == ["s-1", "s-2"]


@pytest.mark.parametrize("option", ["migrate", "synchronous"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_way_to_open_a_file_that_does_not_exist_is_refused(
    fresh: Path, path: Path, option: str, *, exists: bool
) -> None:
    if exists:
        path.write_bytes(fresh.read_bytes())
    options: dict[str, Any] = {option: "always"}

    async def use() -> None:
        async with ExecutionStore(database=path, **options):
            pass

    with pytest.raises(InvalidArgument, match=f"{option} is .*, not 'always'"):
        asyncio.run(use())
    assert path.exists() == exists


async def test_an_id_is_used_once_in_an_execution_and_may_be_used_in_another(store: ExecutionStore, path: Path) -> None:
    one, two = await store.create_execution(), await store.create_execution()
    await store.set_interaction_required(one.execution_id, TEXT, "q")
    await store.set_interaction_required(two.execution_id, TEXT, "q")
    before = dump(path)
    with pytest.raises(InteractionExists, match="exists already"):
        await store.set_interaction_required(one.execution_id, TEXT, "q")
    assert dump(path) == before
    await store.resolve_interaction(one.execution_id, "q", ADA)
    with pytest.raises(InteractionExists):  # also when it is closed: an answer must not meet another question
        await store.set_interaction_required(one.execution_id, TEXT, "q")
    assert two.pending_interaction is not None


async def test_back_to_running_is_no_move_where_it_runs_and_withdraws_where_it_waits(
    store: ExecutionStore, path: Path
) -> None:
    record = await store.create_execution()
    one = record.execution_id
    before = dump(path)
    await store.set_running(one)
    assert dump(path) == before
    futures = [(await store.set_interaction_required(one, question(n))).future for n in range(2)]
    await store.set_oauth_required(one, URL, "s")
    await store.set_running(one, actor="me")
    for future in futures:
        with pytest.raises(InteractionWithdrawn):
            await future
    assert (str(record.status), record.pending_interaction, record.pending_oauth) == ("running", None, None)
    events = [(entry.event, entry.actor, entry.cause) for entry in await store.history(one)][4:]
    assert [event for event, _, _ in events] == ["interaction_withdrawn"] * 2 + ["consent_withdrawn"]
    assert {(actor, cause) for _, actor, cause in events} == {("me", "resumed")}


async def test_one_wait_is_withdrawn_and_the_others_stay(store: ExecutionStore, path: Path) -> None:
    record = await store.create_execution()
    one = record.execution_id
    first, second = [await store.set_interaction_required(one, question(n)) for n in range(2)]
    future = first.future
    await store.withdraw(one, first.interaction_id, "asked the wrong person", actor="me")
    with pytest.raises(InteractionWithdrawn):
        await future
    assert record.pending_interactions == (second,)
    assert not second.future.done()
    last = (await store.history(one))[-1]
    assert (last.event, last.wait_id, last.actor) == ("interaction_withdrawn", first.interaction_id, "me")
    assert last.cause == "asked the wrong person"
    before = dump(path)
    await store.withdraw(one, first.interaction_id, "again")
    assert dump(path) == before
    with pytest.raises(InteractionWithdrawn):
        await answer(store, first, record, "too late")
    with pytest.raises(InteractionNotFound):
        await store.withdraw(one, "nothing")
    with pytest.raises(ExecutionNotFound):
        await store.withdraw("nobody", first.interaction_id)


async def test_an_execution_cannot_complete_while_it_waits(store: ExecutionStore, path: Path) -> None:
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT)
    before = dump(path)
    with pytest.raises(IllegalTransition):
        await store.set_completed(record.execution_id, 1)
    assert dump(path) == before
    assert not pending.future.done()


async def test_a_caller_that_gives_up_waiting_leaves_the_prompt_open(store: ExecutionStore) -> None:
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT)
    given_up = pending.future
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(given_up, 0)
    assert given_up.cancelled()
    assert str(record.status) == "interaction_required"
    assert record.pending_interaction is pending
    fresh = pending.future
    assert fresh is not given_up
    assert fresh is pending.future
    await answer(store, pending, record, "Ada")
    assert await fresh == ADA
    assert await pending.future == ADA


async def test_the_outcome_of_a_closed_prompt_can_be_awaited_later(store: ExecutionStore, clock: ManualClock) -> None:
    record = await store.create_execution()
    answered = await store.set_interaction_required(record.execution_id, TEXT)
    withdrawn = await store.set_interaction_required(record.execution_id, TEXT)
    await answer(store, answered, record, "Ada")
    await store.withdraw(record.execution_id, withdrawn.interaction_id)
    assert await answered.future == ADA
    with pytest.raises(InteractionWithdrawn):
        await withdrawn.future


# --- Deadlines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "explicit", "due"), [(None, None, None), (30, None, 30), (30, 5, 5), (30, 60, 60), (None, 0.5, 0.5)]
)
async def test_an_explicit_timeout_goes_before_the_prompts_own(
    store: ExecutionStore, own: int | None, explicit: float | None, due: float | None
) -> None:
    record = await store.create_execution()
    prompt = HumanPromptText(text="?", timeout=own)
    pending = await store.set_interaction_required(record.execution_id, prompt, timeout=explicit)
    assert pending.deadline == (None if due is None else START / 1000 + due)
    assert pending.prompt.timeout == own


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), True, "5", 1e12])
async def test_a_timeout_that_is_none_is_refused_before_anything_is_written(
    store: ExecutionStore, path: Path, timeout: Any
) -> None:
    record = await store.create_execution()
    before = dump(path)
    with pytest.raises(InvalidArgument, match="timeout"):
        await store.set_interaction_required(record.execution_id, TEXT, timeout=timeout)
    with pytest.raises(InvalidArgument, match="timeout"):
        await store.set_oauth_required(record.execution_id, URL, "s", timeout=timeout)
    assert dump(path) == before


async def test_deadlines_fire_in_their_order_and_once(path: Path) -> None:
    clock = WatchedClock()
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await store.create_execution()
        one = record.execution_id
        first = await store.set_interaction_required(one, question(1), timeout=11)
        third = await store.set_interaction_required(one, question(3), timeout=31)
        await store.set_oauth_required(one, URL, "s", timeout=22)
        futures = [third.future, first.future]
        clock.step(11)
        with pytest.raises(InteractionExpired):
            await futures[1]
        await clock.someone_sleeps_until(START + 22_000)
        clock.step(11)
        await clock.someone_sleeps_until(START + 31_000)
        assert record.pending_oauth is None
        assert not futures[0].done()
        clock.step(9)
        with pytest.raises(InteractionExpired):
            await futures[0]
        assert str(record.status) == "running"
        events = [(entry.event, entry.time - START / 1000, entry.cause) for entry in await store.history(one)][4:]
    assert events == [
        ("interaction_expired", 11, "deadline"),
        ("consent_expired", 22, "deadline"),
        ("interaction_expired", 31, "deadline"),
    ]


async def test_a_deadline_survives_a_restart_and_fires_once(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        one = (await store.create_execution()).execution_id
        await store.set_interaction_required(one, TEXT, "q", timeout=100)
    clock.step(40)
    async with ExecutionStore(database=path, clock=clock) as store, ExecutionStore(database=path, clock=clock) as other:
        records = [await each.get(one) for each in (store, other)]
        futures = []
        for record in records:
            assert record is not None
            assert record.pending_interaction is not None
            assert record.pending_interaction.deadline == START / 1000 + 100
            futures.append(record.pending_interaction.future)
        clock.step(60)
        for future in futures:
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(InteractionExpired):
                    await future
        events = [entry.event for entry in await store.history(one)]
    assert events == ["execution_created", "interaction_asked", "interaction_expired"]
    async with ExecutionStore(database=path, clock=clock) as store:
        with pytest.raises(InteractionExpired):
            await store.resolve_interaction(one, "q", ADA)
        assert len(await store.history(one)) == 3


async def test_a_deadline_that_passed_while_nothing_ran_fires_at_open(path: Path) -> None:
    clock = WatchedClock()
    async with ExecutionStore(database=path, clock=clock) as store:
        late = [(await store.create_execution()).execution_id for _ in range(3)]
        for one in late:
            await store.set_interaction_required(one, TEXT, timeout=DAY)
        patient = await store.create_execution()
        await store.set_interaction_required(patient.execution_id, TEXT, timeout=30 * DAY)
    clock = WatchedClock(START + 21 * DAY * 1000)
    async with ExecutionStore(database=path, clock=clock) as store:
        await clock.someone_sleeps_until(START + 30 * DAY * 1000)
        page = await store.list()
        assert [str(item.status) for item in page.items] == ["interaction_required", "running", "running", "running"]
        for one in late:
            assert [entry.event for entry in await store.history(one)][2:] == ["interaction_expired"]
    assert all(status in {"running", "interaction_required"} for status in folded_statuses(path).values())


async def test_a_deadline_beyond_a_clock_that_steps_back_still_waits(store: ExecutionStore, clock: ManualClock) -> None:
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT, timeout=60)
    future = pending.future
    clock.step(-3600)
    clock.step(3600 + 59)
    assert str((await store.list()).items[0].status) == "interaction_required"
    assert not future.done()
    clock.step(1)
    with pytest.raises(InteractionExpired):
        await future


async def test_an_answer_after_the_deadline_is_refused_even_before_the_deadline_was_noticed(
    path: Path, clock: ManualClock
) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        one = (await store.create_execution()).execution_id
        await store.set_interaction_required(one, TEXT, "q", timeout=10)
        clock.step(10)
        with pytest.raises(InteractionExpired):
            await store.resolve_interaction(one, "q", ADA)
        assert [entry.event for entry in await store.history(one)][2:] == ["interaction_expired"]


# --- Cancel ----------------------------------------------------------------------------------------------------------


async def test_cancelling_twice_is_once(store: ExecutionStore, path: Path) -> None:
    record = await store.create_execution()
    one = record.execution_id
    future = (await store.set_interaction_required(one, TEXT)).future
    await store.set_oauth_required(one, URL, "s")
    await store.cancel(one, "changed my mind", actor=Actor("ada"))
    with pytest.raises(ExecutionCancelled):
        await future
    assert (str(record.status), record.pending_interactions, record.pending_oauths) == ("cancelled", (), ())
    ended = next(entry for entry in await store.history(one) if entry.event == "execution_cancelled")
    assert (ended.actor, ended.cause) == ("ada", "changed my mind")
    before = dump(path)
    await store.cancel(one, "another reason")
    assert dump(path) == before


@pytest.mark.parametrize("end", ["completed", "failed"])
async def test_what_ended_otherwise_cannot_be_cancelled(store: ExecutionStore, end: str) -> None:
    record = await store.create_execution()
    one = record.execution_id
    await (store.set_completed(one, 1) if end == "completed" else store.set_failed(one, "no"))
    with pytest.raises(IllegalTransition):
        await store.cancel(one)
    assert str(record.status) == end
    with pytest.raises(ExecutionNotFound):
        await store.cancel("nobody")


@pytest.mark.parametrize("where", ["here", "in a second store on the file"])
async def test_a_cancel_reaches_the_task(path: Path, where: str) -> None:
    async with ExecutionStore(database=path) as store, ExecutionStore(database=path) as second:
        record = await store.create_execution()
        begun = asyncio.Event()

        async def work() -> None:
            begun.set()
            await asyncio.Event().wait()

        record.task = task = asyncio.create_task(work())
        await begun.wait()
        await (store if where == "here" else second).cancel(record.execution_id)
        await asyncio.wait({task}, timeout=PATIENCE)
        assert task.cancelled()
        assert str(record.status) == "cancelled"


async def test_a_paused_execution_outlives_its_task(store: ExecutionStore) -> None:
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT)

    async def work() -> object:
        return await pending.future

    record.task = task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    found = await store.get(record.execution_id)
    assert found is record
    assert str(record.status) == "interaction_required"
    await answer(store, pending, record, "Ada")
    assert await pending.future == ADA


# --- Idempotent answers ----------------------------------------------------------------------------------------------


async def test_the_same_answer_is_a_success_for_as_long_as_the_execution_is_there(
    path: Path, clock: ManualClock
) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        one = (await store.create_execution()).execution_id
        await store.set_interaction_required(one, TEXT, "q", timeout=60)
        await store.resolve_interaction(one, "q", ADA, actor="first")
        before = dump(path)
        await store.resolve_interaction(one, "q", {"input_type": "text", "text": "Ada"}, actor="first")
        with pytest.raises(InteractionAlreadyResolved, match="by first"):
            await store.resolve_interaction(one, "q", ADA, actor="second")
        assert dump(path) == before
        clock.step(3600)  # past the deadline: it was answered in time
        await store.resolve_interaction(one, "q", ADA)
        await store.set_completed(one, 1)
        await store.resolve_interaction(one, "q", ADA)
        with pytest.raises(InteractionAlreadyResolved, match="by first"):
            await store.resolve_interaction(one, "q", GRACE)
    async with ExecutionStore(database=path, clock=clock) as store:
        await store.resolve_interaction(one, "q", ADA)
        with pytest.raises(InteractionAlreadyResolved):
            await store.resolve_interaction(one, "q", GRACE)
        clock.step(DEFAULT_EXECUTION_TTL)
        assert await store.cleanup_expired() == 1
        with pytest.raises(ExecutionNotFound):
            await store.resolve_interaction(one, "q", ADA)


async def test_of_many_answers_at_once_exactly_one_is_accepted(store: ExecutionStore) -> None:
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT)
    future = pending.future
    outcomes = await asyncio.gather(
        *(answer(store, pending, record, f"Answer {n}") for n in range(50)), return_exceptions=True
    )
    (winner,) = [n for n, outcome in enumerate(outcomes) if outcome is None]
    assert sum(isinstance(outcome, InteractionAlreadyResolved) for outcome in outcomes) == 49
    assert await future == HumanResponseText(text=f"Answer {winner}")


# --- Records: identity and memory ------------------------------------------------------------------------------------


async def test_a_record_is_one_object_while_anyone_holds_it(store: ExecutionStore) -> None:
    record = await store.create_execution()
    one = record.execution_id
    pending = await store.set_interaction_required(one, TEXT)
    found = await asyncio.gather(*(store.get(one) for _ in range(20)))
    assert all(each is record for each in found)
    assert record.pending_interaction is pending


async def test_a_paused_execution_that_nobody_holds_leaves_memory(store: ExecutionStore) -> None:
    record = await store.create_execution()
    one = record.execution_id
    pending = await store.set_interaction_required(one, TEXT)
    traces: list[weakref.ref[Any]] = [weakref.ref(record), weakref.ref(pending), weakref.ref(pending.future)]
    assert all(trace() is not None for trace in traces[:2])
    del record, pending
    await store.create_execution()  # the writer has let go of what it wrote before
    gc.collect()
    assert [trace() for trace in traces] == [None, None, None]
    again = await store.get(one)
    assert again is not None
    assert again.pending_interaction is not None
    assert again.pending_interaction.prompt == TEXT
    future = again.pending_interaction.future
    await answer(store, again.pending_interaction, again, "Ada")
    assert await future == ADA


@pytest.mark.parametrize("held", ["the pending interaction", "the future", "a task that awaits it", "the event"])
async def test_whoever_holds_a_part_keeps_the_record_alive(store: ExecutionStore, held: str) -> None:
    record = await store.create_execution()
    one = record.execution_id
    pending = await store.set_interaction_required(one, TEXT)
    trace, interaction_id = weakref.ref(record), pending.interaction_id
    part: Any = {
        "the pending interaction": pending,
        "the future": pending.future,
        "the event": record.first_outcome,
    }.get(held)
    if part is None:

        async def wait(future: "asyncio.Future[Any]") -> Any:
            return await future

        part = asyncio.create_task(wait(pending.future))
        await asyncio.sleep(0)
    del record, pending
    gc.collect()
    assert trace() is not None
    assert await store.get(one) is trace()
    await store.resolve_interaction(one, interaction_id, ADA)
    if isinstance(part, PendingInteraction):
        assert await part.future == ADA
    elif isinstance(part, asyncio.Future):
        assert await part == ADA
    else:
        assert part.is_set()


async def test_a_running_task_keeps_its_record(store: ExecutionStore) -> None:
    record = await store.create_execution()
    trace, release = weakref.ref(record), asyncio.Event()
    record.task = task = asyncio.create_task(release.wait())
    del record
    gc.collect()
    assert trace() is not None
    release.set()
    await task
    await store.list()  # the callback of the task has run by now
    del task
    gc.collect()
    assert trace() is None


async def test_a_second_store_on_the_file_follows_what_it_awaits(path: Path) -> None:
    async with ExecutionStore(database=path) as store, ExecutionStore(database=path) as second:
        record = await store.create_execution()
        pending = await store.set_interaction_required(record.execution_id, TEXT)
        elsewhere = await second.get(record.execution_id)
        assert elsewhere is not None
        assert elsewhere is not record
        assert elsewhere.pending_interaction is not None
        future = elsewhere.pending_interaction.future
        await answer(store, pending, record, "Ada")
        async with asyncio.timeout(PATIENCE):
            assert await future == ADA
        assert str(elsewhere.status) == "running"


async def test_the_first_outcome_of_another_stores_execution_is_noticed(path: Path) -> None:
    async with ExecutionStore(database=path) as store, ExecutionStore(database=path) as second:
        record = await store.create_execution()
        elsewhere = await second.get(record.execution_id)
        assert elsewhere is not None
        waiting = asyncio.create_task(elsewhere.first_outcome.wait())
        await asyncio.sleep(0)
        await store.set_completed(record.execution_id, "done")
        async with asyncio.timeout(PATIENCE):
            await waiting
        assert (str(elsewhere.status), elsewhere.result) == ("completed", "done")


@pytest.mark.parametrize("yields", [1, 2, 3])
async def test_a_cancelled_caller_still_gets_its_write_done(store: ExecutionStore, path: Path, yields: int) -> None:
    record = await store.create_execution()
    call = asyncio.create_task(store.set_completed(record.execution_id, "kept"))
    for _ in range(yields):
        await asyncio.sleep(0)
    assert not call.done()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert rows(path, "SELECT status, result FROM executions") == [("completed", '"kept"')]
    assert (str(record.status), record.result) == ("completed", "kept")


# --- Lists -----------------------------------------------------------------------------------------------------------


async def test_lists_go_by_pages_from_the_newest_to_the_oldest(store: ExecutionStore) -> None:
    made = [(await store.create_execution()).execution_id for _ in range(11)]
    seen: list[str] = []
    cursor: str | None = None
    sizes = []
    while True:
        page = await store.list(limit=4, cursor=cursor)
        sizes.append(len(page.items))
        seen += [item.execution_id for item in page.items]
        await store.create_execution()  # a newcomer disturbs nobody's paging
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert sizes == [4, 4, 3]
    assert seen == made[::-1]


async def test_lists_are_filtered_by_status_workflow_and_owner(store: ExecutionStore) -> None:
    for workflow in ("refund", "hire", None):
        for owner in ("ada", "grace"):
            record = await store.create_execution(workflow=workflow, owner=owner)
            if owner == "ada":
                await store.set_interaction_required(record.execution_id, TEXT)
            elif workflow == "hire":
                await store.set_failed(record.execution_id, "nobody came", code="no_show")

    async def found(**filters: Any) -> list[tuple[str | None, str | None, str]]:
        page = await store.list(**filters)
        assert page.next_cursor is None
        return [(item.workflow, item.owner, str(item.status)) for item in page.items]

    waiting, running, failed = "interaction_required", "running", "failed"
    assert len(await found()) == 6
    assert await found(workflow="hire") == [("hire", "grace", failed), ("hire", "ada", waiting)]
    assert await found(owner="grace", workflow="refund") == [("refund", "grace", running)]
    assert await found(status=failed) == [("hire", "grace", failed)]
    assert [each[2] for each in await found(status=["running", "failed"])] == [running, failed, running]
    assert await found(status=iter([waiting]), workflow="refund") == [("refund", "ada", waiting)]
    assert await found(workflow="' OR 1=1 --") == []
    (item,) = (await store.list(status="failed")).items
    assert (item.error, item.error_code, item.open_waits, item.hold) == ("nobody came", "no_show", 0, None)
    assert (item.created_at, item.completed_at) == (START / 1000, START / 1000)
    assert item.expires_at == START / 1000 + DEFAULT_EXECUTION_TTL


@pytest.mark.parametrize(
    "arguments",
    [
        {"status": "waiting"},
        {"status": ["running", "nope"]},
        {"limit": 0},
        {"limit": -1},
        {"limit": 1_001},
        {"cursor": ""},
        {"cursor": "k5"},
        {"cursor": "!!!"},
        {"cursor": "ä"},
        {"cursor": "azUgT1IgMT0x"},
        {"cursor": "a" * 10_000},
        {"cursor": "k" + "9" * 30},
        {"cursor": "\x00"},
    ],
)
async def test_a_list_argument_that_makes_no_sense_is_refused(store: ExecutionStore, arguments: Any) -> None:
    await store.create_execution()
    with pytest.raises(InvalidArgument):
        await store.list(**arguments)


# --- History ---------------------------------------------------------------------------------------------------------


async def test_the_history_of_an_execution_outlives_it(store: ExecutionStore) -> None:
    record = await store.create_execution()
    one = record.execution_id
    await store.set_completed(one, 1)
    await store.remove(one, actor="janitor")
    told = [(entry.event, entry.actor) for entry in await store.history(one)]
    assert told == [("execution_created", None), ("execution_completed", None), ("execution_removed", "janitor")]
    sequences = [entry.sequence for entry in await store.history(one)]
    assert sequences == sorted(sequences)
    assert len({entry.digest for entry in await store.history(one)}) == 3
    with pytest.raises(ExecutionNotFound):
        await store.history("nobody")


async def test_a_history_of_digests_holds_no_prompt_and_no_answer(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock, history="digest") as store:
        one = (await store.create_execution()).execution_id
        await store.set_interaction_required(one, HumanPromptText(text="canary-question"), "q")
        await store.resolve_interaction(one, "q", HumanResponseText(text="canary-answer"))
        await store.set_completed(one, 1)
        details = [entry.detail for entry in await store.history(one)]
        assert [list(detail) for detail in details if detail] == [
            ["prompt_sha256"],
            ["response_sha256"],
            ["result_sha256"],
        ]
        assert all(len(next(iter(detail.values()))) == 64 for detail in details if detail)
        await store.remove(one)
    with sql(path) as connection:
        assert "canary" not in json.dumps(connection.execute("SELECT detail FROM history").fetchall())
    with pytest.raises(InvalidArgument, match="history"):
        ExecutionStore(database=path, history="none")  # type: ignore[arg-type]


async def test_the_history_of_consents_keeps_neither_the_url_nor_the_state(store: ExecutionStore, path: Path) -> None:
    record = await store.create_execution()
    await store.set_oauth_required(record.execution_id, f"{URL}?canary-url", "canary-state")
    await store.set_running(record.execution_id)
    events = [entry.event for entry in await store.history(record.execution_id)]
    assert events == ["execution_created", "consent_asked", "consent_withdrawn"]
    with sql(path) as connection:
        assert "canary" not in str(connection.execute("SELECT * FROM history").fetchall())


# --- Recovery --------------------------------------------------------------------------------------------------------

RUN = """
async with ExecutionStore(database=path) as store:
    running = await store.create_execution(workflow="ran")
    waiting = await store.create_execution(workflow="waited")
    await store.set_interaction_required(waiting.execution_id, HumanPromptText(text="Anyone?"), "q")
    resumed = await store.create_execution(workflow="went on")
    await store.set_interaction_required(resumed.execution_id, HumanPromptText(text="Anyone?"), "q")
    await store.resolve_interaction(resumed.execution_id, "q", HumanResponseText(text="Me"))
    done = await store.create_execution(workflow="ended")
    await store.set_completed(done.execution_id, 1)
    tell(running.execution_id, waiting.execution_id, resumed.execution_id, done.execution_id)
    await heard()
"""


async def test_what_a_dead_process_left_running_is_found_and_what_a_living_one_runs_is_left_alone(path: Path) -> None:
    async with ExecutionStore(database=path) as store:
        mine = await store.create_execution()
        async with child(RUN, path) as process:
            running, waiting, resumed, _ = (await process.line()).split()
            assert await store.recover(fail=False) == []
            assert await store.recover() == []
            await process.kill()
        found = await store.recover(fail=False)
        assert [record.execution_id for record in found] == [running, resumed]
        assert {str(record.status) for record in found} == {"running"}

        failed = await store.recover()
        assert failed == found
        for record in failed:
            assert (str(record.status), record.error_code) == ("failed", "interrupted_by_restart")
            assert record.error
            assert (await store.history(record.execution_id))[-1].cause == "recover"
        assert await store.recover() == []

        kept = await store.get(waiting)
        assert kept is not None
        assert kept.pending_interaction is not None
        future = kept.pending_interaction.future
        await store.resolve_interaction(waiting, "q", ADA)
        assert await future == ADA
        await store.set_completed(waiting, "after all")
        assert str(mine.status) == "running"
        statuses = {item.workflow: str(item.status) for item in (await store.list()).items}
    assert statuses == {
        None: "running",
        "ran": "failed",
        "waited": "completed",
        "went on": "failed",
        "ended": "completed",
    }


async def test_a_recovered_execution_can_go_on_instead(path: Path) -> None:
    async with child(RUN, path) as process:
        running, *_ = (await process.line()).split()
        await process.kill()
    async with ExecutionStore(database=path) as store:
        record = next(each for each in await store.recover(fail=False) if each.execution_id == running)
        pending = await store.set_interaction_required(running, TEXT)
        await answer(store, pending, record, "Ada")
        assert running not in [each.execution_id for each in await store.recover()]
        await store.set_completed(running, "went on")
        assert record.result == "went on"


async def test_a_store_that_was_closed_leaves_its_running_executions_to_recovery(
    path: Path, clock: ManualClock
) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        one = (await store.create_execution()).execution_id
    async with ExecutionStore(database=path, clock=clock) as store:
        (record,) = await store.recover()
        assert record.execution_id == one
        assert str(record.status) == "failed"


# --- Retention -------------------------------------------------------------------------------------------------------


async def test_a_held_execution_is_neither_swept_nor_removed(store: ExecutionStore, clock: ManualClock) -> None:
    record = await store.create_execution()
    one = record.execution_id
    await store.set_completed(one, 1)
    await store.hold(one, "audit 12", actor="auditor")
    clock.step(10 * DAY)
    assert await store.cleanup_expired() == 0
    assert [each async for each in store.expired()] == []
    with pytest.raises(ExecutionHeld, match="audit 12"):
        await store.remove(one)
    assert (await store.list()).items[0].hold == "audit 12"
    await store.release(one, actor="auditor")
    assert [each async for each in store.expired()] == [(one, "completed", START / 1000 + DEFAULT_EXECUTION_TTL)]
    assert await store.cleanup_expired() == 1
    assert await store.get(one) is None
    told = [(entry.event, entry.actor, entry.cause) for entry in await store.history(one)][2:]
    assert told == [("execution_held", "auditor", "audit 12"), ("execution_released", "auditor", None)]


async def test_holding_and_releasing_again_changes_nothing(store: ExecutionStore, path: Path) -> None:
    record = await store.create_execution()
    one = record.execution_id
    before = dump(path)
    await store.release(one)
    assert dump(path) == before
    await store.hold(one, "why")
    before = dump(path)
    await store.hold(one, "why")
    assert dump(path) == before
    for call in (store.hold("nobody", "why"), store.release("nobody")):
        with pytest.raises(ExecutionNotFound):
            await call
    with pytest.raises(ExecutionHeld):
        await store.remove(one)
    assert str(record.status) == "running"


@pytest.mark.parametrize("how", ["running", "waiting", "ended"])
async def test_removing_ends_what_has_not_ended(store: ExecutionStore, path: Path, how: str) -> None:
    record = await store.create_execution()
    one = record.execution_id
    future = None
    if how == "waiting":
        future = (await store.set_interaction_required(one, TEXT)).future
    elif how == "ended":
        await store.set_completed(one, 1)
    await store.remove(one, actor="me")
    if future is not None:
        with pytest.raises(ExecutionCancelled):
            await future
    assert await store.get(one) is None
    assert str(record.status) == ("completed" if how == "ended" else "cancelled")
    assert rows(path, "SELECT (SELECT count(*) FROM executions) + (SELECT count(*) FROM interactions)") == [(0,)]
    assert (await store.history(one))[-1].event == "execution_removed"
    before = dump(path)
    await store.remove(one)
    assert dump(path) == before


async def test_a_live_execution_is_never_swept(store: ExecutionStore, clock: ManualClock) -> None:
    await store.create_execution()
    waiting = await store.create_execution()
    await store.set_interaction_required(waiting.execution_id, TEXT)
    clock.step(3650 * DAY)
    assert await store.cleanup_expired() == 0
    assert len((await store.list()).items) == 2


END: dict[str, Callable[[ExecutionStore, str], Awaitable[None]]] = {
    "completed": lambda store, one: store.set_completed(one, 1),
    "failed": lambda store, one: store.set_failed(one, "no"),
    "cancelled": lambda store, one: store.cancel(one),
}


async def test_each_final_status_has_a_time_to_live_of_its_own(path: Path, clock: ManualClock) -> None:
    ttl = {"completed": 10, "failed": None}
    async with ExecutionStore(ttl, database=path, clock=clock) as store:
        records = {}
        for status, end in END.items():
            records[status] = await store.create_execution()
            await end(store, records[status].execution_id)
        now = START / 1000
        assert {status: record.expires_at for status, record in records.items()} == {
            "completed": now + 10,
            "failed": None,
            "cancelled": now + DEFAULT_EXECUTION_TTL,
        }
        gone = []
        for seconds in (9.999, 0.001, DEFAULT_EXECUTION_TTL - 10, 3650 * DAY):
            clock.step(seconds)
            gone.append(await store.cleanup_expired())
        assert gone == [0, 1, 1, 0]
        assert [str(item.status) for item in (await store.list()).items] == ["failed"]


async def test_a_time_to_live_of_none_keeps_everything(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(None, database=path, clock=clock) as store:
        for end in END.values():
            await end(store, (await store.create_execution()).execution_id)
        clock.step(3650 * DAY)
        assert await store.cleanup_expired() == 0
        assert len((await store.list()).items) == 3


@pytest.mark.parametrize("ttl", [-1, float("nan"), float("inf"), {"running": 5}, {"completed": -1}, {"done": 1}])
def test_a_time_to_live_that_makes_no_sense_is_refused(path: Path, ttl: Any) -> None:
    with pytest.raises(InvalidArgument, match="ttl_seconds"):
        ExecutionStore(ttl, database=path)
    assert not path.exists()


async def test_the_sweep_says_what_it_took(store: ExecutionStore, clock: ManualClock, path: Path) -> None:
    ids = [(await store.create_execution()).execution_id for _ in range(5)]
    for one in ids[:3]:
        await store.set_completed(one, 1)
    clock.step(DEFAULT_EXECUTION_TTL)
    assert await store.cleanup_expired() == 3
    ((detail,),) = rows(path, "SELECT detail FROM history WHERE event = 'swept'")
    assert json.loads(detail) == {"count": 3, "execution_ids": sorted(ids[:3])}


# --- Opening and closing ---------------------------------------------------------------------------------------------


async def test_a_closed_store_says_so_and_leaves_its_prompts_open(path: Path, clock: ManualClock) -> None:
    store = ExecutionStore(database=path, clock=clock)
    record = await store.create_execution()
    one = record.execution_id
    pending = await store.set_interaction_required(one, TEXT, "q")
    future = pending.future
    await store.close()
    await store.close()
    with pytest.raises(StoreClosed):
        await future
    for attempt in (
        store.create_execution(),
        store.get(one),
        store.list(),
        store.history(one),
        store.set_interaction_required(one, TEXT),
        store.set_oauth_required(one, URL, "s"),
        store.set_running(one),
        store.set_completed(one, 1),
        store.set_failed(one, "no"),
        store.cancel(one),
        store.resolve_interaction(one, "q", ADA),
        store.withdraw(one, "q"),
        store.recover(),
        store.hold(one, "why"),
        store.release(one),
        store.remove(one),
        store.cleanup_expired(),
        anext(store.expired()),
        store.open(),
    ):
        with pytest.raises(StoreClosed):
            await attempt
    async with ExecutionStore(database=path, clock=clock) as again:
        found = await again.get(one)
        assert found is not None
        assert found.pending_interaction is not None
        await again.resolve_interaction(one, "q", ADA)


async def test_closing_finishes_what_was_accepted(path: Path, clock: ManualClock) -> None:
    store = ExecutionStore(database=path, clock=clock)
    await store.open()
    calls = [asyncio.create_task(store.create_execution()) for _ in range(50)]
    await asyncio.sleep(0)
    await store.close()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    made = {outcome.execution_id for outcome in outcomes if isinstance(outcome, ExecutionRecord)}
    assert all(isinstance(outcome, ExecutionRecord | StoreClosed) for outcome in outcomes)
    assert {one for (one,) in rows(path, "SELECT id FROM executions")} == made


async def test_the_first_use_opens_the_store_once(path: Path, clock: ManualClock) -> None:
    store = ExecutionStore(database=path, clock=clock)
    records = await asyncio.gather(*(store.create_execution() for _ in range(20)))
    assert len({record.execution_id for record in records}) == 20
    assert len(rows(path, "SELECT id FROM leases")) == 1
    await store.close()
    assert rows(path, "SELECT id FROM leases") == []


def test_a_store_belongs_to_one_event_loop(path: Path) -> None:
    store = ExecutionStore(database=path)
    with asyncio.Runner() as runner, asyncio.Runner() as other:
        runner.run(store.open())
        with pytest.raises(InvalidArgument, match="another event loop"):
            other.run(store.create_execution())
        runner.run(store.close())


async def test_times_are_those_of_the_clock(path: Path) -> None:
    before = time.time()
    async with ExecutionStore(database=path) as store:
        record = await store.create_execution()
        await store.set_completed(record.execution_id, 1)
    assert record.completed_at is not None
    assert before - 1 < record.created_at <= record.completed_at < time.time() + 1


# --- Tasks and futures that come and go -------------------------------------------------------------------------------


async def test_a_future_that_was_cancelled_before_the_answer_is_replaced_after_it(store: ExecutionStore) -> None:
    record = await store.create_execution()
    pending = await store.set_interaction_required(record.execution_id, TEXT)
    cancelled = pending.future
    cancelled.cancel()
    await store.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
    assert cancelled.cancelled()
    assert await pending.future == ADA


async def test_a_task_that_was_replaced_decides_nothing_any_more(store: ExecutionStore) -> None:
    record = await store.create_execution()
    old, new = (asyncio.create_task(asyncio.Event().wait()) for _ in range(2))
    record.task = old
    record.task = new
    old.cancel()
    with pytest.raises(asyncio.CancelledError):
        await old
    await store.get(record.execution_id)
    assert record.status == "running"
    assert not new.done()
    await store.cancel(record.execution_id)
    with pytest.raises(asyncio.CancelledError):
        await new


async def test_a_task_is_cancelled_once_whatever_was_open_and_whatever_follows(store: ExecutionStore) -> None:
    record = await store.create_execution()
    await store.set_interaction_required(record.execution_id, TEXT)
    await store.set_interaction_required(record.execution_id, TEXT)
    let_go = asyncio.Event()
    finished = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await let_go.wait()
            finished.set()

    record.task = task = asyncio.create_task(work())
    await asyncio.sleep(0)
    await store.cancel(record.execution_id)
    await store.remove(record.execution_id)
    assert task.cancelling() == 1
    let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert finished.is_set()


async def test_an_answer_is_held_against_the_prompt_as_it_was_asked(store: ExecutionStore) -> None:
    record = await store.create_execution()
    prompt = HumanPromptText(text="Your name?")
    pending = await store.set_interaction_required(record.execution_id, prompt)
    prompt.required = False
    with pytest.raises(ResponseNotAccepted, match="blank"):
        await store.resolve_interaction(record.execution_id, pending.interaction_id, HumanResponseText(text=" "))
