"""FAULTS row 32: steps and workflows that end in unusual ways have a definite outcome, once, and the process lives."""

import asyncio
import itertools
import shutil
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from restpoint import Context, ExecutionStore, Runner, StepFailed, workflow
from restpoint._core.retention_rules import FOREVER
from restpoint._storage import claims
from restpoint.errors import WorkflowFailed
from runners import PATIENCE, WAYS, answer, ended, journal, question, until
from support import ManualClock, eventually, file_of, rows


class Abort(BaseException):
    """An application's own way out."""


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class UnprintableExit(BaseException):
    def __str__(self) -> str:
        raise SystemExit(4)


class UnprintableFailure(WorkflowFailed):
    def __str__(self) -> str:
        raise Abort


def _cancelled() -> asyncio.CancelledError:
    return asyncio.CancelledError("nobody asked for this")


ENDS: dict[str, Callable[[], BaseException]] = {
    "own": Abort,
    "exit": lambda: SystemExit(3),
    "generator exit": GeneratorExit,
    "stop": lambda: StopIteration(7),
    "async stop": StopAsyncIteration,
    "cancelled": _cancelled,
    "group": lambda: BaseExceptionGroup("both", [Abort(), SystemExit(3)]),
    "unprintable": Unprintable,
    "unprintable exit": UnprintableExit,
    "memory": MemoryError,
    "recursion": RecursionError,
    "surrogate": lambda: ValueError("half of \ud800 a pair \x00"),
    "loop": lambda: RuntimeError(b"\xff" * 100_000),
}

CALLS: Counter[str] = Counter()


def raise_it(end: str) -> None:
    CALLS[end] += 1
    error = ENDS[end]()
    raise error


async def raise_it_later(end: str) -> None:
    CALLS[end] += 1
    await asyncio.sleep(0)
    error = ENDS[end]()
    raise error


async def await_what_was_cancelled(end: str) -> None:
    CALLS[end] += 1
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@workflow
async def step_ends(ctx: Context, how: list[str]) -> list[str]:
    """A step, alone or beside another, that ends in an unusual way; and two prompts after it, so that it is replayed."""
    end, where = how
    function = {"sync": raise_it, "async": raise_it_later, "future": await_what_was_cancelled}[where.split()[0]]
    call = ctx.step(function, end, timeout=600 if "timed" in where else None)
    try:
        await (asyncio.gather(call, ctx.now()) if "branch" in where else call)
    except StepFailed as error:
        told = error.error_type
    else:
        told = "nothing"
    return [told, (await ctx.ask(question("1?"))).text, (await ctx.ask(question("2?"))).text]


@workflow
async def workflow_ends(ctx: Context, end: str) -> None:
    CALLS[end] += 1
    await ctx.now()
    if end == "future":
        await await_what_was_cancelled(end)
    if end == "itself":
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await ctx.now()
    error = ENDS[end]()
    raise error


async def _step_ends(store: ExecutionStore, path: Path, end: str, where: str, way: dict[str, Any]) -> None:
    CALLS.clear()
    async with asyncio.timeout(PATIENCE), Runner(store, [step_ends], **way) as runner:
        record = (await runner.start("step_ends", [end, where])).record
        for text in ("1?", "2?"):
            await until(record, lambda: record.pending_interactions or record.status != "running")
            assert record.error is None
            await answer(store, record, text, "yes")
        await ended(record)
    raised = type(ENDS[end]()).__name__
    if end == "stop" and where.startswith("async"):
        raised = "RuntimeError"  # Python makes one of a StopIteration that leaves a coroutine
    assert (record.status, record.result) == ("completed", [raised, "yes", "yes"])
    if not (
        "branch" in where and "replay_always" in way
    ):  # there the other branch ends the run in the middle of the step
        assert dict(CALLS) == {end: 1}
    names = ("raise_it", "raise_it_later", "await_what_was_cancelled")
    assert sum(name in names for _, _, name, _ in journal(path)) == 1
    assert rows(path, "SELECT count(*) FROM step_attempts") == [(0,)]


WHERES = ["sync", "async", "sync branch", "async timed branch"]


# Each end in one place, and one end in each; the deep run has every end in every place.
@pytest.mark.parametrize(
    ("end", "where"), dict.fromkeys([*zip(ENDS, itertools.cycle(WHERES)), *(("stop", where) for where in WHERES)])
)
async def test_a_step_that_ends_in_an_unusual_way_has_failed_once(
    store: ExecutionStore, path: Path, end: str, where: str
) -> None:
    await _step_ends(store, path, end, where, WAYS["parked" if "branch" in where else "rebuilt"])


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_a_step_that_awaits_what_was_cancelled_has_failed_once(
    store: ExecutionStore, path: Path, way: dict[str, Any]
) -> None:
    await _step_ends(store, path, "cancelled", "future", way)


