"""A run begins while its start is being written: what that saves, and what must not come of it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from restpoint import Context, ExecutionRecord, ExecutionStore, Runner, WorkflowFailed, workflow
from restpoint._storage import queries
from restpoint._storage.queries import Snapshot
from restpoint._storage.sqlite.database import Transaction
from restpoint.errors import IdempotencyConflict, StorageError
from runners import PATIENCE, answer, asked, ended, question, unloaded
from support import eventually, rows, sql

of_the_caller: ContextVar[str] = ContextVar("of_the_caller", default="nothing")

TURNS = 200  # of the event loop: more than anything here takes that does not wait for the writer


@asynccontextmanager
async def no_commits(store: ExecutionStore) -> AsyncIterator[None]:
    """The thread that writes stands still."""
    file = await store.file()
    entered, go = threading.Event(), threading.Event()

    def stand(_: Transaction) -> None:
        entered.set()
        assert go.wait(PATIENCE)

    standing = file.database.write(stand)
    await asyncio.to_thread(entered.wait, 30)
    try:
        yield
    finally:
        go.set()
        await standing


async def some_turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def test_what_a_workflow_asks_first_is_in_the_commit_of_its_start(store: ExecutionStore) -> None:
    @workflow
    async def wait(ctx: Context) -> str:
        return (await ctx.ask(question("Well?"))).text

    batches: list[int] = []
    async with Runner(store, [wait]) as runner:
        await ended_one(store, runner)
        store.observe(lambda jobs, _seconds, _failed: batches.append(jobs))
        record = (await runner.start("wait")).record
        await asked(record, "Well?")
        store.observe(None)
        await answer(store, record, "Well?", "fine")
        assert (await ended(record)).result == "fine"
    assert batches == [2]


async def ended_one(store: ExecutionStore, runner: Runner) -> None:
    """What a process does only once is done."""
    record = (await runner.start("wait")).record
    await answer(store, record, "Well?", "x")
    await ended(record)


async def test_a_workflow_begins_before_its_start_is_written_and_its_steps_do_not(
    store: ExecutionStore, path: Path
) -> None:
    begun = asyncio.Event()
    seen: list[Any] = []

    async def effect() -> str:
        seen.extend(rows(path, "SELECT status FROM executions"))
        return "done"

    @workflow
    async def work(ctx: Context) -> str:
        begun.set()
        return await ctx.step(effect)

    async with Runner(store, [work]) as runner:
        async with no_commits(store):
            starting = asyncio.create_task(runner.start("work"))
            await begun.wait()
            await some_turns()
            assert not starting.done()
            assert seen == []
        record = (await starting).record
        assert (await ended(record)).result == "done"
    assert seen == [("running",)]


@pytest.mark.parametrize("concurrency", [1, 3, 100])
async def test_of_many_starts_with_one_key_one_goes_on_and_nothing_is_left_of_the_others(
    store: ExecutionStore, path: Path, concurrency: int
) -> None:
    begun: list[str] = []
    effects: list[str] = []

    @workflow
    async def work(ctx: Context) -> str:
        begun.append(ctx.execution_id)
        await ctx.emit("working")
        await ctx.step(effects.append, ctx.execution_id)
        return (await ctx.ask(question("Well?"))).text

    async with Runner(store, [work], concurrency=concurrency) as runner:
        async with no_commits(store):
            starting = [asyncio.create_task(runner.start("work", idempotency_key="k")) for _ in range(5)]
            await some_turns()
            assert len(set(begun)) == min(concurrency, 5)
            assert effects == []
        started = await asyncio.gather(*starting)
        assert sorted(each.created for each in started) == [False, False, False, False, True]
        (record,) = {each.record for each in started}
        await asked(record, "Well?")
        again = await runner.start("work", idempotency_key="k")
        assert (again.created, again.record) == (False, record)
        await eventually(lambda: not (runner.running or len(runner._runs) > 1))
        await answer(store, record, "Well?", "fine")
        assert (await ended(record)).result == "fine"
    assert effects == [record.execution_id]
    assert rows(path, "SELECT id FROM executions") == [(record.execution_id,)]
    assert rows(path, "SELECT DISTINCT execution_id FROM history WHERE execution_id IS NOT NULL") == [
        (record.execution_id,)
    ]


async def test_of_a_start_whose_key_was_used_for_something_else_nothing_is_left(
    store: ExecutionStore, path: Path
) -> None:
    effects: list[str] = []

    @workflow
    async def work(ctx: Context, text: str) -> None:
        await ctx.step(effects.append, text)
        await ctx.ask(question("Well?"))

    async with Runner(store, [work], concurrency=1) as runner:
        record = (await runner.start("work", "a", idempotency_key="k")).record
        await asked(record, "Well?")
        with pytest.raises(IdempotencyConflict):
            await runner.start("work", "b", idempotency_key="k")
        await eventually(lambda: not (runner.running or len(runner._runs) > 1))
    assert effects == ["a"]
    assert rows(path, "SELECT count(*) FROM executions") == [(1,)]


async def _asks(ctx: Context) -> None:
    await ctx.ask(question("Well?"))


async def _returns(ctx: Context) -> None:
    return None


async def _raises(ctx: Context) -> None:
    raise WorkflowFailed("no", code="no")


async def _emits_and_sleeps(ctx: Context) -> None:
    await ctx.emit(1)
    await ctx.sleep(60)


async def _asks_twice_at_once(ctx: Context) -> None:
    await asyncio.gather(ctx.ask(question("Well?")), ctx.ask(question("And?")))


async def _does_not_listen(ctx: Context) -> None:
    try:
        await ctx.now()
    except asyncio.CancelledError:
        await ctx.emit("all the same")


@pytest.mark.parametrize(
    "body", [_asks, _returns, _raises, _emits_and_sleeps, _asks_twice_at_once, _does_not_listen], ids=lambda body: body.__name__
)  # fmt: skip
@pytest.mark.parametrize("hold", [0.0, 600.0])
async def test_of_a_start_that_the_storage_refuses_nothing_is_left(
    store: ExecutionStore, path: Path, body: Callable[[Context], Awaitable[None]], hold: float
) -> None:
    effects: list[str] = []

    @workflow
    async def work(ctx: Context) -> None:
        await body(ctx)
        await ctx.step(effects.append, "x")

    @workflow
    async def echo(ctx: Context, text: str) -> str:
        return text

    async with Runner(store, [work, echo], concurrency=1, hold_paused_for=hold) as runner:
        with sql(path) as outside:
            outside.execute(
                "CREATE TRIGGER full BEFORE INSERT ON executions BEGIN SELECT RAISE(ABORT, 'no more executions'); END"
            )
        with pytest.raises(StorageError, match="no more executions"):
            await runner.start("work")
        await unloaded(runner)
        assert (runner.running, runner.paused_in_memory, effects) == (0, 0, [])
        for table in ("executions", "runs", "journal"):
            assert rows(path, f"SELECT count(*) FROM {table}") == [(0,)]
        assert rows(path, "SELECT count(*) FROM history WHERE execution_id IS NOT NULL") == [(0,)]
        with sql(path) as outside:
            outside.execute("DROP TRIGGER full")
        assert (await ended((await runner.start("echo", "x")).record)).result == "x"


async def test_a_start_that_is_being_written_as_the_runner_closes_is_left_to_the_next_one(
    store: ExecutionStore, path: Path
) -> None:
    begun = asyncio.Event()

    @workflow
    async def wait(ctx: Context) -> str:
        begun.set()
        return (await ctx.ask(question("Well?"))).text

    runner = await Runner(store, [wait]).open()
    async with no_commits(store):
        starting = asyncio.create_task(runner.start("wait"))
        await begun.wait()
        closing = asyncio.create_task(runner.close())
        await some_turns()
        assert not closing.done()
    record = (await starting).record
    await closing
    assert rows(path, "SELECT lease, attempts FROM executions") == [(None, 0)]
    async with Runner(store, [wait]):
        await answer(store, record, "Well?", "fine")
        assert (await ended(record)).result == "fine"


async def test_who_stops_waiting_for_a_start_does_not_stop_what_was_started(store: ExecutionStore) -> None:
    begun = asyncio.Event()
    told: list[ExecutionRecord] = []

    @workflow
    async def wait(ctx: Context) -> None:
        begun.set()
        await ctx.ask(question("Well?"))

    async with Runner(store, [wait]) as runner:
        async with no_commits(store):
            starting = asyncio.create_task(runner.start("wait"))
            await begun.wait()
            starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        (listed,) = (await store.list()).items
        record = await store.get(listed.execution_id)
        assert record is not None
        told.append(record)
        await asked(record, "Well?")


async def test_a_run_follows_the_record_that_someone_else_made_of_its_execution_first(
    store: ExecutionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who lists the file may find an execution, and read it, before this process hears of its own commit."""
    begun, read, told = asyncio.Event(), asyncio.Event(), asyncio.Event()
    ids: list[str] = []
    snapshot = queries.snapshot

    async def held_back(*arguments: Any) -> Snapshot | None:
        read.set()
        await told.wait()
        return await snapshot(*arguments)

    @workflow
    async def wait(ctx: Context) -> str:
        ids.append(ctx.execution_id)
        begun.set()
        return (await ctx.ask(question("Well?"))).text

    async with Runner(store, [wait], hold_paused_for=600) as runner:
        async with no_commits(store):
            starting = asyncio.create_task(runner.start("wait"))
            await begun.wait()
            with monkeypatch.context() as patched:
                patched.setattr(queries, "snapshot", held_back)
                reading = asyncio.create_task(store.get(ids[0]))
                await read.wait()
        record = (await starting).record
        told.set()
        assert await reading is record
        await answer(store, record, "Well?", "fine")
        assert (await ended(record)).result == "fine"


