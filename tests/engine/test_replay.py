"""What comes to the branches of a workflow comes to them in the same order on a replay, whatever that order came from.

Each test begins a workflow whose branches share a *trail*, lets it get somewhere in one particular way, and has another runner
take it up. What is emitted has the trail in it, so in another order the replay would ask for something else, and be stuck.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from restpoint import Context, ExecutionRecord, ExecutionStore, Runner, StepFailed, Workflow, workflow
from restpoint._engine import replay
from restpoint._storage.sqlite import migrations
from restpoint._store.listener import Listener
from restpoint.prompts import HumanResponseText
from runners import PATIENCE, answer, asked, ended, question, unloaded, until
from support import ManualClock, eventually, file_of, rows

HELD = 600.0


@asynccontextmanager
async def begun(store: ExecutionStore, flow: Workflow) -> AsyncIterator[ExecutionRecord]:
    """A first run, which stays in memory and is let go at the end."""
    async with asyncio.timeout(PATIENCE), Runner(store, [flow], hold_paused_for=HELD) as runner:
        yield (await runner.start(flow.name)).record


async def taken_up(store: ExecutionStore, flow: Workflow, record: ExecutionRecord, *texts: str) -> Any:
    """The result, from a runner that has nothing of it but the file, after these prompts are answered."""
    async with asyncio.timeout(PATIENCE), Runner(store, [flow]):
        for text in texts:
            await answer(store, record, text, "yes")
        await until(record, lambda: record.problem or record.status == "completed")
    assert record.problem is None
    return record.result


async def emitted(path: Path, count: int) -> None:
    """Return when so much was emitted."""
    await eventually(lambda: len(rows(path, "SELECT 1 FROM history WHERE event = 'emitted'")) >= count)


class Gate:
    """Holds back a follower: what other stores write is not heard of here while it is shut."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, store: ExecutionStore) -> None:
        self.open = asyncio.Event()
        look = Listener._look

        async def gated(listener: Listener) -> None:
            if listener is file_of(store).listener:
                await self.open.wait()
            await look(listener)

        monkeypatch.setattr(Listener, "_look", gated)


def two_and_more(*prompts: str) -> Workflow:
    """A workflow that emits its trail after each of these prompts, which are asked at once, and then asks for more."""

    @workflow("two_and_more")
    async def flow(ctx: Context) -> list[str]:
        trail: list[str] = []

        async def one(text: str) -> None:
            await ctx.ask(question(text))
            trail.append(text)
            await ctx.emit(list(trail))

        await asyncio.gather(*(one(text) for text in prompts))
        await ctx.ask(question("more"))
        return trail

    return flow


async def reply(store: ExecutionStore, record: ExecutionRecord, text: str) -> None:
    """Answer a prompt of which ``record`` may not know that it is open no more."""
    (pending,) = (each for each in record.pending_interactions if each.prompt.text == text)
    await store.resolve_interaction(record.execution_id, pending.interaction_id, HumanResponseText(text="yes"))


# --- What other processes write --------------------------------------------------------------------------------------