@pytest.mark.parametrize("end", [*ENDS, "future", "itself"])
async def test_a_workflow_that_ends_in_an_unusual_way_has_failed_once(
    store: ExecutionStore, path: Path, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    caplog.set_level("CRITICAL", logger="restpoint")  # xdist cannot carry half a surrogate pair in a log
    CALLS.clear()
    async with asyncio.timeout(PATIENCE), Runner(store, [workflow_ends], **WAYS["held"]) as runner:
        record = await ended((await runner.start("workflow_ends", end)).record)
        assert (record.status, record.error_code) == ("failed", "workflow_error")
        assert runner.accepts
    assert CALLS[end] == 1 + (end == "future")
    assert rows(path, "SELECT count(*) FROM history WHERE event = 'execution_failed'") == [(1,)]


async def test_a_failure_of_a_workflow_that_has_no_text_is_recorded(store: ExecutionStore) -> None:
    @workflow
    async def refused(ctx: Context) -> None:
        raise UnprintableFailure("out of stock", code="stock")

    async with asyncio.timeout(PATIENCE), Runner(store, [refused]) as runner:
        record = await ended((await runner.start("refused")).record)
    assert (record.status, record.error_code) == ("failed", "stock")
    assert "UnprintableFailure" in (record.error or "")


def has_tried(path: Path, done: int) -> bool:
    return rows(path, "SELECT attempts, ready FROM executions") == [(done, 0)]


async def test_a_run_that_is_given_up_with_nothing_recorded_pauses_and_is_failed_in_the_end(
    store: ExecutionStore, path: Path, clock: ManualClock
) -> None:
    """Someone cancels its task before its first turn, again and again: no try follows the last one at once."""
    tries = 0

    @workflow
    async def never(ctx: Context) -> None:
        """It does not come to run."""

    async with asyncio.timeout(PATIENCE), Runner(store, [never], max_attempts=3) as runner:
        begin = runner.begin

        def cancelled_before_its_first_turn(run: Any) -> None:
            nonlocal tries
            tries += 1
            begin(run)
            run._task.cancel()

        runner.begin = cancelled_before_its_first_turn  # type: ignore[method-assign]
        record = (await runner.start("never")).record
        for done in (1, 2, 3):
            await eventually(partial(has_tried, path, done))
            assert tries == done, "it waits for the next second"
            clock.step(1)
        await ended(record)
    assert (record.error_code, tries) == ("attempts_exhausted", 3)


async def test_a_run_that_is_given_back_by_a_server_that_ends_counts_no_attempt(
    store: ExecutionStore, path: Path
) -> None:
    begun = asyncio.Event()

    async def slow() -> None:
        begun.set()
        await asyncio.Event().wait()

    @workflow
    async def work(ctx: Context) -> None:
        await ctx.step(slow)

    async with asyncio.timeout(PATIENCE), Runner(store, [work]) as runner:
        await runner.start("work")
        await begun.wait()
    assert rows(path, "SELECT attempts, ready, lease, wake_at FROM executions") == [(0, 1, None, None)]
    lease = file_of(store).lease
    claimed = await file_of(store).database.write(
        claims.claim, lease=lease, known=["work@1"], most=1, suspects=1, max_attempts=5, keeping=FOREVER
    )
    assert len(claimed) == 1


async def _many_retries(store: ExecutionStore, path: Path, count: int, way: dict[str, Any]) -> tuple[int, float]:
    tries = 0

    def fail() -> None:
        nonlocal tries
        tries += 1
        raise ConnectionError("flaky")

    @workflow
    async def flaky(ctx: Context) -> None:
        await ctx.step(fail, retries=count, backoff=0.0)

    began = time.perf_counter()
    async with Runner(store, [flaky], **way) as runner:
        record = await ended((await runner.start("flaky")).record)
    assert (record.status, record.error_code) == ("failed", "step_failed")
    assert "ConnectionError" in (record.error or "")
    assert rows(path, "SELECT count(*) FROM journal") == [(1,)]
    assert rows(path, "SELECT count(*) FROM step_attempts") == [(0,)]
    return tries, time.perf_counter() - began


async def test_a_step_is_tried_as_often_as_asked_beyond_what_a_power_of_two_can_be(fresh: Path, path: Path) -> None:
    shutil.copyfile(fresh, path)
    async with ExecutionStore(database=path, synchronous="NORMAL") as store:
        tries, _ = await _many_retries(store, path, 1_100, WAYS["held"])
    assert tries == 1_101


@pytest.mark.deep
async def test_every_unusual_end_in_every_way_and_ten_thousand_retries(fresh: Path, tmp_path: Path) -> None:
    number = 0
    for name, way in WAYS.items():
        for end in ENDS:
            for where in ("sync", "async", "sync branch", "async branch", "sync timed", "async timed branch"):
                number += 1
                path = tmp_path / f"{number}.db"
                shutil.copyfile(fresh, path)
                async with ExecutionStore(database=path) as store:
                    await _step_ends(store, path, end, where, way)
        path = tmp_path / f"retries-{name}.db"
        shutil.copyfile(fresh, path)
        async with ExecutionStore(database=path) as store:
            tries, seconds = await _many_retries(store, path, 10_000, way)
        assert tries == 10_001
        print(f"\n{name}: {tries} attempts of one step in {seconds:.1f} s, one outcome")
    print(f"\n{number} unusual ends: each a failure that was recorded once, the process lives")