async def test_a_step_may_start_another_workflow(store: ExecutionStore) -> None:
    """A run inherits nothing of the task that starts it: neither that this is in a step, nor the caller's own variables."""

    @workflow
    async def child(ctx: Context) -> str:
        await ctx.emit(1)
        return of_the_caller.get()

    async def begin() -> str:
        return (await runner.start("child")).record.execution_id

    @workflow
    async def parent(ctx: Context) -> str:
        return await ctx.step(begin)

    of_the_caller.set("mine")
    async with Runner(store, [child, parent]) as runner:
        first = await ended((await runner.start("parent")).record)
        assert first.error is None
        second = await store.get(first.result)
        assert second is not None
        assert ((await ended(second)).error, second.result) == (None, "nothing")


@pytest.mark.parametrize("in_a_branch", [False, True])
async def test_a_step_given_up_before_its_start_was_written_is_done_by_no_replay(
    store: ExecutionStore, path: Path, *, in_a_branch: bool
) -> None:
    effects: list[str] = []
    given_up = asyncio.Event()

    @workflow
    async def work(ctx: Context) -> str:
        try:
            async with asyncio.timeout(0.05):
                step = ctx.step(effects.append, "x")
                await (asyncio.create_task(step) if in_a_branch else step)
        except TimeoutError:
            given_up.set()
            return (await ctx.ask(question("It takes long. And now?"))).text
        return "done"

    async with Runner(store, [work], hold_paused_for=0) as runner:
        async with no_commits(store):
            starting = asyncio.create_task(runner.start("work"))
            await given_up.wait()
        record = (await starting).record
        await asked(record, "It takes long. And now?")
        await unloaded(runner)
        await answer(store, record, "It takes long. And now?", "leave it")
        assert (await ended(record)).result == "leave it"
    assert effects == []
    assert rows(path, "SELECT error FROM journal WHERE kind = 'step'") == [('"abandoned"',)]


