"""Races in and around a run: what is cancelled, closed or answered at the very moment when something else happens."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from faults.harness import Zygote
from restpoint import Context, ExecutionStore, Runner, workflow
from restpoint._storage.sqlite import migrations
from restpoint.errors import StepFailed, WorkflowFailed
from runners import PATIENCE, WAYS, answer, asked, ended, question, unloaded
from support import ADA, eventually, file_of, rows, sql


@pytest.fixture(params=["held", "parked"])
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    return WAYS[request.param]


async def _nothing_works(runner: Runner) -> None:
    """Return when every slot was given back."""
    await unloaded(runner)
    await eventually(lambda: not runner.running)


async def test_a_step_that_its_workflow_cancelled_is_not_done_again_by_a_replay(
    store: ExecutionStore, way: dict[str, Any], path: Path
) -> None:
    done: list[str] = []
    begun = asyncio.Event()

    async def slow() -> None:
        done.append("slow")
        begun.set()
        await asyncio.get_running_loop().create_future()

    async def failing() -> None:
        await begun.wait()
        raise ValueError

    @workflow
    async def grouped(ctx: Context) -> str:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(ctx.step(slow))
                group.create_task(ctx.step(failing))
        except* StepFailed:
            pass
        return (await ctx.ask(question("And now?"))).text

    async with asyncio.timeout(PATIENCE), Runner(store, [grouped], **way) as runner:
        record = (await runner.start("grouped")).record
        await asked(record, "And now?")
        if way["hold_paused_for"] == 0:
            await unloaded(runner)
        await answer(store, record, "And now?", "on")
        await ended(record)
    assert (record.result, done) == ("on", ["slow"])
    assert rows(path, "SELECT count(*) FROM journal WHERE name LIKE '%slow' AND error = '\"abandoned\"'") == [(1,)]


async def test_a_prompt_given_up_after_a_while_is_given_up_again_in_a_runner_that_holds_nothing(
    store: ExecutionStore,
) -> None:
    """A replay must not be parked at a call that was given up: nothing would ever bring it back."""

    async def give_up(ctx: Context, asking: asyncio.Task[Any]) -> None:
        await ctx.step(str, "long enough")
        asking.cancel()

    @workflow
    async def impatient(ctx: Context) -> str:
        task = asyncio.current_task()
        assert task is not None
        impatience = asyncio.create_task(give_up(ctx, task))
        try:
            await ctx.ask(question("Quick?"))
        except asyncio.CancelledError:
            assert impatience.done()
            task.uncancel()
        return (await ctx.ask(question("Take your time."))).text

    async with asyncio.timeout(PATIENCE):
        async with Runner(store, [impatient], hold_paused_for=600) as runner:
            record = (await runner.start("impatient")).record
            await asked(record, "Take your time.")
        async with Runner(store, [impatient], hold_paused_for=0):
            await answer(store, record, "Take your time.", "I did")
            await ended(record)
    assert record.result == "I did"


async def test_what_is_behind_many_tasks_is_asked_before_the_run_is_parked(store: ExecutionStore) -> None:
    @workflow
    async def nested(ctx: Context) -> list[str]:
        async def deep(depth: int) -> str:
            if depth == 0:
                return (await ctx.ask(question("first"))).text
            (reply,) = await asyncio.gather(deep(depth - 1))
            return reply

        async def twice() -> str:
            return f"{await deep(8)} {(await ctx.ask(question('second'))).text}"

        long, both = await asyncio.gather(ctx.ask(question("long")), twice())
        return [long.text, both]

    async with asyncio.timeout(PATIENCE), Runner(store, [nested], hold_paused_for=0) as runner:
        record = (await runner.start("nested")).record
        await answer(store, record, "first", "1")
        await answer(store, record, "second", "2")
        await answer(store, record, "long", "3")
        await ended(record)
    assert record.result == ["3", "1 2"]


async def test_what_is_started_while_the_runner_closes_is_left_to_the_next_one(
    store: ExecutionStore, path: Path
) -> None:
    @workflow
    async def patient(ctx: Context) -> str:
        return (await ctx.ask(question("Well?"))).text

    runner = await Runner(store, [patient]).open()
    starts = [asyncio.create_task(runner.start("patient")) for _ in range(20)]
    await asyncio.sleep(0)  # each has queued its write
    await runner.close()
    records = [started.record for started in await asyncio.gather(*starts)]
    assert runner.running == 0
    assert rows(path, "SELECT count(*), sum(ready), count(lease) FROM executions") == [(20, 20, 0)]
    async with asyncio.timeout(PATIENCE), Runner(store, [patient]):
        for record in records:
            await answer(store, record, "Well?", "yes")
            await ended(record)


@pytest.mark.parametrize("hold", [0.0, 600.0])
async def test_many_more_than_may_work_at_once_all_complete(store: ExecutionStore, hold: float) -> None:
    """A hundred with five slots, each through a step, a prompt and a step."""

    def double(text: str) -> str:
        return text * 2

    @workflow
    async def one_of_many(ctx: Context, name: str) -> str:
        doubled = await ctx.step(double, name)
        return doubled + (await ctx.ask(question(doubled))).text + await ctx.step(double, "z")

    async with asyncio.timeout(PATIENCE), Runner(store, [one_of_many], concurrency=5, hold_paused_for=hold) as runner:
        records = [(await runner.start("one_of_many", str(number))).record for number in range(100)]
        await asyncio.gather(*(answer(store, record, str(n) * 2, f"<{n}>") for n, record in enumerate(records)))
        for record in records:
            await ended(record)
        await _nothing_works(runner)
    assert [record.result for record in records] == [f"{n}{n}<{n}>zz" for n in range(100)]


async def test_a_cancellation_from_another_store_reaches_what_steps_what_waits_and_what_is_queued(
    store: ExecutionStore, path: Path
) -> None:
    stopped: list[str] = []
    stepping = asyncio.Event()

    async def endless() -> None:
        stepping.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            stopped.append("step")

    @workflow
    async def steps(ctx: Context) -> None:
        try:
            await ctx.step(endless)
        except BaseException:  # user code that catches everything and goes on
            await ctx.emit("never")

    @workflow
    async def waits(ctx: Context) -> None:
        await ctx.ask(question("Well?"))

    async with (
        asyncio.timeout(PATIENCE),
        ExecutionStore(database=path, clock=file_of(store).clock) as other,
        Runner(store, [steps, waits], concurrency=1) as runner,
    ):
        waiting = (await runner.start("waits")).record
        await asked(waiting, "Well?")
        working = (await runner.start("steps")).record
        await stepping.wait()
        queued = (await runner.start("waits")).record
        for record in (queued, working, waiting):
            await other.cancel(record.execution_id, "enough")
        for record in (queued, working, waiting):
            assert (await ended(record)).status == "cancelled"
        await _nothing_works(runner)
    assert stopped == ["step"]
    assert rows(path, "SELECT count(*) FROM journal WHERE kind = 'emit'") == [(0,)]


def test_an_event_loop_that_ends_with_the_runner_open_takes_nothing_back(zygote: Zygote, path: Path) -> None:
    migrations.prepare(path)
    child = zygote.run("run_workloads:close_nothing", path=str(path), effects=str(path.with_suffix(".effects")))
    assert list(child.lines()) == []
    assert child.reap() == 0
    assert rows(path, "SELECT workflow, status FROM executions ORDER BY key") == [
        ("echo", "interaction_required"),
        ("long", "running"),
    ]
    assert rows(path, "SELECT 1 FROM journal WHERE error IS NOT NULL") == []
    heir = zygote.run("run_workloads:crash_loop", path=str(path), effects="", names=[], attempts=5)
    give_up = time.monotonic() + PATIENCE
    while rows(path, "SELECT status FROM executions WHERE workflow = 'long'") != [("completed",)]:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    heir.kill()
    assert heir.died_by_sigkill()


async def test_a_run_whose_lease_is_not_in_the_file_any_more_is_taken_over(store: ExecutionStore, path: Path) -> None:
    """A process stood still, lost its lease, claimed once more, and died before it could renew it."""

    @workflow
    async def patient(ctx: Context) -> str:
        return (await ctx.ask(question("Well?"))).text

    async with Runner(store, [patient], concurrency=0) as runner:
        record = (await runner.start("patient")).record
    with sql(path) as connection:
        connection.execute("UPDATE executions SET lease = 4711, ready = 0, epoch = 1")
    async with asyncio.timeout(PATIENCE), Runner(store, [patient]):
        await answer(store, record, "Well?", "yes")
        assert (await ended(record)).result == "yes"


async def test_an_answer_that_is_in_the_file_before_a_step_and_is_heard_of_after_it_stays_behind_it(
    store: ExecutionStore, path: Path
) -> None:
    """Another process gave the answer: what counts is what the workflow was given first, not what came into the file first."""
    let_it_end, firsts = asyncio.Event(), list[str]()

    async def slow() -> str:
        await let_it_end.wait()
        return "step"

    @workflow
    async def race(ctx: Context) -> str:
        order: list[str] = []

        async def ask() -> None:
            order.append((await ctx.ask(question("A"))).text)

        async def step() -> None:
            order.append(await ctx.step(slow))

        tasks = [asyncio.create_task(ask()), asyncio.create_task(step())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        firsts.append(order[0])
        await ctx.emit(order[0])
        await ctx.ask(question("more"))
        return order[0]

    async with asyncio.timeout(PATIENCE), ExecutionStore(database=path, clock=file_of(store).clock) as other:
        async with Runner(store, [race], hold_paused_for=600) as runner:
            record = (await runner.start("race")).record
            await asked(record, "A")
            (pending,) = record.pending_interactions
            await other.resolve_interaction(record.execution_id, pending.interaction_id, ADA)
            let_it_end.set()
            await asked(record, "more")
        async with Runner(store, [race]):
            await answer(store, record, "more", "yes")
            await ended(record)
    assert (record.problem, record.result) == (None, "step")
    assert firsts == ["step", "step"]


async def test_someone_who_waits_for_the_answer_with_a_limit_takes_no_prompt_back(store: ExecutionStore) -> None:
    @workflow
    async def wait(ctx: Context) -> str:
        return (await ctx.ask(question("Well?"))).text

    async with Runner(store, [wait], **WAYS["held"]) as runner:
        record = (await runner.start("wait")).record
        await asked(record, "Well?")
        (pending,) = record.pending_interactions
        future = pending.future
        for _ in range(50):  # turns, in which the workflow comes to await it too
            await asyncio.sleep(0)
        future.cancel()  # as asyncio.wait_for does
        for _ in range(50):
            await asyncio.sleep(0)
        await answer(store, record, "Well?", "yes")
        assert (await ended(record)).result == "yes"


@pytest.mark.parametrize("why", [("half \ud800", "late"), ("nul \x00", "late"), ("why", "half \ud800")])
async def test_a_workflow_fails_whatever_its_error_says(store: ExecutionStore, why: tuple[str, str]) -> None:
    @workflow
    async def give_up(ctx: Context) -> None:
        raise WorkflowFailed(*why)

    async with Runner(store, [give_up]) as runner:
        record = await ended((await runner.start("give_up")).record)
    assert (record.status, record.error, record.error_code) == (
        "failed", why[0].replace("\ud800", "?").replace("\x00", ""), why[1].replace("\ud800", "?")
    )  # fmt: skip


async def test_the_tasks_of_a_parked_run_end_also_where_nobody_awaited_them(store: ExecutionStore) -> None:
    """``asyncio.wait`` leaves the tasks that it was given as they are when it is cancelled itself."""
    tasks: list[asyncio.Task[Any]] = []

    @workflow
    async def race(ctx: Context) -> None:
        tasks[:] = [asyncio.create_task(ctx.ask(question("Well?"))), asyncio.create_task(ctx.sleep(3600))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    async with Runner(store, [race], **WAYS["parked"]) as runner:
        record = (await runner.start("race")).record
        await asked(record, "Well?")
        await unloaded(runner)
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
    assert record.status == "interaction_required"


async def test_a_slot_that_comes_when_nobody_wants_it_any_more_is_given_back(store: ExecutionStore) -> None:
    begun, finish, give_up = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def working() -> None:
        begun.set()
        await finish.wait()

    @workflow
    async def work(ctx: Context) -> None:
        await ctx.step(working)

    @workflow
    async def impatient(ctx: Context) -> None:
        prompt, end = asyncio.create_task(ctx.ask(question("First?"))), asyncio.create_task(give_up.wait())
        await asyncio.wait([prompt, end], return_when=asyncio.FIRST_COMPLETED)
        prompt.cancel()
        await asyncio.wait([prompt])
        await ctx.ask(question("Second?"))

    async with Runner(store, [work, impatient], concurrency=1, **WAYS["held"]) as runner:
        record = (await runner.start("impatient")).record
        await asked(record, "First?")
        worker = (await runner.start("work")).record
        await begun.wait()
        await answer(store, record, "First?", "here")
        await eventually(lambda: runner.queued)
        give_up.set()
        await asked(record, "Second?")
        finish.set()
        await ended(worker)
        await eventually(lambda: not runner.running)
        assert record.status == "interaction_required"


@pytest.mark.parametrize("why", [("half \ud800", "late"), ("why", "half \ud800")])
async def test_a_step_that_gives_up_runs_once_whatever_its_error_says(
    store: ExecutionStore, why: tuple[str, str]
) -> None:
    tried: list[int] = []

    async def giving_up() -> None:
        tried.append(1)
        raise WorkflowFailed(*why)

    @workflow
    async def go_on(ctx: Context) -> str:
        try:
            await ctx.step(giving_up)
        except WorkflowFailed as error:
            return f"{error} {error.failure_code} {(await ctx.ask(question('And?'))).text}"
        return "unreachable"

    async with Runner(store, [go_on], **WAYS["parked"]) as runner:
        record = (await runner.start("go_on")).record
        await asked(record, "And?")
        await unloaded(runner)
        await answer(store, record, "And?", "on")
        await ended(record)
    assert (record.result, len(tried)) == (f"{why[0]} {why[1]} on".replace("\ud800", "?"), 1)
