"""Idempotency keys have a time of their own, which begins at the end of their execution and outlives it."""

import math
from pathlib import Path
from typing import Any

import pytest

from restpoint import Context, ExecutionRecord, ExecutionStore, Runner, workflow
from restpoint.errors import ExecutionGone, IdempotencyConflict
from runners import ended
from support import ManualClock, rows

DAY = 86_400.0


@workflow
async def echo(ctx: Context, value: Any = None) -> Any:
    return value


async def sent(runner: Runner, value: Any = None, key: str = "key") -> tuple[ExecutionRecord, bool]:
    started = await runner.start("echo", value, owner="ada", idempotency_key=key)
    return await ended(started.record), started.created


def store_of(path: Path, clock: ManualClock, **options: Any) -> ExecutionStore:
    return ExecutionStore(options.pop("ttl", 600), database=path, clock=clock, **options)


async def test_a_key_whose_execution_was_swept_starts_no_other_one_for_a_day(path: Path, clock: ManualClock) -> None:
    async with store_of(path, clock) as store, Runner(store, [echo]) as runner:
        record, _ = await sent(runner)
        clock.step(601)
        assert await store.cleanup_expired() == 1
        with pytest.raises(ExecutionGone, match="was swept at") as gone:
            await sent(runner)
        assert (gone.value.execution_id, gone.value.how) == (record.execution_id, "swept")
        with pytest.raises(IdempotencyConflict):
            await sent(runner, "another input")
        clock.step(DAY - 602)
        with pytest.raises(ExecutionGone):
            await sent(runner)
        clock.step(1)
        again, created = await sent(runner)
        assert created
        assert again.execution_id != record.execution_id


async def test_a_key_whose_time_is_over_starts_another_one_though_the_first_is_in_the_file(
    path: Path, clock: ManualClock
) -> None:
    async with store_of(path, clock, ttl=None) as store, Runner(store, [echo]) as runner:
        first, _ = await sent(runner)
        clock.step(DAY - 1)
        assert await sent(runner) == (first, False)
        clock.step(1)
        second, created = await sent(runner)
        assert (created, second is not first) == (True, True)
        assert await sent(runner) == (second, False)
        assert await store.get(first.execution_id) is first


async def test_the_time_of_keys_is_what_the_store_says_and_the_file_remembers_it(
    path: Path, clock: ManualClock
) -> None:
    async with store_of(path, clock, idempotency_retention_seconds=math.inf) as store, Runner(store, [echo]) as runner:
        await sent(runner)
    async with store_of(path, clock) as store, Runner(store, [echo]) as runner:
        clock.step(1_000 * DAY)
        assert await store.cleanup_expired() == 1
        with pytest.raises(ExecutionGone):
            await sent(runner)


async def test_a_key_that_was_kept_goes_when_its_time_is_over(path: Path, clock: ManualClock) -> None:
    async with store_of(path, clock, idempotency_retention_seconds=1_000) as store, Runner(store, [echo]) as runner:
        await sent(runner)
        clock.step(601)
        await store.cleanup_expired()
        assert rows(path, "SELECT count(*) FROM kept_keys") == [(1,)]
        clock.step(400)
        await store.cleanup_expired()
        assert rows(path, "SELECT count(*) FROM kept_keys") == [(0,)]


async def test_a_key_of_an_execution_that_was_removed_is_kept_too(path: Path, clock: ManualClock) -> None:
    async with store_of(path, clock) as store, Runner(store, [echo]) as runner:
        record, _ = await sent(runner)
        await store.remove(record.execution_id)
        with pytest.raises(ExecutionGone, match="was removed at"):
            await sent(runner)


@pytest.mark.parametrize(
    ("first", "second"),
    [({"a": 1, "b": [{"x": 1, "y": 2}]}, {"b": [{"y": 2, "x": 1}], "a": 1}), ({"é": "ü"}, {"é": "ü"}), (None, None)],
)
async def test_the_order_of_members_makes_no_other_request(store: ExecutionStore, first: Any, second: Any) -> None:
    async with Runner(store, [echo]) as runner:
        record, _ = await sent(runner, first)
        assert await sent(runner, second) == (record, False)


@pytest.mark.parametrize("other", [[2, 1], {"a": [1, 2]}, [1, 2.5], [[1, 2]], "[1, 2]"])
async def test_the_order_of_a_list_and_every_value_make_another_request(store: ExecutionStore, other: Any) -> None:
    async with Runner(store, [echo]) as runner:
        await sent(runner, [1, 2])
        with pytest.raises(IdempotencyConflict):
            await sent(runner, other)
