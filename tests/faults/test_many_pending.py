"""FAULTS row 12: a restart with very many prompts open: ready at once, in little memory, and each can be answered."""

import asyncio
import time
from pathlib import Path

import pytest

from faults.harness import run_alone
from restpoint import ExecutionStore
from support import TEXT, rows

READY_SECONDS = 2.0
RESIDENT_BYTES = 150_000_000


async def _ask_many(path: Path, number: int) -> None:
    async def ask() -> None:
        record = await store.create_execution()
        await store.set_interaction_required(record.execution_id, TEXT)

    async with ExecutionStore(database=path) as store:
        for first in range(0, number, 1_000):
            await asyncio.gather(*(ask() for _ in range(first, min(first + 1_000, number))))


def _restart(path: Path, number: int, every: int) -> None:
    begun = time.monotonic()
    asyncio.run(_ask_many(path, number))
    asked = time.monotonic() - begun
    assert rows(path, "SELECT count(*) FROM open_waits") == [(number,)]
    opened, resident, answered, took = run_alone("answer_some", path=str(path), every=every, at_once=500)
    print(
        f"\n{number} prompts, asked in {asked:.1f} s: open in {opened * 1000:.0f} ms "
        f"with {resident / 1e6:.0f} MB resident; {answered} loaded, answered and awaited in {took:.1f} s"
    )
    assert answered == number // every
    assert opened < READY_SECONDS
    assert resident < RESIDENT_BYTES
    assert rows(path, "SELECT count(*) FROM open_waits") == [(number - answered,)]
    assert rows(path, "SELECT count(*) FROM answers") == [(answered,)]


def test_a_file_with_ten_thousand_open_prompts_opens_at_once(path: Path) -> None:
    _restart(path, 10_000, every=20)


@pytest.mark.deep
def test_every_one_of_a_hundred_thousand_open_prompts_is_answerable_after_a_restart(path: Path) -> None:
    _restart(path, 100_000, every=1)
