"""Runs whose writes the storage refuses for a while: no step of theirs is called again, and nothing changes its order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from restpoint import Context, ExecutionStore, Runner, workflow
from restpoint._engine import executor, writes
from restpoint._storage.sqlite import writer
from runners import answer, asked, ended, question, unloaded
from support import PATIENCE, eventually, file_of, rows, sql

LARGE = "x" * 300_000


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "AGAIN", 0.01)


class Room:
    """The room that a file has for more pages (``PRAGMA max_page_count``), and how many writes were refused."""

    def __init__(self, store: ExecutionStore, path: Path) -> None:
        self._store = store
        self._path = path
        self.refused = 0
        store.observe(self._observe)

    def _observe(self, _jobs: int, _seconds: float, refused: int) -> None:
        self.refused += refused

    async def take(self) -> None:
        await self._limit(rows(self._path, "PRAGMA page_count")[0][0])

    async def give(self) -> None:
        await self._limit(1 << 30)

    @asynccontextmanager
    async def lacking(self) -> AsyncIterator[None]:
        """What is large finds no room, until several attempts to write were refused."""
        await self.take()
        before = self.refused
        yield
        await eventually(lambda: self.refused >= before + 3)
        await self.give()

    async def _limit(self, pages: int) -> None:
        await file_of(self._store).database.write(lambda tx: tx.all(f"PRAGMA max_page_count = {pages}"))


@pytest.fixture
def room(store: ExecutionStore, path: Path) -> Room:
    return Room(store, path)


async def test_a_step_whose_result_finds_no_room_is_called_once_and_recorded_once_there_is_room(
    store: ExecutionStore, path: Path, room: Room
) -> None:
    called: list[str] = []

    async def charge() -> str:
        called.append("charge")
        await room.take()
        return LARGE

    @workflow
    async def work(ctx: Context) -> int:
        return len(await ctx.step(charge))

    async with Runner(store, [work]) as runner:
        record = (await runner.start("work")).record
        await eventually(lambda: room.refused >= 3)
        await room.give()
        await ended(record)
    assert (record.result, called) == (len(LARGE), ["charge"])
    assert rows(path, "SELECT position, ordinal FROM journal") == [("1", 1)]


async def test_a_step_under_way_is_not_begun_again_where_another_branch_finds_no_room(
    store: ExecutionStore, room: Room
) -> None:
    called: list[str] = []
    go = asyncio.Event()

    async def slow() -> str:
        called.append("slow")
        await go.wait()
        return "done"

    @workflow
    async def work(ctx: Context) -> str:
        step = asyncio.create_task(ctx.step(slow))
        await eventually(lambda: called)
        async with room.lacking():
            emitting = asyncio.create_task(ctx.emit(LARGE))
        await emitting
        go.set()
        return await step

    async with Runner(store, [work]) as runner:
        record = await ended((await runner.start("work")).record)
    assert (record.result, called) == ("done", ["slow"])


async def test_a_step_that_is_given_up_while_its_result_finds_no_room_is_given_up_in_every_replay(
    store: ExecutionStore, path: Path, room: Room
) -> None:
    called: list[str] = []

    async def charge() -> str:
        called.append("charge")
        await room.take()
        return LARGE

    @workflow
    async def work(ctx: Context) -> list[str]:
        step = asyncio.create_task(ctx.step(charge))
        await asyncio.sleep(0)  # a task that is cancelled before its first turn calls nothing
        await eventually(lambda: room.refused)
        step.cancel()
        await asyncio.wait([step])
        return [str(step.cancelled()), (await ctx.ask(question("And now?"))).text]

    async with Runner(store, [work], hold_paused_for=0) as runner:
        record = (await runner.start("work")).record
        await eventually(lambda: room.refused >= 3)
        await room.give()
        await asked(record, "And now?")
        await unloaded(runner)
        await answer(store, record, "And now?", "leave it")
        await ended(record)
    assert (record.result, called) == (["True", "leave it"], ["charge"])
    assert rows(path, "SELECT error FROM journal WHERE kind = 'step'") == [('"abandoned"',)]


async def test_a_runner_that_closes_writes_what_found_no_room_before_if_there_is_room_now(
    store: ExecutionStore, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "AGAIN", 600)
    called: list[str] = []

    async def charge() -> str:
        called.append("charge")
        await room.take()
        return LARGE

    @workflow
    async def work(ctx: Context) -> int:
        return len(await ctx.step(charge))

    async with Runner(store, [work]) as runner:
        record = (await runner.start("work")).record
        await eventually(lambda: room.refused)
        await room.give()
    assert record.status == "running"
    async with Runner(store, [work]):
        await ended(record)
    assert (record.result, called) == (len(LARGE), ["charge"])


async def test_a_workflow_that_is_refused_while_a_write_of_it_finds_no_room_fails_without_that_write(
    store: ExecutionStore, path: Path, room: Room
) -> None:
    is_asked = asyncio.Event()

    @workflow
    async def work(ctx: Context) -> str:
        waiting = asyncio.create_task(ctx.ask(question("And now?")))
        await is_asked.wait()  # within no time limit yet, because for that it is refused
        await room.take()
        emitting = asyncio.create_task(ctx.emit(LARGE))
        await eventually(lambda: room.refused)
        emitting.cancel()
        async with asyncio.timeout(PATIENCE):
            return (await waiting).text

    async with Runner(store, [work]) as runner:
        record = (await runner.start("work")).record
        await asked(record, "And now?")
        is_asked.set()
        await ended(record)
    assert (record.status, record.error_code) == ("failed", "time_limit_refused")
    assert room.refused


async def test_a_runner_closes_though_the_failure_of_a_refused_workflow_finds_no_room(
    store: ExecutionStore, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "BUSY_TIMEOUT_SECONDS", 0.01)
    monkeypatch.setattr(executor, "_RETRY_SECONDS", 0.01)
    failure = executor.public_failure

    @workflow
    async def work(ctx: Context) -> str:
        async with asyncio.timeout(PATIENCE):
            return (await ctx.ask(question("And now?"))).text

    with sql(path) as outside:

        def refused_from_here_on(error: BaseException, name: str) -> tuple[str, str, bool]:
            outside.execute("BEGIN IMMEDIATE")  # which refuses even the smallest write
            return failure(error, name)

        monkeypatch.setattr(executor, "public_failure", refused_from_here_on)
        async with asyncio.timeout(PATIENCE), Runner(store, [work]) as runner:
            record = (await runner.start("work")).record
            await eventually(lambda: "could not be written; trying again" in caplog.text)
    assert record.status == "interaction_required"
