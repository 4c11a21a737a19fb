"""Every execution that runs says what it is doing, and why nobody goes on with it where that is so."""

import asyncio
import json
from pathlib import Path

from restpoint import Context, ExecutionRecord, ExecutionStore, Runner, StepFailed, workflow
from restpoint._storage.sqlite import checks
from restpoint.access import OPERATOR, Actor
from restpoint.service import Service
from runners import answer, asked, ended, question, unloaded
from served import typed
from support import PATIENCE, ManualClock, rows, sought, sql

OP, ADA = Actor("op", roles=frozenset({OPERATOR})), Actor("ada")


@workflow
async def greet(ctx: Context) -> str:
    return (await ctx.ask(question("Who?"))).text


@workflow("greet", version=2)
async def newer(ctx: Context) -> str:
    return (await ctx.ask(question("Who is it?"))).text


async def problem(store: ExecutionStore, record: ExecutionRecord) -> str | None:
    """What everything that shows an execution says of it: the poll's part, the list, and the check of the file."""
    told = (await store.progress(record.execution_id)).problem
    (item,) = [each for each in (await store.list()).items if each.execution_id == record.execution_id]
    assert item.problem == told
    assert ([each.execution_id for each in (await store.list(problem=True)).items] == [record.execution_id]) == bool(
        told
    )
    (finding,) = [
        each for each in checks.examine(store.path, store._handle.options.clock.now()) if each.name == "running"
    ]
    assert finding.figures == {"stranded": int(told is not None)}
    assert (told or "") in finding.word
    assert finding.severity == ("ok" if told is None else "warning")
    return told


async def paused(path: Path, clock: ManualClock) -> str:
    """An execution of version 1 that waits for an answer, and whose server has ended."""
    async with ExecutionStore(database=path, clock=clock) as store, Runner(store, [greet]) as runner:
        record = (await runner.start("greet", owner="ada")).record
        await asked(record, "Who?")
        return record.execution_id


async def test_an_answer_that_nobody_takes_up_says_so(path: Path, clock: ManualClock) -> None:
    execution_id = await paused(path, clock)
    async with ExecutionStore(database=path, clock=clock) as store, Runner(store, [newer]):
        record = await store.get(execution_id)
        assert record is not None
        assert await problem(store, record) is None, "it waits for a person"
        await answer(store, record, "Who?", "me")
        assert record.status == "running"
        told = await problem(store, record)
        assert told == "No process that is alive has the workflow greet in version 1: start a server that has it."
        async with ExecutionStore(database=path, clock=clock) as other, Runner(other, [greet]):
            await ended(record)
        assert record.result == "me"
        assert await problem(store, record) is None


async def test_what_a_process_with_its_workflow_has_yet_to_take_up_has_no_problem(store: ExecutionStore) -> None:
    async with Runner(store, [greet], concurrency=1) as runner:
        gate = asyncio.Event()

        @workflow
        async def busy(ctx: Context) -> None:
            await ctx.step(gate.wait)

        async with Runner(store, [busy], concurrency=1) as other:
            first = (await other.start("busy")).record
            second = (await other.start("busy")).record  # has to wait for the slot
            assert await problem(store, first) is None
            assert await problem(store, second) is None
            gate.set()
            await ended(second)
        assert runner.accepts


async def test_a_runner_that_closes_takes_its_workflows_along(store: ExecutionStore, path: Path) -> None:
    async with Runner(store, [greet]):
        assert rows(path, "SELECT workflow FROM runners") == [("greet@1",)]
    assert rows(path, "SELECT workflow FROM runners") == []


async def test_what_a_dead_process_left_running_without_a_runner_says_so(path: Path, clock: ManualClock) -> None:
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await store.create_execution()
        assert await problem(store, record) is None, "this process drives it"
    async with ExecutionStore(database=path, clock=clock) as store:
        found = await store.get(record.execution_id)
        assert found is not None
        told = await problem(store, found)
        assert told is not None
        assert told.startswith("The process that ran it is gone, and no runner runs it")
        await store.recover()
        assert found.status == "failed"
        assert await problem(store, found) is None


