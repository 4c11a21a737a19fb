"""A failed execution goes on at the call that failed, when an operator says so; what was answered and recorded is kept."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from restpoint import Context, ExecutionRecord, ExecutionStore, Runner, Workflow, workflow
from restpoint._storage import migrations, verification
from restpoint._storage.sqlite.connection import reading
from restpoint.access import OPERATOR, Actor
from restpoint.errors import (
    CannotRetry,
    ExecutionNotFound,
    IllegalTransition,
    InteractionExpired,
    NotAllowed,
    StepFailed,
    WorkflowFailed,
)
from restpoint.service import Service
from runners import WAYS, answer, asked, ended, question
from support import PATIENCE, ManualClock, folded_statuses, rows, sql

GRACE = Actor("grace", roles=frozenset({OPERATOR}))
ADA = Actor("ada")


class Bank:
    """A service that fails until it is repaired, and counts who asks for what."""

    def __init__(self, *broken: str) -> None:
        self.broken = set(broken)
        self.calls: list[str] = []

    async def __call__(self, what: str) -> str:
        self.calls.append(what)
        if what in self.broken:
            raise ConnectionError(f"no {what}")
        return f"{what} done"


def of(function: Callable[..., Any]) -> Workflow:
    return workflow("flow")(function)


def sound(path: Path) -> Sequence[object]:
    """What ``audit verify`` finds."""
    with reading(path) as connection:
        return verification.verify(connection).findings


async def failed(store: ExecutionStore, runner: Runner, *replies: tuple[str, str]) -> ExecutionRecord:
    """Start one, answer its prompts, and see it fail."""
    record = (await runner.start("flow", owner="ada")).record
    for text, reply in replies:
        await answer(store, record, text, reply, actor="ada")
    await ended(record)
    assert record.status == "failed"
    return record


async def again(store: ExecutionStore, record: ExecutionRecord) -> list[str]:
    """The calls that the newest retry has made again, as the history tells."""
    retried = [entry for entry in await store.history(record.execution_id) if entry.event == "execution_retried"]
    return [f"{call['kind']} {call['name']}" for call in retried[-1].detail["again"]]


@pytest.mark.parametrize("way", WAYS)
async def test_a_retry_runs_the_step_that_failed_and_keeps_what_was_answered(
    store: ExecutionStore, path: Path, way: str
) -> None:
    bank = Bank("charge")

    async def flow(ctx: Context) -> list[str]:
        price = await ctx.step(bank, "price")
        decision = await ctx.ask(question("Pay?"))
        return [price, decision.text, await ctx.step(bank, "charge")]

    async with Runner(store, [of(flow)], **WAYS[way]) as runner:
        record = await failed(store, runner, ("Pay?", "yes"))
        assert (record.error_code, record.expires_at is not None) == ("step_failed", True)
        bank.broken.clear()
        await store.retry(record.execution_id, "the bank answers again", actor="grace")
        assert (record.completed_at, record.expires_at, record.error, record.error_code) == (None, None, None, None)
        await ended(record)
        assert (record.status, record.result) == ("completed", ["price done", "yes", "charge done"])
    assert bank.calls == ["price", "charge", "charge"]
    told = [entry for entry in await store.history(record.execution_id) if entry.event == "execution_retried"]
    assert [(each.from_status, each.to_status, each.actor, each.cause) for each in told] == [
        ("failed", "running", "grace", "the bank answers again")
    ]
    assert await again(store, record) == ["step Bank"]
    assert len([each for each in await store.history(record.execution_id) if each.event == "interaction_asked"]) == 1
    assert sound(path) == ()
    assert folded_statuses(path) == {record.execution_id: "completed"}


async def test_a_retry_in_another_process_is_taken_up_here(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    bank = Bank("charge")

    async def flow(ctx: Context) -> str:
        return await ctx.step(bank, "charge")

    async with Runner(store, [of(flow)]) as runner:
        record = await failed(store, runner)
        bank.broken.clear()
        async with ExecutionStore(database=path, clock=clock) as other:
            await other.retry(record.execution_id)
        async with asyncio.timeout(PATIENCE):
            while record.status != "completed":
                await record.changed()
    assert record.result == "charge done"


async def test_a_workflow_whose_own_code_raised_runs_again_and_fails_the_same_way_until_it_is_changed(
    store: ExecutionStore, path: Path
) -> None:
    mended = False

    async def flow(ctx: Context) -> str:
        reply = await ctx.ask(question("Who?"))
        if not mended:
            raise KeyError(reply.text)
        return reply.text

    async with Runner(store, [of(flow)]) as runner:
        record = await failed(store, runner, ("Who?", "me"))
        await store.retry(record.execution_id)
        await ended(record)
        assert (record.status, record.error_code) == ("failed", "workflow_error")
        assert await again(store, record) == []
        assert sound(path) == ()
        mended = True
        await store.retry(record.execution_id)
        await ended(record)
    assert (record.status, record.result) == ("completed", "me")
    assert sound(path) == ()


async def test_a_failure_that_the_workflow_put_in_its_own_words_is_retried_at_its_step(store: ExecutionStore) -> None:
    bank = Bank("charge")

    async def flow(ctx: Context) -> str:
        try:
            return await ctx.step(bank, "charge")
        except StepFailed as error:
            await ctx.notify("The bank does not answer.")
            raise WorkflowFailed("No money.", "no_money") from error

    async with Runner(store, [of(flow)]) as runner:
        record = await failed(store, runner)
        assert record.error_code == "no_money"
        before = await store.events(record.execution_id)
        bank.broken.clear()
        await store.retry(record.execution_id)
        await ended(record)
        assert record.result == "charge done"
        assert await again(store, record) == ["step Bank", "notify notification"]
        # What was shown before still shows what it showed.
        after = await store.events(record.execution_id)
        assert [each.detail for each in after[: len(before)]] == [each.detail for each in before]
        assert [each.detail["prompt"]["text"] for each in after if each.event == "notified"] == [
            "The bank does not answer."
        ]


async def test_what_the_workflow_has_dealt_with_is_not_done_again(store: ExecutionStore) -> None:
    bank = Bank("charge", "refund")

    async def flow(ctx: Context) -> str:
        try:
            return await ctx.step(bank, "charge")
        except StepFailed:
            return await ctx.step(bank, "refund")

    async with Runner(store, [of(flow)]) as runner:
        record = await failed(store, runner)
        bank.broken.clear()
        await store.retry(record.execution_id)
        await ended(record)
    assert (record.result, bank.calls) == ("refund done", ["charge", "refund", "refund"])


async def test_all_that_failed_side_by_side_runs_again_and_what_succeeded_does_not(store: ExecutionStore) -> None:
    bank = Bank("b", "c")

    async def flow(ctx: Context) -> list[str]:
        calls = [ctx.step(bank, what, name=what) for what in "abc"]
        done = await asyncio.gather(*calls, return_exceptions=True)
        for each in done:
            if isinstance(each, BaseException):
                raise each
        return [str(each) for each in done]

    async with Runner(store, [of(flow)]) as runner:
        record = await failed(store, runner)
        bank.broken.clear()
        await store.retry(record.execution_id)
        await ended(record)
        assert record.result == ["a done", "b done", "c done"]
        assert await again(store, record) == ["step b", "step c"]
    assert sorted(bank.calls) == ["a", "b", "b", "c", "c"]


@pytest.mark.parametrize("way", WAYS)
async def test_what_a_failure_took_along_is_asked_again_and_what_was_answered_is_not(
    store: ExecutionStore, path: Path, way: str
) -> None:
    bank = Bank("charge")

    async def flow(ctx: Context) -> list[str]:
        first = await ctx.ask(question("One?"))

        async def other() -> str:
            return (await ctx.ask(question("Two?"))).text

        async with asyncio.TaskGroup() as group:
            second, charge = group.create_task(other()), group.create_task(charged())
        return [first.text, second.result(), charge.result()]

    async def charged() -> str:
        return await context.step(bank, "charge")

    context: Context

    async def outer(ctx: Context) -> list[str]:
        nonlocal context
        context = ctx
        return await flow(ctx)

    async with Runner(store, [of(outer)], **WAYS[way]) as runner:
        record = await failed(store, runner, ("One?", "1"))
        bank.broken.clear()
        await store.retry(record.execution_id)
        await answer(store, record, "Two?", "2")
        await ended(record)
        assert (record.status, record.result) == ("completed", ["1", "2", "charge done"])
    asked_for = [each for each in await store.history(record.execution_id) if each.event == "interaction_asked"]
    assert sorted(each.detail["prompt"]["text"] for each in asked_for) == ["One?", "Two?", "Two?"]
    assert sound(path) == ()


async def test_a_prompt_that_nobody_answered_in_time_is_asked_again(store: ExecutionStore, clock: ManualClock) -> None:
    async def flow(ctx: Context) -> str:
        return (await ctx.ask(question("Pay?"), timeout=60)).text

    async with Runner(store, [of(flow)]) as runner:
        record = (await runner.start("flow")).record
        await asked(record, "Pay?")
        clock.step(60)
        await ended(record)
        assert record.error_code == "interaction_expired"
        await store.retry(record.execution_id)
        await asked(record, "Pay?")
        (pending,) = record.pending_interactions
        assert pending.deadline == (clock.now() + 60_000) / 1000
        await answer(store, record, "Pay?", "yes")
        await ended(record)
        assert (record.result, await again(store, record)) == ("yes", ["ask text"])


async def test_an_execution_that_failed_at_a_deadline_asks_again(store: ExecutionStore, clock: ManualClock) -> None:
    async def flow(ctx: Context) -> str:
        try:
            return (await ctx.ask(question("Pay?"), timeout=60, on_deadline="fail")).text
        except InteractionExpired:
            return "it was not to come here"

    async with Runner(store, [of(flow)]) as runner:
        record = (await runner.start("flow")).record
        await asked(record, "Pay?")
        clock.step(60)
        await ended(record)
        assert record.error_code == "deadline_passed"
        await store.retry(record.execution_id)
        await answer(store, record, "Pay?", "yes")
        await ended(record)
    assert record.result == "yes"


async def test_an_execution_fails_and_is_retried_as_often_as_one_likes(store: ExecutionStore, path: Path) -> None:
    bank = Bank("charge")

    async def flow(ctx: Context) -> str:
        return await ctx.step(bank, "charge")

    async with Runner(store, [of(flow)]) as runner:
        record = await failed(store, runner)
        for _ in range(3):
            await store.retry(record.execution_id)
            await ended(record)
            assert record.status == "failed"
        bank.broken.clear()
        await store.retry(record.execution_id)
        await ended(record)
    assert (record.result, len(bank.calls)) == ("charge done", 5)
    assert sound(path) == ()
    assert len(rows(path, "SELECT 1 FROM journal WHERE error IS NOT NULL")) == 4, "what failed is kept"


async def test_nothing_sweeps_an_execution_that_was_retried_until_it_has_ended_again(
    path: Path, clock: ManualClock
) -> None:
    bank = Bank("charge")

    async def flow(ctx: Context) -> str:
        await ctx.step(bank, "charge")
        return (await ctx.ask(question("Now?"))).text

    async with ExecutionStore(60, database=path, clock=clock) as store, Runner(store, [of(flow)]) as runner:
        record = await failed(store, runner)
        bank.broken.clear()
        await store.retry(record.execution_id)
        await asked(record, "Now?")
        clock.step(3_600)
        assert await store.cleanup_expired() == 0
        await answer(store, record, "Now?", "yes")
        await ended(record)
        assert record.expires_at == (clock.now() + 60_000) / 1000
        clock.step(61)
        assert await store.cleanup_expired() == 1
        assert sound(path) == ()
    # It failed and it completed; the view has the last end, once.
    assert rows(path, "SELECT status FROM sweeps") == [("completed",)]


async def test_what_was_retried_goes_on_after_a_downgrade_and_an_upgrade(path: Path, clock: ManualClock) -> None:
    bank = Bank("charge")

    async def flow(ctx: Context) -> list[str]:
        charged = await ctx.step(bank, "charge")
        return [charged, (await ctx.ask(question("Now?"))).text]

    async with ExecutionStore(database=path, clock=clock) as store, Runner(store, [of(flow)]) as runner:
        record = await failed(store, runner)
        bank.broken.clear()
        await store.retry(record.execution_id)
        await asked(record, "Now?")
    (script,) = (migrations.scripts() / "versions").glob("*_retries.py")
    before = f"{int(script.name[:4]) - 1:04d}"
    migrations.downgrade(path, before)
    assert rows(path, "SELECT position, kind FROM journal ORDER BY position") == [("1", "step"), ("2", "ask")]
    migrations.upgrade(path)
    async with ExecutionStore(database=path, clock=clock) as store, Runner(store, [of(flow)]):
        found = await store.get(record.execution_id)
        assert found is not None
        await answer(store, found, "Now?", "yes")
        await ended(found)
        assert found.result == ["charge done", "yes"]
        assert sound(path) == ()
    assert bank.calls == ["charge", "charge"]


@pytest.mark.parametrize(
    ("forgery", "problem"),
    [
        ("UPDATE executions SET error = 'no'", "payload_differs"),
        ("UPDATE executions SET status = 'failed', completed_at = 5", "status_differs"),
        ("DELETE FROM executions", "execution_missing"),
    ],
)
async def test_what_is_forged_of_an_execution_that_was_retried_is_found(
    store: ExecutionStore, path: Path, forgery: str, problem: str
) -> None:
    bank = Bank("charge")

    async def flow(ctx: Context) -> str:
        await ctx.step(bank, "charge")
        return (await ctx.ask(question("Now?"))).text

    async with Runner(store, [of(flow)]) as runner:
        record = await failed(store, runner)
        bank.broken.clear()
    await store.retry(record.execution_id)
    assert sound(path) == ()
    with sql(path) as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute(forgery)
    assert problem in [getattr(finding, "problem", None) for finding in sound(path)]


async def test_only_an_execution_that_failed_can_be_retried(store: ExecutionStore) -> None:
    async def flow(ctx: Context) -> str:
        return (await ctx.ask(question("Now?"))).text

    async with Runner(store, [of(flow)]) as runner:
        record = (await runner.start("flow")).record
        await asked(record, "Now?")
        with pytest.raises(IllegalTransition, match="interaction_required and cannot retry"):
            await store.retry(record.execution_id)
        await answer(store, record, "Now?", "yes")
        await ended(record)
        with pytest.raises(IllegalTransition, match="completed is final"):
            await store.retry(record.execution_id)
    with pytest.raises(ExecutionNotFound):
        await store.retry("nobody")


async def test_what_no_runner_ran_cannot_be_retried_and_the_refusal_says_why(store: ExecutionStore) -> None:
    record = await store.create_execution()
    await store.set_failed(record.execution_id, "no")
    with pytest.raises(CannotRetry, match="no runner ran it") as refused:
        await store.retry(record.execution_id)
    assert refused.value.code == "cannot_retry"
    assert record.status == "failed"


async def test_what_was_said_and_erased_cannot_be_gone_on_from(store: ExecutionStore) -> None:
    bank = Bank("charge")

    async def flow(ctx: Context) -> str:
        await ctx.ask(question("Who?"))
        return await ctx.step(bank, "charge")

    async with Runner(store, [of(flow)]) as runner:
        record = (await runner.start("flow", owner="ada")).record
        await answer(store, record, "Who?", "me", actor="grace")
        await ended(record)
        await store.erase_person("grace")
        with pytest.raises(CannotRetry, match="erased"):
            await store.retry(record.execution_id)


async def test_only_operators_retry(store: ExecutionStore) -> None:
    bank = Bank("charge")

    async def flow(ctx: Context) -> str:
        return await ctx.step(bank, "charge")

    async with Runner(store, [of(flow)]) as runner:
        record = await failed(store, runner)
        service = Service(store, runner)
        with pytest.raises(NotAllowed, match="operator"):
            await service.retry(ADA, record.execution_id)
        with pytest.raises(ExecutionNotFound):
            await service.retry(Actor("eve"), record.execution_id)
        bank.broken.clear()
        view = await service.retry(GRACE, record.execution_id, "mended")
        assert view.status == "running"
        await ended(record)
        assert record.status == "completed"


async def test_whoever_follows_an_execution_from_the_beginning_hears_of_both_its_ends(store: ExecutionStore) -> None:
    bank = Bank("charge")

    async def flow(ctx: Context) -> str:
        return await ctx.step(bank, "charge")

    async with Runner(store, [of(flow)]) as runner:
        record = await failed(store, runner)
        service = Service(store, runner)
        assert [each.event async for each in service.follow(GRACE, record.execution_id)] == [
            "execution_created", "execution_failed",
        ]  # fmt: skip
        bank.broken.clear()
        await store.retry(record.execution_id)
        async with asyncio.timeout(PATIENCE):
            heard = [each.event async for each in service.follow(GRACE, record.execution_id)]
    assert heard == ["execution_created", "execution_failed", "execution_retried", "execution_completed"]