async def test_a_workflow_that_looks_itself_up_meanwhile_does_not_take_its_record_from_those_who_hold_it(
    store: ExecutionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, told = asyncio.Event(), asyncio.Event()
    found: list[ExecutionRecord | None] = []
    snapshot = queries.snapshot

    async def overtaken(*arguments: Any) -> Snapshot | None:
        seen = await snapshot(*arguments)
        if seen is None:
            read.set()
            await told.wait()
        return seen

    @workflow
    async def work(ctx: Context) -> str:
        found.append(await store.get(ctx.execution_id))
        return (await ctx.ask(question("Well?"))).text

    monkeypatch.setattr(queries, "snapshot", overtaken)
    async with Runner(store, [work], hold_paused_for=600) as runner:
        async with no_commits(store):
            starting = asyncio.create_task(runner.start("work"))
            await read.wait()
        record = (await starting).record
        told.set()
        await answer(store, record, "Well?", "fine")
        assert ((await ended(record)).result, record.is_detached) == ("fine", False)
    assert found == [record]


async def test_who_gets_an_execution_by_an_id_that_is_on_its_way_into_the_file_waits_for_it(
    store: ExecutionStore,
) -> None:
    begun = asyncio.Event()
    found: list[ExecutionRecord | None] = []

    @workflow
    async def work(ctx: Context) -> str | None:
        begun.set()
        found.append(await store.get(ctx.execution_id))
        return None

    async with Runner(store, [work]) as runner:
        async with no_commits(store):
            starting = [asyncio.create_task(runner.start("work", idempotency_key=key)) for key in ("a", "b", "b")]
            await begun.wait()
            await some_turns()
            assert found == []
        started = await asyncio.gather(*starting)
        await asyncio.gather(*(ended(each.record) for each in started))
        await unloaded(runner)
    assert {each for each in found if each is not None} == {each.record for each in started}