async def test_a_process_that_gives_no_sign_is_named_while_no_other_has_its_workflow(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    gate = asyncio.Event()

    @workflow
    async def busy(ctx: Context) -> None:
        await ctx.step(gate.wait)

    async with Runner(store, [busy]) as runner:
        record = (await runner.start("busy")).record
        with sql(path) as connection:  # as if it had said nothing of its workflows, and stood still
            connection.execute("DELETE FROM runners")
            connection.execute("UPDATE leases SET expires_at = ?", (clock.now() - 60_000,))
        told = (await store.progress(record.execution_id)).problem
        assert told == "The process that runs it has given no sign for 60 s."
        gate.set()


async def test_what_no_code_fits_says_why(path: Path, clock: ManualClock) -> None:
    execution_id = await paused(path, clock)

    @workflow("greet")
    async def changed(ctx: Context) -> str:
        await ctx.now()
        return ""

    async with ExecutionStore(database=path, clock=clock) as store, Runner(store, [changed]) as runner:
        record = await store.get(execution_id)
        assert record is not None
        await answer(store, record, "Who?", "me")
        async with asyncio.timeout(PATIENCE):
            while record.problem is None:
                await record.changed()
        await unloaded(runner)
        told = (await store.progress(execution_id)).problem
        assert told is not None
        assert told == record.problem
        assert (await store.list()).items[0].problem == told


async def test_a_sleep_shows_its_end(store: ExecutionStore, clock: ManualClock) -> None:
    @workflow
    async def sleepy(ctx: Context) -> None:
        await ctx.sleep(3_600)

    async with Runner(store, [sleepy], hold_paused_for=0) as runner:
        record = (await runner.start("sleepy")).record
        shown = await sought(lambda: store.progress(record.execution_id), lambda progress: progress.sleeping_until)
        wakes = (clock.now() + 3_600_000) / 1000
        assert (shown.sleeping_until, shown.problem) == (wakes, None)
        await unloaded(runner)
        assert (await store.list()).items[0].sleeping_until == wakes
        clock.step(3_600)
        await ended(record)
        assert (await store.progress(record.execution_id)).sleeping_until is None


async def test_a_step_that_is_tried_again_shows_its_attempts_and_its_last_error(
    store: ExecutionStore, clock: ManualClock
) -> None:
    async def flaky() -> None:
        raise ConnectionError("no bank")

    @workflow
    async def pay(ctx: Context) -> str:
        try:
            await ctx.step(flaky, name="charge", retries=2, backoff=60)
        except StepFailed:
            return "gave up"
        return "paid"

    async with Runner(store, [pay]) as runner:
        record = (await runner.start("pay")).record
        shown = await sought(lambda: store.progress(record.execution_id), lambda progress: progress.steps)
        (step,) = shown.steps
        assert (step.name, step.attempts, step.error_type, step.error_message) == (
            "charge", 1, "ConnectionError", "no bank",
        )  # fmt: skip
        assert (step.failed_at, step.next_at > step.failed_at) == (clock.now() / 1000, True)
        for _ in range(2):
            clock.step(600)
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            while record.status == "running":
                clock.step(600)
                await asyncio.sleep(0.001)
        assert record.result == "gave up"
        assert (await store.progress(record.execution_id)).steps == ()


async def test_operators_see_what_a_workflow_raised_and_others_do_not(store: ExecutionStore) -> None:
    async def charge() -> None:
        raise ConnectionError("the password is hunter2")

    @workflow
    async def pay(ctx: Context) -> None:
        await ctx.step(charge)

    async with Runner(store, [pay]) as runner:
        record = await ended((await runner.start("pay", owner="ada")).record)
        service = Service(store, runner)
        view = service.view(OP, record)
        failure = await service.failure(OP, view)
        assert failure is not None
        assert failure.type == "StepFailed"
        assert "hunter2" in failure.message
        assert "in charge" in failure.traceback, "the step's own frames"
        assert await service.failure(ADA, view) is None
        assert "hunter2" not in (record.error or "")


async def test_show_and_list_tell_of_it_on_the_command_line(path: Path, clock: ManualClock, tmp_path: Path) -> None:
    execution_id = await paused(path, clock)
    async with ExecutionStore(database=path, clock=clock) as store:
        record = await store.get(execution_id)
        assert record is not None
        await answer(store, record, "Who?", "me")
    shown = await asyncio.to_thread(typed, "show", execution_id, "--database", str(path), cwd=tmp_path)
    assert "problem     No process that is alive has the workflow greet in version 1" in shown.stdout
    assert "version     1" in shown.stdout
    listed = await asyncio.to_thread(typed, "list", "--database", str(path), "-o", "jsonl", cwd=tmp_path)
    assert "No process that is alive" in json.loads(listed.stdout)["problem"]
    checked = await asyncio.to_thread(typed, "db", "check", "--quick", "--database", str(path), cwd=tmp_path)
    assert f"nobody goes on with {execution_id}" in checked.stdout