async def test_answers_of_another_process_that_are_heard_of_at_once(
    store: ExecutionStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are heard of in the order in which they were asked, which need not be that in which they were given."""
    flow, gate = two_and_more("a", "b"), Gate(monkeypatch, store)
    async with ExecutionStore(database=path, clock=file_of(store).clock) as other:
        async with begun(store, flow) as record:
            await asked(record, "a", "b")
            await reply(other, record, "b")
            await reply(other, record, "a")
            gate.open.set()
            await asked(record, "more")
        told = [row[0] for row in rows(path, "SELECT result FROM journal WHERE kind = 'emit' ORDER BY ordinal")]
        result = await taken_up(store, flow, record, "more")
    assert told[0] in {'["a"]', '["b"]'}
    assert result[0] == told[0].strip('["]')


async def test_an_answer_of_another_process_that_is_heard_of_after_a_later_one_given_here(
    store: ExecutionStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow, gate = two_and_more("a", "b"), Gate(monkeypatch, store)
    async with ExecutionStore(database=path, clock=file_of(store).clock) as other:
        async with begun(store, flow) as record:
            await asked(record, "a", "b")
            await reply(other, record, "a")
            await reply(store, record, "b")
            await emitted(path, 1)
            gate.open.set()
            await asked(record, "more")
        assert await taken_up(store, flow, record, "more") == ["b", "a"]


async def test_an_answer_of_another_process_that_is_heard_of_after_a_step_that_ended_later(
    store: ExecutionStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, gate = asyncio.Event(), Gate(monkeypatch, store)

    async def slow() -> None:
        await finish.wait()

    @workflow
    async def flow(ctx: Context) -> list[str]:
        trail: list[str] = []

        async def ask() -> None:
            await ctx.ask(question("a"))
            trail.append("a")

        async def step() -> None:
            await ctx.step(slow)
            trail.append("step")
            await ctx.emit(list(trail))

        await asyncio.gather(ask(), step())
        await ctx.emit(list(trail))
        await ctx.ask(question("more"))
        return trail

    async with ExecutionStore(database=path, clock=file_of(store).clock) as other:
        async with begun(store, flow) as record:
            await asked(record, "a")
            await reply(other, record, "a")
            finish.set()
            await emitted(path, 1)
            gate.open.set()
            await asked(record, "more")
        assert await taken_up(store, flow, record, "more") == ["step", "a"]


async def test_a_prompt_that_another_process_answered_and_a_later_change_here_are_both_told_of(
    store: ExecutionStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks at the record is woken also where nothing is new but that a prompt is open no more."""
    gate = Gate(monkeypatch, store)
    record = await store.create_execution()
    for text in ("a", "b"):
        await store.set_interaction_required(record.execution_id, question(text))
    async with asyncio.timeout(PATIENCE), ExecutionStore(database=path, clock=file_of(store).clock) as other:
        await reply(other, record, "a")
        await reply(store, record, "b")
        changed = asyncio.create_task(record.changed())
        await asyncio.sleep(0)
        gate.open.set()
        await changed
    assert record.pending_interactions == ()


# --- At the same time ------------------------------------------------------------------------------------------------


async def test_an_answer_and_a_default_that_takes_effect_at_that_moment(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    @workflow
    async def flow(ctx: Context) -> list[str]:
        trail: list[str] = []
        default = HumanResponseText(text="nobody")

        async def one(text: str, **terms: Any) -> None:
            trail.append(f"{text} {(await ctx.ask(question(text), **terms)).text}")
            await ctx.emit(list(trail))

        await asyncio.gather(one("a", timeout=10, default=default), one("b"))
        await ctx.ask(question("more"))
        return trail

    async with begun(store, flow) as record:
        await asked(record, "a", "b")
        clock.step(10)
        await reply(store, record, "b")
        await asked(record, "more")
        (last,) = rows(path, "SELECT result FROM journal WHERE kind = 'emit' ORDER BY ordinal DESC LIMIT 1")
    assert str(await taken_up(store, flow, record, "more")).replace("'", '"').replace(", ", ",") == last[0]


async def test_answers_that_come_while_the_run_is_not_in_memory(store: ExecutionStore) -> None:
    flow = two_and_more("a", "b", "c")
    async with asyncio.timeout(PATIENCE), Runner(store, [flow], hold_paused_for=0) as runner:
        record = (await runner.start(flow.name)).record
        await asked(record, "a", "b", "c")
        await unloaded(runner)
    for text in ("c", "a", "b"):
        await reply(store, record, text)
    async with asyncio.timeout(PATIENCE), Runner(store, [flow]):
        await asked(record, "more")
    assert await taken_up(store, flow, record, "more") == ["c", "a", "b"]


# --- Between two outcomes --------------------------------------------------------------------------------------------


async def _many_turns() -> None:
    for _ in range(1_000):
        await asyncio.sleep(0)


async def _in_a_thread() -> None:
    await asyncio.to_thread(time.sleep, 0.03)


@pytest.mark.parametrize("long", [_many_turns, _in_a_thread])
async def test_a_branch_that_takes_long_to_come_to_its_next_call(
    store: ExecutionStore, path: Path, long: Callable[[], Any]
) -> None:
    """What had come after that call comes after it again, however soon it is there."""

    @workflow
    async def flow(ctx: Context) -> list[str]:
        trail: list[str] = []

        async def slow() -> None:
            await ctx.ask(question("a"))
            trail.append("a")
            await long()
            await ctx.emit(list(trail))

        async def quick() -> None:
            await ctx.ask(question("b"))
            trail.append("b")

        await asyncio.gather(slow(), quick())
        await ctx.ask(question("more"))
        return trail

    async with begun(store, flow) as record:
        await asked(record, "a", "b")
        await answer(store, record, "a", "yes")
        await emitted(path, 1)
        await answer(store, record, "b", "yes")
        await asked(record, "more")
    assert await taken_up(store, flow, record, "more") == ["a", "b"]


async def test_branches_that_hand_things_to_each_other(store: ExecutionStore) -> None:
    @workflow
    async def flow(ctx: Context) -> list[str]:
        queue: asyncio.Queue[str] = asyncio.Queue(1)
        told = asyncio.Event()
        trail: list[str] = []

        async def put(text: str) -> None:
            await ctx.ask(question(text))
            await queue.put(text)

        async def take() -> None:
            for _ in "abc":
                trail.append(await queue.get())
                await ctx.emit(list(trail))
            told.set()

        async def last() -> None:
            await told.wait()
            await ctx.emit(["last", *trail])

        async with asyncio.TaskGroup() as group:
            group.create_task(last())
            group.create_task(take())
            for text in "abc":
                group.create_task(put(text))
        await ctx.ask(question("more"))
        return trail

    async with begun(store, flow) as record:
        await asked(record, "a", "b", "c")
        await asyncio.gather(*(answer(store, record, text, "yes") for text in "bca"))
        await asked(record, "more")
    assert sorted(await taken_up(store, flow, record, "more")) == ["a", "b", "c"]


async def test_a_task_that_never_calls_the_context(store: ExecutionStore) -> None:
    """It had its turns while the main task's outcomes were written; on a replay nothing is written."""

    @workflow
    async def flow(ctx: Context) -> list[str]:
        heard = asyncio.Event()
        trail: list[str] = []

        async def listen() -> None:
            await heard.wait()
            trail.append("heard")

        listening = asyncio.create_task(listen())
        await ctx.now()
        heard.set()
        await ctx.now()
        await ctx.emit(list(trail))
        await ctx.ask(question("more"))
        await listening
        return trail

    async with begun(store, flow) as record:
        await asked(record, "more")
    assert await taken_up(store, flow, record, "more") == ["heard"]


# --- What is given up ------------------------------------------------------------------------------------------------


async def test_two_groups_that_fail_one_after_the_other(store: ExecutionStore) -> None:
    """To give something up takes no time, the first time as on a replay: else the second could be done before the first."""
    fail: dict[str, asyncio.Event] = {text: asyncio.Event() for text in "ab"}

    async def failing(text: str) -> None:
        await fail[text].wait()
        raise ValueError

    @workflow
    async def flow(ctx: Context) -> list[str]:
        trail: list[str] = []

        async def one(text: str, beside: int) -> None:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(ctx.step(failing, text))
                    for number in range(beside):
                        group.create_task(ctx.ask(question(f"{text}{number}")))
            except* StepFailed:
                trail.append(text)

        await asyncio.gather(one("a", 2), one("b", 0))
        await ctx.emit(list(trail))
        await ctx.ask(question("more"))
        return trail

    async with begun(store, flow) as record:
        await asked(record, "a0", "a1")
        for event in fail.values():
            event.set()
        await asked(record, "more")
    assert await taken_up(store, flow, record, "more") == ["a", "b"]


async def test_a_step_that_takes_its_time_to_stop(store: ExecutionStore, path: Path) -> None:
    """What was given to other branches meanwhile is given to them before it has stopped, again."""
    stop = asyncio.Event()

    async def thorough() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await stop.wait()

    @workflow
    async def flow(ctx: Context) -> list[str]:
        trail: list[str] = []

        async def give_up() -> None:
            step = asyncio.create_task(ctx.step(thorough))
            await ctx.ask(question("a"))
            step.cancel()
            await asyncio.wait([step])
            trail.append("stopped")
            await ctx.emit(list(trail))

        async def beside() -> None:
            await ctx.ask(question("b"))
            trail.append("b")
            await ctx.emit(list(trail))

        await asyncio.gather(give_up(), beside())
        await ctx.ask(question("more"))
        return trail

    async with begun(store, flow) as record:
        await asked(record, "a", "b")
        await answer(store, record, "a", "yes")
        await answer(store, record, "b", "yes")
        await emitted(path, 1)
        stop.set()
        await asked(record, "more")
    assert await taken_up(store, flow, record, "more") == ["b", "stopped"]


@pytest.mark.parametrize("kind", ["ask", "step", "emit", "now", "sleep"])
async def test_a_call_that_is_given_up_while_it_is_written(store: ExecutionStore, path: Path, kind: str) -> None:
    """Its outcome came into the file, and the workflow was never given it; nor is it on a replay."""

    async def quick() -> None:
        pass

    @workflow
    async def flow(ctx: Context) -> list[str]:
        calls: dict[str, Callable[[], Any]] = {
            "ask": lambda: ctx.ask(question("never")),
            "step": lambda: ctx.step(quick),
            "emit": lambda: ctx.emit("never"),
            "now": ctx.now,
            "sleep": lambda: ctx.sleep(0),
        }
        trail: list[str] = []
        task = asyncio.create_task(calls[kind]())
        for _ in range(3):  # its write is under way, and takes more turns than these
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
            trail.append("given")
        except asyncio.CancelledError:
            trail.append("given up")
        await ctx.emit(list(trail))
        await ctx.ask(question("more"))
        return trail

    async with begun(store, flow) as record:
        await asked(record, "more")
        assert [each.prompt.text for each in record.pending_interactions] == ["more"]
    (first,) = rows(path, "SELECT result FROM journal WHERE kind = 'emit' ORDER BY ordinal DESC LIMIT 1")
    assert await taken_up(store, flow, record, "more") == ["given up"]
    assert first == ('["given up"]',)


# --- Other code ------------------------------------------------------------------------------------------------------


async def test_code_that_does_not_come_to_what_is_recorded_is_named_and_left_alone(
    store: ExecutionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A branch is gone, whose outcome came before one that is awaited: nobody guesses what would have been."""

    @workflow("flow")
    async def with_both(ctx: Context) -> list[str]:
        replies = await asyncio.gather(asyncio.create_task(one(ctx, "a")), asyncio.create_task(one(ctx, "b")))
        return [*replies, (await ctx.ask(question("more"))).text]

    @workflow("flow")
    async def with_one(ctx: Context) -> list[str]:
        replies = await asyncio.gather(asyncio.create_task(one(ctx, "a")))
        return [*replies, (await ctx.ask(question("more"))).text]

    async def one(ctx: Context, text: str) -> str:
        return (await ctx.ask(question(text))).text

    async with begun(store, with_both) as record:
        await asked(record, "a", "b")
        await answer(store, record, "b", "yes")
        await answer(store, record, "a", "yes")
        await asked(record, "more")
    with monkeypatch.context() as sooner:  # and not for the runner after it, whose replay may stand still for that long
        sooner.setattr(replay, "STALLED_AFTER", 0.05)
        async with asyncio.timeout(PATIENCE), Runner(store, [with_one]):
            await answer(store, record, "more", "yes")
            await until(record, lambda: record.problem)
    assert "call 2/1 was recorded as ask text" in (record.problem or "")
    assert "now asks for nothing" in (record.problem or "")
    async with asyncio.timeout(PATIENCE), Runner(store, [with_both]):
        assert (await ended(record)).result == ["yes", "yes", "yes"]


async def test_a_sleep_that_the_workflow_cut_short_is_cut_short_again_and_not_slept_out(store: ExecutionStore) -> None:
    @workflow
    async def cut(ctx: Context) -> str:
        sleeping = asyncio.create_task(ctx.sleep(3_600))
        await ctx.step(str, "enough")
        sleeping.cancel()
        return (await ctx.ask(question("shorter"))).text

    async with begun(store, cut) as record:
        await asked(record, "shorter")
    async with (
        asyncio.timeout(PATIENCE),
        Runner(store, [cut], hold_paused_for=0),
    ):  # it must not leave memory for an hour
        await answer(store, record, "shorter", "yes")
        await until(record, lambda: record.problem or record.status == "completed")
    assert (record.problem, record.result) == (None, "yes")


# --- Files of before -------------------------------------------------------------------------------------------------


async def test_a_run_that_an_older_program_began_keeps_its_order(fresh: Path, path: Path) -> None:
    """Its journal says only what was in the file first, which is how that program gave it."""
    finish = asyncio.Event()

    async def slow() -> None:
        await finish.wait()

    @workflow
    async def flow(ctx: Context) -> list[str]:
        trail: list[str] = []

        async def ask(text: str) -> None:
            await ctx.ask(question(text))
            trail.append(text)

        async def step() -> None:
            await ctx.step(slow)
            trail.append("step")

        await asyncio.gather(ask("a"), step(), ask("b"))
        await ctx.emit(list(trail))
        await ctx.ask(question("more"))
        return trail

    shutil.copyfile(fresh, path)
    async with ExecutionStore(database=path) as store, begun(store, flow) as record:
        await asked(record, "a", "b")
        await answer(store, record, "b", "yes")
        finish.set()
        await eventually(lambda: rows(path, "SELECT 1 FROM journal WHERE kind = 'step'"))
        await answer(store, record, "a", "yes")
        await asked(record, "more")
    await asyncio.to_thread(migrations.downgrade, path, "0002")
    assert rows(path, "SELECT count(*) FROM journal WHERE kind = 'ask' AND ordinal IS NOT NULL") == [(0,)]
    await asyncio.to_thread(migrations.upgrade, path)
    async with ExecutionStore(database=path) as store:
        found = await store.get(record.execution_id)
        assert found is not None
        assert await taken_up(store, flow, found, "more") == ["b", "step", "a"]
