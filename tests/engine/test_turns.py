"""Owners take turns: one that starts very much does not keep the others waiting until all of it is done."""

import asyncio
from pathlib import Path

import pytest

from restpoint import Context, ExecutionStore, Runner, workflow
from restpoint._core.retention_rules import FOREVER
from restpoint._engine.slots import Slots
from restpoint._storage import claims
from runners import PATIENCE, answer, asked, ended, question
from support import eventually, file_of, rows

ORDER: list[str] = []


@workflow
async def noting(ctx: Context, name: str) -> None:
    await ctx.step(_note, name)


async def _note(name: str) -> None:
    ORDER.append(name)


async def _start(runner: Runner, *names: str) -> None:
    for name in names:
        owner = name[0]
        await runner.start("noting", name, owner=None if owner == "-" else owner)


async def test_the_runs_in_the_file_are_claimed_by_turns_of_their_owners(store: ExecutionStore) -> None:
    ORDER.clear()
    async with Runner(store, [noting], concurrency=0) as starting:
        await _start(starting, "a1", "a2", "a3", "a4", "b1", "c1", "c2", "-1")
    async with asyncio.timeout(PATIENCE), Runner(store, [noting], concurrency=1):
        await eventually(lambda: len(ORDER) >= 8)
    assert ORDER == ["a1", "b1", "c1", "-1", "a2", "c2", "a3", "a4"]


@pytest.mark.parametrize(
    ("most", "after", "expected"),
    [
        (1, None, ["a1"]),
        (1, "a", ["b1"]),
        (1, "c", ["-1"]),
        (2, "b", ["c1", "-1"]),
        (6, None, ["a1", "b1", "c1", "-1", "a2", "c2"]),
        (7, "a", ["b1", "c1", "-1", "a1", "c2", "a2", "a3"]),
        (200, "b", ["c1", "-1", "a1", "b1", "c2", "a2", "a3", "a4"]),
    ],
)
async def test_each_owner_gets_one_slot_before_any_gets_another(
    store: ExecutionStore, path: Path, most: int, after: str | None, expected: list[str]
) -> None:
    async with Runner(store, [noting], concurrency=0) as starting:
        await _start(starting, "a1", "a2", "a3", "a4", "b1", "c1", "c2", "-1")
        claimed = await file_of(store).database.write(
            claims.claim, lease=file_of(store).lease, known=["noting@1"], most=most, suspects=1, max_attempts=5,
            keeping=FOREVER, after=after,
        )  # fmt: skip
    named = dict(
        rows(path, "SELECT e.id, json_extract(r.input, '$') FROM executions e JOIN runs r ON r.execution_key = e.key")
    )
    names = [named[each.execution_id] for each in claimed]
    assert sorted(names) == sorted(expected)
    assert names[: min(4, most)] == expected[: min(4, most)]


async def test_those_who_wait_for_a_slot_in_memory_take_turns() -> None:
    slots, told = Slots(1, asyncio.Event()), []

    async def use(owner: str) -> None:
        await slots.take(owner)
        told.append(owner)
        await asyncio.sleep(0)
        slots.give()

    await slots.take("a")
    waiting = [asyncio.create_task(use(owner)) for owner in ("a", "a", "a", "b", "c", "b")]
    await asyncio.sleep(0)
    waiting[2].cancel()
    await asyncio.sleep(0)
    assert slots.queued == 5
    slots.give()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert told == ["a", "b", "c", "a", "b"]
    assert (slots.free, slots.queued) == (1, 0)


async def test_the_start_of_one_owner_does_not_wait_for_all_the_slow_runs_of_another(store: ExecutionStore) -> None:
    gates = [asyncio.Event() for _ in range(6)]
    begun: list[str] = []

    async def slow(number: int) -> None:
        begun.append(f"a{number}")
        await gates[number].wait()

    @workflow
    async def slowly(ctx: Context, number: int) -> None:
        await ctx.step(slow, number)

    @workflow
    async def asking(ctx: Context) -> str:
        begun.append("b")
        return (await ctx.ask(question("Well?"))).text

    async with asyncio.timeout(PATIENCE), Runner(store, [slowly, asking], concurrency=2) as runner:
        many = [(await runner.start("slowly", number, owner="a")).record for number in range(6)]
        one = (await runner.start("asking", owner="b")).record
        gates[0].set()
        await asked(one, "Well?")
        assert begun[:3] == ["a0", "a1", "b"]
        await answer(store, one, "Well?", "yes")
        for gate in gates:
            gate.set()
        for each in (*many, one):
            await ended(each)
